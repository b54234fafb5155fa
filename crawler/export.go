package crawler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// Result is all that a crawl has stored about an address that it fetched.
type Result struct {
	Page    Page
	Text    *Text                      // nil if extract has not kept any
	Tags    *Tags                      // nil if tag has not kept any
	Results map[string]json.RawMessage // of other stages, by name
}

// WalkResults calls fn with each address that was fetched, in the order of the
// addresses, until fn returns an error, which it then returns. It may be used
// while the crawl runs: each address is read as it is at that moment, and
// nothing is held up. Memory does not grow with the number of addresses.
func WalkResults(ctx context.Context, store *queue.Store, fn func(*Result) error) error {
	stored, err := Load(ctx, store)
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	var others []string
	for _, st := range stored.Settings.stages() {
		if !slices.Contains(BuiltinStages(), st.Name) {
			others = append(others, st.Name)
		}
	}
	return walk(ctx, store, tablePages, func(page *Page) error {
		r, err := readResult(ctx, store, page, others)
		if err != nil {
			return err
		}
		return fn(r)
	})
}

// readResult adds to a page what the stages have stored.
func readResult(ctx context.Context, store *queue.Store, page *Page, others []string) (*Result, error) {
	key := recordKey(page.URL)
	r := &Result{Page: *page}
	var text Text
	if ok, err := get(ctx, store, tableTexts, key, &text); err != nil {
		return nil, err
	} else if ok {
		r.Text = &text
	}
	var tags Tags
	if ok, err := get(ctx, store, tableTags, key, &tags); err != nil {
		return nil, err
	} else if ok {
		r.Tags = &tags
	}
	for _, name := range others {
		var result json.RawMessage
		if ok, err := get(ctx, store, tableResults, name+"/"+key, &result); err != nil {
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
	URL         string                     `json:"url"`
	Status      int                        `json:"status"`
	Generation  int                        `json:"generation"`
	Depth       int                        `json:"depth"`
	Referrer    string                     `json:"referrer"`
	FetchedAt   time.Time                  `json:"fetched_at"`
	ContentType string                     `json:"content_type"`
	Bytes       int                        `json:"bytes"`
	Digest      string                     `json:"digest"`
	Title       string                     `json:"title"`
	Language    string                     `json:"language"`
	Text        string                     `json:"text"`
	Sentences   [][][2]string              `json:"sentences"` // of words with their tags
	Links       []string                   `json:"links"`
	Redirect    string                     `json:"redirect,omitempty"`
	DuplicateOf string                     `json:"duplicate_of,omitempty"`
	NoIndex     bool                       `json:"noindex,omitempty"`
	Results     map[string]json.RawMessage `json:"results,omitempty"`
}

// Row returns the exported form. A page without a title of its own has that of
// its text.
func (r *Result) Row() PageRow {
	p := &r.Page
	row := PageRow{
		URL: p.URL, Status: p.Status, Generation: p.Generation, Depth: p.Depth, Referrer: p.Referrer,
		FetchedAt: p.FetchedAt, ContentType: p.ContentType, Bytes: p.Bytes, Digest: p.Digest, Title: p.Title,
		Redirect: p.Redirect, DuplicateOf: p.DuplicateOf, NoIndex: p.NoIndex, Results: r.Results,
		Sentences: [][][2]string{}, Links: make([]string, len(p.Links)),
	}
	for i, l := range p.Links {
		row.Links[i] = l.To
	}
	if r.Text != nil {
		row.Text, row.Language = r.Text.Text, r.Text.Language
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

// WalkLinks calls fn with each link of each page; see WalkResults.
func WalkLinks(ctx context.Context, store *queue.Store, fn func(LinkRow) error) error {
	return walk(ctx, store, tablePages, func(p *Page) error {
		for _, l := range p.Links {
			if err := fn(LinkRow{From: p.URL, To: l.To, Anchor: l.Anchor, Generation: p.Generation}); err != nil {
				return err
			}
		}
		return nil
	})
}

// WalkFailures calls fn with each address that was given up; see WalkResults.
func WalkFailures(ctx context.Context, store *queue.Store, fn func(*Failure) error) error {
	return walk(ctx, store, tableFailures, fn)
}

// WalkItems calls fn with each item of a name, in the order of their keys; see
// WalkResults.
func WalkItems(ctx context.Context, store *queue.Store, name string, fn func(*StoredItem) error) error {
	return walk(ctx, store, itemTable(name), fn)
}

// walkPage is how many records are read at once.
const walkPage = 32

// walk calls fn with each record of a table, a page of records at a time.
func walk[T any](ctx context.Context, store *queue.Store, table string, fn func(*T) error) error {
	for from := ""; ; {
		records, err := store.Scan(ctx, table, from, "", walkPage)
		if err != nil {
			return err
		}
		for _, r := range records {
			var v T
			if err := codec.Decode(r.Value, &v); err != nil {
				return fmt.Errorf("record %s/%s: %w: %w", table, r.Key, queue.ErrCorrupt, err)
			}
			if err := fn(&v); err != nil {
				return err
			}
		}
		if len(records) < walkPage {
			return nil
		}
		from = records[len(records)-1].Key + "\x00"
	}
}
