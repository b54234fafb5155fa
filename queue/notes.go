package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/seed-301537d8/weir/internal/wire"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// A note says that an item was taken, with which attempt, or given back; or until
// when a group waits that has a minimum delay, since that began when the item was
// taken and is stored when it is settled.
const (
	noteTaken    = 'T'
	noteReleased = 'R'
	noteDelay    = 'D'
)

// noteTakenLocked notes that items are about to be delivered, so that an item that
// kills the process has been counted. Whoever delivers them waits for the ticket.
func (q *queueState) noteTakenLocked(ds []*Delivery) noteTicket {
	b := make([]byte, 0, 64*len(ds))
	for _, d := range ds {
		b = append(b, noteTaken)
		b = binary.AppendUvarint(b, uint64(d.ref.attempts)+1)
		b = appendNotedKey(b, d.at())
		b = q.appendDelayLocked(b, d)
	}
	return q.s.notes.add(b)
}

// appendDelayLocked notes until when the group of a delivery waits, if it does.
func (q *queueState) appendDelayLocked(b []byte, d *Delivery) []byte {
	delay, nextDue := q.sched.Delay(d.lease.Lane)
	if delay == 0 {
		return b
	}
	return q.appendDelay(b, d.lease.Lane.Key.Group, nextDue)
}

func (q *queueState) appendDelay(b []byte, group string, nextDue int64) []byte {
	b = binary.AppendUvarint(append(b, noteDelay), uint64(nextDue))
	return wire.AppendString(b, string(appendGroupKey(nil, q.id, group)))
}

// delayNotesLocked returns notes of the groups in memory that wait.
func (q *queueState) delayNotesLocked() [][]byte {
	var notes [][]byte
	q.sched.Delays(q.s.now(), func(group string, nextDue int64) {
		notes = append(notes, q.appendDelay(nil, group, nextDue))
	})
	return notes
}

// noteReleasedLocked notes that items have been given back.
func (q *queueState) noteReleasedLocked(ds []*Delivery) noteTicket {
	b := make([]byte, 0, 64*len(ds))
	for _, d := range ds {
		if d.Barrier == nil {
			b = append(b, noteReleased, 0)
			b = appendNotedKey(b, d.at())
			if delay, _ := q.sched.Delay(d.lease.Lane); delay > 0 { // it begins now
				b = q.appendDelay(b, d.lease.Lane.Key.Group, sched.Later(q.s.now(), delay))
			}
		}
	}
	if len(b) == 0 {
		return 0
	}
	return q.s.notes.add(b)
}

func appendNotedKey(b []byte, at loc) []byte {
	var buf [7 + 1 + MaxGroup + 1 + 8 + 1 + 8]byte
	key := at.appendPlace(buf[:0])
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(b, key...)
}

// spareNotes is by how much the notes grow, in bytes, before they are rewritten.
// They also grow by what was in them after the last time, so that rewriting
// costs a part of appending however much is in flight.
const spareNotes = 1 << 20

// noteWriter writes notes in the order in which they arose. They are added under
// the lock of their queue, so that of one item the order is that of its history,
// and written without it: whoever waits for a ticket first writes all that there
// are, in one call of the driver, for all who wait. So one slow write of a remote
// store serves every receiver, and holds up nobody who takes or settles.
type noteWriter struct {
	db   driver.Store
	kick func() // tells the committer that the notes are to be rewritten

	mu      sync.Mutex
	waiting []byte        // added and not written
	spare   []byte        // the buffer that waiting was, or nil
	added   noteTicket    // the last one
	written noteTicket    // all up to this one are
	turn    chan struct{} // closed when the write that is under way ends, or nil
	err     error         // the first; nothing is written after it
	bytes   int           // written since the last reset
	limit   int           // rewrite them beyond it
}

// noteTicket is the place of a note among all; 0 is that of none.
type noteTicket uint64

func (w *noteWriter) add(b []byte) noteTicket {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, b...)
	w.added++
	return w.added
}

// wait returns when the note of a ticket has been written, or cannot be.
func (w *noteWriter) wait(t noteTicket) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.written < t && w.err == nil {
		if w.turn != nil {
			turn := w.turn
			w.mu.Unlock()
			<-turn
			w.mu.Lock()
			continue
		}
		w.writeLocked()
	}
	if w.written < t {
		return w.err
	}
	return nil
}

