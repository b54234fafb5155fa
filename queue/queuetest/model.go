package queuetest

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

var (
	seedFlag      = flag.Int64("seed", -1, "run only the model sequence with this seed")
	sequencesFlag = flag.Int("sequences", 0, "how many model sequences to run, instead of the default")
)

// Model runs random histories, one for each seed from 0 to sequences-1, and
// compares the store with a reference after each step. A failure prints the
// history and the seed with which to run it again. The flags -seed and
// -sequences override what is run.
func Model(t *testing.T, h Harness, sequences int) {
	if *sequencesFlag > 0 {
		sequences = *sequencesFlag
	}
	if *seedFlag >= 0 {
		modelSequence(t, h, uint64(*seedFlag))
		return
	}
	for seed := range sequences {
		if modelSequence(t, h, uint64(seed)); t.Failed() {
			t.Fatalf("run it again with -run '%s' -seed %d", t.Name(), seed)
		}
	}
}

func modelSequence(t *testing.T, h Harness, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		opts := &queue.Options{}
		if rnd.IntN(2) == 0 {
			opts.GroupMemory, opts.ItemMemory = 1+rnd.IntN(8), 1+rnd.IntN(200)
		}
		opts.SeenMemory = pick(rnd, []int64{-1, 64, 4096})
		e := &env{TB: t, ctx: t.Context(), disk: h(t), opts: opts}
		if rnd.IntN(3) == 0 {
			e.stingy, e.mood = new(stingy), sometimes(rand.New(rand.NewPCG(seed, 8)))
		}
		e.open()
		m := &model{env: e, rnd: rnd, many: rnd.IntN(4) == 0, table: make(map[string]string)}
		defer func() {
			m.s.Close()
			if t.Failed() {
				t.Logf("seed %d, history:\n%s", seed, strings.Join(m.history, "\n"))
			}
		}()
		for _, name := range []string{"a", "b"} {
			q := newRefQueue(name)
			q.cfg = queue.Config{MaxAttempts: 3, Backoff: queue.Backoff{Min: time.Second, Max: 4 * time.Second, Jitter: -1}}
			m.configure(name, q.cfg)
			q.ended = m.endBatches
			m.queues = append(m.queues, q)
		}
		for range 20 + rnd.IntN(60) {
			m.step()
			m.compare()
			if t.Failed() {
				return
			}
		}
		m.end()
	})
}

// sometimes refuses a batch now and then, and none of those into which its
// transactions are then divided.
func sometimes(rnd *rand.Rand) func([]driver.Write) bool {
	pause := rnd.IntN(20)
	return func([]driver.Write) bool {
		if pause--; pause >= 0 {
			return false
		}
		pause = 20 + rnd.IntN(20)
		return true
	}
}

// model is one history.
type model struct {
	*env
	rnd      *rand.Rand
	many     bool // items may be enqueued many at a time
	deferred bool // it has changed a deferral already
	several  bool // the transaction in the making is one of several
	queues   []*refQueue
	table    map[string]string
	done     []refTx // transactions with an id
	lost     []*queue.Delivery
	history  []string
	serial   int // names items
	orders   int // gives them their order
	names    int
}

func (m *model) log(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf("%3d %s ", len(m.history), time.Now().Format("05.000"))+fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.Helper()
	m.Errorf("step %d: %s", len(m.history)-1, fmt.Sprintf(format, args...))
}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func (m *model) step() {
	q := pick(m.rnd, m.queues)
	switch n := m.rnd.IntN(100); {
	case n < 50:
		m.transactions()
	case n < 55:
		m.passBy(q)
	case n < 75:
		if len(q.sessions) > 0 {
			m.receive(q, pick(m.rnd, q.sessions))
			return
		}
		m.subscribe(q)
	case n < 80:
		m.subscribe(q)
	case n < 84:
		if len(q.sessions) > 0 {
			s := pick(m.rnd, q.sessions)
			m.log("close a session of %s", q.name)
			m.must(s.c.Close())
			q.depart(s, false, time.Now())
		}
	case n < 93:
		m.advance(pick(m.rnd, []time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, 7 * time.Second}))
	case n < 95:
		m.restart(true)
	case n < 96:
		m.restart(false)
	case n < 97:
		m.unsubscribe(q)
	case n < 98:
		m.deletion(q)
	default:
		m.late()
	}
	m.settle()
}

// settle lets what is due happen, in the store and in the reference.
func (m *model) settle() {
	synctest.Wait()
	for _, q := range m.queues {
		m.lost = append(m.lost, q.settle(time.Now())...)
	}
}

