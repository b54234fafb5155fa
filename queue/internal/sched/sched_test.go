package sched

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"
)

// item is an item of the tests. Its record is of those with the same first id.
type item struct {
	id, first, last uint64
	key             Key
	enqueued        int64
	expires         int64
	match           bool
	size            int
}

func (it *item) Ident() uint64   { return it.id }
func (it *item) Floor() uint64   { return it.first }
func (it *item) Last() uint64    { return it.last }
func (it *item) Size() int       { return it.size }
func (it *item) Expiry() int64   { return it.expires }
func (it *item) Enqueued() int64 { return it.enqueued }
func (it *item) Clone() *item    { return it }

// disk is a source that holds everything in maps.
type disk struct {
	items    map[uint64]*item
	lanes    map[Key]Pointer
	groups   map[string]stored
	inflight map[uint64]Lease[*item]
	reads    int // records
	looked   int // groups
}

type stored struct {
	settings Settings
	nextDue  int64
}

func newDisk() *disk {
	return &disk{
		items: make(map[uint64]*item), lanes: make(map[Key]Pointer),
		groups: make(map[string]stored), inflight: make(map[uint64]Lease[*item]),
	}
}

func (d *disk) pointers(priority int8) []Key {
	var keys []Key
	for k := range d.lanes {
		if k.Priority == priority {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		return mark{d.lanes[keys[i]].Due, keys[i].Group}.before(mark{d.lanes[keys[j]].Due, keys[j].Group})
	})
	return keys
}

func (d *disk) Lanes(priority int8, due int64, group string, visit func(string, Pointer) bool) error {
	for _, k := range d.pointers(priority) {
		if p := d.lanes[k]; !(mark{p.Due, k.Group}).before(mark{due, group}) && !visit(k.Group, p) {
			return nil
		}
	}
	return nil
}

func (d *disk) Levels(visit func(int8, int64, string)) error {
	for priority := 127; priority >= -127; priority-- {
		if keys := d.pointers(int8(priority)); len(keys) > 0 {
			visit(int8(priority), d.lanes[keys[0]].Due, keys[0].Group)
		}
	}
	return nil
}

func (d *disk) Lane(k Key) (Pointer, error) {
	p, ok := d.lanes[k]
	if !ok {
		return p, fmt.Errorf("no lane %v", k)
	}
	return p, nil
}

// rec is a record of the tests: the items with one first id.
type rec []*item

func (r rec) Lane() Key     { return r[0].key }
func (r rec) First() uint64 { return r[0].first }
func (r rec) Last() uint64  { return r[0].last }
func (r rec) Keep()         {}
func (r rec) Each(fn func(*item) error) error {
	for _, it := range r {
		if err := fn(it); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) Records(from Place, lane bool, visit func(Record[*item]) (bool, error)) error {
	of := make(map[uint64]rec)
	for _, it := range d.items {
		if at := (Place{it.key, it.first}); at.compare(from) >= 0 && (!lane || it.key == from.Key) {
			of[it.first] = append(of[it.first], it)
		}
	}
	var records []rec
	for _, r := range of {
		slices.SortFunc(r, func(a, b *item) int { return int(a.id) - int(b.id) })
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b rec) int {
		return Place{a[0].key, a[0].first}.compare(Place{b[0].key, b[0].first})
	})
	for _, r := range records {
		d.reads++
		if more, err := visit(r); err != nil || !more {
			return err
		}
	}
	return nil
}

func (d *disk) Deferred(string) bool { return false }

func (d *disk) Group(name string) (Settings, int64, error) {
	d.looked++
	g := d.groups[name]
	return g.settings, g.nextDue, nil
}

func (d *disk) InFlight(id uint64) bool { _, ok := d.inflight[id]; return ok }
func (d *disk) Claimed(uint64) bool     { return false }

func (d *disk) LowestInFlight(l *Lane[*item]) uint64 {
	low := uint64(math.MaxUint64)
	for id, lease := range d.inflight {
		if lease.Lane == l {
			low = min(low, d.items[id].first)
		}
	}
	return low
}

// queue is a scheduler with its disk, and the time.
type queue struct {
	testing.TB
	*disk
	s    *Scheduler[*item]
	mem  *Memory
	now  int64
	last uint64
}

