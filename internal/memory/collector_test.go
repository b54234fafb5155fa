package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestLimitLeavesRoomToWhatIsAlive(t *testing.T) {
	for _, tc := range []struct {
		live    int64
		texts   bool
		ceiling int64
		want    int64
	}{
		{0, false, 256, 112}, {40, false, 256, 112}, {64, false, 256, 120}, {100, false, 256, 168}, {150, false, 256, 248},
		{160, false, 256, 256}, {200, false, 256, 256}, {240, false, 256, 288}, {1000, false, 256, 1144}, {1000, false, 1 << 20, 1520},
		{40, true, 256, 112}, {76, true, 256, 176}, {150, true, 256, 256}, {240, true, 256, 288}, {1000, true, 1 << 20, 2024},
	} {
		if got := limit(uint64(tc.live<<20), tc.texts, limitFloor, tc.ceiling<<20); got != tc.want<<20 {
			t.Errorf("limit(%d MiB, %v, %d MiB) = %d MiB, want %d", tc.live, tc.texts, tc.ceiling, got>>20, tc.want)
		}
	}
}

// The limit follows what is alive, up and down.
func TestLimitFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	TuneCollector()
	SetBudget(0, false)
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
