package sched

import (
	"slices"
	"time"
)

// Settings are those of a group.
type Settings struct {
	MaxInFlight int // 0: the policy's; negative: no limit
	MinDelay    time.Duration
	NotBefore   time.Time // by the scheduler's clock
	Paused      bool
}

// Policy is that of groups without settings of their own.
type Policy struct {
	MaxInFlight int
	MinDelay    time.Duration
	Ordered     bool // one at a time, whatever else is set
}

// Delay returns the minimum delay of a group, in nanoseconds.
func (p Policy) Delay(of Settings) int64 {
	if of.MinDelay != 0 {
		return max(int64(of.MinDelay), 0)
	}
	return int64(p.MinDelay)
}

// group is what the lanes of one group share. The group with the empty name has
// no limits.
type group[R Item[R]] struct {
	name     string
	settings Settings
	nextDue  int64  // the end of its delay
	owner    *Owner // who had its last delivery, if that keeps its groups
	inflight int
	deferred bool
	lanes    []*Lane[R] // in memory, those of views among them
}

// groupOf returns a group in memory, read if need be.
func (s *Scheduler[R]) groupOf(name string) (*group[R], error) {
	if g := s.groups[name]; g != nil {
		return g, nil
	}
	g := &group[R]{name: name}
	if name != "" {
		g.deferred = s.src.Deferred(name)
		var err error
		if g.settings, g.nextDue, err = s.src.Group(name); err != nil {
			return nil, err
		}
	}
	s.recall(g)
	s.groups[name] = g
	return g, nil
}

// due is the earliest time at which the group may be served.
func (g *group[R]) due() int64 {
	due := g.nextDue
	if t := g.settings.NotBefore; !t.IsZero() {
		due = max(due, t.UnixNano())
	}
	return due
}

// limitsOf returns the group's concurrency (0 for no limit) and delay.
func (s *Scheduler[R]) limitsOf(g *group[R]) (maxInFlight int, delay int64) {
	if g.name == "" {
		return 0, 0
	}
	maxInFlight, delay = s.policy.MaxInFlight, s.policy.Delay(g.settings)
	if n := g.settings.MaxInFlight; n != 0 {
		maxInFlight = max(n, 0)
	}
	if s.policy.Ordered {
		maxInFlight = 1
	}
	return maxInFlight, delay
}

// mayServe reports whether time alone keeps the group from being served.
func (s *Scheduler[R]) mayServe(g *group[R]) bool {
	limit, _ := s.limitsOf(g)
	return !g.settings.Paused && !g.deferred && (limit == 0 || g.inflight < limit)
}

// reschedule looks at all lanes of a group whose state has changed.
func (s *Scheduler[R]) reschedule(g *group[R], now int64) {
	for i := len(g.lanes) - 1; i >= 0; i-- { // a view's may leave
		s.schedule(g.lanes[i], now)
	}
}

// relaxed is reschedule for a group that may be served rather than before.
func (s *Scheduler[R]) relaxed(g *group[R], now int64) {
	s.reschedule(g, now)
	for _, v := range s.views {
		v.relaxed(now)
	}
}

// SetGroup changes a group's settings, if it is in memory.
func (s *Scheduler[R]) SetGroup(name string, settings Settings, now int64) {
	g := s.groups[name]
	if g != nil {
		g.settings = settings
		for _, l := range g.lanes {
			l.due = 0
		}
		s.reschedule(g, now)
	}
	for _, v := range s.views {
		v.relaxed(now)
	}
}

// SetPolicy changes the limits of groups.
func (s *Scheduler[R]) SetPolicy(p Policy, now int64) {
	s.policy = p
	for _, g := range s.groups {
		for _, l := range g.lanes {
			l.due = 0
		}
		s.reschedule(g, now)
	}
	for _, v := range s.views {
		v.relaxed(now)
	}
}

// Group returns what is known of a group in memory.
func (s *Scheduler[R]) Group(name string) (settings Settings, nextDue int64, inflight int, ok bool) {
	g := s.groups[name]
	if g == nil {
		return Settings{}, 0, 0, false
	}
	return g.settings, g.nextDue, g.inflight, true
}

// Delay returns the delay of a lane's group, and when the present one ends.
func (s *Scheduler[R]) Delay(l *Lane[R]) (delay, nextDue int64) {
	_, delay = s.limitsOf(l.group)
	return delay, l.group.nextDue
}

// Delays calls fn for the groups in memory whose delay has not passed.
func (s *Scheduler[R]) Delays(now int64, fn func(group string, nextDue int64)) {
	for name, g := range s.groups {
		if g.nextDue > now {
			fn(name, g.nextDue)
		}
	}
}

// releaseGroup forgets a group that nothing refers to.
func (s *Scheduler[R]) releaseGroup(l *Lane[R]) {
	g := l.group
	g.lanes = slices.DeleteFunc(g.lanes, func(x *Lane[R]) bool { return x == l })
	if len(g.lanes) == 0 && g.inflight == 0 {
		s.remember(g)
		delete(s.groups, g.name)
	}
}

// Groups returns how many groups are in memory.
func (s *Scheduler[R]) Groups() int { return len(s.groups) }
