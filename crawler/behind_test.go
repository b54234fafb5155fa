package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
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

// chain is a site whose pages name the next one in their text, and link to one that
// nobody is to follow.
func chain(last int) fakeSite {
	return func(r *http.Request) (int, string, string) {
		n := 0
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		robots := ""
		if n == last {
			robots = `<meta name="robots" content="nofollow">`
		}
		return http.StatusOK, "text/html", fmt.Sprintf(`<html lang="en"><head><title>Page %d</title>%s</head><body><article><h1>Page %d</h1>
			<p>The weir crosses the river, and the water goes on to the sea. After this page you may read the page /%d of this book.</p>
			<p>It is not a long book, but it has a beginning and an end, and everything in between has been written down.</p></article></body></html>`,
			n, robots, n, n+1)
	}
}

// next is the page that a text names.
func next(text string) string {
	_, after, _ := strings.Cut(text, "read the page ")
	path, _, _ := strings.Cut(after, " ")
	return path
}

// What stages behind the crawl follow is of the generation behind that of their
// page, and passes scope, robots and the seen-set as links do: a function with a
// queue, and one in the row of the stages.
func TestFunctionsBehindTheCrawlFollow(t *testing.T) {
	const last = 4
	follow := func(out *crawler.Out, text string) {
		out.Request(crawler.Request{URL: next(text)})
		out.Request(crawler.Request{URL: "/0"})                    // known
		out.Request(crawler.Request{URL: "http://other.example/"}) // not in the scope
	}
	queued := crawler.Function{Queue: "slow", Follows: []string{""}, Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
		out.Item("books", "", book{Title: v.Text("title")})
		follow(out, v.Text("p"))
		return nil
	}}
	staged := crawler.Stage{Name: "topic", Follows: []string{""}, Func: func(_ context.Context, d *crawler.Doc, out *crawler.Out) error {
		out.Item("books", "", book{Title: d.Title})
		follow(out, d.Text)
		return nil
	}}
	stages := func(all ...crawler.Stage) crawler.Settings {
		return crawler.Settings{Links: crawler.LinksNone, Stages: append([]crawler.Stage{{Name: crawler.StageCrawl}}, all...)}
	}
	extract, tag := crawler.Stage{Name: crawler.StageExtract}, crawler.Stage{Name: crawler.StageTag}
	for name, o := range map[string]crawler.Options{
		"a function with a queue":      {Functions: []crawler.Function{queued}, Settings: stages()},
		"a stage behind extract":       {Settings: stages(extract, staged, tag)},
		"such a stage, not in a chain": {Settings: stages(extract, staged, tag), NoChaining: true},
	} {
		t.Run(name, func(t *testing.T) {
			options := func() *crawler.Options {
				all := o
				all.Seeds, all.Items = crawler.Seeds("http://site.example/0"), map[string]any{"books": book{}}
				return &all
			}
			crawlStore(t, chain(last), options, func(store *queue.Store) {
				pages := records[crawler.Page](t, store, "pages")
				for n := range last + 1 {
					p := pages[fmt.Sprintf("http://site.example/%d", n)]
					if p.URL == "" || p.Depth != n || p.Generation != n {
						t.Errorf("page %d has depth %d and generation %d", n, p.Depth, p.Generation)
					}
				}
				if items := lines(t, store, "books"); len(pages) != last+1 || len(items) != last+1 {
					t.Errorf("%d pages and %d items, want %d of each", len(pages), len(items), last+1)
				}
				skips := records[crawler.Skip](t, store, "skips")
				for url, want := range map[string]string{"http://other.example/": "--scope host", fmt.Sprintf("http://site.example/%d", last+1): "asks robots not to"} {
					if !strings.Contains(skips[url].Reason, want) {
						t.Errorf("%s was skipped for %q, want %q", url, skips[url].Reason, want)
					}
				}
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil || len(st.Generations) != last+1 {
					t.Errorf("%d generations, %v, want %d", len(st.Generations), err, last+1)
				}
			})
		})
	}
}

