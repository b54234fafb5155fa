package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// The first byte of a stored key says what the record is. After it comes, for
// all but meta and tables, the two bytes of the queue's number. Integers are
// big-endian, so that keys sort by them; docs/design.md gives the reason for
// each layout.
const (
	kindMeta    = 'm' // m name
	kindQueue   = 'q' // q queue                                config
	kindCounts  = 'c' // c queue                                queueCounts
	kindEpoch   = 'e' // e queue epoch                          epochCounts
	kindBarrier = 'b' // b queue epoch                          barrierRecord
	kindName    = 'n' // n queue name                           nameRecord
	kindReady   = 'i' // i queue epoch ^prio group 0 id [form]  item, or see block
	kindDelayed = 'd' // d queue epoch due ^prio group 0 id     item
	kindDead    = 'x' // x queue id                             deadRecord
	kindExpiry  = 'z' // z queue time id                        loc
	kindLane    = 'l' // l queue epoch ^prio group 0            due
	kindPointer = 'p' // p queue epoch ^prio due group 0        low id
	kindGroup   = 's' // s queue group                          groupRecord
	kindMark    = 'k' // k queue hash                           mark
	kindTable   = 't' // t table 0 key                          value

	kindAway     = 'y' // y queue group 0 ^prio id [form]       deferred item, or see block
	kindDeferral = 'g' // g queue group                         deferral
	kindReason   = 'r' // r queue id                            deferReason

	kindBatch = 'a' // a queue batch 0 form                   batchState, or completion

	kindDoom    = 'w' // w 0 table, or w 1 queue                nothing
	kindOutcome = 'o' // o slot                                 outcomeRecord
)

// deferredEpoch is the epoch of items that were deferred: it never opens. There
// such an item is stored like a delayed one if it has a time of its own, and
// otherwise under kindAway, next to those that wait for the same group.
const deferredEpoch = math.MaxUint32

// The keys of ready items end in one of these forms: nothing, for an item that
// is stored alone, or a byte; see block.
type keyForm int

const (
	formSettled keyForm = 0
	formBlock   keyForm = 1
	formItem    keyForm = 2
)

// loc is where an item is stored. It moves when the item does.
type loc struct {
	queue uint16
	epoch uint32
	due   int64 // Unix milliseconds if delayed, 0 if ready
	prio  int8
	group string
	id    uint64
	block uint64 // id of the first item of the item's block, 0 if it is stored alone
}

// laneKey names a lane: the items of one epoch with one priority and group.
type laneKey struct {
	epoch uint32
	prio  int8
	group string
}

func (l loc) lane() laneKey { return laneKey{l.epoch, l.prio, l.group} }

// loc returns a place in the lane, without queue and id.
func (k laneKey) loc() loc { return loc{epoch: k.epoch, prio: k.prio, group: k.group} }

// prioByte sorts high priorities first.
func prioByte(p int8) byte { return byte(127 - int(p)) }

func bytePrio(b byte) int8 { return int8(127 - int(b)) }

func appendQueue(b []byte, kind byte, q uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, kind), q)
}

func appendEpoch(b []byte, kind byte, q uint16, epoch uint32) []byte {
	return binary.BigEndian.AppendUint32(appendQueue(b, kind, q), epoch)
}

