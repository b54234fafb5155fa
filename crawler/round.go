package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// A crawl goes over its addresses in rounds. Round 0 is the crawl from the seeds;
// each later one visits the addresses that are known by then, as far as their time
// has come, and whatever is new behind them. A round is a run of generations of the
// frontier, which no other round has any of.
//
//   - R1. A round begins only when the crawl is complete. Its beginning, each step of
//     the scan that enqueues the known addresses, and its end are transactions that
//     say in the store how far it is; so a kill between two of them repeats nothing.
//   - R2. A known address enters the frontier once a round: the round is part of its
//     identity there, and the frontier takes an identity once.
//   - R3. Whatever comes of a visit is one transaction, with the entry in the address's
//     History. So there is one entry for each address and round, and no round has one
//     of an address that it did not visit.
//   - R4. The scan is over before the first of its addresses is visited, so all of them
//     lie in one generation, whose barrier is behind them.

// Round is the record of a round. Its JSON form is stable.
type Round struct {
	Number   int        `json:"number"`
	Which    string     `json:"which,omitempty"` // RecrawlAll or RecrawlDue; "" for round 0
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished"` // null while it is under way
	First    int        `json:"first_generation"`
	Last     int        `json:"last_generation"` // of a finished one

	Taken int64 `json:"taken"` // known addresses whose time had come

	// What came of the visits, those to new addresses among them; all zero for round 0.
	New      int64 `json:"new"`
	Same     int64 `json:"same"` // 304, or the same bytes or text again
	Changed  int64 `json:"changed"`
	Moved    int64 `json:"moved"`
	Vanished int64 `json:"vanished"`
	Failed   int64 `json:"failed"`
}

// Which known addresses a round takes.
const (
	RecrawlAll = "all" // each
	RecrawlDue = "due" // those whose time has come
)

// knownTables hold the addresses that a round takes.
var knownTables = []string{tables.Pages, tables.Failures, tables.Assets, tables.Skips}

// scanAtOnce is how many records are looked at in one step of the scan.
const scanAtOnce = 500

// Recrawl begins a round over the known addresses, RecrawlAll or RecrawlDue, if the
// crawl is complete; Run then does it. A crawl or a round that is unfinished is left
// as it is, and Recrawl reports false: Run goes on with it. It begins as Begin does,
// so a new seed is such work, and must not be called while the crawl runs.
func (c *Crawler) Recrawl(ctx context.Context, which string) (begun bool, err error) {
	if which != RecrawlAll && which != RecrawlDue {
		return false, fmt.Errorf("crawl: %w: which addresses to visit again is %q, not %s or %s", ErrSettings, which, RecrawlAll, RecrawlDue)
	}
	if begun, err = c.beginRound(ctx, which); err != nil {
		return false, fmt.Errorf("crawl: begin a round: %w", err)
	}
	return begun, nil
}

func (c *Crawler) beginRound(ctx context.Context, which string) (bool, error) {
	if err := c.begin(ctx); err != nil {
		return false, err
	}
	done, err := tables.Done(ctx, c.store)
	if err != nil || !done {
		return false, err
	}
	st, before, err := tables.ReadRound(ctx, c.store)
	if err != nil || !st.Over {
		return false, err // Run finishes it
	}
	frontier, err := c.store.QueueStats(ctx, StageCrawl)
	if err != nil {
		return false, err
	}
	var tx queue.Tx
	if st.Number == 0 {
		first, err := firstRound(ctx, c.store)
		if err != nil {
			return false, err
		}
		if err := tables.Put(&tx, tables.Rounds, tables.RoundRecord(0), first); err != nil {
			return false, err
		}
	}
	next := tables.RoundState{Number: st.Number + 1, Which: which}
	if err := tables.PutRound(&tx, before, next); err != nil {
		return false, err
	}
	r := Round{Number: next.Number, Which: which, Started: time.Now().UTC(), First: int(frontier.Tail)}
	if err := tables.Put(&tx, tables.Rounds, tables.RoundRecord(r.Number), r); err != nil {
		return false, err
	}
	if err := c.store.Commit(ctx, &tx); err != nil {
		return false, err
	}
	c.options.logger().Info("round begins", "round", r.Number, "which", which)
	return true, nil
}

// firstRound is the record of round 0, which its generations make.
func firstRound(ctx context.Context, store *queue.Store) (Round, error) {
	var r Round
	err := walkGenerations(ctx, store, func(g pipeline.Generation) {
		if g.Number == 0 {
			r.Started = g.Started.UTC()
		}
		finished := g.Finished.UTC()
		r.Finished, r.Last = &finished, g.Number
	})
	return r, err
}

// walkGenerations calls fn with each complete generation.
func walkGenerations(ctx context.Context, store *queue.Store, fn func(pipeline.Generation)) error {
	const limit = 1000
	for from := 0; ; from += limit {
		all, err := pipeline.Generations(ctx, store, from, limit)
		if err != nil {
			return err
		}
		for _, g := range all {
			fn(g)
		}
		if len(all) < limit {
			return nil
		}
	}
}

