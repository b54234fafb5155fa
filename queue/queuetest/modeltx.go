package queuetest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// transactions commits some transactions of a few random changes each, and then
// makes the changes in the reference. If there are several, all but the first
// are submitted while those before them are on their way to the disk.
func (m *model) transactions() {
	n, changes := 1, 4
	if m.rnd.IntN(2) == 0 {
		n, changes = 2+m.rnd.IntN(3), 2
	}
	m.several, m.deferred = n > 1, false
	txs := make([]queue.Tx, n, n+1) // with room for a repeated one
	var words []string
	var effects []func(now time.Time)
	used := make(map[*queue.Delivery]bool)
	for i := range txs {
		if i > 0 {
			words = append(words, "and then")
		}
		for range 1 + m.rnd.IntN(changes) {
			word, effect := m.change(&txs[i], pick(m.rnd, m.queues), used)
			if effect != nil {
				words, effects = append(words, word), append(effects, effect)
			}
		}
		effects = append(effects, m.endBatches)
		if m.rnd.IntN(2) == 0 {
			txs[i].ID = fmt.Sprint("tx ", len(m.done))
			m.done = append(m.done, refTx{&txs[i], nil})
			words = append(words, "as "+txs[i].ID)
		}
	}
	if len(m.done) > 0 && m.rnd.IntN(3) == 0 {
		txs = txs[:n+1]
		words = append(words, "and again "+m.repeat(&txs[n], used))
	}
	m.log("commit %s", strings.Join(words, "; "))
	m.commitAll(txs)
	m.compareResults()
	for _, effect := range effects {
		effect(time.Now())
	}
	if all := strings.Join(words, "; "); strings.Contains(all, "configure") || strings.Contains(all, "set g") {
		m.loosen()
	}
}

// refTx is a transaction that was committed with an id.
type refTx struct {
	tx   *queue.Tx
	same *queue.Tx // committed later with the same id, or nil
}

// repeat makes a transaction with an id that is taken, and some changes that are not to
// happen. It may be committed together with the one whose id it has.
func (m *model) repeat(tx *queue.Tx, used map[*queue.Delivery]bool) string {
	done := &m.done[len(m.done)-1-m.rnd.IntN(min(3, len(m.done)))]
	done.same = tx
	m.several = true // what is read now may be another's
	for range m.rnd.IntN(3) {
		m.change(tx, pick(m.rnd, m.queues), used)
	}
	tx.ID = done.tx.ID
	return tx.ID
}

// compareResults compares the results of transactions with one id.
func (m *model) compareResults() {
	for i := range m.done {
		done := &m.done[i]
		if done.same == nil {
			continue
		}
		if got, want := done.same.Result(), done.tx.Result(); !reflect.DeepEqual(got, want) {
			m.fail("%s did %+v, and then %+v", done.tx.ID, want, got)
		}
		done.same = nil
	}
}

// commitAll commits transactions in their order, without waiting for one before
// the next is submitted.
func (m *model) commitAll(txs []queue.Tx) {
	if len(txs) == 1 {
		m.must(m.s.Commit(m.ctx, &txs[0]))
		return
	}
	m.gate.shut()
	var errs []<-chan error
	for i := range txs {
		errs = append(errs, m.submit(&txs[i]))
	}
	m.gate.open()
	for _, err := range errs {
		m.must(<-err)
	}
}

// loosen forgets which of two delays counts for a group: it is not promised
// whether a delivery that ends in a transaction that changes the delay goes by
// the old or by the new one.
func (m *model) loosen() {
	for _, q := range m.queues {
		for _, g := range q.groups {
			if end := time.Now().Add(time.Second); g.lo.After(time.Now()) || g.hi.Before(end) {
				g.lo, g.hi = time.Time{}, later(g.hi, end)
			}
		}
	}
}

