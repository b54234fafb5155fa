package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// A world is a store with what its children have said of it.
type world struct {
	dir     string
	settled map[string]bool // keys of which it was said that they are done
	lives   int
	last    string // what was said last, for messages
	full    bool   // the disk was said to be
}

func newWorld(dir string) *world { return &world{dir: dir, settled: make(map[string]bool)} }

// A life is a running child.
type life struct {
	*exec.Cmd
	w       *world
	opened  chan struct{} // closed when it has opened the store
	stepped chan struct{} // closed when it has settled an item after a step of its clock
	ended   chan error    // what was wrong with what it said
	errs    bytes.Buffer
}

// start begins a life of the program's own child, or of another build of it.
func (w *world) start(program string, args ...string) (*life, error) {
	args = append(args, "-child", w.dir, "-seed", strconv.Itoa(w.lives))
	w.lives++
	w.last = ""
	l := &life{Cmd: exec.Command(program, args...), w: w, opened: make(chan struct{}), stepped: make(chan struct{}), ended: make(chan error, 1)}
	l.Stderr = &l.errs
	out, err := l.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.Start(); err != nil {
		return nil, err
	}
	go func() { l.ended <- l.listen(out) }()
	return l, nil
}

// listen takes in what the child says, to its end.
func (l *life) listen(out io.Reader) (err error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	steps, worked := 0, false
	for lines.Scan() {
		what, key, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "open":
			close(l.opened)
		case "step":
			steps++
		case "full":
			l.w.full = true
		case "A":
			l.w.settled[key] = true
			if steps > 0 && !worked {
				worked = true
				close(l.stepped)
			}
		case "D":
			if l.w.settled[key] && err == nil {
				err = fmt.Errorf("%s was delivered after it had been settled", key)
			}
		case "!":
			l.w.last = key
		default:
			if l.w.last != "" { // of several lines
				l.w.last += "\n" + lines.Text()
			}
		}
	}
	return err
}

// kill ends a life, and returns what was wrong with it.
func (l *life) kill() error {
	l.Process.Kill()
	err := <-l.ended
	l.Wait()
	return err
}

// lifeFor runs a child for a while and kills it: a time of its work, or, if
// early, of its life. before is called right before, and may be what the child
// then complains about.
func (w *world) lifeFor(d time.Duration, early bool, program string, before func() error, args ...string) error {
	l, err := w.start(program, args...)
	if err != nil {
		return err
	}
	begun := l.opened
	if early {
		begun = make(chan struct{})
		close(begun)
	}
	return l.killAfter(begun, d, before)
}

// patience is how long a child may take to begin with what it is to do. One that
// takes longer hangs.
const patience = 3 * time.Minute

// killAfter kills a child some time after it has begun.
func (l *life) killAfter(begun <-chan struct{}, d time.Duration, before func() error) error {
	select {
	case <-begun:
	case err := <-l.ended:
		return l.died(err)
	case <-time.After(patience):
		l.Process.Signal(syscall.SIGQUIT) // for the stacks
		err := <-l.ended
		l.Wait()
		return fmt.Errorf("the child has not begun to work within %v: %v %s\n%s", patience, err, l.w.last, l.errs.String())
	}
	select {
	case <-time.After(d):
	case err := <-l.ended:
		return l.died(err)
	}
	if before != nil {
		if err := before(); err != nil {
			l.kill()
			return err
		}
		return l.kill()
	}
	if err := l.kill(); err != nil || l.w.last != "" {
		return l.died(err)
	}
	return nil
}

// died is the error for a child that has come to an end of its own, with what
// was wrong with what it had said.
func (l *life) died(err error) error {
	l.Wait()
	return fmt.Errorf("the child has ended by itself, %v: %v %s\n%s", l.ProcessState, err, l.w.last, l.errs.String())
}

// program is this program.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// verify compares the store with what must be in it. opened says that it could
// be opened.
func (w *world) verify(dir string) (opened bool, err error) {
	ctx := context.Background()
	s, err := badgerqueue.Open(dir, storeOptions())
	if err != nil {
		return false, err
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		return true, err
	}
	if err := settleDown(ctx, s); err != nil {
		return true, err
	}
	done := make(map[string]bool)
	if err := eachRecord(ctx, s, doneTable, func(key string, value []byte) error {
		if !bytes.Equal(value, recordOf(key)) {
			return fmt.Errorf("the record of %s is wrong", key)
		}
		done[key] = true
		return nil
	}); err != nil {
		return true, err
	}
	waiting, err := waitingItems(ctx, s, done)
	if err != nil {
		return true, err
	}
	if err := w.compare(done, waiting); err != nil {
		return true, err
	}
	roots, err := counter(ctx, s, "roots")
	if err != nil {
		return true, err
	}
	for i := range roots {
		if key := fmt.Sprint(i); !done[key] && !waiting[key] {
			return true, fmt.Errorf("root %s of %d is lost", key, roots)
		}
	}
	n, err := counter(ctx, s, "done")
	if err != nil {
		return true, err
	}
	if n != int64(len(done)) {
		return true, fmt.Errorf("%d items are done, the counter says %d", len(done), n)
	}
	if err := compareBatches(ctx, s, roots, done); err != nil {
		return true, err
	}
	next := 1
	return true, eachRecord(ctx, s, "generations", func(key string, _ []byte) error {
		if key != fmt.Sprintf("%08d", next) {
			return fmt.Errorf("generation %s comes where %d should", key, next)
		}
		next++
		return nil
	})
}

