package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestLimitLeavesRoomToWhatIsAlive(t *testing.T) {
	for _, tc := range []struct{ live, ceiling, want int64 }{
		{0, 256, 112}, {40, 256, 112}, {64, 256, 120}, {76, 256, 168}, {80, 256, 184}, {100, 256, 224}, {150, 256, 256},
		{160, 256, 256}, {200, 256, 256}, {240, 256, 288}, {1000, 256, 1144}, {1000, 1 << 20, 2024},
	} {
		if got := limit(uint64(tc.live<<20), limitFloor, tc.ceiling<<20); got != tc.want<<20 {
			t.Errorf("limit(%d MiB, %d MiB) = %d MiB, want %d", tc.live, tc.ceiling, got>>20, tc.want)
		}
	}
}

// The limit follows what is alive, up and down.
func TestLimitFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	TuneCollector()
	SetBudget(0)
	done := Save()
	for debug.SetMemoryLimit(-1) >= limitFloor {
		runtime.GC()
	}
	done()
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
