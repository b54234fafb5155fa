// Command bench measures Weir beside what limits it and beside other crawlers, and
// prints one table of ratios.
//
//	go run . [-rounds 5] [-rows text,web,tls,warc,docs,colly,scrapy] [-docs DIR] [-profile cpu.out]
//
// A row of the table has a subject and a limit, which take turns, round by round,
// each in a process of its own, while the sites that they crawl are served by
// another: the speed of a machine drifts. What is compared is pages for each second
// of processor time of the whole process, with opening and closing, since it says
// the same on a busy machine, and the peak of its resident memory, with and without the tables of the store, which
// are mapped files that the system takes back when it needs the memory.
//
//   - web: a synthetic web of 20,000 pages of 13 KB with 30 links each on 50
//     loopback hosts, beside a loop that keeps nothing
//   - warc: the same with an archive, beside Weir without
//   - colly, scrapy: Weir beside these on the same pages
//   - text: crawl, extract and tag on 945 real pages, beside one loop of the same
//     functions
//   - tls: links and records of real pages of some 200 KB over TLS, beside the loop
//   - docs: links and records of documentation, beside wget2 --mirror. -docs is
//     where internal/realsites/fetch.sh has put it.
//
// Two more processes print what a page costs while there are more and more of them, and
// what it takes to open the store and to ask it something: -only weir-scale crawls
// -pages generated pages of fifty hosts, and -only weir-hosts -host-pages pages and the
// robots.txt of each of -hosts hosts, politely, of which it is told if it was not. The
// store is in a folder below $WEIR_BENCH_DIR, where it stays with -keep.
//
// It needs a system that routes all of 127.0.0.0/8 to itself, as Linux does.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-301537d8/weir/crawler"
)

// result is what a crawler process prints.
type result struct {
	Pages   int           // fetched and parsed, repeated ones included
	Unique  int           // different ones
	Elapsed time.Duration // of the crawl, without opening and closing
	Disk    int64         // bytes that it has kept
	Anon    int64         // the most memory that was no mapped file, in KiB
}

// roles are what a process of this program may be, beside the server.
var roles = map[string]func(sites) (result, error){
	"fetch": fetchOnly, "loop": loop, "weir": weirRecords, "weir-warc": weirArchive, "weir-gzip": weirGzip, "weir-gzip-warc": weirGzipArchive, "warc": archiveAlone, "colly": collyCrawl,
	"weir-text": weirText, "bare": bare, "extract": extractAlone, "tag": tagAlone, "pipeline": weirPipeline,
	"weir-scale": weirScale, "weir-hosts": weirHosts, "weir-tls": weirTLS, "loop-tls": loopTLS, "weir-docs": weirDocs,
	"weir-text-behind": weirTextBehind,
}

// programs are other people's, which this one runs.
var programs = map[string]func(sites) (result, *syscall.Rusage, error){"scrapy": scrapyCrawl, "wget2": wget2Mirror}

// A row is one of the table.
type row struct {
	name, work     string
	subject, limit string
	target         float64 // pages per processor second, of the limit's
	memory         int64   // MB at most; 0 for no target
}

var rows = []row{
	{"text", "crawl + extract + tag, real pages", "weir-text", "bare", 0.85, 300},
	{"web", "records and links, synthetic web", "weir", "loop", 0.95, 150},
	{"tls", "the same over TLS, real pages of 200 KB", "weir-tls", "loop-tls", 1, 0},
	{"warc", "synthetic web with an archive", "weir-warc", "weir", 0.8, 250},
	{"gzip", "the same, from a server that compresses", "weir-gzip-warc", "weir-gzip", 0.8, 250},
	{"docs", "records and links of documentation", "weir-docs", "wget2", 1. / 3, 0},
	{"colly", "synthetic web", "weir", "colly", 6, 0},
	{"scrapy", "synthetic web", "weir", "scrapy", 15, 0},
}

