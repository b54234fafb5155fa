package queue

import (
	"encoding/binary"
	"sync"
	"testing"
)

// filterID returns the i-th of many marks.
func filterID(i int) markID {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(i))
	return markID{uint16(1 + i%3), secret{1, 2}.hash(string(key[:]))}
}

func TestMarkFilter(t *testing.T) {
	const n = 100_000
	for _, c := range []struct {
		name     string
		bytes    int64
		oneIn    int // of new keys are looked up in vain, at most
		expected string
	}{
		{"a byte for each key", n, 25, "one in 30"},
		{"two bytes for each key", 2 * n, 400, "one in 700"},
		{"one block", 32, 1, "all"},
	} {
		f := newMarkFilter(c.bytes)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < n; i += 4 {
					f.add(filterID(i))
				}
			})
		}
		wg.Wait()
		if f.lacks(filterID(n)) {
			t.Errorf("%s: the filter has answers before it is complete", c.name)
		}
		f.complete.Store(true)
		for i := range n {
			if f.lacks(filterID(i)) {
				t.Fatalf("%s: key %d was added and is lacking", c.name, i)
			}
		}
		vain := 0
		for i := n; i < 2*n; i++ {
			if !f.lacks(filterID(i)) {
				vain++
			}
		}
		t.Logf("%s: %d of %d new keys are looked up, expected %s", c.name, vain, n, c.expected)
		if vain*c.oneIn > n {
			t.Errorf("%s: %d of %d new keys are looked up, expected %s", c.name, vain, n, c.expected)
		}
	}
	var none *markFilter
	none.add(filterID(1))
	if none.lacks(filterID(2)) || newMarkFilter(-1) != nil {
		t.Error("there is a filter where none was wanted")
	}
}
