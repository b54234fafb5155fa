package crawler_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages"
)

// fetched is a Fetcher that has one answer.
type fetched struct {
	resp *stages.FetchResponse
	err  error
	got  []stages.FetchRequest
}

func (f *fetched) Fetch(_ context.Context, r stages.FetchRequest) (*stages.FetchResponse, error) {
	f.got = append(f.got, r)
	return f.resp, f.err
}

// forbids is a Robots that gives a reason.
type forbids string

func (f forbids) Check(context.Context, weburl.URL, *pipeline.Out) (string, error) {
	return string(f), nil
}

// recorder keeps what it is given.
type recorder struct {
	pages    []*crawler.Page
	failures []*crawler.Failure
	skips    []*crawler.Skip
}

func (r *recorder) Page(_ context.Context, _ *pipeline.Out, _ string, p *crawler.Page) error {
	r.pages = append(r.pages, p)
	return nil
}

func (r *recorder) Failure(_ *pipeline.Out, _ string, f *crawler.Failure) error {
	r.failures = append(r.failures, f)
	return nil
}

func (r *recorder) Skip(_ *pipeline.Out, skips ...*crawler.Skip) error {
	r.skips = append(r.skips, skips...)
	return nil
}

func openMemory(t *testing.T) *queue.Store {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func htmlPage(url, body string) *stages.FetchResponse {
	return &stages.FetchResponse{
		URL: url, Status: http.StatusOK, Header: http.Header{}, ContentType: "text/html", Body: []byte(body), Fetched: time.Now(),
	}
}

// One visit is tested with parts that do nothing but what the test says.
func TestVisitorIsMadeOfParts(t *testing.T) {
	onlyA := scope.Func(func(u weburl.URL, _ int) (bool, string) { return u.Host() == "a.example", "only a.example" })
	const page = `<title>T</title><a href="/b">B</a><a href="http://b.example/">elsewhere</a>`
	for name, test := range map[string]struct {
		fetch    *fetched
		robots   crawler.Robots
		request  crawler.Request
		requests string // that follow
		pages    int
		failure  string
		skipped  string
	}{
		"a page": {fetch: &fetched{resp: htmlPage("http://a.example/", page)}, requests: "http://a.example/b", pages: 1,
			skipped: "http://b.example/ rejected: only a.example"},
		"forbidden":   {fetch: &fetched{}, robots: forbids("because"), failure: "robots: because"},
		"gone":        {fetch: &fetched{resp: &stages.FetchResponse{Status: 404}, err: &stages.Error{Reason: "http_404", Permanent: true, Detail: "Not Found"}}, failure: "http_404: Not Found"},
		"no address":  {fetch: &fetched{}, request: crawler.Request{URL: "mailto:x"}, failure: "bad_url: "},
		"no function": {fetch: &fetched{resp: htmlPage("http://a.example/", page)}, request: crawler.Request{URL: "http://a.example/", Label: "x"}, failure: "function: the request has the label x, which no function handles (no function has a label)"},
	} {
		t.Run(name, func(t *testing.T) {
			edges, kept, out := crawler.NewEdges(nil), new(recorder), pipeline.NewOut()
			v := &crawler.Visitor{
				Store: openMemory(t), Edges: edges, Fetcher: test.fetch, Robots: test.robots, Scope: onlyA, Recorder: kept,
			}
			if v.Robots == nil {
				v.Robots = crawler.AllowAll{}
			}
			r := test.request
			if r.URL == "" {
				r.URL = "http://a.example/"
			}
			if err := v.Visit(t.Context(), r, out); err != nil {
				t.Fatal(err)
			}
			followed, err := edges.Requests.Emitted(out)
			if err != nil {
				t.Fatal(err)
			}
			var urls []string
			for _, r := range followed {
				urls = append(urls, r.URL)
			}
			if got := strings.Join(urls, " "); got != test.requests || len(kept.pages) != test.pages {
				t.Errorf("%d pages and the requests %q, want %d and %q", len(kept.pages), got, test.pages, test.requests)
			}
			failure := ""
			for _, f := range kept.failures {
				failure += f.Reason + ": " + f.Detail
			}
			if !strings.HasPrefix(failure, test.failure) || (failure == "") != (test.failure == "") {
				t.Errorf("failures %q, want %q", failure, test.failure)
			}
			skipped := ""
			for _, s := range kept.skips {
				skipped += s.URL + " " + s.Reason
			}
			if skipped != test.skipped {
				t.Errorf("skipped %q, want %q", skipped, test.skipped)
			}
		})
	}
}

func TestHooksOfARequest(t *testing.T) {
	f := &fetched{resp: htmlPage("http://a.example/", `<a href="/b?session=1">B</a><a href="/b?session=2">B</a><a href="/c">C</a>`)}
	o := &crawler.Options{
		BeforeRequest: func(hr *http.Request, r crawler.Request) error { hr.Header.Set("X-Label", r.Label); return nil },
		Identity: func(u weburl.URL) string {
			if u.Path() == "/b" {
				return "the page b"
			}
			return ""
		},
		Priority: func(_ *crawler.Visit, r crawler.Request) int { return len(r.URL) },
		Filter:   func(_ *crawler.Visit, l stages.Link) bool { return l.Text != "C" },
		Functions: []crawler.Function{{Label: "list", Types: []string{"application/json"}, MaxBody: 99,
			Visit: func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }}},
	}
	edges, kept, out := crawler.NewEdges(o), new(recorder), pipeline.NewOut()
	v := &crawler.Visitor{Store: openMemory(t), Edges: edges, Options: o, Fetcher: f, Robots: crawler.AllowAll{}, Recorder: kept}
	if err := v.Visit(t.Context(), crawler.Request{URL: "http://a.example/", Label: "list"}, out); err != nil {
		t.Fatal(err)
	}
	hr := &http.Request{Header: http.Header{}}
	if err := f.got[0].Prepare(hr); err != nil || hr.Header.Get("X-Label") != "list" {
		t.Errorf("header %v, %v", hr.Header, err)
	}
	if r := f.got[0]; r.MaxBody != 99 || !stages.MatchType("application/json", r.Types) || !stages.MatchType("text/html", r.Types) {
		t.Errorf("the fetcher is asked with %+v", r)
	}
	followed, err := edges.Requests.Emitted(out)
	if err != nil || len(followed) != 2 || edges.Requests.Key(followed[0]) != "the page b" || edges.Requests.Key(followed[1]) != "the page b" {
		t.Errorf("requests %+v, %v, want two of one identity", followed, err)
	}
	if len(followed) > 0 && followed[0].Priority != len("http://a.example/b?session=1") {
		t.Errorf("priority %d", followed[0].Priority)
	}
	if len(kept.skips) != 1 || kept.skips[0].Reason != "the link filter says no" {
		t.Errorf("skips %+v", kept.skips)
	}
}

