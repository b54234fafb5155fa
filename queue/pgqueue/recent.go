package pgqueue

import "github.com/seed-301537d8/weir/queue/driver"

// recent knows of the keys that were written last by which batch, so that their
// rows are deleted by key and number, and found at once among any number of dead
// ones. A key that was deleted has the number 0. What it does not know is deleted
// by the key alone.
//
// It holds at most two generations of recentKeys keys.
type recent struct {
	young, old map[string]int64
}

const recentKeys = 32 << 10

func (r *recent) number(key string) (n int64, ok bool) {
	if n, ok = r.young[key]; !ok {
		n, ok = r.old[key]
	}
	return n, ok
}

func (r *recent) set(key string, n int64) {
	if r.young == nil || len(r.young) >= recentKeys {
		r.old, r.young = r.young, make(map[string]int64)
	}
	r.young[key] = n
}

// batch is what a batch does to the rows of kv.
type batch struct {
	oldKeys    [][]byte // rows that go, by key and number
	oldNumbers []int64
	coldKeys   [][]byte // rows that go, by key, if they are there
	newKeys    [][]byte
	newValues  [][]byte // sealed
	gone       []string // keys that are deleted
	put        []string // of newKeys
}

// plan turns writes into a batch. Of the writes to a key the last counts.
func (r *recent) plan(writes []driver.Write, size int) *batch {
	n := len(writes)
	b := &batch{
		oldKeys: make([][]byte, 0, n), oldNumbers: make([]int64, 0, n), coldKeys: make([][]byte, 0, n),
		newKeys: make([][]byte, 0, n), newValues: make([][]byte, 0, n), put: make([]string, 0, n),
	}
	sealed := make([]byte, 0, size)      // enough for all: limits.Overhead is more than a checksum
	unsought := make(map[string]bool, n) // of the keys so far: not looked for, since the last write was New
	for i := n - 1; i >= 0; i-- {
		w := &writes[i]
		if skipped, written := unsought[string(w.Key)]; written {
			if skipped { // it is new only after this write, which is left out
				unsought[string(w.Key)] = false
				b.coldKeys = append(b.coldKeys, w.Key)
			}
			continue
		}
		key := string(w.Key)
		number, known := r.number(key)
		unsought[key] = !known && w.New
		switch {
		case !known && w.New:
		case !known:
			b.coldKeys = append(b.coldKeys, w.Key)
		case number != 0:
			b.oldKeys = append(b.oldKeys, w.Key)
			b.oldNumbers = append(b.oldNumbers, number)
		}
		if w.Delete {
			b.gone = append(b.gone, key)
			continue
		}
		from := len(sealed)
		sealed = seal(sealed, w.Key, w.Value)
		b.newKeys = append(b.newKeys, w.Key)
		b.newValues = append(b.newValues, sealed[from:len(sealed):len(sealed)])
		b.put = append(b.put, key)
	}
	return b
}

// apply takes in that a batch is durable.
func (r *recent) apply(b *batch, number int64) {
	for _, key := range b.gone {
		r.set(key, 0)
	}
	for _, key := range b.put {
		r.set(key, number)
	}
}
