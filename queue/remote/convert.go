package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// kind is a queue.ChangeKind: a number in CBOR and a name in JSON.
type kind queue.ChangeKind

// kindNames are those of the methods of queue.Tx.
var kindNames = [...]string{
	queue.ChangeAck: "ack", queue.ChangeRetry: "retry", queue.ChangeRelease: "release", queue.ChangeSnooze: "snooze",
	queue.ChangeDefer: "defer", queue.ChangeBury: "bury", queue.ChangeEnqueue: "enqueue", queue.ChangeBarrier: "barrier",
	queue.ChangePut: "put", queue.ChangeDelete: "delete", queue.ChangeAdd: "add", queue.ChangeRequire: "require",
	queue.ChangeSetGroup: "set_group", queue.ChangeDelayGroup: "delay_group", queue.ChangeDeferGroup: "defer_group",
	queue.ChangeRejoinGroup: "rejoin_group", queue.ChangeConfigure: "configure", queue.ChangePause: "pause",
	queue.ChangeRemove: "remove", queue.ChangeRejoin: "rejoin", queue.ChangeForget: "forget",
	queue.ChangeRetryDead: "retry_dead", queue.ChangeDropDead: "drop_dead", queue.ChangeDeleteQueue: "delete_queue",
	queue.ChangeDeleteTable: "delete_table", queue.ChangeCloseBatch: "close_batch",
}

func (k kind) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

func (k *kind) UnmarshalJSON(b []byte) error {
	var name string
	if err := json.Unmarshal(b, &name); err != nil {
		return err
	}
	if name == "resume" { // what Flag says of a pause
		*k = kind(queue.ChangePause)
		return nil
	}
	for i, n := range kindNames {
		if n == name && name != "" {
			*k = kind(i)
			return nil
		}
	}
	return fmt.Errorf("%w: this program knows no change %q; if it is of a newer version of the protocol than %d, upgrade it", ErrProtocol, name, Version)
}

