package crawler

import (
	"context"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// What a page is worth before others of its generation is the sum of what
// Settings.Priority names, within -queue.MaxPriority and queue.MaxPriority. Hosts take
// turns whatever their pages are worth, so the order holds among the pages of each.
//
// In-links are known bit by bit, and the place of what waits in the frontier does not
// change. So an address that is found to have twice as many of them as when it was
// last enqueued is enqueued again, higher up; whichever comes first is visited, and
// the other one finds that and asks for nothing.

// What Settings.Priority may name, beside "regexp=number".
const (
	PriorityDepth   = "depth"   // 5 less for each link from a seed, at least -50
	PriorityInLinks = "inlinks" // 5 more each time that the number of in-links doubles, at most 50
	PrioritySitemap = "sitemap" // what sitemaps say: -10 to 10, and 5 for what has changed within a week
)

// priorities is Settings.Priority as it is used.
type priorities struct {
	depth, inLinks, sitemap bool
	rules                   []priorityRule
}

type priorityRule struct {
	pattern *regexp.Regexp
	worth   int
}

// parsePriority reads one value of Settings.Priority, which is none of the names.
func parsePriority(text string) (priorityRule, error) {
	i := strings.LastIndexByte(text, '=')
	if i <= 0 {
		return priorityRule{}, fmt.Errorf("%q is none of depth, inlinks and sitemap, and not of the form 'regexp=number'", text)
	}
	n, err := strconv.Atoi(text[i+1:])
	if err != nil || n < -queue.MaxPriority || n > queue.MaxPriority {
		return priorityRule{}, fmt.Errorf("the number of %q must be from %d to %d", text, -queue.MaxPriority, queue.MaxPriority)
	}
	p, err := regexp.Compile(text[:i])
	if err != nil {
		return priorityRule{}, fmt.Errorf("%q: it is no regular expression: %w", text, err)
	}
	return priorityRule{p, n}, nil
}

func checkPriority(v string) (string, error) {
	if v == PriorityDepth || v == PriorityInLinks || v == PrioritySitemap {
		return v, nil
	}
	_, err := parsePriority(v)
	return v, err
}

func newPriorities(s *Settings) priorities {
	var p priorities
	names := s.Priority
	if len(names) == 0 {
		names = []string{PrioritySitemap}
	}
	for _, name := range names {
		switch name {
		case PriorityDepth:
			p.depth = true
		case PriorityInLinks:
			p.inLinks = true
		case PrioritySitemap:
			p.sitemap = true
		default:
			if rule, err := parsePriority(name); err == nil { // New has checked it
				p.rules = append(p.rules, rule)
			}
		}
	}
	return p
}

// of returns what an address is worth by itself.
func (p *priorities) of(u weburl.URL, depth int) int {
	n := 0
	if p.depth {
		n -= 5 * min(depth, 10)
	}
	for _, rule := range p.rules {
		if rule.pattern.MatchString(u.String()) {
			n += rule.worth
		}
	}
	return n
}

// inLinksWorth is what so many in-links are worth, and which doubling that is.
func inLinksWorth(n int64) (worth, doubling int) {
	doubling = min(bits.Len64(uint64(max(n, 1)))-1, 10)
	return 5 * doubling, doubling
}

// countInLink counts a link of a page to an address of the crawl, and enqueues the
// address higher up if it now has twice as many as then.
func (o *offers) countInLink(ctx context.Context, r Request) error {
	v, key := o.v, r.Key()
	n, err := tables.Counter(ctx, v.Store, tables.InLinks, key)
	if err != nil {
		return err
	}
	o.out.Tx().Add(tables.InLinks, key, 1)
	worth, doubling := inLinksWorth(n + 1)
	if doubling == 0 {
		return nil
	}
	r.Priority, r.raised = r.Priority+worth, doubling
	identity := v.Options.FrontierKey(r)
	if v.known.has(identity) {
		return nil
	}
	if done, err := v.isSettled(ctx, key); done || err != nil {
		return err
	}
	v.Edges.Requests.Emit(o.out, r)
	o.offered = append(o.offered, identity)
	return nil
}

// isSettled reports whether an address has been visited, or left out for a limit.
func (v *Visitor) isSettled(ctx context.Context, key string) (bool, error) {
	for _, table := range []string{tables.Pages, tables.Failures} {
		if ok, err := tables.Has(ctx, v.Store, table, key); ok || err != nil {
			return ok, err
		}
	}
	var skip Skip
	ok, err := tables.Get(ctx, v.Store, tables.Skips, key, &skip)
	return ok && skip.Request != nil, err
}

// underway are the addresses of which a request is being made, where there may be
// several. One whose transaction is never heard of again holds for a minute.
type underway struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// begin reports whether nobody else is at an address. Then end must be called.
func (u *underway) begin(key string) bool {
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.until[key]) {
		return false
	}
	if u.until == nil {
		u.until = make(map[string]time.Time)
	}
	u.until[key] = now.Add(reservationTime)
	return true
}

func (u *underway) end(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.until, key)
}

// visitFirst reports whether a page is to be visited, of which several requests may
// wait: the first one that comes is made, and the others find what came of it.
func (v *Visitor) visitFirst(ctx context.Context, out *pipeline.Out, r *Request) (first bool, end func(error), err error) {
	end = func(error) {}
	if !v.priorities.inLinks || r.asset || r.round > 0 {
		return true, end, nil
	}
	key := r.Key()
	if !v.underway.begin(key) {
		return false, end, pipeline.ErrAgain
	}
	end = func(err error) {
		if err != nil {
			v.underway.end(key)
			return
		}
		out.OnCommit(func() { v.underway.end(key) })
		out.OnUndone(func() { v.underway.end(key) })
	}
	done, err := v.isSettled(ctx, key)
	return !done, end, err
}

// generationLimit is Settings.MaxGenerationPages. The frontier is at one generation at
// a time.
type generationLimit struct {
	max int64
	mu  sync.Mutex
	now map[int]*pageLimit // of the present generation
}

// of returns the limit of a generation; nil if there is none.
func (l *generationLimit) of(ctx context.Context, store *queue.Store, generation int) (*pageLimit, error) {
	if l.max == 0 {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.now[generation]; p != nil {
		return p, nil
	}
	n, err := tables.Counter(ctx, store, tables.Crawl, tables.GenerationCounter(generation, tables.CounterPages))
	if err != nil {
		return nil, err
	}
	p := &pageLimit{max: l.max, fetched: n}
	l.now = map[int]*pageLimit{generation: p}
	return p, nil
}

// sharedGeneration is the limit of a generation's pages, if several processes keep it.
func (v *Visitor) sharedGeneration(generation int) (l sharedLimit) {
	if !v.Options.Shared {
		return l
	}
	return sharedLimit{
		max: v.generation.max,
		fetched: func(ctx context.Context) (int64, error) {
			return tables.Counter(ctx, v.Store, tables.Crawl, tables.GenerationCounter(generation, tables.CounterPages))
		},
		underway: func(ctx context.Context) (int, error) {
			st, err := v.Store.QueueStats(ctx, StageCrawl)
			return int(st.Leased), err
		},
	}
}

// isLimit reports whether an address was left out for a limit of how much is fetched,
// so that the next round takes it.
func isLimit(reason string) bool {
	name, _, _ := strings.Cut(reason, ":")
	return slices.Contains([]string{ReasonMaxPages, reasonMaxGeneration, reasonMaxHostPages, reasonMaxHostBytes, reasonMaxBytes}, name)
}
