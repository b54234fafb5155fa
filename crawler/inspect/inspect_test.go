package inspect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// An address waits under the identity that the program gives it.
func TestExplainKnowsTheProgramsIdentity(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	o := &crawler.Options{
		Seeds:    crawler.Seeds("http://site.example/news/17"),
		Identity: func(u weburl.URL) string { return "article " + u.String()[strings.LastIndex(u.String(), "/")+1:] },
		Scope:    scope.Func(func(weburl.URL, int) (bool, string) { return false, "nothing belongs here" }),
	}
	c, err := crawler.New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := inspect.Explain(t.Context(), store, "http://site.example/news/17", o)
	if err != nil {
		t.Fatal(err)
	}
	if e.State != inspect.StateWaiting || !e.Seed {
		t.Errorf("state %q, seed %v; want waiting, a seed", e.State, e.Seed)
	}
	if e.Scope.Accepted || !strings.Contains(e.Scope.Reason, "nothing belongs here") {
		t.Errorf("scope %+v, not what the program's says", e.Scope)
	}
}

func TestStop(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{Seeds: crawler.Seeds("http://a.example/", "http://b.example/")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	var urls []string
	err = inspect.WalkSeeds(t.Context(), store, func(r *crawler.Request) error {
		urls = append(urls, r.URL)
		return inspect.ErrStop
	})
	if err != nil || len(urls) != 1 || urls[0] != "http://a.example/" {
		t.Errorf("walked %q, error %v; want the first seed and none", urls, err)
	}
}

// What fails in the crawl or in a stage behind it shows its last error: in the
// status, and where somebody asks for the address.
func TestLastErrors(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const address = "http://a.example/"
	c, err := crawler.New(store, &crawler.Options{Seeds: crawler.Seeds(address)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	item, err := pipeline.NewEdge[crawler.Doc](crawler.StageExtract).Item(crawler.Doc{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	var tx queue.Tx
	tx.Enqueue(crawler.StageExtract, item)
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{crawler.StageCrawl, crawler.StageExtract} {
		s, err := store.Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := s.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var tx queue.Tx
		tx.Retry(ds[0], errors.New("broke in "+name))
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	e, err := inspect.Explain(t.Context(), store, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Waiting == nil || e.Waiting.Error != "broke in crawl" {
		t.Errorf("waiting %+v", e.Waiting)
	}
	if len(e.Stages) != 1 || e.Stages[0].Stage != crawler.StageExtract || e.Stages[0].Error != "broke in extract" || e.Stages[0].Attempts != 1 {
		t.Errorf("stages %+v", e.Stages)
	}
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range st.Queues {
		if want := map[string]string{crawler.StageCrawl: "broke in crawl", crawler.StageExtract: "broke in extract"}[q.Name]; q.Error != want {
			t.Errorf("%s: error %q, want %q", q.Name, q.Error, want)
		}
	}
}
