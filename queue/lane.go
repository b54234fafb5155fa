package queue

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sort"
)

// A lane is the ready items of one epoch that share priority and group, in
// order of their ids. On disk every lane that may hold items has a lane record
// and a pointer; the pointers of one priority sort by when the lane is next
// due. In memory a queue keeps the lanes of its open epoch whose turn is
// nearest, and of each lane a window of its first items:
//
//	disk      acked | in flight | window ........ | the rest
//	ids                         ^ win[head]       ^ cursor
//
// Invariant: every unsettled ready item of a lane in memory is in flight, in
// the window, or has an id above cursor. complete says that none is above. A lane
// that is not complete has no block with ids on both sides of cursor, so that a
// scan that begins behind cursor finds the rest. The fields are guarded by the
// queue's mu.
type lane struct {
	key      laneKey
	group    *group
	level    *level
	due      int64  // Unix nanoseconds: when the lane may be served
	turn     uint64 // breaks ties of due
	index    int    // in level.lanes, or -1 if the lane is idle or parked
	win      []ref
	head     int
	cursor   uint64
	until    uint64 // the last id of a block that begins before cursor
	complete bool
	inflight int
	onDisk   int64  // the due in the lane's pointer
	lowID    uint64 // the low id in the lane's pointer
	taken    int    // since lowID was stored
	emptied  int64  // when it was found empty, Unix nanoseconds, or 0
}

// A group is what the lanes of one group share. The group with the empty name
// has no limits.
type group struct {
	name     string
	rec      groupRecord
	stored   bool // there may be a record on disk
	inflight int
	lanes    []*lane // in memory
}

// A level is the lanes of one priority in the open epoch. Its heap holds those
// in memory that have items and may be served at some time. Pointers on disk
// from next on, the first of which is due at horizon, are not in memory.
type level struct {
	prio    int8
	lanes   laneHeap
	next    []byte // nil if everything is in memory
	horizon int64
}

// laneHeap orders lanes by due, then turn.
type laneHeap []*lane

func (h laneHeap) Len() int { return len(h) }
func (h laneHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].turn < h[j].turn
}
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.index = len(*h)
	*h = append(*h, l)
}
func (h *laneHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.index = -1
	return l
}

// A refill reads this many items, or bytes, of a lane.
const (
	refillItems   = 256
	refillBytes   = 256 << 10
	refillLimited = 8    // items of a group that is served slowly
	windowItems   = 1024 // a longer window takes no newly enqueued items
	loadLanes     = 1024 // lanes brought into memory at a time
	lowTaken      = 8192 // items taken from a lane between two updates of its low id
)

// levelLocked returns the level of a priority, made if need be.
func (q *queueState) levelLocked(prio int8) *level {
	i := sort.Search(len(q.levels), func(i int) bool { return q.levels[i].prio <= prio })
	if i < len(q.levels) && q.levels[i].prio == prio {
		return q.levels[i]
	}
	lv := &level{prio: prio, horizon: math.MaxInt64}
	q.levels = slices.Insert(q.levels, i, lv)
	return lv
}

// groupLocked returns a group in memory, read from disk if need be.
func (q *queueState) groupLocked(name string) (*group, error) {
	if g := q.groups[name]; g != nil {
		return g, nil
	}
	g := &group{name: name}
	if name != "" && q.groupRecords {
		value, found, err := q.s.lookUp(appendGroupKey(nil, q.id, name))
		if err != nil {
			return nil, err
		}
		if found {
			if g.rec, err = decodeGroup(value); err != nil {
				return nil, err
			}
			g.stored = true
		}
	}
	q.groups[name] = g
	return g, nil
}

// addLaneLocked brings a lane into memory.
func (q *queueState) addLaneLocked(k laneKey, due int64, lowID uint64, complete bool) (*lane, error) {
	g, err := q.groupLocked(k.group)
	if err != nil {
		return nil, err
	}
	l := &lane{
		key: k, group: g, level: q.levelLocked(k.prio), index: -1,
		due: due, turn: q.nextTurn(), onDisk: due, lowID: lowID, complete: complete,
	}
	if lowID > 0 {
		l.cursor = lowID - 1
	}
	g.lanes = append(g.lanes, l)
	q.lanes[k] = l
	return l, nil
}

func (q *queueState) nextTurn() uint64 {
	q.turn++
	return q.turn
}

