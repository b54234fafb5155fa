package crawler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// The parts of a [Visitor]. Each may be called by many goroutines.
type (
	// Fetcher makes requests: a *stages.Fetcher.
	Fetcher interface {
		Fetch(ctx context.Context, r stages.FetchRequest) (*stages.FetchResponse, error)
	}

	// Scope decides what belongs to a crawl: a *scope.Scope, which is a list of
	// rules, or a scope.Func.
	Scope interface {
		Decide(u weburl.URL, depth int) scope.Decision
	}

	// Robots says why an address may not be fetched, or "": a *RobotsFiles.
	// Its error is what the stage is to return.
	Robots interface {
		Check(ctx context.Context, u weburl.URL, out *pipeline.Out) (forbidden string, err error)
	}

	// Politeness keeps account of hosts: *Hosts.
	Politeness interface {
		Down(ctx context.Context, host string) (why string, err error)
		Rests(ctx context.Context, host string) (until time.Time, slow bool, err error)
		Parked(ctx context.Context, host string, until time.Time, out *pipeline.Out) error
		Answered(ctx context.Context, host string, at time.Time, took time.Duration, tx *queue.Tx) error
		Account(ctx context.Context, host string, resp *stages.FetchResponse, fetchErr error, out *pipeline.Out) (polite.HostState, error)
		SetCrawlDelay(ctx context.Context, host string, delay time.Duration, out *pipeline.Out) (between time.Duration, err error)
	}

	// Recorder adds what came of an address to its transaction, under the key of
	// its request: *Records.
	Recorder interface {
		Page(ctx context.Context, out *pipeline.Out, key string, page *Page) error
		Failure(out *pipeline.Out, key string, failure *Failure) error
		Skip(out *pipeline.Out, skips ...*Skip) error
	}
)

// AllowAll is a [Robots] that forbids nothing.
type AllowAll struct{}

// Check returns "".
func (AllowAll) Check(context.Context, weburl.URL, *pipeline.Out) (string, error) { return "", nil }

// Records writes the records of a crawl into tables of the store and counts them.
// It must not be copied.
type Records struct {
	// Store is where duplicates are looked up. It is required.
	Store *queue.Store

	skips keySet // recorded lately
}

// Page adds the record of a page. Links that it has no room for are left out of
// it and counted as dropped. That its content is that of an earlier page is noted;
// of two that arrive at the same moment neither may be.
func (s *Records) Page(ctx context.Context, out *pipeline.Out, key string, page *Page) error {
	tx := out.Tx()
	if page.Digest != "" && page.Bytes > 0 {
		first, err := s.Store.Get(ctx, tables.Digests, page.digestKey())
		switch {
		case errors.Is(err, queue.ErrNotFound):
			tx.Put(tables.Digests, page.digestKey(), []byte(page.URL))
		case err != nil:
			return err
		case string(first) != page.URL:
			page.DuplicateOf = string(first)
		}
	}
	s.countPage(tx, key, page)
	tx.Add(tables.Crawl, tables.GenerationCounter(page.Generation, tables.CounterPages), 1)
	for {
		b, err := codec.Encode(*page)
		if err != nil {
			return fmt.Errorf("encode record of %s: %w", page.URL, err)
		}
		if len(b) <= s.Store.MaxItem()/3 || len(page.Links) == 0 {
			tx.Put(tables.Pages, key, b)
			return nil
		}
		keep := len(page.Links) / 2
		page.Dropped += len(page.Links) - keep
		page.Links = page.Links[:keep]
	}
}

// countPage counts a page that is new, and takes back what was counted of the visit
// before.
func (s *Records) countPage(tx *queue.Tx, key string, page *Page) {
	redirects := int64(0)
	if page.Redirect != "" {
		redirects++
	}
	if k := page.known; k == nil || k.page == nil {
		tx.Add(tables.Crawl, tables.CounterPages, 1)
	} else {
		if k.page.Redirect != "" {
			redirects--
		}
		if k.page.Digest != "" && k.page.Digest != page.Digest && k.page.DuplicateOf == "" {
			tx.Delete(tables.Digests, k.page.digestKey()) // nobody has that content any more, as far as is known
		}
	}
	if redirects != 0 {
		tx.Add(tables.Crawl, tables.CounterRedirects, redirects)
	}
	forgetFailure(tx, key, page.known)
}

// Failure adds the record of an address that is given up.
func (s *Records) Failure(out *pipeline.Out, key string, f *Failure) error {
	tx := out.Tx()
	if f.known == nil || f.known.failure == nil {
		tx.Add(tables.Crawl, tables.CounterFailures, 1)
	}
	tx.Add(tables.Crawl, tables.GenerationCounter(f.Generation, tables.CounterFailures), 1)
	return tables.Put(tx, tables.Failures, key, *f)
}

// Skip adds the records of links that are not followed, of a page all together. What was
// recorded lately is not written again.
func (s *Records) Skip(out *pipeline.Out, skips ...*Skip) error {
	skips = slices.DeleteFunc(skips, func(skip *Skip) bool { return skip.Request == nil && s.skips.has(tables.Key(skip.URL)) })
	if len(skips) == 0 {
		return nil
	}
	sets, single := skipSets(skips)
	for _, set := range sets {
		if err := set.put(out); err != nil {
			return err
		}
	}
	for _, skip := range single {
		key := tables.Key(skip.URL)
		b, err := codec.Encode(*skip)
		if err != nil {
			return fmt.Errorf("encode record of %s/%s: %w", tables.Skips, key, err)
		}
		out.PutAhead(tables.Skips, key, b)
	}
	out.OnCommit(func() {
		for _, skip := range skips {
			s.skips.add(tables.Key(skip.URL))
		}
	})
	return nil
}