func (k kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// failure is an error that a client has sent.
type failure struct{ text, stack string }

func (e *failure) Error() string { return e.text }

func (e *failure) Stack() []byte { return []byte(e.stack) }

// maxFailure bounds what is sent of an error and of its stack, in bytes. The store
// keeps less.
const maxFailure = 8 << 10

// setError fills in the error of a change.
func (c *change) setError(err error) {
	if err == nil {
		return
	}
	c.Failed, c.Error = true, cut(err.Error())
	var s interface{ Stack() []byte }
	if errors.As(err, &s) {
		c.Stack = cut(string(s.Stack()))
	}
}

func (c *change) err() error {
	switch {
	case !c.Failed && c.Error == "":
		return nil
	case c.Stack == "":
		return errors.New(c.Error)
	}
	return &failure{c.Error, c.Stack}
}

func cut(s string) string { return s[:min(len(s), maxFailure)] }

// toChange returns what is sent of a change. numbers gives the number of a delivery.
func toChange(c queue.Change, now time.Time, number func(*queue.Delivery) (uint64, error)) (change, error) {
	m := change{
		Kind: kind(c.Kind), Flag: c.Flag, Name: c.Name, Key: c.Key, To: c.To, ID: c.ID, Value: c.Value, Delta: c.Delta,
		Wait: toDelay(c.Wait), Config: c.Config, Place: c.Place,
	}
	m.setError(c.Err)
	if !c.Until.IsZero() {
		m.Wait = toWait(c.Until, now)
	}
	if it := c.Item; it != nil && (c.Kind != queue.ChangeAck || special(it)) {
		if !it.NotBefore.IsZero() && it.NotBefore.UnixMilli() <= 0 || !it.Expires.IsZero() && it.Expires.UnixMilli() <= 0 {
			return m, fmt.Errorf("%w: time before 1970", queue.ErrInvalid)
		}
		m.Item = toItem(it, now)
	}
	if c.Group != nil {
		m.Group = toGroup(*c.Group, now)
	}
	m.Absent = c.Kind == queue.ChangeRequire && c.Value == nil
	if c.Kind > queue.ChangeBury {
		return m, nil
	}
	if d := c.Delivery; d != nil && d.IsDirect() {
		m.Direct, m.Name = &directDelivery{d.Queue, d.Epoch}, ""
	}
	var err error
	m.Delivery, err = number(c.Delivery)
	return m, err
}

// add adds a change to a transaction. find gives the delivery with a number.
func (m *change) add(tx *queue.Tx, items *itemSpace, now time.Time, find func(*change) (*queue.Delivery, error)) error {
	var d *queue.Delivery
	if queue.ChangeKind(m.Kind) <= queue.ChangeBury {
		var err error
		if d, err = find(m); err != nil {
			return err
		}
	}
	switch queue.ChangeKind(m.Kind) { // what pages consist of
	case queue.ChangeAck:
		if m.Flag {
			tx.AckUnused(d)
		} else {
			tx.Ack(d)
		}
	case queue.ChangeEnqueue:
		tx.Enqueue(m.Name, items.with(m.Item.item(now))...)
	case queue.ChangePut:
		tx.Put(m.Name, m.Key, either(m.Value, m.Text))
	case queue.ChangeAdd:
		tx.Add(m.Name, m.Key, m.Delta)
	default:
		return m.addOther(tx, now, d)
	}
	return nil
}

// addOther is add for the rarer changes. They take more of a stack, which is a goroutine's of
// each request.
//
//go:noinline
func (m *change) addOther(tx *queue.Tx, now time.Time, d *queue.Delivery) error {
	wait, until := fromDelay(m.Wait), fromWait(m.Wait, now)
	switch value := either(m.Value, m.Text); queue.ChangeKind(m.Kind) {
	case queue.ChangeRetry:
		if m.Flag || m.Wait != 0 {
			tx.RetryAfter(d, wait, m.err())
		} else {
			tx.Retry(d, m.err())
		}
	case queue.ChangeRelease:
		tx.Release(d)
	case queue.ChangeSnooze:
		tx.Snooze(d, wait)
	case queue.ChangeDefer:
		tx.Defer(d, until, m.err())
	case queue.ChangeBury:
		tx.Bury(d, m.err())
	case queue.ChangeBarrier:
		tx.Barrier(m.Name, value)
	case queue.ChangeDelete:
		tx.Delete(m.Name, m.Key)
	case queue.ChangeRequire:
		if value == nil && !m.Absent {
			value = []byte{}
		}
		tx.Require(m.Name, m.Key, value)
	case queue.ChangeSetGroup:
		tx.SetGroup(m.Name, m.Key, m.Group.settings(now))
	case queue.ChangeDelayGroup:
		tx.DelayGroup(m.Name, m.Key, until)
	case queue.ChangeDeferGroup:
		tx.DeferGroup(m.Name, m.Key, until, string(value))
	case queue.ChangeRejoinGroup:
		tx.RejoinGroup(m.Name, m.Key)
	case queue.ChangeConfigure:
		var c queue.Config
		if m.Config != nil {
			c = *m.Config
		}
		tx.Configure(m.Name, c)
	case queue.ChangePause:
		if m.Flag {
			tx.Pause(m.Name)
		} else {
			tx.Resume(m.Name)
		}
	case queue.ChangeRemove, queue.ChangeRejoin:
		it := m.Item.item(now)
		w, err := queue.WaitingAt(m.Name, m.Place, &it)
		if err != nil {
			return err
		}
		if queue.ChangeKind(m.Kind) == queue.ChangeRemove {
			tx.Remove(w)
		} else {
			tx.Rejoin(w)
		}
	case queue.ChangeForget:
		tx.Forget(m.Name, m.Key)
	case queue.ChangeRetryDead:
		tx.RetryDead(m.Name, m.ID)
	case queue.ChangeDropDead:
		tx.DropDead(m.Name, m.ID)
	case queue.ChangeDeleteQueue:
		tx.DeleteQueue(m.Name)
	case queue.ChangeDeleteTable:
		tx.DeleteTable(m.Name)
	case queue.ChangeCloseBatch:
		tx.CloseBatch(m.Name, m.Key, m.To, m.Item.item(now))
	default:
		return fmt.Errorf("%w: a change of %v, which this server does not know; upgrade it", ErrProtocol, m.Kind)
	}
	return nil
}

func toItem(it *queue.Item, now time.Time) *item {
	return &item{
		Body: it.Body, Key: it.Key, Mode: it.Mode, Group: it.Group, Priority: it.Priority, Delay: toDelay(it.Delay),
		Wait: toWait(it.NotBefore, now), Expires: toMillis(it.Expires), Headers: it.Headers, Batch: it.Batch,
	}
}

// special reports whether an item that is acked directly has anything that matters: its
// batch, or what such an item cannot have, which the server says.
func special(it *queue.Item) bool {
	return it.Batch != "" || it.Key != "" || it.Group != "" || it.Delay != 0 || !it.NotBefore.IsZero() || !it.Expires.IsZero()
}

// toDelay keeps what is negative so, that the store may refuse it.
func toDelay(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	us := d.Microseconds()
	if d%time.Microsecond > 0 {
		us++
	}
	return us
}

// fromDelay is the inverse; what is too long is as long as it can be.
func fromDelay(us int64) time.Duration {
	if us > math.MaxInt64/int64(time.Microsecond) {
		return math.MaxInt64
	}
	return time.Duration(us) * time.Microsecond
}

func (m *item) item(now time.Time) queue.Item {
	if m == nil {
		return queue.Item{}
	}
	return queue.Item{
		Body: either(m.Body, m.Text), Key: m.Key, Mode: m.Mode, Group: m.Group, Priority: m.Priority,
		Delay: fromDelay(m.Delay), NotBefore: fromWait(m.Wait, now), Expires: fromMillis(m.Expires),
		Headers: m.Headers, Batch: m.Batch,
	}
}

func toGroup(s queue.GroupSettings, now time.Time) *groupSettings {
	return &groupSettings{MaxInFlight: s.MaxInFlight, MinDelay: toDelay(s.MinDelay), Wait: toWait(s.NotBefore, now), Paused: s.Paused}
}

func (m *groupSettings) settings(now time.Time) queue.GroupSettings {
	if m == nil {
		return queue.GroupSettings{}
	}
	return queue.GroupSettings{
		MaxInFlight: m.MaxInFlight, MinDelay: fromDelay(m.MinDelay), NotBefore: fromWait(m.Wait, now), Paused: m.Paused,
	}
}

func toBarrier(b *queue.Barrier) *barrier {
	if b == nil {
		return nil
	}
	return &barrier{
		Queue: b.ID.Queue, Epoch: b.ID.Epoch, Body: b.Body, Headers: b.Headers, Placed: toMillis(b.Placed),
		Released: toMillis(b.Released), Opened: toMillis(b.Opened), Counts: b.Counts,
	}
}

func (m *barrier) barrier() *queue.Barrier {
	if m == nil {
		return nil
	}
	return &queue.Barrier{
		ID: queue.BarrierID{Queue: m.Queue, Epoch: m.Epoch}, Body: m.Body, Headers: m.Headers, Placed: fromMillis(m.Placed),
		Released: fromMillis(m.Released), Opened: fromMillis(m.Opened), Counts: m.Counts,
	}
}

// toDelivery returns what is sent of a delivery with a number. asText says that bodies
// are to be text where they can.
func toDelivery(d *queue.Delivery, number uint64, asText bool) delivery {
	m := delivery{Delivery: number, ID: d.ID, Epoch: d.Epoch, Attempt: d.Attempt, Deaths: d.Deaths, Enqueued: toMillis(d.Enqueued)}
	if d.Barrier != nil {
		m.Barrier = toBarrier(d.Barrier)
		return m
	}
	m.Item = toItem(&d.Item, time.Time{})
	if asText {
		m.Item.asText()
	}
	return m
}

func (m *item) asText() {
	if m.Text = text(m.Body); m.Text != nil {
		m.Body = nil
	}
}

func toWaiting(w *queue.Waiting, now time.Time, asText bool) waiting {
	m := waiting{
		ID: w.ID, Epoch: w.Epoch, State: w.State, Due: toMillis(w.Due), Attempts: w.Attempts, Deaths: w.Deaths, Failure: w.Failure,
		Enqueued: toMillis(w.Enqueued), Item: toItem(&w.Item, now), Deferred: toMillis(w.Deferred), Reason: w.Reason, Place: w.Place(),
	}
	if asText {
		m.Item.asText()
	}
	return m
}

func (m *waiting) waiting(queueName string, now time.Time) (queue.Waiting, error) {
	it := m.Item.item(now)
	w, err := queue.WaitingAt(queueName, m.Place, &it)
	w.ID, w.Epoch, w.State, w.Due, w.Attempts, w.Deaths = m.ID, m.Epoch, m.State, fromMillis(m.Due), m.Attempts, m.Deaths
	w.Failure, w.Enqueued, w.Deferred, w.Reason = m.Failure, fromMillis(m.Enqueued), fromMillis(m.Deferred), m.Reason
	return w, err
}

func toHeld(h *queue.Held, now time.Time, asText bool) *held {
	m := &held{
		Barrier: toBarrier(h.Barrier), Ready: h.Ready, Delayed: h.Delayed, Leased: h.Leased, Returning: h.Returning,
		Deferred: h.Deferred, Paused: h.Paused, ClockBehind: h.ClockBehind, Sessions: h.Sessions, Names: h.Names,
	}
	for i := range h.Oldest {
		m.Oldest = append(m.Oldest, toWaiting(&h.Oldest[i], now, asText))
	}
	return m
}

func (m *held) held(queueName string, now time.Time) (queue.Held, error) {
	h := queue.Held{
		Barrier: m.Barrier.barrier(), Ready: m.Ready, Delayed: m.Delayed, Leased: m.Leased, Returning: m.Returning,
		Deferred: m.Deferred, Paused: m.Paused, ClockBehind: m.ClockBehind, Sessions: m.Sessions, Names: m.Names,
	}
	for i := range m.Oldest {
		w, err := m.Oldest[i].waiting(queueName, now)
		if err != nil {
			return h, err
		}
		h.Oldest = append(h.Oldest, w)
	}
	return h, nil
}

func toDead(l *queue.DeadLetter, now time.Time, asText bool) deadLetter {
	m := deadLetter{
		ID: l.ID, Item: toItem(&l.Item, now), Attempts: l.Attempts, Deaths: l.Deaths, Enqueued: toMillis(l.Enqueued),
		Buried: toMillis(l.Buried), Epoch: l.Epoch, Reason: l.Reason, Stack: l.Stack,
	}
	if asText {
		m.Item.asText()
	}
	return m
}

func (m *deadLetter) letter(queueName string, now time.Time) queue.DeadLetter {
	return queue.DeadLetter{
		ID: m.ID, Queue: queueName, Item: m.Item.item(now), Attempts: m.Attempts, Deaths: m.Deaths, Enqueued: fromMillis(m.Enqueued),
		Buried: fromMillis(m.Buried), Epoch: m.Epoch, Reason: m.Reason, Stack: m.Stack,
	}
}

func toResult(r queue.Result) *result {
	m := &result{Enqueued: r.Enqueued, Duplicates: r.Duplicates, Replaced: r.Replaced, Removed: r.Removed, Buried: r.Buried}
	for _, id := range r.Barriers {
		m.Barriers = append(m.Barriers, barrierID(id))
	}
	return m
}

func (m *result) result() queue.Result {
	if m == nil {
		return queue.Result{}
	}
	r := queue.Result{Enqueued: m.Enqueued, Duplicates: m.Duplicates, Replaced: m.Replaced, Removed: m.Removed, Buried: m.Buried}
	for _, id := range m.Barriers {
		r.Barriers = append(r.Barriers, queue.BarrierID(id))
	}
	return r
}
