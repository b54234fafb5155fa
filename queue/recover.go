package queue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/seed-301537d8/weir/internal/wire"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// formatVersion is the version of the stored layout. Version 1 had no blocks, and
// versions 1 and 2 had queues and barriers in JSON, no histories of items and no
// deferred items; what they wrote is read as it is.
const formatVersion = 3

// recover reads the durable state, or makes it if the store is new. Items are
// not read: their number does not matter.
func (s *leader) recover(ctx context.Context) error {
	s.nextID = 1
	value, found, err := s.lookUp(metaKey("format"))
	if err != nil {
		return err
	}
	if !found {
		if err := s.create(ctx); err != nil {
			return err
		}
	} else if err := checkFormat(value); err != nil {
		return err
	} else if v, _ := binary.Uvarint(value); v < formatVersion {
		// From now on an older program would not understand the store.
		if err := s.db.Commit(ctx, []driver.Write{formatWrite()}); err != nil {
			return err
		}
	}
	if value, found, err = s.lookUp(metaKey("secret")); err != nil {
		return err
	}
	if !found || len(value) != 16 {
		return fmt.Errorf("%w: no hash key", ErrCorrupt)
	}
	s.secret = secret{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}
	if value, found, err = s.lookUp(metaKey("batch")); err != nil {
		return err
	}
	var last int64 // by the store's clock
	if found {
		r := wire.NewReader(value)
		s.sequence.Store(r.Uvarint())
		s.nextID = r.Uvarint()
		if r.Len() > 0 {
			last = r.Varint()
		}
		if err := malformed(&r, "batch number"); err != nil {
			return err
		}
	}
	s.clock.begin(s.opts.WallClock, last)
	s.recent.since, s.settled.since, s.batches.since = s.sequence.Load(), s.sequence.Load(), s.sequence.Load()
	if err := s.recoverOutcomes(ctx); err != nil {
		return err
	}
	if err := s.recoverQueues(ctx); err != nil {
		return err
	}
	if err := s.recoverNotes(ctx); err != nil {
		return err
	}
	for _, q := range s.all() {
		if err := s.recoverSchedule(q); err != nil {
			return fmt.Errorf("queue %s: %w", q.name, err)
		}
		s.flag(q)
	}
	return nil
}

func (s *leader) create(ctx context.Context) error {
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return s.db.Commit(ctx, []driver.Write{
		formatWrite(),
		{Key: metaKey("secret"), Value: key},
	})
}

// checkFormat refuses a format that this program does not know.
func checkFormat(value []byte) error {
	v, n := binary.Uvarint(value)
	switch {
	case n > 0 && v == 0:
		return ErrUnfinished // the mark of a copier
	case n <= 0 || v > formatVersion:
		return fmt.Errorf("%w: format %d, this program knows %d; use a newer program", ErrVersion, v, formatVersion)
	}
	return nil
}

func formatWrite() driver.Write {
	return driver.Write{Key: metaKey("format"), Value: binary.AppendUvarint(nil, formatVersion)}
}

