package stages

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// bodyBuffers holds the buffers that bodies of unknown size are read into
// before they are copied to their own size. Large ones are left to the
// collector, so that one large page does not stay in memory for good.
var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBuffer = 1 << 20

// wireReader counts what arrives, gives the body's time limit anew with each
// piece, and stops at the cap.
type wireReader struct {
	r    io.Reader
	n    int64
	max  int64
	w    *watch
	idle time.Duration
	last time.Time
	err  error         // the first error from r but io.EOF; a decoder may hide it
	kept *bytes.Buffer // what arrived, or nil

	detached bool // reads from memory: there is nothing to wait for
}

func newWireReader(hr *http.Response, w *watch, idle time.Duration, limit int64) *wireReader {
	return &wireReader{r: hr.Body, max: limit, w: w, idle: idle, last: time.Now()}
}

var errWireTooLarge = errors.New("too much data on the wire")

func (r *wireReader) Read(p []byte) (int, error) {
	if r.n > r.max {
		return 0, errWireTooLarge
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	if r.kept != nil {
		r.kept.Write(p[:n])
	}
	if err != nil {
		if err != io.EOF {
			r.err = err
		}
		return n, err
	}
	// A timer reset per tiny piece costs more than the piece; a twentieth of
	// the limit is precise enough.
	if r.detached {
		return n, nil
	}
	if now := time.Now(); now.Sub(r.last) > r.idle/20 {
		r.last = now
		r.w.again()
	}
	return n, nil
}

// readBody reads, decodes and checks the body of a success into resp.
func (f *Fetcher) readBody(r *FetchRequest, hr *http.Response, resp *FetchResponse, w *watch, idle time.Duration) error {
	maxBody := or(r.MaxBody, or(f.MaxBody, DefaultMaxBody))
	types := r.Types
	if types == nil {
		types = f.types
	}
	maxWire := or(f.MaxWire, maxBody)
	if err := f.checkType(resp, types, nil); err != nil {
		return err
	}
	encodings := contentEncodings(hr.Header["Content-Encoding"])
	if f.Cut {
		// The first part is wanted whatever was announced.
	} else if hr.ContentLength > maxWire || (len(encodings) == 0 && hr.ContentLength > maxBody) {
		return f.fail(resp.URL, ReasonTooLarge, true, fmt.Sprintf("%d bytes announced, %d allowed", hr.ContentLength, min(maxWire, maxBody)), nil)
	}

	wire := newWireReader(hr, w, idle, maxWire)
	var body []byte
	var err error
	if len(encodings) == 0 {
		body, err = readCapped(wire, hr.ContentLength, maxBody)
		if f.KeepWire {
			resp.Wire = body
		}
	} else {
		if f.KeepWire {
			wire.kept = new(bytes.Buffer)
		}
		body, err = f.decode(resp.URL, wire, encodings, maxBody)
		if f.KeepWire {
			resp.Wire = wire.kept.Bytes()
		}
	}
	resp.WireSize, resp.WireCut = wire.n, err != nil
	if wire.err != nil && !errors.Is(wire.err, errWireTooLarge) {
		err = wire.err // a decoder calls every end of data a truncated stream
	}
	if err == nil {
		body, err = f.undoHidden(resp, body, maxBody)
	}
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errWireTooLarge):
		if f.Cut {
			resp.setBody(body)
		}
		return f.fail(resp.URL, ReasonTooLarge, true, fmt.Sprintf("over %d bytes, or over %d on the wire", maxBody, maxWire), err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		resp.setBody(body)
		return f.fail(resp.URL, ReasonTruncated, false, fmt.Sprintf("the body ended after %d bytes", wire.n), err)
	case err != nil:
		if f.Cut {
			resp.setBody(body)
		}
		return err
	}
	if err := f.checkType(resp, types, body); err != nil {
		return err
	}
	resp.setBody(body)
	return nil
}

func (r *FetchResponse) setBody(b []byte) {
	r.Body = b
	r.Digest = sha256.Sum256(b)
}

var errTooLarge = errors.New("body too large")

// readCapped reads r to its end, at most limit bytes. A size that the header
// announced is believed up to a mebibyte: more is only allocated as it arrives.
// What was read is returned with an error, too.
func readCapped(r io.Reader, size, limit int64) ([]byte, error) {
	if size >= 0 && size <= 1<<20 && size <= limit {
		// Two bytes more: one so that the end is seen without growing, one for
		// a body that is longer than announced.
		b := make([]byte, size+1)
		n, err := io.ReadFull(r, b)
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF && int64(n) == size:
			return b[:n:n], nil
		case err != nil:
			return b[:n:n], err
		}
		return readAfter(b, r, limit)
	}
	return readAfter(nil, r, limit)
}

// readAfter reads r to its end behind head.
func readAfter(head []byte, r io.Reader, limit int64) ([]byte, error) {
	buf := bodyBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooledBuffer {
			buf.Reset()
			bodyBuffers.Put(buf)
		}
	}()
	buf.Write(head)
	_, err := buf.ReadFrom(io.LimitReader(r, limit+1-int64(len(head))))
	if int64(buf.Len()) > limit {
		return bytes.Clone(buf.Bytes()[:limit]), errTooLarge
	}
	return bytes.Clone(buf.Bytes()), err
}

// maxErrorWire is how much of the body of an error or a redirect is kept.
const maxErrorWire = 256 << 10

// passOver reads a body that is not a page: a little of it, so that its
// connection can be used again, or as much as is to be kept.
func (f *Fetcher) passOver(hr *http.Response, resp *FetchResponse, w *watch, idle time.Duration, little int64) {
	if !f.KeepWire {
		drain(hr.Body, little)
		return
	}
	wire := newWireReader(hr, w, idle, maxErrorWire)
	var err error
	resp.Wire, err = readCapped(wire, -1, maxErrorWire)
	resp.WireSize, resp.WireCut = wire.n, err != nil
}

// drain reads a little of a body that nobody wants, so that its connection can
// be used again.
func drain(r io.Reader, limit int64) { _, _ = io.CopyN(io.Discard, r, limit) }

// checkType decides the content type and refuses what is not wanted: from the
// header alone if body is nil, else from both.
func (f *Fetcher) checkType(resp *FetchResponse, types []string, body []byte) error {
	declared := mediaType(resp.ContentType)
	if body != nil {
		if t := sniffType(declared, body); t != "" {
			resp.ContentType, resp.Sniffed = t, true
		}
	} else if vagueTypes[declared] {
		return nil // the body will tell
	}
	if t := mediaType(resp.ContentType); !MatchType(t, types) {
		return f.fail(resp.URL, ReasonType, true, t, nil)
	}
	return nil
}
