package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/seed-301537d8/weir/queue"
)

// The types of bodies.
const (
	typeJSON = "application/json"
	typeCBOR = "application/cbor"
)

// Names, keys and headers are bytes to a store, and CBOR takes them as they are. In JSON
// what is no UTF-8 is replaced, as that has no way to say it.
var (
	cborEncoding = must(cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode())
	cborDecoding = must(cbor.DecOptions{
		UTF8: cbor.UTF8DecodeInvalid, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 16, MaxNestedLevels: maxNested,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // an option that this version of the library does not have
	}
	return v
}

// isBinary reports whether a body of this type is CBOR.
func isBinary(contentType string) bool {
	if contentType == typeCBOR {
		return true
	}
	t, _, _ := mime.ParseMediaType(contentType)
	return t == typeCBOR
}

func encode(v any, binary bool) ([]byte, error) {
	if binary {
		return cborEncoding.Marshal(v)
	}
	return json.Marshal(v)
}

// decode reads a body of up to limit bytes into a message.
func decode(body io.Reader, limit int64, binary bool, v any) error {
	b, err := readBody(body, limit, -1)
	if err != nil {
		return err
	}
	return unmarshal(b, binary, v)
}

// readBody reads a body of up to limit bytes, whose length is given or negative.
func readBody(body io.Reader, limit, length int64) ([]byte, error) {
	var buf bytes.Buffer
	if 0 < length && length <= 1<<16 {
		buf.Grow(int(length) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: message of more than %d bytes", queue.ErrTooLarge, limit)
	}
	return buf.Bytes(), nil
}

func unmarshal(b []byte, binary bool, v any) (err error) {
	if binary {
		err = cborDecoding.Unmarshal(b, v)
	} else {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("%w: message: %w", queue.ErrInvalid, err)
	}
	return nil
}

// Errors of this package.
var (
	// ErrUnavailable is returned when a server could not be reached for the time of
	// Options.Patience, and by a server that is not the leader of its store.
	ErrUnavailable = errors.New("server is unavailable")

	// ErrUnauthorized is returned when the token is missing or wrong.
	ErrUnauthorized = errors.New("token is missing or wrong")

	// ErrForbidden is returned when the token's role does not allow a call.
	ErrForbidden = errors.New("role does not allow it")

	// ErrProtocol is returned when client and server do not understand each other. The
	// message says which of them to upgrade.
	ErrProtocol = errors.New("protocol error")

	// ErrBusy is returned by a server that has as many clients, sessions or calls as
	// it may, of all or of those at one address.
	ErrBusy = errors.New("server is busy")
)

// errUnknownClient says that the server does not know the client, or not any more: what
// it held has been given back.
var errUnknownClient = errors.New("client is not known here, or its lease has run out")

// errorCode is how an error travels: as a code, with the status of an answer.
type errorCode struct {
	code   string
	err    error
	status int
}

// errorCodes are in the order in which an error is compared with them.
var errorCodes = []errorCode{
	{"unauthorized", ErrUnauthorized, http.StatusUnauthorized},
	{"forbidden", ErrForbidden, http.StatusForbidden},
	{"busy", ErrBusy, http.StatusTooManyRequests},
	{"unavailable", ErrUnavailable, http.StatusServiceUnavailable},
	{"protocol", ErrProtocol, http.StatusBadRequest},
	{"fenced", queue.ErrFenced, http.StatusServiceUnavailable},
	{"failed", queue.ErrFailed, http.StatusServiceUnavailable},
	{"closed", queue.ErrClosed, http.StatusServiceUnavailable},
	{"lease_lost", queue.ErrLeaseLost, http.StatusConflict},
	{"unknown_client", errUnknownClient, http.StatusConflict},
	{"settled", queue.ErrSettled, http.StatusConflict},
	{"foreign", queue.ErrForeign, http.StatusConflict},
	{"not_direct", queue.ErrNotDirect, http.StatusConflict},
	{"conflict", queue.ErrConflict, http.StatusConflict},
	{"forgotten", queue.ErrForgotten, http.StatusConflict},
	{"queue_full", queue.ErrQueueFull, http.StatusConflict},
	{"disk_full", queue.ErrDiskFull, http.StatusInsufficientStorage},
	{"too_large", queue.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{"barrier", queue.ErrBarrier, http.StatusBadRequest},
	{"too_many_barriers", queue.ErrTooManyBarriers, http.StatusConflict},
	{"too_many_deferred", queue.ErrTooManyDeferred, http.StatusConflict},
	{"unknown_queue", queue.ErrUnknownQueue, http.StatusNotFound},
	{"queue_in_use", queue.ErrQueueInUse, http.StatusConflict},
	{"name_in_use", queue.ErrNameInUse, http.StatusConflict},
	{"not_found", queue.ErrNotFound, http.StatusNotFound},
	{"corrupt", queue.ErrCorrupt, http.StatusInternalServerError},
	{"invalid", queue.ErrInvalid, http.StatusBadRequest},
}

// problemOf returns what is sent of an error, and the status of the answer.
func problemOf(err error) (*problem, int) {
	p, status := &problem{Message: err.Error()}, 0
	for _, c := range errorCodes {
		switch {
		case !errors.Is(err, c.err):
		case status == 0:
			p.Code, status = c.code, c.status
		default:
			p.Also = append(p.Also, c.code)
		}
	}
	if status == 0 {
		p.Code, status = "internal", http.StatusInternalServerError
	}
	return p, status
}

// remoteError is an error of a server: its text, and the errors of this package or of
// package queue that it wraps there.
type remoteError struct {
	text string
	is   []error
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() []error { return e.is }

func (p *problem) err() error {
	e := &remoteError{text: p.Message}
	for _, c := range errorCodes {
		if c.code == p.Code || slices.Contains(p.Also, c.code) {
			e.is = append(e.is, c.err)
		}
	}
	if len(e.is) == 0 {
		e.text = "server: " + p.Message
	}
	return e
}

// Times travel as Unix milliseconds, or as waits in microseconds where the clocks of
// client and server need not agree.

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// toWait is how long it is until t: 0 if t is zero, and else not 0.
func toWait(t, now time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if wait := toDelay(t.Sub(now)); wait != 0 {
		return wait
	}
	return -1 // it is now
}

func fromWait(us int64, now time.Time) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return now.Add(fromDelay(us))
}

// text returns what JSON has in place of bytes: themselves, if they are UTF-8.
func text(b []byte) *string {
	if len(b) == 0 || !utf8.Valid(b) {
		return nil
	}
	s := string(b)
	return &s
}

// either returns the bytes of a message that may have a text in their place.
func either(b []byte, text *string) []byte {
	if text != nil {
		return []byte(*text)
	}
	return b
}
