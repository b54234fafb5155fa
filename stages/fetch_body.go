package stages

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// bodyBuffers holds the buffers that bodies of unknown size are read into
// before they are copied to their own size. They hold smallBody and a little
// more.
var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

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
func (f *Fetcher) readBody(ctx context.Context, r *FetchRequest, hr *http.Response, resp *FetchResponse, w *watch, idle time.Duration) error {
	maxBody := cmp.Or(r.MaxBody, cmp.Or(f.MaxBody, DefaultMaxBody))
	types := r.Types
	if types == nil {
		types = f.types
	}
	maxWire := cmp.Or(f.MaxWire, maxBody)
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
	// In pieces and as a whole; then as it is, as UTF-8, and as it goes to the next stage.
	copies := int64(3)
	if f.KeepWire && len(encodings) > 0 {
		copies++
	}
	reader := bodyReader{limit: maxBody, reserve: func(n int64) (err error) {
		w.pause()
		resp.share, err = f.Budget.Body(ctx, copies*n)
		w.resume()
		return err
	}}
	defer func() { resp.share.shrink(copies * int64(len(resp.Body))) }()
	var body []byte
	var err error
	if len(encodings) == 0 {
		body, err = reader.read(wire, hr.ContentLength)
		if f.KeepWire {
			resp.Wire = body
		}
	} else {
		if f.KeepWire {
			wire.kept = new(bytes.Buffer)
		}
		body, err = f.decode(resp.URL, wire, encodings, reader)
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

// A bodyReader reads bodies into memory, within the budget for them.
type bodyReader struct {
	limit   int64               // bytes of the body
	reserve func(n int64) error // called before a body of up to n bytes, which is large, is read
}

// read reads r to its end, at most the limit. A size that the header announced is
// believed for small bodies: of larger ones memory is taken as they arrive, for an
// announcement costs nothing. What was read is returned with an error, too.
func (b bodyReader) read(r io.Reader, size int64) ([]byte, error) {
	if size >= 0 && size <= smallBody && size <= b.limit {
		// A byte more, so that the end is seen without growing.
		p := make([]byte, size+1)
		n, err := io.ReadFull(r, p)
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF && int64(n) == size:
			return p[:n:n], nil
		case err != nil:
			return p[:n:n], err
		}
		return b.readOn(p, r, size)
	}
	return b.readOn(nil, r, size)
}

// readOn reads r to its end behind head.
func (b bodyReader) readOn(head []byte, r io.Reader, size int64) ([]byte, error) {
	buf := bodyBuffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		bodyBuffers.Put(buf)
	}()
	buf.Write(head)
	_, err := buf.ReadFrom(io.LimitReader(r, max(smallBody-int64(buf.Len()), 0)+1))
	switch {
	case int64(buf.Len()) > b.limit:
		return bytes.Clone(buf.Bytes()[:b.limit]), errTooLarge
	case err != nil || buf.Len() <= smallBody:
		return bytes.Clone(buf.Bytes()), err
	}
	if size <= smallBody || size > b.limit {
		size = b.limit // nobody knows how large it will be
	}
	if b.reserve != nil {
		if err := b.reserve(size); err != nil {
			return nil, err
		}
	}
	return b.readLarge(buf.Bytes(), r)
}

// pieceSize is how a large body is read: in pieces, so that growing never copies
// what is there, but for once at the end.
const pieceSize = 512 << 10

func (b bodyReader) readLarge(head []byte, r io.Reader) ([]byte, error) {
	total := int64(len(head))
	pieces := [][]byte{head}
	var err error
	for err == nil && total <= b.limit {
		piece := make([]byte, min(pieceSize, b.limit+1-total))
		n := 0
		for err == nil && n < len(piece) {
			var m int
			m, err = r.Read(piece[n:])
			n += m
		}
		pieces = append(pieces, piece[:n])
		total += int64(n)
	}
	body := bytes.Join(pieces, nil)
	switch {
	case total > b.limit:
		return body[:b.limit], errTooLarge
	case err == io.EOF:
		return body, nil
	}
	return body, err
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
	resp.Wire, err = bodyReader{limit: maxErrorWire}.read(wire, -1)
	resp.WireSize, resp.WireCut = wire.n, err != nil
}

// drain reads a little of a body that nobody wants, so that its connection can
// be used again.
func drain(r io.Reader, limit int64) { _, _ = io.CopyN(io.Discard, r, limit) }

// checkType decides the content type and refuses what is not wanted: from the
// header alone if body is nil, else from both.
func (f *Fetcher) checkType(resp *FetchResponse, types []string, body []byte) error {
	declared := MediaType(resp.ContentType)
	if body != nil {
		if t := sniffType(declared, body); t != "" {
			resp.ContentType, resp.Sniffed = t, true
		}
	} else if vagueTypes[declared] {
		return nil // the body will tell
	}
	if t := MediaType(resp.ContentType); !MatchType(t, types) {
		return f.fail(resp.URL, ReasonType, true, t, nil)
	}
	return nil
}
