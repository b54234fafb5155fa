package crawler_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/websim"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var pressurePages = flag.Int("pressure.pages", 2800, "pages of TestSlowStageHoldsTheCrawlBack")

// heldStageArg makes the test binary a stage that begins when a gate has opened: the
// argument behind it is an address, which is answered then, or "".
const heldStageArg = "held-stage"

// heldStage speaks the protocol of stages.Exec and returns its exit code.
func heldStage(gate string) int {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 32<<20)
	in.Scan() // the greeting
	fmt.Println(`{"weir":1}`)
	for in.Scan() {
		if gate != "" {
			resp, err := http.Get(gate)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			resp.Body.Close()
			gate = ""
		}
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
			fmt.Printf(`{"id":%d,"ok":true,"emit":{"result":[{"tagged":false,"sentences":[]}]}}`+"\n", item.ID)
		}
	}
	return 0
}

// A stage that is far slower than fetching holds the crawl back: what waits
// between the stages is bounded, and so is the heap, and the crawl ends. The stage does
// nothing until all queues before it are full, or all pages have been fetched.
func TestSlowStageHoldsTheCrawlBack(t *testing.T) {
	opened := make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-opened:
		case <-r.Context().Done():
		}
	}))
	defer gate.Close()
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
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: crawler.StageTag, Command: []string{os.Args[0], heldStageArg, gate.URL}}},
	}
	ctx := t.Context()
	c, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds(web.Seed())})
	if err != nil {
		t.Fatal(err)
	}
	var peaks [2]atomic.Int64 // of the queues extract and tag
	var heap, served atomic.Int64
	look := func() (full int) {
		for i, name := range []string{crawler.StageExtract, crawler.StageTag} {
			if q, err := store.QueueStats(ctx, name); err == nil {
				raise(&peaks[i], q.Ready+q.Delayed+q.Leased+q.Later)
				if q.Full {
					full++
				}
			}
		}
		return full
	}
	web.OnServe(func(string) {
		served.Add(1)
		look()
		raise(&heap, liveHeap())
	})
	full := false
	watch := func(ended <-chan struct{}) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for full = look() == 2; !full && served.Load() < int64(*pressurePages); full = look() == 2 {
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
		close(opened)
	}
	runtime.GC() // what was live then is what the samples say until the next
	before := liveHeap()
	start := time.Now()
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { watch(ended) })
	err = c.Run(ctx)
	close(ended)
	watching.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pages in %v, at most %d for extract and %d for tag, %d MB of live heap", *pressurePages,
		time.Since(start).Round(time.Millisecond), peaks[0].Load(), peaks[1].Load(), heap.Load()>>20)
	if !full {
		t.Error("the queues were never full, and all pages were fetched")
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
