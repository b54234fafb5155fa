//go:build unix

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/pgtest"
)

var (
	rounds = flag.Int("faults.rounds", 1, "how many crawls")
	many   = flag.Int("faults.many", 2, "how many faults in each")
	pages  = flag.Int("faults.pages", 40, "pages of the web")
	seed   = flag.Uint64("faults.seed", uint64(time.Now().UnixNano()), "seed of the choice of faults")
	show   = flag.Bool("faults.show", false, "show what all processes say")
)

// asWeir is set for the processes that the test starts: they are the program.
const asWeir = "FAULTS_AS_WEIR"

const (
	token = "of-the-fault-loop-itself"
	lease = 2 * time.Second
	delay = 150 * time.Millisecond
)

// note is what the program of the test takes from a page.
type note struct{ Title string }

func TestMain(m *testing.M) {
	if os.Getenv(asWeir) != "" {
		command.Main(&crawler.Options{
			Items: map[string]any{"notes": note{}},
			Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				out.Item("notes", "", note{v.Text("title")})
				return nil
			}}},
		})
	}
	os.Exit(m.Run())
}

// TestFaults crawls the synthetic web again and again, each time with other faults, and
// compares what is there at the end with what one process alone would have.
func TestFaults(t *testing.T) {
	server, err := pgtest.Start("log_min_messages=fatal")
	if err != nil {
		t.Fatal("this test needs PostgreSQL: ", err)
	}
	t.Cleanup(func() { server.Close() })
	for round := range *rounds {
		s := *seed + uint64(round)
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			f := &fleet{t: t, rng: rand.New(rand.NewPCG(s, 1)), database: server, schema: fmt.Sprintf("round%d", round)}
			f.run()
		})
	}
}

// fleet is one crawl on all machines.
type fleet struct {
	t        *testing.T
	rng      *rand.Rand
	database *pgtest.Server
	schema   string
	web      *web
	most     int // --max-pages, or 0

	servers []*member
	workers []*member
	toBase  []*Link // of each server, to the database
	history []string
}

func (f *fleet) all() []*member { return slices.Concat(f.servers, f.workers) }