// change adds a random change to a transaction and returns what it does to the
// reference.
func (m *model) change(tx *queue.Tx, q *refQueue, used map[*queue.Delivery]bool) (string, func(now time.Time)) {
	switch n := m.rnd.IntN(100); {
	case n < 31:
		return m.enqueue(tx, q)
	case n < 35 && m.many:
		return m.enqueueMany(tx, q)
	case n < 35:
		return m.enqueue(tx, q)
	case n < 59:
		return m.settlement(tx, q, used)
	case n < 65:
		return m.ackMany(tx, q, used)
	case n < 69:
		return m.closeBatch(tx, q)
	case n < 73:
		m.names++
		body := fmt.Sprint("b", m.names)
		tx.Barrier(q.name, []byte(body))
		return "barrier " + q.name + " " + body, func(time.Time) {
			q.barriers = append(q.barriers, body)
			q.tail++
		}
	case n < 77:
		return m.groupChange(tx, q)
	case n < 80:
		return m.deferral(tx, q)
	case n < 83:
		cfg := q.cfg
		cfg.MaxAttempts = pick(m.rnd, []int{-1, 1, 2, 3, 5})
		cfg.MaxDeaths = pick(m.rnd, []int{-1, 0, 1, 2, 3, 5})
		cfg.MaxInFlight = pick(m.rnd, []int{0, 0, 1, 3})
		cfg.Groups = queue.GroupPolicy{MaxInFlight: pick(m.rnd, []int{0, 1, 2}), MinDelay: pick(m.rnd, []time.Duration{0, 0, time.Second}), Ordered: m.rnd.IntN(4) == 0}
		tx.Configure(q.name, cfg)
		return fmt.Sprintf("configure %s %+v", q.name, cfg), func(time.Time) { q.cfg = cfg }
	case n < 87:
		pause := m.rnd.IntN(3) == 0
		if pause {
			tx.Pause(q.name)
		} else {
			tx.Resume(q.name)
		}
		return fmt.Sprintf("pause %s %v", q.name, pause), func(time.Time) { q.paused = pause }
	case n < 91:
		return m.deadChange(tx, q)
	case n < 93:
		key := m.key()
		tx.Forget(q.name, key)
		return "forget " + q.name + " " + key, func(time.Time) { delete(q.marks, key) }
	case n < 95:
		return m.removal(tx, q)
	default:
		key, value := fmt.Sprint("k", m.rnd.IntN(3)), fmt.Sprint(m.rnd.IntN(100))
		if !m.several { // or one before may have changed it
			tx.Require("t", key, required(m.table[key]))
		}
		if m.rnd.IntN(3) == 0 {
			tx.Delete("t", key)
			return "delete " + key, func(time.Time) { delete(m.table, key) }
		}
		tx.Put("t", key, []byte(value))
		return "put " + key + "=" + value, func(time.Time) { m.table[key] = value }
	}
}

func (m *model) key() string { return fmt.Sprint("key", m.rnd.IntN(4)) }

func (m *model) enqueue(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	m.serial++
	it := queue.Item{
		Body: fmt.Append(nil, "i", m.serial), Group: pick(m.rnd, []string{"", "", "g1", "g2", "g3", "g4", "g5"}),
		Priority: pick(m.rnd, []int{0, 0, 0, 5, -5}), Delay: pick(m.rnd, []time.Duration{0, 0, 0, time.Second, 5 * time.Second}),
	}
	if m.rnd.IntN(2) == 0 {
		it.Key, it.Mode = m.key(), queue.Mode(m.rnd.IntN(3))
	}
	if m.rnd.IntN(6) == 0 {
		it.Expires = time.Now().Add(time.Duration(1+m.rnd.IntN(8)) * time.Second)
	}
	if m.rnd.IntN(3) == 0 {
		it.Headers = map[string]string{"h": fmt.Sprint(m.rnd.IntN(2))}
	}
	if m.rnd.IntN(3) == 0 {
		it.Batch = m.batchName()
	}
	tx.Enqueue(q.name, it)
	word := fmt.Sprintf("enqueue %s %s batch=%s key=%s mode=%d group=%s prio=%d delay=%v headers=%v", q.name, it.Body, it.Batch, it.Key, it.Mode, it.Group, it.Priority, it.Delay, it.Headers)
	if !it.Expires.IsZero() {
		word += fmt.Sprint(" expires=", it.Expires.Format("05.000"))
	}
	return word, func(now time.Time) { q.enqueue(it, m.order(), now) }
}