var (
	pages     = flag.Int("pages", 20_000, "pages of the synthetic web")
	behind    = flag.Int("behind", 1_000_000, "pages that the store of weir-text-behind has before")
	manyHosts = flag.Int("hosts", 1_000_000, "hosts of the web of weir-hosts")
	hostPages = flag.Int("host-pages", 3, "pages of each of these hosts, 8 at most")
	hostDelay = flag.Duration("delay", crawler.DefaultDelay, "of weir-hosts, between two requests to a host")
	keep      = flag.Bool("keep", false, "leave the store of weir-scale or weir-hosts where it is, and say where")
	docs      = flag.String("docs", "", "folder with documentation, filled by internal/realsites/fetch.sh")
	profile   = flag.String("profile", "", "file for a CPU profile of each process of ours, with its name appended, and one of allocations beside it, and in a crawl of many pages one of what lives, from time to time")
	sizes     = flag.Bool("sizes", false, "print what records of each kind take of a crawl by Weir")
	role      = flag.String("role", "", "what this process is; for the program's own use")
	siteArg   = flag.String("sites", "", "what there is to crawl; for the program's own use")
)

func main() {
	rounds := flag.Int("rounds", 5, "how often everything runs")
	names := flag.String("rows", "text,web,tls,warc,gzip,docs,colly,scrapy", "rows of the table")
	only := flag.String("only", "", "these processes instead of rows: "+strings.Join(slices.Sorted(mapKeys(roles)), ", "))
	flag.Parse()
	var err error
	switch {
	case *hostPages < 1 || *hostPages > 8:
		err = fmt.Errorf("-host-pages is %d, and is from 1 to 8", *hostPages)
	case *role == "server":
		err = serve(*pages, *docs)
	case *role != "":
		err = play(*role)
	default:
		err = run(*rounds, *names, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// play is a process that crawls.
func play(name string) error {
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		defer writeAllocations(*profile + ".allocs")
	}
	var s sites
	if err := json.Unmarshal([]byte(*siteArg), &s); err != nil {
		return err
	}
	anon := sampleMemory()
	r, err := roles[name](s)
	if err != nil {
		return err
	}
	r.Anon = cmp.Or(r.Anon, anon())
	return json.NewEncoder(os.Stdout).Encode(r)
}

// sampleMemory looks at the resident memory that is no mapped file, until the
// function that it returns is called, which returns the most.
func sampleMemory() (most func() int64) {
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		peak := int64(0)
		for {
			select {
			case <-stop:
				done <- peak
				return
			case <-tick.C:
				peak = max(peak, resident("RssAnon"))
			}
		}
	}()
	return func() int64 { close(stop); return <-done }
}

// resident returns a line of /proc/self/status in KiB, or 0 on another system.
func resident(name string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), name+":")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.ParseInt(kb, 10, 64)
	return n
}

// writeAllocations writes what has been allocated.
func writeAllocations(path string) { writeProfile("allocs", path) }

// writeHeap writes what lives.
func writeHeap(path string) { writeProfile("heap", path) }

