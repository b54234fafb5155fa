package queue

import (
	"context"
	"fmt"
)

// purgePage is how many items or dead letters a transaction of Purge removes.
const purgePage = 256

func (s *leader) Purge(ctx context.Context, queue string) (int, error) {
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

func (s *leader) PurgeDead(ctx context.Context, queue string) (int, error) {
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
func (s *leader) deadIDs(ctx context.Context, q *queueState, after uint64, limit int) (ids []uint64, err error) {
	err = s.scan(ctx, appendDeadKey(nil, q.id, after+1), prefixEnd(appendQueue(nil, kindDead, q.id)), func(key, _ []byte) error {
		if ids = append(ids, deadID(key)); len(ids) == limit {
			return errStop
		}
		return nil
	})
	return ids, err
}
