// Package tolerant reads HTTP/1 as servers speak it. It stands between a
// connection and net/http, which refuses a whole response for a header line
// without a colon, for "Transfer-Encoding: identity", or for a Content-Length
// that is there twice. Browsers and wget do not.
//
// A header that net/http takes goes through untouched, after one look at it.
// Another is written anew as far as it can be read; what cannot is left to
// net/http to refuse. So are the sizes of chunks. The bytes of a body are never
// touched.
package tolerant

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Conn is a connection of a client that sends one request after the response to
// the one before has been read, as the transport of net/http does. What is read
// first after a request was written is the header of its response.
type Conn struct {
	net.Conn
	maxHeader int
	keep      bool

	// awaiting says that a request was written and that its response has not
	// begun. The writer sets it before it writes, so whoever has read a byte of
	// the response sees it.
	awaiting atomic.Bool

	// Of the reader alone:
	held  []byte  // the part of a header that has been read
	ready []byte  // to be handed on before anything else is read
	err   error   // that ended the reading, behind ready
	body  *chunks // of the response, if it is in chunks and has not ended
	space []byte  // for what the body is rewritten to

	mu     sync.Mutex
	header []byte // of the last response, as it came
}

// Wrap returns conn with tolerance for headers of up to maxHeader bytes; longer
// ones go through as they are. With keep, [Conn.Header] returns them.
func Wrap(conn net.Conn, maxHeader int, keep bool) *Conn {
	return &Conn{Conn: conn, maxHeader: maxHeader, keep: keep}
}

// Header returns the header of the last response as the server sent it, with the
// empty line at its end. It may be called while nothing is read.
func (c *Conn) Header() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if beginsRequest(p) {
		c.awaiting.Store(true)
	}
	return c.Conn.Write(p)
}

// beginsRequest reports whether p begins as a request does, and not as a part
// of one or the records of TLS.
func beginsRequest(p []byte) bool {
	i := 0
	for i < len(p) && 'A' <= p[i] && p[i] <= 'Z' {
		i++
	}
	if i == 0 || i > 16 || len(p) < i+2 || p[i] != ' ' {
		return false
	}
	target := p[i+1]
	return target == '/' || target == '*' || bytes.HasPrefix(p[i+1:], []byte("http"))
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if len(c.ready) > 0 {
			n := copy(p, c.ready)
			if c.ready = c.ready[n:]; len(c.ready) == 0 {
				c.ready = nil
			}
			return n, nil
		}
		if c.err != nil {
			return 0, c.err
		}
		n, err := c.Conn.Read(p)
		// Reading may have begun before the request was written.
		switch awaiting := c.awaiting.Load(); {
		case !awaiting && c.body != nil:
			if err == nil && c.body.within(n) {
				return n, nil
			}
			c.err = err
			c.readBody(p[:n])
			continue
		case n == 0 && len(c.held) == 0, !awaiting:
			return n, err
		}
		if len(c.held) == 0 && err == nil {
			if end := headerEnd(p[:n]); end > 0 && acceptable(p[:end]) && p[len("HTTP/1.1 ")] != '1' && !isChunked(p[:end]) {
				c.done(p[:end])
				return n, nil
			}
		}
		c.held = append(c.held, p[:n]...)
		c.err = err
		c.take()
	}
}

// take moves what is held to ready as soon as it is a header, or cannot become
// one.
func (c *Conn) take() {
	for c.awaiting.Load() {
		c.held = bytes.TrimLeft(c.held, "\r\n")
		end := headerEnd(c.held)
		switch {
		case end > 0:
			head := c.held[:end]
			if interim(head) { // another header follows
				c.ready = append(c.ready, repair(head)...)
				c.held = c.held[end:]
				continue
			}
			c.done(head)
			if !acceptable(head) {
				head = repair(head)
			}
			c.ready = append(c.ready, head...)
			if isChunked(head) {
				c.body = new(chunks)
				c.readBody(c.held[end:])
			} else {
				c.ready = append(c.ready, c.held[end:]...)
			}
		case len(c.held) > 0 && !mayBeHTTP(c.held), len(c.held) > c.maxHeader, c.err != nil && c.err != io.EOF:
			c.awaiting.Store(false)
			c.ready = append(c.ready, c.held...)
		case c.err == io.EOF && bytes.IndexByte(c.held, '\n') > 0:
			// The server has left the empty line out.
			head := append(bytes.TrimRight(c.held, "\r\n"), "\r\n\r\n"...)
			c.done(head)
			c.ready = append(c.ready, repair(head)...)
		case c.err == io.EOF:
			c.awaiting.Store(false)
			c.ready = append(c.ready, c.held...)
		default:
			return // until there is more
		}
		c.held = nil
		return
	}
}

// readBody moves a piece of a body in chunks to ready, and what is missing if it is
// the last one.
func (c *Conn) readBody(p []byte) {
	if len(c.ready) == 0 {
		c.ready = c.space[:0]
	}
	c.ready = c.body.rewrite(c.ready, p)
	if c.err == io.EOF {
		c.ready = c.body.end(c.ready)
	}
	c.space = c.ready[:0]
	if c.body.state == chunksEnd {
		c.body, c.space = nil, nil
	}
}

// done notes that the header of the response has come.
func (c *Conn) done(head []byte) {
	c.awaiting.Store(false)
	c.body, c.space = nil, nil
	if c.keep {
		c.mu.Lock()
		c.header = bytes.Clone(head)
		c.mu.Unlock()
	}
}

// headerEnd returns where a header ends, behind its empty line, or 0 if it does
// not yet.
func headerEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n + 1
		switch {
		case i < len(b) && b[i] == '\n':
			return i + 1
		case i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n':
			return i + 2
		}
	}
}
