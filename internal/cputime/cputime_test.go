package cputime_test

import (
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
