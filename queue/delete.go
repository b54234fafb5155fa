package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Deleting a queue or a table is one small write, however much it holds: a record
// that says it is doomed. From then on nobody sees what it held, and housekeeping
// sweeps it away a piece with each batch, also after a crash, until the record goes
// too.
//
// A queue that is made anew under the same name has another number, so nothing of
// the old one can be met by it; the number is free again when all is swept. Records
// of a table have its name in their keys, so a transaction that changes the table
// waits until it is swept.
//
// A transaction that deletes is planned alone in its batch.

// DeleteQueue removes a queue with all that is in it: items, dead letters, barriers,
// durable names, settings, and the memory of keys. It is refused with ErrQueueInUse
// while a session is subscribed, and with ErrInvalid if the transaction changes the
// queue besides. A queue of that name may be made again at once, and knows nothing
// of the old one.
func (tx *Tx) DeleteQueue(queue string) {
	tx.ops = append(tx.ops, op{kind: opDeleteQueue, name: queue})
}

// DeleteTable removes all records of a table. It is refused with ErrInvalid if the
// transaction changes the table besides. Transactions that change the table later
// may have to wait until housekeeping has swept it, some seconds for each million
// records.
func (tx *Tx) DeleteTable(table string) {
	tx.ops = append(tx.ops, op{kind: opDeleteTable, name: table})
}

// doom is a queue or a table that is deleted and not swept yet.
type doom struct {
	queue uint16 // its number, or 0
	table string

	prefixes [][]byte      // of what is yet to be swept
	next     []byte        // where it goes on in the first
	swept    chan struct{} // closed when nothing is left
}

func newDoom(queue uint16, table string) *doom {
	d := &doom{queue: queue, table: table, swept: make(chan struct{})}
	d.begin()
	return d
}

// begin has the sweep start from the beginning.
func (d *doom) begin() {
	d.prefixes, d.next = nil, nil
	if d.queue == 0 {
		d.prefixes = [][]byte{appendTableKey(nil, d.table, nil)}
		return
	}
	for _, kind := range queueKinds {
		d.prefixes = append(d.prefixes, appendQueue(nil, kind, d.queue))
	}
}

// key returns the key of the record: kindDoom, then 0 and a table's name or 1 and a
// queue's number.
func (d *doom) key() []byte {
	if d.queue == 0 {
		return append([]byte{kindDoom, 0}, d.table...)
	}
	return binary.BigEndian.AppendUint16([]byte{kindDoom, 1}, d.queue)
}

func parseDoom(key []byte) (*doom, error) {
	switch {
	case len(key) > 2 && key[1] == 0:
		return newDoom(0, string(key[2:])), nil
	case len(key) == 4 && key[1] == 1 && (key[2] != 0 || key[3] != 0):
		return newDoom(binary.BigEndian.Uint16(key[2:]), ""), nil
	}
	return nil, fmt.Errorf("%w: key %q of something deleted", ErrCorrupt, key)
}

// checkDeletes is check for a request that deletes something. It marks the queues,
// so that nobody subscribes to them any more.
func (p *plan) checkDeletes(r *request) error {
	changes := make(map[string]int) // of each queue and table
	for i := range r.ops {
		if o := &r.ops[i]; o.kind != opRequire {
			changes[o.subject()]++
			if o.kind == opCloseBatch && o.to != o.name {
				changes["queue "+o.to]++
			}
		}
	}
	var marked []*queueState
	err := error(nil)
	for i := range r.ops {
		o := &r.ops[i]
		if o.kind != opDeleteQueue && o.kind != opDeleteTable {
			continue
		}
		if changes[o.subject()] > 1 {
			err = invalidf("a transaction that deletes %s changes it besides", o.subject())
			break
		}
		if o.kind == opDeleteTable {
			continue
		}
		q := p.find(o.name)
		if q == nil {
			err = fmt.Errorf("%w %q", ErrUnknownQueue, o.name)
			break
		}
		if err = q.markGone(); err != nil {
			break
		}
		marked = append(marked, q)
	}
	if err != nil {
		for _, q := range marked {
			q.gone.Store(false)
		}
	}
	return err
}

// subject names what the op changes.
func (o *op) subject() string {
	switch o.kind {
	case opAck, opRetry, opRelease, opSnooze, opDefer, opBury:
		return "queue " + o.d.Queue
	case opPut, opDelete, opAdd, opRequire, opDeleteTable:
		return "table " + o.name
	}
	return "queue " + o.name
}

// markGone notes that the queue is being deleted, unless it has sessions.
func (q *queueState) markGone() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.consumers); n > 0 {
		return fmt.Errorf("%w: %d of %s", ErrQueueInUse, n, q.name)
	}
	q.gone.Store(true)
	return nil
}

// deleteQueue plans that a queue is no more.
func (p *plan) deleteQueue(q *queueState) {
	p.del(p.seal(appendQueue(p.tail(), kindQueue, q.id)))
	p.del(p.seal(appendQueue(p.tail(), kindCounts, q.id)))
	p.doom(newDoom(q.id, ""))
	p.deleted = append(p.deleted, q)
}

func (p *plan) doom(d *doom) {
	p.put(d.key(), nil)
	p.dooms = append(p.dooms, d)
}