func newQueue(t testing.TB, lanes int, memory int64) *queue {
	q := &queue{TB: t, disk: newDisk(), mem: &Memory{Limit: memory}, now: int64(time.Hour)}
	q.s = New(q.disk, Limits{Lanes: lanes, Memory: q.mem})
	return q
}

// add stores items of a lane in one record, and shows them to the scheduler.
func (q *queue) add(k Key, match bool, size, n int) []*item {
	q.Helper()
	first := q.last + 1
	q.last += uint64(n)
	var fresh *Pointer
	if _, ok := q.lanes[k]; !ok {
		fresh = &Pointer{Due: q.now}
		q.lanes[k] = *fresh
	}
	var added []*item
	for i := range n {
		it := &item{id: first + uint64(i), first: first, last: q.last, key: k, enqueued: q.now, match: match, size: size}
		q.items[it.id] = it
		added = append(added, it)
	}
	for _, it := range added {
		if err := q.s.Add(k, it, fresh, q.now); err != nil {
			q.Fatal(err)
		}
	}
	return added
}

// take calls Take until it has had n items or there is no more.
func (q *queue) take(v *View[*item], n int) []*item { return q.takeFor(v, nil, n) }

// takeFor is take for a consumer that keeps its groups.
func (q *queue) takeFor(v *View[*item], o *Owner, n int) []*item {
	q.Helper()
	var got []*item
	for {
		before := q.reads
		more, err := q.s.Take(v, o, Time{Now: q.now}, n-len(got), func(l Lease[*item], it *item) {
			q.inflight[it.id] = l
			got = append(got, it)
		})
		if err != nil {
			q.Fatal(err)
		}
		if read := q.reads - before; read > 2*readBudget+4*n {
			q.Fatalf("one call of Take has read %d records", read)
		}
		if len(got) == n || !more {
			return got
		}
	}
}

// ack ends a lease for good.
func (q *queue) ack(it *item) {
	l := q.inflight[it.id]
	delete(q.inflight, it.id)
	delete(q.items, it.id)
	q.s.End(l, q.now)
}

// back gives an item back.
func (q *queue) back(it *item) {
	l := q.inflight[it.id]
	delete(q.inflight, it.id)
	q.s.Back(l, it, 0, q.now)
}

// house does the housekeeping that is due.
func (q *queue) house() {
	for range 100 {
		if q.s.Housekeeping() > q.now {
			return
		}
		for _, l := range q.s.Idle(64, q.now) {
			for _, it := range q.items {
				if it.key == l.Key {
					q.Fatalf("lane %v is said to be empty, and holds item %d", l.Key, it.id)
				}
			}
			delete(q.lanes, l.Key)
			settings, nextDue, _, _ := q.s.Group(l.Key.Group)
			q.groups[l.Key.Group] = stored{settings, nextDue}
			q.s.Drop(l.Key)
		}
		for _, m := range q.s.Spill(64, q.now) {
			if p := q.lanes[m.Key]; p.Due != m.From.Due {
				q.Fatalf("lane %v is due at %d, not %d", m.Key, p.Due, m.From.Due)
			}
			if _, nextDue, _, ok := q.s.Group(m.Key.Group); ok {
				g := q.groups[m.Key.Group]
				g.nextDue = max(g.nextDue, nextDue)
				q.groups[m.Key.Group] = g
			}
			q.lanes[m.Key] = m.To
			q.s.Moved(m.Key, m.To, true)
		}
		for _, low := range q.s.Lows() {
			q.lanes[low.Key] = low.Pointer
		}
	}
}

// set changes the settings of a group, as a plan does: a lane that was left to the
// disk comes back.
func (q *queue) set(group string, settings Settings) {
	g := q.groups[group]
	before := g.settings
	g.settings = settings
	q.groups[group] = g
	if before.Paused && !settings.Paused || before.NotBefore.After(settings.NotBefore) {
		for _, priority := range q.s.Priorities() {
			k := Key{priority, group}
			if p, ok := q.lanes[k]; ok && p.Due > q.now {
				q.lanes[k] = Pointer{q.now, p.Low}
				q.s.Moved(k, q.lanes[k], false)
			}
		}
	}
	q.s.SetGroup(group, settings, q.now)
}

