package periodic_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/periodic"
)

// life is a store in a bubble, with two that run its schedules.
type life struct {
	*testing.T
	disk *memqueue.Disk
	s    *queue.Store
	end  func()
}

func (l *life) begin() {
	l.Helper()
	db, err := l.disk.Driver()
	if err != nil {
		l.Fatal(err)
	}
	if l.s, err = queue.New(l.Context(), db, nil); err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.Context())
	done := make(chan error, 2)
	for range cap(done) {
		s := l.s
		go func() { done <- periodic.Run(ctx, s, nil) }()
	}
	l.end = func() {
		cancel()
		for range cap(done) {
			if err := <-done; err != nil {
				l.Errorf("Run returned %v", err)
			}
		}
	}
}

func (l *life) close() {
	l.Helper()
	l.end()
	if err := l.s.Check(l.Context()); err != nil {
		l.Error(err)
	}
	if err := l.s.Close(); err != nil {
		l.Error(err)
	}
}

// crash goes on with what is on the disk now.
func (l *life) crash() {
	l.disk = l.disk.Clone()
	l.s.Close()
	l.begin()
}

func (l *life) put(schedules ...periodic.Schedule) {
	l.Helper()
	if err := periodic.Put(l.Context(), l.s, schedules...); err != nil {
		l.Fatal(err)
	}
}

// fired returns the times of what waits in a queue, and the names of its schedules.
func (l *life) fired(q string) (times, names []string) {
	l.Helper()
	page, err := l.s.Browse(l.Context(), q, nil, 10_000)
	if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
		l.Fatal(err)
	}
	for _, w := range page {
		at, err := time.Parse(time.RFC3339Nano, w.Item.Headers[periodic.TimeHeader])
		if err != nil {
			l.Fatal(err)
		}
		times, names = append(times, at.Format("15:04:05")), append(names, w.Item.Headers[periodic.NameHeader])
	}
	return times, names
}

func (l *life) list() []periodic.Entry {
	l.Helper()
	entries, err := periodic.List(l.Context(), l.s)
	if err != nil {
		l.Fatal(err)
	}
	return entries
}

// bubble runs a test from 2000-01-01 00:00:00 UTC on.
func bubble(t *testing.T, fn func(l *life)) {
	synctest.Test(t, func(t *testing.T) {
		l := &life{T: t, disk: memqueue.NewDisk()}
		l.begin()
		fn(l)
		l.close()
	})
}