func (f *fleet) note(format string, args ...any) {
	f.history = append(f.history, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// build makes the web, the processes, and the network between them.
func (f *fleet) build() {
	t := f.t
	f.web = newWeb(t, *pages, 8)
	if f.rng.IntN(3) == 0 {
		f.most = *pages / 2
	}
	settings := []string{"--allow-private", "--scope", "any", "--delay", delay.String(), "--progress", "off", "--stages", "crawl,extract"}
	if f.most > 0 {
		settings = append(settings, "--max-pages", fmt.Sprint(f.most))
	}
	crawls := f.rng.IntN(2) == 0 // the servers do, and else one that asks them
	var addresses []string
	for i := range 3 {
		address := freeAddress(t)
		addresses = append(addresses, address)
		socket := filepath.Join(shortDir(t), ".s.PGSQL.5432")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		l := new(Link)
		go l.Forward(listener, "unix", filepath.Join(f.database.Socket(), ".s.PGSQL.5432"))
		t.Cleanup(func() { listener.Close(); l.Mend(); l.Reset() })
		f.toBase = append(f.toBase, l)
		place := "postgres://weir@/postgres?host=" + filepath.Dir(socket) + "&schema=" + f.schema
		args := []string{"serve", "--dir", place, "--listen", address}
		if crawls {
			args = slices.Concat([]string{"crawl", "--dir", place, "--listen", address, f.web.address(0)}, settings)
		}
		f.servers = append(f.servers, &member{name: fmt.Sprint("server", i), args: append(args, "--files", t.TempDir())})
	}
	names := []string{"worker0", "worker1", "worker2", "worker3"}
	if !crawls {
		names = append(names, "crawl")
	}
	for _, name := range names {
		m := &member{name: name}
		var urls []string
		for i := range f.servers {
			l := new(Link)
			urls = append(urls, carry(t, l, addresses[i]))
			m.links = append(m.links, l)
			f.servers[i].links = append(f.servers[i].links, l)
		}
		at := strings.Join(urls, ",")
		m.args = []string{"work", at, "--name", name, "--lease", lease.String(), "--verbose"}
		if name == "crawl" {
			m.args = slices.Concat([]string{"crawl", "--dir", at, "--files", t.TempDir(), f.web.address(0)}, settings)
		}
		f.workers = append(f.workers, m)
	}
}

// run runs the crawl to its end.
func (f *fleet) run() {
	t := f.t
	f.build()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	crawls := f.servers
	if last := f.workers[len(f.workers)-1]; last.name == "crawl" {
		crawls = f.workers[len(f.workers)-1:]
	}
	complete := make(chan struct{}, 16)
	gone := make(chan struct{}, 16)
	for _, m := range f.all() {
		go func() {
			if m.run(ctx) && slices.Contains(crawls, m) {
				complete <- struct{}{}
			}
			gone <- struct{}{}
		}()
	}
	over := false
	for range *many {
		select {
		case <-time.After(time.Duration(f.rng.IntN(2000)) * time.Millisecond):
		case <-complete:
			over = true
		}
		if over || ctx.Err() != nil {
			break
		}
		f.fault(ctx)
	}
	if !over {
		select {
		case <-complete:
		case <-ctx.Done():
		}
	}
	late := ctx.Err() != nil
	if late {
		for _, m := range f.all() {
			m.signal(syscall.SIGQUIT)
		}
		time.Sleep(time.Second)
	}
	for _, m := range f.all() {
		m.end()
	}
	for range f.all() {
		<-gone
	}
	if late {
		t.Errorf("it does not come to its end")
	}
	f.compare()
	if t.Failed() || *show {
		t.Logf("faults:\n%s", strings.Join(f.history, "\n"))
		for _, m := range f.all() {
			t.Logf("%s said:\n%s", m.name, m.out.String())
		}
	}
}

// A fault is something that happens to the fleet, and is over when it returns.
func (f *fleet) fault(ctx context.Context) {
	wait := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	victim := f.workers[f.rng.IntN(len(f.workers))]
	if f.rng.IntN(2) == 0 {
		victim = f.leader()
	}
	long := lease + time.Second/2
	if slices.Contains(f.servers, victim) && f.rng.IntN(3) == 0 {
		long = 11 * time.Second // so that the database takes it for dead
	}
	long += time.Duration(f.rng.IntN(1000)) * time.Millisecond
	switch f.rng.IntN(9) {
	case 0, 1:
		f.note("kill %s", victim.name)
		victim.signal(syscall.SIGKILL)
	case 2:
		f.note("stop %s for %v", victim.name, long)
		victim.signal(syscall.SIGSTOP)
		wait(long)
		victim.signal(syscall.SIGCONT)
	case 3:
		f.note("cut %s off for %v", victim.name, long)
		links := victim.links
		for _, l := range links {
			l.Cut()
		}
		wait(long)
		broken := f.rng.IntN(2) == 0
		for _, l := range links {
			if broken {
				l.Reset()
			}
			l.Mend()
		}
	case 4:
		f.note("break connections of %s", victim.name)
		for _, l := range victim.links {
			l.Reset()
		}
	case 5:
		f.note("slow links of %s", victim.name)
		for _, l := range victim.links {
			l.Slow(100 * time.Millisecond)
		}
		wait(long)
		for _, l := range victim.links {
			l.Mend()
		}
	case 6:
		i := max(slices.Index(f.servers, f.leader()), 0)
		f.note("cut %s off the database for %v", f.servers[i].name, long)
		f.toBase[i].Cut()
		wait(long)
		if f.rng.IntN(2) == 0 {
			f.toBase[i].Reset()
		}
		f.toBase[i].Mend()
	case 7:
		f.note("crash of the database")
		if err := f.database.Stop("immediate"); err != nil {
			f.t.Error(err)
		}
		wait(time.Duration(f.rng.IntN(1500)) * time.Millisecond)
		if err := f.database.Restart(); err != nil {
			f.t.Error(err)
		}
	case 8:
		f.note("kill all")
		for _, m := range f.all() {
			if f.rng.IntN(3) > 0 {
				m.signal(syscall.SIGKILL)
			}
		}
	}
	f.note("over")
}

// leader returns the server that leads, as far as the database knows, or any.
func (f *fleet) leader() *member {
	var holder string
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	if c, err := pgx.Connect(ctx, f.database.DSN()); err == nil {
		_ = c.QueryRow(ctx, "SELECT holder FROM "+f.schema+".leader").Scan(&holder) // it may not be there yet
		_ = c.Close(ctx)
	}
	for _, m := range f.servers {
		if strings.HasPrefix(holder, fmt.Sprintf("pid %d ", m.pid())) {
			return m
		}
	}
	return f.servers[f.rng.IntN(len(f.servers))]
}

// compare compares what is there with what must be.
func (f *fleet) compare() {
	t := f.t
	place := f.database.DSN() + "&schema=" + f.schema
	if out := f.weir("check", "--dir", place); !strings.Contains(out, "is whole") {
		t.Errorf("check says %s", out)
	}
	var st inspect.Status
	if err := json.Unmarshal([]byte(f.weir("status", "--dir", place, "--json")), &st); err != nil {
		t.Error(err)
	}
	want := f.web.pages
	if f.most > 0 {
		want = f.most
	}
	kept, titles := make(map[string]int), make(map[string]int)
	for _, p := range rows[inspect.PageRow](t, f.weir("export", "--dir", place, "pages")) {
		var i int
		if _, err := fmt.Sscanf(p.Title, "Page %d", &i); err != nil || p.URL != f.web.address(i) {
			t.Errorf("page %s has title %q", p.URL, p.Title)
		}
		if g := f.web.generation(i); p.Generation != g {
			t.Errorf("%s is of generation %d, want %d", p.URL, p.Generation, g)
		}
		kept[p.URL]++
		titles[p.Title]++
	}
	if len(kept) != want || int(st.Pages) != want {
		t.Errorf("%d pages were kept and %d counted, want %d", len(kept), st.Pages, want)
	}
	items := make(map[string]int)
	for _, n := range rows[note](t, f.weir("export", "--dir", place, "items", "notes")) {
		items[n.Title]++
	}
	if !maps.Equal(items, titles) {
		t.Errorf("items %v, want %v", items, titles)
	}
	for i, g := range st.Generations {
		n := 0
		for j := range f.web.pages {
			if f.web.generation(j) == g.Number {
				n++
			}
		}
		if f.most == 0 && (g.Number != i || int(g.Fetched) != n) {
			t.Errorf("generation %d is %d with %d pages, want %d", i, g.Number, g.Fetched, n)
		}
	}
	if out := f.weir("export", "--dir", place, "failures"); out != "" && f.most == 0 {
		t.Errorf("failures:\n%s", out)
	}
	for _, h := range f.web.haste(delay) {
		t.Error(h)
	}
	again := 0
	for _, n := range f.web.count {
		again += n - 1
	}
	t.Logf("%d faults, %d pages, %d fetched again", len(f.history)/2, want, again)
}

// weir runs a command and returns what it writes.
func (f *fleet) weir(args ...string) string {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asWeir+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		f.t.Errorf("%s: %v\n%s", args[0], err, errs.String())
	}
	return out.String()
}

// rows decodes lines of JSON.
func rows[T any](t *testing.T, s string) (all []T) {
	for line := range strings.Lines(s) {
		var row T
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		all = append(all, row)
	}
	return all
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// shortDir makes a folder whose name is short enough for a socket.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "f")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
