package badgerqueue_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// rawBadger is the peer: Badger with synced writes and one goroutine that puts
// the writes of many callers into one transaction. It has no queue: no order,
// no leases, no identity, no counts.
type rawBadger struct {
	db   *badger.DB
	reqs chan rawRequest
	done chan struct{}
}

type rawRequest struct {
	dels, keys, values [][]byte
	done               chan error
}

func openRaw(tb testing.TB) *rawBadger {
	tb.Helper()
	// What badgerqueue.Open gives Badger.
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(tb.TempDir(), "raw")).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithMetricsEnabled(false).
		WithMemTableSize(64 << 20).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithBaseTableSize(8 << 20).
		WithNumLevelZeroTables(10).
		WithNumLevelZeroTablesStall(20).
		WithBaseLevelSize(10 * 64 << 20).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithVerifyValueChecksum(true).
		WithValueLogFileSize(64 << 20).
		WithLogger(nil))
	if err != nil {
		tb.Fatal(err)
	}
	r := &rawBadger{db: db, reqs: make(chan rawRequest, 1024), done: make(chan struct{})}
	go r.loop(tb)
	tb.Cleanup(func() {
		close(r.reqs)
		<-r.done
		db.Close()
	})
	return r
}

func (r *rawBadger) loop(tb testing.TB) {
	defer close(r.done)
	for req := range r.reqs {
		txn := r.db.NewTransaction(true)
		group := []rawRequest{req}
		r.put(tb, txn, req)
		writes := len(req.keys) + len(req.dels)
	gather:
		for writes < 50_000 {
			select {
			case next, ok := <-r.reqs:
				if !ok {
					break gather
				}
				r.put(tb, txn, next)
				group = append(group, next)
				writes += len(next.keys) + len(next.dels)
			default:
				break gather
			}
		}
		err := txn.Commit()
		for _, g := range group {
			g.done <- err
		}
	}
}

func (r *rawBadger) put(tb testing.TB, txn *badger.Txn, req rawRequest) {
	for _, k := range req.dels {
		if err := txn.Delete(k); err != nil {
			tb.Error(err)
		}
	}
	for i, k := range req.keys {
		if err := txn.Set(k, req.values[i]); err != nil {
			tb.Error(err)
		}
	}
}

func (r *rawBadger) commit(req rawRequest) error {
	req.done = make(chan error, 1)
	r.reqs <- req
	return <-req.done
}

// fill writes n items, which take reads in their order.
func (r *rawBadger) fill(tb testing.TB, n int) (take func(n int) (keys [][]byte)) {
	tb.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	value := append(make([]byte, 60), body...)
	for range 8 {
		wg.Go(func() {
			for from := int(next.Add(1000)) - 1000; from < n; from = int(next.Add(1000)) - 1000 {
				var req rawRequest
				for i := from; i < min(n, from+1000); i++ {
					req.keys = append(req.keys, rawKey(uint64(i)))
					req.values = append(req.values, value)
				}
				must(tb, r.commit(req))
			}
		})
	}
	wg.Wait()
	settle()
	var mu sync.Mutex
	txn := r.db.NewTransaction(false)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte("i")})
	it.Rewind()
	tb.Cleanup(func() { it.Close(); txn.Discard() })
	return func(n int) (keys [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		for ; n > 0 && it.Valid(); n-- {
			keys = append(keys, it.Item().KeyCopy(nil))
			_, err := it.Item().ValueCopy(nil)
			must(tb, err)
			it.Next()
		}
		return keys
	}
}

func rawKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("i0000000"), n) }

