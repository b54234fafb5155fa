package inspect

import (
	"context"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// DeadItem is a dead letter of a crawl. Its JSON form is stable.
type DeadItem struct {
	ID         uint64    `json:"id"`
	Queue      string    `json:"queue"`
	URL        string    `json:"url,omitempty"` // empty if the item cannot be read
	Generation int       `json:"generation"`
	Attempts   int       `json:"attempts"`
	Buried     time.Time `json:"buried"`
	Reason     string    `json:"reason"`
	Stack      string    `json:"stack,omitempty"`
}

// WalkDead calls fn with each dead letter of a stage, oldest first.
func WalkDead(ctx context.Context, store *queue.Store, stage string, fn func(*DeadItem) error) error {
	const limit = 100
	for after := uint64(0); ; {
		letters, err := store.DeadLetters(ctx, stage, after, limit)
		if err != nil {
			return err
		}
		for _, l := range letters {
			d := &DeadItem{
				ID: l.ID, Queue: l.Queue, Generation: int(l.Epoch), Attempts: l.Attempts,
				Buried: l.Buried, Reason: l.Reason, Stack: l.Stack, URL: ItemURL(l.Queue, l.Item.Body),
			}
			if err := fn(d); err != nil {
				return stopped(err)
			}
			after = l.ID
		}
		if len(letters) < limit {
			return nil
		}
	}
}

// ItemURL returns the address that an item of a stage's queue is about, or ""
// if it is no item of a crawl.
func ItemURL(stage string, body []byte) string {
	if stage == crawler.StageCrawl {
		var r crawler.Request
		if codec.Decode(body, &r) != nil {
			return ""
		}
		return r.URL
	}
	var v crawler.Visit // of a function with a queue; its form is like no other
	if codec.Decode(body, &v) == nil {
		return v.URL
	}
	var d crawler.Doc
	if codec.Decode(body, &d) != nil {
		return ""
	}
	return d.URL
}
