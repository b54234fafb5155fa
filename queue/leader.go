package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// leader is the Engine that owns the durable state, on a driver.
//
// One goroutine, the committer, owns all durable state: it takes the
// transactions that wait, plans them into one batch, has the batch written, and
// publishes the effects in memory when the batch is durable. No effect is
// visible before, and a crash between any two lines leaves what the last batch
// left. At the start of a plan memory and disk agree, or differ by one batch
// that is being written and that the plan does not depend on; see foresees.
type leader struct {
	db     driver.Store
	opts   Options
	log    *slog.Logger
	secret secret
	limits limits

	requests chan *request // to the committer
	kick     chan struct{} // tells the committer that some queue is flagged
	stop     chan struct{} // closed by Close
	done     chan struct{} // closed when the committer has returned
	failed   chan struct{} // closed by fail

	mu      sync.RWMutex
	queues  map[string]*queueState
	byID    []*queueState        // index is the queue's number less one; nil where there is none
	free    []uint16             // numbers of byID that may be given to new queues
	doomed  []*doom              // what is deleted and not swept yet
	flagged map[*queueState]bool // queues that want housekeeping
	closing bool

	failure  atomic.Pointer[error]  // set once; makes the store refuse everything
	sequence atomic.Uint64          // number of the last published batch
	txSerial atomic.Uint64          // of the next transaction with an id; those before are durable
	flight   atomic.Pointer[flight] // of the batch that is being written, or nil
	clock    clock
	filter   *markFilter // nil if there is none

	itemMemory sched.Memory // waiting items in memory
	dooms      atomic.Int32 // length of doomed

	eventMu sync.Mutex // one call of Options.OnEvent at a time
	notes   noteWriter

	// Owned by the committer.
	nextID      uint64
	plan        *plan      // in the making; nothing but housekeeping has begun if number is 0
	flying      *plan      // being written, or nil
	spare       *plan      // the one of the two plans that is neither
	departed    time.Time  // when the last batch was launched
	passengers  int        // how many requests it had
	launched    chan *plan // to the writer
	landed      chan error // from the writer
	recent      recent[markID, markState]
	settled     recent[uint64, uint64] // items of blocks, by the block's id
	outcomes    outcomes
	batches     recent[batchID, batchState]
	counters    counterCache
	freeChecked time.Time
	freeBytes   int64
	written     int64 // bytes since freeChecked
	refusals    int   // batches of housekeeping alone that were refused, one after the other
	crowdedOut  bool  // housekeeping left no room for the first transaction
}

// New returns a store on a driver, which it owns from then on, and recovers
// it: what was being worked on when the last process died is ready again, with
// a death counted (see Config.MaxDeaths). Backends call New; users call a backend's Open.
func New(ctx context.Context, db driver.Store, options *Options) (*Store, error) {
	s := &leader{
		db:       db,
		opts:     options.withDefaults(),
		limits:   limits{db.Limits()},
		requests: make(chan *request, 1024),
		kick:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		failed:   make(chan struct{}),
		launched: make(chan *plan),
		landed:   make(chan error),
		queues:   make(map[string]*queueState),
		flagged:  make(map[*queueState]bool),
	}
	s.notes = noteWriter{db: db, kick: s.nudge, limit: spareNotes}
	s.log = s.opts.Logger
	s.itemMemory.Limit = int64(s.opts.ItemMemory)
	s.filter = newMarkFilter(s.opts.SeenMemory)
	if limit := s.limits.Bytes / 2; s.opts.MaxItem > limit {
		s.opts.MaxItem = limit
	}
	s.recent.max, s.settled.max, s.batches.max = recentMarksMax, settledBlocksMax, recentBatchesMax
	s.plan, s.spare = newPlan(s, 0), newPlan(s, 1)
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("recover store: %w", err)
	}
	go s.commitLoop()
	return NewStore(s), nil
}

func (s *leader) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return fmt.Errorf("close store: %w", ErrClosed)
	}
	s.closing = true
	s.mu.Unlock()
	queues := s.all()
	close(s.stop)
	<-s.done
	if s.filter != nil {
		s.filter.done.Wait()
	}
	var notes [][]byte
	for _, q := range queues {
		notes = append(notes, q.close()...)
	}
	var errs []error
	if s.failure.Load() == nil {
		errs = append(errs, s.notes.reset(notes))
	}
	errs = append(errs, s.db.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// err returns why the store cannot be used, or nil.
func (s *leader) err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	select {
	case <-s.stop:
		return ErrClosed
	default:
		return nil
	}
}

// alive reports whether this process has the store still, as far as it can know.
func (s *leader) alive() bool {
	if s.err() != nil {
		return false
	}
	d, bounded := s.Lasts()
	return !bounded || d > 0
}

// Lasts implements Store.Lasts.
func (s *leader) Lasts() (d time.Duration, bounded bool) {
	if led, ok := s.db.(driver.Led); ok {
		return led.Lasts(), true
	}
	return 0, false
}

// fail makes the store refuse everything from now on.
func (s *leader) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
		s.log.Error("store failed", "err", cause)
		s.emit(Event{Kind: EventFailed, Err: cause})
		for _, q := range s.all() {
			q.wakeAll()
		}
	}
	return *s.failure.Load()
}

