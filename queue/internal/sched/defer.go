package sched

// Deferred groups are those of which nothing is delivered until they come back.
// Their items leave the open epoch meanwhile, and may come back behind the cursors of
// their lanes, any number of them at once.

// Defer notes that a group is deferred, or that it is not any more. A group that
// comes into memory later is asked for with Source.Deferred.
func (s *Scheduler[R]) Defer(name string, deferred bool, now int64) {
	g := s.groups[name]
	if g == nil {
		return
	}
	g.deferred = deferred
	for _, l := range g.lanes {
		l.due = 0
	}
	s.relaxed(g, now)
}

// Return shows the scheduler an item that has come back to its lane, which may have
// passed it. Lanes that have are read again from there on, since windows are for few.
// fresh is the pointer of the lane if that was made for it.
func (s *Scheduler[R]) Return(k Key, r R, fresh *Pointer, now int64) error {
	for _, v := range s.views {
		if l := v.lanes[k]; l != nil && v.match(k, r) {
			s.reread(l, r.Floor())
			s.schedule(l, now)
			continue
		}
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
		if l, err = s.addLane(&s.plain, k, Pointer{Due: fresh.Due}, false); err != nil {
			return err
		}
	}
	s.reread(l, r.Floor())
	s.schedule(l, now)
	return nil
}

// reread has a lane read again from an id on, if it has passed it.
func (s *Scheduler[R]) reread(l *Lane[R], floor uint64) {
	if !l.complete && floor > l.cursor {
		return
	}
	low := min(floor, l.lowest())
	if main := s.plain.lanes[l.Key]; main != nil && main.inflight > 0 {
		low = min(low, s.src.LowestInFlight(main))
	}
	s.dropWindow(l)
	l.cursor, l.until, l.complete = low-1, 0, false
}

// Cleared notes that nothing of a lane is stored but what is in its window or in
// flight; last is the highest id there was.
func (s *Scheduler[R]) Cleared(k Key, last uint64, now int64) {
	lanes := []*Lane[R]{s.plain.lanes[k]}
	for _, v := range s.views {
		lanes = append(lanes, v.lanes[k])
	}
	for _, l := range lanes {
		if l != nil {
			l.cursor, l.complete = max(l.cursor, last), true
			s.schedule(l, now)
		}
	}
}

// Hold keeps the group of an item that was taken from being served before a time.
func (s *Scheduler[R]) Hold(lease Lease[R], notBefore int64) {
	g := lease.Lane.group
	g.nextDue = max(g.nextDue, notBefore)
}