// owns reports whether the scheduler knows the owner of an item's group, which it may
// have forgotten.
func (q *queue) owns(o *Owner, it *item) bool {
	g := q.s.groups[it.key.Group]
	return o != nil && g != nil && g.owner == o
}

// check fails if the scheduler has forgotten an item.
func (q *queue) check() {
	q.Helper()
	inflight := make(map[*Lane[*item]]int)
	for _, l := range q.inflight {
		inflight[l.Lane]++
	}
	q.s.Check(inflight, func(format string, args ...any) { q.Errorf(format, args...) })
	for id, it := range q.items {
		switch {
		case q.InFlight(id):
		case !q.s.Holds(it.key, id):
			q.Errorf("lane %v has forgotten item %d", it.key, id)
		case !q.s.Loads(it.key, q.lanes[it.key].Due):
			q.Errorf("lane %v is neither in memory nor will it be loaded", it.key)
		}
	}
}

func matching(_ Key, it *item) bool { return it.match }

func groupsOf(items []*item) (groups []string) {
	for _, it := range items {
		groups = append(groups, it.key.Group)
	}
	return groups
}

func TestGroupsTakeTurns(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		t.Run(fmt.Sprint("filter ", filtered), func(t *testing.T) {
			q := newQueue(t, 100, 1<<20)
			q.add(Key{0, "giant"}, true, 1, 64)
			q.now++
			q.add(Key{0, "a"}, true, 1, 2)
			q.now++
			q.add(Key{0, "b"}, true, 1, 2)
			q.now++
			q.add(Key{1, "high"}, true, 1, 1)
			var v *View[*item]
			if filtered {
				v = q.s.View(matching)
			}
			got := groupsOf(q.take(v, 8))
			want := []string{"high", "giant", "a", "b", "giant", "a", "b", "giant"}
			if !slices.Equal(got, want) {
				t.Errorf("the turns were %v, want %v", got, want)
			}
			q.check()
		})
	}
}

// A consumer with a filter must not wait behind the items of a group that may not
// be served, however many match.
func TestViewPassesOverABlockedGroup(t *testing.T) {
	q := newQueue(t, 100, 1<<20)
	q.set("blocked", Settings{Paused: true})
	for range 100 {
		q.add(Key{0, "blocked"}, true, 1, 64)
	}
	q.add(Key{0, "free"}, true, 1, 1)
	v := q.s.View(matching)
	if got := q.take(v, 10); len(got) != 1 || got[0].key.Group != "free" {
		t.Errorf("received %v, want the one item of the free group", groupsOf(got))
	}
	q.check()
}

// A view that holds as many lanes as it may serves by priority all the same.
func TestViewIsServedByPriorityWhenFull(t *testing.T) {
	q := newQueue(t, 1, 1<<20)
	v := q.s.View(matching)
	q.set("g", Settings{NotBefore: time.Unix(0, q.now).Add(5 * time.Second)})
	q.add(Key{-5, "g"}, true, 1, 2)
	q.take(v, 1) // the pass leaves out one of what it finds
	q.add(Key{5, "g"}, true, 1, 2)
	if got := q.take(v, 1); len(got) > 0 {
		t.Fatalf("received %v of a group that is held back", groupsOf(got))
	}
	q.now += int64(6 * time.Second)
	var got []int8
	for _, it := range q.take(v, 2) {
		got = append(got, it.key.Priority)
	}
	if !slices.Equal(got, []int8{5, 5}) {
		t.Errorf("received items of the priorities %v, want 5 first", got)
	}
	q.check()
}

// A view whose lane was made for one item of a record that came back, and that has to
// leave what is enqueued then to the disk, still gets the others of the record.
func TestViewGetsWhatComesBackOfARecord(t *testing.T) {
	q := newQueue(t, 100, 2) // bytes: one item in each of two windows
	k := Key{0, "g"}
	v := q.s.View(matching)
	q.add(k, true, 1, 3)
	got := q.take(v, 3)
	q.back(got[0])
	q.add(k, true, 1, 1)
	q.back(got[1])
	if n := len(q.take(v, 10)); n != 3 {
		t.Errorf("the view has had %d items, want the two that came back and the new one", n)
	}
	q.check()
}