// advance lets time pass from one event of the reference to the next.
func (m *model) advance(d time.Duration) {
	m.log("advance %v", d)
	for end := time.Now().Add(d); time.Now().Before(end); {
		next := end
		soon := func(t time.Time) {
			if t.After(time.Now()) && t.Before(next) {
				next = t
			}
		}
		for _, q := range m.queues {
			for _, until := range q.deferrals {
				soon(until)
			}
			for _, it := range q.items {
				soon(it.due)
				soon(it.Expires)
			}
			for _, s := range q.sessions {
				soon(s.until)
			}
		}
		time.Sleep(time.Until(next))
		m.settle()
	}
}

func (m *model) subscribe(q *refQueue) {
	o := queue.SubscribeOptions{Barriers: queue.BarrierMode(m.rnd.IntN(5) % 3), Prefetch: m.rnd.IntN(4)}
	if m.rnd.IntN(4) == 0 {
		o.Lease = time.Duration(1+m.rnd.IntN(8)) * time.Second
	}
	switch m.rnd.IntN(6) {
	case 0:
		o.Filter = &queue.Filter{Group: "g1"}
	case 1:
		o.Filter = &queue.Filter{Headers: map[string]string{"h": "1"}}
	}
	if m.rnd.IntN(3) == 0 {
		o.Durable = pick(m.rnd, []string{"n1", "n2"})
		o.Barriers %= 2
	}
	m.log("subscribe to %s %+v", q.name, o)
	c, err := m.s.Subscribe(m.ctx, q.name, &o)
	for _, s := range q.sessions {
		if o.Durable != "" && s.opts.Durable == o.Durable {
			m.is("Subscribe under a name in use", err, queue.ErrNameInUse)
			return
		}
	}
	m.must(err)
	s := &refSession{c: c, q: q, opts: o}
	m.touch(s)
	q.arrive(s)
}

// touch extends a session's lease.
func (m *model) touch(s *refSession) {
	if s.opts.Lease > 0 {
		s.until = time.Now().Add(s.opts.Lease)
	}
}

func (m *model) unsubscribe(q *refQueue) {
	name := pick(m.rnd, []string{"n1", "n2"})
	m.log("unsubscribe %s from %s", name, q.name)
	err := m.s.Unsubscribe(m.ctx, q.name, name)
	for _, s := range q.sessions {
		if s.opts.Durable == name {
			m.is("Unsubscribe", err, queue.ErrNameInUse)
			return
		}
	}
	if _, ok := q.names[name]; !ok {
		m.is("Unsubscribe", err, queue.ErrNotFound)
		return
	}
	m.must(err)
	delete(q.names, name)
}

// receive compares what one session gets with what it may and must get.
func (m *model) receive(q *refQueue, s *refSession) {
	n := 1 + m.rnd.IntN(4)
	if m.rnd.IntN(4) == 0 {
		n = 100
	}
	m.touch(s)
	now := time.Now()
	ds := m.now(s.c, n)
	m.log("receive %d from %s: %s", n, q.name, strings.Join(bodies(ds), " "))
	if s.phase == phasePending {
		want := q.barriers[q.open]
		if len(ds) != 1 || ds[0].Barrier == nil || string(ds[0].Barrier.Body) != want || int(ds[0].Epoch) != q.open || ds[0].Attempt != s.tries+1 {
			m.fail("want barrier %q of epoch %d, attempt %d, got %+v", want, q.open, s.tries+1, ds)
			return
		}
		s.phase, s.told = phaseTold, ds[0]
		s.tries++
		return
	}
	room := q.room(s, n)
	if len(ds) > max(room, 0) {
		m.fail("%d were delivered, there is room for %d", len(ds), room)
	}
	for _, d := range ds {
		if d.Barrier != nil {
			m.fail("barrier %v came to a session that was not to get it", d.Barrier.ID)
			return
		}
		if err := q.take(s, d, now); err != nil {
			m.fail("%v", err)
			return
		}
	}
	if left := q.deliverable(s, now, true); len(ds) < room && len(left) > 0 {
		m.fail("%q could have been delivered and was not", left[0].Body)
	}
}

// late settles a delivery whose lease was lost.
func (m *model) late() {
	if len(m.lost) == 0 {
		return
	}
	d := pick(m.rnd, m.lost)
	m.log("late ack of %v", d)
	_, err := m.try(func(tx *queue.Tx) { tx.Put("t", "late", nil); tx.Ack(d) })
	m.is("late Ack", err, queue.ErrLeaseLost)
}

func (m *model) restart(crash bool) {
	m.log("restart, crash %v", crash)
	if crash {
		m.crash()
	} else {
		m.reopen()
	}
	var victims []refVictim
	for _, q := range m.queues {
		victims = append(victims, q.restart(crash, time.Now())...)
	}
	refDeath(victims, time.Now())
	m.endBatches(time.Now())
	m.lost = nil
}

