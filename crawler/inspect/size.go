package inspect

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// SizeStatus is how many bytes a record of a kind takes as it is stored, with its key:
// the mean of a sample. What the disk holds is that times the number of records, and
// some more that compaction has not given back yet.
type SizeStatus struct {
	Kind   string `json:"kind"`   // page, links (which are part of a page's record), text, tags, digest, skip, skips (of a page, to one host, in parts), capture, or "waiting for" a stage
	Bytes  int64  `json:"bytes"`  // of one, in the mean
	Sample int64  `json:"sample"` // how many were looked at
}

// sampleSize is how many records of a table are looked at, in chunks from different
// hosts as far as there are some, so that what it costs does not grow.
const (
	sampleSize  = 256
	sampleChunk = 32
)

// readSizes returns the sizes of what there is in a crawl.
func readSizes(ctx context.Context, store *queue.Store) (sizes []SizeStatus, err error) {
	for _, kind := range []struct{ name, table string }{
		{"page", tables.Pages}, {"digest", tables.Digests}, {"text", tables.Texts}, {"tags", tables.Tags},
		{"skip", tables.Skips}, {"skips", tables.SkipSets}, {"capture", tables.Captures},
	} {
		n, bytes, links := int64(0), int64(0), int64(0)
		err := sample(ctx, store, kind.table, func(r queue.Record) error {
			n, bytes = n+1, bytes+int64(len(r.Key)+len(r.Value))
			if kind.table == tables.Pages {
				of, err := linksSize(r.Value)
				links += of
				return err
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		sizes = append(sizes, SizeStatus{kind.name, (bytes - links) / n, n})
		if kind.table == tables.Pages {
			sizes = append(sizes, SizeStatus{"links", links / n, n})
		}
	}
	queues, err := store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		if n := q.Ready + q.Delayed + q.Leased + q.Later; n > 0 {
			sizes = append(sizes, SizeStatus{"waiting for " + q.Name, q.Bytes / n, n})
		}
	}
	return sizes, nil
}

// linksSize returns how much of a page's record its links take.
func linksSize(record []byte) (int64, error) {
	var p crawler.Page
	if err := codec.Decode(record, &p); err != nil {
		return 0, fmt.Errorf("record of %s: %w: %w", tables.Pages, queue.ErrCorrupt, err)
	}
	p.Links = nil
	rest, err := codec.Encode(p)
	return max(int64(len(record)-len(rest)), 0), err
}

// sample calls fn with some records of a table. Keys are addresses, or spread evenly.
func sample(ctx context.Context, store *queue.Store, table string, fn func(queue.Record) error) error {
	jump, behind := "", "" // where the next host begins, and what comes after the last chunk
	for n := 0; n < sampleSize; {
		records, err := store.Scan(ctx, table, jump, "", sampleChunk)
		if err == nil && len(records) == 0 && jump != behind {
			records, err = store.Scan(ctx, table, behind, "", sampleChunk) // there is no other host
		}
		if err != nil || len(records) == 0 {
			return err
		}
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		n += len(records)
		last := records[len(records)-1].Key
		behind = last + "\x00"
		if jump = behind; strings.Contains(last, "://") {
			scheme, rest, _ := strings.Cut(last, "://")
			host, _, _ := strings.Cut(rest, "/")
			jump = scheme + "://" + host + "/\xff"
		}
	}
	return nil
}