func (s *leader) Commit(ctx context.Context, tx *Tx) error {
	if err := s.commit(ctx, tx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (s *leader) commit(ctx context.Context, tx *Tx) error {
	if err := s.err(); err != nil {
		return err
	}
	if tx.committed {
		return invalidf("transaction was committed already, or given up; use Reset")
	}
	r, err := s.request(tx)
	if err == nil {
		err = s.prepare(ctx, r)
	}
	if err != nil {
		return err
	}
	for {
		err := error(nil)
		if len(r.ops) > 0 || r.named {
			err = s.submit(ctx, r)
		}
		switch {
		case err == nil:
			tx.committed, tx.result = true, r.result
			return nil
		case r.abandoned:
			tx.ops, tx.committed = nil, true // the committer may still be reading them
			return err
		case err == errSweeping:
			if err := s.waitSwept(ctx, r.sweeping); err != nil {
				return err
			}
			continue
		case !tx.wait || !errors.Is(err, ErrQueueFull):
			return err
		}
		if err := r.full.waitSpace(ctx); err != nil {
			return err
		}
	}
}

// request returns the request for a transaction.
func (s *leader) request(tx *Tx) (*request, error) {
	r := &request{ops: tx.ops, settles: tx.settles(), done: make(chan error, 1)}
	if tx.ID != "" {
		r.id, r.since, r.named = s.secret.hash(tx.ID), tx.Since, true
	}
	return r, validTxID(tx.ID)
}

// submit hands a request to the committer and waits for its answer.
func (s *leader) submit(ctx context.Context, r *request) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stop:
		return ErrClosed
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		r.abandoned = true
		return context.Cause(ctx)
	case <-s.done:
		// The committer answers whatever it has taken before it returns.
		select {
		case err := <-r.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// prepare does what needs no order: it checks the transaction, encodes items,
// and looks up the marks of keys, in the caller's goroutine.
func (s *leader) prepare(ctx context.Context, r *request) error {
	r.sequence = s.sequence.Load()
	now := s.wallMS()
	var q *queueState // that of the last keyed item
	for i := range r.ops {
		o := &r.ops[i]
		if err := o.validate(s); err != nil {
			return err
		}
		switch o.kind {
		case opEnqueue:
			if o.value == nil {
				b := make([]byte, 0, encodedItemSize(o.item))
				o.value = appendItem(b, o.item, 0, now)
			}
			if o.item.Key != "" {
				o.hash = s.secret.hash(o.item.Key)
				if q == nil || q.name != o.name {
					q = s.queue(o.name)
				}
				if err := s.lookUpMark(ctx, q, o); err != nil {
					return err
				}
			}
		case opDirectRetry, opDirectBury:
			if o.value == nil {
				o.value = appendItem(nil, o.item, 0, now)
			}
		case opForget:
			o.hash = s.secret.hash(o.key)
		case opRetry, opDefer, opBury:
			o.value = appendReason(o.value[:0], o.err)
		}
		r.grows = r.grows || o.grows()
		r.sets = r.sets || o.kind == opSetGroup
		r.alone = r.alone || o.kind == opDeleteQueue || o.kind == opDeleteTable
	}
	s.measure(r)
	return nil
}

func (s *leader) MaxItem() int { return s.opts.MaxItem }

// lookUpMark reads what is stored under the key of an item that is enqueued to q.
// The committer uses it if nothing has changed it since.
func (s *leader) lookUpMark(ctx context.Context, q *queueState, o *op) error {
	if q == nil {
		return nil // the transaction makes it
	}
	if s.filter.begin(s); s.filter.lacks(markID{q.id, o.hash}) {
		o.markKnown = true
		return nil
	}
	var buf [32]byte
	value, err := s.db.Get(ctx, appendMarkKey(buf[:0], q.id, o.hash))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	o.mark, o.markKnown = value, true
	return nil
}

// queue returns a queue's state, or nil if there is none of that name.
func (s *leader) queue(name string) *queueState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.queues[name]
}

// existing returns a queue's state, or an error that names the queue.
func (s *leader) existing(op, name string) (*queueState, error) {
	if err := s.err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if q := s.queue(name); q != nil {
		return q, nil
	}
	return nil, fmt.Errorf("%s: %w %q", op, ErrUnknownQueue, name)
}

// flag asks the committer to look after a queue.
func (s *leader) flag(q *queueState) {
	s.mu.Lock()
	s.flagged[q] = true
	s.mu.Unlock()
	s.nudge()
}

// nudge makes the committer take a turn.
func (s *leader) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *leader) Get(ctx context.Context, table, key string) ([]byte, error) {
	if err := s.err(); err != nil {
		return nil, fmt.Errorf("get %s/%s: %w", table, key, err)
	}
	if err := validName("table", table); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	var value []byte
	err := ErrNotFound
	if s.doomedTable(table) == nil {
		value, err = s.db.Get(ctx, appendTableKey(nil, table, []byte(key)))
	}
	if err != nil {
		return nil, fmt.Errorf("get %s/%s: %w", table, key, err)
	}
	return value, nil
}

func (s *leader) Scan(ctx context.Context, table, from, to string, limit int) ([]Record, error) {
	if err := s.err(); err != nil {
		return nil, fmt.Errorf("scan %s: %w", table, err)
	}
	if err := validName("table", table); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	if limit <= 0 {
		return nil, fmt.Errorf("scan %s: %w", table, invalidf("limit %d", limit))
	}
	if s.doomedTable(table) != nil {
		return nil, nil
	}
	prefix := appendTableKey(nil, table, nil)
	start, end := appendTableKey(nil, table, []byte(from)), prefixEnd(prefix)
	if to != "" {
		end = appendTableKey(nil, table, []byte(to))
	}
	var records []Record
	err := s.db.Scan(ctx, start, end, func(key, value []byte) bool {
		records = append(records, Record{string(key[len(prefix):]), append([]byte{}, value...)})
		return len(records) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", table, err)
	}
	return records, nil
}
