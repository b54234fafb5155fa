package queuetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// This file is the reference of the model test: a queue as the documentation
// describes it, with nothing but maps and loops.

type refItem struct {
	queue.Item
	serial   int // order of enqueueing
	epoch    int
	due      time.Time // zero if ready
	attempts int
	deaths   int
	blamed   int
	holder   *refSession
	d        *queue.Delivery
}

type refMark struct {
	ever bool
	body string // of the last item with the key
}

type refGroup struct {
	set    queue.GroupSettings
	lo, hi time.Time // not served before lo, served from hi on
}

type refSession struct {
	c     *queue.Consumer
	q     *refQueue
	opts  queue.SubscribeOptions
	until time.Time // of its lease; zero without one
	phase int       // of the released barrier: see below
	tries int
	told  *queue.Delivery
}

const (
	phaseNone = iota
	phasePending
	phaseTold
	phaseAcked
)

type refQueue struct {
	name       string
	cfg        queue.Config
	paused     bool
	open, tail int
	items      map[string]*refItem // by body, which is unique
	dead       map[string]*refItem
	deadIDs    map[string]uint64
	marks      map[string]refMark
	names      map[string]int
	groups     map[string]*refGroup
	sessions   []*refSession
	barriers   []string // bodies, by epoch
	released   bool
	acks       int
	totals     queue.Totals
	acked      bool                 // a barrier, in this step
	deferrals  map[string]time.Time // until when a group is deferred, zero for no time
	batches    map[string]*refBatch
	ended      func(now time.Time) // looks at the batches of all queues
}

// away is the epoch of deferred items, and never the time of those that have none.
const away = 1 << 30

var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func newRefQueue(name string) *refQueue {
	return &refQueue{
		name: name, items: make(map[string]*refItem), dead: make(map[string]*refItem), deadIDs: make(map[string]uint64),
		marks: make(map[string]refMark), names: make(map[string]int), groups: make(map[string]*refGroup),
		deferrals: make(map[string]time.Time), batches: make(map[string]*refBatch),
	}
}

func (q *refQueue) group(name string) *refGroup {
	if q.groups[name] == nil {
		q.groups[name] = new(refGroup)
	}
	return q.groups[name]
}

// limits returns the concurrency and the delay of a group, 0 for none.
func (q *refQueue) limits(name string) (int, time.Duration) {
	if name == "" {
		return 0, 0
	}
	n, d := q.cfg.Groups.MaxInFlight, q.cfg.Groups.MinDelay
	g := q.group(name)
	if g.set.MaxInFlight != 0 {
		n = max(g.set.MaxInFlight, 0)
	}
	if g.set.MinDelay != 0 {
		d = max(g.set.MinDelay, 0)
	}
	if q.cfg.Groups.Ordered {
		n = 1
	}
	return n, d
}

func (q *refQueue) held(group string, all bool) int {
	n := 0
	for _, it := range q.items {
		if it.holder != nil && (all || it.Group == group) {
			n++
		}
	}
	return n
}

// enqueue does what Tx.Enqueue does.
func (q *refQueue) enqueue(it queue.Item, serial int, now time.Time) {
	body := string(it.Body)
	if it.Key != "" {
		m, known := q.marks[it.Key]
		last := q.items[m.body]
		switch {
		case known && it.Mode == queue.Once:
			m.ever = true
			q.marks[it.Key] = m
			q.totals.Duplicates++
			return
		case known && it.Mode == queue.OnceLive && last != nil:
			q.totals.Duplicates++
			return
		case known && it.Mode == queue.ReplaceLive && last != nil && last.holder == nil:
			q.leave(last, &q.totals.Dropped)
		}
		q.marks[it.Key] = refMark{ever: m.ever || it.Mode == queue.Once, body: body}
	}
	due := now.Add(it.Delay)
	if !due.After(now) {
		due = time.Time{}
	}
	q.items[body] = &refItem{Item: it, serial: serial, epoch: q.entry(it.Group), due: due}
	q.totals.Enqueued++
	if it.Batch != "" {
		b := q.batch(it.Batch)
		b.live++
		b.totals.Enqueued++
	}
}

