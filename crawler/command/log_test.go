package command

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Of a message that comes a thousand times, of as many dead hosts, some lines are
// written, and then one for all the others every now and then.
func TestAThousandDeadHostsAreFewLines(t *testing.T) {
	var out bytes.Buffer
	h := &summarizing{to: slog.NewTextHandler(&out, nil), said: &said{count: make(map[string]*repeated)}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	say := func(level slog.Level, message string) {
		t.Helper()
		if err := h.Handle(context.Background(), slog.NewRecord(now, level, message, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		say(slog.LevelWarn, "host does not answer")
	}
	say(slog.LevelWarn, "something else")
	for range 7 {
		say(slog.LevelError, "an error")
	}
	if got := strings.Count(out.String(), "\n"); got != logInFull+1+7 {
		t.Errorf("%d lines:\n%s", got, out.String())
	}
	now = now.Add(logNextLine)
	out.Reset()
	say(slog.LevelWarn, "host does not answer")
	say(slog.LevelWarn, "host does not answer")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "995 lines like this were left out") {
		t.Errorf("after a while:\n%s", got)
	}
}
