package crawler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// A limit of pages that several processes keep together is a queue of tokens, one for
// each page that may still be fetched. A page holds a token while it is fetched. The
// transaction that keeps the page takes the token away, and any other gives it back; so
// does the end of the process, with everything else that it holds. So as many pages are
// kept as there are tokens, whoever dies.

// tokensQueue is the queue of tokens.
const tokensQueue = "weir/pages"

const (
	tokenPause = time.Second      // between two looks at how many pages there are
	tokenLost  = 15 * time.Minute // after which a token is given back that nobody has settled
)

// pageTokens are the tokens of this process.
type pageTokens struct {
	store *queue.Store
	max   int64
	count func(context.Context) (int64, error) // pages that were kept

	turn chan struct{} // held by who asks for a token

	mu       sync.Mutex
	consumer *queue.Consumer // nil if there is none
	over     bool            // all pages were kept
	ended    map[*queue.Delivery]time.Time
}

func newPageTokens(store *queue.Store, max int64, count func(context.Context) (int64, error)) *pageTokens {
	return &pageTokens{store: store, max: max, count: count, turn: make(chan struct{}, 1), ended: make(map[*queue.Delivery]time.Time)}
}

// fill makes as many tokens as pages may still be fetched. One process does it, before the
// others may work; those that are held all the same are of processes that go on with them.
func (p *pageTokens) fill(ctx context.Context) error {
	p.mu.Lock()
	p.over = false
	p.mu.Unlock()
	if _, err := p.store.Purge(ctx, tokensQueue); err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
		return err
	}
	missing, err := p.missing(ctx)
	if err != nil {
		return err
	}
	for missing > 0 {
		items := make([]queue.Item, min(missing, movedAtOnce))
		var tx queue.Tx
		tx.Enqueue(tokensQueue, items...)
		if err := p.store.Commit(ctx, &tx); err != nil {
			return err
		}
		missing -= int64(len(items))
	}
	return nil
}

// missing returns how many pages may still be fetched for which there is no token. A page
// that is kept is one more, and its token one less, by the same transaction: so the pages
// must be as many before the tokens are counted as they are behind it.
func (p *pageTokens) missing(ctx context.Context) (int64, error) {
	pages, err := p.count(ctx)
	for err == nil {
		st, err := p.store.QueueStats(tokensQueue)
		if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
			return 0, err
		}
		now, err := p.count(ctx)
		if err != nil {
			return 0, err
		}
		if now == pages {
			return p.max - pages - (st.Ready + st.Delayed + st.Leased), nil
		}
		pages = now
	}
	return 0, err
}

func (p *pageTokens) reached() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// begin returns a token, or nil if there will be none.
func (p *pageTokens) begin(ctx context.Context) (*queue.Delivery, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for !p.reached() {
		c, err := p.session(ctx)
		if err != nil {
			return nil, err
		}
		wait, cancel := context.WithTimeout(ctx, tokenPause)
		ds, err := c.Receive(wait, 1)
		waited := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			return ds[0], nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, queue.ErrLeaseLost):
			p.close()
			continue
		case !waited:
			return nil, err
		}
		n, err := p.count(ctx)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.over = n >= p.max
		p.mu.Unlock()
		p.recover(ctx)
	}
	return nil, nil
}

// end settles a token with what becomes of its page.
func (p *pageTokens) end(token *queue.Delivery, kept bool, out *pipeline.Out) {
	if kept {
		out.Tx().Ack(token)
	} else {
		out.Tx().Release(token)
	}
	out.OnFailure().Release(token)
	p.mu.Lock()
	p.ended[token] = time.Now()
	p.mu.Unlock()
	out.OnCommit(func() {
		p.mu.Lock()
		delete(p.ended, token)
		p.mu.Unlock()
	})
}

// recover gives back tokens of pages that came to nothing, without the transaction that
// would have said so.
func (p *pageTokens) recover(ctx context.Context) {
	p.mu.Lock()
	var lost []*queue.Delivery
	for token, at := range p.ended {
		if time.Since(at) > tokenLost {
			lost = append(lost, token)
			delete(p.ended, token)
		}
	}
	p.mu.Unlock()
	for _, token := range lost {
		var tx queue.Tx
		tx.Release(token)
		err := p.store.Commit(ctx, &tx)
		if err == nil || errors.Is(err, queue.ErrSettled) || errors.Is(err, queue.ErrLeaseLost) {
			continue // most were settled by a failure's transaction
		}
		p.mu.Lock()
		p.ended[token] = time.Now() // another time
		p.mu.Unlock()
	}
}

func (p *pageTokens) session(ctx context.Context) (*queue.Consumer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil {
		return p.consumer, nil
	}
	c, err := p.store.Subscribe(ctx, tokensQueue, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
	p.consumer = c
	return c, err
}

func (p *pageTokens) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil {
		_ = p.consumer.Close()
		p.consumer = nil
	}
}