// publishDeletes makes a plan's deletions visible, and the end of sweeping.
func (p *plan) publishDeletes() {
	s := p.s
	if len(p.deleted)+len(p.dooms)+len(p.swept) == 0 {
		return
	}
	s.mu.Lock()
	for _, q := range p.deleted {
		delete(s.queues, q.name)
		delete(s.flagged, q)
		s.byID[q.id-1] = nil
	}
	s.doomed = append(s.doomed, p.dooms...)
	for _, d := range p.swept {
		s.doomed = slices.DeleteFunc(s.doomed, func(x *doom) bool { return x == d })
		if d.queue != 0 {
			s.free = append(s.free, d.queue)
		}
		close(d.swept)
	}
	s.dooms.Store(int32(len(s.doomed)))
	s.mu.Unlock()
	for _, q := range p.deleted {
		q.mu.Lock()
		if q.timer != nil {
			q.timer.Stop()
		}
		q.sched.Clear()
		close(q.ended)
		q.mu.Unlock()
	}
	if len(p.swept) > 0 {
		// Nor may the notes say anything of the next queue with such a number.
		s.notes.renew()
		s.nudge()
	}
	if len(p.dooms) > 0 {
		// What is remembered of them must not be taken for what comes after.
		s.recent.forget(p.number)
		s.batches.forget(p.number)
		s.counters = counterCache{}
		s.nudge()
	}
}

// doomedTable returns the doom of a table, or nil.
func (s *leader) doomedTable(table string) *doom {
	if s.dooms.Load() == 0 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, d := range s.doomed {
		if d.queue == 0 && d.table == table {
			return d
		}
	}
	return nil
}

// sweptRecords is how many records are swept with one batch.
const sweptRecords = 4 * housekeepItems

// sweep plans that a piece of what is doomed goes.
func (p *plan) sweep() error {
	s := p.s
	if s.dooms.Load() == 0 {
		return nil
	}
	s.mu.RLock()
	doomed := slices.Clone(s.doomed)
	s.mu.RUnlock()
	p.plain = false
	left := sweptRecords
	for _, d := range doomed {
		for len(d.prefixes) > 0 && left > 0 && p.roomy() {
			start, whole := d.prefixes[0], true
			if d.next != nil {
				start = d.next
			}
			err := p.scan(start, prefixEnd(d.prefixes[0]), func(key, _ []byte) error {
				if left == 0 || !p.roomy() {
					d.next, whole = append([]byte(nil), key...), false
					return errStop
				}
				left--
				p.del(p.seal(append(p.tail(), key...)))
				return nil
			})
			if err != nil {
				return err
			}
			if whole {
				d.prefixes, d.next = d.prefixes[1:], nil
			}
		}
		if len(d.prefixes) == 0 {
			p.del(d.key())
			p.swept = append(p.swept, d)
		}
	}
	s.nudge() // there is more, or this has to be published
	return nil
}

// recoverDoomed reads what is deleted and not swept yet.
func (s *leader) recoverDoomed() error {
	return s.scan(context.Background(), []byte{kindDoom}, []byte{kindDoom + 1}, func(key, _ []byte) error {
		d, err := parseDoom(key)
		if err != nil {
			return err
		}
		s.doomed = append(s.doomed, d)
		s.dooms.Add(1)
		return nil
	})
}

// queueNumber returns the number of a queue that the plan makes.
func (p *plan) queueNumber() int {
	s := p.s
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := len(p.created); n < len(s.free) {
		return int(s.free[n])
	}
	return len(s.byID) + len(p.created) - len(s.free) + 1
}

// enterLocked makes a new queue known. The caller holds s.mu.
func (s *leader) enterLocked(q *queueState) {
	s.queues[q.name] = q
	for int(q.id) > len(s.byID) {
		s.byID = append(s.byID, nil)
	}
	s.byID[q.id-1] = q
	s.free = slices.DeleteFunc(s.free, func(n uint16) bool { return n == q.id })
}

// recoverFree finds the numbers that no queue has, and nothing of one that was
// deleted.
func (s *leader) recoverFree() {
	doomed := make(map[uint16]bool)
	for _, d := range s.doomed {
		doomed[d.queue] = true
		for int(d.queue) > len(s.byID) {
			s.byID = append(s.byID, nil)
		}
	}
	for i, q := range s.byID {
		if n := uint16(i + 1); q == nil && !doomed[n] {
			s.free = append(s.free, n)
		}
	}
}

// all returns the queues in order of their numbers.
func (s *leader) all() []*queueState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	queues := make([]*queueState, 0, len(s.byID))
	for _, q := range s.byID {
		if q != nil {
			queues = append(queues, q)
		}
	}
	return queues
}

// numbered returns the queue with a number, or nil.
func (s *leader) numbered(n uint16) *queueState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n == 0 || int(n) > len(s.byID) {
		return nil
	}
	return s.byID[n-1]
}

// numbers is how many queues there are, and numbers that are not free yet.
func (s *leader) numbers() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID) - len(s.free)
}

// errSweeping refuses a transaction that changes a table which is being swept.
var errSweeping = errors.New("the table is being deleted")

// waitSwept waits until a table has been swept.
func (s *leader) waitSwept(ctx context.Context, d *doom) error {
	select {
	case <-d.swept:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("table %s is being deleted: %w", d.table, context.Cause(ctx))
	case <-s.failed:
		return s.err()
	case <-s.stop:
		return ErrClosed
	}
}
