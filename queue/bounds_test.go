package queue_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// Adversaries of the bounds on memory, from the outside; package sched has those of
// lanes.
func TestBounds(t *testing.T) {
	const memory = 256 << 10
	small := &queue.Options{GroupMemory: 100, ItemMemory: memory}
	fill := func(t *testing.T, s *queue.Store, groups, each, size int) {
		t.Helper()
		for g := range groups {
			build(t, s, func(tx *queue.Tx) {
				for range each {
					tx.Enqueue("q", queue.Item{Group: fmt.Sprint("g", g), Body: make([]byte, size)})
				}
			})
		}
	}
	windows := func(t *testing.T, s *queue.Store) {
		t.Helper()
		if n := queue.Windows(s); n > memory+512<<10 {
			t.Fatalf("windows take %d bytes, ItemMemory is %d", n, memory)
		}
	}

	t.Run("large bodies that match a filter, of a group that is paused", func(t *testing.T) {
		s := openWith(t, small)
		build(t, s, func(tx *queue.Tx) { tx.SetGroup("q", "g0", queue.GroupSettings{Paused: true}) })
		fill(t, s, 1, 500, 10<<10)
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte("free")}) })
		c := subscribe(t, s, "q", &queue.SubscribeOptions{Filter: &queue.Filter{}})
		if d := receive(t, c); string(d.Item.Body) != "free" {
			t.Errorf("received an item of group %s", d.Item.Group)
		}
		windows(t, s)
	})

	t.Run("lanes without limits, each with a backlog", func(t *testing.T) {
		s := openWith(t, small)
		fill(t, s, 300, 10, 4<<10)
		for _, filter := range []*queue.Filter{nil, {}} {
			c := subscribe(t, s, "q", &queue.SubscribeOptions{Filter: filter})
			for range 300 {
				d := receive(t, c)
				build(t, s, func(tx *queue.Tx) { tx.Ack(d) })
				windows(t, s)
			}
		}
	})

	t.Run("empty bodies", func(t *testing.T) {
		s := openWith(t, small)
		fill(t, s, 50, 500, 0)
		c := subscribe(t, s, "q", nil)
		for range 200 {
			d := receive(t, c)
			build(t, s, func(tx *queue.Tx) { tx.Ack(d) })
			windows(t, s)
		}
	})

	t.Run("paused groups after an open", func(t *testing.T) {
		disk := memqueue.NewDisk()
		s, err := disk.Open(small)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 5000; i += 100 {
			build(t, s, func(tx *queue.Tx) {
				for j := range 100 {
					group := fmt.Sprint("g", i+j)
					tx.SetGroup("q", group, queue.GroupSettings{Paused: true})
					tx.Enqueue("q", queue.Item{Group: group})
				}
			})
		}
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Group: "ready"}) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(small); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if d := receive(t, subscribe(t, s, "q", nil)); d.Item.Group != "ready" {
			t.Errorf("group %s, which is paused, was served", d.Item.Group)
		}
		if st, err := s.QueueStats(t.Context(), "q"); err != nil || st.Groups > 3*small.GroupMemory {
			t.Errorf("%d groups are in memory, %v, GroupMemory is %d", st.Groups, err, small.GroupMemory)
		}
	})

	t.Run("those who wait for space and give up", func(t *testing.T) {
		s := openWith(t, small)
		build(t, s, func(tx *queue.Tx) {
			tx.Configure("q", queue.Config{HighWaterItems: 1})
			tx.Enqueue("q", queue.Item{})
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := heap()
		for range 100_000 {
			if err := s.WaitSpace(ctx, "q"); err == nil {
				t.Fatal("there is space")
			}
		}
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("100,000 waiters who have given up take %d bytes", grown)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func openWith(t *testing.T, o *queue.Options) *queue.Store {
	t.Helper()
	s, err := memqueue.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
