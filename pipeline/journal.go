package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// A stage may write, beside the store, to what only grows and can be cut: the files of an
// archive. They cannot be part of a transaction, and still hold what the store says that
// they hold and nothing else, because of four invariants:
//
//	J1  The end of what was written is a record of the store. It changes in the
//	    transaction that holds what the entries in front of it belong to.
//	J2  Entries are on the disk before that transaction is committed.
//	J3  Groups are written one after the other: the next one only when the store has
//	    accepted or refused the one before. Each begins at the end that the store has, and
//	    first cuts off whatever lies behind it: entries of a group that was refused, or of
//	    a process that died.
//	J4  A group whose transaction is refused has had no effect, and is tried again in
//	    halves. So the store refuses what it would have refused without a journal, and
//	    nothing else. What was written for it is cut off even if nothing follows.
//	J5  After a commit whose outcome is unknown nothing is written by this process.
//
// The order of commits is that of writes since whoever commits writes: transactions with
// entries wait for their turn, and the first of those that wait writes the entries of all,
// syncs once, and commits all in one transaction.

// Journal is what a stage writes to beside the store. Make one with [NewJournal]. Its
// methods are safe for concurrent use.
type Journal[T any] struct{ core *journal }

// NewJournal returns a journal. Write makes entries durable behind the end that the store
// knows, after cutting off what lies behind that, and adds to tx a record of the new end
// and what else the store is to know of the entries; tx then also holds what the stage wants
// for the values that the entries belong to, and is committed. It is called for one group of
// entries at a time, and again with the same entries, or some of them, if tx was refused: it
// must not change what they refer to. Without entries it only cuts off, and its tx is
// dropped. If it fails with [RetryAfter] it is called again then, and the values wait;
// another error ends the pipeline.
func NewJournal[T any](write func(ctx context.Context, entries []T, tx *queue.Tx) error) *Journal[T] {
	return &Journal[T]{&journal{most: journalMost, write: func(ctx context.Context, entries []any, tx *queue.Tx) error {
		values := make([]T, len(entries))
		for i, e := range entries {
			values[i] = e.(T)
		}
		return write(ctx, values, tx)
	}}}
}

// Add has an entry written if the stage returns nil: it is in the journal if and only if
// what out has collected is in the store. A call of a stage writes to one journal.
func (j *Journal[T]) Add(out *Out, entry T) {
	if out.journal != nil && out.journal != j.core {
		out.fail(errJournals)
		return
	}
	out.journal = j.core
	out.entries = append(out.entries, entry)
}

var errJournals = errors.New("a call of a stage writes to more than one journal")

// errJournal is returned where entries could not be written before the pipeline stopped.
var errJournal = errors.New("journal not written")

// Bounds of a group.
const (
	journalMost  = 256     // transactions
	journalBytes = 1 << 20 // of what they change, which no single one is bounded by
)

type journal struct {
	write func(ctx context.Context, entries []any, tx *queue.Tx) error

	mu      sync.Mutex
	waiting []*posting // the first leads, or is told to when the present group is over
	led     bool       // there is a present group
	most    int        // transactions in a group, as far as the store took them
	left    time.Time  // when the last group was taken
	alone   int        // so many groups are not kept back, as nobody came while one was
	unknown error      // the error of a commit whose outcome is not known
}

// posting is a transaction with entries.
type posting struct {
	tx      *queue.Tx
	entries []any
	bytes   int
	err     error
	lead    chan bool // capacity 1: true if it is to lead, false if it is done
}

// commit commits a transaction with its entries. An error that wraps errJournal means that
// nothing has happened, since working ended.
func (j *journal) commit(working context.Context, store *queue.Store, tx *queue.Tx, entries []any) error {
	p := &posting{tx: tx, entries: entries, lead: make(chan bool, 1)}
	for c := range tx.Changes() {
		p.bytes += len(c.Key) + len(c.Value)
		if c.Item != nil {
			p.bytes += len(c.Item.Body)
		}
	}
	j.mu.Lock()
	j.waiting = append(j.waiting, p)
	if leads := !j.led; leads {
		j.led = true
		j.mu.Unlock()
	} else {
		j.mu.Unlock()
		if leads = <-p.lead; !leads {
			return p.err
		}
	}
	j.gather()
	group := j.next()
	j.commitGroup(working, store, group)
	j.handOver()
	for _, other := range group[1:] {
		other.lead <- false
	}
	return p.err
}