// A view that matches little looks at each item once, in steps.
func TestViewPassIsMadeOnce(t *testing.T) {
	q := newQueue(t, 1000, 1<<20)
	for i := range 10_000 {
		q.add(Key{0, fmt.Sprint("g", i%500)}, i == 9_999, 1, 1)
	}
	v := q.s.View(matching)
	q.reads = 0
	if got := q.take(v, 10); len(got) != 1 {
		t.Fatalf("%d items match, want 1", len(got))
	}
	if q.reads > 11_000 {
		t.Errorf("%d records were read for 10,000", q.reads)
	}
	q.reads = 0
	q.take(v, 10)
	if q.reads != 0 {
		t.Errorf("%d records were read again", q.reads)
	}
}

// The adversaries of the bounds: whatever they do, windows and lanes keep to them.
func TestBounds(t *testing.T) {
	const lanes, memory, size = 50, 100_000, 1000
	for _, test := range []struct {
		name string
		do   func(q *queue, v *View[*item])
	}{
		{"many lanes without limits, each with a backlog", func(q *queue, v *View[*item]) {
			for i := range 2000 {
				q.add(Key{0, fmt.Sprint("g", i%200)}, true, size, 4)
			}
			for range 300 {
				for _, it := range q.take(nil, 5) {
					q.ack(it)
				}
				q.house()
			}
		}},
		{"a filter that matches everything", func(q *queue, v *View[*item]) {
			for i := range 2000 {
				q.add(Key{0, fmt.Sprint("g", i%200)}, true, size, 4)
			}
			for range 300 {
				for _, it := range q.take(v, 5) {
					q.ack(it)
				}
				q.house()
			}
		}},
		{"groups that are emptied and have a later due", func(q *queue, v *View[*item]) {
			q.s.SetPolicy(Policy{MinDelay: time.Hour}, q.now)
			for i := range 1000 {
				q.add(Key{0, fmt.Sprint("g", i)}, true, size, 1)
				for _, it := range q.take(nil, 1) {
					q.ack(it)
				}
				q.house()
			}
		}},
		{"paused groups", func(q *queue, v *View[*item]) {
			for i := range 1000 {
				group := fmt.Sprint("g", i)
				q.set(group, Settings{Paused: true})
				q.add(Key{0, group}, true, size, 1)
				q.house()
			}
			q.take(v, 1)
		}},
		{"groups of many priorities that wait", func(q *queue, v *View[*item]) {
			for i := range 1000 {
				group := fmt.Sprint("g", i/10)
				q.set(group, Settings{NotBefore: time.Unix(0, q.now).Add(time.Hour)})
				q.add(Key{int8(i % 10), group}, true, size, 1)
				q.house()
			}
			q.take(v, 1)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := newQueue(t, lanes, memory)
			v := q.s.View(matching)
			test.do(q, v)
			if n := q.s.Lanes(); n > lanes*5/4+loadLanes {
				t.Errorf("%d lanes are in memory, the bound is %d", n, lanes)
			}
			if n := len(v.lanes); n > lanes {
				t.Errorf("the view has %d lanes in memory, the bound is %d", n, lanes)
			}
			if n := q.mem.Used(); n > memory+refillBytes {
				t.Errorf("windows take %d bytes, the bound is %d", n, memory)
			}
			q.check()
		})
	}
}

// After a reopen, paused groups and those that wait are not read for the sake of one
// that is ready.
func TestPausedGroupsStayOnDisk(t *testing.T) {
	q := newQueue(t, 10_000, 1<<20)
	for i := range 5000 {
		group := fmt.Sprint("g", i)
		q.set(group, Settings{Paused: true})
		q.add(Key{0, group}, true, 1, 1)
		q.house()
	}
	q.add(Key{0, "ready"}, true, 1, 1)
	q.s = New(q.disk, Limits{Lanes: 10_000, Memory: &Memory{Limit: 1 << 20}})
	if err := q.s.Open(q.now); err != nil {
		t.Fatal(err)
	}
	q.looked = 0
	if got := q.take(nil, 10); len(got) != 1 || got[0].key.Group != "ready" {
		t.Fatalf("received %v", groupsOf(got))
	}
	if q.looked > 10 {
		t.Errorf("%d groups were read", q.looked)
	}
	q.now++
	q.set("g77", Settings{})
	if got := q.take(nil, 10); len(got) != 1 || got[0].key.Group != "g77" {
		t.Errorf("after the pause of g77 %v was received", groupsOf(got))
	}
	q.check()
}

