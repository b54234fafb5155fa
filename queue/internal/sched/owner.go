package sched

import "container/heap"

// Owners have groups: a group is owned by the consumer that had its last delivery, if
// that wishes to keep its groups, and lives. What of an owned group could be delivered
// waits for its owner, and for nobody else until it has waited for the owner's patience;
// whoever takes it then owns the group.
//
//	O1  A lane that may be served is in one band of its level: that of its group's owner,
//	    or the free one.
//	O2  A consumer takes, of each level, what is due first of the free band, of its own,
//	    and of the bands whose first lane has waited for the patience of their owner.
//	    So nobody idles for longer than that while something may be delivered, and no
//	    group waits longer for its turn, however its owner stalls.
//	O3  The band of an owner that has left is everybody's at once.
//	O4  Nothing of this is stored, and it is bounded: of more than ownedMost groups the
//	    further ones have no owner, and of the groups that are not in memory the owners
//	    of as many, those that were dropped last, are remembered.
//
// Without owners there is only the free band.

// Owner is a consumer that keeps its groups.
type Owner struct {
	patience int64 // nanoseconds
	left     bool
}

// NewOwner returns an owner whose groups wait for it for so many nanoseconds.
func NewOwner(patience int64) *Owner { return &Owner{patience: patience} }

// Leave notes that an owner is gone.
func (s *Scheduler[R]) Leave(o *Owner) {
	if o == nil {
		return
	}
	o.left = true
	s.plain.leave(o)
	for _, v := range s.views {
		v.leave(o)
	}
}

func (u *lineup[R]) leave(o *Owner) {
	for _, lv := range u.levels {
		if b := lv.of[o]; b != nil {
			lv.settle(b)
		}
	}
}

// Waits reports whether something that is due waits for an owner; NextOwn returns when
// something will, or has begun to.
func (s *Scheduler[R]) Waits(v *View[R], o *Owner, now int64) bool { return s.NextOwn(v, o) <= now }

// NextOwn returns the earliest due of what waits for an owner, Never if nothing does.
func (s *Scheduler[R]) NextOwn(v *View[R], o *Owner) int64 {
	next := int64(Never)
	if o == nil {
		return next
	}
	u := &s.plain
	if v != nil {
		u = &v.lineup
	}
	for _, lv := range u.levels {
		if b := lv.of[o]; b != nil && len(b.lanes) > 0 {
			next = min(next, b.lanes[0].due)
		}
	}
	return next
}

// band is the lanes of a level whose groups have the same owner.
type band[R Item[R]] struct {
	owner *Owner // nil: nobody
	lanes laneHeap[R]
	index int // in level.owned, or -1 if it is empty
}

// open is from when everybody may take the band's first lane.
func (b *band[R]) open() int64 {
	if b.owner.left {
		return b.lanes[0].due
	}
	return Later(b.lanes[0].due, b.owner.patience)
}

// bandHeap orders bands by when they are open.
type bandHeap[R Item[R]] []*band[R]

func (h bandHeap[R]) Len() int { return len(h) }
func (h bandHeap[R]) Less(i, j int) bool {
	if a, b := h[i].open(), h[j].open(); a != b {
		return a < b
	}
	return h[i].lanes[0].turn < h[j].lanes[0].turn
}
func (h bandHeap[R]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *bandHeap[R]) Push(x any) {
	b := x.(*band[R])
	b.index = len(*h)
	*h = append(*h, b)
}
func (h *bandHeap[R]) Pop() any {
	old := *h
	b := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	b.index = -1
	return b
}

// first returns the lane of which a consumer takes next, if that is due; nil if there is
// none.
func (lv *level[R]) first(o *Owner, now int64) *Lane[R] {
	first := lv.free.first()
	if len(lv.owned) > 0 {
		first = lv.firstOwned(first, o, now)
	}
	return first
}

func (lv *level[R]) firstOwned(first *Lane[R], o *Owner, now int64) *Lane[R] {
	if o != nil {
		if own := lv.of[o].first(); own != nil && (first == nil || own.before(first)) {
			first = own
		}
	}
	// If this one is the consumer's own, those behind it are of the same or a later time.
	if b := lv.owned[0]; b.open() <= now && (first == nil || b.lanes[0].before(first)) {
		first = b.lanes[0]
	}
	return first
}

