package periodic

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

func TestTimesWhenClocksAreSet(t *testing.T) {
	for _, test := range []struct {
		name, expression, zone, from string
		want                         []string
	}{
		{"an hour that the day does not have comes later", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00 +0100",
			[]string{"2026-03-29 03:30 +0200", "2026-03-30 02:30 +0200"}},
		{"once, though another comes at the same time", "0,30 2-3 * * *", "Europe/Berlin", "2026-03-29 00:00 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-29 03:30 +0200", "2026-03-30 02:00 +0200"}},
		{"an hour that the day has twice comes once", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00 +0200",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}},
		{"what comes every hour comes in both", "30 * * * *", "Europe/Berlin", "2026-10-25 01:00 +0200",
			[]string{"2026-10-25 01:30 +0200", "2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100", "2026-10-25 03:30 +0100"}},
		{"and does not wait for the hour that is not there", "*/30 * * * *", "Europe/Berlin", "2026-03-29 01:30 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-29 03:30 +0200"}},
		{"intervals go on as time does", "@every 1h", "America/New_York", "2026-11-01 00:30 -0400",
			[]string{"2026-11-01 01:30 -0400", "2026-11-01 01:30 -0500", "2026-11-01 02:30 -0500"}},
		{"midnight that is not there", "@daily", "America/Sao_Paulo", "2018-11-03 12:00 -0300",
			[]string{"2018-11-04 01:00 -0200", "2018-11-05 00:00 -0200"}},
		{"a leap day", "0 12 29 2 *", "", "2026-01-01 00:00 +0000", []string{"2028-02-29 12:00 +0000"}},
		{"either day", "0 0 13 * 5", "", "2026-02-01 00:00 +0000", []string{"2026-02-06 00:00 +0000", "2026-02-13 00:00 +0000", "2026-02-20 00:00 +0000", "2026-02-27 00:00 +0000", "2026-03-06 00:00 +0000", "2026-03-13 00:00 +0000"}},
	} {
		timing, err := parseTiming(test.expression, test.zone)
		if err != nil {
			t.Fatal(err)
		}
		const layout = "2006-01-02 15:04 -0700"
		at, err := time.Parse(layout, test.from)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range test.want {
			at = timing.after(at)
			got = append(got, at.Format(layout))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %s in %s from %s:\n got %v\nwant %v", test.name, test.expression, test.zone, test.from, got, test.want)
		}
	}
}

// A clock that was set back does not make a time come again.
func TestClockSetBack(t *testing.T) {
	timing, err := parseTiming("0 * * * *", "")
	if err != nil {
		t.Fatal(err)
	}
	due := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	r := record{Entry{Schedule: Schedule{Name: "a", Queue: "q", Missed: Skip}, Next: due}, timing}
	var tx queue.Tx
	if err := r.fire(&tx, due.Add(-90*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if want := due.Add(time.Hour); r.Fired != 1 || !r.Next.Equal(want) || !r.Last.Equal(due) {
		t.Errorf("fired %d times, for %v, next %v, want once and %v", r.Fired, r.Last, r.Next, want)
	}
}
