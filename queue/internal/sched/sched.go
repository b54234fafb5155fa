package sched

import (
	"math"
	"sync/atomic"
)

// Never is later than anything that happens.
const Never = math.MaxInt64

// Key names a lane of the open epoch.
type Key struct {
	Priority int8
	Group    string
}

// Pointer is what is stored of a lane.
type Pointer struct {
	Due int64  // when it may be served
	Low uint64 // no unsettled item of it has a lower id, nor the record that holds it
}

// Item is an item in memory.
type Item[R any] interface {
	Ident() uint64   // items are delivered in the order of these
	Floor() uint64   // the lowest id in the stored record that holds it
	Last() uint64    // the highest id in it
	Size() int       // the bytes of memory that it takes
	Expiry() int64   // Unix milliseconds of the wall clock, or 0
	Enqueued() int64 // Unix nanoseconds
	Clone() R        // its bytes are its own
}

// A Record holds one or several stored items of a lane. It is valid during the
// call that it is given to.
type Record[R any] interface {
	Lane() Key
	First() uint64 // id
	Last() uint64
	Keep()                    // the items of Each may be kept from now on
	Each(func(R) error) error // calls it for the unsettled items, in order
}

// Place is a place in the order of stored items.
type Place struct {
	Key
	ID uint64
}

// compare orders places as they are stored: by descending priority, then group,
// then id.
func (p Place) compare(q Place) int {
	if c := compareKeys(p.Key, q.Key); c != 0 {
		return c
	}
	switch {
	case p.ID < q.ID:
		return -1
	case p.ID > q.ID:
		return 1
	}
	return 0
}

func compareKeys(a, b Key) int {
	switch {
	case a.Priority > b.Priority:
		return -1
	case a.Priority < b.Priority:
		return 1
	case a.Group < b.Group:
		return -1
	case a.Group > b.Group:
		return 1
	}
	return 0
}

// Source is what the scheduler has of the open epoch besides memory.
type Source[R Item[R]] interface {
	// Lanes calls visit for the stored lanes of a priority, in order of their
	// due and then of their group, from the given one on, until visit
	// returns false.
	Lanes(priority int8, due int64, group string, visit func(group string, p Pointer) bool) error

	// Levels calls visit for each priority that has a stored lane, with the
	// first of them in the order of Lanes.
	Levels(visit func(priority int8, due int64, group string)) error

	// Lane returns what is stored of a lane.
	Lane(Key) (Pointer, error)

	// Records calls visit for the stored records of ready items, in order of
	// Place, that begin at from or behind, until visit returns false. If lane
	// is set they are those of from's lane alone.
	Records(from Place, lane bool, visit func(Record[R]) (more bool, err error)) error

	// Group returns what is stored of a group, zero if nothing is.
	Group(name string) (Settings, int64, error)

	// Deferred reports whether a group is.
	Deferred(group string) bool

	// InFlight reports whether an item is; Claimed, whether one that waits is
	// about to be removed.
	InFlight(id uint64) bool
	Claimed(id uint64) bool

	// LowestInFlight returns the lowest Floor of the items of a lane that are
	// in flight, or the largest number.
	LowestInFlight(*Lane[R]) uint64
}

// Memory is what windows share.
type Memory struct {
	Limit int64 // bytes
	used  atomic.Int64
}

// Used returns the bytes in use.
func (m *Memory) Used() int64 { return m.used.Load() }

func (m *Memory) full() bool { return m.used.Load() >= m.Limit }

// Limits bound what a scheduler keeps.
type Limits struct {
	Lanes  int
	Memory *Memory
}

// Time is the present: by the scheduler's clock, which never goes back, and by
// the wall clock, which items expire by.
type Time struct {
	Now  int64 // Unix nanoseconds
	Wall int64 // Unix milliseconds
}

// Scheduler holds the ready items of one queue's open epoch.
type Scheduler[R Item[R]] struct {
	src      Source[R]
	limits   Limits
	policy   Policy
	groups   map[string]*group[R] // in memory
	plain    lineup[R]
	views    []*View[R]
	inflight int
	turn     uint64
	idle     idleList[R]
	owned    int               // groups in memory that have an owner
	young    map[string]*Owner // of groups that are not in memory
	old      map[string]*Owner
	parking  []*Lane[R] // of paused groups, to be left to the disk
	lows     []*Lane[R] // whose pointer should learn a higher low id
}

// New returns a scheduler of nothing.
func New[R Item[R]](src Source[R], limits Limits) *Scheduler[R] {
	s := &Scheduler[R]{src: src, limits: limits, groups: make(map[string]*group[R])}
	s.plain.lanes = make(map[Key]*Lane[R])
	return s
}

