package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// probe is what became of one page.
type probe struct {
	URL       string               `json:"url"`
	Redirects []string             `json:"redirects,omitempty"` // that led here
	Page      *crawler.Page        `json:"page,omitempty"`
	Failure   *crawler.Failure     `json:"failure,omitempty"`
	Header    http.Header          `json:"header,omitempty"`
	Timings   *stages.Timings      `json:"timings,omitempty"`
	Meta      *stages.Meta         `json:"meta,omitempty"`
	Language  string               `json:"language,omitempty"`
	Text      string               `json:"text,omitempty"`
	Markdown  string               `json:"markdown,omitempty"`
	Links     []probedLink         `json:"links"`
	Requests  []crawler.Request    `json:"-"`
	Items     map[string][]any     `json:"items,omitempty"` // of the function
	About     *inspect.Explanation `json:"about,omitempty"` // scope, robots, host

	visit *crawler.Visit
}

// probedLink is a link with what a crawl would do about it.
type probedLink struct {
	To      string `json:"to"`
	Text    string `json:"text,omitempty"`
	Follow  bool   `json:"follow"`
	Because string `json:"because"`
}

// probe fetches a page, or reads a file.
func (a *app) probe(ctx context.Context, settings crawler.Settings, f *fetchFlags, target string) (*probe, error) {
	o := a.options
	o.Settings = settings
	if f.label != "" && !slices.ContainsFunc(o.Functions, func(fn crawler.Function) bool { return fn.Label == f.label }) {
		return nil, usagef("no function has the label %s", f.label)
	}
	if _, err := os.Stat(target); err == nil || target == "-" {
		return a.probeFile(ctx, &o, f, target)
	}
	if looksLikeFile(target) {
		return nil, usagef("there is no file %s", target)
	}
	seed, err := parseSeed(target)
	if err != nil {
		return nil, err
	}
	if err := refusePrivate(settings, []crawler.Request{seed}); err != nil {
		return nil, err
	}
	r := crawler.Request{URL: seed.URL, Label: f.label, Method: f.method, Body: []byte(f.data), Header: make(http.Header)}
	if r.Method == "" && f.data != "" {
		r.Method = http.MethodPost
	}
	for _, h := range f.header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, usagef("--header %q is not of the form 'Name: value'", h)
		}
		r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if len(o.Seeds) == 0 {
		o.Seeds = crawler.Seeds(seed.URL)
	}
	pr, err := newProber(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer pr.store.Close()
	return pr.fetch(ctx, r)
}

