package command

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What packages write to the standard log goes where the command's own lines go.
func TestStandardLog(t *testing.T) {
	var lines bytes.Buffer
	restore := standardLog(slog.New(slog.NewTextHandler(&lines, nil)))
	log.Print("Unsolicited \x1b[2J")
	restore()
	if got := lines.String(); !strings.Contains(got, `level=INFO msg="Unsolicited \x1b[2J"`) {
		t.Errorf("logged %q", got)
	}
}

// The end of a connection to a database or a host is no sign that nobody reads the output.
func TestBrokenConnectionIsAFailure(t *testing.T) {
	a := &app{name: "weir", err: io.Discard, parsed: true, to: &outlet{w: io.Discard}}
	if code := a.exitCode(t.Context(), new(cobra.Command), fmt.Errorf("commit: %w", io.ErrClosedPipe)); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
}
