package queue

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/seed-301537d8/weir/internal/wire"
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

// noteTakenLocked writes down that items are about to be delivered, so that an
// item that kills the process has been counted.
func (q *queueState) noteTakenLocked(ds []*Delivery) error {
	b := make([]byte, 0, 64*len(ds))
	for _, d := range ds {
		b = append(b, noteTaken)
		b = binary.AppendUvarint(b, uint64(d.ref.attempts)+1)
		b = appendNotedKey(b, d.at())
		b = q.appendDelayLocked(b, d)
	}
	return q.s.appendNote(b)
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

func (q *queueState) noteReleasedLocked(ds []*Delivery) error {
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
		return nil
	}
	return q.s.appendNote(b)
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

func (s *Store) appendNote(b []byte) error {
	s.notesMu.Lock()
	defer s.notesMu.Unlock()
	s.noteBytes += len(b)
	if s.noteBytes > s.noteLimit {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	if err := s.db.AppendNotes(context.Background(), b); err != nil {
		return fmt.Errorf("note deliveries: %w", err)
	}
	return nil
}

// rewriteNotes keeps only the notes of what is in flight. The committer calls
// it; taking every queue's lock keeps new notes out meanwhile.
func (s *Store) rewriteNotes() error {
	s.notesMu.Lock()
	due := s.noteBytes > s.noteLimit
	s.notesMu.Unlock()
	if !due {
		return nil
	}
	queues := s.all()
	var notes [][]byte
	kept := 0
	for _, q := range queues {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, d := range q.inflight {
			b := binary.AppendUvarint([]byte{noteTaken}, uint64(d.ref.attempts)+1)
			b = appendNotedKey(b, d.at())
			notes, kept = append(notes, b), kept+len(b)
		}
		for _, b := range q.delayNotesLocked() {
			notes, kept = append(notes, b), kept+len(b)
		}
	}
	s.notesMu.Lock()
	defer s.notesMu.Unlock()
	s.noteBytes, s.noteLimit = 0, spareNotes+4*kept
	if err := s.db.ResetNotes(context.Background(), notes); err != nil {
		return fmt.Errorf("rewrite notes: %w", err)
	}
	return nil
}

// recoverDelays stores until when groups wait whose deliveries a crash cut short,
// or the end of their session.
func (s *Store) recoverDelays(until map[string]int64) error {
	for key, nextDue := range until {
		q, group, ok := s.notedGroup([]byte(key))
		if !ok || nextDue <= s.now() {
			delete(until, key)
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
		if nextDue > rec.nextDue {
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
func (s *Store) notedGroup(key []byte) (q *queueState, group string, ok bool) {
	if len(key) < 4 || key[0] != kindGroup {
		return nil, "", false
	}
	q = s.numbered(binary.BigEndian.Uint16(key[1:]))
	return q, string(key[3:]), q != nil
}