// looksLikeFile reports whether somebody who names what is no file means one all the
// same, and not a host.
func looksLikeFile(name string) bool {
	if strings.Contains(name, "://") {
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".html", ".htm", ".xhtml", ".pdf", ".json", ".xml", ".txt":
		return !strings.Contains(name, "/") || !strings.Contains(strings.SplitN(name, "/", 2)[0], ".")
	}
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// prober visits single pages with the parts of a crawl, on a store in memory.
type prober struct {
	options *crawler.Options
	store   *queue.Store
	edges   *crawler.Edges
	visitor *crawler.Visitor
	scope   crawler.Scope

	resp     *stages.FetchResponse // the last one
	page     *crawler.Page
	failure  *crawler.Failure
	refused  []*crawler.Skip
	decision map[string]scope.Decision
}

func newProber(ctx context.Context, o *crawler.Options) (*prober, error) {
	store, err := memqueue.Open(nil)
	if err != nil {
		return nil, err
	}
	p := &prober{options: o, store: store, decision: make(map[string]scope.Decision), scope: o.Scope}
	c, err := crawler.New(store, o)
	if err != nil {
		return nil, err
	}
	if err := c.Begin(ctx); err != nil { // for Explain
		return nil, err
	}
	if p.scope == nil {
		var seeds []weburl.URL
		var areas []scope.Area
		for _, s := range o.Seeds {
			u, err := weburl.Parse(s.URL)
			if err != nil {
				return nil, err
			}
			if s.Area != nil {
				areas = append(areas, scope.Area{Seed: u, Within: s.Area.Within, MaxDepth: s.Area.MaxDepth})
			} else {
				seeds = append(seeds, u)
			}
		}
		if p.scope, err = o.Settings.Scope.New(seeds, areas...); err != nil {
			return nil, err
		}
	}
	fetcher, err := p.fetcher()
	if err != nil {
		return nil, err
	}
	p.edges = crawler.NewEdges(o)
	p.visitor = &crawler.Visitor{Store: store, Edges: p.edges, Options: o, Fetcher: fetcher, Scope: p, Recorder: p}
	return p, nil
}

// fetcher keeps what was answered.
func (p *prober) fetcher() (crawler.Fetcher, error) {
	f, err := crawler.NewFetchers(p.options)
	if err != nil {
		return nil, err
	}
	return fetcherFunc(func(ctx context.Context, r stages.FetchRequest) (*stages.FetchResponse, error) {
		resp, err := f.Fetch(ctx, r)
		p.resp = resp
		return resp, err
	}), nil
}

type fetcherFunc func(context.Context, stages.FetchRequest) (*stages.FetchResponse, error)

func (f fetcherFunc) Fetch(ctx context.Context, r stages.FetchRequest) (*stages.FetchResponse, error) {
	return f(ctx, r)
}

// Decide is the scope, whose decisions are kept.
func (p *prober) Decide(u weburl.URL, depth int) scope.Decision {
	d := p.scope.Decide(u, depth)
	p.decision[u.String()] = d
	return d
}

// Page, Failure and Skip are the recorder.
func (p *prober) Page(_ context.Context, _ *pipeline.Out, _ string, page *crawler.Page) error {
	p.page = page
	return nil
}

func (p *prober) Failure(_ *pipeline.Out, _ string, f *crawler.Failure) error {
	p.failure = f
	return nil
}

func (p *prober) Skip(_ *pipeline.Out, skips ...*crawler.Skip) error {
	p.refused = append(p.refused, skips...)
	return nil
}

// whyNoRobots returns what becomes of a request for the robots.txt of an address.
func (p *prober) whyNoRobots(ctx context.Context, url string) string {
	f, err := crawler.NewFetchers(p.options)
	if err == nil {
		_, err = f.Fetch(ctx, stages.FetchRequest{URL: mustAddress(url).Origin() + "/robots.txt", Types: []string{"*/*"}})
	}
	if e := stages.AsError(err); e != nil {
		return ": " + strings.TrimSuffix(string(e.Reason)+": "+e.Detail, ": ")
	}
	return ""
}

// maxHops bounds the visits of one probe: its redirects, and those that a
// robots.txt puts off.
const maxHops = 25

// fetch visits a page, and where it redirects to.
func (p *prober) fetch(ctx context.Context, r crawler.Request) (*probe, error) {
	found := &probe{URL: r.URL, Links: []probedLink{}}
	robots := ""
	for range maxHops {
		p.page, p.failure, p.refused = nil, nil, nil
		out := pipeline.NewOut()
		err := p.visitor.Visit(ctx, r, out)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tx := out.Tx()
		if err != nil && !errors.Is(err, pipeline.ErrAgain) {
			tx = out.OnFailure()
		}
		if err := p.store.Commit(ctx, tx); err != nil { // robots.txt, the host
			return nil, err
		}
		switch {
		case errors.Is(err, pipeline.ErrAgain) && robots != r.URL:
			robots = r.URL
			continue // robots.txt has been fetched; nobody waits for one page
		case errors.Is(err, pipeline.ErrAgain): // and not this time either
			p.failure = &crawler.Failure{URL: r.URL, Reason: "would be tried again", Detail: "robots.txt cannot be fetched" + p.whyNoRobots(ctx, r.URL)}
		case err != nil:
			p.failure = &crawler.Failure{URL: r.URL, Reason: "would be tried again", Detail: err.Error()}
		}
		follow, err := p.edges.Requests.Emitted(out)
		if err != nil {
			return nil, err
		}
		if p.page != nil && p.page.Redirect != "" && len(follow) == 1 {
			found.Redirects = append(found.Redirects, r.URL)
			r = follow[0]
			continue
		}
		return found, p.describe(ctx, found, r, follow)
	}
	return nil, fmt.Errorf("more than %d redirects", maxHops)
}

// describe says what the last visit has led to.
func (p *prober) describe(ctx context.Context, found *probe, r crawler.Request, follow []crawler.Request) (err error) {
	found.URL, found.Page, found.Failure = r.URL, p.page, p.failure
	if found.About, err = inspect.Explain(ctx, p.store, r.URL, p.options); err != nil {
		return err
	}
	if d := p.scope.Decide(mustAddress(r.URL), 1); len(p.options.Seeds) > 0 {
		found.About.Scope = inspect.ScopeDecision{Accepted: d.Accepted, Reason: d.String()}
	}
	for _, next := range follow {
		to := next.URL
		found.Links = append(found.Links, probedLink{To: to, Follow: true, Because: p.decision[to].String()})
	}
	for _, s := range p.refused {
		found.Links = append(found.Links, probedLink{To: s.URL, Because: s.Reason})
	}
	if p.resp == nil || p.page == nil && p.failure.Reason != crawler.ReasonFunction && p.failure.Reason != crawler.ReasonJudged {
		return nil
	}
	found.Header, found.Timings = p.resp.Header, &p.resp.Timings
	v := crawler.NewVisit(r.URL, p.resp.UTF8())
	v.Request, v.Status, v.Header, v.ContentType = r, p.resp.Status, p.resp.Header, p.resp.ContentType
	return found.read(ctx, p.options, v)
}

func mustAddress(url string) weburl.URL {
	u, _ := weburl.Parse(url) // that a visit has parsed
	return u
}

// probeFile reads a page from a file.
func (a *app) probeFile(ctx context.Context, o *crawler.Options, f *fetchFlags, name string) (*probe, error) {
	b, err := a.readFile(ctx, name)
	if err != nil {
		return nil, err
	}
	address := "http://localhost/"
	if f.url != "" {
		seed, err := parseSeed(f.url)
		if err != nil {
			return nil, err
		}
		address = seed.URL
	}
	contentType := http.DetectContentType(b)
	if strings.HasPrefix(contentType, "text/plain") && f.label == "" {
		contentType = "text/html" // a fragment
	}
	body, _ := stages.ToUTF8(b, "")
	v := crawler.NewVisit(address, body)
	v.Request.Label, v.ContentType = f.label, contentType
	found := &probe{URL: address, Page: &crawler.Page{URL: address, Status: v.Status, ContentType: contentType, Bytes: len(b)}, Links: []probedLink{}}
	decide := o.Scope
	if decide == nil {
		if decide, err = o.Settings.Scope.New([]weburl.URL{mustAddress(address)}); err != nil {
			return nil, err
		}
	}
	for _, l := range v.Page().Links() {
		d := decide.Decide(mustAddress(l.URL), 1)
		found.Links = append(found.Links, probedLink{To: l.URL, Text: l.Text, Follow: d.Accepted, Because: d.String()})
	}
	return found, found.read(ctx, o, v)
}

// read fills in what is on the page, and what the program's function says of it.
func (p *probe) read(ctx context.Context, o *crawler.Options, v *crawler.Visit) error {
	p.visit = v
	if v.IsHTML() {
		d := v.Page()
		p.Meta = &d.Meta
		text := make(map[string]string)
		for _, l := range d.Links() {
			text[l.URL] = l.Text
		}
		for i := range p.Links {
			p.Links[i].Text = text[p.Links[i].To]
		}
		x := extract.Extractor{Mode: o.Settings.Mode, Markdown: true}
		t := x.Extract(ctx, d, v.Header.Get("Content-Language"))
		p.Text, p.Markdown, p.Language = t.Text, t.Markdown, t.Language
		if p.Page != nil && p.Page.Title == "" {
			p.Page.Title = d.Meta.Title
		}
	}
	i := slices.IndexFunc(o.Functions, func(f crawler.Function) bool { return f.Label == v.Request.Label })
	if i < 0 {
		return nil
	}
	out := crawler.NewOut(v)
	err := o.Functions[i].Visit(ctx, v, out)
	if err == nil {
		err = out.Err()
	}
	reason, again := out.Verdict()
	switch {
	case err != nil:
		p.Failure = &crawler.Failure{URL: p.URL, Reason: crawler.ReasonFunction, Detail: err.Error()}
	case reason != "":
		if again {
			reason += " (to be tried again)"
		}
		p.Failure = &crawler.Failure{URL: p.URL, Reason: crawler.ReasonJudged, Detail: reason}
	}
	p.Requests = out.Requests()
	for name := range o.Items {
		if values := out.Items(name); len(values) > 0 {
			if p.Items == nil {
				p.Items = make(map[string][]any)
			}
			p.Items[name] = values
		}
	}
	return nil
}