// entry is the epoch of an item that is enqueued.
func (q *refQueue) entry(group string) int {
	if _, deferred := q.deferrals[group]; deferred && q.open == q.tail {
		return away
	}
	return q.tail
}

// deferItem does what Tx.Defer does.
func (q *refQueue) deferItem(it *refItem, until, now time.Time) {
	q.end(it, now)
	if !it.Expires.IsZero() && !it.Expires.After(now) {
		q.leave(it, &q.totals.Expired)
		return
	}
	if until.IsZero() {
		until = never
	}
	it.epoch, it.due = away, until
	q.totals.Deferred++
}

// rejoin does what Tx.RejoinGroup does.
func (q *refQueue) rejoin(group string) {
	if _, deferred := q.deferrals[group]; !deferred {
		return
	}
	delete(q.deferrals, group)
	epoch := q.returns()
	for _, it := range q.items {
		if it.epoch == away && it.Group == group && it.due.IsZero() {
			it.epoch = epoch
			q.totals.Rejoined++
		}
	}
}

// returns is the epoch into which items come back.
func (q *refQueue) returns() int {
	if q.open < q.tail && q.unsettled() == 0 {
		return q.open + 1
	}
	return q.open
}

// comeHome does what Tx.Rejoin does, or an item's time.
func (q *refQueue) comeHome(it *refItem) {
	it.due = time.Time{}
	if _, deferred := q.deferrals[it.Group]; deferred {
		return
	}
	it.epoch = q.returns()
	q.totals.Rejoined++
}

// sendAway takes what waits of deferred groups out of the open epoch.
func (q *refQueue) sendAway() {
	for _, it := range q.items {
		if _, deferred := q.deferrals[it.Group]; deferred && it.epoch == q.open && it.holder == nil {
			it.epoch = away
			q.totals.Deferred++
		}
	}
}

// leave ends an item's life.
func (q *refQueue) leave(it *refItem, outcome *int64) {
	body := string(it.Body)
	delete(q.items, body)
	*outcome++
	if it.Batch != "" {
		q.leaveBatch(it.Batch, outcome)
	}
	it.holder, it.d = nil, nil
	if m := q.marks[it.Key]; it.Mode != queue.Once && it.Key != "" && m.body == body && !m.ever {
		delete(q.marks, it.Key)
	}
}

func (q *refQueue) bury(it *refItem, id uint64) {
	it.attempts++
	q.leave(it, &q.totals.Buried)
	q.dead[string(it.Body)] = it
	q.deadIDs[string(it.Body)] = id
}