// A stage follows what it has declared, and nothing by selectors where the page is
// left behind. It is tried as often as the settings say, with their waits.
func TestWhatAStageMustNotFollow(t *testing.T) {
	var called []time.Time
	stage := func(_ context.Context, d *crawler.Doc, out *crawler.Out) error {
		switch d.URL {
		case "http://site.example/selector":
			out.Follow("a")
		case "http://site.example/label":
			out.Request(crawler.Request{URL: "/x", Label: "other"})
		default:
			called = append(called, time.Now())
			return errors.New("no price")
		}
		return nil
	}
	options := func() *crawler.Options {
		called = nil
		return &crawler.Options{
			Seeds:     crawler.Seeds("http://site.example/selector", "http://site.example/label", "http://site.example/fails"),
			Functions: []crawler.Function{{Label: "other", Visit: func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }}},
			Settings: crawler.Settings{StageAttempts: 3, StageBackoff: time.Minute, Stages: []crawler.Stage{
				{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: "topic", Func: stage, Follows: []string{""}},
			}},
		}
	}
	crawlStore(t, chain(0), options, func(store *queue.Store) {
		for name, want := range map[string]string{"selector": "Out.Request", "label": "not among its Follows", "fails": "no price"} {
			e, err := inspect.Explain(t.Context(), store, "http://site.example/"+name, nil)
			if err != nil || len(e.Dead) != 1 || !strings.Contains(e.Dead[0].Reason, want) {
				t.Errorf("%s has the dead letters %+v, %v; want one that says %q", name, e.Dead, err, want)
			}
		}
		if len(called) != 3 || called[1].Sub(called[0]) < 45*time.Second || called[2].Sub(called[1]) < 90*time.Second {
			t.Errorf("called at %v, want three times with a minute and two between", called)
		}
	})
}

// A crawl goes on with the stages that it began with: what differs is said by name.
func TestResumingWithOtherStagesSaysWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		stage := crawler.Stage{Name: "topic", Func: func(context.Context, *crawler.Doc, *crawler.Out) error { return nil }}
		run := func(st crawler.Stage) error {
			ctx, stop := context.WithCancel(t.Context())
			c, err := crawler.New(store, &crawler.Options{
				Seeds: crawler.Seeds("http://site.example/0"), Transport: always(chain(9)),
				Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}, st}},
				Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
					out.Request(crawler.Request{URL: next(v.Text("p"))})
					return nil
				}}},
				OnGeneration: func(context.Context, pipeline.Generation, *queue.Tx) error { stop(); return nil },
			})
			if err != nil {
				return err
			}
			return c.Run(ctx)
		}
		if err := run(stage); err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			stage crawler.Stage
			want  string
		}{
			"other name": {crawler.Stage{Name: "subject", Func: stage.Func}, "topic"},
			"follows":    {crawler.Stage{Name: "topic", Func: stage.Func, Follows: []string{""}}, "topic"},
			"no body":    {crawler.Stage{Name: "topic", Go: true}, `stage "topic" is a Go function, which this program lacks`},
		} {
			if err := run(test.stage); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want an error that says %s", name, err, test.want)
			}
		}
		if err := run(stage); err != nil {
			t.Error(err)
		}
	})
}

// Built-in stages, a Go function on the text and an external program in one row;
// what one has found, the next one gets.
func TestStagesOfThreeKinds(t *testing.T) {
	topic := func(_ context.Context, d *crawler.Doc, out *crawler.Out) error {
		d.Text = strings.ToUpper(d.Text)
		out.Result(map[string]int{"words": len(strings.Fields(d.Text))})
		return nil
	}
	store := openMemory(t)
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds("http://site.example/0"), Transport: always(chain(0)),
		Settings: crawler.Settings{Delay: -1, Links: crawler.LinksNone, Stages: []crawler.Stage{
			{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: "topic", Func: topic},
			{Name: crawler.StageTag}, {Name: "outside", Command: []string{os.Args[0], heldStageArg, ""}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var results []*inspect.Result
	err = inspect.WalkResults(t.Context(), store, func(r *inspect.Result) error {
		results = append(results, r)
		return nil
	})
	if err != nil || len(results) != 1 || results[0].Text == nil || results[0].Tags == nil {
		t.Fatalf("results %+v, %v; want one with text and tags", results, err)
	}
	r := results[0]
	if !strings.Contains(r.Text.Text, "The weir") || !slices.ContainsFunc(r.Tags.Sentences, func(s crawler.Sentence) bool {
		return slices.ContainsFunc(s.Tokens, func(t crawler.Token) bool { return t.Text == "WEIR" })
	}) {
		t.Errorf("the text %q is not what extract has found, or the tags not of what topic has made of it", r.Text.Text)
	}
	if !strings.Contains(string(r.Results["topic"]), `"words":`) || len(r.Results["outside"]) == 0 {
		t.Errorf("results %s, want those of topic and outside", r.Results)
	}
}
