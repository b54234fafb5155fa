package badgerqueue

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// badgerLogger hands Badger's messages on. Two of them are the only sign of
// something that the store must know.
type badgerLogger struct{ d *store }

const (
	// A compactor says this between having built the new tables and putting
	// them in place of the old ones.
	compactionBuilt = "Discard stats: "
	// Badger goes on when it could not make large values durable.
	valuesNotSynced = "Error while curlf sync: "
)

func (l badgerLogger) message(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}

func (l badgerLogger) Errorf(format string, args ...any) {
	msg := l.message(format, args)
	if strings.HasPrefix(format, valuesNotSynced) {
		l.d.fail(fmt.Errorf("sync large values: %s", msg))
	}
	l.d.log.Error("badger", "msg", msg)
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.d.log.Warn("badger", "msg", l.message(format, args))
}

func (l badgerLogger) Infof(format string, args ...any) {
	if l.d.log.Enabled(context.Background(), slog.LevelDebug) {
		l.d.log.Debug("badger", "msg", l.message(format, args))
	}
}

func (l badgerLogger) Debugf(format string, _ ...any) {
	if strings.HasPrefix(format, compactionBuilt) {
		l.d.beforeCompaction()
	}
}
