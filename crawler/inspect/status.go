package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// Status is how far a crawl has come. Its JSON form is stable.
type Status struct {
	Done           bool               `json:"done"`
	Generation     int                `json:"generation"` // that is being crawled, or the last one
	Pages          int64              `json:"pages"`      // fetched, redirects among them
	Redirects      int64              `json:"redirects"`  // of the pages
	Failures       int64              `json:"failures"`
	LeftOut        int64              `json:"left_out"`                  // met and not fetched: for max_pages, or as a trap
	MaxPages       int64              `json:"max_pages"`                 // of those, because so many pages had been fetched
	Limits         []LimitStatus      `json:"limits,omitempty"`          // of those, because of other limits
	Types          []TypeStatus       `json:"types,omitempty"`           // pages that are no HTML
	NearDuplicates int64              `json:"near_duplicates,omitempty"` // pages whose text is nearly that of another
	Assets         int64              `json:"assets,omitempty"`          // parts of pages that were asked for
	LostAssets     int64              `json:"lost_assets,omitempty"`     // of these, could not be had
	Traps          []TrapStatus       `json:"traps,omitempty"`
	Sick           []crawler.SickHost `json:"sick_hosts,omitempty"` // 20 at most
	Queues         []QueueStatus      `json:"queues"`               // in the order of the stages
	Items          []ItemStatus       `json:"items,omitempty"`
	Sizes          []SizeStatus       `json:"sizes,omitempty"` // not in ReadProgress

	// Round is the present round, or the last one, and Rounds are the last 20, if
	// there have been more than the first.
	Round  int             `json:"round"`
	Rounds []crawler.Round `json:"rounds,omitempty"`

	// ClockBehind is by how much the clock of the machine was set back; waits go
	// on as long as they were to be. See queue.QueueStats.
	ClockBehind time.Duration `json:"clock_behind_ns,omitempty"`

	Generations []GenerationStatus `json:"generations"`
}

// ItemStatus is how many items of a name there are.
type ItemStatus struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// QueueStatus is how much waits for a stage.
type QueueStatus struct {
	Name    string  `json:"name"`
	Ready   int64   `json:"ready"`
	Delayed int64   `json:"delayed"`
	Leased  int64   `json:"leased"`
	Later   int64   `json:"later"` // of later generations
	Dead    int64   `json:"dead"`
	Rate    float64 `json:"rate"` // items done a second, lately

	// Error is the last error of one of the oldest items that wait for another
	// attempt.
	Error string `json:"error,omitempty"`
}

// LimitStatus is how many addresses were left out for a limit, which has the name of
// its setting.
type LimitStatus struct {
	Limit string `json:"limit"`
	Hits  int64  `json:"hits"`
}

// TypeStatus is how many pages there are of a media type.
type TypeStatus struct {
	Type  string `json:"type"`
	Pages int64  `json:"pages"`
}

// TrapStatus is how many addresses a rule against traps has refused.
type TrapStatus struct {
	Rule string `json:"rule"`
	Hits int64  `json:"hits"`
}

// GenerationStatus is how far a generation has come.
type GenerationStatus struct {
	Number   int        `json:"number"`
	URLs     int64      `json:"urls"`    // found
	Fetched  int64      `json:"fetched"` // pages and redirects
	Failed   int64      `json:"failed"`
	Deferred int64      `json:"deferred"` // left for a later generation, since their host was sick or slow
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished"` // null while it is under way
	Complete bool       `json:"complete"` // by every stage
}

// ReadStatus returns the status of the crawl in a store, whether it runs or
// not. The cost grows with the number of generations alone.
func ReadStatus(ctx context.Context, store *queue.Store) (Status, error) {
	st, err := readStatus(ctx, store)
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return st, nil
}

// ReadProgress is ReadStatus without the list of generations, at a cost that
// does not grow.
func ReadProgress(ctx context.Context, store *queue.Store) (Status, error) {
	st, frontier, err := readProgress(ctx, store)
	if err != nil {
		return Status{}, fmt.Errorf("progress: %w", err)
	}
	st.Generation = int(frontier.Epoch)
	return st, nil
}

// readProgress also returns the numbers of the frontier.
func readProgress(ctx context.Context, store *queue.Store) (st Status, frontier queue.QueueStats, err error) {
	st = Status{Queues: []QueueStatus{}, Generations: []GenerationStatus{}}
	stored, err := crawler.Load(ctx, store)
	if err != nil {
		return st, frontier, err
	}
	if st.Pages, err = tables.Counter(ctx, store, tables.Crawl, tables.CounterPages); err != nil {
		return st, frontier, err
	}
	for name, n := range map[string]*int64{
		tables.CounterFailures: &st.Failures, tables.CounterRedirects: &st.Redirects, tables.CounterLeftOut: &st.LeftOut, tables.CounterMaxPages: &st.MaxPages,
		tables.CounterNear: &st.NearDuplicates, tables.CounterAssets: &st.Assets, tables.CounterLostAssets: &st.LostAssets,
	} {
		if *n, err = tables.Counter(ctx, store, tables.Crawl, name); err != nil {
			return st, frontier, err
		}
	}
	limits, err := readCounters(ctx, store, tables.CounterLimit)
	if err != nil {
		return st, frontier, err
	}
	for _, c := range limits {
		st.Limits = append(st.Limits, LimitStatus{c.name, c.n})
	}
	types, err := readCounters(ctx, store, tables.CounterType)
	if err != nil {
		return st, frontier, err
	}
	for _, c := range types {
		st.Types = append(st.Types, TypeStatus{c.name, c.n})
	}
	traps, err := readCounters(ctx, store, tables.CounterTrap)
	for _, c := range traps {
		st.Traps = append(st.Traps, TrapStatus{c.name, c.n})
	}
	if err != nil {
		return st, frontier, err
	}
	if st.Sick, err = readSick(ctx, store); err != nil {
		return st, frontier, err
	}
	if st.Done, err = tables.Done(ctx, store); err != nil {
		return st, frontier, err
	}
	stats := make(map[string]queue.QueueStats)
	queues, err := store.Stats(ctx)
	if err != nil {
		return st, frontier, err
	}
	for _, q := range queues {
		stats[q.Name] = q
		st.ClockBehind = max(st.ClockBehind, q.ClockBehind)
	}
	for _, name := range stored.Queues() {
		q := stats[name]
		st.Queues = append(st.Queues, QueueStatus{
			Name: name, Ready: q.Ready, Delayed: q.Delayed, Leased: q.Leased,
			Later: q.Later, Dead: q.Dead, Rate: q.AckRate,
		})
		if q.Delayed == 0 {
			continue
		}
		held, err := store.Holding(ctx, name)
		if err != nil {
			return st, frontier, err
		}
		for _, w := range held.Oldest {
			if w.Failure != "" {
				st.Queues[len(st.Queues)-1].Error = w.Failure
				break
			}
		}
	}
	if st.Round, st.Rounds, err = readRounds(ctx, store); err != nil {
		return st, frontier, err
	}
	for _, k := range stored.Items {
		n, err := tables.Counter(ctx, store, tables.Crawl, tables.ItemCounter(k.Name))
		if err != nil {
			return st, frontier, err
		}
		st.Items = append(st.Items, ItemStatus{k.Name, n})
	}
	return st, stats[crawler.StageCrawl], nil
}

