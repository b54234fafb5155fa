package queue

import (
	"context"
	"fmt"
)

func (s *leader) Drain(ctx context.Context, queue string) error {
	return s.drain(ctx, queue, "")
}

func (s *leader) DrainGroup(ctx context.Context, queue, group string) error {
	if group == "" {
		return fmt.Errorf("drain group of %s: %w", queue, invalidf("group name is empty"))
	}
	return s.drain(ctx, queue, group)
}

func (s *leader) drain(ctx context.Context, queue, group string) error {
	q, err := s.existing("drain", queue)
	if err != nil {
		return err
	}
	var tx Tx
	if group == "" {
		tx.Pause(queue)
	} else {
		settings, err := s.GroupSettings(ctx, queue, group)
		if err != nil {
			return err
		}
		settings.Paused = true
		tx.SetGroup(queue, group, settings)
	}
	if err := s.Commit(ctx, &tx); err != nil {
		return fmt.Errorf("drain %s: %w", queue, err)
	}
	for {
		q.mu.Lock()
		busy := len(q.inflight)
		if group != "" {
			_, _, busy, _ = q.sched.Group(group)
		}
		changed := q.changed.wait()
		q.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("drain %s: %d items still held: %w", queue, busy, context.Cause(ctx))
		case <-s.failed:
			return fmt.Errorf("drain %s: %w", queue, s.err())
		case <-s.stop:
			return fmt.Errorf("drain %s: %w", queue, ErrClosed)
		}
	}
}
