package cputime_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
)

func TestUsed(t *testing.T) {
	begun := cputime.Used()
	for n := 0; cputime.Used() < begun+20*time.Millisecond; n++ { // a hang if it does not grow
		if used := cputime.Used(); used < begun {
			t.Fatalf("%v after %v", used, begun)
		}
	}
}

func TestOfThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun, process := cputime.OfThread(), cputime.Used()
	for cputime.OfThread() < begun+20*time.Millisecond { // a hang if it does not grow
	}
	if runtime.GOOS == "linux" && cputime.Used() < process+10*time.Millisecond {
		t.Error("a thread has used more of the processor than its process")
	}
}
