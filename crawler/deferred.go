package crawler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// A sick host must not hold up the others. A generation ends when its last address
// does, so what belongs to a host that is to be left alone for longer than
// Settings.Grace is deferred: it leaves the frontier for the table deferred, in the
// transaction that would have delayed it, and its generation goes on without it.
// When the host's time has come, one address comes back to the frontier, into the
// generation that is being collected then, at its own depth; and when that has
// shown that the host is well again, or is given up, the others.
//
//   - An address is in the frontier or deferred, never both: each move is one
//     transaction.
//   - Whoever is deferred has its host in the table sick, from the same
//     transaction on. That record goes before the last address comes back, and is
//     made anew from the deferred addresses when a crawl begins.
//   - A crawl with deferred addresses is not complete.
//   - A generation counts those that have left it, in the same transaction.

// SickHost is a host that is left alone for a while, or that is waited for while the
// crawl goes on, with the addresses that wait for it. Its JSON form is stable.
type SickHost struct {
	Host  string    `json:"host"`
	Since time.Time `json:"since"` // the first failure
	Until time.Time `json:"until"` // the next attempt
	Error string    `json:"error"` // the last one

	// Slow says that it has not failed, but answers slowly: Until is when its answer
	// must be there, or the pause after it is over.
	Slow bool `json:"slow,omitempty"`
}

// movedAtOnce is how many items are enqueued in one transaction where they are brought
// from somewhere else.
const movedAtOnce = 1000

// deferral is the error of a part of a visit that wants the address deferred.
type deferral struct {
	until time.Time
	why   error
}

func (d *deferral) Error() string { return d.why.Error() }
func (d *deferral) Unwrap() error { return d.why }

// deferredKey is the key of a deferred request: all of a host lie together.
func deferredKey(host string, r *Request) string {
	key := host + " " + r.Key()
	if r.asset { // the same address may wait as a page
		return tables.AssetKey(key)
	}
	return key
}

// deferRequest takes an address out of the frontier until its host's time has come.
func (v *Visitor) deferRequest(out *pipeline.Out, r Request, host string, until time.Time, why string) error {
	return v.putDeferred(out, r, SickHost{Host: host, Until: until, Error: why})
}

// putDeferred takes an address out of the frontier for its host's sake.
func (v *Visitor) putDeferred(out *pipeline.Out, r Request, sick SickHost) error {
	host := sick.Host
	r.failures += out.Failures()
	r.deferred++
	tx := out.Tx()
	if err := tables.Put(tx, tables.Deferred, deferredKey(host, &r), r); err != nil {
		return err
	}
	tx.Add(tables.Crawl, tables.GenerationCounter(out.Generation(), tables.CounterDeferred), 1)
	sick.Since = time.Now()
	if was, ok := v.sick.get(host); ok && was.Slow == sick.Slow {
		sick.Since = was.Since
	} else {
		level := slog.LevelWarn
		if sick.Slow {
			level = slog.LevelInfo
		}
		v.Options.logger().Log(context.Background(), level, "host does not answer as it should; the crawl goes on without it meanwhile", "host", host, "until", sick.Until.Format(time.RFC3339), "err", sick.Error)
	}
	v.sick.put(host, sick)
	out.OnCommit(func() { v.slow.comesBack(sick.Until) })
	return tables.Put(tx, tables.Sick, host, sick)
}

// rejoin brings deferred addresses back, until ctx ends.
type rejoin struct {
	store  *queue.Store
	edge   *pipeline.Edge[Request]
	polite polite.Options
	tries  int           // of a robots.txt
	giveUp time.Duration // the same
	grace  time.Duration
	hosts  Politeness
	slow   *slowHosts
}

// rejoinEvery is how often it is looked whose time has come.
const rejoinEvery = time.Second

