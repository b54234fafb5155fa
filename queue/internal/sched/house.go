package sched

import (
	"container/heap"
	"sort"
)

// IdleTime is how long an empty lane is kept, in nanoseconds.
const IdleTime = 5_000_000_000

// idleList is the empty lanes, longest empty first.
type idleList[R Item[R]] struct {
	first, last *Lane[R]
	n           int
}

func (q *idleList[R]) add(l *Lane[R], now int64) {
	if l.emptied != 0 {
		return
	}
	l.emptied, l.prev = max(now, 1), q.last
	if q.last != nil {
		q.last.next = l
	} else {
		q.first = l
	}
	q.last = l
	q.n++
}

func (q *idleList[R]) remove(l *Lane[R]) {
	if l.emptied == 0 {
		return
	}
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		q.first = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	} else {
		q.last = l.prev
	}
	l.emptied, l.prev, l.next = 0, nil, nil
	q.n--
}

// Crowded reports whether so many lanes are in memory that some should be left to
// the disk.
func (s *Scheduler[R]) Crowded() bool { return len(s.plain.lanes) > s.limits.Lanes*5/4 }

// Housekeeping returns from when Idle, Spill or Lows would find something.
func (s *Scheduler[R]) Housekeeping() int64 {
	if s.Crowded() || len(s.parking) > 0 || len(s.lows) > 0 {
		return 0
	}
	if l := s.idle.first; l != nil {
		return Later(l.emptied, IdleTime)
	}
	return Never
}

// Idle is a lane that has been empty for a while.
type Idle struct {
	Key    Key
	OnDisk int64 // the due in its pointer
	Delay  bool  // a delay of its group, or its NotBefore, has not passed
	Bare   bool  // its group has no settings and nothing is in flight
}

// Idle returns up to n lanes whose records may go: they have been empty for a
// while, and their group has nothing to wait for; or memory is crowded. They stay
// in memory until Drop.
func (s *Scheduler[R]) Idle(n int, now int64) []Idle {
	var idle []Idle
	crowded := s.Crowded()
	for l := s.idle.first; l != nil && len(idle) < n; {
		next := l.next
		if !crowded && Later(l.emptied, IdleTime) > now {
			break
		}
		g := l.group
		switch waits := g.due() > now; {
		case l.inflight > 0 || l.waiting() || waits && !crowded:
			s.idle.remove(l)
			if !l.waiting() && l.inflight == 0 {
				s.idle.add(l, now) // look again after a while
			}
		default:
			idle = append(idle, Idle{l.Key, l.onDisk, waits, g.inflight == 0 && g.settings == (Settings{})})
		}
		if next != nil && next.emptied >= now {
			break // those are the ones just put back
		}
		l = next
	}
	return idle
}

// LanesOf returns the lanes of a group that are in memory.
func (s *Scheduler[R]) LanesOf(group string) []Key {
	var keys []Key
	if g := s.groups[group]; g != nil {
		for _, l := range g.lanes {
			if l.up.view == nil {
				keys = append(keys, l.Key)
			}
		}
	}
	return keys
}

// Drop takes a lane without items out of memory.
func (s *Scheduler[R]) Drop(k Key) {
	if l := s.plain.lanes[k]; l != nil {
		s.drop(l)
	}
}

// Move is a pointer that should be moved.
type Move struct {
	Key   Key
	From  Pointer
	To    Pointer
	Delay bool // a delay of its group has not passed
}

// Spill returns lanes that should be left to the disk, n at most: those of paused
// groups, and, when memory is crowded, those whose turn is farthest away. They
// stay in memory until Moved.
func (s *Scheduler[R]) Spill(n int, now int64) []Move {
	var moves []Move
	for len(s.parking) > 0 && len(moves) < n {
		l := s.parking[len(s.parking)-1]
		s.parking = s.parking[:len(s.parking)-1]
		l.parking = false
		if s.plain.lanes[l.Key] != l || !l.group.settings.Paused || l.group.inflight > 0 || !l.waiting() {
			continue
		}
		moves = append(moves, Move{l.Key, Pointer{Due: l.onDisk}, Pointer{Never, s.Lowest(l)}, l.group.nextDue > now})
	}
	excess := min(len(s.plain.lanes)-s.idle.n-s.limits.Lanes, n-len(moves))
	if !s.Crowded() || excess <= 0 {
		return moves
	}
	far := farthest[R]{}
	for _, lv := range s.plain.levels {
		for _, b := range lv.bands() {
			far.add(b.lanes, excess)
		}
	}
	for _, l := range far {
		moves = append(moves, Move{l.Key, Pointer{Due: l.onDisk}, Pointer{l.due, s.Lowest(l)}, l.group.nextDue > now})
	}
	return moves
}

// farthest is a heap of lanes with the one that is due first on top.
type farthest[R Item[R]] []*Lane[R]

// add keeps, of what it has and of lanes of groups with nothing in flight, the n that are
// due last.
func (h *farthest[R]) add(lanes []*Lane[R], n int) {
	for _, l := range lanes {
		switch {
		case l.inflight > 0 || l.group.inflight > 0:
		case len(*h) < n:
			heap.Push(h, l)
		case l.due > (*h)[0].due:
			(*h)[0] = l
			heap.Fix(h, 0)
		}
	}
}