// journalDelay is how long after one group the next is kept back for more transactions, as
// queue.Options.CommitDelay keeps batches: a group costs two syncs and a batch of the store.
// If none come, that is not tried again for journalAlone groups.
const (
	journalDelay = 10 * time.Millisecond
	journalAlone = 16
)

// gather waits for others.
func (j *journal) gather() {
	j.mu.Lock()
	defer j.mu.Unlock()
	wait := time.Until(j.left.Add(journalDelay))
	switch {
	case wait <= 0, len(j.waiting) >= j.most:
		return
	case j.alone > 0 && len(j.waiting) == 1:
		j.alone--
		return
	}
	j.mu.Unlock()
	time.Sleep(wait)
	j.mu.Lock()
	if j.alone = 0; len(j.waiting) == 1 {
		j.alone = journalAlone
	}
}

// next takes the next group from those that wait.
func (j *journal) next() []*posting {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, bytes := 0, 0
	for n < min(len(j.waiting), j.most) && (n == 0 || bytes+j.waiting[n].bytes <= journalBytes) {
		bytes += j.waiting[n].bytes
		n++
	}
	group := j.waiting[:n:n]
	j.left = time.Now()
	j.waiting = append([]*posting(nil), j.waiting[n:]...)
	return group
}

// handOver lets the next group be written.
func (j *journal) handOver() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.led = len(j.waiting) > 0; j.led {
		j.waiting[0].lead <- true
	}
}

// commitGroup sets the error of each posting.
func (j *journal) commitGroup(working context.Context, store *queue.Store, group []*posting) {
	err := j.try(working, store, group)
	j.learn(len(group), err)
	if n := len(group); n > 1 && refused(err) {
		j.commitGroup(working, store, group[:n/2])
		j.commitGroup(working, store, group[n/2:])
		return
	}
	if noEffect(err) {
		// If that fails, the next call cuts off what lies there.
		_ = protect(func() error { return j.write(context.WithoutCancel(working), nil, new(queue.Tx)) })
	}
	for _, p := range group {
		p.err = err
	}
}

// noEffect reports whether a commit has failed and is known to have had no effect.
func noEffect(err error) bool {
	return refused(err) || errors.Is(err, queue.ErrDiskFull) || errors.Is(err, errJournal)
}

// learn notes how many transactions the store takes at once, and whether what was written
// may be in front of the end of the journal or not.
func (j *journal) learn(n int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		j.most = max(n/2, 1)
	case err == nil && n == j.most:
		j.most = min(n+1, journalMost)
	case err != nil && !noEffect(err):
		j.unknown = err
	}
}

// try writes a group and commits it.
func (j *journal) try(working context.Context, store *queue.Store, group []*posting) error {
	if j.unknown != nil {
		return fmt.Errorf("after a commit of unknown outcome: %w", j.unknown)
	}
	var entries []any
	for _, p := range group {
		entries = append(entries, p.entries...)
	}
	ctx := context.WithoutCancel(working)
	tx := new(queue.Tx)
	for {
		err := protect(func() error { return j.write(ctx, entries, tx) })
		if err == nil {
			break
		}
		tx.Reset()
		_, notBefore := verdict(err)
		switch {
		case notBefore.IsZero():
			return fmt.Errorf("write to journal: %w", err)
		case !sleep(working, time.Until(notBefore)):
			return fmt.Errorf("%w: %w", errJournal, err)
		}
	}
	for _, p := range group {
		tx.Append(p.tx)
	}
	return store.Commit(ctx, tx)
}

// joinEntries adds the entries of a chain's calls to those of the call that began it. It
// reports false if they are of several journals.
func joinEntries(j *journal, entries []any, links []*link) (*journal, []any, bool) {
	for _, l := range links {
		if l.err == nil && l.out.journal != nil {
			if j != nil && j != l.out.journal {
				return nil, nil, false
			}
			j = l.out.journal
			entries = append(entries[:len(entries):len(entries)], l.out.entries...)
		}
		var ok bool
		if j, entries, ok = joinEntries(j, entries, l.next); !ok {
			return nil, nil, false
		}
	}
	return j, entries, true
}

// commitTx commits a transaction, and entries with it if there are any.
func (s *stage) commitTx(working context.Context, tx *queue.Tx, j *journal, entries []any) error {
	if j == nil {
		return s.p.store.Commit(context.WithoutCancel(working), tx)
	}
	return j.commit(working, s.p.store, tx, entries)
}