// flush writes what has been added.
func (w *noteWriter) flush() error {
	w.mu.Lock()
	t := w.added
	w.mu.Unlock()
	return w.wait(t)
}

// writeLocked writes all that waits. It lets go of the lock meanwhile.
func (w *noteWriter) writeLocked() {
	b, last := w.waiting, w.added
	turn := make(chan struct{})
	w.waiting, w.spare, w.turn = w.spare, nil, turn
	if w.bytes += len(b); w.bytes > w.limit {
		w.kick()
	}
	w.mu.Unlock()
	err := w.db.AppendNotes(context.Background(), b)
	w.mu.Lock()
	if err != nil {
		w.err = fmt.Errorf("note deliveries: %w", err)
	} else {
		w.written = last
	}
	if cap(b) <= spareNotes {
		w.spare = b[:0]
	}
	w.turn = nil
	close(turn)
}

// due reports whether the notes have grown so much that they are to be rewritten.
func (w *noteWriter) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes > w.limit
}

// renew makes rewriting due.
func (w *noteWriter) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes = w.limit + 1
}

// reset puts notes in the place of all there are, those that wait included: the
// caller keeps new ones out meanwhile.
func (w *noteWriter) reset(notes [][]byte) error {
	kept := 0
	for _, b := range notes {
		kept += len(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.turn != nil {
		turn := w.turn
		w.mu.Unlock()
		<-turn
		w.mu.Lock()
	}
	if w.err != nil {
		return w.err
	}
	if err := w.db.ResetNotes(context.Background(), notes); err != nil {
		w.err = fmt.Errorf("rewrite notes: %w", err)
		return w.err
	}
	w.waiting, w.written = w.waiting[:0], w.added
	w.bytes, w.limit = 0, spareNotes+4*kept
	return nil
}

// rewriteNotes keeps only the notes of what is in flight. The committer calls
// it; taking every queue's lock keeps new notes out meanwhile.
func (s *leader) rewriteNotes() error {
	if !s.notes.due() {
		return nil
	}
	var notes [][]byte
	for _, q := range s.all() {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, d := range q.inflight {
			b := binary.AppendUvarint([]byte{noteTaken}, uint64(d.ref.attempts)+1)
			notes = append(notes, appendNotedKey(b, d.at()))
		}
		notes = append(notes, q.delayNotesLocked()...)
	}
	return s.notes.reset(notes)
}

// recoverDelays stores until when groups wait whose deliveries a crash cut short,
// or the end of their session. Those of cut had one that has not ended: whoever had it,
// on another machine perhaps, may have been at work until now, so their delay begins now.
func (s *leader) recoverDelays(until map[string]int64, cut map[string]bool) error {
	for key := range cut {
		until[key] = max(until[key], s.now())
	}
	for key, nextDue := range until {
		q, group, ok := s.notedGroup([]byte(key))
		if !ok || nextDue <= s.now() && !cut[key] {
			continue
		}
		p := s.plan
		if p.number == 0 {
			p.reset()
		}
		q.groupRecords = true // there may be one: what follows looks
		rec, err := p.groupRecord(q, group)
		if err != nil {
			return err
		}
		if cut[key] {
			delay := sched.Policy(q.config.Groups).Delay(sched.Settings(rec.settings))
			nextDue = max(nextDue, sched.Later(s.now(), delay))
		}
		if nextDue > rec.nextDue && nextDue > s.now() {
			rec.nextDue = nextDue
			p.putGroup(q, group, rec)
		}
		if !p.roomy() {
			if err := s.writeNow(p); err != nil {
				return err
			}
		}
	}
	if s.plan.number != 0 {
		return s.writeNow(s.plan)
	}
	return nil
}

// notedGroup returns what a group's key names.
func (s *leader) notedGroup(key []byte) (q *queueState, group string, ok bool) {
	if len(key) < 4 || key[0] != kindGroup {
		return nil, "", false
	}
	q = s.numbered(binary.BigEndian.Uint16(key[1:]))
	return q, string(key[3:]), q != nil
}
