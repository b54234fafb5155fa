package crawler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// pageAnswer is the answer of an errand for a page or an asset.
type pageAnswer struct {
	*stages.FetchResponse
	err error
}

func (a pageAnswer) keep(b *stages.Budget) bool { return a.Keep(b) }

// robotsAnswer is that of one for a robots.txt.
type robotsAnswer struct {
	robots.Fetch
	share *stages.Share
}

func (a *robotsAnswer) keep(b *stages.Budget) (ok bool) {
	a.share, ok = b.Keep(int64(len(a.Body)) + 1)
	return ok
}

func (a *robotsAnswer) Release() { a.share.Release() }

// robotsKey is the key of the errand for the robots.txt of an origin. That of another one
// is the key under which its address is deferred.
func robotsKey(origin string) string { return "robots.txt of " + origin }

// knows reports whether there is a parked errand for a request, and for the robots.txt
// that it needs first.
func (s *slowHosts) knows(r *Request, u weburl.URL) (page, file bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errands) == 0 {
		return false, false
	}
	return s.errands[deferredKey(u.Host(), r)] != nil, s.errands[robotsKey(u.Origin())] != nil
}

// ask fetches, or returns an *errSlow if the request is parked. Then see leaveParked.
func (v *Visitor) ask(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, fr stages.FetchRequest, slow bool) (*stages.FetchResponse, error) {
	prepare := fr.Prepare
	o := errandOptions{host: u.Host(), key: deferredKey(u.Host(), &r), known: slow, bound: v.mayTake(u.Host())}
	answer, err := v.slow.ask(ctx, out, o, func(ctx context.Context, may alive) any {
		fr.Prepare = ifAlive(may, prepare)
		resp, err := v.Fetcher.Fetch(ctx, fr)
		return pageAnswer{resp, err}
	})
	if err != nil {
		return nil, err
	}
	a := answer.(pageAnswer)
	return a.FetchResponse, a.err
}

// mayTake is how long a request to a host may take: its time limit, and some time in which
// it waits for memory.
func (v *Visitor) mayTake(host string) time.Duration {
	return v.hosts.get(host).Timeout + 5*time.Second
}

// leaveParked defers an address whose request is parked.
func (v *Visitor) leaveParked(ctx context.Context, out *pipeline.Out, r Request, host string, parked *errSlow) error {
	if err := v.Politeness.Parked(ctx, host, parked.until, out); err != nil {
		return err
	}
	return v.deferSlow(out, r, host, parked)
}

// deferSlow defers an address of a slow host.
func (v *Visitor) deferSlow(out *pipeline.Out, r Request, host string, slow *errSlow) error {
	return v.putDeferred(out, r, SickHost{Host: host, Until: slow.until, Error: slow.why, Slow: true})
}

// robotsErrand is fetch, unless it takes so long that it is parked.
func (f *RobotsFiles) robotsErrand(ctx context.Context, host, origin string, out *pipeline.Out) (robots.Fetch, error) {
	if f.slow == nil {
		return f.fetch(ctx, origin, out), nil
	}
	answer, err := f.slow.ask(ctx, out, errandOptions{host: host, key: robotsKey(origin), robots: true, bound: f.mayTake(host)}, func(ctx context.Context, may alive) any {
		return &robotsAnswer{Fetch: f.fetch(ctx, origin, may)}
	})
	if err != nil {
		return robots.Fetch{}, err
	}
	a := answer.(*robotsAnswer)
	a.Release()
	return a.Fetch, nil
}

// comeBack brings the addresses back whose parked requests have ended.
func (j *rejoin) comeBack(ctx context.Context) error {
	for _, e := range j.slow.answered() {
		if err := j.answered(ctx, e); err != nil {
			return fmt.Errorf("bring back what has been answered of %s: %w", e.host, err)
		}
	}
	return nil
}

// answered brings an address back, and lets what else is deferred of its host come when
// the pause is over that follows. If another process brings an address back at the same
// moment, it looks again: the pause must be stored whoever does that, or the host would
// rest until its request would have timed out.
func (j *rejoin) answered(ctx context.Context, e *errand) error {
	for {
		if err := j.answeredOnce(ctx, e); !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}

// answeredOnce is answered, or fails with queue.ErrConflict.
func (j *rejoin) answeredOnce(ctx context.Context, e *errand) error {
	var tx queue.Tx
	took := e.ended.Sub(e.sent)
	if err := j.hosts.Answered(ctx, e.host, e.ended, took, &tx); err != nil {
		return err
	}
	until, _, err := j.hosts.Rests(ctx, e.host)
	if err != nil {
		return err
	}
	var s SickHost
	if ok, err := tables.Get(ctx, j.store, tables.Sick, e.host, &s); err != nil {
		return err
	} else if ok && s.Slow {
		s.Until, s.Error = until, "it has taken "+took.Round(time.Millisecond).String()+" to answer"
		if err := tables.Put(&tx, tables.Sick, e.host, s); err != nil {
			return err
		}
	}
	if e.robots { // any of the host will use the answer
		if _, err := j.add(ctx, &tx, e.host, movedAtOnce); err != nil {
			return err
		}
		return commit(ctx, j.store, &tx)
	}
	rec, err := j.store.Get(ctx, tables.Deferred, e.key)
	if err == nil {
		err = j.move(&tx, queue.Record{Key: e.key, Value: rec})
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) { // it has come back already
		return err
	}
	return commit(ctx, j.store, &tx)
}
