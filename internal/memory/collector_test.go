package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestLimitLeavesRoomToWhatIsAlive(t *testing.T) {
	for _, tc := range []struct{ live, want int64 }{
		{0, 112}, {40, 112}, {64, 120}, {100, 168}, {1000, 1520},
	} {
		if got := limit(uint64(tc.live << 20)); got != tc.want<<20 {
			t.Errorf("limit(%d MiB) = %d MiB, want %d", tc.live, got>>20, tc.want)
		}
	}
}

// The limit follows what is alive, up and down.
func TestLimitFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	TuneCollector()
	large := make([]byte, 256<<20)
	for debug.SetMemoryLimit(-1) < 256<<20+limitRest { // or until the time of the test is over
		runtime.GC()
	}
	runtime.KeepAlive(large)
	large = nil
	for debug.SetMemoryLimit(-1) > limitFloor {
		runtime.GC()
	}
}
