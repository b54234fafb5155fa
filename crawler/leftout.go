package crawler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// A limit of how much is fetched, once it is reached, leaves out whatever waits of the
// crawl, or of a host. The addresses of a host take turns, and each turn waits for the
// store. So the transaction that leaves one out leaves out those that wait behind it too.
//
//   - Nobody else has any of them. The address whose turn it is holds its host's group until
//     this transaction is committed, which has no effect if it holds it no more. That is so
//     where a host is asked one thing at a time (Settings.PerHost); elsewhere each address
//     has a turn of its own, several of them at once.
//   - Each is left out as in a turn of its own: with its record and its counts.
//   - What the limit does not hold for has its turn: another generation, which another lane
//     of the frontier is, and assets.
const (
	leftOutFirst = 16          // addresses that are looked at, to see whether there are many
	leftOutMost  = movedAtOnce // addresses left out in one transaction
	leftOutBytes = seedsAtOnce // of them in one transaction, about
)

// limitRefusal settles an address that a limit leaves out.
type limitRefusal func(out *pipeline.Out, r Request) error

// limited returns how addresses of a host are settled in a generation if a limit is
// reached that leaves out all of them, or nil.
func (v *Visitor) limited(ctx context.Context, generation int, host string) (limitRefusal, error) {
	if v.limit.reached() || v.tokens != nil && v.tokens.reached() {
		return v.refuseForLimit, nil
	}
	if limit := v.sharedGeneration(generation); limit.max > 0 {
		if n, err := limit.fetched(ctx); err != nil {
			return nil, err
		} else if n >= limit.max {
			return v.refuseForGeneration, nil
		}
	} else if limit, err := v.generation.of(ctx, v.Store, generation); err != nil {
		return nil, err
	} else if limit != nil && limit.reached() {
		return v.refuseForGeneration, nil
	}
	spent, text, err := v.budgets.spent(ctx, host)
	if err != nil || spent == "" {
		return nil, err
	}
	return func(out *pipeline.Out, r Request) error { return v.refuseForBudget(out, r, spent, text) }, nil
}

// leaveOutHost settles an address, and those that wait behind it of its host.
func (v *Visitor) leaveOutHost(ctx context.Context, out *pipeline.Out, r Request, host string, refuse limitRefusal) error {
	if err := refuse(out, r); err != nil || v.Options.Settings.PerHost != 1 {
		return err
	}
	last, err := v.Store.Find(ctx, StageCrawl, v.Options.FrontierKey(r))
	if errors.Is(err, queue.ErrNotFound) || err == nil && last.ID != out.ID() {
		return nil // it is not in the frontier by this name
	}
	if err != nil {
		return err
	}
	left, size := 0, 0
	for limit := leftOutFirst; left < leftOutMost; limit = leftOutMost - left {
		waiting, err := v.Store.Browse(ctx, StageCrawl, &last, limit)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			if w.Item.Group != host || w.Epoch != last.Epoch || w.State != queue.StateReady || size >= leftOutBytes {
				return nil
			}
			if err := v.leaveOutWaiting(ctx, out, w, host, refuse); err != nil {
				return err
			}
			left++
			size += 400 + 3*len(w.Item.Body) // item, record of the skip, and the request in it
		}
		if len(waiting) < limit {
			return nil
		}
		last = waiting[len(waiting)-1]
	}
	return nil
}

// leaveOutWaiting settles an address that waits in the frontier, if it is a page's.
func (v *Visitor) leaveOutWaiting(ctx context.Context, out *pipeline.Out, w queue.Waiting, host string, refuse limitRefusal) error {
	var r Request
	if err := codec.Decode(w.Item.Body, &r); err != nil {
		return nil // whoever takes it says so
	}
	u, err := weburl.Parse(r.URL)
	if err != nil || r.asset || u.Host() != host {
		return nil
	}
	r.URL, r.parsed = u.String(), u
	first, end, err := v.visitFirst(ctx, out, &r)
	if errors.Is(err, pipeline.ErrAgain) {
		return nil
	}
	if err == nil && first {
		err = refuse(out, r)
	}
	end(err)
	if err == nil {
		out.Tx().Remove(w)
	}
	return err
}

func (v *Visitor) refuseForLimit(out *pipeline.Out, r Request) error {
	out.Tx().Add(tables.Crawl, tables.CounterMaxPages, 1)
	return v.leaveOut(out, r, fmt.Sprintf("%s: %d pages have been fetched, which is the limit", ReasonMaxPages, v.limit.max))
}

func (v *Visitor) refuseForBudget(out *pipeline.Out, r Request, reason, text string) error {
	out.Tx().Add(tables.Crawl, tables.CounterLimit+strings.ReplaceAll(reason, "_", "-"), 1)
	return v.leaveOut(out, r, reason+": "+text)
}

const reasonMaxGeneration = "max_pages_per_generation"

func (v *Visitor) refuseForGeneration(out *pipeline.Out, r Request) error {
	text := fmt.Sprintf("%d pages of generation %d were fetched before it, which is the limit", v.generation.max, out.Generation())
	return v.refuseForBudget(out, r, reasonMaxGeneration, text)
}
