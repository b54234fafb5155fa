package command

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
)

// A subcommand that panics for another process fails there, and the process that crawls
// goes on.
func TestPanicForAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	p, err := parsePlace(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{name: "weir", options: crawler.Options{}}
	l, err := a.openLive(p, nil, true, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	store := l.store
	l.store = nil // which a subcommand cannot know
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var stdout, stderr bytes.Buffer
		code, err := forward(ctx, dir, []string{"status"}, &stdout, &stderr)
		cancel()
		if err != nil || code != exitFailure || !strings.Contains(stderr.String(), "panic: ") || !strings.Contains(stderr.String(), "forward.go:") {
			t.Errorf("code %d, %v, %q, %q", code, err, stdout.String(), stderr.String())
		}
	}
	l.store = store
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
