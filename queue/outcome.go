package queue

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/seed-301537d8/weir/internal/wire"
)

// Whether a transaction has happened is unknown to a caller whose context ended while
// it was written, whose connection broke, or whose process died. One that has an id
// can be asked for, or simply committed again. What makes that exact:
//
//   - the record of an id is in the batch of its transaction, so one is there if and
//     only if the other is;
//   - whether an id is known is decided where transactions are put in order, from what
//     has been planned so far, the batch that is being written among it. So of two that
//     are committed at once one happens, and the other is answered when it is durable.
//
// The records are a ring, so that they cost one write for each transaction that asks
// for it, none for others, and bounded space. One that comes after its record has been
// written over cannot be told from a new one; but one that says since when it may have
// happened (Tx.Since) can be refused: it was given a later number than that, so it is
// remembered as long as the ring has not come round since.

// MaxTxID bounds [Tx].ID, in bytes.
const MaxTxID = 255

// RememberedTxs is how many transactions with an id a store remembers: the last ones.
const RememberedTxs = 16 << 10

func (s *leader) Outcome(ctx context.Context, id string) (Result, error) {
	var result Result
	found, err := false, s.err()
	if err == nil {
		err = validTxID(id)
	}
	if err == nil && id == "" {
		err = invalidf("transaction id is empty")
	}
	if err == nil {
		err = s.alone(ctx, func() (err error) {
			found, err = s.plan.outcome(s.secret.hash(id), &result)
			return err
		})
	}
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Result{}, fmt.Errorf("outcome of transaction %q: %w", cut(id, 80), err)
	}
	return result, nil
}

func (s *leader) TxSerial(context.Context) (uint64, error) {
	if err := s.err(); err != nil {
		return 0, fmt.Errorf("serial of transactions: %w", err)
	}
	return s.txSerial.Load(), nil
}

func validTxID(id string) error {
	if len(id) > MaxTxID {
		return invalidf("transaction id %.20q… has %d bytes, more than %d", id, len(id), MaxTxID)
	}
	return nil
}

// outcomes says which ids are stored where, as it will be after the plan in the making.
// The committer owns it.
type outcomes struct {
	next  uint64             // transactions with an id so far
	slots map[hash128]uint32 // of the last ones
	ring  []hash128          // by slot; zero where there is none
}

// serial is the number of the next transaction, from 1 on.
func (o *outcomes) serial() uint64 { return o.next + 1 }

// add gives the next slot to an id. The one that had it is forgotten.
func (o *outcomes) add(id hash128) (slot uint32, serial uint64) {
	serial = o.next
	o.next++
	slot = uint32(serial % RememberedTxs)
	o.set(slot, id)
	return slot, serial
}

func (o *outcomes) set(slot uint32, id hash128) {
	if o.slots == nil {
		o.slots = make(map[hash128]uint32)
	}
	for int(slot) >= len(o.ring) {
		o.ring = append(o.ring, hash128{})
	}
	delete(o.slots, o.ring[slot])
	o.ring[slot], o.slots[id] = id, slot
}

// outcome finds the result of an id, if it is known.
func (p *plan) outcome(id hash128, result *Result) (found bool, err error) {
	slot, ok := p.s.outcomes.slots[id]
	if !ok {
		return false, nil
	}
	value, ok := p.outcomes[slot]
	if f := p.s.flying; !ok && f != nil {
		value, ok = f.outcomes[slot]
	}
	if !ok {
		if value, err = p.s.db.Get(context.Background(), appendOutcomeKey(nil, slot)); err != nil {
			return false, err
		}
	}
	rec, err := decodeOutcome(value)
	if err == nil && rec.id != id {
		err = fmt.Errorf("%w: transaction %d has another id", ErrCorrupt, rec.serial)
	}
	*result = rec.result
	return true, err
}

