package queue

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// A delivery may end with the death of whoever had it: the process, or a session
// that stopped without a word. Its item may have been the cause, and so may any
// other that was in flight, or none of them, if the machine was taken away or
// another program took the memory. So deaths are counted apart from failures, and
// looked into:
//
//   - Of the items that were in flight at a death, the one that has been there at
//     more deaths than any other is blamed. If several have, nobody is.
//   - From its third death on an item is a suspect. It comes back a while after the
//     others, later with each further death, and the suspects of one death come
//     back one after the other, the one with the fewest deaths first. So the
//     innocent are done with, mostly, before the cause has its turn; and where
//     processes die whatever they do, the suspects are seldom there.
//   - Who has been blamed Config.MaxDeaths times goes to the dead letters, and so
//     does who was there at ten times as many deaths, since several that nothing
//     tells apart must not kill for ever.
const (
	suspectDeaths = 3
	suspectStep   = 500 * time.Millisecond // between suspects at their third death; doubled with each further one
	suspectMost   = 16 * time.Second       // the most of it
	suspectSpread = 5 * time.Minute        // until the last of them comes
	manyDeaths    = 10
)

// casualty is a delivery that a death has ended.
type casualty struct {
	at     loc
	d      *Delivery // nil if the process has died, and it with it
	config *Config
	deaths int // of the item, this one included
	blamed int // for how many of them

	wait time.Duration // until it comes back
}

// spent reports whether the item has died often enough.
func (c *casualty) spent() bool {
	return !c.config.deathsLeft(c.blamed) || !c.config.deathsLeft(c.deaths/manyDeaths)
}

// judge decides what comes of all the deliveries that one death has ended. They
// bring their histories from before it, and it puts them in another order.
func judge(all []casualty) {
	slices.SortFunc(all, func(a, b casualty) int {
		byAge := cmp.Compare(a.at.id, b.at.id)
		if a.deaths%2 == 1 {
			byAge = -byAge // so that of two which nothing else tells apart each comes first at times
		}
		return cmp.Or(cmp.Compare(a.deaths, b.deaths), byAge)
	})
	var turn time.Duration
	for i := range all {
		c := &all[i]
		c.deaths++
		if c.deaths >= suspectDeaths {
			step := min(suspectStep<<min(c.deaths-suspectDeaths, 10), suspectMost)
			turn = min(turn+step, suspectSpread)
			c.wait = turn
		}
	}
	if n := len(all); n == 1 || n > 1 && all[n-1].deaths > all[n-2].deaths {
		all[n-1].blamed++
	}
}

// interrupted plans what was decided about a delivery's item. why is of
// appendReason.
func (p *plan) interrupted(q *queueState, c *casualty, r ref, cause error, why []byte) error {
	h := r.history()
	h.attempts++
	h.deaths, h.blamed = c.deaths, c.blamed
	if c.spent() {
		return p.bury(q, c.d, c.at, r, h, cause, why)
	}
	if err := p.again(q, c.d, c.at, r, h, c.wait); err != nil {
		return err
	}
	if c.d == nil && c.wait > 0 && q.ordered(c.at.group) {
		return p.holdGroup(q, c.at.group, c.wait)
	}
	return nil
}

// holdGroup plans that a group waits for an item whose process has died.
func (p *plan) holdGroup(q *queueState, group string, hold time.Duration) error {
	q.groupRecords = true // there may be one: what follows looks
	rec, err := p.groupRecord(q, group)
	if err != nil {
		return err
	}
	rec.nextDue = max(rec.nextDue, sched.Later(p.s.now(), int64(hold)))
	p.putGroup(q, group, rec)
	return nil
}

// errInterrupted is the reason of a dead letter whose last delivery ended with
// the process.
var errInterrupted = errors.New("the process ended while the item was being worked on")

// whyInterrupted is errInterrupted as a dead letter keeps it.
var whyInterrupted = appendReason(nil, errInterrupted)
