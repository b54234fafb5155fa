package command

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// The rate of a round is that of its visits, few of which find a page that is new.
func TestRateIsOfTheRound(t *testing.T) {
	began := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	var m rateMeter
	for i, step := range []struct {
		round int
		n     int64
		want  float64
	}{
		{0, 10, 0},
		{0, 30, 10},
		{1, 8, 4},
		{1, 16, 4},
		{2, 100, 50},
	} {
		if got := m.add(began.Add(time.Duration(i)*2*time.Second), step.round, step.n); got != step.want {
			t.Errorf("step %d: %v a second, want %v", i, got, step.want)
		}
	}
	st := inspect.Status{Pages: 7, Round: 1, Rounds: []crawler.Round{{}, {New: 1, Same: 2, Changed: 3, Moved: 4, Vanished: 5, Failed: 6}}}
	if n := visits(st); n != 21 {
		t.Errorf("%d visits, want 21", n)
	}
	if st = (inspect.Status{Pages: 7}); visits(st) != 7 {
		t.Errorf("%d visits in the first round, want 7", visits(st))
	}
}

// What has left the frontier is not counted, and not kept silent.
func TestWhatWaits(t *testing.T) {
	for _, c := range []struct {
		hosts int
		done  bool
		want  string
	}{
		{0, false, "3 waiting"},
		{1, false, "3 waiting, besides what belongs to 1 host failing or slow"},
		{2, false, "3 waiting, besides what belongs to 2 hosts failing or slow"},
		{inspect.MaxSick, false, "3 waiting, besides what belongs to 20 hosts or more failing or slow"},
		{2, true, "3 waiting"},
	} {
		st := inspect.Status{Done: c.done, Sick: make([]crawler.SickHost, c.hosts), Queues: []inspect.QueueStatus{{Ready: 2, Later: 1}}}
		if got := stillWaiting(st); got != c.want {
			t.Errorf("%d hosts, done %v: %q, want %q", c.hosts, c.done, got, c.want)
		}
	}
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	st := inspect.Status{Done: true, Sick: make([]crawler.SickHost, 1)}
	var b strings.Builder
	if err := writeStatus(t.Context(), &b, &live{dir: "data", store: store}, st); err != nil || strings.Contains(b.String(), "waits: ") {
		t.Errorf("%v, a crawl that is complete waits:\n%s", err, &b)
	}
}
