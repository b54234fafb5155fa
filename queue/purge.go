package queue

import (
	"context"
	"fmt"
)

// purgePage is how many items or dead letters a transaction of Purge removes.
const purgePage = 256

// Purge drops the items of a queue that wait, in every epoch, and returns how many
// there were. Those that a consumer holds are left alone, and so is what is enqueued
// after the call; barriers, dead letters, settings and the memory of keys stay.
//
// It removes them in many small transactions, each of which is whole, so others go
// on meanwhile. After an error, or a crash, some are gone and the others are as they
// were; calling Purge again goes on.
func (s *Store) Purge(ctx context.Context, queue string) (int, error) {
	var end uint64
	err := s.alone(ctx, func() error {
		end = s.nextID
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("purge %s: %w", queue, err)
	}
	removed := 0
	var after *Waiting
	for {
		page, err := s.Browse(ctx, queue, after, purgePage)
		if err != nil {
			return removed, fmt.Errorf("purge %s: %w", queue, err)
		}
		if len(page) == 0 {
			return removed, nil
		}
		var tx Tx
		for _, w := range page {
			if w.ID < end && w.State != StateLeased {
				tx.Remove(w)
			}
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return removed, fmt.Errorf("purge %s: %w", queue, err)
		}
		removed += tx.Result().Removed
		after = &page[len(page)-1]
	}
}

// PurgeDead drops the dead letters of a queue, but not those that come after the
// call, and returns how many there were. It works as Purge does.
func (s *Store) PurgeDead(ctx context.Context, queue string) (int, error) {
	q, err := s.existing("purge dead letters", queue)
	if err != nil {
		return 0, err
	}
	q.mu.Lock()
	left := int(q.visible.dead)
	q.mu.Unlock()
	dropped := 0
	after := uint64(0)
	for left > 0 {
		ids, err := s.deadIDs(ctx, q, after, min(left, purgePage))
		if err != nil {
			return dropped, fmt.Errorf("purge dead letters of %s: %w", queue, err)
		}
		if len(ids) == 0 {
			break
		}
		var tx Tx
		tx.DropDead(queue, ids...)
		if err := s.Commit(ctx, &tx); err != nil {
			return dropped, fmt.Errorf("purge dead letters of %s: %w", queue, err)
		}
		dropped, left, after = dropped+tx.Result().Removed, left-len(ids), ids[len(ids)-1]
	}
	return dropped, nil
}

// deadIDs returns the ids of up to limit dead letters above after.
func (s *Store) deadIDs(ctx context.Context, q *queueState, after uint64, limit int) (ids []uint64, err error) {
	err = s.scan(ctx, appendDeadKey(nil, q.id, after+1), prefixEnd(appendQueue(nil, kindDead, q.id)), func(key, _ []byte) error {
		if ids = append(ids, deadID(key)); len(ids) == limit {
			return errStop
		}
		return nil
	})
	return ids, err
}
