package queue

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/seed-301537d8/weir/internal/wire"
)

// A block is up to 64 items of one lane that were enqueued in one batch. They
// are stored as one record, and the set of those that are settled as a second,
// which comes before it in the order of keys:
//
//	i queue epoch ^prio group 0 first 0   settled items, a bit each
//	i queue epoch ^prio group 0 first 1   the items
//
// where first is the id of the first item. When the last item is settled both
// go. So a consumer that acks its items in order writes some bytes for each
// batch of acks, and deletes one record for 64 items.
//
// What may have to be found and moved by itself is stored alone, as the record
// "… 0 id": items that are delayed, expire, or have a key of mode OnceLive or
// ReplaceLive. An item of a block that is retried is settled in the block and
// stored alone from then on, so a block never changes.
//
// Invariant: the ids of two blocks of one lane do not interleave. An item that
// is stored alone may have an id between those of a block.
const (
	blockItems  = 64      // a set of settled ones fits in 64 bits
	blockBytes  = 8 << 10 // a block with so much takes no more
	blockFormat = 0x20
)

// block is what the items of a stored block share in memory. It does not change
// once its plan is finished.
type block struct {
	first   uint64 // the id of the first item, which names the block
	last    uint64
	count   int
	settled uint64 // when it was read; only the committer knows what is
	read    uint64 // Store.sequence before it was read
}

// full is the set of all items of the block.
func (b *block) full() uint64 { return ^uint64(0) >> (blockItems - b.count) }

// A block is stored as its format and for each item
//
//	id, as a difference to the one before    length    item
//
// where the first id is the block's, and ids grow.
// appendBlockItem appends one.
func appendBlockItem(b []byte, step uint64, value []byte) []byte {
	b = binary.AppendUvarint(b, step)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// eachItem calls fn for the items of a stored block, settled ones included. The
// values share memory with the block's.
func eachItem(first uint64, value []byte, fn func(index int, id uint64, value []byte) error) error {
	r := wire.NewReader(value)
	if r.Byte() != blockFormat {
		return fmt.Errorf("%w: block %d has an unknown format", ErrCorrupt, first)
	}
	id := first
	for i := 0; r.Len() > 0; i++ {
		step := r.Uvarint()
		item := r.Bytes()
		if !r.OK() || i == blockItems || (step == 0) != (i == 0) || id+step < id {
			return fmt.Errorf("%w: malformed block %d", ErrCorrupt, first)
		}
		id += step
		if err := fn(i, id, item); err != nil {
			return err
		}
	}
	return nil
}

// readBlock returns what memory needs of a stored block.
func readBlock(first uint64, value []byte, settled, sequence uint64) (*block, error) {
	b := &block{first: first, settled: settled, read: sequence}
	err := eachItem(first, value, func(_ int, id uint64, _ []byte) error {
		b.count++
		b.last = id
		return nil
	})
	if err == nil && (b.count == 0 || b.settled&^b.full() != 0 || b.settled == b.full()) {
		err = fmt.Errorf("%w: block %d has %d items, settled are %b", ErrCorrupt, first, b.count, settled)
	}
	return b, err
}

// An entry is a stored record of ready items: a block, or an item alone.
type entry struct {
	at    loc // of its first item
	block *block
	value []byte
}

// each calls fn for the entry's unsettled items.
func (e *entry) each(fn func(at loc, r ref) error) error {
	if e.block == nil {
		r, err := makeRef(e.at.id, e.value)
		if err != nil {
			return err
		}
		return fn(e.at, r)
	}
	at := e.at
	return eachItem(e.block.first, e.value, func(i int, id uint64, value []byte) error {
		if e.block.settled&(1<<i) != 0 {
			return nil
		}
		r, err := makeRef(id, value)
		if err != nil {
			return err
		}
		at.id, r.block, r.index = id, e.block, uint8(i)
		return fn(at, r)
	})
}

// scanEntries calls fn for the records of ready items with keys in [start, end).
// An entry is valid until fn returns. errStop ends the scan.
func (s *leader) scanEntries(ctx context.Context, start, end []byte, fn func(*entry) error) error {
	return s.readEntries(s.scan, ctx, start, end, fn)
}

// A scanFunc calls fn for the records with keys in [start, end). errStop ends it.
type scanFunc func(ctx context.Context, start, end []byte, fn func(key, value []byte) error) error

// readEntries is scanEntries by a scan of the caller's choice.
func (s *leader) readEntries(scan scanFunc, ctx context.Context, start, end []byte, fn func(*entry) error) error {
	var e entry
	var settledOf, settled uint64 // the set that was read and waits for its block
	stray := func() error {
		return fmt.Errorf("%w: block %d has a set of settled items and no items", ErrCorrupt, settledOf)
	}
	sequence := s.sequence.Load()
	err := scan(ctx, start, end, func(key, value []byte) error {
		at, form, err := parseKey(key, e.at.group)
		if err != nil {
			return err
		}
		if settledOf != 0 && (form != formBlock || at.id != settledOf) {
			return stray()
		}
		switch form {
		case formSettled:
			r := wire.NewReader(value)
			settledOf, settled = at.id, r.Uvarint()
			return malformed(&r, "set of settled items")
		case formBlock:
			b, err := readBlock(at.id, value, settled, sequence)
			if err != nil {
				return err
			}
			e = entry{at, b, value}
			settledOf, settled = 0, 0
		default:
			e = entry{at, nil, value}
		}
		return fn(&e)
	})
	if err == nil && settledOf != 0 {
		err = stray()
	}
	return err
}

// readItem returns the unsettled item at a place, as it is stored. Its bytes
// are the caller's.
func (s *leader) readItem(ctx context.Context, at loc) (r ref, found bool, err error) {
	if at.block == 0 {
		value, found, err := s.lookUp(at.appendKey(nil))
		if err != nil || !found {
			return ref{}, false, err
		}
		r, err = makeRef(at.id, value)
		return r, true, err
	}
	start := at.appendStart(nil)
	err = s.scanEntries(ctx, start, keyAfter(at.appendKey(nil)), func(e *entry) error {
		return e.each(func(_ loc, item ref) error {
			if item.id != at.id {
				return nil
			}
			r, found = item.clone(), true
			return errStop
		})
	})
	return r, found, err
}