// enqueueMany enqueues more items of one lane than a stored block may hold, or a
// few, and among them some that are not stored in blocks.
func (m *model) enqueueMany(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	group, prio, n := pick(m.rnd, []string{"", "g1", "g2"}), pick(m.rnd, []int{0, 5}), 2+m.rnd.IntN(100)
	apart := pick(m.rnd, []int{n + 1, 2, 10})
	first := m.serial + 1
	items := make([]queue.Item, n)
	for i := range items {
		items[i] = queue.Item{Body: fmt.Append(nil, "i", first+i), Group: group, Priority: prio}
		if i%apart == 1 {
			items[i].Expires = time.Now().Add(6 * time.Second)
		}
	}
	m.serial += n
	tx.Enqueue(q.name, items...)
	return fmt.Sprintf("enqueue %s %d items from i%d on, group=%s prio=%d, one of %d expires", q.name, n, first, group, prio, apart), func(now time.Time) {
		for _, it := range items {
			q.enqueue(it, m.order(), now)
		}
	}
}

// ackMany acks some of what is held.
func (m *model) ackMany(tx *queue.Tx, q *refQueue, used map[*queue.Delivery]bool) (string, func(time.Time)) {
	share := 1 + m.rnd.IntN(4)
	var acked []*refItem
	var words []string
	for _, it := range q.inOrder() {
		if it.holder != nil && !used[it.d] && m.rnd.IntN(4) < share {
			used[it.d] = true
			acked, words = append(acked, it), append(words, string(it.Body))
			tx.Ack(it.d)
		}
	}
	if len(acked) == 0 {
		return "", nil
	}
	return "ack " + strings.Join(words, " "), func(now time.Time) {
		for _, it := range acked {
			q.end(it, now)
			q.leave(it, &q.totals.Acked)
		}
	}
}

// settlement settles something that some session holds.
func (m *model) settlement(tx *queue.Tx, q *refQueue, used map[*queue.Delivery]bool) (string, func(time.Time)) {
	for _, s := range q.sessions {
		if s.phase == phaseTold && s.told != nil && !used[s.told] && m.rnd.IntN(2) == 0 {
			used[s.told] = true
			return m.settleBarrier(tx, q, s)
		}
	}
	var held []*refItem
	for _, it := range q.inOrder() {
		if it.holder != nil && !used[it.d] {
			held = append(held, it)
		}
	}
	if len(held) == 0 {
		return "", nil
	}
	it := pick(m.rnd, held)
	d := it.d
	used[d] = true
	switch m.rnd.IntN(10) {
	case 5:
		delay := pick(m.rnd, []time.Duration{0, 2 * time.Second, 5 * time.Second})
		tx.Snooze(d, delay)
		return fmt.Sprintf("snooze %s for %v", it.Body, delay), func(now time.Time) { q.end(it, now); q.postpone(it, delay, now) }
	case 4:
		until := pick(m.rnd, []time.Time{{}, {}, time.Now(), time.Now().Add(2 * time.Second), time.Now().Add(5 * time.Second)})
		if m.several && until.Equal(time.Now()) {
			until = time.Time{} // it would come back between two transactions, or not
		}
		tx.Defer(d, until, errModel)
		return fmt.Sprintf("defer %s until %v", it.Body, until.Format("05.000")), func(now time.Time) { q.deferItem(it, until, now) }
	case 0:
		tx.Retry(d, errModel)
		return fmt.Sprintf("retry %s", it.Body), func(now time.Time) { q.retry(it, q.backoff(it.attempts-it.deaths+1), now) }
	case 1:
		delay := pick(m.rnd, []time.Duration{0, 0, 2 * time.Second, 5 * time.Second})
		tx.RetryAfter(d, delay, errModel)
		return fmt.Sprintf("retry %s after %v", it.Body, delay), func(now time.Time) { q.retry(it, delay, now) }
	case 2:
		if m.several && !it.Expires.IsZero() && !it.Expires.After(time.Now()) {
			// It expires when it comes back, and whether that is before the next
			// transaction, which may replace it, is not promised.
			break
		}
		tx.Release(d)
		return fmt.Sprintf("release %s", it.Body), func(now time.Time) { q.end(it, now) }
	case 3:
		tx.Bury(d, errModel)
		return fmt.Sprintf("bury %s", it.Body), func(now time.Time) {
			q.end(it, now)
			q.bury(it, d.ID)
		}
	}
	tx.Ack(d)
	return fmt.Sprintf("ack %s", it.Body), func(now time.Time) {
		q.end(it, now)
		q.leave(it, &q.totals.Acked)
	}
}