// compare compares everything that can be seen.
func (m *model) compare() {
	m.Helper()
	for _, q := range m.queues {
		m.compareQueue(q)
	}
	records, err := m.s.Scan(m.ctx, "t", "", "", 1000)
	m.must(err)
	var got, want []string
	for _, r := range records {
		got = append(got, r.Key+"="+string(r.Value))
	}
	for _, k := range slices.Sorted(maps.Keys(m.table)) {
		want = append(want, k+"="+m.table[k])
	}
	m.same("table", got, want)
	if m.rnd.IntN(4) == 0 {
		m.check()
	}
}

func (m *model) same(what string, got, want []string) {
	m.Helper()
	if !slices.Equal(got, want) {
		m.fail("%s:\n got %s\nwant %s", what, strings.Join(got, " "), strings.Join(want, " "))
	}
}

func (m *model) compareQueue(q *refQueue) {
	m.Helper()
	page, err := m.s.Browse(m.ctx, q.name, nil, 10_000)
	m.must(err)
	show := func(body []byte, epoch int, state queue.State, attempts, deaths int, it queue.Item, due time.Time) string {
		at := ""
		if !due.IsZero() {
			at = due.Format("05.000")
		}
		return fmt.Sprintf("%s:e%d:%v:%d:%d:%s:%s:%s:%d:%s", body, epoch, state, attempts, deaths, it.Key, it.Batch, it.Group, it.Priority, at)
	}
	var got, want []string
	for _, w := range page {
		got = append(got, show(w.Item.Body, int(w.Epoch), w.State, w.Attempts, w.Deaths, w.Item, w.Due))
	}
	st := m.stats(q.name)
	if q.acked {
		// What is enqueued to a deferred group after the ack of a barrier may find
		// the next epoch open, or leave it when it opens and be counted.
		q.acked, q.totals.Deferred = false, st.Totals.Deferred
	}
	ref := queue.QueueStats{
		Name: q.name, Epoch: uint32(q.open), Barriers: q.tail - q.open, Released: q.released, Paused: q.paused,
		Consumers: len(q.sessions), Totals: q.totals, Dead: int64(len(q.dead)),
		Tail: uint32(q.tail), SinceBarrier: st.SinceBarrier, EpochTotals: st.EpochTotals,
		Bytes: st.Bytes, Groups: st.Groups, GroupsBusy: st.GroupsBusy, EnqueueRate: st.EnqueueRate, AckRate: st.AckRate,
	}
	for _, it := range q.inOrder() {
		state := queue.StateReady
		switch {
		case it.holder != nil:
			state = queue.StateLeased
		case !it.due.IsZero():
			state = queue.StateDelayed
		}
		epoch, due := it.epoch, it.due
		if it.epoch == away {
			epoch, state = 0, queue.StateDeferred
			if due.Equal(never) {
				due = time.Time{}
			}
		}
		switch {
		case it.epoch == away:
			ref.Deferred++
		case it.epoch != q.open:
			ref.Later++
		case state == queue.StateLeased:
			ref.Leased++
		case state == queue.StateDelayed:
			ref.Delayed++
		default:
			ref.Ready++
		}
		want = append(want, show(it.Body, epoch, state, it.attempts, it.deaths, it.Item, due))
	}
	slices.Sort(got)
	slices.Sort(want)
	m.same("items of "+q.name, got, want)
	if st != ref {
		m.fail("stats of %s:\n got %+v\nwant %+v", q.name, st, ref)
	}
	got, want = nil, nil
	for _, l := range m.dead(q.name) {
		got = append(got, fmt.Sprint(string(l.Item.Body), ":", l.Attempts, ":", l.Deaths))
	}
	for body, it := range q.dead {
		want = append(want, fmt.Sprint(body, ":", it.attempts, ":", it.deaths))
	}
	slices.Sort(got)
	slices.Sort(want)
	m.same("dead letters of "+q.name, got, want)
	m.compareBatches(q)
	list, err := m.s.Barriers(m.ctx, q.name)
	m.must(err)
	if len(list) != len(q.barriers) {
		m.fail("%s has %d barriers, want %d", q.name, len(list), len(q.barriers))
		return
	}
	for i, b := range list {
		if string(b.Body) != q.barriers[i] || b.Opened.IsZero() != (i >= q.open) || b.Released.IsZero() != (i > q.open || i == q.open && !q.released) {
			m.fail("barrier %d of %s is %+v; open %d, released %v", i, q.name, b, q.open, q.released)
		}
	}
}

var errModel = errors.New("the model says so")