// recoverQueues reads the queues with their counts and durable names.
func (s *leader) recoverQueues(ctx context.Context) error {
	err := s.scan(ctx, []byte{kindQueue}, []byte{kindQueue + 1}, func(key, value []byte) error {
		if len(key) != 3 {
			return fmt.Errorf("%w: queue record %q", ErrCorrupt, key)
		}
		rec, err := decodeQueue(value)
		if err != nil {
			return err
		}
		q := newQueueState(s, binary.BigEndian.Uint16(key[1:]), rec.Name)
		if q.id == 0 || s.queues[q.name] != nil {
			return fmt.Errorf("%w: queue %q has number %d, or two", ErrCorrupt, q.name, q.id)
		}
		q.config, q.paused = &rec.Config, rec.Paused
		s.enterLocked(q)
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.recoverDoomed(); err != nil {
		return err
	}
	s.recoverFree()
	for _, q := range s.all() {
		if err := s.recoverCounts(ctx, q); err != nil {
			return fmt.Errorf("queue %s: %w", q.name, err)
		}
	}
	return nil
}

func (s *leader) recoverCounts(ctx context.Context, q *queueState) error {
	value, found, err := s.lookUp(appendQueue(nil, kindCounts, q.id))
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: no counts", ErrCorrupt)
	}
	if err := q.counts.decode(value); err != nil {
		return err
	}
	clear(q.epochs)
	prefix := appendQueue(nil, kindEpoch, q.id)
	err = s.scan(ctx, prefix, prefixEnd(prefix), func(key, value []byte) error {
		e := new(epochCounts)
		q.epochs[binary.BigEndian.Uint32(key[len(prefix):])] = e
		return e.decode(value)
	})
	if err != nil {
		return err
	}
	for epoch := q.counts.open; epoch <= q.counts.tail; epoch++ {
		if q.epochs[epoch] == nil {
			return fmt.Errorf("%w: no counts of epoch %d", ErrCorrupt, epoch)
		}
	}
	if err := s.recoverDeferrals(ctx, q); err != nil {
		return err
	}
	prefix = appendQueue(nil, kindName, q.id)
	return s.scan(ctx, prefix, prefixEnd(prefix), func(key, value []byte) error {
		r := wire.NewReader(value)
		q.names[string(key[len(prefix):])] = nameRecord{next: uint32(r.Uvarint())}
		return malformed(&r, "durable name")
	})
}

// recoverDeferrals reads which groups are deferred.
func (s *leader) recoverDeferrals(ctx context.Context, q *queueState) error {
	q.deferring = deferring{}
	prefix := appendQueue(nil, kindDeferral, q.id)
	return s.scan(ctx, prefix, prefixEnd(prefix), func(key, value []byte) error {
		def, _, err := decodeDeferral(value)
		if err != nil {
			return err
		}
		group := string(key[len(prefix):])
		q.deferring.note(group, def)
		if def.deferred {
			q.away[group] = true
		} else if e := q.epochs[def.epoch]; e != nil && def.epoch != deferredEpoch {
			e.returning++
		} else {
			return fmt.Errorf("%w: group %s comes back into epoch %d", ErrCorrupt, group, def.epoch)
		}
		return nil
	})
}

// recoverSchedule finds the lanes of the open epoch, and what else is there.
func (s *leader) recoverSchedule(q *queueState) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	any := func(start, end []byte) (found bool, err error) {
		err = s.scan(context.Background(), start, end, func(_, _ []byte) error {
			found = true
			return errStop
		})
		return found, err
	}
	var err error
	groups := appendQueue(nil, kindGroup, q.id)
	if q.groupRecords, err = any(groups, prefixEnd(groups)); err != nil {
		return err
	}
	batches := appendQueue(nil, kindBatch, q.id)
	if q.batches, err = any(batches, prefixEnd(batches)); err != nil {
		return err
	}
	if q.sweep, err = any(appendQueue(nil, kindLane, q.id), appendEpoch(nil, kindLane, q.id, q.counts.open)); err != nil {
		return err
	}
	q.showLocked(q.snapshot())
	q.nextDue, q.nextEnd, q.nextBack = 0, 0, q.firstBack() // housekeeping will find the first
	q.sched.SetPolicy(sched.Policy(q.config.Groups), s.now())
	if err := q.sched.Open(s.now()); err != nil {
		return err
	}
	return s.plan.maybeReleaseLocked(q, s.now())
}

// recoverNotes counts the deliveries that a crash has interrupted; see casualty.
func (s *leader) recoverNotes(ctx context.Context) error {
	taken := make(map[string]int)
	delays := make(map[string]int64) // of groups
	err := s.db.ReadNotes(ctx, func(note []byte) {
		r := wire.NewReader(note)
		for r.Len() > 0 {
			kind, number, key := r.Byte(), r.Uvarint(), r.Bytes()
			switch {
			case !r.OK():
				return
			case kind == noteTaken:
				taken[string(key)] = int(number)
			case kind == noteDelay:
				delays[string(key)] = int64(number)
			default:
				delete(taken, string(key))
			}
		}
	})
	if err != nil {
		return fmt.Errorf("read notes: %w", err)
	}
	var all []casualty
	cut := make(map[string]bool) // groups of deliveries
	for key, attempt := range taken {
		at, err := parsePlace([]byte(key))
		if err != nil || int(at.queue) > len(s.byID) || at.queue == 0 || s.byID[at.queue-1] == nil {
			continue // notes are checked by length only; this one is of no use
		}
		r, found, err := s.readItem(ctx, at)
		if err != nil {
			return err
		}
		if !found || int(r.attempts) >= attempt {
			continue // it was settled
		}
		h := r.history()
		all = append(all, casualty{at: at, config: s.byID[at.queue-1].config, deaths: h.deaths, blamed: h.blamed})
		if at.group != "" {
			cut[string(appendGroupKey(nil, at.queue, at.group))] = true
		}
	}
	if err := s.recoverDelays(delays, cut); err != nil {
		return err
	}
	judge(all)
	for rest := all; len(rest) > 0; {
		p := s.plan
		p.reset()
		for ; len(rest) > 0 && p.roomy(); rest = rest[1:] {
			r, found, err := s.readItem(ctx, rest[0].at)
			if err == nil && found {
				err = p.interrupted(s.byID[rest[0].at.queue-1], &rest[0], r, errInterrupted, whyInterrupted)
			}
			if err != nil {
				return err
			}
		}
		if err := p.endBatches(); err != nil {
			return err
		}
		if err := s.writeNow(p); err != nil {
			return err
		}
	}
	if len(all) > 0 {
		s.log.Info("recovered deliveries that a crash had interrupted", "items", len(all))
	}
	return s.db.ResetNotes(ctx, nil)
}