// passBy enqueues and settles an item at once, in a transaction of its own.
func (m *model) passBy(q *refQueue) {
	d, ok := m.s.Direct(m.ctx, q.name, 1)
	waiting := 0
	for _, it := range q.items {
		if it.epoch == q.open && it.holder == nil && it.due.IsZero() {
			waiting++
		}
	}
	if want := !q.paused && q.open == q.tail && !q.released && q.cfg.MaxInFlight == 0 && waiting <= 1; ok != want {
		m.log("pass by %s", q.name)
		m.fail("Direct(%s) = %v with %d waiting, epochs %d to %d", q.name, ok, waiting, q.open, q.tail)
	}
	if !ok {
		return
	}
	m.serial++
	it := queue.Item{Body: []byte(fmt.Sprint("i", m.serial)), Priority: pick(m.rnd, []int{-5, 0, 5})}
	if m.rnd.IntN(2) == 0 {
		it.Batch = m.batchName()
	}
	d.Item = it
	var tx queue.Tx
	outcome := pick(m.rnd, []string{"ack", "ack", "retry", "release", "bury"})
	m.log("pass by %s with %s, %s", q.name, it.Body, outcome)
	switch outcome {
	case "ack":
		tx.Ack(d)
	case "retry":
		tx.Retry(d, errModel)
	case "release":
		tx.Release(d)
	case "bury":
		tx.Bury(d, errModel)
	}
	m.must(m.s.Commit(m.ctx, &tx))
	now := time.Now()
	q.enqueue(it, m.order(), now)
	ref := q.items[string(it.Body)]
	switch last := q.maxAttempts() == 1; {
	case outcome == "ack":
		q.leave(ref, &q.totals.Acked)
	case outcome == "bury", outcome == "retry" && last:
		q.bury(ref, m.deadID(q.name, string(it.Body)))
	case outcome == "retry":
		q.again(ref, q.backoff(1), now)
	}
	m.endBatches(now)
}

// deadID returns the id of a dead letter, or 0.
func (m *model) deadID(q, body string) uint64 {
	for _, l := range m.dead(q) {
		if string(l.Item.Body) == body {
			return l.ID
		}
	}
	return 0
}

func (m *model) settleBarrier(tx *queue.Tx, q *refQueue, s *refSession) (string, func(time.Time)) {
	d := s.told
	back := func(count int) func(time.Time) {
		return func(time.Time) {
			s.phase, s.told = phasePending, nil
			s.tries -= 1 - count
		}
	}
	switch m.rnd.IntN(5) {
	case 0:
		tx.Release(d)
		return "release " + d.String(), back(0)
	case 1:
		tx.RetryAfter(d, 0, errModel)
		return "retry " + d.String(), back(1)
	}
	tx.Ack(d)
	return "ack " + d.String(), func(time.Time) {
		s.phase, s.told = phaseAcked, nil
		q.acked = true
		q.acks++
		if s.opts.Durable != "" {
			q.names[s.opts.Durable] = q.open + 1
		}
	}
}

func (m *model) groupChange(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	name := fmt.Sprint("g", 1+m.rnd.IntN(5))
	until := time.Now().Add(time.Duration(m.rnd.IntN(10)) * time.Second)
	if m.rnd.IntN(3) == 0 {
		tx.DelayGroup(q.name, name, until)
		return fmt.Sprintf("delay %s of %s until %s", name, q.name, until.Format("05.000")), func(time.Time) {
			g := q.group(name)
			g.set.NotBefore = later(g.set.NotBefore, until)
		}
	}
	set := queue.GroupSettings{
		MaxInFlight: pick(m.rnd, []int{0, 0, 1, 2, -1}), MinDelay: pick(m.rnd, []time.Duration{0, 0, time.Second, -1}),
		Paused: m.rnd.IntN(5) == 0,
	}
	if m.rnd.IntN(3) == 0 {
		set.NotBefore = until
	}
	tx.SetGroup(q.name, name, set)
	return fmt.Sprintf("set %s of %s %+v", name, q.name, set), func(time.Time) { q.group(name).set = set }
}

