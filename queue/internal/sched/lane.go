package sched

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Lane is a lane in memory, with a window of its first items:
//
//	stored    acked | in flight | window ........ | the rest
//	ids                         ^ win[head]       ^ cursor
//
// Invariant: every unsettled item of it is in flight, in the window, or has an id
// above cursor; of a view's lane, every one that matches. complete says that none
// is above. A lane that is not complete has no record with ids on both sides of
// cursor, so that reading from there on finds the rest.
type Lane[R Item[R]] struct {
	Key      Key
	up       *lineup[R]
	group    *group[R]
	level    *level[R]
	due      int64  // when it may be served
	turn     uint64 // breaks ties of due
	band     *band[R]
	index    int // in band, or -1 if it is empty or may not be served
	win      []R
	head     int
	cursor   uint64
	until    uint64 // the last id of a record that begins before cursor
	complete bool
	inflight int
	onDisk   int64  // the due in its pointer
	lowID    uint64 // the low id in it
	taken    int    // since lowID was stored
	parking  bool   // in Scheduler.parking
	emptied  int64  // when it was found empty, or 0
	prev     *Lane[R]
	next     *Lane[R] // in Scheduler.idle
}

// lineup is lanes by their levels: all of them, or a view's.
type lineup[R Item[R]] struct {
	levels []*level[R] // by descending priority
	lanes  map[Key]*Lane[R]
	view   *View[R] // nil for the plain one
}

// level is the lanes of one priority. Its bands hold those in memory that have
// items and may be served at some time. Stored ones from next on, the first of
// which is due at horizon, are not in memory.
type level[R Item[R]] struct {
	priority int8
	free     band[R]     // of groups that nobody owns
	owned    bandHeap[R] // the others that have lanes
	of       map[*Owner]*band[R]
	next     *mark // nil if everything is in memory
	horizon  int64
}

// mark is a place in the order of stored lanes.
type mark struct {
	due   int64
	group string
}

func (m mark) before(n mark) bool {
	if m.due != n.due {
		return m.due < n.due
	}
	return m.group < n.group
}

// leave notes that a lane is on disk alone.
func (lv *level[R]) leave(due int64, group string) {
	if m := (mark{due, group}); lv.next == nil || m.before(*lv.next) {
		lv.next, lv.horizon = &m, due
	}
}

// before reports whether it is the lane's turn before that of another.
func (l *Lane[R]) before(m *Lane[R]) bool {
	if l.due != m.due {
		return l.due < m.due
	}
	return l.turn < m.turn
}

// laneHeap orders lanes by their turns.
type laneHeap[R Item[R]] []*Lane[R]

func (h laneHeap[R]) Len() int           { return len(h) }
func (h laneHeap[R]) Less(i, j int) bool { return h[i].before(h[j]) }
func (h laneHeap[R]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *laneHeap[R]) Push(x any) {
	l := x.(*Lane[R])
	l.index = len(*h)
	*h = append(*h, l)
}
func (h *laneHeap[R]) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.index = -1
	return l
}

// Reading a lane fetches this much at a time.
const (
	refillItems   = 256
	refillBytes   = 256 << 10
	refillLimited = 8    // items of a group that is served slowly
	refillSeen    = 1024 // items that do not match
	windowItems   = 1024 // a longer window takes no newly enqueued items
	loadLanes     = 256  // lanes brought into memory at a time
	lowTaken      = 8192 // items taken from a lane between two updates of its low id
)

// level returns the level of a priority, made if need be.
func (u *lineup[R]) level(priority int8) *level[R] {
	i := sort.Search(len(u.levels), func(i int) bool { return u.levels[i].priority <= priority })
	if i < len(u.levels) && u.levels[i].priority == priority {
		return u.levels[i]
	}
	lv := &level[R]{priority: priority, horizon: math.MaxInt64}
	u.levels = slices.Insert(u.levels, i, lv)
	return lv
}

// addLane brings a lane into memory.
func (s *Scheduler[R]) addLane(u *lineup[R], k Key, p Pointer, complete bool) (*Lane[R], error) {
	g, err := s.groupOf(k.Group)
	if err != nil {
		return nil, err
	}
	l := &Lane[R]{
		Key: k, up: u, group: g, level: u.level(k.Priority), index: -1,
		due: p.Due, turn: s.nextTurn(), onDisk: p.Due, lowID: p.Low, complete: complete,
	}
	if p.Due == Never {
		l.due = 0 // it was left on disk for a pause
	}
	if p.Low > 0 {
		l.cursor = p.Low - 1
	}
	g.lanes = append(g.lanes, l)
	u.lanes[k] = l
	return l, nil
}

