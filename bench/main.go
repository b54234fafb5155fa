// Command bench crawls one synthetic web with Weir, with Colly and with a bare
// loop, and prints pages per second, memory and ratios.
//
//	go run . [-pages 20000] [-rounds 3] [-only loop,weir,pipeline,colly] [-profile cpu.out]
//
// With -only extract,tag,text it measures the whole pipeline on real pages,
// beside what the stages for text reach alone.
//
// The web is that of docs/benchmarks.md: pages of 13 KB with 30 links each on 50
// loopback hosts. The server is a process of its own, as is each crawler; they
// share the processors. The crawlers take turns, round by round, since the speed
// of a machine drifts. It needs a system that routes all of 127.0.0.0/8 to
// itself, as Linux does.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// result is what a crawler process prints.
type result struct {
	Pages   int           // fetched and parsed, repeated ones included
	Unique  int           // different ones
	Elapsed time.Duration // of the crawl, without opening and closing
}

var crawlers = map[string]func(seed string) (result, error){
	"loop": loop, "weir": weirRecords, "pipeline": weirPipeline, "colly": collyCrawl, "fetch": fetchOnly,
	"text": textPipeline, "extract": extractAlone, "tag": tagAlone,
}

var (
	pages   = flag.Int("pages", 20_000, "pages of the web")
	profile = flag.String("profile", "", "file for a CPU profile of each crawler, with its name appended")
	role    = flag.String("role", "", "what this process is; for the program's own use")
	seedURL = flag.String("seed", "", "where to begin; for the program's own use")
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each crawler runs")
	only := flag.String("only", "loop,weir,pipeline,colly", "the crawlers, in this order; there are also fetch, text, extract and tag")
	flag.Parse()
	if err := run(*rounds, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, names []string) error {
	switch {
	case *role == "server":
		return serve(*pages)
	case *role != "":
		return crawl(*role)
	}
	server := exec.Command(os.Args[0], "-role", "server", "-pages", fmt.Sprint(*pages))
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
	seed, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	rates, cpu, rss := make(map[string][]float64), make(map[string][]float64), make(map[string]int64)
	for round := range rounds {
		for _, name := range names {
			if crawlers[name] == nil {
				return fmt.Errorf("no crawler is called %q", name)
			}
			r, usage, err := measure(name, strings.TrimSpace(seed))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rate := float64(r.Unique) / r.Elapsed.Seconds()
			used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			rates[name], rss[name] = append(rates[name], rate), max(rss[name], usage.Maxrss)
			cpu[name] = append(cpu[name], used.Seconds()*1e6/float64(r.Unique))
			fmt.Printf("round %d  %-9s %6d pages, %6d different, %6.2f s, %6.0f pages/s, %6.2f s of CPU, %4d MB\n",
				round+1, name, r.Pages, r.Unique, r.Elapsed.Seconds(), rate, used.Seconds(), usage.Maxrss>>10)
		}
	}
	fmt.Printf("\n%-9s %14s %12s %8s %12s %8s\n", "", "median pages/s", "of the loop", "x Colly", "CPU us/page", "peak MB")
	for _, name := range names {
		fmt.Printf("%-9s %14.0f %12s %8s %12.0f %8d\n", name, median(rates[name]), ratio(rates[name], rates["loop"]), ratio(rates[name], rates["colly"]), median(cpu[name]), rss[name]>>10)
	}
	return nil
}

// measure runs a crawler in a process of its own and returns what that has used.
func measure(name, seed string) (r result, usage *syscall.Rusage, err error) {
	args := []string{"-role", name, "-seed", seed, "-pages", fmt.Sprint(*pages)}
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

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// ratio is the median of the ratios within each round.
func ratio(v, to []float64) string {
	if len(to) != len(v) {
		return ""
	}
	ratios := make([]float64, len(v))
	for i := range v {
		ratios[i] = v[i] / to[i]
	}
	return fmt.Sprintf("%.2f", median(ratios))
}
