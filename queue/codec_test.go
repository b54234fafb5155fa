package queue

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

// FuzzDecode gives arbitrary bytes to everything that reads what is stored. All
// of it must either refuse them with ErrCorrupt or take them.
func FuzzDecode(f *testing.F) {
	item := appendItem(nil, &Item{Key: "k", Body: []byte("body"), Headers: map[string]string{"h": "v"}, Expires: time.UnixMilli(5)}, 3, 7)
	at := loc{queue: 1, epoch: 2, prio: 3, group: "g", id: 77, block: 70}
	block := appendBlockItem(appendBlockItem([]byte{blockFormat}, 0, item), 7, item)
	dead := deadRecord{at: loc{queue: 1, group: "g", id: 5}, value: item}
	for _, seed := range [][]byte{
		nil, item, block, at.appendKey(nil), at.appendPlace(nil), at.appendSettledKey(nil),
		loc{queue: 1, due: 9, group: "g", id: 5}.appendKey(nil),
		appendPointerKey(nil, 1, at.lane(), 8), mark{ever: true, at: at}.append(nil), dead.append(nil, appendReason(nil, ErrSettled)),
		(&groupRecord{nextDue: 4}).append(nil), (&epochCounts{live: 4}).append(nil),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var counts queueCounts
		var epoch epochCounts
		_, _, err1 := parseKey(b, "")
		_, err2 := parseLoc(b)
		_, err3 := parsePlace(b)
		_, _, err4 := parsePointerKey(b)
		_, err5 := decodeItem(loc{}, b)
		_, err6 := makeRef(1, b)
		_, err7 := decodeMark(1, b)
		_, err8 := decodeDead(b)
		_, err9 := decodeGroup(b)
		blk, err10 := readBlock(1, b, 0, 0)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, counts.decode(b), epoch.decode(b)} {
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("decoder %d: %v does not wrap ErrCorrupt", i, err)
			}
		}
		if err10 == nil && (blk.count < 1 || blk.count > blockItems) {
			t.Errorf("block of %d items", blk.count)
		}
		if err5 == nil && err6 != nil {
			t.Errorf("an item that can be decoded has no head: %v", err6)
		}
		if l, err := parsePlace(b); err == nil && !bytes.Equal(l.appendPlace(nil), b) {
			t.Errorf("place %q is %+v, which is %q", b, l, l.appendPlace(nil))
		}
	})
}

func TestKeysAreReadAsTheyWereWritten(t *testing.T) {
	for _, l := range []loc{
		{queue: 1, id: 1},
		{queue: 65535, epoch: math.MaxUint32, prio: MaxPriority, group: "example.org", id: math.MaxUint64},
		{queue: 3, epoch: 4, due: 5, prio: -MaxPriority, group: "g", id: 6},
		{queue: 3, epoch: 4, group: "\x01", id: 6 << 40, block: 6<<40 - 5},
		{queue: 3, epoch: 4, id: 1 << 56, block: 1 << 56},
	} {
		got, err := parsePlace(l.appendPlace(nil))
		if err != nil || got != l {
			t.Errorf("place of %+v is read as %+v, %v", l, got, err)
		}
		got, form, err := parseKey(l.appendKey(nil), "g")
		want := l
		if l.block != 0 {
			want.id = l.block
		}
		if err != nil || got != want || (form == formBlock) != (l.block != 0) {
			t.Errorf("key of %+v is read as %+v, form %d, %v", l, got, form, err)
		}
		m := mark{ever: l.id%2 == 0, at: l}
		if got, err := decodeMark(l.queue, m.append(nil)); err != nil || got != m {
			t.Errorf("mark %+v is read as %+v, %v", m, got, err)
		}
	}
}

func TestOrderOfKeysInALane(t *testing.T) {
	l := loc{queue: 1, epoch: 2, group: "g", id: 64}
	alone := l
	l.block = 64
	before, after := loc{queue: 1, epoch: 2, group: "g", id: 63}, loc{queue: 1, epoch: 2, group: "g", id: 65}
	keys := [][]byte{before.appendKey(nil), alone.appendKey(nil), l.appendSettledKey(nil), l.appendKey(nil), after.appendKey(nil)}
	for i := range keys[1:] {
		if bytes.Compare(keys[i], keys[i+1]) >= 0 {
			t.Errorf("key %d, %q, does not come before %q", i, keys[i], keys[i+1])
		}
	}
}

func TestBlockIsRefusedUnlessItsIDsGrow(t *testing.T) {
	item := appendItem(nil, &Item{Body: []byte("body")}, 0, 1)
	steps := func(steps ...uint64) []byte {
		b := []byte{blockFormat}
		for _, step := range steps {
			b = appendBlockItem(b, step, item)
		}
		return b
	}
	if b, err := readBlock(70, steps(0, 1, 5), 0, 0); err != nil || b.last != 76 || b.count != 3 {
		t.Errorf("a block with growing ids is read as %+v, %v", b, err)
	}
	for name, block := range map[string][]byte{
		"an id twice":                        steps(0, 1, 0),
		"a first id that is not the block's": steps(1, 1),
		"ids that wrap":                      steps(0, math.MaxUint64-50),
		"no items":                           steps(),
	} {
		if _, err := readBlock(70, block, 0, 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a block with %s is read: %v", name, err)
		}
	}
}
