package crawler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// site answers requests without a network.
type fakeSite func(r *http.Request) (status int, contentType, body string)

func (s fakeSite) RoundTrip(r *http.Request) (*http.Response, error) {
	status, contentType, body := http.StatusNotFound, "text/plain", ""
	if r.URL.Path != "/robots.txt" {
		status, contentType, body = s(r)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Proto: "HTTP/1.1",
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// crawlStore crawls on a store in memory with a clock that does not wait, and
// hands the store to look.
func crawlStore(t *testing.T, site fakeSite, make func() *crawler.Options, look func(store *queue.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		options := make() // within the bubble, as channels must be
		options.Transport = always(site)
		if options.Settings.Stages == nil {
			options.Settings.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
		}
		c, err := crawler.New(store, options)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if done, err := c.Done(t.Context()); err != nil || !done {
			t.Errorf("Done = %v, %v", done, err)
		}
		look(store)
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// lines reads the items of a name: keys with values, as lines.
func lines(t *testing.T, store *queue.Store, name string) []string {
	t.Helper()
	var all []string
	err := inspect.WalkItems(t.Context(), store, name, func(it *crawler.StoredItem) error {
		all = append(all, it.Key+" "+string(it.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type book struct {
	Title string `json:"title"`
	Shelf string `json:"shelf"`
}

// A list whose books are followed with a label and data, and whose next page is
// asked for by POST.
func library(r *http.Request) (int, string, string) {
	const html = "text/html"
	switch {
	case r.Method == http.MethodPost:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return http.StatusInternalServerError, html, err.Error()
		}
		switch string(body) {
		case "page=2":
			return http.StatusOK, "application/json", `{"books":["/book/3"],"next":"page=3"}`
		case "page=3":
			return http.StatusOK, "application/json", `{"books":["/book/1","/book/4"]}`
		}
		return http.StatusBadRequest, html, "no such page"
	case r.URL.Path == "/":
		return http.StatusOK, html, `<title>List</title><a class=book href="/book/1">1</a><a class=book href="/book/2#x">2</a><a href="/about">About</a>`
	case strings.HasPrefix(r.URL.Path, "/book/"):
		return http.StatusOK, html, "<h1>Book " + strings.TrimPrefix(r.URL.Path, "/book/") + "</h1>"
	}
	return http.StatusOK, html, "<p>About us.</p>"
}

type libraryPage struct {
	Books []string `json:"books"`
	Next  string   `json:"next"`
}

func libraryOptions() *crawler.Options {
	more := func(body string) crawler.Request {
		return crawler.Request{URL: "/api", Label: "more", Method: "post", Body: []byte(body)}
	}
	return &crawler.Options{
		Seeds:    crawler.Seeds("http://library.example/"),
		Settings: crawler.Settings{Links: crawler.LinksNone},
		Items:    map[string]any{"books": book{}},
		Functions: []crawler.Function{
			{Follows: []string{"book", "more"}, Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				if n := out.FollowAs("book", "a.book"); n != 2 {
					return fmt.Errorf("%d books", n)
				}
				out.Request(more("page=2"))
				return nil
			}},
			{Label: "more", Types: []string{"application/json"}, Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				var page libraryPage
				if err := v.JSON(&page); err != nil {
					return err
				}
				for _, href := range page.Books {
					out.Request(crawler.Request{URL: href, Label: "book", Data: map[string]string{"shelf": "api"}})
				}
				if page.Next != "" {
					out.Request(more(page.Next))
				}
				return nil
			}},
			{Label: "book", Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				out.Item("books", v.Text("h1"), &book{v.Text("h1"), v.Request.Data["shelf"]})
				return nil
			}},
		},
	}
}

func TestFunctionsFollowLabelsRequestsAndItems(t *testing.T) {
	crawlStore(t, library, libraryOptions, func(store *queue.Store) {
		want := []string{
			`Book 1 {"title":"Book 1","shelf":""}`, `Book 2 {"title":"Book 2","shelf":""}`,
			`Book 3 {"title":"Book 3","shelf":"api"}`, `Book 4 {"title":"Book 4","shelf":"api"}`,
		}
		if got := lines(t, store, "books"); !slices.Equal(got, want) {
			t.Errorf("books:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		if st.Pages != 7 || st.Failures != 0 || !slices.Equal(st.Items, []inspect.ItemStatus{{Name: "books", Count: 4}}) {
			t.Errorf("status %+v, want 7 pages, of them two of the API, and 4 books", st)
		}
		e, err := inspect.Explain(t.Context(), store, "http://library.example/api", nil)
		if err != nil || e.State != inspect.StateUnknown || len(e.Others) != 2 || e.Others[0].Page == nil || e.Others[0].Page.Method != http.MethodPost {
			t.Errorf("of an address that was asked by POST twice: %+v, %v", e, err)
		}
		if _, err := store.Get(t.Context(), "skips", "http://library.example/about"); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("with LinksNone, a link that no function follows: %v, want no record", err)
		}
	})
}

func TestFunctionIsCalledWithAPageFromAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list.html")
	if err := os.WriteFile(name, []byte(`<base href="/shelf/"><a class=book href="1">One</a><a class=book href="http://[">bad</a>`), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v := crawler.NewVisit("http://library.example/list", page)
	out := crawler.NewOut(v)
	out.FollowAs("book", "a.book")
	out.Item("books", "k", book{Title: v.Text("a.book")})
	got := out.Requests()
	if out.Err() != nil || len(got) != 1 || got[0].URL != "http://library.example/shelf/1" || got[0].Label != "book" {
		t.Errorf("requests %+v, %v", got, out.Err())
	}
	if items := out.Items("books"); len(items) != 1 || items[0] != (book{Title: "One"}) {
		t.Errorf("items %+v", items)
	}
	out.RetryAfter(time.Minute, "a captcha")
	if reason, again := out.Verdict(); reason != "a captcha" || !again {
		t.Errorf("verdict %q, %v", reason, again)
	}
	out.Follow("a[")
	if out.Err() == nil || !strings.Contains(out.Err().Error(), `"a["`) {
		t.Errorf("a selector that is malformed: %v", out.Err())
	}
}

// detailedError is what a function returns as a nil pointer by mistake.
type detailedError struct{ detail string }

func (e *detailedError) Error() string { return e.detail }

// Each fault costs its page, with the reason, and nothing else.
func TestFunctionFaultsCostTheirPages(t *testing.T) {
	var release chan struct{}
	var list strings.Builder
	faults := map[string]struct {
		attempts     int
		reason, says string
	}{
		"panic":      {2, crawler.ReasonFunction, "panic: out of range"},
		"error":      {2, crawler.ReasonFunction, "no price"},
		"permanent":  {1, crawler.ReasonFunction, "never"},
		"block":      {1, crawler.ReasonFunction, "taken too long, over 5s"},
		"heeds":      {2, crawler.ReasonFunction, "taken too long, over 5s"},
		"large":      {1, crawler.ReasonFunction, "items take"},
		"undeclared": {1, crawler.ReasonFunction, "item movies is not declared"},
		"othertype":  {1, crawler.ReasonFunction, "item books is a string"},
		"unencoded":  {1, crawler.ReasonFunction, "item books"},
		"label":      {1, crawler.ReasonFunction, "/x the label nobody, which no function handles (no function has a label)"},
		"selector":   {2, crawler.ReasonFunction, "selector"},
		"giveup":     {1, crawler.ReasonJudged, "a soft 404"},
		"retry":      {2, crawler.ReasonJudged, "an empty shell"},
		"delay":      {2, crawler.ReasonJudged, "blocked"},
		"exits":      {1, crawler.ReasonFunction, "runtime.Goexit"},
		"nilerror":   {2, crawler.ReasonFunction, "invalid memory address"},
	}
	for name := range faults {
		fmt.Fprintf(&list, `<a href="/%s">%s</a>`, name, name)
	}
	site := func(r *http.Request) (int, string, string) {
		return http.StatusOK, "text/html", fmt.Sprintf("<h1>%s</h1>%s", r.URL.Path, list.String())
	}
	fn := func(ctx context.Context, v *crawler.Visit, out *crawler.Out) error {
		name := strings.Trim(v.Text("h1"), "/")
		out.Item("books", name, book{Title: name})
		switch name {
		case "panic":
			panic("out of range")
		case "error":
			return errors.New("no price")
		case "permanent":
			return pipeline.Permanent(errors.New("never"))
		case "block":
			<-release
		case "heeds":
			<-ctx.Done()
			return ctx.Err()
		case "large":
			for i := range 40 {
				out.Item("books", fmt.Sprint(i), book{Title: strings.Repeat("x", 100<<10)})
			}
		case "undeclared":
			out.Item("movies", "", book{})
		case "othertype":
			out.Item("books", "", "a string")
		case "unencoded":
			out.Item("books", "", func() {})
		case "label":
			out.Request(crawler.Request{URL: "/x", Label: "nobody"})
		case "exits":
			runtime.Goexit()
		case "nilerror":
			return (*detailedError)(nil)
		case "selector":
			v.Find("a[")
		case "giveup":
			out.GiveUp("a soft 404")
		case "retry":
			out.Retry("an empty shell")
		case "delay":
			out.RetryAfter(3*time.Hour, "blocked")
		}
		return nil
	}
	began := time.Time{}
	var log bytes.Buffer
	options := func() *crawler.Options {
		release = make(chan struct{})
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"), Items: map[string]any{"books": book{}},
			Functions: []crawler.Function{{Visit: fn, Timeout: 5 * time.Second}},
			Settings:  crawler.Settings{Retries: 1},
			Logger:    slog.New(slog.NewTextHandler(&log, nil)),
			OnGeneration: func(_ context.Context, g pipeline.Generation, _ *queue.Tx) error {
				began = g.Started
				return nil
			},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		defer close(release)
		failures := records[crawler.Failure](t, store, "failures")
		for name, want := range faults {
			f := failures["http://site.example/"+name]
			if f.Reason != want.reason || !strings.Contains(f.Detail, want.says) || f.Attempts != want.attempts {
				t.Errorf("%s: failed with %s: %s, after %d attempts; want %s: %s, after %d", name, f.Reason, f.Detail, f.Attempts, want.reason, want.says, want.attempts)
			}
			e, err := inspect.Explain(t.Context(), store, "http://site.example/"+name, nil)
			if err != nil || e.State != inspect.StateFailed {
				t.Errorf("%s is %+v, %v, want failed", name, e, err)
			}
		}
		if !strings.Contains(log.String(), "function_test.go:") {
			t.Error("the log does not say where a function panicked")
		}
		if pages := records[crawler.Page](t, store, "pages"); len(pages) != 1 || len(failures) != len(faults) {
			t.Errorf("%d pages and %d failures, want 1 and %d", len(pages), len(failures), len(faults))
		}
		if got := lines(t, store, "books"); len(got) != 1 {
			t.Errorf("items %q, want that of the one page", got)
		}
		if f := failures["http://site.example/delay"]; f.At.Sub(began) < 3*time.Hour {
			t.Errorf("what was put off for three hours was asked for again at %v, having begun at %v", f.At, began)
		}
	})
}

// Calls that neither return nor heed their context are left behind, but not
// without end.
func TestFunctionsThatHangAreBounded(t *testing.T) {
	const pages, workers, left = 100, 10, 64
	var release chan struct{}
	var list strings.Builder
	for i := range pages {
		fmt.Fprintf(&list, `<a href="http://h%d.example/">x</a>`, i)
	}
	site := func(r *http.Request) (int, string, string) { return http.StatusOK, "text/html", list.String() }
	hanging := 0
	options := func() *crawler.Options {
		release = make(chan struct{})
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"),
			Functions: []crawler.Function{{Timeout: time.Second, Visit: func(_ context.Context, v *crawler.Visit, _ *crawler.Out) error {
				if v.Request.Depth > 0 {
					<-release
				}
				return nil
			}}},
			Settings: crawler.Settings{Scope: everywhere, Retries: 1, Workers: workers},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		defer close(release)
		for _, f := range records[crawler.Failure](t, store, "failures") {
			if strings.Contains(f.Detail, "is not called") {
				hanging++
			}
		}
		if least := pages - left - workers; hanging < least {
			t.Errorf("%d of %d pages were failed without a call, want at least %d", hanging, pages, least)
		}
	})
}

func TestBadWiringIsRefusedByName(t *testing.T) {
	fn := func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }
	stage := func(context.Context, *crawler.Doc, *crawler.Out) error { return nil }
	for name, test := range map[string]struct {
		options crawler.Options
		want    string
	}{
		"two functions of one label": {crawler.Options{Functions: []crawler.Function{{Label: "detail", Visit: fn}, {Label: "detail", Visit: fn}}}, "two functions have the label detail"},
		"two default functions":      {crawler.Options{Functions: []crawler.Function{{Visit: fn}, {Visit: fn}}}, "two functions have the label default"},
		"a label nobody handles": {crawler.Options{Functions: []crawler.Function{{Visit: fn, Follows: []string{"detail"}}, {Label: "item", Visit: fn}, {Label: "author", Visit: fn}}},
			"default gives the label detail, which no function handles (the labels are author, item)"},
		"a seed's label":         {crawler.Options{Seeds: []crawler.Request{{URL: "http://a/", Label: "list"}}}, "the seed http://a/ has the label list"},
		"a function that is nil": {crawler.Options{Functions: []crawler.Function{{Label: "x"}}}, "the function x is nil"},
		"items of a func":        {crawler.Options{Items: map[string]any{"quotes": func() {}}}, "items quotes cannot be encoded"},
		"items with a channel": {crawler.Options{Items: map[string]any{"quotes": struct{ In []struct{ C chan int } }{}}},
			"items quotes cannot be encoded: field In: field C: JSON has no chan int"},
		"items of no type": {crawler.Options{Items: map[string]any{"quotes": nil}}, "the items quotes have no type"},
		"a stage without a body": {crawler.Options{Settings: crawler.Settings{Stages: []crawler.Stage{{Name: "crawl"}, {Name: "topics"}}}},
			`stage "topics" is not known`},
		"a function for crawl": {crawler.Options{Settings: crawler.Settings{Stages: []crawler.Stage{{Name: "crawl", Func: stage}}}},
			"the stage crawl cannot be another program or function"},
		"two functions of one queue": {crawler.Options{Functions: []crawler.Function{{Visit: fn, Queue: "slow"}, {Label: "detail", Visit: fn, Queue: "slow"}}}, "two stages handle slow"},
		"a queue called as a stage":  {crawler.Options{Functions: []crawler.Function{{Visit: fn, Queue: "tag"}}}, "called as the stage tag is"},
		"a seed":                     {crawler.Options{Seeds: crawler.Seeds("ftp://a/")}, "seed"},
		"a stage's label": {crawler.Options{Settings: crawler.Settings{Stages: []crawler.Stage{{Name: "crawl"}, {Name: "topics", Func: stage, Follows: []string{"detail"}}}}},
			"the stage topics gives the label detail, which no function handles"},
		"labels of a stage that is no function": {crawler.Options{Settings: crawler.Settings{Stages: []crawler.Stage{{Name: "crawl"}, {Name: "tag", Follows: []string{""}}}}},
			`stage "tag" has Follows`},
		"a negative back-off": {crawler.Options{Settings: crawler.Settings{StageBackoff: -1}}, "StageBackoff (stage-backoff): it must be a time"},
		"a negative number":   {crawler.Options{Settings: crawler.Settings{Workers: -1}}, "Workers (workers): it must be a whole number from 1"},
	} {
		_, err := crawler.New(nil, &test.options)
		if !errors.Is(err, crawler.ErrSettings) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want ErrSettings that says %q", name, err, test.want)
		}
	}
}

// A crawl that stopped goes on with its functions only.
func TestResumingWithOtherFunctionsSaysWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		options := libraryOptions()
		ctx, stop := context.WithCancel(t.Context())
		options.OnGeneration = func(context.Context, pipeline.Generation, *queue.Tx) error { stop(); return nil }
		options.Transport = always(fakeSite(library))
		run := func(ctx context.Context, options *crawler.Options) error {
			c, err := crawler.New(store, options)
			if err != nil {
				t.Fatal(err)
			}
			return c.Run(ctx)
		}
		if err := run(ctx, options); err != nil {
			t.Fatal(err)
		}
		others := *options
		others.Functions = slices.Clone(options.Functions)[:2]
		others.Functions[0].Follows, others.Functions[1].Queue = nil, "slow"
		others.Items = nil
		err := run(t.Context(), &others)
		for _, want := range []string{"function book is gone", `function more has the queue "slow" and had ""`, "items books are gone"} {
			if !errors.Is(err, crawler.ErrFunctions) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want ErrFunctions that says %q", err, want)
			}
		}
		if err := run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, store, "books"); len(got) != 4 {
			t.Errorf("books %q, want 4", got)
		}
	})
}

