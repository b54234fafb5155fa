package queuetest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var killsFlag = flag.Int("kills", 0, "how many times to kill the child process, instead of the default")

// killDir names the environment variable that makes a test binary the child.
const killDir = "QUEUETEST_KILL_DIR"

// Kill checks that a store in a folder survives the death of its process. The
// child, which is this same test binary running this same test, works through
// generations of items in three queues; some items kill it at once with SIGKILL
// every time they are delivered. The parent kills it besides, at random moments,
// until it has done that kills times, and opens the store itself every few deaths to
// check it. At the end every item has been recorded exactly once, in the
// transaction that acknowledged it, or lies in the dead letters. The flag -kills
// overrides the number.
//
// open opens a durable store on a folder. The test that calls Kill must do
// nothing else before.
func Kill(t *testing.T, kills int, open func(dir string) (*queue.Store, error)) {
	if dir := os.Getenv(killDir); dir != "" {
		if err := victim(open, dir); err != nil {
			fmt.Println("victim:", err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	if *killsFlag > 0 {
		kills = *killsFlag
	}
	p := &killer{T: t, open: open, rnd: rand.New(rand.NewPCG(uint64(kills), 1))}
	for p.killed() < kills {
		p.dir = t.TempDir()
		for done := false; !done; {
			done = p.life(p.killed() < kills)
			if p.deaths%10 == 9 || done {
				p.inspect(done)
			}
			if t.Failed() {
				return
			}
		}
		p.rounds++
	}
	t.Logf("%d deaths, %d of them by an item's own hand, in %d rounds; %d transactions with ids", p.deaths, p.suicides, p.rounds, p.steps)
	if p.steps == 0 {
		t.Error("no transaction with an id was committed: the test shows nothing of them")
	}
}

type killer struct {
	*testing.T
	open     func(dir string) (*queue.Store, error)
	dir      string
	rnd      *rand.Rand
	deaths   int
	suicides int
	rounds   int
	steps    int // most of repeatKill
}

// killed returns how many deaths were not by an item's own hand.
func (p *killer) killed() int { return p.deaths - p.suicides }

// life runs the child until it dies or is done. Without mayKill it dies by its
// own hand only.
func (p *killer) life(mayKill bool) (done bool) {
	p.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+strings.ReplaceAll(p.Name(), "/", "$/^")+"$", "-test.timeout", "2m")
	cmd.Env = append(os.Environ(), killDir+"="+p.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	var words []string
	var killed sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		words = append(words, lines.Text())
		if mayKill && lines.Text() == "open" {
			// From here on the child is at work; before, it was opening the store.
			after := time.Duration(p.rnd.IntN(60)) * time.Millisecond
			time.AfterFunc(after, func() { killed.Do(func() { cmd.Process.Kill() }) })
		}
	}
	err = cmd.Wait()
	killed.Do(func() {}) // the process is gone, and its number may be another's
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		p.deaths++
		if len(words) > 0 && strings.HasPrefix(words[len(words)-1], "poison") {
			p.suicides++
		}
		return false
	}
	p.Fatalf("the child ended with %v:\n%s", err, strings.Join(words, "\n"))
	return false
}

// The work: in generation g, item "g.i" goes through the queues k0, k1 and k2.
const (
	killGenerations = 4
	killItems       = 40
	killDeaths      = 6
	killSteps       = 2000 // of repeatKill, at most
)

var killQueues = []string{"k0", "k1", "k2"}

// poisonous items kill the process that works on them.
func poisonous(name string) bool { return name == "1.7" || name == "1.23" }

// victim is the child: it works until all generations have passed.
func victim(open func(dir string) (*queue.Store, error), dir string) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	last := fmt.Sprintf("%s/%d", killQueues[len(killQueues)-1], killGenerations-1)
	if _, err := s.Get(context.Background(), "generations", last); err == nil {
		return s.Close() // it died after its last commit
	}
	fmt.Println("open")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if err := plantKill(ctx, s); err != nil {
		return err
	}
	var workers sync.WaitGroup
	done := errors.New("done")
	for i, q := range killQueues {
		for range 2 {
			workers.Go(func() {
				if err := killWorker(ctx, s, q, &queue.SubscribeOptions{Barriers: queue.NoBarriers, Prefetch: 8}, i); err != nil {
					cancel(err)
				}
			})
		}
		workers.Go(func() {
			err := killWorker(ctx, s, q, &queue.SubscribeOptions{Barriers: queue.OnlyBarriers, Durable: "coordinator"}, i)
			if err == nil && i == len(killQueues)-1 {
				err = done
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	workers.Go(func() {
		if err := batchKill(ctx, s, nil); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	workers.Go(func() {
		if err := repeatKill(ctx, s); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	workers.Wait()
	if err := context.Cause(ctx); err != done {
		return err
	}
	return s.Close()
}

// repeatKill commits numbered transactions until ctx ends. It begins with some that its
// predecessor may have committed: they have ids, and happen once.
func repeatKill(ctx context.Context, s *queue.Store) error {
	value, err := s.Get(ctx, "repeated", "n")
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	done, err := queue.ParseCounter(value)
	if err != nil {
		return err
	}
	for i := max(0, done-4); ; i++ {
		tx := queue.Tx{ID: fmt.Sprint("step ", i)}
		tx.Add("repeated", "n", 1)
		tx.Enqueue("repeated", queue.Item{Body: strconv.AppendInt(nil, i, 10)})
		tx.Barrier("repeated", nil)
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		if b := tx.Result().Barriers; len(b) != 1 || int64(b[0].Epoch) != i {
			return fmt.Errorf("step %d, begun with %d, has placed the barriers %v", i, done, b)
		}
		if i == killSteps {
			return nil
		}
	}
}

// plantKill puts in the first generation, once.
func plantKill(ctx context.Context, s *queue.Store) error {
	if _, err := s.Get(ctx, "state", "planted"); !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	var tx queue.Tx
	for _, q := range killQueues {
		tx.Configure(q, queue.Config{MaxAttempts: 1, MaxDeaths: killDeaths})
	}
	plantGeneration(&tx, 0)
	tx.Put("state", "planted", nil)
	return s.Commit(ctx, &tx)
}

func plantGeneration(tx *queue.Tx, g int) {
	for i := range killItems {
		name := fmt.Sprint(g, ".", i)
		it := queue.Item{Key: name, Body: []byte(name), Group: fmt.Sprint(i % 5), Batch: killBatch(name)}
		if i%10 == 3 {
			it.Delay = 5 * time.Millisecond
		}
		tx.Enqueue("k0", it, it)
	}
	tx.Barrier("k0", []byte(strconv.Itoa(g)))
	for i := range killItems / 10 {
		tx.CloseBatch("k0", killBatch(fmt.Sprint(g, ".", 10*i)), "ended", queue.Item{})
	}
}

// killBatch is the batch of an item: ten are in one.
func killBatch(name string) string {
	g, i, _ := strings.Cut(name, ".")
	n, _ := strconv.Atoi(i)
	return fmt.Sprint("batch ", g, ".", n/10)
}

// batchKill records the batches that have ended, and closes those of their children,
// until ctx ends, or expected says that no more are to come.
func batchKill(ctx context.Context, s *queue.Store, expected func() bool) error {
	c, err := s.Subscribe(ctx, "ended", nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for expected == nil || expected() {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			return err
		}
		b, q, ok := queue.Complete(&ds[0].Item)
		if !ok {
			return fmt.Errorf("%+v is no completion", ds[0].Item)
		}
		var tx queue.Tx
		tx.Ack(ds[0])
		tx.Add("batches", q+"/"+b.Name, 1)
		t := b.Totals
		tx.Put("batch totals", q+"/"+b.Name, fmt.Appendf(nil, "%d %d %d", t.Enqueued, t.Acked, t.Buried))
		if i := slices.Index(killQueues, q) + 1; i < len(killQueues) {
			tx.CloseBatch(killQueues[i], b.Name, "ended", queue.Item{})
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
	}
	return nil
}

// killWorker works until ctx ends, or the last barrier has come.
func killWorker(ctx context.Context, s *queue.Store, q string, opts *queue.SubscribeOptions, stage int) error {
	c, err := s.Subscribe(ctx, q, opts)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		ds, err := c.Receive(ctx, 4)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var tx queue.Tx
		last := false
		for _, d := range ds {
			if d.Barrier != nil {
				last = endGeneration(&tx, d, stage)
				continue
			}
			name := string(d.Item.Body)
			if poisonous(name) && stage == 1 {
				fmt.Println("poison", name)
				die()
			}
			// Each acknowledgement is a record of its own, so that a second one
			// would show.
			if _, err := s.Get(ctx, q, name); err == nil {
				return fmt.Errorf("%s was acknowledged in %s and came again", name, q)
			} else if !errors.Is(err, queue.ErrNotFound) {
				return err
			}
			tx.Put(q, name, fmt.Append(nil, d.Epoch))
			tx.Add("acks", q+"/"+name, 1)
			if stage+1 < len(killQueues) {
				tx.Enqueue(killQueues[stage+1], queue.Item{Key: name, Body: d.Item.Body, Group: d.Item.Group, Batch: d.Item.Batch})
			}
			tx.Ack(d)
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// endGeneration passes a barrier on, and plants the next generation.
func endGeneration(tx *queue.Tx, d *queue.Delivery, stage int) (last bool) {
	g, err := strconv.Atoi(string(d.Barrier.Body))
	if err != nil || uint32(g) != d.Epoch {
		panic(fmt.Sprintf("barrier %q of epoch %d", d.Barrier.Body, d.Epoch))
	}
	n := d.Barrier.Counts
	tx.Put("generations", fmt.Sprintf("%s/%d", d.Queue, g), fmt.Appendf(nil, "%d %d %d", n.Enqueued, n.Acked, n.Buried))
	tx.Add("opened", d.Queue, 1)
	tx.Ack(d)
	if stage == 0 && g+1 < killGenerations {
		plantGeneration(tx, g+1)
	}
	if stage+1 < len(killQueues) {
		tx.Barrier(killQueues[stage+1], d.Barrier.Body)
	}
	return g+1 == killGenerations
}

// inspect opens the store in the parent and checks it; at the end, all of it.
func (p *killer) inspect(done bool) {
	p.Helper()
	s, err := p.open(p.dir)
	if err != nil {
		p.Fatalf("open after %d deaths: %v", p.deaths, err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			p.Errorf("Close: %v", err)
		}
	}()
	ctx := p.Context()
	if err := s.Check(ctx); err != nil {
		p.Fatalf("after %d deaths: %v", p.deaths, err)
	}
	acks, err := s.Scan(ctx, "acks", "", "", 10_000)
	if err != nil {
		p.Fatal(err)
	}
	for _, r := range acks {
		if n, err := queue.ParseCounter(r.Value); err != nil || n != 1 {
			p.Errorf("%s was acknowledged %s times (%v)", r.Key, r.Value, err)
		}
	}
	p.auditSteps(s)
	if done {
		p.audit(s)
	}
}

// auditBatches checks that each batch has ended once, with what became of its items.
func (p *killer) auditBatches(s *queue.Store, outcome func(batch string) string) {
	p.Helper()
	const all = killGenerations * killItems / 10
	ended := func() []queue.Record {
		records, err := s.Scan(p.Context(), "batches", "", "", 1000)
		if err != nil {
			p.Fatal(err)
		}
		return records
	}
	want := all * len(killQueues)
	if err := batchKill(p.Context(), s, func() bool { return len(ended()) < want }); err != nil {
		p.Fatal(err)
	}
	for _, r := range ended() {
		totals, err := s.Get(p.Context(), "batch totals", r.Key)
		if string(r.Value) != "1" || err != nil || string(totals) != outcome(r.Key) {
			p.Errorf("%s has ended %s times with %s, %v, want %s", r.Key, r.Value, totals, err, outcome(r.Key))
		}
	}
	for _, q := range killQueues {
		if left, err := s.Batches(p.Context(), q, "", 1000); err != nil || len(left) > 0 {
			p.Errorf("batches of %s are not complete: %+v, %v", q, left, err)
		}
	}
}

// auditSteps checks that each transaction of repeatKill has happened once.
func (p *killer) auditSteps(s *queue.Store) {
	p.Helper()
	page, err := s.Browse(p.Context(), "repeated", nil, killSteps+2)
	if errors.Is(err, queue.ErrUnknownQueue) {
		return // the child has not come that far
	}
	if err != nil {
		p.Fatal(err)
	}
	for i, w := range page {
		if string(w.Item.Body) != strconv.Itoa(i) || int(w.Epoch) != i {
			p.Fatalf("item %d of the repeated transactions is %q of epoch %d", i, w.Item.Body, w.Epoch)
		}
	}
	value, err := s.Get(p.Context(), "repeated", "n")
	if n, parsed := queue.ParseCounter(value); err != nil || parsed != nil || int(n) != len(page) {
		p.Fatalf("%d items were counted, %v, and there are %d", n, err, len(page))
	}
	p.steps = max(p.steps, len(page))
}

// audit checks that each item of each generation went exactly as far as its
// records say, and that only those which kill the process are dead letters.
func (p *killer) audit(s *queue.Store) {
	p.Helper()
	ctx := p.Context()
	type outcome struct{ enqueued, acked, buried int }
	batches := make(map[string]outcome)
	defer func() {
		p.auditBatches(s, func(b string) string { o := batches[b]; return fmt.Sprint(o.enqueued, o.acked, o.buried) })
	}()
	for stage, q := range killQueues {
		dead := make(map[string]queue.DeadLetter)
		letters, err := s.DeadLetters(ctx, q, 0, 1000)
		if err != nil {
			p.Fatal(err)
		}
		for _, l := range letters {
			dead[string(l.Item.Body)] = l
			if !poisonous(string(l.Item.Body)) || l.Deaths < killDeaths || l.Attempts != l.Deaths {
				p.Errorf("%q is dead in %s after %d attempts and %d deaths, want poison and %d: %s", l.Item.Body, q, l.Attempts, l.Deaths, killDeaths, l.Reason)
			}
		}
		for g := range killGenerations {
			var want outcome
			for i := range killItems {
				name := fmt.Sprint(g, ".", i)
				reached := true
				if stage > 0 {
					_, err := s.Get(ctx, killQueues[stage-1], name)
					reached = err == nil
				}
				_, isDead := dead[name]
				v, err := s.Get(ctx, q, name)
				recorded := err == nil
				switch {
				case recorded && isDead, reached != (recorded || isDead):
					p.Errorf("%s in %s: reached it %v, recorded %v, dead %v", name, q, reached, recorded, isDead)
				case recorded && string(v) != strconv.Itoa(g):
					p.Errorf("%s was worked on in generation %s of %s", name, v, q)
				case recorded && stage == 1 && poisonous(name):
					p.Errorf("%s kills whoever works on it, and was acknowledged", name)
				}
				batch := batches[q+"/"+killBatch(name)]
				for _, n := range []*outcome{&want, &batch} {
					if reached {
						n.enqueued++
					}
					if recorded {
						n.acked++
					}
					if isDead {
						n.buried++
					}
				}
				batches[q+"/"+killBatch(name)] = batch
			}
			record := fmt.Sprintf("%d %d %d", want.enqueued, want.acked, want.buried)
			if v, err := s.Get(ctx, "generations", fmt.Sprintf("%s/%d", q, g)); err != nil || string(v) != record {
				p.Errorf("generation %d of %s: %q, %v, want %q", g, q, v, err, record)
			}
		}
		if v, err := s.Get(ctx, "opened", q); err != nil || string(v) != strconv.Itoa(killGenerations) {
			p.Errorf("%s opened %s epochs, %v, want %d", q, v, err, killGenerations)
		}
	}
}

// die ends this process as SIGKILL does: at once, with nothing tidied up.
func die() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		p.Kill()
	}
	select {} // until it takes effect
}
