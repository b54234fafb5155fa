package queue

import (
	"errors"
)

// markID names a mark: a queue and the hash of a key.
type markID struct {
	queue uint16
	hash  hash128
}

// markState is a mark that was written, or that was deleted.
type markState struct {
	mark    mark
	present bool
}

// Callers look marks up on disk before they submit a transaction, all at once
// and without a lock; the committer then needs the disk only for what has
// changed in between, and that is in Store.recent.
const recentMarksMax = 16 << 10

// mark returns what is known of a key after this plan's writes. o, if not nil,
// holds what its transaction found on disk.
func (p *plan) mark(id markID, o *op, r *request) (markState, error) {
	if st, ok := p.s.recent.get(id); ok {
		return st, nil
	}
	var value []byte
	found := false
	if o != nil && o.markKnown && r.sequence >= p.s.recent.since {
		value, found = o.mark, o.mark != nil
	} else {
		var err error
		if value, found, err = p.s.lookUp(appendMarkKey(nil, id.queue, id.hash)); err != nil {
			return markState{}, err
		}
	}
	if !found {
		return markState{}, nil
	}
	m, err := decodeMark(id.queue, value)
	return markState{m, true}, err
}

func (p *plan) putMark(id markID, m mark) {
	p.setMark(id, m, false)
}

// setMark writes a mark. fresh says that there is none.
func (p *plan) setMark(id markID, m mark, fresh bool) {
	put := p.put
	if fresh {
		put = p.putNew
	}
	put(p.seal(appendMarkKey(p.tail(), id.queue, id.hash)), p.seal(m.append(p.tail())))
	p.s.recent.set(id, markState{m, true}, p.number, p.s.sequence.Load())
	p.s.filter.add(id)
}

func (p *plan) delMark(id markID) {
	p.del(p.seal(appendMarkKey(p.tail(), id.queue, id.hash)))
	p.s.recent.set(id, markState{}, p.number, p.s.sequence.Load())
}

// identify decides whether a keyed item is stored. If it is, the mark is to be
// put when its place is known. fresh says that there is no mark so far.
func (p *plan) identify(q *queueState, o *op, r *request) (m mark, stored, fresh bool, err error) {
	id := markID{q.id, o.hash}
	st, err := p.mark(id, o, r)
	if err != nil {
		return m, false, false, err
	}
	m.ever = o.item.Mode == Once
	if st.present {
		switch o.item.Mode {
		case Once:
			if !st.mark.ever {
				// A live item took the key first; from now on it is taken for good.
				st.mark.ever = true
				p.putMark(id, st.mark)
			}
			p.duplicate(q)
			return m, false, false, nil
		case OnceLive:
			live, err := p.lives(q, st.mark.at)
			if err != nil {
				return m, false, false, err
			}
			if live {
				p.duplicate(q)
				return m, false, false, nil
			}
		case ReplaceLive:
			replaced, err := p.removeIfWaiting(q, st.mark.at, func(t *Totals) *int64 { return &t.Dropped })
			if err != nil {
				return m, false, false, err
			}
			if replaced {
				p.result.Replaced++
			}
		}
		m.ever = st.mark.ever
		if o.item.Mode == ReplaceLive {
			st, err = p.mark(id, o, r) // the item that gave way may have taken it along
		}
	}
	if !st.present {
		q.counts.mark(1)
	}
	return m, true, !st.present, err
}

func (p *plan) duplicate(q *queueState) {
	p.result.Duplicates++
	e := p.count(q, q.counts.tail, 0, 0, 0)
	p.tally(q, e, func(t *Totals) *int64 { return &t.Duplicates })
}

// lives reports whether an unsettled item is at the place that a mark gives.
func (p *plan) lives(q *queueState, at loc) (bool, error) {
	if alive, known := p.fate(q, at.id); known {
		return alive, nil
	}
	_, _, found, err := p.locate(q, at)
	return found, err
}

// unmark plans that a key is free again, unless it was enqueued once and for
// all, or a later item has it.
func (p *plan) unmark(q *queueState, r ref) error {
	id := markID{q.id, r.keyHash(p.s.secret)}
	st, err := p.mark(id, nil, nil)
	if err != nil {
		return err
	}
	if st.present && st.mark.at.id == r.id && !st.mark.ever {
		p.delMark(id)
		q.counts.mark(-1)
	}
	return nil
}

// moveMark plans that a key's item lies at another place.
func (p *plan) moveMark(q *queueState, r ref, to loc) error {
	id := markID{q.id, r.keyHash(p.s.secret)}
	st, err := p.mark(id, nil, nil)
	if err != nil {
		return err
	}
	if st.present && st.mark.at.id == r.id {
		st.mark.at = to
		p.putMark(id, st.mark)
	}
	return nil
}

// forget plans that a key was never enqueued.
func (p *plan) forget(q *queueState, o *op) error {
	id := markID{q.id, o.hash}
	st, err := p.mark(id, nil, nil)
	if err != nil {
		return err
	}
	if st.present {
		p.delMark(id)
		q.counts.mark(-1)
		p.touch(q)
	}
	return nil
}

// A queue remembers this many lanes that have a record, or twice as many, so
// that enqueueing to them needs no look at the disk.
const knownLanesMax = 32 << 10

// errStop ends a scan early.
var errStop = errors.New("stop")
