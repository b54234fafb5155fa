package crawler_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/websim"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var (
	crashKills = flag.Int("crash.kills", 6, "how often TestCrawlSurvivesKills kills the crawl")
	crashSeed  = flag.Uint64("crash.seed", 0, "seed of TestCrawlSurvivesKills; 0 means by the clock")
)

// childVariable names the folder in which a child process crawls. What lifeVariable says
// it sends with each request, in lifeHeader.
const (
	childVariable = "WEIR_CRAWL_CHILD"
	lifeVariable  = "WEIR_CRAWL_LIFE"
	lifeHeader    = "X-Life"
)

// childJob is what the child finds in that folder.
type childJob struct {
	Seed     string
	Settings crawler.Settings
}

// crawlChild is the child process: it begins or resumes the crawl of a folder
// and returns its exit code.
func crawlChild(dir string) int {
	err := func() error {
		b, err := os.ReadFile(filepath.Join(dir, "job.json"))
		if err != nil {
			return err
		}
		var job childJob
		if err := json.Unmarshal(b, &job); err != nil {
			return err
		}
		store, err := badgerqueue.Open(filepath.Join(dir, "store"), &badgerqueue.Options{MemTable: 4 << 20})
		if err != nil {
			return err
		}
		job.Settings.Archive.FileSize = 64 << 10
		if life := os.Getenv(lifeVariable); life != "" {
			job.Settings.Header = []string{lifeHeader + ": " + life}
		}
		c, err := crawler.New(store, &crawler.Options{
			Settings: job.Settings, Seeds: crawler.Seeds(job.Seed),
			ArchiveDir: filepath.Join(dir, "warc"),
		})
		if err != nil {
			return err
		}
		if err := c.Run(context.Background()); err != nil {
			return err
		}
		return store.Close()
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A process that crawls is killed again and again at random moments. Between
// two runs the store is consistent, what it has recorded is not fetched again,
// and only what was in the dead process's hands is. In the end the crawl has
// found what one that nobody disturbs finds, and its archive has each answer once.
func TestCrawlSurvivesKills(t *testing.T) {
	t.Parallel() // it waits for most of its time
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to run this again: -run %s -crash.seed %d -crash.kills %d", t.Name(), seed, *crashKills)
	rng := rand.New(rand.NewPCG(seed, 1))
	kills := *crashKills
	web, err := websim.Listen(websim.Options{Seed: seed, Pages: 120 * kills, Hosts: 30}) // each life has 80 requests and what comes while it dies
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	dir := t.TempDir()
	job := childJob{web.Seed(), crawler.Settings{
		Grace: -1,
		Scope: everywhere, Delay: -1, PerHost: 2, Workers: 16, AllowPrivate: true,
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: crawler.StageTag}, {Name: crawler.StageWARC}},
	}}
	b, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}

	run := crashRun{t: t, web: web.Web, dir: dir, recorded: make(map[string]bool), captured: make(map[string]bool)}
	done := 0
	for ; done < kills; done++ {
		after, within := 1+rng.IntN(80), time.Duration(200+rng.IntN(1500))*time.Millisecond
		if ended := run.once(after, within); ended {
			break
		}
		run.check(job.Settings.Workers)
		if t.Failed() {
			return
		}
	}
	if done < kills*9/10 {
		t.Errorf("the crawl ended after %d of %d kills: give it more pages", done, kills)
	}
	if ended := run.once(math.MaxInt, time.Hour); !ended && done == kills {
		t.Fatal("the last run did not end")
	}
	run.check(job.Settings.Workers)
	store := run.open()
	defer store.Close()
	checkCrawl(t, store, web.Expect(-1, 1), true)
	checkArchive(t, store, filepath.Join(dir, "warc"))
	t.Logf("%d kills, %d addresses, %d requests repeated, at most %d after one kill", done, len(web.Counts()), run.repeated, run.most)
}

// crashRun is a crawl of many lives.
type crashRun struct {
	t        *testing.T
	web      *websim.Web
	dir      string
	before   map[string]int  // requests for each address before this life
	recorded map[string]bool // addresses that the store had a page of
	captured map[string]bool // and those whose answers have been seen in the archive
	repeated int             // requests for what had been asked for before
	most     int             // of them in one life

	refuse func(url string) bool // whether a request is cut off without an answer
}

// once runs the child until so many requests have come or so much time has
// passed, and kills it. It reports whether the child ended by itself before.
func (r *crashRun) once(requests int, within time.Duration) bool {
	r.t.Helper()
	r.before = r.web.Counts()
	enough := make(chan struct{})
	var n atomic.Int64
	r.web.OnServe(func(url string) {
		if n.Add(1) == int64(requests) {
			close(enough)
		}
		if r.refuse != nil && r.refuse(url) {
			panic(http.ErrAbortHandler)
		}
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+r.dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			r.t.Fatalf("the child failed: %v", err)
		}
		return true
	case <-enough:
	case <-time.After(within):
	}
	if err := cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	return <-ended == nil
}

