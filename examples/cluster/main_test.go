package main

import (
	"os"
	"testing"

	"github.com/seed-301537d8/weir/crawler/command"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWeir) != "" {
		command.Main(nil) // it exits
	}
	os.Exit(m.Run())
}

func TestCluster(t *testing.T) {
	if err := run(t.Context(), 1, 40); err != nil {
		t.Fatal(err)
	}
}
