package queue

import (
	"bytes"
	"fmt"
	"strconv"
)

// A condition of a transaction is checked when the transaction is planned. Since one
// goroutine plans all of them, in the order in which they take effect, nothing can
// change the record between the check and the changes that depend on it. A conflict is
// answered when what it conflicts with is visible: who reads again reads something new.

// Require makes Commit return [ErrConflict], and do nothing of the transaction, unless
// the record of a table has this value; nil says that there is no such record, and an
// empty slice that it is empty. What counts is the record right before the
// transaction: its own changes do not matter, wherever they stand. A counter of
// [Tx.Add] is required as Get returns it, in decimal digits.
//
// So what was read may be written back changed, and no change of others is lost: read
// with [Store.Get], require what was read, put what follows from it, and begin anew
// after ErrConflict. After ErrConflict the deliveries that the transaction would have
// settled are still held.
func (tx *Tx) Require(table, key string, value []byte) {
	tx.ops = append(tx.ops, op{kind: opRequire, name: table, key: key, value: value})
}

// checkRecord returns ErrConflict if a record is not as an opRequire says.
func (p *plan) checkRecord(r *request, o *op) error {
	if d := p.s.doomedTable(o.name); d != nil {
		r.sweeping = d
		return errSweeping
	}
	value, found, err := p.record(appendTableKey(nil, o.name, []byte(o.key)))
	switch {
	case err != nil:
		return err
	case o.value == nil && found:
		return fmt.Errorf("%w: %q in table %q exists", ErrConflict, cut(o.key, 80), o.name)
	case o.value != nil && !found:
		return fmt.Errorf("%w: %q in table %q does not exist", ErrConflict, cut(o.key, 80), o.name)
	case !bytes.Equal(o.value, value):
		return fmt.Errorf("%w: %q in table %q has another value", ErrConflict, cut(o.key, 80), o.name)
	}
	return nil
}

// record returns a record of a table as it is after what has been planned so far, the
// batch that is being written among it.
func (p *plan) record(key []byte) (value []byte, found bool, err error) {
	if n, ok := p.s.counters.values[string(key)]; ok {
		return strconv.AppendInt(nil, n, 10), true, nil
	}
	for _, p := range []*plan{p, p.s.flying} {
		if p == nil {
			continue
		}
		if i, ok := p.records.find(p, key); ok {
			w := &p.writes[i]
			return w.Value, !w.Delete, nil
		}
	}
	return p.s.lookUp(key)
}

// recordIndex finds the last write of a plan to a record of a table. It is brought up
// to date by those who look for something, so that others pay nothing for it.
type recordIndex struct {
	at   map[string]int
	seen int // writes that are in it
}

func (x *recordIndex) find(p *plan, key []byte) (int, bool) {
	if x.at == nil {
		x.at = make(map[string]int)
	}
	for ; x.seen < len(p.writes); x.seen++ {
		if w := &p.writes[x.seen]; w.Key[0] == kindTable {
			x.at[string(w.Key)] = x.seen
		}
	}
	i, ok := x.at[string(key)]
	return i, ok
}

func (x *recordIndex) reset() { x.at, x.seen = emptied(x.at), 0 }
