package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// The forms of log lines.
const (
	logText = "text"
	logJSON = "json"
)

// logFlags say what is logged, how, and where to.
type logFlags struct{ level, format, file string }

// open returns the logger that the flags ask for, which writes to the console unless
// there is a file, and what closes it.
func (f *logFlags) open(con *console, verbose bool) (*slog.Logger, func() error, error) {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	switch f.level {
	case "":
	case "off":
		return slog.New(slog.DiscardHandler), func() error { return nil }, nil
	default:
		if err := level.UnmarshalText([]byte(f.level)); err != nil {
			return nil, nil, usagef("--log-level is %q; %v", f.level, err)
		}
	}
	var w io.Writer = con
	closeFile := func() error { return nil }
	if f.file != "" {
		file, err := os.OpenFile(f.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, usagef("--log-file: %v", err)
		}
		w, closeFile = file, file.Close
	}
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if f.format == logJSON {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(&summarizing{to: h, said: &said{count: make(map[string]*repeated)}}), closeFile, nil
}

// A message that comes again and again, of each of a thousand dead hosts, is logged
// some times in full, and from then on as one line with the number of the others
// every now and then.
const (
	logInFull   = 5
	logNextLine = 30 * time.Second
)

// summarizing is a handler that does so. Messages are told apart by their text
// alone, which says what has happened; attributes say to what.
type summarizing struct {
	to   slog.Handler
	said *said
}

type said struct {
	mu    sync.Mutex
	count map[string]*repeated
}

type repeated struct {
	n      int // in all
	hidden int // since the last line
	last   time.Time
}

// maxMessages bounds the messages that are counted.
const maxMessages = 1000

func (s *summarizing) Enabled(ctx context.Context, l slog.Level) bool { return s.to.Enabled(ctx, l) }

func (s *summarizing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &summarizing{s.to.WithAttrs(attrs), s.said}
}

func (s *summarizing) WithGroup(name string) slog.Handler {
	return &summarizing{s.to.WithGroup(name), s.said}
}

func (s *summarizing) Handle(ctx context.Context, r slog.Record) error {
	if r.Level <= slog.LevelDebug || r.Level >= slog.LevelError {
		return s.to.Handle(ctx, r)
	}
	hidden, show := s.said.next(r.Message, r.Time)
	if !show {
		return nil
	}
	if hidden > 0 {
		r = r.Clone()
		r.AddAttrs(slog.String("more", fmt.Sprintf("%d lines like this were left out; 'weir status' and 'weir holding' have all", hidden)))
	}
	return s.to.Handle(ctx, r)
}

// next counts a message, and reports whether it is to be shown, and how many before
// it were not.
func (s *said) next(message string, now time.Time) (hidden int, show bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.count[message]
	if r == nil {
		if len(s.count) >= maxMessages {
			return 0, true
		}
		r = new(repeated)
		s.count[message] = r
	}
	r.n++
	if r.n > logInFull && now.Sub(r.last) < logNextLine {
		r.hidden++
		return 0, false
	}
	hidden, r.hidden, r.last = r.hidden, 0, now
	return hidden, true
}