// finishRound writes the end of the present round, once all of it is done.
func (c *Crawler) finishRound(ctx context.Context) error {
	store := c.store
	st, before, err := tables.ReadRound(ctx, store)
	if err != nil || st.Over || !st.Scanned {
		return err
	}
	r, err := ReadRound(ctx, store, st.Number)
	if err != nil {
		return err
	}
	frontier, err := store.QueueStats(ctx, StageCrawl)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	r.Finished, r.Last = &now, max(int(frontier.Tail)-1, r.First)
	st.Over = true
	var tx queue.Tx
	if err := tables.PutRound(&tx, before, st); err != nil {
		return err
	}
	if err := tables.Put(&tx, tables.Rounds, tables.RoundRecord(r.Number), *r); err != nil {
		return err
	}
	if err := c.commit(ctx, &tx); err != nil {
		return err
	}
	c.options.logger().Info("round complete", "round", r.Number, "new", r.New, "same", r.Same, "changed", r.Changed, "moved", r.Moved, "vanished", r.Vanished, "failed", r.Failed)
	return nil
}

// ReadRound returns a round, with its numbers as they are now. It returns an error
// that wraps queue.ErrNotFound if there has been no such round; round 0 has a record
// once round 1 has begun.
func ReadRound(ctx context.Context, store *queue.Store, number int) (*Round, error) {
	r := new(Round)
	ok, err := tables.Get(ctx, store, tables.Rounds, tables.RoundRecord(number), r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("round %d: %w", number, queue.ErrNotFound)
	}
	return r, r.count(ctx, store)
}

func (r *Round) count(ctx context.Context, store *queue.Store) (err error) {
	if r.Number == 0 || r.Finished != nil {
		return nil
	}
	for outcome, n := range r.outcomes() {
		if *n, err = tables.Counter(ctx, store, tables.Crawl, tables.RoundCounter(r.Number, outcome)); err != nil {
			return err
		}
	}
	return nil
}

// outcomes are the numbers of a round by their counters.
func (r *Round) outcomes() map[string]*int64 {
	return map[string]*int64{
		roundTaken: &r.Taken, VisitNew: &r.New, VisitSame: &r.Same, VisitChanged: &r.Changed, VisitMoved: &r.Moved,
		VisitVanished: &r.Vanished, VisitFailed: &r.Failed,
	}
}

// roundTaken counts the addresses that the scan has enqueued.
const roundTaken = "taken"

// visited is how many addresses have been fetched in the round.
func (r *Round) visited() int64 { return r.New + r.Same + r.Changed + r.Moved }

// presentRound is the round that a visitor is in. Another process may have begun it
// meanwhile; as a round begins with a generation, it is looked up with each new one, and
// what a visitor counts by rounds is counted anew.
type presentRound struct {
	mu         sync.Mutex
	round      int
	generation int // that it was looked up with, and 1
}

func (p *presentRound) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.round
}

// enterRound takes note of the present round, whichever it is.
func (v *Visitor) enterRound(ctx context.Context, store *queue.Store) error {
	st, _, err := tables.ReadRound(ctx, store)
	if err != nil {
		return err
	}
	v.round.mu.Lock()
	defer v.round.mu.Unlock()
	return v.enterLocked(ctx, st.Number)
}

// followRound does so if a generation is new.
func (v *Visitor) followRound(ctx context.Context, generation int) error {
	p := &v.round
	p.mu.Lock()
	defer p.mu.Unlock()
	if generation < p.generation {
		return nil
	}
	st, _, err := tables.ReadRound(ctx, v.Store)
	if err != nil {
		return err
	}
	if st.Number != p.round {
		if err := v.enterLocked(ctx, st.Number); err != nil {
			return err
		}
	}
	p.generation = generation + 1
	return nil
}

// enterLocked enters a round. The caller holds v.round.mu.
func (v *Visitor) enterLocked(ctx context.Context, round int) error {
	if err := v.budgets.load(ctx, round); err != nil {
		return err
	}
	if v.tokens != nil {
		v.tokens.beginRound()
	}
	v.round.round = round
	return nil
}