// maxRounds is how many rounds a Status has.
const maxRounds = 20

func readRounds(ctx context.Context, store *queue.Store) (int, []crawler.Round, error) {
	present, _, err := tables.ReadRound(ctx, store)
	if err != nil {
		return 0, nil, err
	}
	var rounds []crawler.Round
	if present.Number > 0 {
		for n := max(present.Number-maxRounds+1, 0); n <= present.Number; n++ {
			r, err := crawler.ReadRound(ctx, store, n)
			if err != nil {
				return 0, nil, err
			}
			rounds = append(rounds, *r)
		}
	}
	return present.Number, rounds, nil
}

func readStatus(ctx context.Context, store *queue.Store) (Status, error) {
	st, frontier, err := readProgress(ctx, store)
	if err != nil {
		return st, err
	}
	if st.Sizes, err = readSizes(ctx, store); err != nil {
		return st, err
	}
	done, err := pipeline.Generations(ctx, store, 0, 1<<20)
	if err != nil {
		return st, err
	}
	for _, g := range done {
		finished := g.Finished
		row := GenerationStatus{Number: g.Number, Started: g.Started, Finished: &finished, Complete: true}
		row.URLs = g.Stages[0].Enqueued
		if err := readOutcomes(ctx, store, &row); err != nil {
			return st, err
		}
		st.Generations = append(st.Generations, row)
	}
	// Those under way: found by the frontier, not yet through every stage.
	barriers, err := openGenerations(ctx, store, len(done), frontier)
	if err != nil {
		return st, err
	}
	for _, row := range barriers {
		if err := readOutcomes(ctx, store, &row); err != nil {
			return st, err
		}
		st.Generations = append(st.Generations, row)
	}
	if n := len(st.Generations); n > 0 {
		st.Generation = st.Generations[n-1].Number
	}
	return st, nil
}

func readOutcomes(ctx context.Context, store *queue.Store, row *GenerationStatus) (err error) {
	if row.Fetched, err = tables.Counter(ctx, store, tables.Crawl, tables.GenerationCounter(row.Number, tables.CounterPages)); err != nil {
		return err
	}
	if row.Failed, err = tables.Counter(ctx, store, tables.Crawl, tables.GenerationCounter(row.Number, tables.CounterFailures)); err != nil {
		return err
	}
	row.Deferred, err = tables.Counter(ctx, store, tables.Crawl, tables.GenerationCounter(row.Number, tables.CounterDeferred))
	return err
}

// openGenerations returns the generations from number from on that have begun.
func openGenerations(ctx context.Context, store *queue.Store, from int, frontier queue.QueueStats) ([]GenerationStatus, error) {
	barriers, err := store.Barriers(ctx, crawler.StageCrawl)
	if errors.Is(err, queue.ErrUnknownQueue) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rows []GenerationStatus
	for _, b := range barriers {
		g := int(b.ID.Epoch)
		if g < from || g > int(frontier.Epoch) {
			continue
		}
		row := GenerationStatus{Number: g, Started: b.Placed, URLs: b.Counts.Enqueued}
		if b.Released.IsZero() {
			row.URLs = frontier.EpochTotals.Enqueued
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// namedCounter is one of the counters whose names begin alike.
type namedCounter struct {
	name string
	n    int64
}

// maxCounters is how many of them a Status has.
const maxCounters = 100

// readCounters returns the counters behind a prefix, by their names.
func readCounters(ctx context.Context, store *queue.Store, prefix string) (all []namedCounter, err error) {
	records, err := store.Scan(ctx, tables.Crawl, prefix, prefix+"\xff", maxCounters)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		n, err := queue.ParseCounter(r.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, namedCounter{strings.TrimPrefix(r.Key, prefix), n})
	}
	return all, nil
}

// MaxSick is how many hosts a Status names at most.
const MaxSick = 20

func readSick(ctx context.Context, store *queue.Store) (all []crawler.SickHost, err error) {
	err = WalkSickHosts(ctx, store, func(s *crawler.SickHost) error {
		if all = append(all, *s); len(all) == MaxSick {
			return ErrStop
		}
		return nil
	})
	return all, err
}
