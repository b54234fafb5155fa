package crawler_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

var recrawlKills = flag.Int("recrawl.runs", 2, "how often TestRecrawlSurvivesCrashes goes through its rounds")

var errCrash = errors.New("crash")

// crashing is a driver whose process dies at a commit: before it, or behind it.
type crashing struct {
	driver.Store
	left  int
	after bool
}

func (c *crashing) Commit(ctx context.Context, writes []driver.Write) error {
	if c.left--; c.left > 0 {
		return c.Store.Commit(ctx, writes)
	}
	if c.after && c.left == 0 {
		if err := c.Store.Commit(ctx, writes); err != nil {
			return err
		}
	}
	return errCrash
}

// The same rounds with a process that dies over and over, at a commit of any kind: in
// the end each change, each count and each visit is as it is without, once.
func TestRecrawlSurvivesCrashes(t *testing.T) {
	for range *recrawlKills {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { crashRounds(t, rand.New(rand.NewPCG(seed, 3))) })
		})
	}
}

func crashRounds(t *testing.T, rng *rand.Rand) {
	ctx := t.Context()
	disk, site := memqueue.NewDisk(), new(changingSite)
	crashes := 0
	for round := 0; round <= 10; round++ {
		site.set(round)
		time.Sleep(24 * time.Hour)
		for done := false; !done; {
			done = crashOnce(t, disk, round, 3+rng.IntN(60), rng.IntN(2) == 0, func(store *queue.Store) (*crawler.Crawler, error) {
				return recrawler(t, store, site, nil), nil
			})
			if !done {
				crashes++
			}
			if crashes > 2000 {
				t.Fatal("no end")
			}
		}
		store, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			changes, diffs := changesOf(t, store, round)
			wantList(t, fmt.Sprintf("changes of round %d", round), changes, wantChanges[round]...)
			if want := fmt.Sprintf("\n+The number of the day is %d,", round); !strings.Contains(diffs["/often"], want) {
				t.Errorf("round %d: the difference of /often lacks %q:\n%s", round, want, diffs["/often"])
			}
			checkRound(t, store, round, 0)
		}
		checkCounts(t, store)
		if round == 10 {
			checkHistories(t, store, 10, crawler.DefaultHistory)
			if left, err := pipeline.Done(ctx, store); err != nil || !left {
				t.Errorf("Done = %v, %v", left, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d crashes", crashes)
}

// crashOnce runs a process that dies at a commit, before or after it, and reports whether
// it had done a round by then. begin makes its crawl.
func crashOnce(t *testing.T, disk *memqueue.Disk, round, commits int, after bool, begin func(*queue.Store) (*crawler.Crawler, error)) bool {
	t.Helper()
	ctx := t.Context()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	store, err := queue.New(ctx, &crashing{Store: db, left: commits, after: after}, nil)
	if err != nil {
		db.Close()
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		return false
	}
	defer store.Close()
	err = func() error {
		c, err := begin(store)
		if err != nil {
			return err
		}
		if err := c.Begin(ctx); err != nil {
			return err
		}
		if round > 0 {
			if r, err := crawler.ReadRound(ctx, store, round); err == nil && r.Finished != nil {
				return nil
			}
			if _, err := c.Recrawl(ctx, crawler.RecrawlAll); err != nil {
				return err
			}
		}
		return c.Run(ctx)
	}()
	if err != nil && !errors.Is(err, errCrash) && !errors.Is(err, queue.ErrFailed) {
		t.Fatal(err)
	}
	return err == nil
}
