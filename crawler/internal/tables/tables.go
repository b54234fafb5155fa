// Package tables names what a crawl keeps in the tables of its store, and reads
// and writes it: for package crawler, which keeps it, and package inspect, which
// looks at it.
package tables

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// The tables of a crawl. Keys are addresses, shortened if they are very long;
// see [Key].
const (
	Crawl     = "crawl"     // settings and counters
	Pages     = "pages"     // Page
	Failures  = "failures"  // Failure
	Skips     = "skips"     // Skip
	SkipSets  = "skipsets"  // those of one page and one host, by host
	Texts     = "texts"     // Text
	Tags      = "tags"      // Tags
	Results   = "results"   // of other stages: stage/address
	Robots    = "robots"    // robots.Policy, by origin
	Hosts     = "hosts"     // polite.HostState, by host
	Deferred  = "deferred"  // Request, by host and key
	Sick      = "sick"      // SickHost, by host
	Notices   = "notices"   // Notice
	Patterns  = "patterns"  // how many addresses of a scope.Pattern were fetched
	Uses      = "uses"      // of budgets, by host
	Digests   = "digests"   // address of the first page with a content
	Captures  = "captures"  // Capture
	Cookies   = "cookies"   // by registrable domain
	Seeds     = "seeds"     // Request
	Areas     = "areas"     // Area, of the seeds that have one, by their keys
	Origins   = "origins"   // of the seeds; no content
	Payloads  = "payloads"  // which response record of the archive has a body, by its digest
	SimHashes = "simhashes" // address of the first page with a fingerprint, by its bands
	InLinks   = "inlinks"   // how many links lead to an address
	Assets    = "assets"    // Asset
	Rounds    = "rounds"    // Round, by number
	History   = "history"   // History
	Changes   = "changes"   // Change, by round and address; see [ChangeKey]
	Versions  = "versions"  // Text that an address had before a change, as Changes
	// and those of Items, StoredItem
)

// Items is the table of the items of a name.
func Items(name string) string { return "items/" + name }

// The counters of a crawl, in the table Crawl.
const (
	CounterPages      = "pages"
	CounterFailures   = "failures"
	CounterDeferred   = "deferred"  // of a generation alone
	CounterRedirects  = "redirects" // of the pages
	CounterLeftOut    = "left_out"  // addresses that were met and not fetched, by the crawl's own rules
	CounterMaxPages   = "max_pages" // of those, for Settings.MaxPages
	CounterLimit      = "limit/"    // before the name of another setting: the addresses left out for it
	CounterType       = "type/"     // before a media type that is no HTML: its pages
	CounterTrap       = "trap/"     // before the name of a rule: the addresses that it has refused
	CounterAssets     = "assets"
	CounterNear       = "near_duplicates"
	CounterLostAssets = "lost_assets" // of the assets, those that could not be had
)

// GenerationCounter is the counter of a name of one generation.
func GenerationCounter(g int, name string) string {
	return "generation/" + strconv.Itoa(g) + "/" + name
}

// ItemCounter is the counter of the items of a name.
func ItemCounter(name string) string { return "items/" + name }

// Key is the key of an address in a table.
func Key(url string) string {
	const keep = 480
	if len(url) <= keep+64 {
		return url
	}
	sum := sha256.Sum256([]byte(url))
	return url[:keep] + "#" + hex.EncodeToString(sum[:16])
}

// Put adds a record to a transaction, compressed where it pays.
func Put[T any](tx *queue.Tx, table, key string, v T) error {
	b, err := codec.Encode(v)
	if err != nil {
		return fmt.Errorf("encode record of %s/%s: %w", table, key, err)
	}
	tx.Put(table, key, b)
	return nil
}

// Get reads a record. It reports false if there is none.
func Get[T any](ctx context.Context, store *queue.Store, table, key string, v *T) (bool, error) {
	b, err := store.Get(ctx, table, key)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, Decode(table, key, b, v)
}