// dropLaneLocked takes a lane out of memory.
func (q *queueState) dropLaneLocked(l *lane) {
	if l.index >= 0 {
		heap.Remove(&l.level.lanes, l.index)
	}
	q.dropWindowLocked(l)
	delete(q.lanes, l.key)
	if l.emptied != 0 {
		q.idle--
	}
	g := l.group
	g.lanes = slices.DeleteFunc(g.lanes, func(x *lane) bool { return x == l })
	if len(g.lanes) == 0 && g.inflight == 0 {
		delete(q.groups, g.name)
	}
}

func (q *queueState) dropWindowLocked(l *lane) {
	for i := l.head; i < len(l.win); i++ {
		q.s.itemMem.Add(-int64(len(l.win[i].value)))
	}
	l.win, l.head = nil, 0
}

// scheduleLocked puts a lane where its state says: into the heap if it may
// have items and its group may be served, out of it otherwise.
func (q *queueState) scheduleLocked(l *lane) {
	waiting := l.head < len(l.win) || !l.complete
	if waiting && l.emptied != 0 {
		l.emptied = 0
		q.idle--
	}
	if !waiting || !q.mayServeLocked(l.group) {
		if l.index >= 0 {
			heap.Remove(&l.level.lanes, l.index)
		}
		if !waiting && l.inflight == 0 && l.emptied == 0 {
			l.emptied = q.s.now()
			q.idle++
		}
		return
	}
	l.due = max(l.due, l.group.dueLocked())
	if l.inflight == 0 && l.head < len(l.win) && q.s.itemMem.Load() > int64(q.s.opts.ItemMemory) && l.due > q.s.now() {
		l.cursor, l.complete = l.lowestWaiting()-1, false
		q.dropWindowLocked(l)
	}
	if l.index >= 0 {
		heap.Fix(&l.level.lanes, l.index)
		return
	}
	heap.Push(&l.level.lanes, l)
}

// dueLocked is the earliest time at which the group may be served.
func (g *group) dueLocked() int64 {
	due := g.rec.nextDue
	if t := g.rec.settings.NotBefore; !t.IsZero() {
		due = max(due, t.UnixNano())
	}
	return due
}

// limitsLocked returns the group's concurrency (0 for no limit) and delay.
func (q *queueState) limitsLocked(g *group) (maxInFlight int, delay int64) {
	if g.name == "" {
		return 0, 0
	}
	maxInFlight, delay = q.config.Groups.MaxInFlight, int64(q.config.Groups.MinDelay)
	if n := g.rec.settings.MaxInFlight; n != 0 {
		maxInFlight = max(n, 0)
	}
	if d := g.rec.settings.MinDelay; d != 0 {
		delay = max(int64(d), 0)
	}
	return maxInFlight, delay
}

// mayServeLocked reports whether time alone keeps the group from being served.
func (q *queueState) mayServeLocked(g *group) bool {
	limit, _ := q.limitsLocked(g)
	return !g.rec.settings.Paused && (limit == 0 || g.inflight < limit)
}

// rescheduleLocked looks at all lanes of a group whose state has changed.
func (q *queueState) rescheduleLocked(g *group) {
	for _, l := range g.lanes {
		q.scheduleLocked(l)
	}
}

// loadLocked brings the next lanes of a level into memory if it is their turn.
func (q *queueState) loadLocked(lv *level, now int64) error {
	if lv.next == nil || lv.horizon > now {
		return nil
	}
	if len(lv.lanes) > 0 && lv.lanes[0].due < lv.horizon {
		return nil
	}
	return q.readPointersLocked(lv)
}