func every(name, expression string) periodic.Schedule {
	return periodic.Schedule{Name: name, Expression: expression, Queue: "q", Item: queue.Item{Body: []byte(name), Group: "g"}}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestEachTimeFiresOnce(t *testing.T) {
	bubble(t, func(l *life) {
		l.put(every("quarters", "*/15 * * * *"), every("daily", "30 1 * * *"), every("often", "@every 25m"))
		pass(2 * time.Hour)
		times, names := l.fired("q")
		same(t, "times", times, "00:15:00", "00:25:00", "00:30:00", "00:45:00", "00:50:00", "01:00:00", "01:15:00", "01:15:00", "01:30:00", "01:30:00", "01:40:00", "01:45:00", "02:00:00")
		slices.Sort(names)
		same(t, "names", slices.Compact(names), "daily", "often", "quarters")
		for _, e := range l.list() {
			if e.Name == "quarters" && (e.Fired != 8 || e.Last.Hour() != 2 || !e.Next.Equal(e.Last.Add(15*time.Minute))) {
				t.Errorf("quarters: %+v", e)
			}
		}
	})
}

// Whatever dies when: in each life both runners may be anywhere.
func TestEachTimeFiresOnceOverCrashes(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		bubble(t, func(l *life) {
			l.put(every("minutes", "* * * * *"), every("more", "@every 17s"))
			want := map[string]int{"minutes": 30, "more": 30 * 60 / 17}
			start := time.Now()
			for end := start.Add(30 * time.Minute); time.Now().Before(end); {
				// Often at the very moment at which something fires.
				d := time.Duration(1+rnd.IntN(5)) * time.Minute
				if rnd.IntN(2) == 0 {
					d += time.Duration(rnd.IntN(60_000)) * time.Millisecond
				}
				time.Sleep(min(d, time.Until(end)))
				switch rnd.IntN(3) {
				case 0:
					l.crash()
				case 1:
					l.close()
					l.begin()
				}
			}
			synctest.Wait()
			times, names := l.fired("q")
			got := make(map[string]int)
			once := make(map[string]bool)
			for i, name := range names {
				got[name]++
				if at := name + times[i]; once[at] {
					t.Errorf("seed %d: %s has fired twice for %s", seed, name, times[i])
				} else {
					once[at] = true
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d: fired %v, want %v", seed, got, want)
			}
		})
	}
}

func TestMissedTimes(t *testing.T) {
	bubble(t, func(l *life) {
		catchUp, skip, grace := every("catch up", "0 * * * *"), every("skip", "0 * * * *"), every("grace", "0 * * * *")
		skip.Missed, grace.Missed, grace.Grace = periodic.Skip, periodic.Skip, 5*time.Hour
		l.put(catchUp, skip, grace)
		pass(30 * time.Minute)
		l.close()
		time.Sleep(4 * time.Hour)
		l.begin()
		synctest.Wait()
		times, names := l.fired("q")
		slices.Sort(names)
		same(t, "names", names, "catch up", "grace")
		same(t, "times", times, "01:00:00", "01:00:00")
		pass(30 * time.Minute)
		times, names = l.fired("q")
		slices.Sort(names)
		same(t, "names", names, "catch up", "catch up", "grace", "grace", "skip")
		same(t, "times", times[2:], "05:00:00", "05:00:00", "05:00:00")
	})
}

func TestSchedulesChange(t *testing.T) {
	bubble(t, func(l *life) {
		l.put(every("a", "*/10 * * * *"))
		pass(15 * time.Minute)
		changed := every("a", "*/10 * * * *")
		changed.Queue = "other"
		l.put(changed) // at the same times: it goes on
		pass(10 * time.Minute)
		l.put(every("a", "45 * * * *"))
		pass(50 * time.Minute)
		l.put(every("b", "0 2 * * *"))
		if err := periodic.Delete(l.Context(), l.s, "a", "none"); err != nil {
			t.Error(err)
		}
		pass(3 * time.Hour)
		times, _ := l.fired("q")
		same(t, "q", times, "00:10:00", "00:45:00", "02:00:00")
		times, _ = l.fired("other")
		same(t, "other", times, "00:20:00")
		entries := l.list()
		if len(entries) != 1 || entries[0].Name != "b" || entries[0].Fired != 1 || string(entries[0].Item.Body) != "b" {
			t.Errorf("the schedules are %+v", entries)
		}
		page, err := l.s.Browse(l.Context(), periodic.Queue, nil, 10)
		if err != nil || len(page) != 1 {
			t.Errorf("%d ticks wait, %v, want that of b", len(page), err)
		}
	})
}

func TestOnceWhileLive(t *testing.T) {
	bubble(t, func(l *life) {
		s := every("a", "* * * * *")
		s.Item.Key, s.Item.Mode = "a", queue.OnceLive
		l.put(s)
		pass(5*time.Minute + time.Second)
		times, _ := l.fired("q")
		same(t, "times", times, "00:01:00")
	})
}

func TestInvalidSchedules(t *testing.T) {
	bubble(t, func(l *life) {
		for what, change := range map[string]func(s *periodic.Schedule){
			"no name":           func(s *periodic.Schedule) { s.Name = "" },
			"a long name":       func(s *periodic.Schedule) { s.Name = strings.Repeat("n", 256) },
			"a name of bytes":   func(s *periodic.Schedule) { s.Name = "\xff" },
			"no expression":     func(s *periodic.Schedule) { s.Expression = "" },
			"six fields":        func(s *periodic.Schedule) { s.Expression = "* * * * * *" },
			"an hour too many":  func(s *periodic.Schedule) { s.Expression = "0 24 * * *" },
			"no such day":       func(s *periodic.Schedule) { s.Expression = "0 0 31 2 *" },
			"a zone within":     func(s *periodic.Schedule) { s.Expression = "CRON_TZ=Asia/Tokyo 0 0 * * *" },
			"no such zone":      func(s *periodic.Schedule) { s.Zone = "Mars/Olympus" },
			"no queue":          func(s *periodic.Schedule) { s.Queue = "" },
			"the ticks' queue":  func(s *periodic.Schedule) { s.Queue = periodic.Queue },
			"an unknown policy": func(s *periodic.Schedule) { s.Missed = 7 },
			"negative grace":    func(s *periodic.Schedule) { s.Grace = -1 },
			"an invalid item":   func(s *periodic.Schedule) { s.Item.Priority = 1000 },
		} {
			s := every("a", "* * * * *")
			change(&s)
			if err := periodic.Put(l.Context(), l.s, s); !errors.Is(err, queue.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if entries := l.list(); len(entries) != 0 {
			t.Errorf("the schedules are %+v", entries)
		}
	})
}
