// Package periodic enqueues items at times that a cron expression names, once each,
// over restarts and crashes, from any number of processes that run it.
//
// A schedule is a record of the store, and a delayed item of the queue [Queue], its
// tick. Who receives the tick commits one transaction: the item, the schedule's next
// time, the next tick, and the end of this one. It requires that the schedule is still
// the one that was read. Hence
//
//   - a time fires once, or is passed over as [Schedule].Missed says, whatever is killed
//     and whoever else runs;
//   - a schedule always has a tick for its next time, so it is never forgotten; a tick
//     for another time is of no consequence.
package periodic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/queue"
)

const (
	// Table has the schedules, by their names.
	Table = "weir-periodic"

	// Queue has their ticks.
	Queue = "weir-periodic"

	// NameHeader and TimeHeader are among the headers of what is enqueued: the
	// schedule's name, and the time that it was enqueued for, as of RFC 3339.
	NameHeader = "weir-schedule"
	TimeHeader = "weir-scheduled"
)

// Missed says what becomes of times at which nobody ran the schedules.
type Missed uint8

const (
	// CatchUp enqueues the item once, however many times were missed.
	CatchUp Missed = iota

	// Skip passes over times that are later than Schedule.Grace.
	Skip
)

// Schedule says what is enqueued when.
type Schedule struct {
	// Name identifies the schedule, in up to 255 bytes of UTF-8.
	Name string

	// Expression has five fields (minute, hour, day of the month, month, day of the
	// week), as of crontab(5), or is a descriptor: @hourly, @daily, @weekly, @monthly,
	// @yearly, or @every with a duration of a second or more. If both days are
	// restricted either is enough.
	Expression string

	// Zone is the IANA name of the time zone in which the expression is meant. Empty
	// means UTC. Where clocks are set forward, a named hour that the day does not have
	// comes an hour later; where they are set back, one that it has twice comes once.
	Zone string

	// Queue is where Item is enqueued. The item's Delay, Expires and Batch are not
	// used. With a Key and mode OnceLive it is not enqueued while the one before it
	// is unsettled.
	Queue string
	Item  queue.Item

	// Missed says what becomes of times that were missed, and Grace from when on a time
	// counts as such, with Skip. Default: CatchUp, a minute.
	Missed Missed
	Grace  time.Duration
}

// Entry is a schedule with its state.
type Entry struct {
	Schedule
	Next  time.Time // when it fires next
	Last  time.Time // for which time it has fired last, zero if it has not
	Fired int64     // how often it has
}

// record is the stored form.
type record struct {
	Entry
	timing timing
}

func decode(value []byte) (record, error) {
	var r record
	if err := json.Unmarshal(value, &r.Entry); err != nil {
		return r, fmt.Errorf("%w: schedule: %w", queue.ErrCorrupt, err)
	}
	var err error
	r.timing, err = parseTiming(r.Expression, r.Zone)
	return r, err
}

// put adds the schedule, as it is to be, and its tick to a transaction.
func (r *record) put(tx *queue.Tx) error {
	value, err := json.Marshal(r.Entry)
	if err != nil {
		return err
	}
	tx.Put(Table, r.Name, value)
	tx.Enqueue(Queue, queue.Item{Key: r.Name, Mode: queue.ReplaceLive, NotBefore: r.Next, Body: []byte(stamp(r.Next))})
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// item is what is enqueued for a time.
func (r *record) item(t time.Time) queue.Item {
	it := r.Item
	headers := map[string]string{NameHeader: r.Name, TimeHeader: stamp(t)}
	for k, v := range it.Headers {
		headers[k] = v
	}
	it.Headers, it.Delay, it.NotBefore, it.Expires, it.Batch = headers, 0, time.Time{}, time.Time{}, ""
	return it
}

func (s *Schedule) validate() error {
	for _, text := range []string{s.Name, s.Item.Key, s.Item.Group} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%w: schedule %q: %q is not UTF-8", queue.ErrInvalid, s.Name, text)
		}
	}
	for k, v := range s.Item.Headers {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fmt.Errorf("%w: schedule %q: header %q is not UTF-8", queue.ErrInvalid, s.Name, k)
		}
	}
	switch {
	case s.Name == "" || len(s.Name) > 255:
		return fmt.Errorf("%w: name of a schedule has %d bytes, not 1 to 255", queue.ErrInvalid, len(s.Name))
	case s.Missed > Skip:
		return fmt.Errorf("%w: schedule %q: Missed is %d", queue.ErrInvalid, s.Name, s.Missed)
	case s.Grace < 0:
		return fmt.Errorf("%w: schedule %q: Grace %v is negative", queue.ErrInvalid, s.Name, s.Grace)
	case s.Queue == Queue:
		return fmt.Errorf("%w: schedule %q enqueues to %s, which has the ticks", queue.ErrInvalid, s.Name, Queue)
	}
	return nil
}

