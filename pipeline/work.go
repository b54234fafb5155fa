package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// takeAtOnce is how many values a stage takes with one call, unless it works on
// batches.
const takeAtOnce = 64

// work takes values and starts the stage on each, or on all of a batch, until
// taking ends; then it waits for those at work. A slot of the limiter is held
// while the stage runs, and not while its result is committed unless the stage
// is serial or works on batches, so that computing stages do not wait for the
// disk; the session's prefetch bounds both together.
//
// A session that the store has ended, as one does over a network that was cut, is
// followed by another: what it held has gone back.
func (s *stage) work(taking, working context.Context) error {
	for {
		err := s.session(taking, working)
		if err == nil || taking.Err() != nil || !errors.Is(err, queue.ErrLeaseLost) {
			return err
		}
		s.p.log.Warn("session lost", "stage", s.name, "err", err)
	}
}

// subscribe begins a session, and waits for space on the disk where even that needs some.
func (p *Pipeline) subscribe(ctx context.Context, name string, o *queue.SubscribeOptions) (*queue.Consumer, error) {
	for {
		c, err := p.store.Subscribe(ctx, name, o)
		if !isFull(err) || !p.pause(ctx, "stage "+name, err) {
			return c, err
		}
	}
}

// session is work for as long as a session lasts.
func (s *stage) session(taking, working context.Context) error {
	c, err := s.p.subscribe(taking, s.name, &queue.SubscribeOptions{
		Barriers: queue.NoBarriers,
		Prefetch: 2*s.maxWorkers*s.batch + max(takeAtOnce, s.batch),
		Affinity: s.affinity,
	})
	if err != nil {
		if taking.Err() != nil {
			return nil
		}
		return err
	}
	defer c.Close()
	ctx, stop := context.WithCancelCause(taking)
	defer stop(nil)
	var group sync.WaitGroup
	defer group.Wait()
	idle := make(chan []*queue.Delivery) // to those who have worked before, whose stacks have grown
	defer close(idle)
	call := func(batch []*queue.Delivery) {
		s.limit.begin()
		err := error(goexitError(s.name)) // unless handle returns
		defer func() {
			if err != nil {
				stop(err)
			}
		}()
		err = s.handle(working, batch)
	}
	slots := takeAtOnce // asked for at a time
	if s.batch > 1 {
		slots = 1
	}
	for {
		n, err := s.limit.acquire(ctx, slots)
		if err != nil {
			return failure(ctx, taking)
		}
		ds, err := s.take(ctx, c, n*s.batch)
		calls := (len(ds) + s.batch - 1) / s.batch
		if s.limit.release(n - calls); err != nil {
			if ctx.Err() != nil {
				return failure(ctx, taking)
			}
			return err
		}
		for batch := range slices.Chunk(ds, s.batch) {
			select {
			case idle <- batch:
			default:
				group.Go(func() {
					call(batch)
					for batch := range idle {
						call(batch)
					}
				})
			}
		}
	}
}

// goexitError ends a pipeline whose stage, of that name, has ended the goroutine that it
// was called in: what it was called for would wait for ever.
type goexitError string

func (e goexitError) Error() string {
	return fmt.Sprintf("stage %s has called runtime.Goexit, as FailNow of a test does", string(e))
}