// Open forgets all lanes and finds those of the epoch that the source now reads.
// Nothing may be in flight.
func (s *Scheduler[R]) Open(now int64) error {
	for _, l := range s.plain.lanes {
		s.drop(l)
	}
	s.plain.levels = nil
	s.lows, s.parking = nil, nil
	for _, v := range s.views {
		s.empty(v)
		s.rewind(v)
		v.missed = false
	}
	return s.src.Levels(func(priority int8, due int64, group string) {
		lv := s.plain.level(priority)
		lv.next, lv.horizon = &mark{due, group}, due
	})
}

// Clear forgets all lanes, and gives back the memory of what waits in them.
func (s *Scheduler[R]) Clear() {
	for _, l := range s.plain.lanes {
		s.drop(l)
	}
	for _, v := range s.views {
		s.empty(v)
	}
	s.plain.levels, s.lows, s.parking = nil, nil, nil
}

// Lease is an item that was taken.
type Lease[R Item[R]] struct {
	Lane          *Lane[R]
	before, after int64 // from when its group could be served, and can be now
}

// readBudget is how many items and lanes a call of Take reads before it returns,
// besides one for each item that it returns.
const readBudget = 2048

// Take calls lease for up to n items that may be delivered now, of those that
// match if a view is given, to a consumer that keeps its groups if it is an owner. If more is set there was more to read; call again,
// after others had a chance of the lock.
func (s *Scheduler[R]) Take(v *View[R], o *Owner, at Time, n int, lease func(Lease[R], R)) (more bool, err error) {
	u := &s.plain
	if v != nil {
		u = &v.lineup
		s.passAgain(v, at.Now)
	}
	budget := readBudget + n
	for i := 0; ; i++ {
		if n == 0 {
			return false, nil
		}
		if budget <= 0 {
			return true, nil
		}
		if v != nil && v.leads(i) {
			if err := s.pass(v, at.Now, &budget); err != nil {
				return false, err
			}
			i = -1 // it may have found lanes of any level
			continue
		}
		if i >= len(u.levels) {
			if v == nil || !s.makeRoom(v, at.Now) {
				return false, nil
			}
			i = -1
			continue
		}
		for lv := u.levels[i]; n > 0; {
			if v == nil {
				if err := s.load(lv, o, at.Now, &budget); err != nil {
					return false, err
				}
			}
			if budget <= 0 {
				return true, nil
			}
			l := lv.first(o, at.Now)
			if l == nil || l.due > at.Now {
				break
			}
			if !s.mayServe(l.group) {
				s.schedule(l, at.Now)
				continue
			}
			r, ok, err := s.next(l, at, &budget)
			if err != nil {
				return false, err
			}
			if !ok {
				s.schedule(l, at.Now) // it is empty, or there is more to read
				continue
			}
			taken, err := s.taken(l, r, at.Now)
			if err != nil {
				return false, err
			}
			lease(taken, r)
			changed := l.group.owner != o && s.own(l.group, o, at.Now)
			s.served(l, at.Now)
			if n--; changed {
				i = -1 // a higher level may have more of the group
				break
			}
		}
	}
}

// taken notes that an item of a lane is in flight.
func (s *Scheduler[R]) taken(l *Lane[R], r R, now int64) (Lease[R], error) {
	main := l
	if l.up.view != nil {
		var err error
		if main, err = s.resident(l.Key, now); err != nil {
			return Lease[R]{}, err
		}
	}
	g := l.group
	main.inflight++
	main.taken++
	g.inflight++
	s.inflight++
	if main != l {
		s.remove(main, r.Ident(), now)
	}
	for _, v := range s.views {
		if other := v.lanes[l.Key]; other != nil && other != l {
			s.remove(other, r.Ident(), now)
		}
	}
	lease := Lease[R]{Lane: main}
	if _, delay := s.limitsOf(g); delay > 0 {
		lease.before = g.nextDue
		g.nextDue = max(g.nextDue, Later(now, delay))
		lease.after = g.nextDue
	}
	return lease, nil
}

// served moves a lane to the end of its turn.
func (s *Scheduler[R]) served(l *Lane[R], now int64) {
	g := l.group
	if limit, delay := s.limitsOf(g); limit > 0 || delay > 0 {
		l.due, l.turn = now, s.nextTurn()
		s.reschedule(g, now)
	} else if l.head == len(l.win) && l.complete {
		s.schedule(l, now)
	} else if l.index >= 0 && (len(l.band.lanes) > 1 || len(l.level.owned) > 0) {
		l.due, l.turn = now, s.nextTurn()
		l.level.fix(l)
	}
	if s.limits.Memory.full() {
		s.forget(l) // it is the last to need it
	}
}

