package crawler

import (
	"context"
	"errors"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// A full disk is waited for, by whatever runs beside the stages as by these themselves: it
// ends no crawl that has begun, and no address pays for it. (One that begins fails, which
// its operator sees.)

// spacePause is between two attempts to store something on a disk that is full.
const spacePause = time.Second

// isFull reports whether the store has refused something for lack of space and goes on.
func isFull(err error) bool {
	return errors.Is(err, queue.ErrDiskFull) && !errors.Is(err, queue.ErrFailed)
}

// awaitSpace calls fn again while the disk is full, until ctx ends. The stages, which wait
// too, say that it is.
func awaitSpace(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if !isFull(err) {
			return err
		}
		select {
		case <-time.After(spacePause):
		case <-ctx.Done():
			return err
		}
	}
}

// commit commits a transaction when there is space for it.
func commit(ctx context.Context, store *queue.Store, tx *queue.Tx) error {
	return awaitSpace(ctx, func() error { return store.Commit(ctx, tx) })
}

// awaitSpace is for what happens between two rounds, when no stage says that it waits.
func (c *Crawler) awaitSpace(ctx context.Context, fn func() error) error {
	err := fn()
	if !isFull(err) {
		return err
	}
	c.options.logger().Error("waiting for space on the disk", "who", "round", "err", err)
	return awaitSpace(ctx, fn)
}

func (c *Crawler) commit(ctx context.Context, tx *queue.Tx) error {
	return c.awaitSpace(ctx, func() error { return c.store.Commit(ctx, tx) })
}