// scan enqueues the known addresses whose time has come, from where the scan of the
// present round is on, in transactions of bounded size.
func (c *Crawler) scan(ctx context.Context) error {
	for {
		st, before, err := tables.ReadRound(ctx, c.store)
		if err != nil || st.Scanned {
			return err
		}
		round, err := ReadRound(ctx, c.store, st.Number)
		if err != nil {
			return err
		}
		table := knownTables[st.Table]
		records, err := c.store.Scan(ctx, table, st.Cursor, "", scanAtOnce)
		if err != nil {
			return err
		}
		var tx queue.Tx
		taken, size := int64(0), 0
		whole := len(records) < scanAtOnce
		for i, rec := range records {
			st.Cursor = rec.Key + "\x00"
			r, ok, err := c.again(ctx, table, rec, round)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			item, err := c.visitor.Edges.Requests.Item(r)
			if err != nil {
				return err
			}
			tx.Enqueue(StageCrawl, item)
			taken++
			if size += 200 + len(item.Key) + len(item.Body); size >= seedsAtOnce { // item and mark
				whole = whole && i == len(records)-1
				break
			}
		}
		if whole {
			st.Table, st.Cursor = st.Table+1, ""
			st.Scanned = st.Table == len(knownTables)
		}
		if err := tables.PutRound(&tx, before, st); err != nil {
			return err
		}
		if taken > 0 {
			tx.Add(tables.Crawl, tables.RoundCounter(st.Number, roundTaken), taken)
		}
		if err := c.commit(ctx, &tx); err != nil {
			return err
		}
	}
}

// again returns the request that visits a known address again in a round, and
// reports whether its time has come.
func (c *Crawler) again(ctx context.Context, table string, rec queue.Record, round *Round) (r Request, ok bool, err error) {
	var last time.Time
	corrupt := func(err error) error {
		return fmt.Errorf("record %s/%s: %w: %w", table, rec.Key, queue.ErrCorrupt, err)
	}
	if table == tables.Assets {
		var a Asset
		if err := codec.Decode(rec.Value, &a); err != nil {
			return r, false, corrupt(err)
		}
		r = a.request()
		r.round = round.Number
		return r, round.Which == RecrawlAll || !a.Next.After(round.Started.Add(c.options.Settings.Every/2)), nil
	}
	if table == tables.Skips {
		return c.leftOut(ctx, rec, round)
	}
	if table == tables.Failures {
		var f Failure
		if err := codec.Decode(rec.Value, &f); err != nil {
			return r, false, corrupt(err)
		}
		if _, err := c.store.Get(ctx, tables.Pages, rec.Key); !errors.Is(err, queue.ErrNotFound) {
			return r, false, err // it had its turn among the pages
		}
		last = f.At
		r, err = f.request()
	} else {
		var p Page
		if err := codec.Decode(rec.Value, &p); err != nil {
			return r, false, corrupt(err)
		}
		last = p.FetchedAt
		r, err = p.request()
	}
	if err != nil {
		return r, false, corrupt(err)
	}
	r.round = round.Number
	if round.Which == RecrawlAll || r.Sitemap { // sitemaps are how new pages are found
		return r, true, nil
	}
	var h History
	if _, err := tables.Get(ctx, c.store, tables.History, rec.Key, &h); err != nil {
		return r, false, err
	}
	s := &c.options.Settings
	next := h.Next
	if next.IsZero() {
		next = last.Add(s.firstInterval())
	}
	// What falls due before the middle of the time to the next round is nearer to this one.
	return r, !next.After(round.Started.Add(s.Every / 2)), nil
}

// leftOut returns the request of an address that an earlier round has left out for a
// limit, if there is one.
func (c *Crawler) leftOut(ctx context.Context, rec queue.Record, round *Round) (r Request, ok bool, err error) {
	var skip Skip
	if err := tables.Decode(tables.Skips, rec.Key, rec.Value, &skip); err != nil {
		return r, false, err
	}
	if skip.Request == nil {
		return r, false, nil
	}
	if err := r.UnmarshalBinary(skip.Request); err != nil {
		return r, false, fmt.Errorf("record %s/%s: %w: %w", tables.Skips, rec.Key, queue.ErrCorrupt, err)
	}
	for _, table := range []string{tables.Pages, tables.Failures} {
		if known, err := tables.Has(ctx, c.store, table, r.Key()); known || err != nil {
			return r, false, err // it has been visited since, and had its turn there
		}
	}
	r.round = round.Number
	return r, true, nil
}

// nextRound waits until it is time for the next round, and begins it. It reports
// false if there is to be none, or ctx has ended.
func (c *Crawler) nextRound(ctx context.Context) (bool, error) {
	every := c.options.Settings.Every
	done, err := tables.Done(ctx, c.store)
	if err != nil || !done {
		return false, err
	}
	if err := c.finishRound(ctx); err != nil || every <= 0 {
		return false, err
	}
	st, _, err := tables.ReadRound(ctx, c.store)
	if err != nil {
		return false, err
	}
	var last Round
	if st.Number == 0 {
		last, err = firstRound(ctx, c.store)
	} else {
		_, err = tables.Get(ctx, c.store, tables.Rounds, tables.RoundRecord(st.Number), &last)
	}
	if err != nil {
		return false, err
	}
	wait := time.NewTimer(time.Until(last.Started.Add(every)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return false, nil
	}
	begun := false
	err = c.awaitSpace(ctx, func() (err error) { begun, err = c.beginRound(ctx, RecrawlDue); return err })
	return begun, errors.Join(err, c.seeding.end(ctx, c.store)) // workers that come now may begin
}