// resident returns the plain lane of a key, brought into memory if need be.
func (s *Scheduler[R]) resident(k Key, now int64) (*Lane[R], error) {
	if l := s.plain.lanes[k]; l != nil {
		return l, nil
	}
	p, err := s.src.Lane(k)
	if err != nil {
		return nil, err
	}
	l, err := s.addLane(&s.plain, k, p, false)
	if err == nil {
		s.schedule(l, now)
	}
	return l, err
}

// End ends a lease: the item is settled, or will come back elsewhere. Its group's
// delay begins.
func (s *Scheduler[R]) End(lease Lease[R], now int64) {
	s.end(lease, now)
	s.relaxed(lease.Lane.group, now)
}

func (s *Scheduler[R]) end(lease Lease[R], now int64) {
	l, g := lease.Lane, lease.Lane.group
	l.inflight--
	g.inflight--
	s.inflight--
	if _, delay := s.limitsOf(g); delay > 0 {
		g.nextDue = max(g.nextDue, Later(now, delay))
	}
}

// EndUnused is End for an item that has asked nothing of its group: the delay that
// began with it is taken back, unless another has begun since.
func (s *Scheduler[R]) EndUnused(lease Lease[R], now int64) {
	g := lease.Lane.group
	due := g.nextDue
	if due == lease.after {
		due = lease.before
	}
	s.end(lease, now)
	g.nextDue = due
	for _, l := range g.lanes { // behind those who wait already
		l.due, l.turn = now, s.nextTurn()
	}
	s.relaxed(g, now)
}

// Back is End for an item that is ready again, in its lane. The group is not
// served before notBefore.
func (s *Scheduler[R]) Back(lease Lease[R], r R, notBefore, now int64) {
	s.end(lease, now)
	l := lease.Lane
	l.group.nextDue = max(l.group.nextDue, notBefore)
	s.insert(l, r)
	for _, v := range s.views {
		s.offer(v, l.Key, r, now)
	}
	s.relaxed(l.group, now)
}

// Add shows the scheduler an item that has become ready. fresh is the pointer of
// its lane if that was made for it.
func (s *Scheduler[R]) Add(k Key, r R, fresh *Pointer, now int64) error {
	for _, v := range s.views {
		s.offer(v, k, r, now)
	}
	l := s.plain.lanes[k]
	if l == nil {
		lv := s.plain.level(k.Priority)
		if fresh == nil || lv.next != nil && !(mark{fresh.Due, k.Group}).before(*lv.next) {
			return nil // it waits on disk with its lane
		}
		if s.Crowded() {
			lv.leave(fresh.Due, k.Group)
			return nil
		}
		var err error
		if l, err = s.addLane(&s.plain, k, Pointer{fresh.Due, r.Floor()}, true); err != nil {
			return err
		}
	}
	s.append(l, r)
	s.schedule(l, now)
	return nil
}

// Remove takes an item that waits out of the lineups.
func (s *Scheduler[R]) Remove(k Key, id uint64, now int64) {
	if l := s.plain.lanes[k]; l != nil {
		s.remove(l, id, now)
	}
	for _, v := range s.views {
		if l := v.lanes[k]; l != nil {
			s.remove(l, id, now)
		}
	}
}

// Next returns the earliest time, later than after, at which time alone may give
// Take something, of what matches if a view is given; see NextOwn for owners.
func (s *Scheduler[R]) Next(v *View[R], after int64) int64 {
	u := &s.plain
	next := int64(Never)
	if v != nil {
		u = &v.lineup
		if again := max(v.again, v.rested); v.passed && again > after {
			next = again
		}
	}
	for _, lv := range u.levels {
		if free := lv.free.lanes; len(free) > 0 && free[0].due > after {
			next = min(next, free[0].due)
		}
		if len(lv.owned) > 0 {
			if open := lv.owned[0].open(); open > after {
				next = min(next, open)
			}
		}
		if lv.next != nil && lv.horizon > after {
			next = min(next, lv.horizon)
		}
	}
	return next
}

func (s *Scheduler[R]) nextTurn() uint64 {
	s.turn++
	return s.turn
}

// Later is t and d, or Never if that is too far away.
func Later(t, d int64) int64 {
	if d > Never-max(t, 0) {
		return Never
	}
	return t + d
}

// Lanes returns how many lanes are in memory.
func (s *Scheduler[R]) Lanes() int { return len(s.plain.lanes) }

// Priorities returns the priorities that may have lanes.
func (s *Scheduler[R]) Priorities() []int8 {
	var priorities []int8
	for _, lv := range s.plain.levels {
		priorities = append(priorities, lv.priority)
	}
	return priorities
}
