package crawler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// workPause is how often a worker that has nothing to do looks whether it has.
const workPause = time.Second

// AwaitCrawl returns what is stored of the crawl in a store, as [Load] does, and waits
// until one has begun there.
func AwaitCrawl(ctx context.Context, store *queue.Store) (*Stored, error) {
	for {
		stored, err := Load(ctx, store)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			if begun, err := seeded(ctx, store); begun || err != nil {
				return stored, err
			}
		}
		if err := pauseWork(ctx); err != nil {
			return nil, err
		}
	}
}

// seeded reports whether a crawl whose settings are stored has its seeds: these come
// after the settings.
func seeded(ctx context.Context, store *queue.Store) (bool, error) {
	if added, err := seedsAreAdded(ctx, store); added || err != nil {
		return false, err
	}
	seeds, err := store.Scan(ctx, tables.Seeds, "", "", 1)
	return len(seeds) > 0, err
}

// Work works on the crawl that the store holds, beside the process that runs it and any
// number of others, until it is complete or ctx ends. It stores no settings and adds no
// seeds: the options must be those of the crawl; see [AwaitCrawl] and [Stored]. Rounds of
// Settings.Every are begun by Run alone; Work then waits for the next.
func (c *Crawler) Work(ctx context.Context) error {
	err := c.check(ctx)
	if err == nil {
		err = c.attend(ctx, c.workRounds)
	}
	if err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

func (c *Crawler) workRounds(ctx context.Context) error {
	for {
		if err := c.awaitScan(ctx); err != nil {
			return ended(ctx, err)
		}
		if err := c.visitor.openStore(ctx, c.store); err != nil {
			return ended(ctx, err)
		}
		if err := c.runGenerations(ctx); err != nil {
			return err
		}
		if c.options.Settings.Every <= 0 || ctx.Err() != nil {
			return nil
		}
		for done := true; done; {
			var err error
			if done, err = pipeline.Done(ctx, c.store); err == nil && done {
				err = pauseWork(ctx)
			}
			if err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// awaitScan waits until the scan of the present round is over; see R4 of rounds.
func (c *Crawler) awaitScan(ctx context.Context) error {
	for {
		st, _, err := tables.ReadRound(ctx, c.store)
		if err != nil || st.Scanned {
			return err
		}
		if err := pauseWork(ctx); err != nil {
			return err
		}
	}
}

// pauseWork waits for a while, or returns why ctx has ended.
func pauseWork(ctx context.Context) error {
	select {
	case <-time.After(workPause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
