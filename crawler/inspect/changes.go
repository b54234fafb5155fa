package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
)

// WalkRounds calls fn with each round of a crawl that has had more than the first, in
// order.
func WalkRounds(ctx context.Context, store *queue.Store, fn func(*crawler.Round) error) error {
	return walk(ctx, store, tables.Rounds, func(r *crawler.Round) error {
		if r.Finished == nil {
			var err error
			if r, err = crawler.ReadRound(ctx, store, r.Number); err != nil {
				return err
			}
		}
		return fn(r)
	})
}

// ChangeRow is a Change with what it did to the text. Its JSON form is stable.
type ChangeRow struct {
	crawler.Change

	// SameText says that the body has changed and the text has not.
	SameText bool `json:"same_text,omitempty"`

	// Diff is what became of the text that the stage extract found, as a unified
	// diff; "" if it is not known or has not changed.
	Diff string `json:"diff,omitempty"`
}

// Since says from where on changes are wanted: those of a round and later ones, that
// were seen at a time or later. The zero value means all that are kept.
type Since struct {
	Round int
	Time  time.Time
}

// WalkChanges calls fn with each change that is kept, round by round and in the order
// of the addresses. What round 0 found, which is all of it new, comes first if it is
// wanted.
func WalkChanges(ctx context.Context, store *queue.Store, since Since, fn func(*ChangeRow) error) error {
	if _, err := crawler.Load(ctx, store); err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	from := max(since.Round, 1)
	first := since.Round == 0
	err := tables.Walk(ctx, store, tables.Rounds, func(r *crawler.Round) error {
		switch {
		case r.Finished == nil || !r.Finished.Before(since.Time):
		case r.Number == 0:
			first = false
		case r.Number >= from:
			from = r.Number + 1
		}
		return nil
	})
	if err != nil {
		return err
	}
	if first {
		if err := walkFirstRound(ctx, store, since.Time, fn); err != nil {
			return stopped(err)
		}
	}
	return stopped(tables.WalkRange(ctx, store, tables.Changes, tables.ChangeKey(from, ""), "", func(key string, c *crawler.Change) error {
		if c.At.Before(since.Time) {
			return nil
		}
		row := &ChangeRow{Change: *c}
		if err := row.readDiff(ctx, store, key); err != nil {
			return err
		}
		return fn(row)
	}))
}

// walkFirstRound calls fn with the pages that round 0 found since a time.
func walkFirstRound(ctx context.Context, store *queue.Store, since time.Time, fn func(*ChangeRow) error) error {
	return tables.WalkRange(ctx, store, tables.Pages, "", "", func(key string, p *crawler.Page) error {
		m := crawler.VisitMark{Round: p.Round, At: p.FetchedAt, Status: p.Status, Digest: p.Digest}
		var h crawler.History
		if ok, err := tables.Get(ctx, store, tables.History, key, &h); err != nil {
			return err
		} else if ok {
			m = h.First
		}
		if m.Round > 0 || m.At.Before(since) || m.Status/100 != 2 {
			return nil
		}
		return fn(&ChangeRow{Change: crawler.Change{
			Kind: crawler.VisitNew, URL: p.URL, At: m.At, Status: m.Status, Title: p.Title, Digest: m.Digest,
		}})
	})
}

// readDiff compares the text from before a change, given by its key, with the one
// that came with it.
func (c *ChangeRow) readDiff(ctx context.Context, store *queue.Store, changed string) error {
	var before, after crawler.Text
	if ok, err := tables.Get(ctx, store, tables.Versions, changed, &before); err != nil || !ok {
		return err
	}
	if before.Method == tables.SameText {
		c.SameText = true
		return nil
	}
	key := changed[len(tables.ChangeKey(0, "")):]
	var h crawler.History
	if _, err := tables.Get(ctx, store, tables.History, key, &h); err != nil {
		return err
	}
	// What was before the next change of the text came with this one.
	for _, n := range h.Changes {
		if n <= c.Round {
			continue
		}
		if ok, err := tables.Get(ctx, store, tables.Versions, tables.ChangeKey(n, key), &after); err != nil {
			return err
		} else if ok && after.Method != tables.SameText {
			c.diff(before, after)
			return nil
		}
	}
	if _, err := tables.Get(ctx, store, tables.Texts, key, &after); err != nil {
		return err
	}
	c.diff(before, after)
	return nil
}

func (c *ChangeRow) diff(before, after crawler.Text) {
	c.Diff = udiff.Unified(fmt.Sprintf("%s (before round %d)", c.URL, c.Round), fmt.Sprintf("%s (round %d)", c.URL, c.Round),
		ended(before.Text), ended(after.Text))
}

// ended ends a text with a line break, without which a diff says that there is none.
func ended(s string) string {
	if s == "" || s[len(s)-1] == '\n' {
		return s
	}
	return s + "\n"
}