// deferral defers a group, or ends its deferral, or that of an item. Where items
// come back depends on what else is settled, so it is not done while other
// transactions are on their way, and once in a transaction.
func (m *model) deferral(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	if m.several || m.deferred {
		return "", nil
	}
	m.deferred = true
	group := fmt.Sprint("g", 1+m.rnd.IntN(5))
	for name := range q.deferrals {
		if m.rnd.IntN(2) == 0 {
			group = name
		}
	}
	switch m.rnd.IntN(4) {
	case 0:
		var waiting []queue.Waiting
		page, err := m.s.Browse(m.ctx, q.name, nil, 1000)
		m.must(err)
		for _, w := range page {
			if w.State == queue.StateDeferred {
				waiting = append(waiting, w)
			}
		}
		if len(waiting) == 0 {
			return "", nil
		}
		w := pick(m.rnd, waiting)
		tx.Rejoin(w)
		return "rejoin " + string(w.Item.Body), func(time.Time) {
			if it := q.items[string(w.Item.Body)]; it != nil && it.epoch == away {
				q.comeHome(it)
			}
		}
	case 1:
		tx.RejoinGroup(q.name, group)
		return fmt.Sprintf("rejoin %s of %s", group, q.name), func(time.Time) { q.rejoin(group) }
	}
	until := pick(m.rnd, []time.Time{{}, time.Now().Add(1013 * time.Millisecond), time.Now().Add(7017 * time.Millisecond)})
	tx.DeferGroup(q.name, group, until, "the model says so")
	return fmt.Sprintf("defer %s of %s until %s", group, q.name, until.Format("05.000")), func(time.Time) { q.deferrals[group] = until }
}

// deadChange retries or drops a dead letter.
func (m *model) deadChange(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	letters := m.dead(q.name)
	if len(letters) == 0 {
		return "", nil
	}
	l := pick(m.rnd, letters)
	body := string(l.Item.Body)
	if m.rnd.IntN(3) == 0 {
		tx.DropDead(q.name, l.ID)
		return "drop dead " + body, func(time.Time) { delete(q.dead, body) }
	}
	tx.RetryDead(q.name, l.ID)
	return "retry dead " + body, func(now time.Time) {
		old := q.dead[body]
		if old == nil {
			return // this transaction has retried or dropped it
		}
		if last := q.items[q.marks[old.Key].body]; old.Key != "" && last != nil {
			q.totals.Duplicates++
			return
		}
		delete(q.dead, body)
		it := old.Item
		it.Expires, it.Delay, it.Batch = time.Time{}, 0, ""
		if it.Key != "" {
			q.marks[it.Key] = refMark{ever: q.marks[it.Key].ever || it.Mode == queue.Once, body: body}
		}
		q.items[body] = &refItem{Item: it, serial: m.order(), epoch: q.entry(it.Group)}
		q.totals.Enqueued++
	}
}

// removal removes an item that Browse shows, whatever its state.
func (m *model) removal(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	page, err := m.s.Browse(m.ctx, q.name, nil, 1000)
	m.must(err)
	if len(page) == 0 {
		return "", nil
	}
	w := pick(m.rnd, page)
	body := string(w.Item.Body)
	it := q.items[body]
	tx.Remove(w)
	return "remove " + body, func(time.Time) {
		// A change before this one may have taken it, given it back or moved it.
		if it != nil && q.items[body] == it && it.holder == nil && (it.due.IsZero() || it.due.Equal(w.Due) || it.due.Equal(never) && w.State == queue.StateDeferred) {
			q.leave(it, &q.totals.Dropped)
		}
	}
}