// compareBatches checks that there is one completion, received or waiting, for each
// batch of which all is done, and none for others.
func compareBatches(ctx context.Context, s *queue.Store, roots int64, done map[string]bool) error {
	ended := make(map[string]int64)
	if err := eachRecord(ctx, s, endedName, func(key string, value []byte) (err error) {
		ended[key], err = queue.ParseCounter(value)
		return err
	}); err != nil {
		return err
	}
	waiting, err := s.Browse(ctx, endedName, nil, 10_000)
	if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
		return err
	}
	for _, w := range waiting {
		b, _, _ := queue.Complete(&w.Item)
		ended[b.Name]++
	}
	var all func(key string) bool
	all = func(key string) bool {
		return done[key] && !slices.ContainsFunc(childrenOf(key), func(child string) bool { return !all(child) })
	}
	for n := int64(0); n < roots; n += rootsEach {
		batch, want := batchOf(fmt.Sprint(n)), int64(1)
		if slices.ContainsFunc(batchRoots(batch), func(root string) bool { return !all(root) }) {
			want = 0
		}
		if ended[batch] != want {
			return fmt.Errorf("batch %s has ended %d times, want %d", batch, ended[batch], want)
		}
	}
	return nil
}

// settleDown waits until no item is delayed: one that becomes ready between two
// pages is on neither.
func settleDown(ctx context.Context, s *queue.Store) error {
	for {
		stats, err := s.QueueStats(ctx, queueName)
		if errors.Is(err, queue.ErrUnknownQueue) || err == nil && stats.Delayed == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// compare checks the trees.
func (w *world) compare(done, waiting map[string]bool) error {
	for key := range w.settled {
		if !done[key] {
			return fmt.Errorf("%s was acknowledged and is not done", key)
		}
	}
	for key := range done {
		for _, child := range childrenOf(key) {
			if !done[child] && !waiting[child] {
				return fmt.Errorf("%s is done and its child %s is not there", key, child)
			}
		}
	}
	for _, keys := range []map[string]bool{done, waiting} {
		for key := range keys {
			if i := strings.LastIndexByte(key, '/'); i >= 0 && !done[key[:i]] {
				return fmt.Errorf("%s is there and its parent is not done", key)
			}
		}
	}
	return nil
}

func waitingItems(ctx context.Context, s *queue.Store, done map[string]bool) (map[string]bool, error) {
	waiting := make(map[string]bool)
	const page = 200
	for after := (*queue.Waiting)(nil); ; {
		items, err := s.Browse(ctx, queueName, after, page)
		if errors.Is(err, queue.ErrUnknownQueue) {
			return waiting, nil // the child died before it had made it
		}
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			key := it.Item.Key
			if !bytes.Equal(it.Item.Body, itemOf(key).Body) {
				return nil, fmt.Errorf("item %s has the wrong body", key)
			}
			if done[key] || waiting[key] {
				return nil, fmt.Errorf("%s waits, and is done or waits twice", key)
			}
			waiting[key] = true
		}
		if len(items) < page {
			return waiting, nil
		}
		after = &items[len(items)-1]
	}
}

func eachRecord(ctx context.Context, s *queue.Store, table string, fn func(key string, value []byte) error) error {
	const page = 50
	for from := ""; ; {
		records, err := s.Scan(ctx, table, from, "", page)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r.Key, r.Value); err != nil {
				return err
			}
			from = r.Key + "\x00"
		}
		if len(records) < page {
			return nil
		}
	}
}

func counter(ctx context.Context, s *queue.Store, key string) (int64, error) {
	value, err := s.Get(ctx, "counters", key)
	if errors.Is(err, queue.ErrNotFound) {
		return 0, nil // nobody has counted yet
	}
	if err != nil {
		return 0, err
	}
	return queue.ParseCounter(value)
}
