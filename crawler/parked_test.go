package crawler

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// readStore is a driver that calls a function once after a key with some end was read.
type readStore struct {
	driver.Store
	end  string
	then func()
}

func (s *readStore) called(key []byte) {
	if then := s.then; then != nil && bytes.HasSuffix(key, []byte(s.end)) {
		s.then = nil
		then()
	}
}

func (s *readStore) Get(ctx context.Context, key []byte) ([]byte, error) {
	value, err := s.Store.Get(ctx, key)
	s.called(key)
	return value, err
}

func (s *readStore) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	var last []byte
	err := s.Store.Scan(ctx, start, end, func(key, value []byte) bool {
		last = bytes.Clone(key)
		return fn(key, value)
	})
	s.called(last)
	return err
}

// If another process brings the address back of a parked request at the very moment at
// which the answer is there, the host's pause is stored all the same.
func TestAnsweredThoughTheAddressIsGone(t *testing.T) {
	for name, robots := range map[string]bool{"a page": false, "robots.txt": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				db, err := memqueue.NewDisk().Driver()
				if err != nil {
					t.Fatal(err)
				}
				read := &readStore{Store: db}
				store, err := queue.New(ctx, read, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				const host = "slow.example"
				r := Request{URL: "http://" + host + "/"}
				if err := r.normalize(weburl.URL{}); err != nil {
					t.Fatal(err)
				}
				key := deferredKey(host, &r)
				hosts := &Hosts{Store: store, Shared: true, Options: new(Settings).Politeness(), Patience: time.Second}
				out := pipeline.NewOut()
				if err := hosts.Parked(ctx, host, time.Now().Add(time.Minute), out); err != nil {
					t.Fatal(err)
				}
				tx := out.Tx()
				tx.Configure(StageCrawl, queue.Config{})
				if err := tables.Put(tx, tables.Deferred, key, r); err != nil {
					t.Fatal(err)
				}
				if err := store.Commit(ctx, tx); err != nil {
					t.Fatal(err)
				}
				read.end, read.then = key, func() {
					var tx queue.Tx
					tx.Delete(tables.Deferred, key)
					if err := store.Commit(ctx, &tx); err != nil {
						t.Error(err)
					}
				}
				j := &rejoin{store: store, edge: NewEdges(nil).Requests, hosts: hosts}
				sent := time.Now()
				time.Sleep(3 * time.Second)
				e := &errand{errandOptions: errandOptions{host: host, key: key, robots: robots}, sent: sent, ended: time.Now()}
				if err := j.answered(ctx, e); err != nil {
					t.Fatal(err)
				}
				if read.then != nil {
					t.Fatal("the address was not looked at")
				}
				if until, _, err := hosts.Rests(ctx, host); err != nil || until.IsZero() || time.Until(until) > 30*time.Second {
					t.Errorf("the host rests for %v, %v; want the pause after an answer", time.Until(until), err)
				}
				if st, err := store.QueueStats(ctx, StageCrawl); err != nil || st.Ready != 0 {
					t.Errorf("%d addresses are in the frontier, %v, and are in the other process's too", st.Ready, err)
				}
			})
		})
	}
}

// Between the look at a deferred address and the transaction that brings it back another
// process may have brought it back, and it may have left again. Then it stays where it is:
// it is known in the frontier as it was, so to take its record would be to lose it.
func TestDeferredAgainMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		read := &readStore{Store: db}
		store, err := queue.New(ctx, read, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		const host = "sick.example"
		r := Request{URL: "http://" + host + "/", deferred: 1}
		if err := r.normalize(weburl.URL{}); err != nil {
			t.Fatal(err)
		}
		key := deferredKey(host, &r)
		deferAs := func(n int) {
			t.Helper()
			r.deferred = n
			var tx queue.Tx
			tx.Configure(StageCrawl, queue.Config{})
			if err := tables.Put(&tx, tables.Deferred, key, r); err != nil {
				t.Fatal(err)
			}
			if err := store.Commit(ctx, &tx); err != nil {
				t.Fatal(err)
			}
		}
		deferAs(1)
		read.end, read.then = key, func() { deferAs(2) }
		j := &rejoin{store: store, edge: NewEdges(nil).Requests}
		if _, err := j.bring(ctx, new(queue.Tx), host, 10); err != nil {
			t.Fatal(err)
		}
		if read.then != nil {
			t.Fatal("the address was not looked at")
		}
		var left Request
		if ok, err := tables.Get(ctx, store, tables.Deferred, key, &left); !ok || err != nil || left.deferred != 2 {
			t.Errorf("the address that left again is deferred: %v, %v, %d times; want twice", ok, err, left.deferred)
		}
		if st, err := store.QueueStats(ctx, StageCrawl); err != nil || st.Ready != 0 {
			t.Errorf("%d addresses are in the frontier, %v; want none", st.Ready, err)
		}
		if _, err := j.bring(ctx, new(queue.Tx), host, 10); err != nil {
			t.Fatal(err)
		}
		if st, err := store.QueueStats(ctx, StageCrawl); err != nil || st.Ready != 1 {
			t.Errorf("%d addresses are in the frontier, %v; want the one that came back", st.Ready, err)
		}
	})
}

// An address that is deferred at the very moment at which its host is well again does not
// stay behind without anybody who brings it back.
func TestDeferredAsItsHostComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		read := &readStore{Store: db}
		store, err := queue.New(ctx, read, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		const host = "sick.example"
		deferOne := func(path string) (key string) {
			t.Helper()
			r := Request{URL: "http://" + host + path, deferred: 1}
			if err := r.normalize(weburl.URL{}); err != nil {
				t.Fatal(err)
			}
			var tx queue.Tx
			tx.Configure(StageCrawl, queue.Config{})
			key = deferredKey(host, &r)
			if err := tables.Put(&tx, tables.Deferred, key, r); err != nil {
				t.Fatal(err)
			}
			if err := tables.Put(&tx, tables.Sick, host, SickHost{Host: host, Since: time.Now(), Until: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if err := store.Commit(ctx, &tx); err != nil {
				t.Fatal(err)
			}
			return key
		}
		read.end = deferOne("/first")
		// It is read to see whether there is any, and again to be brought.
		read.then = func() { read.then = func() { deferOne("/second") } }
		j := &rejoin{store: store, edge: NewEdges(nil).Requests}
		for want := int64(1); want <= 2; want++ {
			if _, err := j.due(ctx, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			if st, err := store.QueueStats(ctx, StageCrawl); err != nil || st.Ready != want {
				t.Errorf("%d addresses are in the frontier, %v; want %d", st.Ready, err, want)
			}
		}
		if read.then != nil {
			t.Error("nothing was deferred meanwhile")
		}
	})
}