// However many groups a consumer has had, so many are remembered as its own, and the
// others are anybody's.
func TestOwnersAreBounded(t *testing.T) {
	const lanes, groups = 20, 300
	q := newQueue(t, lanes, 1<<20)
	o := NewOwner(int64(time.Hour))
	drain := func(o *Owner) (n int) {
		for {
			got := q.takeFor(nil, o, 10)
			for _, it := range got {
				q.ack(it)
			}
			q.now += IdleTime
			q.house()
			if known := q.s.Owners(); known > lanes+2 {
				t.Fatalf("%d owners are known, the bound is %d", known, lanes)
			}
			if n += len(got); len(got) == 0 {
				return n
			}
		}
	}
	fill := func() {
		for i := range groups {
			q.add(Key{0, fmt.Sprint("g", i)}, true, 1, 1)
		}
	}
	fill()
	drain(o)
	fill()
	if n := drain(nil); n < groups-lanes-2 || n == groups {
		t.Errorf("another had the items of %d groups of %d, want all but some %d", n, groups, lanes)
	}
	if q.check(); drain(o) == 0 || len(q.items) > 0 {
		t.Errorf("%d items were left", len(q.items))
	}
}

// Random histories, with little memory: no item is forgotten, limits hold, lanes
// are in order, and whenever Take gives nothing although something waits, Next says
// when to come again.
func TestHistories(t *testing.T) {
	for seed := range uint64(400) {
		history(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func history(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	q := newQueue(t, 1+rnd.IntN(6), int64(rnd.IntN(400)))
	var views []*View[*item]
	policies := []Policy{{}, {MaxInFlight: 1}, {MinDelay: time.Second}, {MaxInFlight: 2, MinDelay: time.Second}}
	var policy Policy
	owners := []*Owner{nil}
	owned := make(map[string]*Owner) // who had the last delivery of a group
	key := func() Key { return Key{int8(rnd.IntN(3)), []string{"", "a", "b", "c", "d", "e", "f"}[rnd.IntN(7)]} }
	some := func() *item {
		ids := make([]uint64, 0, len(q.inflight))
		for id := range q.inflight {
			ids = append(ids, id)
		}
		if len(ids) == 0 {
			return nil
		}
		slices.Sort(ids)
		return q.items[ids[rnd.IntN(len(ids))]]
	}
	// mayTake is what the rules say of an item.
	mayTake := func(it *item) bool {
		g := it.key.Group
		if g == "" {
			return true
		}
		set := q.groups[g].settings
		n := 0
		for id := range q.inflight {
			if q.items[id].key.Group == g {
				n++
			}
		}
		_, nextDue, _, ok := q.s.Group(g)
		if !ok {
			nextDue = q.groups[g].nextDue
		}
		return !set.Paused && !set.NotBefore.After(time.Unix(0, q.now)) && nextDue <= q.now && (policy.MaxInFlight == 0 || n < policy.MaxInFlight)
	}
	// kept reports whether an item waits for another consumer than o.
	kept := func(v *View[*item], o *Owner, it *item) bool {
		other := owned[it.key.Group]
		if other == nil || other == o || other.left {
			return false
		}
		lanes, due := q.s.plain.lanes, q.now // it begins to wait for its owner when its lane comes into memory
		if v != nil {
			lanes = v.lanes
		}
		if l := lanes[it.key]; l != nil {
			due = l.due
		}
		return due+other.patience > q.now
	}
	// full reports whether a view leaves out lanes, or may have to: it makes them anew later,
	// and what others are to have may fill it meanwhile.
	full := func(v *View[*item]) bool { return v != nil && (v.missed || len(v.lanes) >= v.limit) }
	for range 150 {
		switch rnd.IntN(13) {
		case 12:
			switch i := rnd.IntN(len(owners)); {
			case len(owners) < 4:
				owners = append(owners, NewOwner(int64(rnd.IntN(3000))*int64(time.Millisecond)))
			case i > 0:
				q.s.Leave(owners[i])
				owners = slices.Delete(owners, i, i+1)
			}
		case 0, 1, 2:
			q.add(key(), rnd.IntN(3) == 0, 1+rnd.IntN(50), 1+rnd.IntN(5))
		case 3, 4, 5:
			var v *View[*item]
			if i := rnd.IntN(len(views) + 1); i < len(views) {
				v = views[i]
			}
			n := 1 + rnd.IntN(6)
			o := owners[rnd.IntN(len(owners))]
			may, others := make(map[uint64]bool), make(map[uint64]bool)
			for id, it := range q.items {
				may[id] = !q.InFlight(id) && mayTake(it) && (v == nil || it.match)
				others[id] = !full(v) && q.owns(owned[it.key.Group], it) && kept(v, o, it)
			}
			got := q.takeFor(v, o, n)
			for i, it := range got {
				if forOther := others[it.id] && owned[it.key.Group] != o; !may[it.id] || forOther {
					t.Errorf("item %d of %v was taken and may not (kept for another %v)", it.id, it.key, forOther)
				}
				if it.key.Group != "" {
					owned[it.key.Group] = o
				}
				for id, other := range q.items {
					if id < it.id && may[id] && other.key == it.key && !slices.Contains(got[:i], other) {
						t.Errorf("item %d was taken before %d", it.id, id)
					}
				}
			}
			if len(got) == n {
				break
			}
			for id, it := range q.items {
				if !q.InFlight(id) && mayTake(it) && (v == nil || it.match) && !full(v) && !kept(v, o, it) {
					t.Errorf("item %d of %v could have been taken (view %v)", id, it.key, v != nil)
				}
			}
		case 6, 7:
			if it := some(); it != nil {
				q.ack(it)
			}
		case 8:
			if it := some(); it != nil {
				q.back(it)
			}
		case 9:
			set := Settings{Paused: rnd.IntN(3) == 0}
			if rnd.IntN(2) == 0 {
				set.NotBefore = time.Unix(0, q.now).Add(time.Duration(rnd.IntN(3)) * time.Second)
			}
			if g := key().Group; g != "" {
				q.set(g, set)
			}
		case 10:
			switch rnd.IntN(4) {
			case 0:
				policy = policies[rnd.IntN(len(policies))]
				q.s.SetPolicy(policy, q.now)
			case 1:
				if len(views) < 3 {
					views = append(views, q.s.View(matching))
				}
			case 2:
				if len(views) > 0 {
					q.s.Close(views[0])
					views = views[1:]
				}
			case 3:
				ids := make([]uint64, 0)
				for id := range q.items {
					if !q.InFlight(id) {
						ids = append(ids, id)
					}
				}
				if len(ids) > 0 {
					slices.Sort(ids)
					it := q.items[ids[rnd.IntN(len(ids))]]
					delete(q.items, it.id)
					q.s.Remove(it.key, it.id, q.now)
				}
			}
		case 11:
			q.now += int64(time.Duration(rnd.IntN(3000)) * time.Millisecond)
			q.house()
		}
		q.check()
		if t.Failed() {
			return
		}
	}
	// Everything comes, if one waits as Next says.
	for id := range q.inflight {
		q.ack(q.items[id])
	}
	for name := range q.groups {
		if q.groups[name].settings.Paused {
			q.set(name, Settings{})
		}
	}
	all := append([]*View[*item]{nil}, views...)
	for step := 0; ; step++ {
		v := all[0]
		if len(all) > 1 {
			v = all[1]
		}
		left := 0
		for _, it := range q.items {
			if v == nil || it.match {
				left++
			}
		}
		if left == 0 {
			if v == nil {
				return
			}
			all = append(all[:1], all[2:]...)
			continue
		}
		got := q.take(v, 10)
		for _, it := range got {
			q.ack(it)
		}
		q.house()
		if len(got) > 0 {
			continue
		}
		next := min(q.s.Next(v, q.now), max(q.s.Housekeeping(), q.now+1))
		if next == Never || step > 10_000 {
			t.Errorf("%d items wait, and no time is given (view %v)", left, v != nil)
			return
		}
		q.now = next
	}
}