// Has reports whether there is a record.
func Has(ctx context.Context, store *queue.Store, table, key string) (bool, error) {
	_, err := store.Get(ctx, table, key)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Decode reads a record as it is stored. One that leaves to its key what that says has a
// method FromKey.
func Decode[T any](table, key string, b []byte, v *T) error {
	if err := codec.Decode(b, v); err != nil {
		return fmt.Errorf("record %s/%s: %w: %w", table, key, queue.ErrCorrupt, err)
	}
	if k, ok := any(v).(interface{ FromKey(key string) }); ok {
		k.FromKey(key)
	}
	return nil
}

// Counter reads a counter. One that is not there is 0.
func Counter(ctx context.Context, store *queue.Store, table, key string) (int64, error) {
	b, err := store.Get(ctx, table, key)
	if errors.Is(err, queue.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return queue.ParseCounter(b)
}

// walkPage is how many records are read at once.
const walkPage = 32

// Walk calls fn with each record of a table, a page of records at a time.
func Walk[T any](ctx context.Context, store *queue.Store, table string, fn func(*T) error) error {
	return WalkRange(ctx, store, table, "", "", func(_ string, v *T) error { return fn(v) })
}

// WalkRange calls fn with the records from a key to before another; see
// queue.Store.Scan.
func WalkRange[T any](ctx context.Context, store *queue.Store, table, from, to string, fn func(key string, v *T) error) error {
	for {
		records, err := store.Scan(ctx, table, from, to, walkPage)
		if err != nil {
			return err
		}
		for _, r := range records {
			var v T
			if err := Decode(table, r.Key, r.Value, &v); err != nil {
				return err
			}
			if err := fn(r.Key, &v); err != nil {
				return err
			}
		}
		if len(records) < walkPage {
			return nil
		}
		from = records[len(records)-1].Key + "\x00"
	}
}

// Area is what is stored of a scope.Area.
type Area struct {
	URL      string       `json:"url"`
	Within   scope.Within `json:"within,omitempty"`
	MaxDepth int          `json:"max_depth,omitempty"`
}

// SeedAreas returns the areas of the seeds that have a scope of their own.
func SeedAreas(ctx context.Context, store *queue.Store) (all []scope.Area, err error) {
	err = Walk(ctx, store, Areas, func(a *Area) error {
		u, err := weburl.Parse(a.URL)
		if err != nil {
			return fmt.Errorf("record %s/%s: %w: %w", Areas, a.URL, queue.ErrCorrupt, err)
		}
		all = append(all, scope.Area{Seed: u, Within: a.Within, MaxDepth: a.MaxDepth})
		return nil
	})
	return all, err
}

// SeedOrigins returns an address of each origin that the crawl has a seed of, but for
// those that have a scope of their own.
func SeedOrigins(ctx context.Context, store *queue.Store) ([]weburl.URL, error) {
	var all []weburl.URL
	for from := ""; ; {
		const limit = 1000
		records, err := store.Scan(ctx, Origins, from, "", limit)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			u, err := weburl.Parse(r.Key)
			if err != nil {
				return nil, fmt.Errorf("record %s/%s: %w: %w", Origins, r.Key, queue.ErrCorrupt, err)
			}
			all = append(all, u)
		}
		if len(records) < limit {
			return all, nil
		}
		from = records[len(records)-1].Key + "\x00"
	}
}

// Done reports whether the crawl in a store is complete: every generation is, nothing
// is deferred, and the present round has looked at all that is known.
func Done(ctx context.Context, store *queue.Store) (bool, error) {
	return pipeline.DoneAnd(ctx, store, func() (bool, error) {
		if round, _, err := ReadRound(ctx, store); err != nil || !round.Scanned {
			return false, err
		}
		return NothingDeferred(ctx, store)
	})
}

// NothingDeferred reports whether no address is deferred.
func NothingDeferred(ctx context.Context, store *queue.Store) (bool, error) {
	left, err := store.Scan(ctx, Deferred, "", "", 1)
	return err == nil && len(left) == 0, err
}

// ExactKey is the key in the frontier of an address that is fetched though others
// share its identity.
func ExactKey(url string) string { return "=" + url }

// AssetKey is the key in the frontier of an address that is fetched as an asset. An
// address has no blank.
func AssetKey(key string) string { return key + " asset" }

// RaisedKey is the key in the frontier of an address that is enqueued again since it
// is worth more than was known. An address has no blank.
func RaisedKey(key string, doubling int) string {
	if doubling == 0 {
		return key
	}
	return key + " ^" + strconv.Itoa(doubling)
}

// BackKey is the key in the frontier of what has left it n times, and is told by it
// from what the frontier has seen.
func BackKey(key string, n int) string {
	if n == 0 {
		return key
	}
	return key + " ~" + strconv.Itoa(n) // an address has no blank
}