func openStore(tb testing.TB) *queue.Store {
	tb.Helper()
	s, err := badgerqueue.Open(filepath.Join(tb.TempDir(), "store"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// parallel runs fn on n goroutines until b.N units are done, and reports units
// per second.
func parallel(b *testing.B, n, unit int, name string, fn func(worker int)) {
	b.Helper()
	b.ResetTimer()
	start, used := time.Now(), cputime.Used()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				fn(w)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*unit)/time.Since(start).Seconds(), name)
	// On a machine that others use too, the processor's time says more.
	b.ReportMetric(float64((cputime.Used()-used).Nanoseconds())/1e3/float64(b.N*unit), "cpu-µs/"+strings.TrimSuffix(name, "s/s"))
}

var body = make([]byte, 100)

// BenchmarkStep is one step of a crawl: take a URL, enqueue ten keyed ones, ack.
// The raw peer writes the same bytes: one delete, ten items, ten marks.
func BenchmarkStep(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("raw/callers=%d", callers), func(b *testing.B) {
			r := openRaw(b)
			var id atomic.Uint64
			item := append(make([]byte, 60), body...)
			parallel(b, callers, 1, "steps/s", func(int) {
				var req rawRequest
				n := id.Add(1)
				req.dels = append(req.dels, rawKey(n))
				for i := range uint64(10) {
					req.keys = append(req.keys, rawKey(n*10+i))
					req.values = append(req.values, item)
					mark := binary.BigEndian.AppendUint64([]byte("k00"), rand.Uint64())
					req.keys = append(req.keys, binary.BigEndian.AppendUint64(mark, rand.Uint64()))
					req.values = append(req.values, item[:8])
				}
				if err := r.commit(req); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprintf("weir/callers=%d", callers), func(b *testing.B) {
			s := openStore(b)
			ctx := context.Background()
			c, err := s.Subscribe(ctx, "crawl", nil)
			if err != nil {
				b.Fatal(err)
			}
			var id atomic.Uint64
			items := func() []queue.Item {
				out := make([]queue.Item, 10)
				for i := range out {
					out[i] = queue.Item{Key: fmt.Sprintf("https://example.com/some/path/to/page-%08d.html", id.Add(1)), Body: body}
				}
				return out
			}
			var tx queue.Tx
			for range callers {
				tx.Enqueue("crawl", items()...)
			}
			if err := s.Commit(ctx, &tx); err != nil {
				b.Fatal(err)
			}
			parallel(b, callers, 1, "steps/s", func(int) {
				ds, err := c.Receive(ctx, 1)
				if err != nil {
					b.Error(err)
					return
				}
				var tx queue.Tx
				tx.Enqueue("crawl", items()...)
				tx.Ack(ds[0])
				if err := s.Commit(ctx, &tx); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkTakeAck takes and acks batches of 100; the raw peer reads and deletes
// them, with one iterator for all callers.
func BenchmarkTakeAck(b *testing.B) {
	const batch = 100
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("raw/callers=%d", callers), func(b *testing.B) {
			r := openRaw(b)
			take := r.fill(b, (b.N+callers)*batch)
			parallel(b, callers, batch, "items/s", func(int) {
				if err := r.commit(rawRequest{dels: take(batch)}); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run(fmt.Sprintf("weir/callers=%d", callers), func(b *testing.B) {
			s := openStore(b)
			ctx := context.Background()
			fill(b, s, "q", (b.N+callers)*batch, 0)
			settle()
			c, err := s.Subscribe(ctx, "q", &queue.SubscribeOptions{Prefetch: callers * batch})
			if err != nil {
				b.Fatal(err)
			}
			parallel(b, callers, batch, "items/s", func(int) {
				for n := 0; n < batch; {
					ds, err := c.Receive(ctx, batch-n)
					if err != nil {
						b.Error(err)
						return
					}
					n += len(ds)
					var tx queue.Tx
					tx.Ack(ds...)
					if err := s.Commit(ctx, &tx); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkRawDelete deletes known keys, a thousand in each synced transaction:
// how fast this machine is, whatever Weir does.
func BenchmarkRawDelete(b *testing.B) {
	const batch = 1000
	r := openRaw(b)
	r.fill(b, b.N*batch)
	var next atomic.Int64
	parallel(b, 1, batch, "items/s", func(int) {
		from := next.Add(batch) - batch
		req := rawRequest{dels: make([][]byte, batch)}
		for i := range req.dels {
			req.dels[i] = rawKey(uint64(from) + uint64(i))
		}
		if err := r.commit(req); err != nil {
			b.Error(err)
		}
	})
}

// fill enqueues n items, spread over groups if groups > 0.
func fill(tb testing.TB, s *queue.Store, name string, n, groups int) {
	tb.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wg.Go(func() {
			for {
				from := int(next.Add(1000)) - 1000
				if from >= n {
					return
				}
				items := make([]queue.Item, 0, 1000)
				for i := from; i < min(n, from+1000); i++ {
					it := queue.Item{Body: body}
					if groups > 0 {
						it.Group = fmt.Sprintf("host-%07d.example", i%groups)
					}
					items = append(items, it)
				}
				var tx queue.Tx
				tx.Enqueue(name, items...)
				if err := s.Commit(context.Background(), &tx); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkEnqueue puts items of 100 bytes, 1,000 to a transaction.
func BenchmarkEnqueue(b *testing.B) {
	const batch = 1000
	b.Run("raw", func(b *testing.B) {
		r := openRaw(b)
		var id atomic.Uint64
		item := append(make([]byte, 8), body...)
		parallel(b, 8, batch, "items/s", func(int) {
			var req rawRequest
			for range batch {
				req.keys = append(req.keys, binary.BigEndian.AppendUint64([]byte("i0000000"), id.Add(1)))
				req.values = append(req.values, item)
			}
			if err := r.commit(req); err != nil {
				b.Error(err)
			}
		})
	})
	b.Run("weir", func(b *testing.B) {
		s := openStore(b)
		ctx := context.Background()
		items := make([]queue.Item, batch)
		for i := range items {
			items[i].Body = body
		}
		parallel(b, 8, batch, "items/s", func(int) {
			var tx queue.Tx
			tx.Enqueue("q", items...)
			if err := s.Commit(ctx, &tx); err != nil {
				b.Error(err)
			}
		})
	})
}

// BenchmarkOffer offers URLs of which half have been seen, 500 at a time.
func BenchmarkOffer(b *testing.B) {
	const batch = 500
	s := openStore(b)
	ctx := context.Background()
	var fresh atomic.Int64
	parallel(b, 8, batch, "offers/s", func(int) {
		items := make([]queue.Item, batch)
		for i := range items {
			n := fresh.Load()
			if i%2 == 0 {
				n = fresh.Add(1)
			} else if n > 0 {
				n = rand.Int64N(n)
			}
			items[i] = queue.Item{Key: fmt.Sprintf("https://example.com/some/path/to/page-%010d.html", n), Body: body}
		}
		var tx queue.Tx
		tx.Enqueue("q", items...)
		if err := s.Commit(ctx, &tx); err != nil {
			b.Error(err)
		}
	})
}
