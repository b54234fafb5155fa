// Command postgres measures a store on PostgreSQL beside one in a folder and
// beside River, on the same machine and the same server, in turns.
//
//	go run . -rounds 3 -d 5s
//	go run . -only depth -waiting 1000,10000000
//	go run . -only takeover,vacuum
//
// The server is PostgreSQL as it comes, but for the sizes of its memory: it syncs
// what it confirms.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/seed-301537d8/weir/internal/pgtest"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

var (
	rounds  = flag.Int("rounds", 3, "how often to measure each, in turns")
	length  = flag.Duration("d", 5*time.Second, "how long each measurement takes")
	items   = flag.Int("items", 1_000_000, "how many items wait, for takeover")
	waiting = flag.String("waiting", "1000,10000,100000,1000000", "how many items wait, for depth")
	warm    = flag.Duration("warm", 0, "for how long to work on each store before it is measured, for depth")
	only    = flag.String("only", "", "of steps,takeack,depth,takeover,vacuum: those, with commas between them")
	schemas int
)

type bench struct {
	ctx    context.Context
	server *pgtest.Server
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	server, err := pgtest.Start("shared_buffers=512MB", "max_wal_size=4GB")
	if err != nil {
		return err
	}
	defer server.Close()
	b := &bench{context.Background(), server}
	for _, m := range []struct {
		name string
		run  func() error
	}{
		{"steps", b.steps}, {"takeack", b.takeAck}, {"depth", b.depth}, {"takeover", b.takeover}, {"vacuum", b.vacuum},
	} {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.name) {
			continue
		}
		if err := m.run(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// onPostgres opens a store of its own on the server.
func (b *bench) onPostgres() (*queue.Store, string, error) {
	schemas++
	schema := fmt.Sprint("s", schemas)
	s, err := pgqueue.Open(b.ctx, b.server.DSN(), &pgqueue.Options{Schema: schema})
	return s, schema, err
}

// onDisk opens a store in a folder.
func onDisk() (s *queue.Store, remove func(), err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	s, err = badgerqueue.Open(dir, nil)
	return s, func() { os.RemoveAll(dir) }, err
}

// fill enqueues keyed items of 200 bytes, from several callers, as a crawl does.
func fill(ctx context.Context, s *queue.Store, n int) error {
	const callers = 4
	group, ctx := errgroup.WithContext(ctx)
	for caller := range callers {
		group.Go(func() error {
			for i := caller; i < n; {
				var tx queue.Tx
				for range 1000 {
					if i < n {
						tx.Enqueue("q", queue.Item{Key: fmt.Sprint("seed ", i), Body: make([]byte, 200)})
					}
					i += callers
				}
				if err := s.Commit(ctx, &tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// work runs workers for the length, each of which calls do again and again, and
// returns what the items took that they did.
func (b *bench) work(s *queue.Store, workers int, d time.Duration, do func(ctx context.Context, c *queue.Consumer) (int, error)) (cost, error) {
	return b.measure(func() (int64, error) { return work(b.ctx, s, workers, d, do) })
}

func work(ctx context.Context, s *queue.Store, workers int, d time.Duration, do func(ctx context.Context, c *queue.Consumer) (int, error)) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c, err := s.Subscribe(ctx, "q", nil)
			for err == nil && ctx.Err() == nil {
				var k int
				k, err = do(ctx, c)
				n.Add(int64(k))
			}
			if err != nil && ctx.Err() == nil {
				failed.Store(&err)
				cancel()
			}
			if c != nil {
				c.Close()
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return n.Load(), nil
}

// steps compares takes with ten keyed enqueues and an ack each, and River's jobs.
func (b *bench) steps() error {
	measure := func(s *queue.Store) (cost, error) {
		defer s.Close()
		if err := fill(b.ctx, s, 2000); err != nil {
			return cost{}, err
		}
		return b.work(s, 128, *length, func(ctx context.Context, c *queue.Consumer) (int, error) {
			ds, err := c.Receive(ctx, 1)
			if err != nil {
				return 0, err
			}
			var tx queue.Tx
			tx.Ack(ds[0])
			for i := range 10 {
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint(ds[0].ID, "/", i), Body: make([]byte, 200)})
			}
			return 1, s.Commit(ctx, &tx)
		})
	}
	var disk, postgres, river, riverSteps []cost
	for range *rounds {
		s, remove, err := onDisk()
		if err != nil {
			return err
		}
		n, err := measure(s)
		remove()
		if err != nil {
			return err
		}
		disk = append(disk, n)
		if s, _, err = b.onPostgres(); err != nil {
			return err
		}
		if n, err = measure(s); err != nil {
			return err
		}
		postgres = append(postgres, n)
		if n, err = b.river(false); err != nil {
			return err
		}
		river = append(river, n)
		if n, err = b.river(true); err != nil {
			return err
		}
		riverSteps = append(riverSteps, n)
	}
	rates := func(all []cost) (rates []float64) {
		for _, c := range all {
			rates = append(rates, c.rate())
		}
		return rates
	}
	fmt.Printf("steps/s: folder %.0f, PostgreSQL %.0f (%.2f of the folder), River %.0f (PostgreSQL has %.1f times as many); River's jobs/s alone %.0f\n",
		median(rates(disk)), median(rates(postgres)), median(rates(postgres))/median(rates(disk)), median(rates(riverSteps)), median(rates(postgres))/median(rates(riverSteps)), median(rates(river)))
	d, p, r := medianCost(disk), medianCost(postgres), medianCost(riverSteps)
	fmt.Printf("a step, self + server: folder %v; PostgreSQL %v (%.2f of the folder's work for each processor second); River %v (%.1f times less); a job of River alone %v\n",
		d, p, d.cpu()/p.cpu(), r, r.cpu()/p.cpu(), medianCost(river))
	return nil
}

// takeAck measures batches of 100.
func (b *bench) takeAck() error {
	var all []cost
	for range *rounds {
		s, _, err := b.onPostgres()
		if err != nil {
			return err
		}
		if err := fill(b.ctx, s, 1_000_000); err != nil {
			return err
		}
		c, err := b.measure(func() (int64, error) { return b.takeAckOf(s, 1_000_000) })
		if err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
		all = append(all, c)
	}
	fmt.Printf("take+ack of 100, an item: %v\n", medianCost(all))
	return nil
}

// takeAckOf empties a store, for the length at most, and returns of how many items.
func (b *bench) takeAckOf(s *queue.Store, n int) (int64, error) {
	var left atomic.Int64
	left.Store(int64(n) - 3200) // nobody waits for what will not come
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	_, err := work(ctx, s, 16, *length, func(ctx context.Context, c *queue.Consumer) (int, error) {
		ds, err := c.Receive(ctx, 100)
		if err != nil {
			return 0, err
		}
		var tx queue.Tx
		tx.Ack(ds...)
		if err := s.Commit(ctx, &tx); err != nil {
			return 0, err
		}
		if left.Add(-int64(len(ds))) < 0 {
			cancel()
		}
		return len(ds), nil
	})
	return int64(n) - 3200 - left.Load(), err
}

// depth measures steps that leave as many items as there were, with more and more of them
// waiting, in turns.
func (b *bench) depth() error {
	var depths []int
	for part := range strings.SplitSeq(*waiting, ",") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("-waiting: %w", err)
		}
		depths = append(depths, n)
	}
	stores, costs := make([]*queue.Store, len(depths)), make([][]cost, len(depths))
	for i, n := range depths {
		s, _, err := b.onPostgres()
		if err != nil {
			return err
		}
		defer s.Close()
		begin := time.Now()
		if err := fill(b.ctx, s, n); err != nil {
			return err
		}
		stores[i] = s
		fmt.Printf("%d items were enqueued in %v\n", n, time.Since(begin).Round(time.Second))
	}
	// What the filling has left to do is not of the steps that are measured.
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if err := b.execute(sql); err != nil {
			return err
		}
	}
	step := func(s *queue.Store) func(ctx context.Context, c *queue.Consumer) (int, error) {
		return func(ctx context.Context, c *queue.Consumer) (int, error) {
			ds, err := c.Receive(ctx, 1)
			if err != nil {
				return 0, err
			}
			var tx queue.Tx
			tx.Ack(ds[0])
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("new ", ds[0].ID), Body: make([]byte, 200)})
			return 1, s.Commit(ctx, &tx)
		}
	}
	for i, s := range stores {
		if *warm == 0 {
			break
		}
		n, err := work(b.ctx, s, 64, *warm, step(s))
		if err != nil {
			return err
		}
		fmt.Printf("with %d items waiting, %d steps before any is measured\n", depths[i], n)
	}
	pages := make([]traffic, len(stores))
	for range *rounds {
		for i, s := range stores {
			before, err := b.traffic()
			if err != nil {
				return err
			}
			c, err := b.work(s, 64, *length, step(s))
			if err != nil {
				return err
			}
			after, err := b.traffic()
			if err != nil {
				return err
			}
			costs[i], pages[i] = append(costs[i], c), pages[i].plus(after.minus(before))
		}
	}
	for i, n := range depths {
		steps := int64(0)
		for _, c := range costs[i] {
			steps += c.n
		}
		fmt.Printf("with %d items waiting, take+enqueue+ack: %v (median of %d); of each %s\n", n, medianCost(costs[i]), *rounds, pages[i].each(steps))
	}
	return nil
}

// traffic is what the server has read and logged.
type traffic struct{ read, images, log float64 }

func (t traffic) plus(o traffic) traffic {
	return traffic{t.read + o.read, t.images + o.images, t.log + o.log}
}
func (t traffic) minus(o traffic) traffic {
	return traffic{t.read - o.read, t.images - o.images, t.log - o.log}
}

func (t traffic) each(n int64) string {
	f := float64(max(n, 1))
	return fmt.Sprintf("%.2f pages read, %.2f written to the log whole, %.0f bytes of log", t.read/f, t.images/f, t.log/f)
}

func (b *bench) traffic() (t traffic, err error) {
	c, err := pgx.Connect(b.ctx, b.server.DSN())
	if err != nil {
		return t, err
	}
	defer c.Close(b.ctx)
	err = c.QueryRow(b.ctx, "SELECT blks_read, wal_fpi, wal_bytes::float8 FROM pg_stat_database, pg_stat_wal WHERE datname = current_database()").Scan(&t.read, &t.images, &t.log)
	return t, err
}

// takeover measures how long it takes from the end of a leader to the first
// delivery by the next.
func (b *bench) takeover() error {
	s, schema, err := b.onPostgres()
	if err != nil {
		return err
	}
	if err := fill(b.ctx, s, *items); err != nil {
		return err
	}
	c, err := s.Subscribe(b.ctx, "q", nil)
	if err != nil {
		return err
	}
	if _, err := c.Receive(b.ctx, 1000); err != nil {
		return err
	}
	if err := b.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'weir % " + schema + "'"); err != nil {
		return err
	}
	begin := time.Now()
	next, err := pgqueue.Open(b.ctx, b.server.DSN(), &pgqueue.Options{Schema: schema})
	if err != nil {
		return err
	}
	defer next.Close()
	if c, err = next.Subscribe(b.ctx, "q", nil); err != nil {
		return err
	}
	if _, err := c.Receive(b.ctx, 1); err != nil {
		return err
	}
	fmt.Printf("takeover with %d items: first delivery %v after the leader's sessions had ended\n", *items, time.Since(begin).Round(time.Millisecond))
	s.Close() // which has failed
	return nil
}