func (j *rejoin) run(ctx context.Context) error {
	t := time.NewTicker(rejoinEvery)
	defer t.Stop()
	var next time.Time // when somebody's time may have come
	for {
		if now := time.Now(); !now.Before(next) || j.slow.due(now) {
			due, err := j.due(ctx, now)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("bring deferred addresses back: %w", err)
			}
			next = due
		}
		select {
		case <-t.C:
		case <-j.slow.rings:
			if err := j.comeBack(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// wait waits until something deferred has come back, and reports whether it has:
// otherwise nothing is left, or ctx has ended.
func (j *rejoin) wait(ctx context.Context, tick <-chan time.Time) (more bool, err error) {
	for ctx.Err() == nil {
		over, err := pipeline.DoneAnd(ctx, j.store, func() (bool, error) { return tables.NothingDeferred(ctx, j.store) })
		if err != nil || over {
			return false, err
		}
		// What is not deferred any more by now has come back to the pipeline.
		if done, err := pipeline.Done(ctx, j.store); err != nil || !done {
			return err == nil, err
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
	return false, nil
}

// due brings back what belongs to hosts whose time has come, and returns when that may be
// so of another: of one that fails from now on, not within the grace time.
func (j *rejoin) due(ctx context.Context, now time.Time) (next time.Time, err error) {
	next = now.Add(j.grace)
	err = tables.Walk(ctx, j.store, tables.Sick, func(s *SickHost) error {
		if s.Slow { // what it was asked may have been answered in the meantime
			until, _, err := j.hosts.Rests(ctx, s.Host)
			if err != nil {
				return err
			}
			s.Until = earlier(s.Until, until)
		}
		if now.Before(s.Until) && !j.polite.Ahead(s.Until, now) {
			next = earlier(next, s.Until)
			return nil
		}
		var st polite.HostState
		if _, err := tables.Get(ctx, j.store, tables.Hosts, s.Host, &st); err != nil {
			return err
		}
		var tx queue.Tx
		waiting, err := j.store.Scan(ctx, tables.Deferred, s.Host+" ", s.Host+"!", 1)
		if err != nil {
			return err
		}
		down := st.Failures > 0 && !st.GivenUp(&j.polite)
		if !down {
			if down, err = j.robotsDown(ctx, s.Host); err != nil {
				return err
			}
		}
		if len(waiting) > 0 && down {
			// One of them, to see. What comes of it moves Until, or ends the failures.
			s.Until = now.Add(5 * rejoinEvery)
			next = earlier(next, s.Until)
			if err := tables.Put(&tx, tables.Sick, s.Host, *s); err != nil {
				return err
			}
			_, err := j.bring(ctx, &tx, s.Host, 1)
			return err
		}
		tx.Delete(tables.Sick, s.Host)
		for {
			more, err := j.bring(ctx, &tx, s.Host, movedAtOnce)
			if err != nil {
				return err
			}
			if !more {
				// One may have been deferred in the meantime.
				return j.mend(ctx, s.Host+" ", s.Host+"!")
			}
		}
	})
	return next, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// robotsDown reports whether a host's robots.txt could not be reached when it was
// last asked for, and is to be asked for again.
func (j *rejoin) robotsDown(ctx context.Context, host string) (bool, error) {
	for _, scheme := range []string{"http://", "https://"} {
		b, err := j.store.Get(ctx, tables.Robots, scheme+host)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		var p robots.Policy
		if err := p.UnmarshalBinary(b); err != nil {
			return false, fmt.Errorf("record %s/%s: %w", tables.Robots, scheme+host, err)
		}
		if p.Outcome == robots.Unreachable && !robotsGivenUp(&p, j.tries, j.giveUp) {
			return true, nil
		}
	}
	return false, nil
}

// bring commits a transaction with up to limit deferred addresses of a host that
// come back, and reports whether there may be more. tx is empty then.
func (j *rejoin) bring(ctx context.Context, tx *queue.Tx, host string, limit int) (more bool, err error) {
	more, err = j.add(ctx, tx, host, limit)
	if err != nil {
		return false, err
	}
	if err := commit(ctx, j.store, tx); err != nil && !errors.Is(err, queue.ErrConflict) {
		return false, err
	}
	tx.Reset() // after a conflict another process has brought them, or is about to
	return more, nil
}

// add adds to a transaction that up to limit deferred addresses of a host come back, as
// many as fit, and reports whether there may be more.
func (j *rejoin) add(ctx context.Context, tx *queue.Tx, host string, limit int) (more bool, err error) {
	records, err := j.store.Scan(ctx, tables.Deferred, host+" ", host+"!", limit)
	if err != nil {
		return false, err
	}
	size := 0
	for i, rec := range records {
		if err := j.move(tx, rec); err != nil {
			return false, err
		}
		// The item with its mark, what is required, and what is deleted.
		if size += 400 + 4*len(rec.Key) + 2*len(rec.Value); size >= seedsAtOnce && i < len(records)-1 {
			return true, nil
		}
	}
	return len(records) == limit, nil
}

// move adds to a transaction that a deferred address comes back.
func (j *rejoin) move(tx *queue.Tx, rec queue.Record) error {
	var r Request
	if err := codec.Decode(rec.Value, &r); err != nil {
		return fmt.Errorf("record %s/%s: %w: %w", tables.Deferred, rec.Key, queue.ErrCorrupt, err)
	}
	item, err := j.edge.Item(r)
	if err != nil {
		return err
	}
	tx.Require(tables.Deferred, rec.Key, rec.Value)
	tx.Enqueue(StageCrawl, item)
	tx.Delete(tables.Deferred, rec.Key)
	return nil
}

// forgetParked has slow hosts left alone for no longer than their pause: requests that
// were parked when this process began have ended with the one that made them.
func (j *rejoin) forgetParked(ctx context.Context) error {
	var tx queue.Tx
	err := tables.Walk(ctx, j.store, tables.Sick, func(s *SickHost) error {
		if !s.Slow {
			return nil
		}
		if err := j.hosts.Answered(ctx, s.Host, time.Now(), 0, &tx); err != nil || tx.Len() < movedAtOnce {
			return err
		}
		err := commit(ctx, j.store, &tx)
		tx.Reset()
		return err
	})
	if err != nil || tx.Len() == 0 {
		return err
	}
	return commit(ctx, j.store, &tx)
}

// mend makes sure that each host with deferred addresses in a range of keys is
// among the sick.
func (j *rejoin) mend(ctx context.Context, from, to string) error {
	for {
		records, err := j.store.Scan(ctx, tables.Deferred, from, to, 1)
		if err != nil || len(records) == 0 {
			return err
		}
		host, _, _ := strings.Cut(records[0].Key, " ")
		var s SickHost
		ok, err := tables.Get(ctx, j.store, tables.Sick, host, &s)
		if err != nil {
			return err
		}
		if !ok {
			var tx queue.Tx
			now := time.Now()
			if err := tables.Put(&tx, tables.Sick, host, SickHost{Host: host, Since: now, Until: now}); err != nil {
				return err
			}
			tx.Require(tables.Sick, host, nil)
			if err := commit(ctx, j.store, &tx); err != nil && !errors.Is(err, queue.ErrConflict) {
				return err
			}
		}
		from = host + "!"
	}
}

// groupOf is the host of a request, as the frontier groups them.
func groupOf(r Request) string {
	u, err := r.address()
	if err != nil {
		return ""
	}
	return u.Host()
}
