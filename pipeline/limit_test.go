package pipeline

import (
	"testing"
	"testing/synctest"
)

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
		l.begin()
		l.adjust(roomy)
		if busy, limit := l.now(); busy != 1 || limit != 2 {
			t.Fatalf("%d of %d slots are busy, want one of 2", busy, limit)
		}
		l.release(1)
		l.end()
	}
	if n, _ := l.acquire(t.Context(), 64); n != 2 {
		t.Fatalf("acquired %d slots, want both", n)
	}
	l.begin()
	l.begin()
	l.adjust(roomy)
	if busy, limit := l.now(); busy != 2 || limit != 3 {
		t.Errorf("%d of %d slots are busy, want 2 of 3 where all are in use", busy, limit)
	}
}

// A value that is at hand may have the slot that waits for one; the two do not work at
// the same time.
func TestSlotsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		if _, err := l.acquire(t.Context(), 64); err != nil {
			t.Fatal(err)
		}
		if !l.tryBegin() {
			t.Fatal("nobody works, and there is no slot")
		}
		if l.tryBegin() {
			t.Error("two values in one slot")
		}
		began := false
		go func() { l.begin(); began = true }()
		synctest.Wait()
		if began {
			t.Error("work begins in a slot that is busy")
		}
		l.end()
		synctest.Wait()
		if busy, _ := l.now(); !began || busy != 1 {
			t.Errorf("began %v, %d busy, want one", began, busy)
		}
		l.end()
		if n, err := l.acquire(t.Context(), 64); n != 1 || err != nil {
			t.Errorf("%d slots in the end, %v, want 1", n, err)
		}
	})
}