// drop takes a lane out of memory.
func (s *Scheduler[R]) drop(l *Lane[R]) {
	if l.index >= 0 {
		l.level.remove(l)
	}
	s.dropWindow(l)
	delete(l.up.lanes, l.Key)
	s.idle.remove(l)
	s.releaseGroup(l)
}

func (s *Scheduler[R]) dropWindow(l *Lane[R]) {
	for i := l.head; i < len(l.win); i++ {
		s.limits.Memory.used.Add(-int64(l.win[i].Size()))
	}
	l.win, l.head = nil, 0
}

// forget leaves a lane's window to the disk.
func (s *Scheduler[R]) forget(l *Lane[R]) {
	if l.head < len(l.win) {
		l.cursor, l.complete = l.lowest()-1, false
		s.dropWindow(l)
	}
}

// lowest returns an id that no waiting item of the lane is below, nor the first
// of its record.
func (l *Lane[R]) lowest() uint64 {
	low := l.cursor + 1
	for _, r := range l.win[l.head:] {
		low = min(low, r.Floor())
	}
	return low
}

// waiting reports whether the lane may have items that are not in flight.
func (l *Lane[R]) waiting() bool { return l.head < len(l.win) || !l.complete }

// schedule puts a lane where its state says: into the heap if it may have items
// and its group may be served, out of it otherwise. A view forgets one that is
// empty.
func (s *Scheduler[R]) schedule(l *Lane[R], now int64) {
	waiting := l.waiting()
	if waiting {
		s.idle.remove(l)
	}
	if !waiting || !s.mayServe(l.group) {
		if l.index >= 0 {
			l.level.remove(l)
		}
		switch {
		case l.up.view != nil:
			if !waiting {
				s.drop(l)
			}
		case !waiting && l.inflight == 0:
			s.idle.add(l, now)
		case waiting && l.group.settings.Paused && l.group.inflight == 0 && !l.parking:
			l.parking = true
			s.parking = append(s.parking, l)
		}
		return
	}
	l.due = max(l.due, l.group.due())
	if l.due > now && s.limits.Memory.full() {
		s.forget(l)
	}
	o := s.ownerOf(l.group)
	switch {
	case l.index < 0:
		l.level.put(l, o, now)
	case l.band.owner == o:
		l.level.fix(l)
	default: // its owner has left
		l.level.remove(l)
		l.level.put(l, o, now)
	}
}

// load brings the next lanes of a level into memory if it is their turn, for a consumer.
func (s *Scheduler[R]) load(lv *level[R], o *Owner, now int64, budget *int) error {
	for lv.next != nil && lv.horizon <= now && *budget > 0 {
		if l := lv.first(o, now); l != nil && l.due < lv.horizon {
			return nil
		}
		if len(s.plain.lanes) >= 2*s.limits.Lanes+s.inflight+loadLanes {
			return nil // those in memory have to be left to the disk first
		}
		if err := s.readLanes(lv, now, budget); err != nil {
			return err
		}
	}
	return nil
}

// readLanes brings up to loadLanes lanes into memory, from lv.next on.
func (s *Scheduler[R]) readLanes(lv *level[R], now int64, budget *int) error {
	type stored struct {
		group string
		p     Pointer
	}
	var found []stored
	from := *lv.next
	lv.next, lv.horizon = nil, math.MaxInt64
	err := s.src.Lanes(lv.priority, from.due, from.group, func(group string, p Pointer) bool {
		if len(found) == loadLanes || p.Due > now {
			lv.next, lv.horizon = &mark{p.Due, group}, p.Due
			return false
		}
		found = append(found, stored{group, p})
		return true
	})
	if err != nil {
		return err
	}
	*budget -= len(found)
	for _, f := range found {
		k := Key{lv.priority, f.group}
		if s.plain.lanes[k] != nil {
			continue
		}
		l, err := s.addLane(&s.plain, k, f.p, false)
		if err != nil {
			return err
		}
		s.schedule(l, now)
	}
	return nil
}

