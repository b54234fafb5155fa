package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// passed is when requests passed.
type passed struct {
	mu sync.Mutex
	at []time.Time
}

func (p *passed) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = append(p.at, time.Now())
}

// most returns the largest number of requests within a time, beyond what the rate permits
// in it.
func (p *passed) most(perSecond float64) float64 {
	worst := 0.0
	for i := range p.at {
		for j := i; j < len(p.at); j += 1 + (j-i)/20 {
			worst = max(worst, float64(j-i+1)-perSecond*p.at[j].Sub(p.at[i]).Seconds())
		}
	}
	return worst
}

// Four processes together make as many requests as the rate says, and no more at any time;
// also when one makes few, and one vanishes.
func TestRateHoldsOverAllProcesses(t *testing.T) {
	for _, perSecond := range []float64{0.5, 3, 40, 1000} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				span := time.Duration(200 / perSecond * float64(time.Second))
				ctx, cancel := context.WithTimeout(t.Context(), span)
				defer cancel()
				var log passed
				var group sync.WaitGroup
				var paces []*sharedPace
				for process := range 4 {
					p := newSharedPace(store, perSecond)
					paces = append(paces, p)
					life := ctx
					if process == 3 {
						var end context.CancelFunc
						life, end = context.WithTimeout(ctx, span/3)
						defer end()
					}
					for range []int{1, 3, 16, 2}[process] {
						group.Go(func() {
							for p.Wait(life) == nil {
								log.add()
								time.Sleep(time.Duration(process) * time.Millisecond)
							}
						})
					}
				}
				group.Wait()
				if got, want := float64(len(log.at)), 200.0; got < 0.97*want-1 || got > want+perSecond*paceSlack.Seconds()+float64(paceBurst(perSecond))+1 {
					t.Errorf("in %v %v requests passed, want %v", span, got, want)
				}
				if most, may := log.most(perSecond), perSecond*paceSlack.Seconds()+float64(paceBurst(perSecond))+0.001; most > may {
					t.Errorf("at some time %v more passed than the rate permits, want %v at most", most, may)
				}
				for _, p := range paces {
					p.close()
				}
				if err := store.Check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A slow way to the store does not slow the requests: each turn makes up for the time of
// the one before.
func TestRateOfThoseWhoAreFarAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		turn := paceTurn{due: time.Now(), ideal: time.Now()}
		begun := time.Now()
		for range 100 {
			next := turn.after(100 * time.Millisecond)
			time.Sleep(60 * time.Millisecond) // until it is put in
			d := &queue.Delivery{Item: queue.Item{Body: next.body()}, Enqueued: time.Now()}
			time.Sleep(next.wait)
			turn = readTurn(d)
		}
		if took := time.Since(begun); took < 10*time.Second || took > 10*time.Second+paceSlack {
			t.Errorf("100 turns of 100 ms took %v", took)
		}
	})
}

// Requests that are given up let the others pass, and a store that ends says so.
func TestRateOfThoseWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		p := newSharedPace(store, 1)
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 50 { // each of them has the turn, or waits for it
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			go func() { _ = p.Wait(ctx) }()
			if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Wait: %v", err)
			}
			cancel()
		}
		synctest.Wait()
		if n := len(p.waiting); n != 0 {
			t.Errorf("%d wait", n)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		failed := make(chan error)
		go func() { failed <- p.Wait(t.Context()) }()
		synctest.Wait()
		store.Close()
		if err := <-failed; !errors.Is(err, queue.ErrClosed) {
			t.Errorf("Wait on a store that is closed: %v", err)
		}
		p.close()
	})
}

// Whatever stands in the queue, and whichever clock the store has, nobody waits for long.
func TestTurnsThatAreOdd(t *testing.T) {
	now := time.Now()
	for body, want := range map[string]time.Duration{
		"":                      0,
		"nonsense":              0,
		"9223372036854775 0":    2 * paceSlack,
		"-9223372036854775 -5":  0,
		"99999999999999999 0 1": 2 * paceSlack,
	} {
		turn := readTurn(&queue.Delivery{Item: queue.Item{Body: []byte(body)}, Enqueued: now})
		if wait := turn.after(time.Second).wait; wait > time.Second+want || turn.due != now {
			t.Errorf("%q: the next waits for %v, and it was due %v late", body, wait, now.Sub(turn.due))
		}
	}
}

// fullUntil is a driver that has no space before a time.
type fullUntil struct {
	driver.Store
	at time.Time
}

func (d fullUntil) Free() (int64, error) {
	if time.Now().Before(d.at) {
		return 1 << 20, nil
	}
	return 1 << 40, nil
}

// A request whose turn cannot be stored, since the disk is full, waits for that as for its
// turn.
func TestRateWaitsForSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		store, err := queue.New(t.Context(), fullUntil{db, time.Now().Add(time.Minute)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		p := newSharedPace(store, 1)
		defer p.close()
		began := time.Now()
		if err := p.Wait(t.Context()); err != nil || time.Since(began) < time.Minute {
			t.Errorf("it waited %v, %v; want a minute", time.Since(began), err)
		}
	})
}

// noPace lets nothing pass, as a rate does whose store cannot be reached.
type noPace struct{ err error }

func (p noPace) Wait(context.Context) error { return p.err }

// That nothing could be asked for is no failure of a host, nor of its robots.txt.
func TestNoTurnIsNoFailureOfAHost(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		o := &Options{Settings: Settings{IgnoreRobots: ignore}}
		v := &Visitor{Store: store, Edges: NewEdges(o), Options: o}
		v.once.Do(v.init)
		none := noPace{errors.New("the store is away")}
		v.Fetcher.(*Fetchers).pace = none
		if !ignore {
			v.Robots.(*RobotsFiles).Fetcher.(*Fetchers).pace = none
		}
		out := pipeline.NewOut()
		if err := v.Visit(t.Context(), Request{URL: "http://a.example/"}, out); !errors.Is(err, none.err) {
			t.Errorf("Visit returned %v, want %v", err, none.err)
		}
		if n := out.OnFailure().Len(); n != 0 {
			t.Errorf("robots ignored: %v: %d changes are stored of a host that was not asked", ignore, n)
		}
	}
}