// vacuum measures steps while another holds a transaction open and when it is
// over, and how large the table is.
func (b *bench) vacuum() error {
	s, schema, err := b.onPostgres()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := fill(b.ctx, s, 10_000); err != nil {
		return err
	}
	do := func(ctx context.Context, c *queue.Consumer) (int, error) {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			return 0, err
		}
		var tx queue.Tx
		tx.Ack(ds[0])
		tx.Enqueue("q", queue.Item{Body: make([]byte, 200)})
		return 1, s.Commit(ctx, &tx)
	}
	report := func(when string) error {
		n, err := b.work(s, 64, *length, do)
		if err != nil {
			return err
		}
		var size int64
		c, err := pgx.Connect(b.ctx, b.server.DSN())
		if err != nil {
			return err
		}
		defer c.Close(b.ctx)
		if err := c.QueryRow(b.ctx, "SELECT pg_total_relation_size('"+schema+".kv')").Scan(&size); err != nil {
			return err
		}
		fmt.Printf("10,000 items, %s, take+enqueue+ack: %v; %d MiB on disk\n", when, n, size>>20)
		return nil
	}
	if err := report("at first"); err != nil {
		return err
	}
	c, err := pgx.Connect(b.ctx, b.server.DSN())
	if err != nil {
		return err
	}
	defer c.Close(b.ctx)
	if _, err := c.Exec(b.ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return err
	}
	if _, err := c.Exec(b.ctx, "SELECT count(*) FROM "+schema+".kv"); err != nil {
		return err
	}
	for i := range 4 {
		if err := report(fmt.Sprintf("another's transaction open, %d", i+1)); err != nil {
			return err
		}
	}
	if _, err := c.Exec(b.ctx, "ROLLBACK"); err != nil {
		return err
	}
	for i := range 8 {
		if err := report(fmt.Sprintf("after it, %d", i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) execute(sql string) error {
	c, err := pgx.Connect(b.ctx, b.server.DSN())
	if err != nil {
		return err
	}
	defer c.Close(b.ctx)
	_, err = c.Exec(b.ctx, sql)
	return err
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
