package crawler_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages"
)

type product struct {
	Name  string `json:"name"`
	Price string `json:"price"`
}

// shop is a site on this machine.
func shop() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `<a class=product href="/boat">Boat</a> <a class=product href="/oar">Oar</a> <a href="/terms">Terms</a>`)
		case "/boat":
			fmt.Fprint(w, `<h1>Boat</h1><p>Boats float, and this one costs <b>900 €</b>.`)
		case "/oar":
			fmt.Fprint(w, `<h1>Sold out</h1>`)
		default:
			http.NotFound(w, r)
		}
	}))
}

// Two functions: one follows the products of a list with a label, the other, which
// has that label, writes an item of each, or says that the answer is no product.
func ExampleFunction() {
	site := shop()
	defer site.Close()
	list := func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
		out.FollowAs("product", "a.product")
		return nil
	}
	one := func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
		if v.Text("h1") == "Sold out" {
			out.GiveUp("sold out")
			return nil
		}
		out.Item("products", v.URL, product{v.Text("h1"), v.Text("b")})
		return nil
	}
	ctx := context.Background()
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds(site.URL),
		Functions: []crawler.Function{
			{Visit: list, Follows: []string{"product"}},
			{Label: "product", Visit: one},
		},
		Items: map[string]any{"products": product{}},
		Settings: crawler.Settings{
			Links: crawler.LinksNone, Delay: -1, AllowPrivate: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}
	err = inspect.WalkItems(ctx, store, "products", func(it *crawler.StoredItem) error {
		fmt.Printf("%s\n", it.Value)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = inspect.WalkFailures(ctx, store, func(f *crawler.Failure) error {
		fmt.Printf("%s: %s: %s\n", strings.TrimPrefix(f.URL, site.URL), f.Reason, f.Detail)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"name":"Boat","price":"900 €"}
	// /oar: judged: sold out
}

// A function is tested by calling it with a page, from a string or a file.
func ExampleNewVisit() {
	page := func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
		out.Item("products", v.URL, product{v.Text("h1"), v.Text("b")})
		out.Follow("a.next")
		return nil
	}
	v := crawler.NewVisit("https://shop.example/boats/1", []byte(`<h1>Boat</h1><b>900 €</b><a class=next href="2">Next</a>`))
	out := crawler.NewOut(v)
	if err := page(context.Background(), v, out); err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Items("products"), out.Requests()[0].URL)
	// Output: [{Boat 900 €}] https://shop.example/boats/2
}

// A Go function on the text of each page, between extract and tag. What it writes
// as its result is stored under the stage's name.
func ExampleStage() {
	site := shop()
	defer site.Close()
	letters := func(_ context.Context, d *crawler.Doc, out *crawler.Out) error {
		out.Result(map[string]int{"letters": len(d.Text)})
		d.Text = strings.ToUpper(d.Text) // for the stages behind
		return nil
	}
	ctx := context.Background()
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds(site.URL + "/boat"),
		Settings: crawler.Settings{
			Delay: -1, AllowPrivate: true,
			Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}, {Name: "letters", Func: letters}, {Name: crawler.StageTag}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}
	err = inspect.WalkResults(ctx, store, func(r *inspect.Result) error {
		fmt.Printf("%s, first word %s\n", r.Results["letters"], r.Tags.Sentences[0].Tokens[0].Text)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: {"letters":45}, first word BOAT
}

// A crawl of one's own is made of the same parts: edges, a visitor, and stages of
// whatever kind on a pipeline.
func ExampleVisitor() {
	site := shop()
	defer site.Close()
	ctx := context.Background()
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	options := &crawler.Options{Settings: crawler.Settings{
		Delay: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: "titles"}},
	}}
	edges := crawler.NewEdges(options)
	visitor := &crawler.Visitor{
		Store: store, Edges: edges, Options: options,
		Fetcher: &stages.Fetcher{AllowPrivate: true, UserAgent: "shopper/1.0"},
		Robots:  crawler.AllowAll{}, // our own site
	}
	titles := func(_ context.Context, d crawler.Doc, out *pipeline.Out) error {
		out.Tx().Put("titles", strings.TrimPrefix(d.URL, site.URL), []byte(d.Page().Selection().Find("h1").Text()))
		return nil
	}
	p := pipeline.New(store, nil)
	pipeline.Handle(p, edges.Requests, visitor.Visit, &pipeline.StageOptions{Feeds: pipeline.Edges{edges.Requests, edges.Docs[0]}, Workers: 8})
	pipeline.Handle(p, edges.Docs[0], titles, nil)
	if err := pipeline.Seed(ctx, p, edges.Requests, crawler.Seeds(site.URL)...); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	records, err := store.Scan(ctx, "titles", "", "", 10)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("%s %q\n", r.Key, r.Value)
	}
	// Output:
	// / ""
	// /boat "Boat"
	// /oar "Sold out"
}

// The program that is written most often: items of one type, and "next".
func ExampleScrape() {
	type Quote struct{ Author, Text string }
	page := func(v *crawler.Visit, out *crawler.Out) {
		for _, q := range v.Find("div.quote").EachIter() {
			out.Item("quotes", "", Quote{q.Find("small").Text(), q.Find("p").Text()})
		}
		out.Follow("li.next a")
	}
	options := crawler.Scrape[Quote]("quotes", page, "https://example.com/quotes") // for command.Main

	// Its test needs neither network nor store.
	v := crawler.NewVisit("https://example.com/quotes", []byte(`<div class=quote><p>To be.</p><small>W. S.</small></div>
		<li class=next><a href="?page=2">Next</a>`))
	out := crawler.NewOut(v)
	page(v, out)
	fmt.Println(out.Items("quotes"), out.Requests()[0].URL, options.Settings.Links)
	// Output: [{W. S. To be.}] https://example.com/quotes?page=2 none
}