// next takes the first item out of a lane's window, reading on if it is empty. It
// reports false if the lane has none, or if the budget is used up.
func (s *Scheduler[R]) next(l *Lane[R], at Time, budget *int) (r R, ok bool, err error) {
	var zero R
	for {
		for l.head < len(l.win) {
			r := l.win[l.head]
			l.win[l.head] = zero
			l.head++
			s.limits.Memory.used.Add(-int64(r.Size()))
			if e := r.Expiry(); e != 0 && e <= at.Wall || s.src.Claimed(r.Ident()) {
				continue // the committer drops it
			}
			return r, true, nil
		}
		l.win, l.head = l.win[:0], 0
		if l.complete || *budget <= 0 {
			return zero, false, nil
		}
		if err := s.refill(l, budget); err != nil {
			return zero, false, err
		}
	}
}

// refill reads the next items of a lane into its empty window.
func (s *Scheduler[R]) refill(l *Lane[R], budget *int) error {
	limit := refillItems
	if n, delay := s.limitsOf(l.group); n != 0 || delay != 0 {
		limit = refillLimited
	}
	if s.limits.Memory.full() {
		limit = 1
	}
	v := l.up.view
	seen, size := 0, 0
	complete, sorted := true, true
	err := s.src.Records(Place{l.Key, l.cursor + 1}, true, func(rec Record[R]) (bool, error) {
		if rec.First() > l.cursor && (len(l.win) >= limit || size >= refillBytes || seen >= refillSeen) {
			complete = false
			return false, nil
		}
		sorted = sorted && rec.First() > l.cursor
		l.cursor = max(l.cursor, rec.Last())
		if rec.Last() != rec.First() {
			l.until = max(l.until, rec.Last())
		}
		if v == nil {
			rec.Keep()
		}
		return true, rec.Each(func(r R) error {
			seen++
			if s.src.InFlight(r.Ident()) || v != nil && !v.match(l.Key, r) {
				return nil
			}
			if v != nil {
				r = r.Clone()
			}
			l.win = append(l.win, r)
			size += r.Size()
			return nil
		})
	})
	if err != nil {
		return err
	}
	if !sorted { // items stored alone lie between those of a record
		slices.SortFunc(l.win, func(a, b R) int { return cmp.Compare(a.Ident(), b.Ident()) })
	}
	*budget -= max(seen, 8) // a read costs something even if it finds nothing
	s.limits.Memory.used.Add(int64(size))
	l.complete = complete
	if v == nil && l.taken >= lowTaken+4*s.inflight {
		s.lows = append(s.lows, l)
		l.taken = 0
	}
	return nil
}

// append adds an item that has become ready to its lane.
func (s *Scheduler[R]) append(l *Lane[R], r R) {
	id := r.Ident()
	switch {
	case id <= l.cursor:
		s.insert(l, r)
	case l.complete && (id <= l.until || len(l.win)-l.head < windowItems && !s.limits.Memory.full()):
		l.cursor = id
		if r.Last() != id || r.Floor() != id {
			l.until = max(l.until, r.Last())
		}
		if l.head >= windowItems {
			n := copy(l.win, l.win[l.head:])
			clear(l.win[n:])
			l.win, l.head = l.win[:n], 0
		}
		l.win = append(l.win, r)
		s.limits.Memory.used.Add(int64(r.Size()))
	case l.complete:
		// What there is up to until is in flight or in the window, and begins before what
		// will be read.
		l.cursor, l.complete = max(l.cursor, l.until), false
	}
}

// insert puts an item that the lane has passed back into its window.
func (s *Scheduler[R]) insert(l *Lane[R], r R) {
	id := r.Ident()
	if id > l.cursor && !l.complete {
		return // the lane will read it
	}
	l.cursor = max(l.cursor, id)
	i, found := l.find(id)
	if found {
		return
	}
	s.limits.Memory.used.Add(int64(r.Size()))
	if i == 0 && l.head > 0 {
		l.head--
		l.win[l.head] = r
		return
	}
	l.win = slices.Insert(l.win, l.head+i, r)
}

// find returns where an item is in the window, or would be, from head on.
func (l *Lane[R]) find(id uint64) (i int, found bool) {
	rest := l.win[l.head:]
	i = sort.Search(len(rest), func(i int) bool { return rest[i].Ident() >= id })
	return i, i < len(rest) && rest[i].Ident() == id
}

// remove takes an item out of a lane's window, if it is there.
func (s *Scheduler[R]) remove(l *Lane[R], id uint64, now int64) {
	if i, found := l.find(id); found {
		s.limits.Memory.used.Add(-int64(l.win[l.head+i].Size()))
		l.win = slices.Delete(l.win, l.head+i, l.head+i+1)
	}
	s.schedule(l, now)
}
