package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
)

// Result is all that a crawl has stored about an address that it fetched.
type Result struct {
	Page    crawler.Page
	Text    *crawler.Text              // nil if extract has not kept any
	Tags    *crawler.Tags              // nil if tag has not kept any
	Results map[string]json.RawMessage // of other stages, by name
}

// WalkResults calls fn with each address that was fetched, in the order of the
// addresses.
func WalkResults(ctx context.Context, store *queue.Store, fn func(*Result) error) error {
	stored, err := crawler.Load(ctx, store)
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	var others []string
	for _, st := range stored.Settings.Stages {
		if !slices.Contains(crawler.BuiltinStages(), st.Name) {
			others = append(others, st.Name)
		}
	}
	return walk(ctx, store, tables.Pages, func(page *crawler.Page) error {
		r, err := readResult(ctx, store, page, others)
		if err != nil {
			return err
		}
		return fn(r)
	})
}

// readResult adds to a page what the stages have stored.
func readResult(ctx context.Context, store *queue.Store, page *crawler.Page, others []string) (*Result, error) {
	key := tables.Key(page.URL)
	r := &Result{Page: *page}
	var text crawler.Text
	if ok, err := tables.Get(ctx, store, tables.Texts, key, &text); err != nil {
		return nil, err
	} else if ok {
		r.Text = &text
	}
	var tags crawler.Tags
	if ok, err := tables.Get(ctx, store, tables.Tags, key, &tags); err != nil {
		return nil, err
	} else if ok {
		r.Tags = &tags
	}
	for _, name := range others {
		var result json.RawMessage
		if ok, err := tables.Get(ctx, store, tables.Results, name+"/"+key, &result); err != nil {
			return nil, err
		} else if ok {
			if r.Results == nil {
				r.Results = make(map[string]json.RawMessage)
			}
			r.Results[name] = result
		}
	}
	return r, nil
}

// PageRow is the exported form of a Result. Its JSON form is stable.
type PageRow struct {
	URL             string                     `json:"url"`
	Status          int                        `json:"status"`
	Generation      int                        `json:"generation"`
	Depth           int                        `json:"depth"`
	Referrer        string                     `json:"referrer"`
	FetchedAt       time.Time                  `json:"fetched_at"`
	ContentType     string                     `json:"content_type"`
	Bytes           int                        `json:"bytes"`
	Digest          string                     `json:"digest"`
	Title           string                     `json:"title"`
	Language        string                     `json:"language"`
	Text            string                     `json:"text"`
	Sentences       [][][2]string              `json:"sentences"` // of words with their tags
	Links           []string                   `json:"links"`
	Redirect        string                     `json:"redirect,omitempty"`
	DuplicateOf     string                     `json:"duplicate_of,omitempty"`
	NoIndex         bool                       `json:"noindex,omitempty"`
	Soft404         bool                       `json:"soft_404,omitempty"`
	VanishedAt      *time.Time                 `json:"vanished_at,omitempty"`
	SimHash         string                     `json:"simhash,omitempty"` // of the text; see crawler.Text
	NearDuplicateOf string                     `json:"near_duplicate_of,omitempty"`
	Results         map[string]json.RawMessage `json:"results,omitempty"`
}

// Row returns the exported form. A page without a title of its own has that of
// its text.
func (r *Result) Row() PageRow {
	p := &r.Page
	row := PageRow{
		URL: p.URL, Status: p.Status, Generation: p.Generation, Depth: p.Depth, Referrer: p.Referrer,
		FetchedAt: p.FetchedAt, ContentType: p.ContentType, Bytes: p.Bytes, Digest: p.Digest, Title: p.Title,
		Redirect: p.Redirect, DuplicateOf: p.DuplicateOf, NoIndex: p.NoIndex, Results: r.Results,
		Soft404: p.Soft404, VanishedAt: p.VanishedAt,
		Sentences: [][][2]string{}, Links: make([]string, len(p.Links)),
	}
	for i, l := range p.Links {
		row.Links[i] = l.To
	}
	if r.Text != nil {
		row.Text, row.Language = r.Text.Text, r.Text.Language
		row.SimHash, row.NearDuplicateOf = r.Text.SimHash, r.Text.NearDuplicateOf
		if row.Title == "" {
			row.Title = r.Text.Title
		}
	}
	if r.Tags == nil {
		return row
	}
	if row.Language == "" {
		row.Language = r.Tags.Language
	}
	for _, s := range r.Tags.Sentences {
		words := make([][2]string, len(s.Tokens))
		for i, t := range s.Tokens {
			words[i] = [2]string{t.Text, t.Tag()}
		}
		row.Sentences = append(row.Sentences, words)
	}
	return row
}

// LinkRow is a link of the crawled graph. Its JSON form is stable.
type LinkRow struct {
	From       string `json:"from"`
	To         string `json:"to"`
	Anchor     string `json:"anchor"`
	Generation int    `json:"generation"` // of the page that it is on
}

// WalkLinks calls fn with each link of each page.
func WalkLinks(ctx context.Context, store *queue.Store, fn func(*LinkRow) error) error {
	return walk(ctx, store, tables.Pages, func(p *crawler.Page) error {
		for _, l := range p.Links {
			if err := fn(&LinkRow{From: p.URL, To: l.To, Anchor: l.Anchor, Generation: p.Generation}); err != nil {
				return err
			}
		}
		return nil
	})
}

// WalkFailures calls fn with each address that was given up.
func WalkFailures(ctx context.Context, store *queue.Store, fn func(*crawler.Failure) error) error {
	return walk(ctx, store, tables.Failures, fn)
}

// WalkItems calls fn with each item of a name, in the order of their keys.
func WalkItems(ctx context.Context, store *queue.Store, name string, fn func(*crawler.StoredItem) error) error {
	return walk(ctx, store, tables.Items(name), fn)
}

// WalkSeeds calls fn with each seed of the crawl, in the order of their addresses.
func WalkSeeds(ctx context.Context, store *queue.Store, fn func(*crawler.Request) error) error {
	return walk(ctx, store, tables.Seeds, fn)
}

// WalkNotices calls fn with each notice of a crawl, by kind and address.
func WalkNotices(ctx context.Context, store *queue.Store, fn func(*crawler.Notice) error) error {
	return walk(ctx, store, tables.Notices, fn)
}

// WalkCaptures calls fn with each answer in the archive. Of an
// address that was fetched more than once the last answer comes first.
func WalkCaptures(ctx context.Context, store *queue.Store, fn func(*crawler.Capture) error) error {
	return walk(ctx, store, tables.Captures, fn)
}

// WalkAssets calls fn with each part of pages that was asked for.
func WalkAssets(ctx context.Context, store *queue.Store, fn func(*crawler.Asset) error) error {
	return walk(ctx, store, tables.Assets, fn)
}

// WalkSickHosts calls fn with each host that is left alone for a while, in the
// order of their names.
func WalkSickHosts(ctx context.Context, store *queue.Store, fn func(*crawler.SickHost) error) error {
	return walk(ctx, store, tables.Sick, fn)
}

// HasSeed reports whether the crawl in a store has a seed.
func HasSeed(ctx context.Context, store *queue.Store, seed crawler.Request) (bool, error) {
	var r crawler.Request
	return tables.Get(ctx, store, tables.Seeds, seed.Key(), &r)
}

// ErrStop is what a function returns to end a walk, which then returns nil.
var ErrStop = errors.New("enough")

func walk[T any](ctx context.Context, store *queue.Store, table string, fn func(*T) error) error {
	return stopped(tables.Walk(ctx, store, table, fn))
}

// stopped is what a walk returns that ended with an error.
func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}
