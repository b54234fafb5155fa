package queuetest

import (
	"cmp"
	"slices"
	"time"
)

// refVictim is an item that was in flight at a death.
type refVictim struct {
	q  *refQueue
	it *refItem
	id uint64
}

// refDeath does what the death of a process or of a session does to all that it
// had in its hands.
func refDeath(victims []refVictim, now time.Time) {
	most, second := 0, 0
	for _, v := range victims {
		v.it.deaths++
		if v.it.deaths > most {
			most, second = v.it.deaths, most
		} else {
			second = max(second, v.it.deaths)
		}
	}
	slices.SortFunc(victims, func(a, b refVictim) int {
		older := cmp.Compare(a.id, b.id)
		if a.it.deaths%2 == 0 { // this one included
			older = -older
		}
		return cmp.Or(a.it.deaths-b.it.deaths, older)
	})
	turn := time.Duration(0)
	for _, v := range victims {
		it, limit := v.it, v.q.maxDeaths()
		if it.deaths == most && second < most {
			it.blamed++
		}
		wait := time.Duration(0)
		if it.deaths >= 3 {
			turn = min(turn+min(500*time.Millisecond<<min(it.deaths-3, 10), 16*time.Second), 5*time.Minute)
			wait = turn
		}
		if limit > 0 && (it.blamed >= limit || it.deaths >= 10*limit) {
			v.q.bury(it, v.id)
			continue
		}
		v.q.again(it, wait, now)
	}
}

// restart does what closing and opening the store does, or a crash, and returns
// what was in flight at the crash.
func (q *refQueue) restart(crash bool, now time.Time) (victims []refVictim) {
	for _, it := range q.inOrder() {
		switch {
		case it.holder == nil:
		case crash:
			victims = append(victims, refVictim{q, it, it.d.ID})
			it.holder, it.d = nil, nil
		default:
			q.end(it, now)
		}
	}
	q.sessions, q.released = nil, false
	return victims
}
