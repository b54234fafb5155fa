package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// budgets bound what is fetched beside the number of all pages: the bytes of all,
// and the pages and bytes of each host. What has been used is counted in the
// transactions of the pages, and only where there is such a limit. A limit of bytes
// is passed by the pages under way when it is reached; one of pages is exact. What is
// remembered here is what is counted there, unless other processes count too: then it is
// read each time.
type budgets struct {
	store    *queue.Store
	settings *hostSettingsCache
	shared   bool

	round atomic.Int64 // of which it is counted
	bytes atomic.Int64 // used
	mu    sync.Mutex   // held while a host's use is looked up
	hosts cache[*hostUse]
}

// hostUse is what has been used of a host's budget.
type hostUse struct {
	pages pageLimit
	bytes atomic.Int64
}

// The reasons of skips for budgets, and the names of what is counted.
const (
	reasonMaxBytes     = "max_bytes"
	reasonMaxHostPages = "max_pages_per_host"
	reasonMaxHostBytes = "max_bytes_per_host"

	usedPages = "/pages"
	usedBytes = "/bytes"
)

// load reads what has been used before in a round, for which the budgets hold by
// themselves. It must not be called while pages of the round are fetched: a visitor calls it
// before the first of them, and the others wait for that (followRound).
func (b *budgets) load(ctx context.Context, round int) error {
	b.round.Store(int64(round))
	b.hosts.clear()
	return b.loadBytes(ctx)
}

// counter is the name of what is counted in the present round, of a host or of all.
func (b *budgets) counter(host, what string) string {
	return fmt.Sprintf("%d/%s%s", b.round.Load(), host, what)
}

func (b *budgets) loadBytes(ctx context.Context) error {
	n, err := tables.Counter(ctx, b.store, tables.Uses, b.counter("", usedBytes))
	b.bytes.Store(n)
	return err
}

// spent returns the reason why nothing more is fetched of a host, with a text for
// people, or "".
func (b *budgets) spent(ctx context.Context, host string) (reason, text string, err error) {
	s := b.settings.get(host)
	if s.MaxBytes > 0 && b.shared {
		if err := b.loadBytes(ctx); err != nil {
			return "", "", err
		}
	}
	if m := s.MaxBytes; m > 0 && b.bytes.Load() >= m {
		return reasonMaxBytes, fmt.Sprintf("%s have been fetched, which is the limit", formatSize(m)), nil
	}
	if s.MaxHostPages == 0 && s.MaxHostBytes == 0 {
		return "", "", nil
	}
	use, err := b.use(ctx, host, s)
	if err != nil {
		return "", "", err
	}
	if use.pages.reached() {
		return reasonMaxHostPages, fmt.Sprintf("%d pages of %s have been fetched, which is the limit", s.MaxHostPages, host), nil
	}
	if m := s.MaxHostBytes; m > 0 && use.bytes.Load() >= m {
		return reasonMaxHostBytes, fmt.Sprintf("%s of %s have been fetched, which is the limit", formatSize(m), host), nil
	}
	return "", "", nil
}

// use returns what has been used of a host.
func (b *budgets) use(ctx context.Context, host string, s *Settings) (*hostUse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u, ok := b.hosts.get(host); ok && !b.shared {
		return u, nil
	}
	pages, err := tables.Counter(ctx, b.store, tables.Uses, b.counter(host, usedPages))
	if err != nil {
		return nil, err
	}
	bytes, err := tables.Counter(ctx, b.store, tables.Uses, b.counter(host, usedBytes))
	if err != nil {
		return nil, err
	}
	u := &hostUse{pages: pageLimit{max: int64(s.MaxHostPages), fetched: pages}}
	u.bytes.Store(bytes)
	if !b.shared {
		b.hosts.put(host, u)
	}
	return u, nil
}

// errBudget is returned by begin when the host's pages were spent while it waited.
var errBudget = errors.New("the budget is spent")

// ofHost is the limit of a host's pages, if several processes keep it.
func (b *budgets) ofHost(host string, s *Settings) sharedLimit {
	return sharedLimit{
		max: int64(s.MaxHostPages),
		fetched: func(ctx context.Context) (int64, error) {
			return tables.Counter(ctx, b.store, tables.Uses, b.counter(host, usedPages))
		},
		underway: func(ctx context.Context) (int, error) {
			atOnce := b.settings.of.PerHost
			if atOnce <= 1 { // the host's pages take turns
				return 1, nil
			}
			st, err := b.store.QueueStats(ctx, StageCrawl)
			return min(atOnce, int(st.Leased)), err
		},
	}
}

// begin takes a page of a host's budget, which may wait for those under way. What it
// returns must be called at the end, with the page's transaction, whether it was
// kept and its size as it arrived.
func (b *budgets) begin(ctx context.Context, host string, out *pipeline.Out) (end func(out *pipeline.Out, kept bool, bytes int64), err error) {
	s := b.settings.get(host)
	if s.MaxHostPages == 0 && s.MaxHostBytes == 0 {
		return func(out *pipeline.Out, kept bool, bytes int64) {
			if kept && s.MaxBytes > 0 {
				countBytes(out, &b.bytes, b.counter("", usedBytes), bytes)
			}
		}, nil
	}
	use, err := b.use(ctx, host, s)
	if err != nil {
		return nil, err
	}
	ok := true
	if b.shared && s.MaxHostPages > 0 {
		ok, err = b.ofHost(host, s).begin(ctx)
		if errors.Is(err, pipeline.ErrAgain) { // as will all of the host
			out.Tx().DelayGroup(StageCrawl, host, time.Now().Add(sharedPause/4))
			err = pipeline.ErrAgain
		}
	} else if !b.shared {
		ok, err = use.pages.begin(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errBudget
	}
	return func(out *pipeline.Out, kept bool, bytes int64) {
		if !b.shared {
			whenKept(out, kept, use.pages.end)
		}
		if !kept {
			return
		}
		out.Tx().Add(tables.Uses, b.counter(host, usedPages), 1)
		countBytes(out, &use.bytes, b.counter(host, usedBytes), bytes)
		if s.MaxBytes > 0 {
			countBytes(out, &b.bytes, b.counter("", usedBytes), bytes)
		}
	}, nil
}

// count counts the bytes of what is no page, such as an asset, which no number of pages
// bounds.
func (b *budgets) count(ctx context.Context, out *pipeline.Out, host string, bytes int64) error {
	s := b.settings.get(host)
	if s.MaxBytes > 0 {
		countBytes(out, &b.bytes, b.counter("", usedBytes), bytes)
	}
	if s.MaxHostPages == 0 && s.MaxHostBytes == 0 {
		return nil
	}
	use, err := b.use(ctx, host, s)
	if err != nil {
		return err
	}
	countBytes(out, &use.bytes, b.counter(host, usedBytes), bytes)
	return nil
}

// countBytes counts bytes in the transaction of what has arrived, and at once in memory,
// so that whoever asks in the meantime knows of them.
func countBytes(out *pipeline.Out, used *atomic.Int64, counter string, n int64) {
	used.Add(n)
	out.Tx().Add(tables.Uses, counter, n)
	out.OnUndone(func() { used.Add(-n) })
}