// end notes the end of a delivery for its group.
func (q *refQueue) end(it *refItem, now time.Time) {
	_, delay := q.limits(it.Group)
	it.holder, it.d = nil, nil
	if delay == 0 {
		return
	}
	g := q.group(it.Group)
	g.hi = later(g.hi, now.Add(delay))
	g.lo = g.hi
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxAttempts and maxDeaths return the bounds of an item, or 0 for none.
func (q *refQueue) maxAttempts() int {
	if q.cfg.MaxAttempts == 0 {
		return queue.DefaultMaxAttempts
	}
	return max(q.cfg.MaxAttempts, 0)
}

func (q *refQueue) maxDeaths() int {
	if q.cfg.MaxDeaths == 0 {
		return q.maxAttempts()
	}
	return max(q.cfg.MaxDeaths, 0)
}

// retry does what Tx.RetryAfter does.
func (q *refQueue) retry(it *refItem, delay time.Duration, now time.Time) {
	id := it.d.ID
	q.end(it, now)
	if limit := q.maxAttempts(); limit > 0 && it.attempts-it.deaths+1 >= limit {
		q.bury(it, id)
		return
	}
	q.again(it, delay, now)
}

func (q *refQueue) again(it *refItem, delay time.Duration, now time.Time) {
	if it.Expires.IsZero() || it.Expires.After(now) {
		it.attempts++
		q.totals.Retried++
	}
	q.postpone(it, delay, now)
}

// postpone has an item come back after a delay, with its group if that is in strict
// order, unless it has expired.
func (q *refQueue) postpone(it *refItem, delay time.Duration, now time.Time) {
	if !it.Expires.IsZero() && !it.Expires.After(now) {
		q.leave(it, &q.totals.Expired)
		return
	}
	it.due = time.Time{}
	switch {
	case delay <= 0:
	case q.cfg.Groups.Ordered && it.Group != "":
		g := q.group(it.Group)
		g.hi = later(g.hi, now.Add(delay))
		g.lo = g.hi
	default:
		it.due = now.Add(delay)
	}
	if _, deferred := q.deferrals[it.Group]; deferred {
		it.epoch = away
		q.totals.Deferred++
	}
}

// backoff is the queue's delay after a number of deliveries, without jitter.
func (q *refQueue) backoff(attempts int) time.Duration {
	d := q.cfg.Backoff.Min
	for range attempts - 1 {
		d = min(2*d, q.cfg.Backoff.Max)
	}
	return d
}

// arrive adds a session.
func (q *refQueue) arrive(s *refSession) {
	q.sessions = append(q.sessions, s)
	if s.opts.Durable != "" {
		if _, ok := q.names[s.opts.Durable]; !ok {
			q.names[s.opts.Durable] = q.open
		}
	}
	if !q.released {
		return
	}
	if owes := s.opts.Durable != "" && q.names[s.opts.Durable] <= q.open; owes || q.acks == 0 && q.audience() == 0 {
		q.join(s)
	}
}

func (q *refQueue) join(s *refSession) {
	if s.opts.Barriers != queue.NoBarriers && s.phase == phaseNone {
		s.phase, s.tries = phasePending, 0
	}
}

func (q *refQueue) audience() int {
	n := 0
	for _, s := range q.sessions {
		if s.phase == phasePending || s.phase == phaseTold {
			n++
		}
	}
	return n
}

// depart removes a session, whose items go back uncounted, or counted if its
// lease was lost.
func (q *refQueue) depart(s *refSession, lost bool, now time.Time) {
	q.sessions = slices.DeleteFunc(q.sessions, func(x *refSession) bool { return x == s })
	var victims []refVictim
	for _, it := range q.inOrder() {
		switch {
		case it.holder != s:
		case lost:
			victims = append(victims, refVictim{q, it, it.d.ID})
			q.end(it, now)
		default:
			q.end(it, now)
		}
	}
	refDeath(victims, now)
	if waited := s.phase == phasePending || s.phase == phaseTold; waited && q.released && q.audience() == 0 && q.acks == 0 {
		for _, other := range q.sessions {
			q.join(other)
		}
	}
}

// inOrder returns the items by their age.
func (q *refQueue) inOrder() []*refItem {
	var items []*refItem
	for _, it := range q.items {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *refItem) int { return a.serial - b.serial })
	return items
}

// settle brings about what has to happen at a moment: items become ready or
// expire, leases end, barriers are released, epochs open.
func (q *refQueue) settle(now time.Time) (lost []*queue.Delivery) {
	for _, s := range slices.Clone(q.sessions) {
		if s.until.IsZero() || s.until.After(now) {
			continue
		}
		for _, it := range q.inOrder() {
			if it.holder == s {
				lost = append(lost, it.d)
			}
		}
		q.depart(s, true, now)
	}
	for _, it := range q.inOrder() {
		if it.holder != nil {
			continue
		}
		if !it.Expires.IsZero() && !it.Expires.After(now) {
			q.leave(it, &q.totals.Expired)
			continue
		}
		if it.epoch == q.open && !it.due.IsZero() && !it.due.After(now) {
			it.due = time.Time{}
		}
	}
	q.ended(now)
	q.sendAway()
	for group, until := range q.deferrals {
		if !until.IsZero() && !until.After(now) {
			q.rejoin(group)
		}
	}
	for _, it := range q.inOrder() {
		if it.epoch == away && !it.due.IsZero() && !it.due.After(now) {
			q.comeHome(it)
		}
	}
	for {
		if !q.released {
			if q.open == q.tail || q.unsettled() > 0 {
				return lost
			}
			q.released = true
			for _, s := range q.sessions {
				q.join(s)
			}
		}
		if q.acks == 0 || q.audience() > 0 || q.owed() > 0 {
			return lost
		}
		q.open++
		q.released, q.acks = false, 0
		for _, s := range q.sessions {
			s.phase, s.told = phaseNone, nil
		}
		for _, it := range q.items {
			if it.epoch == q.open && !it.due.IsZero() && !it.due.After(now) {
				it.due = time.Time{}
			}
		}
		q.sendAway()
	}
}

