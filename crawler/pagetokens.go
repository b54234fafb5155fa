package crawler

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
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
	tokenPause   = time.Second      // between two looks at how many pages there are
	upkeepPause  = 10 * time.Second // and at how many tokens
	giveBackTime = 10 * time.Second // how long giving one back may take
)

// pageTokens are the tokens of this process.
type pageTokens struct {
	store *queue.Store
	max   int64
	count func(context.Context) (int64, error) // pages that were kept

	fills []byte // the record of changes as it was read last; of who fills

	turn chan struct{} // held by who asks for a token

	mu       sync.Mutex
	consumer *queue.Consumer   // nil if there is none
	over     bool              // all pages were kept
	lost     []*queue.Delivery // that could not be given back
}

func newPageTokens(store *queue.Store, max int64, count func(context.Context) (int64, error)) *pageTokens {
	return &pageTokens{store: store, max: max, count: count, turn: make(chan struct{}, 1)}
}

// fill makes as many tokens as pages may still be fetched, or takes away what is too many.
// It may be called at any time, by the process that runs the crawl.
//
// The pages that were kept and the tokens that there are, held or not, are together what
// they were before whenever a page is kept: the same transaction counts it and takes its
// token. So their sum, which ought to be the limit, can be calculated while others work,
// and while they die. It changes only here; a record that each change requires as it was,
// and changes, lets none be made twice.
func (p *pageTokens) fill(ctx context.Context) error {
	p.beginRound()
	for {
		missing, err := p.missing(ctx)
		switch {
		case errors.Is(err, queue.ErrConflict):
			continue // of two processes that fill one goes on
		case err != nil:
			return err
		case missing == 0:
			return nil
		case missing < 0:
			return p.remove(ctx, -missing)
		}
		var tx queue.Tx
		p.claim(&tx)
		tx.Enqueue(tokensQueue, make([]queue.Item, min(missing, movedAtOnce))...)
		if err := commit(ctx, p.store, &tx); err != nil && !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}

// beginRound forgets that all pages were kept: those of a round are counted by themselves.
func (p *pageTokens) beginRound() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = false
}

// fillsRecord is the record that counts the changes of the number of tokens.
const fillsRecord = "token-fills"

// claim adds to a transaction that it is the next change after the last that was read.
func (p *pageTokens) claim(tx *queue.Tx) {
	tx.Require(tables.Crawl, fillsRecord, p.fills)
	n, _ := strconv.ParseInt(string(p.fills), 10, 64) // nil is 0
	p.fills = strconv.AppendInt(nil, n+1, 10)
	tx.Put(tables.Crawl, fillsRecord, p.fills)
}

// missing returns how many tokens are lacking, or how many there are too many if it is
// negative. That holds until the record of changes is another.
func (p *pageTokens) missing(ctx context.Context) (int64, error) {
	last, err := p.store.Get(ctx, tables.Crawl, fillsRecord)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return 0, err
	}
	p.fills = last
	// When this has been committed all changes before it can be seen.
	var tx queue.Tx
	p.claim(&tx)
	tx.Configure(tokensQueue, queue.Config{MaxAttempts: -1, MaxDeaths: -1})
	if err := commit(ctx, p.store, &tx); err != nil {
		return 0, err
	}
	return p.lacking(ctx)
}

// lacking compares the number of tokens with what it ought to be. It may count what was
// changed last in part.
func (p *pageTokens) lacking(ctx context.Context) (int64, error) {
	n, err := p.count(ctx)
	for err == nil {
		tokens, before := int64(0), n
		var st queue.QueueStats
		if st, err = p.store.QueueStats(ctx, tokensQueue); err == nil {
			tokens = st.Ready + st.Delayed + st.Leased + st.Later
			n, err = p.count(ctx)
		}
		if err == nil && n == before {
			return p.max - n - tokens, nil
		}
	}
	return 0, err
}

// remove takes tokens away, as far as nobody holds them.
func (p *pageTokens) remove(ctx context.Context, n int64) error {
	c, err := p.store.Subscribe(ctx, tokensQueue, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
	if err != nil {
		return err
	}
	defer c.Close()
	for n > 0 {
		wait, cancel := context.WithTimeout(ctx, tokenPause)
		ds, err := c.Receive(wait, int(min(n, movedAtOnce)))
		waited := wait.Err() != nil
		cancel()
		if err != nil {
			if waited && ctx.Err() == nil {
				return nil // the rest is held: upkeep comes again
			}
			return err
		}
		var tx queue.Tx
		p.claim(&tx)
		tx.Ack(ds...)
		if err := commit(ctx, p.store, &tx); err != nil {
			if errors.Is(err, queue.ErrConflict) || errors.Is(err, queue.ErrLeaseLost) {
				return nil // another process has begun to
			}
			return err
		}
		n -= int64(len(ds))
	}
	return nil
}

// upkeep fills again where tokens are wrong in number for a while, until ctx ends: because
// the limit was lowered while pages were fetched, say, or whoever filled was killed.
func (p *pageTokens) upkeep(ctx context.Context) error {
	for {
		select {
		case <-time.After(upkeepPause):
		case <-ctx.Done():
			return nil
		}
		if p.reached() {
			continue
		}
		n, err := p.lacking(ctx)
		if err == nil && n != 0 {
			err = p.fill(ctx)
		}
		if err != nil {
			return ended(ctx, err)
		}
	}
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
		var c *queue.Consumer
		err := awaitSpace(ctx, func() (err error) { c, err = p.session(ctx); return err })
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
		p.recover()
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
	out.OnUndone(func() { p.giveBack(token) })
}

// giveBack gives back a token of a page that came to nothing here.
func (p *pageTokens) giveBack(token *queue.Delivery) {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	var tx queue.Tx
	tx.Release(token)
	err := p.store.Commit(ctx, &tx)
	if err == nil || errors.Is(err, queue.ErrSettled) || errors.Is(err, queue.ErrLeaseLost) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, token) // another time
}

// recover gives back tokens that could not be.
func (p *pageTokens) recover() {
	p.mu.Lock()
	lost := p.lost
	p.lost = nil
	p.mu.Unlock()
	for _, token := range lost {
		p.giveBack(token)
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
