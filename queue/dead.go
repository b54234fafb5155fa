package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/internal/wire"
)

// DeadLetter is an item that was given up.
type DeadLetter struct {
	ID       uint64
	Queue    string
	Item     Item
	Attempts int       // deliveries, the last one included
	Deaths   int       // of them, those that a death has ended; see Config.MaxDeaths
	Enqueued time.Time // when the item was
	Buried   time.Time
	Epoch    uint32 // in which it lay
	Reason   string // the text of the last error, cut to 2 KiB
	Stack    string // where that error had one, cut to 6 KiB
}

// deadRecord is a stored dead letter.
type deadRecord struct {
	at       loc
	attempts int
	buried   int64 // Unix milliseconds
	reason   string
	stack    string
	value    []byte // the item
}

// append encodes the record with what appendReason has made, in place of reason and
// stack.
func (d *deadRecord) append(b, why []byte) []byte {
	b = wire.AppendString(b, string(d.at.appendKey(nil)))
	b = binary.AppendUvarint(b, uint64(d.attempts))
	b = binary.AppendUvarint(b, uint64(d.buried))
	b = append(b, why...)
	return append(b, d.value...)
}

func decodeDead(b []byte) (deadRecord, error) {
	var d deadRecord
	r := wire.NewReader(b)
	key := r.Bytes()
	d.attempts = int(r.Uvarint())
	d.buried = int64(r.Uvarint())
	d.reason = r.Text()
	d.stack = r.Text()
	d.value = r.Rest()
	if err := malformed(&r, "dead letter"); err != nil {
		return d, err
	}
	var err error
	d.at, err = parseLoc(key)
	return d, err
}

// bury plans that the item of a delivery, which is nil if that ended with its
// process, goes to the dead letters with its history. why is of appendReason.
func (p *plan) bury(q *queueState, d *Delivery, at loc, r ref, h history, cause error, why []byte) error {
	if err := p.leave(q, at, r, func(t *Totals) *int64 { return &t.Buried }); err != nil {
		return err
	}
	p.putDead(q, at, r, h, cause, why)
	if d != nil {
		p.effect(q, effect{kind: effectEnd, d: d})
	}
	return nil
}

// putDead plans a dead letter.
func (p *plan) putDead(q *queueState, at loc, r ref, h history, cause error, why []byte) {
	at.block = 0
	rec := deadRecord{at: at, attempts: h.attempts, buried: p.wall, value: r.withHistory(h).value}
	value := rec.append(nil, why)
	p.put(p.seal(appendDeadKey(p.tail(), q.id, at.id)), value)
	p.buried[at.id] = value
	q.counts.dead++
	if p.result != nil {
		p.result.Buried++
	}
	p.events = append(p.events, Event{Kind: EventBuried, Queue: q.name, ID: at.id, Attempt: rec.attempts, Err: cause})
}

// deadLetter reads a dead letter as it is after this plan's writes.
func (p *plan) deadLetter(q *queueState, id uint64) (deadRecord, bool, error) {
	if p.gone[id] {
		return deadRecord{}, false, nil
	}
	value, found := p.buried[id]
	var err error
	if !found {
		value, found, err = p.s.lookUp(appendDeadKey(nil, q.id, id))
	}
	if err != nil || !found {
		return deadRecord{}, false, err
	}
	rec, err := decodeDead(value)
	return rec, err == nil, err
}

func (p *plan) dropDead(q *queueState, id uint64) {
	p.del(p.seal(appendDeadKey(p.tail(), q.id, id)))
	p.gone[id] = true
	q.counts.dead--
	p.touch(q)
}

// retryDead plans that a dead letter is enqueued again.
func (p *plan) retryDead(q *queueState, id uint64) error {
	rec, found, err := p.deadLetter(q, id)
	if err != nil || !found {
		return err
	}
	item, err := decodeItem(rec.at, rec.value)
	if err != nil {
		return err
	}
	item.Expires = time.Time{} // it is wanted now, however late
	item.Batch = ""            // which may be complete by now, or another
	at := loc{queue: q.id, epoch: p.entryEpoch(q, rec.at.group), prio: rec.at.prio, group: rec.at.group, id: p.s.nextID}
	if item.Key != "" {
		mid := markID{q.id, p.s.secret.hash(item.Key)}
		st, err := p.mark(mid, nil, nil)
		if err != nil {
			return err
		}
		if st.present {
			live, err := p.lives(q, st.mark.at)
			if err != nil {
				return err
			}
			if live {
				p.duplicate(q)
				return nil
			}
		}
		if !st.present {
			q.counts.mark(1)
		}
		p.putMark(mid, mark{ever: st.mark.ever || item.Mode == Once, at: at})
	}
	p.dropDead(q, id)
	p.s.nextID++
	p.result.Enqueued++
	value := appendItem(nil, &item.Item, 0, p.wall)
	r, err := makeRef(at.id, value)
	if err != nil {
		return err
	}
	return p.insert(q, at, r)
}

func (s *leader) DeadLetters(ctx context.Context, queue string, after uint64, limit int) ([]DeadLetter, error) {
	q, err := s.existing("dead letters", queue)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("dead letters of %s: %w", queue, invalidf("limit %d", limit))
	}
	var letters []DeadLetter
	err = s.scan(ctx, appendDeadKey(nil, q.id, after+1), prefixEnd(appendQueue(nil, kindDead, q.id)), func(key, value []byte) error {
		rec, err := decodeDead(append([]byte{}, value...))
		if err != nil {
			return err
		}
		item, err := decodeItem(rec.at, rec.value)
		if err != nil {
			return err
		}
		letters = append(letters, DeadLetter{
			ID: rec.at.id, Queue: queue, Item: item.Item, Attempts: rec.attempts, Deaths: item.deaths,
			Enqueued: time.UnixMilli(item.enqueued), Buried: time.UnixMilli(rec.buried),
			Epoch: rec.at.epoch, Reason: rec.reason, Stack: rec.stack,
		})
		if len(letters) == limit {
			return errStop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dead letters of %s: %w", queue, err)
	}
	return letters, nil
}