func TestIdentityCoversMethodHeaderAndBody(t *testing.T) {
	edge := crawler.NewEdges(nil).Requests
	seen := make(map[string]int)
	for i, r := range []crawler.Request{
		{URL: "http://a.example/"},
		{URL: "http://a.example/", Method: "POST"},
		{URL: "http://a.example/", Method: "POST", Body: []byte("a")},
		{URL: "http://a.example/", Method: "POST", Body: []byte("b")},
		{URL: "http://a.example/", Method: "PUT", Body: []byte("b")},
		{URL: "http://a.example/", Header: http.Header{"X": {"1"}}},
		{URL: "http://a.example/", Header: http.Header{"X": {"2"}}},
	} {
		for _, key := range []string{edge.Key(r), "record " + r.Key()} {
			if j, ok := seen[key]; ok {
				t.Errorf("requests %d and %d have the identity %s", i, j, key)
			}
			seen[key] = i
		}
	}
	a := crawler.Request{URL: "http://a.example/", Header: http.Header{"x": {"1"}, "Y": {"2"}}}
	b := crawler.Request{URL: "http://a.example/", Header: http.Header{"Y": {"2"}, "X": {"1"}}, Label: "other"}
	if edge.Key(a) != edge.Key(b) {
		t.Error("the spelling and order of headers, or the label, are part of the identity")
	}
}

func TestRobotsFilesAlone(t *testing.T) {
	store := openMemory(t)
	f := &fetched{resp: &stages.FetchResponse{Status: http.StatusOK, Body: []byte("User-agent: *\nDisallow: /private\nCrawl-delay: 5\n")}}
	files := &crawler.RobotsFiles{Store: store, Fetcher: f, Agent: "weir", Politeness: &crawler.Hosts{Store: store}}
	u, err := weburl.Parse("http://a.example/private/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Check(t.Context(), u, pipeline.NewOut()); !errors.Is(err, pipeline.ErrAgain) {
		t.Errorf("while the file has just been fetched: %v, want ErrAgain", err)
	}
	if why, err := files.Check(t.Context(), u, pipeline.NewOut()); err != nil || !strings.Contains(why, "Disallow: /private") {
		t.Errorf("%q, %v, want the rule", why, err)
	}
	if len(f.got) != 1 || f.got[0].URL != "http://a.example/robots.txt" {
		t.Errorf("fetched %+v", f.got)
	}
}

