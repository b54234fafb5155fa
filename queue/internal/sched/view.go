package sched

import (
	"math"
	"slices"
)

// View is the lineup of what matches a filter.
//
// Its lanes are found by a pass over the stored items. At the first match in a
// lane the pass makes a lane that has yet to be read, from that item on, and goes
// to the next, so it keeps no items. A level is served when the pass has left it,
// so that the oldest come first. A lane that turns out to be empty is forgotten:
// a key behind the pass without a lane has nothing that matches, unless lanes were
// left out.
//
// When the view holds as many lanes as it may, those that cannot be served are left
// out, and the pass is made again when one of them may be served.
type View[R Item[R]] struct {
	lineup[R]
	match  func(Key, R) bool
	limit  int   // lanes
	at     Place // where the pass goes on
	passed bool  // it is over
	missed bool  // lanes behind it were left out
	leaves bool  // this pass has left out lanes
	again  int64 // when the pass is to be made again, if it is over
	rested int64 // and not before
}

const (
	passItems = 1024          // items looked at in a step of the pass
	passSkip  = 16            // records of a known lane read before the pass seeks the next
	passRest  = 1_000_000_000 // nanoseconds between a pass that left out lanes and the next
)

// highest is the first place of all.
var highest = Place{Key: Key{Priority: 127}}

// View returns a new view of what matches. The scheduler keeps it until Close.
func (s *Scheduler[R]) View(match func(Key, R) bool) *View[R] {
	v := &View[R]{match: match, limit: s.limits.Lanes}
	v.view = v
	v.lanes = make(map[Key]*Lane[R])
	s.views = append(s.views, v)
	s.rewind(v)
	return v
}

// Close forgets a view.
func (s *Scheduler[R]) Close(v *View[R]) {
	s.empty(v)
	s.views = slices.DeleteFunc(s.views, func(x *View[R]) bool { return x == v })
}

func (s *Scheduler[R]) empty(v *View[R]) {
	for _, l := range v.lanes {
		s.drop(l)
	}
	v.levels = nil
}

// rewind begins the pass.
func (s *Scheduler[R]) rewind(v *View[R]) {
	v.at, v.passed, v.leaves, v.again = highest, false, false, Never
}

// leads reports whether the pass has to go on before the i-th level is served.
func (v *View[R]) leads(i int) bool {
	if v.passed || len(v.lanes) >= v.limit {
		return false
	}
	return i >= len(v.levels) || v.at.Priority >= v.levels[i].priority
}

// relaxed notes that some group may be served that could not.
func (v *View[R]) relaxed(now int64) {
	if v.missed {
		v.again = min(v.again, now)
	}
}

// passAgain begins another pass if it is time.
func (s *Scheduler[R]) passAgain(v *View[R], now int64) {
	if v.passed && max(v.again, v.rested) <= now {
		s.rewind(v)
		s.leaveLowest(v)
	}
	s.makeRoom(v, now)
}

// highest returns the highest priority that may have items, or the lowest number.
func (s *Scheduler[R]) highest() int8 {
	for _, lv := range s.plain.levels {
		if !lv.empty() || lv.next != nil {
			return lv.priority
		}
	}
	return math.MinInt8
}

// leaveLowest leaves out the lowest level of a view that is full, if there is a higher
// one: what was left out may be of that, and the pass finds it only if it has room.
func (s *Scheduler[R]) leaveLowest(v *View[R]) {
	if len(v.lanes) < v.limit {
		return
	}
	lowest := int8(math.MaxInt8)
	for k := range v.lanes {
		lowest = min(lowest, k.Priority)
	}
	if s.highest() <= lowest {
		return
	}
	v.missed, v.leaves = true, true
	for k, l := range v.lanes {
		if k.Priority == lowest {
			s.drop(l)
		}
	}
}

// makeRoom leaves lanes out if the pass waits for room, and reports whether it has
// got some.
func (s *Scheduler[R]) makeRoom(v *View[R], now int64) bool {
	if v.passed || len(v.lanes) < v.limit {
		return false
	}
	s.leaveOut(v, now)
	return len(v.lanes) < v.limit
}

// pass takes the pass a step further.
func (s *Scheduler[R]) pass(v *View[R], now int64, budget *int) error {
	seen := 0
	done := true
	var made []Place // lanes, from their first match on
	var dues []int64
	var known Key // a lane that needs no look,
	skipped := 0  // and how many records of it have been read
	err := s.src.Records(v.at, false, func(rec Record[R]) (bool, error) {
		k := rec.Lane()
		isNew := len(made) > 0 && made[len(made)-1].Key == k
		switch {
		case seen >= passItems || len(v.lanes)+len(made) >= v.limit && !isNew:
			v.at, done = Place{k, rec.First()}, false
			return false, nil
		case isNew || v.lanes[k] != nil:
			if known != k {
				known, skipped = k, 0
			}
			seen++
			if skipped++; skipped > passSkip {
				v.at, done = Place{k, math.MaxUint64}, false
				return false, nil
			}
			return true, nil
		}
		return true, rec.Each(func(r R) error {
			seen++
			if isNew || s.src.InFlight(r.Ident()) || !v.match(k, r) {
				return nil
			}
			made, dues = append(made, Place{k, rec.First()}), append(dues, min(r.Enqueued(), now))
			isNew = true
			return nil
		})
	})
	if err != nil {
		return err
	}
	*budget -= max(seen, 8)
	for i, p := range made {
		if v.lanes[p.Key] != nil {
			continue
		}
		l, err := s.addLane(&v.lineup, p.Key, Pointer{Due: dues[i], Low: p.ID}, false)
		if err != nil {
			return err
		}
		s.schedule(l, now)
	}
	if done {
		v.passed, v.missed = true, v.leaves
		if v.rested = 0; v.missed {
			v.rested = Later(now, passRest)
		}
	}
	s.makeRoom(v, now)
	return nil
}

// leaveOut forgets the lanes that cannot be served now.
func (s *Scheduler[R]) leaveOut(v *View[R], now int64) {
	for _, l := range v.lanes {
		switch {
		case l.index < 0:
		case l.due > now:
			v.again = min(v.again, l.due)
		default:
			continue
		}
		v.missed, v.leaves = true, true
		s.drop(l)
	}
}

// offer shows a view an item that has become ready.
func (s *Scheduler[R]) offer(v *View[R], k Key, r R, now int64) {
	if !v.match(k, r) {
		return
	}
	l := v.lanes[k]
	if l == nil {
		if !v.passed && v.at.compare(Place{k, r.Floor()}) <= 0 {
			return // the pass will come to it
		}
		if len(v.lanes) >= v.limit {
			v.missed, v.leaves, v.again = true, true, min(v.again, now)
			return
		}
		p, complete := Pointer{Due: now}, false
		switch {
		case v.missed: // the lane may have been left out with others in it
		case !v.passed && v.at.Key == k: // the pass is in the midst of it
			p.Low = min(v.at.ID, r.Floor())
		default:
			p.Low, complete = r.Floor(), true
		}
		var err error
		if l, err = s.addLane(&v.lineup, k, p, complete); err != nil {
			v.missed, v.leaves, v.again = true, true, min(v.again, now) // whoever reads it then meets the error
			return
		}
	}
	s.append(l, r)
	s.schedule(l, now)
}
