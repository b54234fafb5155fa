package queue

import "testing"

// However few values a lane has, and of whatever size, they take about what they hold:
// where groups are many most lanes have one or two.
func TestSlabTakesAboutWhatItHolds(t *testing.T) {
	for _, size := range []int{1, 100, 300, slabLast / 8, slabLast} {
		var s slab
		held, taken := 0, 0
		for n := range 500 {
			b := s.clone(make([]byte, size))
			if held += len(b); size > slabLast/8 {
				taken += len(b)
			} else if len(s.free) == len(b) { // the first of a piece
				taken += cap(s.free)
			}
			if most := 3*held + slabFirst; taken > most {
				t.Fatalf("%d values of %d bytes take %d bytes, want %d at most", n+1, size, taken, most)
			}
		}
	}
}
