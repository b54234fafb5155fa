package main

import (
	"context"
	"slices"
	"testing"

	"github.com/seed-301537d8/weir/pipeline"
)

func TestSplit(t *testing.T) {
	out := pipeline.NewOut()
	if err := split(context.Background(), "To be or not", out); err != nil {
		t.Fatal(err)
	}
	got, err := words.Emitted(out)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"to", "be", "or", "not"}; !slices.Equal(got, want) {
		t.Errorf("split emitted %q, want %q", got, want)
	}
}
