package periodic

import (
	"fmt"
	"time"
	_ "time/tzdata" // so that zones are the same everywhere, on Windows too

	"github.com/robfig/cron/v3"

	"github.com/seed-301537d8/weir/queue"
)

// timing is when a schedule fires.
type timing struct {
	schedule cron.Schedule
	location *time.Location
	naive    bool // it is reckoned in the hours of the clock, not in time that passes
}

// parseTiming reads an expression and the name of a time zone, "" for UTC.
//
// Where the clocks are set forward or back an expression that names hours is taken by
// the clock on the wall, as Vixie's cron does: a time that the day does not have comes
// later by as much as is missing, and one that it has twice comes once. An expression
// with any hour, or an interval, goes on as time does.
func parseTiming(expression, zone string) (timing, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return timing{}, fmt.Errorf("%w: time zone %q: %w", queue.ErrInvalid, zone, err)
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return timing{}, fmt.Errorf("%w: cron expression %q: %w", queue.ErrInvalid, expression, err)
	}
	t := timing{schedule: schedule, location: location}
	if s, ok := schedule.(*cron.SpecSchedule); ok {
		if s.Location != time.Local {
			return timing{}, fmt.Errorf("%w: cron expression %q has a time zone of its own: use Schedule.Zone", queue.ErrInvalid, expression)
		}
		const anyHour = 1 << 63 // as the library marks a star
		t.naive = s.Hour&anyHour == 0
		s.Location = location
		if t.naive {
			s.Location = time.UTC
		}
	}
	return t, nil
}

// after returns the first time later than t, and zero if there is none in five years.
func (t timing) after(at time.Time) time.Time {
	at = at.In(t.location)
	if !t.naive {
		return t.schedule.Next(at)
	}
	clock := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
	for {
		if clock = t.schedule.Next(clock); clock.IsZero() {
			return clock
		}
		if next := onClock(clock, t.location); next.After(at) {
			return next
		}
	}
}

// onClock returns the first time at which a clock of a place shows what the given time,
// in UTC, says; or, if it never does, when it would if it had not been set.
func onClock(shown time.Time, location *time.Location) time.Time {
	var candidates [2]time.Time
	for i, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // before and after it is set
		_, offset := shown.Add(near).In(location).Zone()
		candidates[i] = shown.Add(-time.Duration(offset) * time.Second).In(location)
	}
	for _, c := range candidates {
		if c.Hour() == shown.Hour() && c.Minute() == shown.Minute() && c.Day() == shown.Day() {
			return c
		}
	}
	return candidates[0]
}