// Put adds schedules, or changes those of the same names, in a transaction for each. One
// that fires at the times at which it has fired so far goes on from where it is, so a
// program may put its schedules whenever it begins.
func Put(ctx context.Context, s *queue.Store, schedules ...Schedule) error {
	for _, schedule := range schedules {
		if err := put(ctx, s, schedule); err != nil {
			return fmt.Errorf("put schedule %q: %w", schedule.Name, err)
		}
	}
	return nil
}

func put(ctx context.Context, s *queue.Store, schedule Schedule) error {
	if err := schedule.validate(); err != nil {
		return err
	}
	t, err := parseTiming(schedule.Expression, schedule.Zone)
	if err != nil {
		return err
	}
	for {
		r := record{Entry{Schedule: schedule}, t}
		if r.Next = t.after(time.Now()); r.Next.IsZero() {
			return fmt.Errorf("%w: cron expression %q names no time in the next five years", queue.ErrInvalid, schedule.Expression)
		}
		value, err := s.Get(ctx, Table, schedule.Name)
		switch {
		case errors.Is(err, queue.ErrNotFound):
			value = nil
		case err != nil:
			return err
		default:
			old, err := decode(value)
			if err != nil {
				return err
			}
			r.Last, r.Fired = old.Last, old.Fired
			if old.Expression == r.Expression && old.Zone == r.Zone {
				r.Next = old.Next
			}
		}
		var trial queue.Tx // what the store would refuse is refused now
		trial.Enqueue(schedule.Queue, r.item(r.Next))
		if _, err := s.Size(ctx, &trial); err != nil {
			return err
		}
		var tx queue.Tx
		tx.Require(Table, r.Name, value)
		tx.Configure(Queue, queue.Config{MaxAttempts: -1, MaxDeaths: -1})
		if err := r.put(&tx); err != nil {
			return err
		}
		if err := s.Commit(ctx, &tx); !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}

// Delete removes schedules. One that does not exist is passed over.
func Delete(ctx context.Context, s *queue.Store, names ...string) error {
	var tx queue.Tx
	for _, name := range names {
		tx.Delete(Table, name)
	}
	if err := s.Commit(ctx, &tx); err != nil {
		return fmt.Errorf("delete schedules: %w", err)
	}
	return nil
}

// listPage is how many schedules List reads at once.
const listPage = 256

// List returns the schedules in order of their names.
func List(ctx context.Context, s *queue.Store) ([]Entry, error) {
	var entries []Entry
	for from := ""; ; {
		page, err := s.Scan(ctx, Table, from, "", listPage)
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", err)
		}
		for _, rec := range page {
			r, err := decode(rec.Value)
			if err != nil {
				return nil, fmt.Errorf("list schedules: %s: %w", rec.Key, err)
			}
			entries = append(entries, r.Entry)
		}
		if len(page) < listPage {
			return entries, nil
		}
		from = page[len(page)-1].Key + "\x00"
	}
}