func (q *refQueue) unsettled() int {
	n := 0
	for _, it := range q.items {
		if it.epoch == q.open {
			n++
		}
	}
	return n
}

// owed counts the durable names that have not acked the open epoch's barrier.
func (q *refQueue) owed() int {
	n := 0
	for _, next := range q.names {
		if next <= q.open {
			n++
		}
	}
	return n
}

// deliverable returns what a session could be given now, by descending
// priority and age: what it may be given, or only what it must be given.
func (q *refQueue) deliverable(s *refSession, now time.Time, must bool) []*refItem {
	if q.paused || s.opts.Barriers == queue.OnlyBarriers {
		return nil
	}
	var out []*refItem
	for _, it := range q.inOrder() {
		if _, deferred := q.deferrals[it.Group]; deferred || it.holder != nil || it.epoch != q.open || !it.due.IsZero() {
			continue
		}
		if s.opts.Filter != nil && !s.opts.Filter.Matches(&it.Item) {
			continue
		}
		if it.Group != "" {
			g := q.group(it.Group)
			free := g.lo
			if must {
				free = g.hi
			}
			if limit, _ := q.limits(it.Group); g.set.Paused || g.set.NotBefore.After(now) || free.After(now) || limit > 0 && q.held(it.Group, false) >= limit {
				continue
			}
		}
		out = append(out, it)
	}
	slices.SortStableFunc(out, func(a, b *refItem) int { return b.Priority - a.Priority })
	return out
}

// room is how many items a session may be given at most.
func (q *refQueue) room(s *refSession, max int) int {
	n := max
	if s.opts.Prefetch > 0 {
		mine := 0
		for _, it := range q.items {
			if it.holder == s {
				mine++
			}
		}
		n = min(n, s.opts.Prefetch-mine)
	}
	if q.cfg.MaxInFlight > 0 {
		n = min(n, q.cfg.MaxInFlight-q.held("", true))
	}
	return n
}

// take checks that an item may be given to a session, and gives it.
func (q *refQueue) take(s *refSession, d *queue.Delivery, now time.Time) error {
	it := q.items[string(d.Item.Body)]
	may := q.deliverable(s, now, false)
	if it == nil || !slices.Contains(may, it) {
		return fmt.Errorf("%v (%q) may not be delivered: the model has %+v, paused %v, open %d", d, d.Item.Body, it, q.paused, q.open)
	}
	for _, other := range q.deliverable(s, now, true) {
		if other.Priority > it.Priority {
			return fmt.Errorf("%q was delivered before %q, which has a higher priority", it.Body, other.Body)
		}
		if other.Group == it.Group && other.Priority == it.Priority && other.serial < it.serial {
			return fmt.Errorf("%q was delivered before %q, which is older", it.Body, other.Body)
		}
	}
	if d.Attempt != it.attempts+1 || int(d.Epoch) != it.epoch || d.Item.Key != it.Key || d.Item.Group != it.Group || d.Item.Priority != it.Priority {
		return fmt.Errorf("delivery %+v is not item %+v", d, it)
	}
	it.holder, it.d = s, d
	if _, delay := q.limits(it.Group); delay > 0 {
		g := q.group(it.Group)
		g.hi = later(g.hi, now.Add(delay))
		g.lo = g.hi
	}
	return nil
}
