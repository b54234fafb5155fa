package crawler_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/websim"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var (
	pressurePages = flag.Int("pressure.pages", 2600, "pages of TestSlowStageHoldsTheCrawlBack")
	pressureSlow  = flag.Duration("pressure.slow", 8*time.Millisecond, "how long its slow stage takes for each")
)

// slowVariable makes the test binary a stage that takes so long for each item.
const slowVariable = "WEIR_SLOW_STAGE"

// slowStage speaks the protocol of stages.Exec and returns its exit code.
func slowStage(each string) int {
	d, err := time.ParseDuration(each)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 32<<20)
	in.Scan() // the greeting
	fmt.Println(`{"weir":1}`)
	for in.Scan() {
		var batch struct {
			Items []struct {
				ID int `json:"id"`
			} `json:"items"`
		}
		if err := json.Unmarshal(in.Bytes(), &batch); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for _, item := range batch.Items {
			time.Sleep(d) // it computes
			fmt.Printf(`{"id":%d,"ok":true,"emit":{"result":[{"tagged":false,"sentences":[]}]}}`+"\n", item.ID)
		}
	}
	return 0
}

// A stage that is far slower than fetching holds the crawl back: what waits
// between the stages is bounded, and so is the heap, and the crawl ends.
func TestSlowStageHoldsTheCrawlBack(t *testing.T) {
	t.Setenv(slowVariable, pressureSlow.String()) // for the children
	web, err := websim.Listen(websim.Options{Seed: 6, Pages: *pressurePages, Text: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	store, err := badgerqueue.Open(t.TempDir(), &badgerqueue.Options{MemTable: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	settings := crawler.Settings{
		Scope: everywhere, Delay: -1, PerHost: 4, Workers: 32, AllowPrivate: true,
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: crawler.StageTag, Command: []string{os.Args[0]}}},
	}
	ctx := t.Context()
	c, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds(web.Seed())})
	if err != nil {
		t.Fatal(err)
	}
	var peaks [2]atomic.Int64 // of the queues extract and tag
	var heap, full atomic.Int64
	web.OnServe(func(string) {
		for i, name := range []string{crawler.StageExtract, crawler.StageTag} {
			if q, err := store.QueueStats(name); err == nil {
				raise(&peaks[i], q.Ready+q.Delayed+q.Leased+q.Later)
				if q.Full {
					full.Add(1)
				}
			}
		}
		raise(&heap, liveHeap())
	})
	runtime.GC() // what was live then is what the samples say until the next
	before := liveHeap()
	start := time.Now()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pages in %v, at most %d for extract and %d for tag, %d MB of live heap", *pressurePages,
		time.Since(start).Round(time.Millisecond), peaks[0].Load(), peaks[1].Load(), heap.Load()>>20)
	if full.Load() == 0 {
		t.Error("no queue was ever full: the slow stage is not slow")
	}
	// The high-water mark, and what the stage before may have had in hand when
	// it was reached; see pipeline's work.
	const mark, atOnce = 1000, 64
	for i, name := range []string{crawler.StageExtract, crawler.StageTag} {
		workers := []int{settings.Workers, 4 * 64}[i]
		if most := int64(mark + 2*workers + atOnce); peaks[i].Load() > most {
			t.Errorf("%d items waited for %s, want at most %d", peaks[i].Load(), name, most)
		}
	}
	// What earlier tests have left in caches of the libraries is not the crawl's.
	if most := before + 150<<20; heap.Load() > most {
		t.Errorf("the heap had %d bytes, want at most %d", heap.Load(), most)
	}
	checkCrawl(t, store, web.Expect(-1, 1), true)
}

// liveHeap is what the last collection found alive, in bytes.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// raise sets a peak.
func raise(peak *atomic.Int64, n int64) {
	for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
	}
}