func (h farthest[R]) Len() int           { return len(h) }
func (h farthest[R]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h farthest[R]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *farthest[R]) Push(x any)        { *h = append(*h, x.(*Lane[R])) }
func (h *farthest[R]) Pop() any          { panic("lanes are only exchanged") }

// Moved notes where a lane's pointer lies now, and leaves the lane to the disk if
// that was the purpose and nobody has used it since.
func (s *Scheduler[R]) Moved(k Key, p Pointer, leave bool) {
	if l := s.plain.lanes[k]; l != nil {
		l.onDisk, l.lowID = p.Due, p.Low
		still := l.due == p.Due && !l.group.settings.Paused || p.Due == Never && l.group.settings.Paused
		if !leave || !still || l.inflight > 0 || l.group.inflight > 0 {
			return
		}
		s.drop(l)
	}
	s.plain.level(k.Priority).leave(p.Due, k.Group)
}

// Low is a lane's pointer with a higher low id than is stored.
type Low struct {
	Key Key
	Pointer
}

// Lows returns what pointers should learn, so that the first read after a crash
// need not pass over what is settled.
func (s *Scheduler[R]) Lows() []Low {
	var lows []Low
	for _, l := range s.lows {
		if s.plain.lanes[l.Key] != l {
			continue
		}
		if low := s.Lowest(l); low > l.lowID {
			l.lowID = low
			lows = append(lows, Low{l.Key, Pointer{l.onDisk, low}})
		}
	}
	s.lows = s.lows[:0]
	return lows
}

// Lowest returns an id that no unsettled item of the lane is below, nor the first
// of its record.
func (s *Scheduler[R]) Lowest(l *Lane[R]) uint64 {
	low := l.lowest()
	if l.inflight > 0 {
		low = min(low, s.src.LowestInFlight(l))
	}
	return low
}

// LowID returns the low id in the pointer of a lane, if that is in memory.
func (s *Scheduler[R]) LowID(k Key) (low uint64, ok bool) {
	if l := s.plain.lanes[k]; l != nil {
		return l.lowID, true
	}
	return 0, false
}

// Lower notes that the low id in a lane's pointer is now at most low.
func (s *Scheduler[R]) Lower(k Key, low uint64) {
	if l := s.plain.lanes[k]; l != nil {
		l.lowID = min(l.lowID, low)
	}
}

// Holds reports whether a stored item that is not in flight will be delivered: it
// is in the window of its lane, or its lane will read it. It says yes too if the
// lane is not in memory; see Loads.
func (s *Scheduler[R]) Holds(k Key, id uint64) bool {
	l := s.plain.lanes[k]
	if l == nil || id > l.cursor && !l.complete {
		return true
	}
	_, found := l.find(id)
	return found
}

// Loads reports whether a stored lane is in memory or will be loaded.
func (s *Scheduler[R]) Loads(k Key, due int64) bool {
	if s.plain.lanes[k] != nil {
		return true
	}
	for _, lv := range s.plain.levels {
		if lv.priority == k.Priority {
			return lv.next != nil && !(mark{due, k.Group}).before(*lv.next)
		}
	}
	return false
}

// InMemory reports whether a lane is.
func (s *Scheduler[R]) InMemory(k Key) bool { return s.plain.lanes[k] != nil }

// Waiting calls fn for the items in the windows of plain lanes.
func (s *Scheduler[R]) Waiting(fn func(Key, R) error) error {
	for k, l := range s.plain.lanes {
		for _, r := range l.win[l.head:] {
			if err := fn(k, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Check looks whether what is in memory agrees with itself, and calls find for
// whatever does not. inflight counts the leases of each lane.
func (s *Scheduler[R]) Check(inflight map[*Lane[R]]int, find func(format string, args ...any)) {
	lineups := []*lineup[R]{&s.plain}
	for _, v := range s.views {
		lineups = append(lineups, &v.lineup)
	}
	count := 0
	ofGroup := make(map[*group[R]]int)
	for _, u := range lineups {
		for k, l := range u.lanes {
			rest := l.win[l.head:]
			for _, r := range rest {
				if s.src.InFlight(r.Ident()) {
					find("item %d is in flight and in its lane's window", r.Ident())
				}
			}
			if !sort.SliceIsSorted(rest, func(i, j int) bool { return rest[i].Ident() < rest[j].Ident() }) {
				find("window of lane %v is not sorted", k)
			}
			if l.index < 0 && s.mayServe(l.group) && l.waiting() {
				find("lane %v may be served and is not scheduled", k)
			}
			if s.groups[l.group.name] != l.group {
				find("the group of lane %v is not in memory", k)
			}
			if u.view != nil && l.inflight != 0 || u.view == nil && l.inflight != inflight[l] {
				find("lane %v counts %d in flight, has %d", k, l.inflight, inflight[l])
			}
			count += l.inflight
			ofGroup[l.group] += l.inflight
		}
	}
	for name, g := range s.groups {
		if g.inflight != ofGroup[g] {
			find("group %s counts %d in flight, has %d", name, g.inflight, ofGroup[g])
		}
	}
	if count != s.inflight {
		find("%d items are counted in flight, %d are", s.inflight, count)
	}
	n := 0
	for l := s.idle.first; l != nil; l = l.next {
		if n++; n > s.idle.n {
			break
		}
	}
	if n != s.idle.n {
		find("%d lanes are counted idle, %d are", s.idle.n, n)
	}
}
