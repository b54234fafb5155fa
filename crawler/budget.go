package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// budgets bound what is fetched beside the number of all pages: the bytes of all,
// and the pages and bytes of each host. What has been used is counted in the
// transactions of the pages, and only where there is such a limit. A limit of bytes
// is passed by the pages under way when it is reached; one of pages is exact.
type budgets struct {
	store    *queue.Store
	settings *hostSettingsCache

	round string       // before the names of what is counted
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
// themselves. It must not be called while pages are fetched.
func (b *budgets) load(ctx context.Context, round int) error {
	b.round = fmt.Sprintf("%d/", round)
	b.hosts.clear()
	n, err := tables.Counter(ctx, b.store, tables.Uses, b.round+usedBytes)
	b.bytes.Store(n)
	return err
}

// spent returns the reason why nothing more is fetched of a host, with a text for
// people, or "".
func (b *budgets) spent(ctx context.Context, host string) (reason, text string, err error) {
	s := b.settings.get(host)
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
	if u, ok := b.hosts.get(host); ok {
		return u, nil
	}
	pages, err := tables.Counter(ctx, b.store, tables.Uses, b.round+host+usedPages)
	if err != nil {
		return nil, err
	}
	bytes, err := tables.Counter(ctx, b.store, tables.Uses, b.round+host+usedBytes)
	if err != nil {
		return nil, err
	}
	u := &hostUse{pages: pageLimit{max: int64(s.MaxHostPages), fetched: pages}}
	u.bytes.Store(bytes)
	b.hosts.put(host, u)
	return u, nil
}

// errBudget is returned by begin when the host's pages were spent while it waited.
var errBudget = errors.New("the budget is spent")

// begin takes a page of a host's budget, which may wait for those under way. What it
// returns must be called at the end, with the page's transaction, whether it was
// kept and its size as it arrived.
func (b *budgets) begin(ctx context.Context, host string) (end func(out *pipeline.Out, kept bool, bytes int64), err error) {
	s := b.settings.get(host)
	if s.MaxHostPages == 0 && s.MaxHostBytes == 0 {
		return func(out *pipeline.Out, kept bool, bytes int64) {
			if kept && s.MaxBytes > 0 {
				b.bytes.Add(bytes)
				out.Tx().Add(tables.Uses, b.round+usedBytes, bytes)
			}
		}, nil
	}
	use, err := b.use(ctx, host, s)
	if err != nil {
		return nil, err
	}
	if ok, err := use.pages.begin(ctx); err != nil {
		return nil, err
	} else if !ok {
		return nil, errBudget
	}
	return func(out *pipeline.Out, kept bool, bytes int64) {
		use.pages.end(kept)
		if !kept {
			return
		}
		use.bytes.Add(bytes)
		out.Tx().Add(tables.Uses, b.round+host+usedPages, 1)
		out.Tx().Add(tables.Uses, b.round+host+usedBytes, bytes)
		if s.MaxBytes > 0 {
			b.bytes.Add(bytes)
			out.Tx().Add(tables.Uses, b.round+usedBytes, bytes)
		}
	}, nil
}

// count counts the bytes of what is no page, such as an asset, which no number of pages
// bounds.
func (b *budgets) count(ctx context.Context, out *pipeline.Out, host string, bytes int64) error {
	s := b.settings.get(host)
	if s.MaxBytes > 0 {
		b.bytes.Add(bytes)
		out.Tx().Add(tables.Uses, b.round+usedBytes, bytes)
	}
	if s.MaxHostPages == 0 && s.MaxHostBytes == 0 {
		return nil
	}
	use, err := b.use(ctx, host, s)
	if err != nil {
		return err
	}
	use.bytes.Add(bytes)
	out.Tx().Add(tables.Uses, b.round+host+usedBytes, bytes)
	return nil
}
