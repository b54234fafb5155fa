package inspect_test

import (
	"errors"
	"io"
	"net/http"
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

// site answers each address with the links that it has for its path.
type site map[string]string

func (s site) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(s[r.URL.Path])), ContentLength: int64(len(s[r.URL.Path])), Request: r,
	}, nil
}

// What the scope says of an address goes for the depth at which it was met, not only of
// one that is too deep.
func TestExplainKnowsTheDepth(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pages := site{"/": "<a href=/1>x</a>", "/1": "<a href=/2>x</a>", "/2": "<a href=/3>x</a>"}
	s := crawler.Settings{IgnoreRobots: true, Delay: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Scope: scope.Settings{MaxDepth: 2}}
	c, err := crawler.New(store, &crawler.Options{
		Settings: s, Seeds: crawler.Seeds("http://a.example/"), Transport: func(*http.Transport) http.RoundTripper { return pages },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for depth, path := range []string{"", "1", "2", "3"} {
		e, err := inspect.Explain(t.Context(), store, "http://a.example/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Scope.Depth != depth || e.Scope.Accepted != (depth <= s.Scope.MaxDepth) {
			t.Errorf("/%s, which is %s: scope %+v, want depth %d", path, e.State, e.Scope, depth)
		}
		if e.Skip != nil && !strings.Contains(e.Skip.Reason, e.Scope.Reason) {
			t.Errorf("/%s was skipped for %q, and the scope says %q", path, e.Skip.Reason, e.Scope.Reason)
		}
	}
	if e, err := inspect.Explain(t.Context(), store, "http://a.example/elsewhere", nil); err != nil || e.Scope.Depth != 1 || !e.Scope.Accepted {
		t.Errorf("of an address that was never met: %+v, %v", e.Scope, err)
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