// Hosts that fall sick and recover, in a crawl that is killed meanwhile: what was
// deferred is neither lost nor asked for twice, whichever move a kill cuts short, and
// in the end each page is there. (Which generation it is in depends on when its host
// was sick.)
func TestDeferralSurvivesKills(t *testing.T) {
	t.Parallel() // it waits for most of its time
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	kills := max(*crashKills/8, 2)
	t.Logf("to run this again: -run %s -crash.seed %d -crash.kills %d", t.Name(), seed, *crashKills)
	rng := rand.New(rand.NewPCG(seed, 2))
	web, err := websim.Listen(websim.Options{Seed: seed, Pages: 30 * kills, Hosts: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	want := web.Expect(-1, 1)
	var hosts []string
	for u := range want.Outcomes {
		if h := hostOf(t, u); !slices.Contains(hosts, h) && h != hostOf(t, web.Seed()) {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	dir := t.TempDir()
	b, err := json.Marshal(childJob{web.Seed(), crawler.Settings{
		Grace: 20 * time.Millisecond, GiveUp: time.Hour, Retries: 9_999,
		Scope: everywhere, Delay: -1, PerHost: 2, Workers: 16, AllowPrivate: true, IgnoreRobots: true,
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	run := crashRun{t: t, web: web.Web, dir: dir, recorded: make(map[string]bool)}
	deferred, sickLives := 0, 0
	for life := 0; ; {
		// At first all are sick, until something has been deferred.
		first := deferred == 0
		sick := make(map[string]bool)
		if first || life < kills {
			for _, h := range hosts {
				sick[h] = first || rng.IntN(3) == 0
			}
		}
		run.refuse = func(url string) bool { return sick[hostOf(t, url)] }
		requests, within := 5+rng.IntN(60), time.Duration(100+rng.IntN(1500))*time.Millisecond
		switch {
		case first:
			requests, within = math.MaxInt, 2*time.Second
		case life >= kills:
			requests, within = math.MaxInt, time.Hour
		}
		ended := run.once(requests, within)
		store := run.open()
		if err := store.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := len(records[crawler.Request](t, store, "deferred"))
		deferred = max(deferred, n)
		if n > 0 {
			sickLives++
		}
		if ended && n == 0 {
			checkPages(t, store, want)
			store.Close()
			break
		}
		if ended {
			t.Fatalf("the crawl ended with %d deferred addresses", n)
		}
		store.Close()
		if deferred > 0 {
			life++
		}
	}
	t.Logf("up to %d addresses were deferred, in %d of %d lives", deferred, sickLives, kills)
}

// checkPages compares the pages with what a crawl that nobody disturbs finds, but for
// their generations.
func checkPages(t *testing.T, store *queue.Store, want websim.Expected) {
	t.Helper()
	pages, failures := records[crawler.Page](t, store, "pages"), records[crawler.Failure](t, store, "failures")
	for u, o := range want.Outcomes {
		if _, ok := pages[u]; ok != (o.Fail == "") {
			t.Errorf("%s: page %v, want %+v (failure %+v)", u, ok, o, failures[u])
		}
	}
	if len(pages)+len(failures) != len(want.Outcomes) {
		t.Errorf("%d pages and %d failures, want %d addresses", len(pages), len(failures), len(want.Outcomes))
	}
}

func hostOf(t *testing.T, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func (r *crashRun) open() *queue.Store {
	r.t.Helper()
	store, err := badgerqueue.Open(filepath.Join(r.dir, "store"), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return store
}

// check looks at what a life has left.
func (r *crashRun) check(workers int) {
	r.t.Helper()
	store := r.open()
	defer store.Close()
	if err := store.Check(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	counts := r.web.Counts()
	repeated := 0
	for url, n := range counts {
		asked := n - r.before[url]
		switch {
		case asked > 1:
			r.t.Errorf("%s was asked for %d times in one life", url, asked)
		case asked > 0 && r.recorded[url]:
			r.t.Errorf("%s was asked for although it had a record", url)
		case asked > 0 && r.before[url] > 0:
			repeated++
		}
	}
	r.repeated += repeated
	r.most = max(r.most, repeated)
	for key := range records[crawler.Page](r.t, store, "pages") {
		r.recorded[key] = true
	}
	if r.captured != nil {
		checkCaptures(r.t, store, map[string]string{"": filepath.Join(r.dir, "warc")}, r.captured)
		for key := range records[crawler.Page](r.t, store, "pages") {
			if !r.captured[key] {
				r.t.Errorf("the page %s is not in the archive", key)
			}
		}
	}
	origins, err := store.Scan(r.t.Context(), "robots", "", "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range origins {
		r.recorded[o.Key+"/robots.txt"] = true
	}
	// What may have been in a dead process's hands is what its workers had and
	// what waited for a commit; see pipeline's prefetch. (What was in the hands of one
	// before it need not have had its turn again.)
	unrecorded := 0
	for url, n := range counts {
		if n > r.before[url] && !r.recorded[url] && !strings.HasSuffix(url, "/robots.txt") {
			unrecorded++
		}
	}
	if most := 2*workers + 64; unrecorded > most {
		r.t.Errorf("%d addresses were asked for in one life and have no record, at most %d could be in hand", unrecorded, most)
	}
}