// readPointersLocked brings up to loadLanes lanes into memory, from lv.next on.
func (q *queueState) readPointersLocked(lv *level) error {
	type pointer struct {
		key laneKey
		due int64
		low uint64
	}
	var pointers []pointer
	var bad error
	prefix := append(appendEpoch(nil, kindPointer, q.id, q.open), prioByte(lv.prio))
	next := lv.next
	lv.next, lv.horizon = nil, math.MaxInt64
	err := q.s.db.Scan(context.Background(), next, prefixEnd(prefix), func(key, value []byte) bool {
		k, due, err := parsePointerKey(key)
		if err != nil {
			bad = err
			return false
		}
		if len(pointers) == loadLanes {
			lv.next, lv.horizon = bytes.Clone(key), due
			return false
		}
		low, _ := binary.Uvarint(value)
		pointers = append(pointers, pointer{k, due, low})
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	for _, p := range pointers {
		if q.lanes[p.key] != nil {
			continue
		}
		l, err := q.addLaneLocked(p.key, p.due, p.low, false)
		if err != nil {
			return err
		}
		q.scheduleLocked(l)
	}
	return nil
}

// loadEpochLocked forgets all lanes and finds those of the open epoch.
func (q *queueState) loadEpochLocked() error {
	for _, l := range q.lanes {
		q.dropLaneLocked(l)
	}
	q.levels, q.views = nil, q.resetViewsLocked()
	// One seek finds the first pointer of each priority in use.
	prefix := appendEpoch(nil, kindPointer, q.id, q.open)
	end := prefixEnd(prefix)
	for start := prefix; ; {
		var first []byte
		if err := q.s.db.Scan(context.Background(), start, end, func(key, _ []byte) bool {
			first = bytes.Clone(key)
			return false
		}); err != nil {
			return err
		}
		if first == nil {
			return nil
		}
		_, due, err := parsePointerKey(first)
		if err != nil {
			return err
		}
		lv := q.levelLocked(bytePrio(first[len(prefix)]))
		lv.next, lv.horizon = first, due
		if start = prefixEnd(first[:len(prefix)+1]); start == nil {
			return nil
		}
	}
}

// nextItemLocked takes the first item out of a lane's window, filling it from
// disk if it is empty. It reports false if the lane has none.
func (q *queueState) nextItemLocked(l *lane, nowMS int64) (ref, bool, error) {
	for {
		for l.head < len(l.win) {
			r := l.win[l.head]
			l.win[l.head] = ref{}
			l.head++
			q.s.itemMem.Add(-int64(len(r.value)))
			if r.expires != 0 && r.expires <= nowMS || q.claimed[r.id] {
				continue // the committer drops it
			}
			return r, true, nil
		}
		l.win, l.head = l.win[:0], 0
		if l.complete {
			return ref{}, false, nil
		}
		if err := q.refillLocked(l); err != nil {
			return ref{}, false, err
		}
	}
}

// refillLocked reads the next items of a lane into its empty window.
func (q *queueState) refillLocked(l *lane) error {
	limit := refillItems
	if n, delay := q.limitsLocked(l.group); n != 0 || delay != 0 || q.s.itemMem.Load() > int64(q.s.opts.ItemMemory) {
		limit = refillLimited
	}
	prefix := appendLanePrefix(nil, q.id, l.key)
	start := binary.BigEndian.AppendUint64(bytes.Clone(prefix), l.cursor+1)
	size := 0
	complete, sorted := true, true
	var values slab
	err := q.s.scanEntries(context.Background(), start, prefixEnd(prefix), func(e *entry) error {
		if e.at.id > l.cursor && (len(l.win) >= limit || size >= refillBytes) {
			complete = false
			return errStop
		}
		sorted = sorted && e.at.id > l.cursor
		l.cursor = max(l.cursor, e.at.id)
		if e.block != nil {
			l.cursor, l.until = e.block.last, e.block.last
		}
		e.value = values.clone(e.value)
		return e.each(func(_ loc, r ref) error {
			if q.inflight[r.id] == nil { // a filter may have reached ahead
				l.win = append(l.win, r)
				size += len(r.value)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if !sorted { // items stored alone lie between those of a block
		slices.SortFunc(l.win, func(a, b ref) int { return cmp.Compare(a.id, b.id) })
	}
	q.s.itemMem.Add(int64(size))
	l.complete = complete
	if l.taken >= lowTaken+4*len(q.inflight) {
		q.lows = append(q.lows, l)
		l.taken = 0
		q.s.flag(q)
	}
	return nil
}

// slab copies small values into shared memory, since a lane's window is many
// of them, and they live about as long as each other.
type slab struct{ free []byte }

const slabSize = 4 << 10

func (p *slab) clone(b []byte) []byte {
	if len(b) > slabSize/8 {
		return bytes.Clone(b)
	}
	if len(b) > cap(p.free)-len(p.free) {
		p.free = make([]byte, 0, slabSize)
	}
	n := len(p.free)
	p.free = append(p.free, b...)
	return p.free[n:len(p.free):len(p.free)]
}

// lowestLocked returns an id that no unsettled item of the lane is below, nor
// the first of its block.
func (q *queueState) lowestLocked(l *lane) uint64 {
	low := l.lowestWaiting()
	if l.inflight > 0 {
		for _, d := range q.inflight {
			if d.ln == l {
				low = min(low, d.ref.floor())
			}
		}
	}
	return low
}

// lowestWaiting is lowestLocked without regard to what is in flight.
func (l *lane) lowestWaiting() uint64 {
	low := l.cursor + 1
	for _, r := range l.win[l.head:] {
		low = min(low, r.floor())
	}
	return low
}

// movedLocked notes where a lane's pointer lies now, and leaves the lane to the
// disk if that was the purpose and nobody has used it since.
func (q *queueState) movedLocked(e *effect) {
	if l := q.lanes[e.at.lane()]; l != nil {
		l.onDisk, l.lowID = e.ptr.due, e.ptr.low
		if !e.flag || l.due != e.ptr.due || l.inflight > 0 || l.group.inflight > 0 || len(l.group.lanes) > 1 {
			return
		}
		q.dropLaneLocked(l)
	}
	key := appendPointerKey(nil, q.id, e.at.lane(), e.ptr.due)
	if lv := q.levelLocked(e.at.prio); lv.next == nil || bytes.Compare(key, lv.next) < 0 {
		lv.next, lv.horizon = key, e.ptr.due
	}
}

// addReadyLocked shows the scheduler an item that has become ready. fresh is
// the pointer of its lane if that was made for it.
func (q *queueState) addReadyLocked(at loc, r ref, fresh *pointer) error {
	if at.epoch != q.open || q.inflight[r.id] != nil {
		// The second: a receiver has read it from disk, where it has been since
		// the commit, before it was published, and has it already.
		return nil
	}
	q.offerLocked(at, r)
	l := q.lanes[at.lane()]
	if l == nil {
		lv := q.levelLocked(at.prio)
		if fresh == nil || lv.next != nil && bytes.Compare(appendPointerKey(nil, q.id, at.lane(), fresh.due), lv.next) >= 0 {
			return nil // it waits on disk with its lane
		}
		var err error
		if l, err = q.addLaneLocked(at.lane(), fresh.due, r.id, true); err != nil {
			return err
		}
	}
	switch {
	case r.id <= l.cursor:
		q.insertLocked(l, r)
	case l.complete && (r.id <= l.until || len(l.win)-l.head < windowItems && q.s.itemMem.Load() < int64(q.s.opts.ItemMemory)):
		l.cursor = r.id
		if r.block != nil {
			l.until = r.block.last
		}
		if l.head >= windowItems {
			n := copy(l.win, l.win[l.head:])
			clear(l.win[n:])
			l.win, l.head = l.win[:n], 0
		}
		l.win = append(l.win, r)
		q.s.itemMem.Add(int64(len(r.value)))
	default:
		l.complete = false
	}
	q.scheduleLocked(l)
	return nil
}

// insertLocked puts an item that the lane has passed back into its window.
func (q *queueState) insertLocked(l *lane, r ref) {
	if r.id > l.cursor && !l.complete {
		return // the lane will read it from disk
	}
	l.cursor = max(l.cursor, r.id)
	rest := l.win[l.head:]
	i := sort.Search(len(rest), func(i int) bool { return rest[i].id >= r.id })
	if i < len(rest) && rest[i].id == r.id {
		return
	}
	q.s.itemMem.Add(int64(len(r.value)))
	if i == 0 && l.head > 0 {
		l.head--
		l.win[l.head] = r
		return
	}
	l.win = slices.Insert(l.win, l.head+i, r)
}

// removeLocked takes an item out of its lane's window, if it is there.
func (q *queueState) removeLocked(at loc) {
	l := q.lanes[at.lane()]
	if l == nil || at.epoch != q.open {
		return
	}
	rest := l.win[l.head:]
	i := sort.Search(len(rest), func(i int) bool { return rest[i].id >= at.id })
	if i < len(rest) && rest[i].id == at.id {
		q.s.itemMem.Add(-int64(len(rest[i].value)))
		l.win = slices.Delete(l.win, l.head+i, l.head+i+1)
	}
	q.scheduleLocked(l)
}