// appendKey appends the key under which the item, or its block, is stored.
func (l loc) appendKey(b []byte) []byte {
	if l.block != 0 {
		return append(l.appendBlock(b), byte(formBlock))
	}
	if l.due == 0 {
		return binary.BigEndian.AppendUint64(appendLanePrefix(b, l.queue, l.lane()), l.id)
	}
	b = appendEpoch(b, kindDelayed, l.queue, l.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(l.due))
	b = append(b, prioByte(l.prio))
	b = append(b, l.group...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint64(b, l.id)
}

// appendBlock appends what the keys of the item's block have in common.
func (l loc) appendBlock(b []byte) []byte {
	return binary.BigEndian.AppendUint64(appendLanePrefix(b, l.queue, l.lane()), l.block)
}

// appendSettledKey appends the key of the settled items of the item's block.
func (l loc) appendSettledKey(b []byte) []byte {
	return append(l.appendBlock(b), byte(formSettled))
}

// appendStart appends the key at which a scan begins that is to find the item
// with all that is known of it.
func (l loc) appendStart(b []byte) []byte {
	if l.block != 0 {
		return l.appendSettledKey(b)
	}
	return l.appendKey(b)
}

// appendPlace appends a name for the place, different for each item.
func (l loc) appendPlace(b []byte) []byte {
	b = l.appendKey(b)
	if l.block != 0 {
		b = binary.BigEndian.AppendUint64(b, l.id)
	}
	return b
}

// parsePlace is the inverse of appendPlace.
func parsePlace(place []byte) (loc, error) {
	l, form, err := parseKey(place, "")
	switch n := len(place) - 8; {
	case err == nil && form == formItem:
		return l, nil
	case n > 0:
		if l, form, err = parseKey(place[:n], ""); err == nil && form == formBlock {
			if l.id = binary.BigEndian.Uint64(place[n:]); l.id >= l.block {
				return l, nil
			}
		}
	}
	return l, fmt.Errorf("%w: place %q", ErrCorrupt, place)
}

// parseLoc returns where the item lies that is stored alone under a key.
func parseLoc(key []byte) (loc, error) {
	l, form, err := parseKey(key, "")
	if err == nil && form != formItem {
		err = fmt.Errorf("%w: item key %q", ErrCorrupt, key)
	}
	return l, err
}

// parseKey reads the key of a stored item or block. Its id is the item's, or the
// block's. If the group is the given one it is not copied.
func parseKey(key []byte, group string) (l loc, form keyForm, err error) {
	bad := func() (loc, keyForm, error) {
		return loc{}, 0, fmt.Errorf("%w: item key %q", ErrCorrupt, key)
	}
	if len(key) > 3 && key[0] == kindAway {
		return parseAwayKey(key, group)
	}
	if len(key) < 7+1+1+8 {
		return bad()
	}
	l.queue = binary.BigEndian.Uint16(key[1:])
	l.epoch = binary.BigEndian.Uint32(key[3:])
	rest := key[7:]
	switch key[0] {
	case kindReady:
	case kindDelayed:
		if len(rest) < 8+1+1+8 {
			return bad()
		}
		if l.due = int64(binary.BigEndian.Uint64(rest)); l.due <= 0 {
			return bad()
		}
		rest = rest[8:]
	default:
		return bad()
	}
	l.prio = bytePrio(rest[0])
	n := bytes.IndexByte(rest[1:], 0)
	if n < 0 {
		return bad()
	}
	name, rest := rest[1:1+n], rest[1+n+1:]
	if l.group = group; string(name) != group {
		l.group = string(name)
	}
	if form = formItem; len(rest) == 9 && key[0] == kindReady && rest[8] <= byte(formBlock) {
		form, rest = keyForm(rest[8]), rest[:8]
	}
	if !l.parseID(rest, form) {
		return bad()
	}
	return l, form, nil
}

// parseAwayKey is parseKey for an item, or block, that is deferred with its group.
func parseAwayKey(key []byte, group string) (l loc, form keyForm, err error) {
	l.queue, l.epoch = binary.BigEndian.Uint16(key[1:]), deferredEpoch
	name, rest, ok := bytes.Cut(key[3:], []byte{0})
	if l.group = group; string(name) != group {
		l.group = string(name)
	}
	if form = formItem; len(rest) == 1+9 && rest[9] <= byte(formBlock) {
		form, rest = keyForm(rest[9]), rest[:9]
	}
	if !ok || len(rest) != 1+8 || !l.parseID(rest[1:], form) {
		return loc{}, 0, fmt.Errorf("%w: item key %q", ErrCorrupt, key)
	}
	l.prio = bytePrio(rest[0])
	return l, form, nil
}

// parseID reads the id in a key of that form.
func (l *loc) parseID(b []byte, form keyForm) bool {
	if len(b) != 8 {
		return false
	}
	l.id = binary.BigEndian.Uint64(b)
	if form != formItem {
		l.block = l.id
	}
	return form == formItem || l.id != 0
}

// appendLanePrefix appends the common prefix of the ready items of a lane.
func appendLanePrefix(b []byte, q uint16, k laneKey) []byte {
	if k.epoch == deferredEpoch {
		return append(appendAwayPrefix(b, q, k.group), prioByte(k.prio))
	}
	b = append(appendEpoch(b, kindReady, q, k.epoch), prioByte(k.prio))
	return append(append(b, k.group...), 0)
}

// appendAwayPrefix appends the common prefix of the items that are deferred with
// a group.
func appendAwayPrefix(b []byte, q uint16, group string) []byte {
	return append(append(appendQueue(b, kindAway, q), group...), 0)
}

func appendLaneKey(b []byte, q uint16, k laneKey) []byte {
	b = append(appendEpoch(b, kindLane, q, k.epoch), prioByte(k.prio))
	return append(append(b, k.group...), 0)
}

func appendPointerKey(b []byte, q uint16, k laneKey, due int64) []byte {
	b = append(appendEpoch(b, kindPointer, q, k.epoch), prioByte(k.prio))
	b = binary.BigEndian.AppendUint64(b, uint64(due))
	return append(append(b, k.group...), 0)
}

// parsePointerKey is the inverse of appendPointerKey.
func parsePointerKey(key []byte) (k laneKey, due int64, err error) {
	if len(key) < 7+1+8+1 || key[0] != kindPointer || key[len(key)-1] != 0 {
		return k, 0, fmt.Errorf("%w: pointer key %q", ErrCorrupt, key)
	}
	k.epoch = binary.BigEndian.Uint32(key[3:])
	k.prio = bytePrio(key[7])
	due = int64(binary.BigEndian.Uint64(key[8:]))
	k.group = string(key[16 : len(key)-1])
	return k, due, nil
}

func appendExpiryKey(b []byte, q uint16, at int64, id uint64) []byte {
	b = binary.BigEndian.AppendUint64(appendQueue(b, kindExpiry, q), uint64(at))
	return binary.BigEndian.AppendUint64(b, id)
}

func appendDeferralKey(b []byte, q uint16, group string) []byte {
	return append(appendQueue(b, kindDeferral, q), group...)
}

func appendReasonKey(b []byte, q uint16, id uint64) []byte {
	return binary.BigEndian.AppendUint64(appendQueue(b, kindReason, q), id)
}

func appendDeadKey(b []byte, q uint16, id uint64) []byte {
	return binary.BigEndian.AppendUint64(appendQueue(b, kindDead, q), id)
}

// deadID is the id in a key of appendDeadKey.
func deadID(key []byte) uint64 { return binary.BigEndian.Uint64(key[deadKeyLen-idLen:]) }

func appendGroupKey(b []byte, q uint16, group string) []byte {
	return append(appendQueue(b, kindGroup, q), group...)
}

func appendNameKey(b []byte, q uint16, name string) []byte {
	return append(appendQueue(b, kindName, q), name...)
}

func appendMarkKey(b []byte, q uint16, h hash128) []byte {
	return append(appendQueue(b, kindMark, q), h[:]...)
}

func appendTableKey(b []byte, table string, key []byte) []byte {
	b = append(append(b, kindTable), table...)
	return append(append(b, 0), key...)
}

func metaKey(name string) []byte { return append([]byte{kindMeta}, name...) }

// prefixEnd returns the first key after all keys that start with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// keyAfter returns the first possible key after key.
func keyAfter(key []byte) []byte { return append(bytes.Clone(key), 0) }

// epochOf reads the epoch out of a key of a kind that has one.
func epochOf(key []byte) uint32 { return binary.BigEndian.Uint32(key[3:]) }
