package pipeline

import "testing"

// A stage that waits for values has slots and does not use them: it is not busy, and
// needs no more of them.
func TestWaitingIsNotWork(t *testing.T) {
	l := newLimiter(2, 16)
	for range 10 {
		n, err := l.acquire(t.Context(), 64)
		if err != nil || n != 2 {
			t.Fatalf("acquired %d slots, %v, want both", n, err)
		}
		l.adjust(roomy)
		if busy, limit := l.now(); busy != 0 || limit != 2 {
			t.Fatalf("%d of %d slots are busy, want none of 2", busy, limit)
		}
		l.begin(1)
		l.adjust(roomy)
		if busy, limit := l.now(); busy != 1 || limit != 2 {
			t.Fatalf("%d of %d slots are busy, want one of 2", busy, limit)
		}
		l.release(1)
		l.end(1)
	}
	if n, _ := l.acquire(t.Context(), 64); n != 2 {
		t.Fatalf("acquired %d slots, want both", n)
	}
	l.begin(2)
	l.adjust(roomy)
	if busy, limit := l.now(); busy != 2 || limit != 3 {
		t.Errorf("%d of %d slots are busy, want 2 of 3 where all are in use", busy, limit)
	}
}