// failure returns why a context ended, or nil if it is that taking has.
func failure(ctx, taking context.Context) error {
	if taking.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// take waits until the queues that the stage feeds have room, and for values.
// Loops are exempt: they live on disk, and a stage that waited for itself would
// wait for ever.
func (s *stage) take(ctx context.Context, c *queue.Consumer, n int) ([]*queue.Delivery, error) {
	for _, f := range s.feeds {
		if s.p.loops(s.name, f) {
			continue
		}
		if err := s.p.store.WaitSpace(ctx, f); err != nil {
			return nil, err
		}
	}
	return c.Receive(ctx, n)
}

// handle runs the stage on values and commits what comes of it. It returns an
// error only if the pipeline cannot go on. It gives back the slot that it holds.
func (s *stage) handle(working context.Context, ds []*queue.Delivery) error {
	release := sync.OnceFunc(func() { s.limit.end() })
	defer release()
	called := release
	if s.serial || s.batch > 1 { // the values of a batch may have to be tried again
		called = func() {}
	}
	err := s.attempt(working, ds, called)
	if !errors.Is(err, errBatch) {
		return err
	}
	for _, d := range ds {
		if err := s.attempt(working, []*queue.Delivery{d}, func() {}); err != nil {
			return err
		}
	}
	return nil
}

// errBatch is returned by attempt for a batch that failed, and that nothing has
// come of: its values are to be tried one by one.
var errBatch = errors.New("batch failed")

// attempt is handle for one call of the stage; called is called after it.
func (s *stage) attempt(working context.Context, ds []*queue.Delivery, called func()) error {
	chains := s.mayChain(ds)
	out := s.newOut(ds[0], chains)
	bodies := make([][]byte, len(ds))
	for i, d := range ds {
		bodies[i] = d.Item.Body
	}
	err := s.run(working, func(ctx context.Context) error { return s.call(ctx, bodies, out) })
	if err == nil {
		out.returned, err = true, out.err
	}
	if len(ds) > 1 && aboutValues(err) && working.Err() == nil {
		s.p.log.Debug("batch failed", "stage", s.name, "values", len(ds), "err", err)
		return errBatch
	}
	var links []*link
	if err == nil && chains {
		left := chainMost
		links = s.chain(working, ds[0].Epoch, out, &left)
		err = out.encode()
	}
	called()
	if len(links) > 0 {
		if err == nil {
			if done, failed := s.commitChain(working, ds, out, links); done {
				return failed
			}
			out.unchain()
			err = out.encode()
		}
		if failed := protect(func() error { undone(links); return nil }); failed != nil {
			return failed
		}
	}
	var smaller func() (*queue.Tx, error)
	if err == nil {
		smaller = func() (*queue.Tx, error) { return s.divide(working, ds, out) }
	}
	tx := s.settle(working, ds, out, err)
	if err != nil {
		out.journal = nil // as what it has emitted
	}
	committed, failed := s.commit(working, ds, tx, out, smaller)
	if failed == nil && (!committed || err != nil && out.returned) {
		return protect(func() error { out.callUndone(); return nil })
	}
	if err != nil || failed != nil {
		return failed
	}
	return protect(func() error { out.callAfter(); return nil })
}

// newOut returns the Out for a call of the stage.
func (s *stage) newOut(d *queue.Delivery, chains bool) *Out {
	out := &Out{
		feeds: s.feeds, chains: chains, attempt: d.Attempt, failures: d.Attempt - 1 - d.Deaths,
		generation: int(d.Epoch), id: d.ID, of: d,
	}
	out.last = s.lastAttempt(out.failures + 1)
	if out.feeds == nil {
		out.feeds = []string{}
	}
	return out
}

// run calls the stage, within its time limit.
func (s *stage) run(working context.Context, call func(ctx context.Context) error) error {
	ctx := working
	if s.timeLimit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(working, s.timeLimit, ErrTimeLimit)
		defer cancel()
	}
	start := time.Now()
	err := protect(func() error {
		err := call(ctx)
		if err != nil { // asked here, where it may panic: a nil pointer of its type, say
			_, _ = err.Error(), errors.Is(err, ErrAgain)
			_, _ = verdict(err)
		}
		return err
	})
	s.took(time.Since(start))
	if err != nil && working.Err() == nil && context.Cause(ctx) == ErrTimeLimit {
		err = fmt.Errorf("%w after %v: %w", ErrTimeLimit, s.timeLimit, err)
	}
	return err
}

// took notes how long a call has taken, for slow.
func (s *stage) took(d time.Duration) {
	for {
		old := s.average.Load()
		if s.average.CompareAndSwap(old, old+(int64(d)-old)/4) {
			return
		}
	}
}

// slow reports whether the latest calls have taken long.
func (s *stage) slow() bool { return s.average.Load() > int64(slowCall) }

// aboutValues reports whether the error of a stage may be about one of several
// values.
func aboutValues(err error) bool {
	if err == nil || errors.Is(err, ErrAgain) {
		return false
	}
	_, notBefore := verdict(err)
	return notBefore.IsZero()
}

// lastAttempt reports whether an item that fails so often is given up.
func (s *stage) lastAttempt(failures int) bool {
	most := cmp.Or(s.config.MaxAttempts, queue.DefaultMaxAttempts)
	return most > 0 && failures >= most
}

// settle builds the transaction for what a stage has returned.
func (s *stage) settle(working context.Context, ds []*queue.Delivery, out *Out, err error) *queue.Tx {
	switch {
	case err == nil:
		return success(ds, out, out.emitted)
	case errors.Is(err, ErrAgain):
		tx := out.Tx()
		var snooze *snoozeError
		if !errors.As(err, &snooze) {
			tx.Release(ds...)
			return tx
		}
		for _, d := range ds {
			tx.Snooze(d, snooze.after)
		}
		return tx
	case working.Err() != nil:
		var tx queue.Tx
		tx.Release(ds...)
		return &tx
	}
	tx := out.OnFailure()
	permanent, notBefore := verdict(err)
	for _, d := range ds {
		s.failed(d, err)
		switch {
		case permanent:
			tx.Bury(d, err)
		case !notBefore.IsZero():
			tx.RetryAfter(d, max(time.Until(notBefore), 0), err)
		default:
			tx.Retry(d, err)
		}
	}
	return tx
}