// A function with a queue of its own works behind the crawl: its failures cost no
// further request, and its items and requests are a transaction by themselves.
func TestFunctionWithAQueue(t *testing.T) {
	asked, called := 0, make(map[string]int)
	site := func(r *http.Request) (int, string, string) {
		asked++
		return http.StatusOK, "text/html", `<h1>` + r.URL.Path + `</h1><a href="/fails">1</a><a href="/judges">2</a><a href="/once">3</a>`
	}
	options := func() *crawler.Options {
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"), Items: map[string]any{"books": book{}},
			Settings: crawler.Settings{Links: crawler.LinksNone, StageAttempts: 3},
			Functions: []crawler.Function{{Queue: "slow", Workers: 1, Follows: []string{""}, Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				called[v.Text("h1")]++
				out.Item("books", v.Text("h1"), book{Title: v.Text("h1")})
				out.Follow("a")
				switch {
				case v.Text("h1") == "/fails", v.Text("h1") == "/once" && v.Attempt == 1:
					return errors.New("no price")
				case v.Text("h1") == "/judges":
					out.GiveUp("a soft 404")
				}
				return nil
			}}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		if asked != 4 || called["/fails"] != 3 || called["/once"] != 2 {
			t.Errorf("%d requests, want 4; calls %v", asked, called)
		}
		want := []string{`/ {"title":"/","shelf":""}`, `/once {"title":"/once","shelf":""}`}
		if got := lines(t, store, "books"); !slices.Equal(got, want) {
			t.Errorf("books %q, want %q", got, want)
		}
		for name, want := range map[string]string{"/fails": "no price", "/judges": "judges the answer"} {
			e, err := inspect.Explain(t.Context(), store, "http://site.example"+name, nil)
			if err != nil || e.Page == nil || len(e.Dead) != 1 || !strings.Contains(e.Dead[0].Reason, want) {
				t.Errorf("%s is %+v, %v; want a page, and a dead letter that says %q", name, e, err, want)
			}
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || len(st.Generations) != 2 || st.Queues[len(st.Queues)-1].Name != "slow" {
			t.Errorf("status %+v, %v", st, err)
		}
	})
}

