// Command weir crawls the web and turns pages into text and tags; see
// "weir help".
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/seed-301537d8/weir/internal/cli"
	"github.com/seed-301537d8/weir/internal/cli/memory"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(memory.GCPercent)
	}
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of the write
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
