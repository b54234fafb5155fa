package queue

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/seed-301537d8/weir/internal/wire"
)

// This file plans what happens to blocks: how new items are packed into them, and
// how the items of stored ones are settled.

// packing is the new blocks of a plan.
type packing struct {
	packs  []pack
	items  []packedItem
	open   map[laneID]int // the block that takes the next item, in packs
	last   laneID         // was last used,
	lastAt int            // and is this one of packs
}

// pack is a block in the making.
type pack struct {
	at         loc
	block      *block
	head, tail int // in packing.items
	size       int // of the items, in bytes
}

type packedItem struct {
	id    uint64
	value []byte
	next  int // the block's next item, or -1
}

func (k *packing) reset() {
	clear(k.packs)
	clear(k.items)
	k.packs, k.items, k.open = k.packs[:0], k.items[:0], emptied(k.open)
}

// add puts an item into the block that takes the next one of its lane.
func (k *packing) add(lane laneID, at loc, r ref, sequence uint64) (b *block, index uint8) {
	pk := k.take(lane, at, len(r.value), sequence)
	b, index = pk.block, uint8(pk.block.count)
	b.count++
	b.last = r.id
	pk.size += len(r.value)
	n := len(k.items)
	k.items = append(k.items, packedItem{r.id, r.value, -1})
	if pk.tail >= 0 {
		k.items[pk.tail].next = n
	} else {
		pk.head = n
	}
	pk.tail = n
	return b, index
}

// take returns the block for the next item of a lane, a new one if need be.
func (k *packing) take(lane laneID, at loc, size int, sequence uint64) *pack {
	if len(k.packs) == 0 || k.last != lane {
		i, ok := k.open[lane]
		if !ok {
			return k.begin(lane, at, sequence)
		}
		k.last, k.lastAt = lane, i
	}
	pk := &k.packs[k.lastAt]
	if pk.block.count == blockItems || pk.size+size > blockBytes {
		return k.begin(lane, at, sequence)
	}
	return pk
}

func (k *packing) begin(lane laneID, at loc, sequence uint64) *pack {
	at.block = at.id
	k.packs = append(k.packs, pack{at: at, block: &block{first: at.id, read: sequence}, head: -1, tail: -1})
	k.last, k.lastAt = lane, len(k.packs)-1
	k.open[lane] = k.lastAt
	return &k.packs[k.lastAt]
}

// close makes new blocks begin for whatever comes next.
func (k *packing) close() {
	clear(k.open)
	k.last = laneID{}
}

// find returns an item of a new block. The blocks are in order of their ids.
func (k *packing) find(at loc) (r ref, found bool, err error) {
	i, found := slices.BinarySearchFunc(k.packs, at.block, func(pk pack, first uint64) int {
		return cmp.Compare(pk.block.first, first)
	})
	if !found {
		return ref{}, false, nil
	}
	index := uint8(0)
	for n := k.packs[i].head; n >= 0; n = k.items[n].next {
		if it := &k.items[n]; it.id == at.id {
			r, err = makeRef(at.id, it.value)
			r.block, r.index = k.packs[i].block, index
			return r, true, err
		}
		index++
	}
	return ref{}, false, nil
}

// packable reports whether an item may be stored in a block.
func packable(at loc, r ref) bool {
	return at.due == 0 && r.expires == 0 && !r.live && len(r.value) < blockBytes
}

// pack plans that a new item is stored in a block, and notes in its place and in
// its ref in which.
func (p *plan) pack(q *queueState, at *loc, r *ref) {
	r.block, r.index = p.packing.add(laneID{q.id, at.lane()}, *at, *r, p.s.sequence.Load())
	at.block = r.block.first
	if r.index == 0 {
		p.owe(blockKeyLen(at.group), 1)
	}
	p.owed.Bytes += len(r.value) + packedOverhead
}

// packedOverhead is more than an item in a block takes besides its own bytes.
const packedOverhead = 8

// writePacks adds the writes of the plan's new blocks.
func (p *plan) writePacks() {
	k := &p.packing
	for i := range k.packs {
		pk := &k.packs[i]
		b := append(p.tail(), blockFormat)
		before := pk.block.first
		for n := pk.head; n >= 0; n = k.items[n].next {
			it := &k.items[n]
			b = appendBlockItem(b, it.id-before, it.value)
			before = it.id
		}
		b = p.seal(b)
		p.putNew(p.seal(pk.at.appendKey(p.tail())), b)
	}
}

// settlings is what a plan does to the settled items of blocks.
type settlings struct {
	list []settling
	of   map[uint64]int // by the id of the block
	last int            // was last used
}

type settling struct {
	at            loc
	block         *block
	before, after uint64 // sets of settled items
}

func (st *settlings) reset() {
	clear(st.list)
	st.list, st.of, st.last = st.list[:0], emptied(st.of), 0
}

// find returns what the plan does to a block, or nil.
func (st *settlings) find(block uint64) *settling {
	if st.last < len(st.list) && st.list[st.last].block.first == block {
		return &st.list[st.last]
	}
	i, ok := st.of[block]
	if !ok {
		return nil
	}
	st.last = i
	return &st.list[i]
}

func (st *settlings) add(s settling) *settling {
	st.last = len(st.list)
	st.list = append(st.list, s)
	st.of[s.block.first] = st.last
	return &st.list[st.last]
}

// settleInBlock plans that an item of a block is settled.
func (p *plan) settleInBlock(at loc, r ref) error {
	st := p.settlings.find(at.block)
	if st == nil {
		set, err := p.settledItems(at, r.block)
		if err != nil {
			return err
		}
		st = p.settlings.add(settling{at, r.block, set, set})
		p.owe(blockKeyLen(at.group), varintLen)
		p.owe(blockKeyLen(at.group), 0)
	}
	st.after |= 1 << r.index
	return nil
}

// settledItems returns which items of a block were settled when the plan began.
func (p *plan) settledItems(at loc, b *block) (uint64, error) {
	if set, ok := p.s.settled.get(b.first); ok {
		return set, nil
	}
	if b.read >= p.s.settled.since {
		return b.settled, nil
	}
	value, found, err := p.s.lookUp(at.appendSettledKey(nil))
	if err != nil || !found {
		return 0, err
	}
	r := wire.NewReader(value)
	return r.Uvarint(), malformed(&r, "set of settled items")
}

// writeSettlings adds the writes that settle items of blocks. They come behind
// those of writePacks, since an item may be settled by the plan that makes it.
func (p *plan) writeSettlings() {
	published := p.s.sequence.Load()
	for i := range p.settlings.list {
		st := &p.settlings.list[i]
		key := p.seal(st.at.appendSettledKey(p.tail()))
		switch {
		case st.after != st.block.full():
			p.put(key, p.seal(binary.AppendUvarint(p.tail(), st.after)))
		case st.before != 0:
			p.del(key)
			fallthrough
		default:
			p.del(p.seal(st.at.appendKey(p.tail())))
		}
		p.s.settled.set(st.block.first, st.after, p.number, published)
	}
}

// storedInBlock returns an item of a block as it is after this plan's writes.
func (p *plan) storedInBlock(at loc) (ref, bool, error) {
	r, found, err := p.packing.find(at)
	if !found && err == nil {
		r, found, err = p.s.readItem(context.Background(), at)
	}
	if st := p.settlings.find(at.block); st != nil && st.after&(1<<r.index) != 0 {
		return ref{}, false, err // it has moved
	}
	return r, found, err
}

// A store remembers the settled items of this many blocks, or twice as many, so
// that settling the next one needs no look at the disk.
const settledBlocksMax = 16 << 10
