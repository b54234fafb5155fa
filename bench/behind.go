package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// weirTextBehind is weirText in a store that has -behind pages already: their records, with
// ten links each, and as many addresses that have been seen and settled. Memory is that of
// the crawl alone, and processor time is not.
func weirTextBehind(s sites) (result, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	memory.TuneCollector()
	store, err := badgerqueue.Open(filepath.Join(dir, "store"), memory.StoreOptions())
	if err != nil {
		return result{}, err
	}
	if err := errors.Join(fill(context.Background(), store, *behind), store.Close()); err != nil {
		return result{}, err
	}
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // where there is one, the most memory is that from now on
	anon := sampleMemory()
	r, err := weirIn(dir, []string{s.Real}, realSettings, nil)
	r.Anon = anon()
	return r, err
}

func fill(ctx context.Context, store *queue.Store, n int) error {
	const name, batch = "behind", 1000
	consumer, err := store.Subscribe(ctx, name, &queue.SubscribeOptions{Prefetch: batch})
	if err != nil {
		return err
	}
	defer consumer.Close()
	for at := 0; at < n; at += batch {
		var tx queue.Tx
		for i := at; i < min(at+batch, n); i++ {
			url := fmt.Sprintf("http://host%d.example/page/%d", i%20_000, i)
			page := crawler.Page{URL: url, Status: 200, FetchedAt: time.Now(), ContentType: "text/html", Bytes: 13_000, Title: fmt.Sprint("Page ", i)}
			for k := range 10 {
				page.Links = append(page.Links, crawler.Link{To: fmt.Sprintf("http://host%d.example/page/%d", (i+k)%20_000, (i*7+k*k*31)%n), Anchor: "another page"})
			}
			record, err := codec.Encode(page)
			if err != nil {
				return err
			}
			tx.Put("pages", url, record)
			tx.Enqueue(name, queue.Item{Key: url, Mode: queue.Once, Body: []byte(url)})
		}
		if err := store.Commit(ctx, &tx); err != nil {
			return err
		}
		for left := min(batch, n-at); left > 0; {
			items, err := consumer.Receive(ctx, left)
			if err != nil {
				return err
			}
			var tx queue.Tx
			tx.Ack(items...)
			if err := store.Commit(ctx, &tx); err != nil {
				return err
			}
			left -= len(items)
		}
	}
	return nil
}