// first returns the first lane of a band, nil if there is none.
func (b *band[R]) first() *Lane[R] {
	if b == nil || len(b.lanes) == 0 {
		return nil
	}
	return b.lanes[0]
}

// bands returns those of a level that have lanes.
func (lv *level[R]) bands() []*band[R] {
	return append([]*band[R]{&lv.free}, lv.owned...)
}

// empty reports whether no lane of the level in memory may be served.
func (lv *level[R]) empty() bool { return len(lv.free.lanes) == 0 && len(lv.owned) == 0 }

// put adds a lane to the band of an owner, for whom it begins to wait now.
func (lv *level[R]) put(l *Lane[R], o *Owner, now int64) {
	b := &lv.free
	if o != nil {
		l.due = max(l.due, now)
		if b = lv.of[o]; b == nil {
			if lv.of == nil {
				lv.of = make(map[*Owner]*band[R])
			}
			b = &band[R]{owner: o, index: -1}
			lv.of[o] = b
		}
	}
	l.band = b
	heap.Push(&b.lanes, l)
	if o != nil {
		lv.settle(b)
	}
}

// fix puts a lane where its due says.
func (lv *level[R]) fix(l *Lane[R]) {
	heap.Fix(&l.band.lanes, l.index)
	if l.band.owner != nil {
		lv.settle(l.band)
	}
}

// remove takes a lane out of its band.
func (lv *level[R]) remove(l *Lane[R]) {
	b := l.band
	heap.Remove(&b.lanes, l.index)
	l.band = nil
	if b.owner != nil {
		lv.settle(b)
	}
}

// settle puts the band of an owner whose first lane may be another where that says.
func (lv *level[R]) settle(b *band[R]) {
	switch {
	case len(b.lanes) == 0:
		if b.index >= 0 {
			heap.Remove(&lv.owned, b.index)
		}
		if b.owner.left {
			delete(lv.of, b.owner)
		}
	case b.index < 0:
		heap.Push(&lv.owned, b)
	default:
		heap.Fix(&lv.owned, b.index)
	}
}

// ownedMost is how many groups in memory may have an owner: so few that what waits for
// owners leaves room for what does not.
func (s *Scheduler[R]) ownedMost() int { return max(s.limits.Lanes/2, 1) }

// ownerOf returns the owner of a group, if that lives.
func (s *Scheduler[R]) ownerOf(g *group[R]) *Owner {
	if g.owner != nil && g.owner.left {
		s.disown(g)
	}
	return g.owner
}

func (s *Scheduler[R]) disown(g *group[R]) {
	if g.owner != nil {
		g.owner = nil
		s.owned--
	}
}

// own notes that a consumer has had a delivery of a group, and reports whether that makes
// it the group's owner.
func (s *Scheduler[R]) own(g *group[R], o *Owner, now int64) bool {
	if g.owner == o || g.name == "" {
		return false
	}
	s.disown(g)
	if o != nil && s.owned < s.ownedMost() {
		g.owner = o
		s.owned++
	}
	for _, l := range g.lanes {
		if l.index >= 0 {
			l.level.remove(l)
			l.level.put(l, g.owner, now)
		}
	}
	return true
}

// remember keeps the owner of a group that leaves memory.
func (s *Scheduler[R]) remember(g *group[R]) {
	o := s.ownerOf(g)
	if o == nil {
		return
	}
	s.disown(g)
	if len(s.young) >= (s.ownedMost()+1)/2 {
		s.old, s.young = s.young, nil
	}
	if s.young == nil {
		s.young = make(map[string]*Owner)
	}
	s.young[g.name] = o
}

// recall gives a group that has come into memory its owner back.
func (s *Scheduler[R]) recall(g *group[R]) {
	if len(s.young)+len(s.old) == 0 {
		return
	}
	o, ok := s.young[g.name]
	if !ok {
		o = s.old[g.name]
	}
	delete(s.young, g.name)
	delete(s.old, g.name)
	if o != nil && !o.left && s.owned < s.ownedMost() {
		g.owner = o
		s.owned++
	}
}

// Owners returns of how many groups an owner is known.
func (s *Scheduler[R]) Owners() int { return s.owned + len(s.young) + len(s.old) }