// Go functions, built-in stages and both in place of built-in ones, in one row.
func TestStagesOfAllKinds(t *testing.T) {
	site := func(r *http.Request) (int, string, string) {
		return http.StatusOK, "text/html", `<title>T</title><p>The weir crosses the river.</p><a href="/panics">p</a><a href="/hangs">h</a>`
	}
	var release chan struct{}
	text := func(ctx context.Context, d *crawler.Doc, out *crawler.Out) error {
		d.Text, d.Language = d.Page().Selection().Find("p").Text(), "en" // in place of extract
		return nil
	}
	count := func(_ context.Context, d *crawler.Doc, out *crawler.Out) error {
		switch {
		case strings.HasSuffix(d.URL, "/panics"):
			panic("out of range")
		case strings.HasSuffix(d.URL, "/hangs"):
			<-release
		}
		out.Result(len(strings.Fields(d.Text)))
		out.Item("books", d.URL, book{Title: d.Title})
		return nil
	}
	words := func(_ context.Context, d *crawler.Doc, out *crawler.Out) error { // in place of tag
		out.Result(crawler.Tags{Language: "en", Sentences: []crawler.Sentence{{Tokens: []crawler.Token{{Text: string(d.Results)}}}}})
		return nil
	}
	options := func() *crawler.Options {
		release = make(chan struct{})
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"), Items: map[string]any{"books": book{}},
			Settings: crawler.Settings{Stages: []crawler.Stage{
				{Name: crawler.StageCrawl}, {Name: crawler.StageExtract, Func: text}, {Name: "count", Func: count}, {Name: crawler.StageTag, Func: words},
			}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		defer close(release)
		var kept []string
		err := inspect.WalkResults(t.Context(), store, func(r *inspect.Result) error {
			line := r.Page.URL + " " + string(r.Results["count"])
			if r.Text != nil {
				line += " " + r.Text.Text + " " + r.Text.Method
			}
			if r.Tags != nil {
				line += " " + r.Tags.Sentences[0].Tokens[0].Text
			}
			kept = append(kept, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		const sentence = "The weir crosses the river. function"
		want := []string{"http://site.example/ 5 " + sentence + " 5", "http://site.example/hangs  " + sentence, "http://site.example/panics  " + sentence}
		if !slices.Equal(kept, want) {
			t.Errorf("kept\n%s\nwant\n%s", strings.Join(kept, "\n"), strings.Join(want, "\n"))
		}
		for name, want := range map[string]string{"/panics": "panic: out of range", "/hangs": "taken too long"} {
			e, err := inspect.Explain(t.Context(), store, "http://site.example"+name, nil)
			if err != nil || len(e.Dead) != 1 || !strings.Contains(e.Dead[0].Reason, want) {
				t.Errorf("%s has the dead letters %+v, %v; want one that says %q", name, e.Dead, err, want)
			}
		}
		if got := lines(t, store, "books"); len(got) != 1 {
			t.Errorf("books %q, want that of the page that was counted", got)
		}
	})
}

// Many pages that write the same new items at the same moment count each once.
func TestItemsOfOneKeyAreCountedOnce(t *testing.T) {
	const hosts, keys = 40, 3
	var list strings.Builder
	for i := range hosts {
		fmt.Fprintf(&list, `<a href="http://h%d.example/">x</a>`, i)
	}
	site := func(r *http.Request) (int, string, string) { return http.StatusOK, "text/html", list.String() }
	options := func() *crawler.Options {
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"), Items: map[string]any{"books": book{}},
			Settings: crawler.Settings{Scope: everywhere},
			Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				for i := range keys {
					out.Item("books", fmt.Sprint("key", i), book{Title: v.URL})
				}
				return nil
			}}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || st.Pages != hosts+1 || st.Items[0].Count != keys {
			t.Errorf("status %+v, %v, want %d pages and %d items", st, err, hosts+1, keys)
		}
		if got := lines(t, store, "books"); len(got) != keys {
			t.Errorf("items %q", got)
		}
	})
}