// remember plans the record of a transaction that has been planned.
func (p *plan) remember(id hash128, result Result) {
	slot, serial := p.s.outcomes.add(id)
	value := outcomeRecord{serial, id, result}.append(nil)
	if p.outcomes == nil {
		p.outcomes = make(map[uint32][]byte)
	}
	p.outcomes[slot], p.txSerial = value, p.s.outcomes.serial()
	p.put(p.seal(appendOutcomeKey(p.tail(), slot)), value)
}

// recoverOutcomes reads which ids are stored.
func (s *leader) recoverOutcomes(ctx context.Context) error {
	s.outcomes = outcomes{}
	err := s.scan(ctx, []byte{kindOutcome}, []byte{kindOutcome + 1}, func(key, value []byte) error {
		rec, err := decodeOutcome(value)
		if err != nil {
			return err
		}
		slot := uint32(rec.serial % RememberedTxs)
		if string(key) != string(appendOutcomeKey(nil, slot)) {
			return fmt.Errorf("%w: transaction %d is remembered under %q", ErrCorrupt, rec.serial, key)
		}
		s.outcomes.set(slot, rec.id)
		s.outcomes.next = max(s.outcomes.next, rec.serial+1)
		return nil
	})
	s.txSerial.Store(s.outcomes.serial())
	return err
}

// outcomeRecord is what is stored about a transaction with an id:
//
//	serial  hash  enqueued  duplicates  replaced  removed  buried  barriers: queue epoch …
type outcomeRecord struct {
	serial uint64 // among those with an id
	id     hash128
	result Result
}

const (
	outcomeKeyLen = 1 + 4
	outcomeLen    = 6*varintLen + 16 + shortLen
)

// outcomeBarrierLen bounds what a barrier adds to the record.
func outcomeBarrierLen(queue string) int { return len(queue) + 2*shortLen }

func appendOutcomeKey(b []byte, slot uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kindOutcome), slot)
}

func (rec outcomeRecord) append(b []byte) []byte {
	r := &rec.result
	b = append(binary.AppendUvarint(b, rec.serial), rec.id[:]...)
	for _, n := range []int{r.Enqueued, r.Duplicates, r.Replaced, r.Removed, r.Buried, len(r.Barriers)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, id := range r.Barriers {
		b = binary.AppendUvarint(wire.AppendString(b, id.Queue), uint64(id.Epoch))
	}
	return b
}

func decodeOutcome(value []byte) (outcomeRecord, error) {
	r := wire.NewReader(value)
	rec := outcomeRecord{serial: r.Uvarint()}
	copy(rec.id[:], r.Next(len(rec.id)))
	for _, n := range []*int{&rec.result.Enqueued, &rec.result.Duplicates, &rec.result.Replaced, &rec.result.Removed, &rec.result.Buried} {
		*n = r.Int()
	}
	for range r.Count(2) {
		rec.result.Barriers = append(rec.result.Barriers, BarrierID{r.Text(), uint32(r.Uvarint())})
	}
	if !r.Done() {
		r.Fail()
	}
	return rec, malformed(&r, "outcome of a transaction")
}

// outcomes checks the records of transactions with an id against what is in memory.
func (c *checker) outcomes() error {
	known := c.s.outcomes
	n := 0
	err := c.s.scan(c.ctx, []byte{kindOutcome}, []byte{kindOutcome + 1}, func(key, value []byte) error {
		n++
		rec, err := decodeOutcome(value)
		if err != nil {
			return err
		}
		slot, ok := known.slots[rec.id]
		if !ok || string(key) != string(appendOutcomeKey(nil, slot)) || rec.serial%RememberedTxs != uint64(slot) || rec.serial >= known.next {
			c.findings = append(c.findings, fmt.Errorf("transaction %d is remembered under %q and not known there", rec.serial, key))
		}
		return nil
	})
	if err == nil && n != len(known.slots) {
		c.findings = append(c.findings, fmt.Errorf("%d transactions are remembered, %d are known", n, len(known.slots)))
	}
	return err
}
