package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/internal/killtest"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

func testJob(t *testing.T) *job {
	return &job{
		sales:     sales{Seed: 7, Stores: 30, Lines: 20, Days: 3, dir: t.TempDir()},
		consumers: 4, batch: 8, work: 10 * time.Millisecond, ahead: 700, out: io.Discard,
	}
}

func TestEverybodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJob(t)
		s := openMemory(t, memqueue.NewDisk())
		finish(t, j, s)
		for day := range j.Days {
			told := 0
			err := scanDay(t.Context(), s, tableTold, j.date(day), func(string, []byte) error { told++; return nil })
			if err != nil || told != j.consumers {
				t.Errorf("%d of %d consumers were told that %s is over (%v)", told, j.consumers, j.date(day), err)
			}
		}
	})
}

// A day without a line is over at once, and is reported like any other.
func TestDaysWithoutSales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJob(t)
		j.Lines = 0
		finish(t, j, openMemory(t, memqueue.NewDisk()))
	})
}

func TestKilledConsumersChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJob(t)
		j.kill = 3 * time.Millisecond
		finish(t, j, openMemory(t, memqueue.NewDisk()))
		if j.kills.Load() < 20 || j.returned.Load() == 0 {
			t.Errorf("%d kills with %d lines in hand are too few to show anything", j.kills.Load(), j.returned.Load())
		}
	})
}

// The program is stopped before or after its k-th commit, and started again on
// what the disk then holds, until it gets to the end. Small steps reach every
// commit of a job, large ones let it do more between two crashes.
func TestCrashesChangeNothing(t *testing.T) {
	for _, step := range []int{1, 3, 10, 40} {
		t.Run(fmt.Sprintf("every %d commits", step), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := testJob(t)
				j.Lines, j.kill = 5, 25*time.Millisecond
				disk := memqueue.NewDisk()
				crashes := 0
				for {
					db, err := disk.Driver()
					if err != nil {
						t.Fatal(err)
					}
					s, err := queue.New(t.Context(), &crashing{Store: db, left: step + crashes%3, after: crashes%2 == 1}, nil)
					if err == nil {
						err = j.run(t.Context(), s)
						s.Close()
					} else {
						db.Close()
					}
					if err == nil {
						break
					}
					if !errors.Is(err, errCrash) {
						t.Fatalf("after %d crashes: %v", crashes, err)
					}
					if crashes++; crashes > 5000 {
						t.Fatal("no end in sight")
					}
				}
				t.Log(crashes, "crashes")
				finish(t, j, openMemory(t, disk))
			})
		})
	}
}

var errCrash = errors.New("crash")

// crashing is a driver that stops at a commit, before or after writing it.
type crashing struct {
	driver.Store
	left  int // commits that succeed
	after bool
}

func (c *crashing) Commit(ctx context.Context, writes []driver.Write) error {
	c.left--
	if c.left >= 0 || c.after {
		if err := c.Store.Commit(ctx, writes); err != nil || c.left >= 0 {
			return err
		}
	}
	return errCrash
}

func TestVerifyNoticesAWrongTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJob(t)
		s := openMemory(t, memqueue.NewDisk())
		finish(t, j, s)
		var tx queue.Tx
		tx.Add(tableProducts, j.date(1)+"/product-001/cents", 1)
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		err := j.verify(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), j.date(1)) {
			t.Errorf("verify returned %v after a total of %s was changed", err, j.date(1))
		}
	})
}

func TestAnotherJobIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJob(t)
		s := openMemory(t, memqueue.NewDisk())
		finish(t, j, s)
		j.Seed++
		if err := j.run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "seed 7") {
			t.Errorf("running a job of another seed in the same folder returned %v", err)
		}
	})
}

// The program is killed with SIGKILL at random moments and started again.
// Its totals must be those of a run in memory that nothing disturbed.
func TestKilledProgram(t *testing.T) {
	dir := t.TempDir()
	start := func() (*exec.Cmd, *bytes.Buffer) {
		cmd := killtest.Command(t.Context(), "-dir", filepath.Join(dir, "data"), "-seed=7", "-stores=60", "-lines=40", "-days=3",
			"-consumers=4", "-batch=16", "-work=10ms", "-kill=15ms", "-ahead=3000")
		out := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	kills := 0
	for kills < 8 {
		cmd, out := start()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("after %d kills: %v\n%s", kills, err, out)
			}
			t.Logf("the job was done after %d kills", kills)
		case <-time.After(30*time.Millisecond + rand.N(300*time.Millisecond)):
			cmd.Process.Kill()
			<-ended
			kills++
			continue
		}
		break
	}
	if kills < 3 {
		t.Errorf("the program ended after %d kills: too few to show anything", kills)
	}
	cmd, out := start()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("after %d kills: %v\n%s", kills, err, out)
	}
	t.Logf("%d kills\n%s", kills, out)

	j := testJob(t)
	j.Stores, j.Lines = 60, 40
	undisturbed := openMemory(t, memqueue.NewDisk())
	if err := j.run(t.Context(), undisturbed); err != nil {
		t.Fatal(err)
	}
	killed, err := openStore(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer killed.Close()
	for day := range j.Days {
		got, err := readTotals(t.Context(), killed, j.date(day))
		if err != nil {
			t.Fatal(err)
		}
		want, err := readTotals(t.Context(), undisturbed, j.date(day))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("totals of %s: got %v, want %v", j.date(day), got, want)
		}
	}
}

func openMemory(t *testing.T, disk *memqueue.Disk) *queue.Store {
	t.Helper()
	s, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// finish runs the job to its end and verifies it.
func finish(t *testing.T, j *job, s *queue.Store) {
	t.Helper()
	if err := j.run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := j.verify(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}