// success is the transaction of a stage that has returned nil.
func success(ds []*queue.Delivery, out *Out, emitted []emission) *queue.Tx {
	tx := new(queue.Tx)
	tx.Append(out.Tx())
	for i := range emitted {
		emitted[i].add(tx)
	}
	if out.unused {
		tx.AckUnused(ds...)
	} else {
		tx.Ack(ds...)
	}
	return tx
}

// spillAtOnce is how many emissions divide commits in one transaction, if they fit.
const spillAtOnce = 1024

// divide is for a success that is larger than a transaction can be: a page with
// ten thousand links, say. It commits ahead what can do no harm, and returns the
// transaction of the rest, or nil if there is no such thing. Items whose key
// makes them enter their queue once can do no harm: if the process dies before
// the rest is committed, the stage emits them again, and the queue drops those
// that it has. They lie in the generation that they belong to, since the one
// before it cannot end while ds are not acknowledged.
func (s *stage) divide(working context.Context, ds []*queue.Delivery, out *Out) (*queue.Tx, error) {
	var ahead, rest []emission
	for _, e := range out.emitted {
		if e.mayPrecede() {
			ahead = append(ahead, e)
		} else {
			rest = append(rest, e)
		}
	}
	if len(ahead) == 0 {
		return nil, nil
	}
	for n := spillAtOnce; len(ahead) > 0; {
		n = min(n, len(ahead))
		var tx queue.Tx
		tx.WaitIfFull()
		for i := range ahead[:n] {
			ahead[i].add(&tx)
		}
		switch err := s.p.store.Commit(working, &tx); {
		case errors.Is(err, queue.ErrTooLarge) && n > 1:
			n /= 2
		case errors.Is(err, queue.ErrTooLarge):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			ahead = ahead[n:]
		}
	}
	return success(ds, out, rest), nil
}

// commit commits the transaction that settles ds, with what out has for a journal, or
// another that does, whatever it takes. If tx is too large it asks for a smaller one,
// unless smaller is nil. It reports whether what the stage wanted was committed. For
// several deliveries it may return errBatch.
func (s *stage) commit(working context.Context, ds []*queue.Delivery, tx *queue.Tx, out *Out, smaller func() (*queue.Tx, error)) (committed bool, err error) {
	wanted, j, givesBack := tx, out.journal, false
	for {
		if tx != wanted {
			j = nil
		}
		err := s.commitTx(working, tx, j, out.entries)
		if errors.Is(err, queue.ErrTooLarge) && len(ds) == 1 && smaller != nil {
			var next *queue.Tx
			if next, err = smaller(); err == nil {
				smaller = nil
				if next != nil {
					tx, wanted = next, next
				}
				continue
			}
		}
		conflict := errors.Is(err, queue.ErrConflict)
		switch {
		case err == nil:
			return tx == wanted, nil
		case refused(err) && len(ds) > 1:
			return false, errBatch
		case errors.Is(err, queue.ErrLeaseLost) && !givesBack:
			// Somebody else has the item by now, or it is another delivery that was lost,
			// which the stage settles as well: then the item comes again.
			tx, givesBack = new(queue.Tx), true
			tx.Release(ds...)
		case errors.Is(err, queue.ErrLeaseLost):
			return false, nil
		case conflict:
			s.failed(ds[0], err)
			tx = new(queue.Tx)
			tx.Retry(ds[0], err)
		case refused(err):
			// What the stage wants can never be stored.
			s.p.log.Warn("item buried", "stage", s.name, "id", ds[0].ID, "err", err)
			tx = new(queue.Tx)
			tx.Bury(ds[0], err)
		case isFull(err) && working.Err() == nil:
			s.p.pause(working, "stage "+s.name, err)
		case isFull(err) && !givesBack:
			tx, givesBack = new(queue.Tx), true
			tx.Release(ds...)
		case isFull(err):
			return false, nil // they go back with the session
		case errors.Is(err, errJournal):
			tx = new(queue.Tx)
			tx.Release(ds...)
		case smaller != nil && working.Err() != nil: // in divide
			tx, smaller = new(queue.Tx), nil
			tx.Release(ds...)
		default:
			return false, fmt.Errorf("commit for %s: %w", s.name, err)
		}
	}
}

// isFull reports whether the store has refused a transaction for lack of space and goes on:
// one that has failed for that has to be opened again.
func isFull(err error) bool {
	return errors.Is(err, queue.ErrDiskFull) && !errors.Is(err, queue.ErrFailed)
}

// refused reports whether the store has refused a transaction for what is in it, and
// would do so again.
func refused(err error) bool {
	for _, target := range []error{
		queue.ErrConflict, queue.ErrNotDirect, queue.ErrLeaseLost, queue.ErrTooLarge, queue.ErrInvalid, queue.ErrUnknownQueue, queue.ErrTooManyBarriers,
		queue.ErrSettled, queue.ErrForeign, queue.ErrBarrier,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
