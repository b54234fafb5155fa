package command

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
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