func writeProfile(name, path string) {
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// measured is what one process has used.
type measured struct {
	rate float64 // pages a second of processor time
	cpu  float64 // µs a page
	wall float64 // pages a second
	mb   int64
	anon int64 // MB that are no mapped files
}

func run(rounds int, names, only string) error {
	table, wanted, err := choose(names, only)
	if err != nil {
		return err
	}
	server := exec.Command(os.Args[0], "-role", "server", "-pages", fmt.Sprint(*pages), "-docs", *docs, "-hosts", fmt.Sprint(*manyHosts), "-host-pages", fmt.Sprint(*hostPages), "-delay", hostDelay.String())
	server.Stderr = os.Stderr
	stop, err := server.StdinPipe() // the server ends when this is closed
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { _ = stop.Close(); _ = server.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	all := make(map[string][]measured)
	for round := range rounds {
		for _, name := range wanted {
			r, usage, err := measure(name, line)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
			n := float64(r.Unique)
			all[name] = append(all[name], measured{n / used, used * 1e6 / n, n / r.Elapsed.Seconds(), usage.Maxrss >> 10, r.Anon >> 10})
			fmt.Printf("round %d  %-10s %6d pages, %6d different, %6.2f s, %6.2f s of processor time, %4d MB, without mapped files %d MB", round+1, name, r.Pages, r.Unique, r.Elapsed.Seconds(), used, usage.Maxrss>>10, r.Anon>>10)
			if r.Disk > 0 {
				fmt.Printf(", %.0f bytes kept of each", float64(r.Disk)/n)
			}
			fmt.Println()
		}
	}
	printProcesses(wanted, all)
	printTable(table, all)
	return nil
}

// choose returns the rows, and the processes in the order in which they take turns.
func choose(names, only string) (table []row, wanted []string, err error) {
	if only != "" {
		return nil, strings.Split(only, ","), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("no row is called %q", name)
		}
		table = append(table, rows[i])
		for _, p := range []string{rows[i].limit, rows[i].subject} {
			if !slices.Contains(wanted, p) {
				wanted = append(wanted, p)
			}
		}
	}
	return table, wanted, nil
}

// measure runs a process and returns what it has used.
func measure(name, site string) (r result, usage *syscall.Rusage, err error) {
	if program := programs[name]; program != nil {
		var s sites
		if err := json.Unmarshal([]byte(site), &s); err != nil {
			return r, nil, err
		}
		return program(s)
	}
	if roles[name] == nil {
		return r, nil, fmt.Errorf("there is no such process")
	}
	args := []string{"-role", name, "-sites", site, "-pages", fmt.Sprint(*pages), "-hosts", fmt.Sprint(*manyHosts), "-host-pages", fmt.Sprint(*hostPages), "-delay", hostDelay.String(), "-behind", fmt.Sprint(*behind)}
	if *keep {
		args = append(args, "-keep")
	}
	if *sizes {
		args = append(args, "-sizes")
	}
	if *profile != "" {
		args = append(args, "-profile", *profile+"."+name)
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, nil, err
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, nil, err
	}
	return r, cmd.ProcessState.SysUsage().(*syscall.Rusage), nil
}

func printProcesses(names []string, all map[string][]measured) {
	fmt.Printf("\n%-10s %18s %24s %10s %8s\n", "", "CPU us/page", "least to most", "pages/s", "peak MB")
	for _, name := range names {
		m := all[name]
		cpu := pick(m, func(m measured) float64 { return m.cpu })
		mb := pick(m, func(m measured) float64 { return float64(m.mb) })
		fmt.Printf("%-10s %18.0f %24s %10.0f %8.0f\n", name, median(cpu), fmt.Sprintf("%.0f to %.0f", slices.Min(cpu), slices.Max(cpu)),
			median(pick(m, func(m measured) float64 { return m.wall })), slices.Max(mb))
	}
}

func printTable(table []row, all map[string][]measured) {
	if len(table) == 0 {
		return
	}
	fmt.Printf("\n| work | beside | ratio | in each round | target | peak MB | without mapped files | at most |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range table {
		var ratios []float64
		var each []string
		for i, m := range all[r.subject] {
			ratio := m.rate / all[r.limit][i].rate
			ratios, each = append(ratios, ratio), append(each, fmt.Sprintf("%.2f", ratio))
		}
		peak := slices.Max(pick(all[r.subject], func(m measured) float64 { return float64(m.mb) }))
		anon := slices.Max(pick(all[r.subject], func(m measured) float64 { return float64(m.anon) }))
		most := ""
		if r.memory > 0 {
			most = fmt.Sprint(r.memory)
		}
		fmt.Printf("| %s | %s | %.2f | %s | %.2f | %.0f | %.0f | %s |\n", r.work, r.limit, median(ratios), strings.Join(each, ", "), r.target, peak, anon, most)
	}
}

func pick(m []measured, f func(measured) float64) []float64 {
	v := make([]float64, len(m))
	for i := range m {
		v[i] = f(m[i])
	}
	return v
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
