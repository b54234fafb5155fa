package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// pacer lets requests pass at a rate.
type pacer interface {
	// Wait returns nil when a request may be made, or why none may.
	Wait(ctx context.Context) error
}

// sharedPace is a rate that several processes keep together. There is one turn, an item of
// a queue. Whoever has it lets as many requests pass as wait in its process, and puts in the
// next turn, due when they are over, in the same transaction that settles it: so there is
// one whoever dies. All times are those of the store; the clocks of the processes do not
// matter.
//
// In any time t no more than rate*(t+paceSlack) requests pass, and those of one turn:
// what a tenth of a second may have, or one. When somebody who has the turn is stopped or cut
// off, nobody has it until its lease ends.
type sharedPace struct {
	store     *queue.Store
	perSecond float64
	most      int // of one turn

	turn chan struct{} // held by who asks for the turn, and has consumer

	consumer *queue.Consumer // nil if there is none

	mu      sync.Mutex
	waiting []chan struct{} // closed when the request may be made
}

const (
	// paceQueue is the queue of the turn, and paceKey its key.
	paceQueue = "weir/rate"
	paceKey   = "turn"

	// paceSlack is how late a turn may be and the next make up for it.
	paceSlack = 200 * time.Millisecond
)

func newSharedPace(store *queue.Store, perSecond float64) *sharedPace {
	return &sharedPace{store: store, perSecond: perSecond, most: paceBurst(perSecond), turn: make(chan struct{}, 1)}
}

func (p *sharedPace) Wait(ctx context.Context) error {
	mine := make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, mine)
	p.mu.Unlock()
	for {
		select {
		case <-mine:
			return nil
		case <-ctx.Done():
			return p.giveUp(mine, context.Cause(ctx))
		case p.turn <- struct{}{}:
		}
		var err error
		if !isClosed(mine) { // else who had the turn has let it pass
			err = p.take(ctx)
		}
		<-p.turn
		if err != nil {
			return p.giveUp(mine, err)
		}
	}
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// giveUp removes a request. It returns nil if it may be made after all.
func (p *sharedPace) giveUp(mine chan struct{}, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, ch := range p.waiting {
		if ch == mine {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return err
		}
	}
	return nil
}

// take waits for the turn and lets pass those that wait.
func (p *sharedPace) take(ctx context.Context) error {
	if err := p.subscribe(ctx); err != nil {
		return err
	}
	ds, err := p.consumer.Receive(ctx, 1)
	if errors.Is(err, queue.ErrLeaseLost) {
		p.end()
		return nil // and again
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	n := min(len(p.waiting), p.most)
	p.mu.Unlock()
	next := readTurn(ds[0]).after(time.Duration(float64(n) / p.perSecond * float64(time.Second)))
	var tx queue.Tx
	tx.Ack(ds[0])
	tx.Enqueue(paceQueue, queue.Item{Key: paceKey, Mode: queue.ReplaceLive, Body: next.body(), Delay: next.wait})
	if err := commit(ctx, p.store, &tx); err != nil {
		p.end() // which gives back what is held still
		if errors.Is(err, queue.ErrLeaseLost) || errors.Is(err, queue.ErrSettled) {
			return nil
		}
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.waiting)) // some may have given up
	for _, ch := range p.waiting[:n] {
		close(ch)
	}
	p.waiting = append(p.waiting[:0], p.waiting[n:]...)
	return nil
}

// subscribe makes sure that there are a turn and a consumer.
func (p *sharedPace) subscribe(ctx context.Context) error {
	if p.consumer != nil {
		return nil
	}
	var tx queue.Tx
	tx.Configure(paceQueue, queue.Config{MaxAttempts: -1, MaxDeaths: -1})
	tx.Enqueue(paceQueue, queue.Item{Key: paceKey, Mode: queue.OnceLive})
	if err := commit(ctx, p.store, &tx); err != nil {
		return err
	}
	return awaitSpace(ctx, func() (err error) {
		p.consumer, err = p.store.Subscribe(ctx, paceQueue, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
		return err
	})
}

// end gives back what is held. It is for who has the turn channel.
func (p *sharedPace) end() {
	if p.consumer != nil {
		_ = p.consumer.Close()
		p.consumer = nil
	}
}

func (p *sharedPace) close() {
	p.turn <- struct{}{}
	p.end()
	<-p.turn
}

// paceTurn is a turn. It ought to have been due at ideal, had nobody been late; those
// before it are over then. As far as it is known it was due at due.
type paceTurn struct {
	ideal, due time.Time
	wait       time.Duration // from when it was put in until it is due
}

// after returns the turn that follows if requests pass now that take so long at the rate.
// It may be put in later than this one was due, and is late then, which the next makes up
// for.
func (t paceTurn) after(cost time.Duration) paceTurn {
	ideal := t.ideal.Add(cost)
	return paceTurn{ideal: ideal, wait: max(ideal.Sub(t.due), 0)}
}

func (t paceTurn) body() []byte {
	return fmt.Appendf(nil, "%d %d", t.ideal.UnixMicro(), t.wait.Microseconds())
}

// readTurn reads the turn of a delivery. One that is none is due now.
func readTurn(d *queue.Delivery) paceTurn {
	var ideal, wait int64
	if n, err := fmt.Sscanf(string(d.Item.Body), "%d %d", &ideal, &wait); n != 2 || err != nil || wait < 0 {
		ideal, wait = 0, 0
	}
	t := paceTurn{ideal: time.UnixMicro(ideal), wait: time.Duration(wait) * time.Microsecond}
	t.due = d.Enqueued.Add(t.wait)
	// Nobody was waiting, or the clock of the store is another.
	if early := t.due.Add(-paceSlack); t.ideal.Before(early) {
		t.ideal = early
	}
	if late := t.due.Add(paceSlack); t.ideal.After(late) {
		t.ideal = late
	}
	return t
}