func TestHostsAlone(t *testing.T) {
	h := &crawler.Hosts{Store: openMemory(t), Options: polite.Options{BackoffAfter: 1, FirstBackoff: time.Hour, MaxBackoff: time.Hour}}
	out := pipeline.NewOut()
	refused := &stages.Error{Reason: stages.ReasonRefused}
	st, err := h.Account(t.Context(), "a.example", nil, refused, out)
	if err != nil || st.Failures != 1 || st.Wait(time.Now()) < 50*time.Minute {
		t.Errorf("after a failure: %+v, %v", st, err)
	}
	if out.Tx().Len() == 0 || out.OnFailure().Len() == 0 {
		t.Error("the host's state is not in both transactions")
	}
	if why, err := h.Down(t.Context(), "a.example"); err != nil || !strings.Contains(why, "a.example has failed 1 times") {
		t.Errorf("Down = %q, %v", why, err)
	}
	if why, err := h.Down(t.Context(), "b.example"); err != nil || why != "" {
		t.Errorf("Down of another host = %q, %v", why, err)
	}
}

// What a robots.txt asks for holds for other processes, and so does that it asks for it no
// more.
func TestCrawlDelayIsThatOfTheLastRobotsFile(t *testing.T) {
	store := openMemory(t)
	for _, want := range []time.Duration{20 * time.Second, 0, 10 * time.Second} {
		here := &crawler.Hosts{Store: store, Shared: true, Options: polite.Options{MinDelay: -1}}
		out := pipeline.NewOut()
		if got, err := here.SetCrawlDelay(t.Context(), "a.example", want, out); err != nil || got != want {
			t.Errorf("a delay of %v is %v, %v", want, got, err)
		}
		if err := store.Commit(t.Context(), out.Tx()); err != nil {
			t.Fatal(err)
		}
		there := &crawler.Hosts{Store: store, Shared: true, Options: polite.Options{MinDelay: -1, Factor: -1}}
		st, err := there.Account(t.Context(), "a.example", htmlPage("http://a.example/", ""), nil, pipeline.NewOut())
		if got, _ := st.Delay(&there.Options); err != nil || got != want {
			t.Errorf("elsewhere a delay of %v is %v, %v", want, got, err)
		}
	}
}

// What cookies a site has set outlives the one who took them.
func TestCookiesAreKeptInTheStore(t *testing.T) {
	store := openMemory(t)
	u, err := weburl.Parse("http://www.example.com/account/login")
	if err != nil {
		t.Fatal(err)
	}
	first, out := &crawler.Cookies{Store: store}, pipeline.NewOut()
	for _, lines := range [][]string{
		{"session=1; Path=/", "theme=dark; Domain=example.com; Max-Age=3600", "gone=1; Max-Age=60"},
		{"session=2; Path=/; HttpOnly", "gone=; Max-Age=0", "evil=1; Domain=other.example", "; nonsense"},
	} {
		resp := &stages.FetchResponse{Header: http.Header{"Set-Cookie": lines}}
		if err := first.Keep(t.Context(), u, resp, out); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Commit(t.Context(), out.Tx()); err != nil {
		t.Fatal(err)
	}
	second := &crawler.Cookies{Store: store}
	for address, want := range map[string]string{
		"http://www.example.com/account/":  "session=2; theme=dark",
		"http://shop.example.com/account/": "theme=dark",
		"http://www.example.com/":          "session=2",
		"http://other.example/":            "",
	} {
		to, err := weburl.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		hr, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Apply(t.Context(), to, hr); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(hr.Header.Get("Cookie"), "; ")
		if len(got) == 2 && got[0] > got[1] {
			got[0], got[1] = got[1], got[0]
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s gets %q, want %q", address, got, want)
		}
	}
}

// A seed may be a sitemap, and is what the default function asks for all the same.
func TestTypesOfASeed(t *testing.T) {
	f := &fetched{resp: htmlPage("http://a.example/", "")}
	o := &crawler.Options{Functions: []crawler.Function{{Types: []string{"application/json"},
		Visit: func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }}}}
	v := &crawler.Visitor{Store: openMemory(t), Edges: crawler.NewEdges(o), Options: o, Fetcher: f, Robots: crawler.AllowAll{}, Recorder: new(recorder)}
	if err := v.Visit(t.Context(), crawler.Request{URL: "http://a.example/"}, pipeline.NewOut()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"application/json", "text/html", "application/xml"} {
		if !stages.MatchType(want, f.got[0].Types) {
			t.Errorf("%s is not among the types %v", want, f.got[0].Types)
		}
	}
}
