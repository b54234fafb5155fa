package tolerant

import (
	"bytes"
	"strconv"
)

// maxSizeLine bounds the line with the size of a chunk, in bytes, and maxTrailer
// the lines behind the last chunk.
const (
	maxSizeLine = 4 << 10
	maxTrailer  = 64 << 10
)

// chunks rewrites a chunked body (RFC 9112 section 7.1) as net/http takes it, which
// refuses bare line feeds, blanks before a size, a malformed trailer, and an end
// without an empty line. Trailers are left out. What cannot be read goes through as
// it is, from there on, and net/http refuses it.
type chunks struct {
	state chunkState
	left  uint64 // of the data of a chunk
	line  []byte // what has come of a line
	lines int    // bytes of the trailer
}

type chunkState byte

const (
	inSize chunkState = iota
	inData
	behindData
	inTrailer
	chunksEnd // or what cannot be read
)

// within reports whether the next n bytes are data, and counts them if so.
func (c *chunks) within(n int) bool {
	if c.state != inData || uint64(n) >= c.left {
		return false
	}
	c.left -= uint64(n)
	return true
}

// rewrite appends what src becomes to dst.
func (c *chunks) rewrite(dst, src []byte) []byte {
	for len(src) > 0 {
		switch c.state {
		case inData:
			n := int(min(c.left, uint64(len(src))))
			dst, src = append(dst, src[:n]...), src[n:]
			if c.left -= uint64(n); c.left == 0 {
				c.state = behindData
			}
			continue
		case chunksEnd:
			return append(dst, src...)
		}
		end := bytes.IndexByte(src, '\n')
		if end < 0 {
			c.line = append(c.line, src...)
			if len(c.line) > maxSizeLine {
				dst = c.giveUp(dst)
			}
			return dst
		}
		c.line = append(c.line, src[:end+1]...)
		src = src[end+1:]
		dst = c.takeLine(dst)
	}
	return dst
}

// takeLine takes the line that has come whole.
func (c *chunks) takeLine(dst []byte) []byte {
	if len(c.line) > maxSizeLine {
		return c.giveUp(dst)
	}
	text := bytes.Trim(c.line, " \t\r\n")
	switch c.state {
	case inSize:
		if len(text) == 0 {
			break // one too many
		}
		digits, _, _ := bytes.Cut(text, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
		if err != nil {
			return c.giveUp(dst)
		}
		dst = append(strconv.AppendUint(dst, size, 16), "\r\n"...)
		if c.left, c.state = size, inData; size == 0 {
			c.state = inTrailer
		}
	case behindData:
		if len(text) > 0 {
			return c.giveUp(dst)
		}
		dst = append(dst, "\r\n"...)
		c.state = inSize
	case inTrailer:
		if c.lines += len(c.line); c.lines > maxTrailer {
			return c.giveUp(dst)
		}
		if len(text) == 0 {
			dst = append(dst, "\r\n"...)
			c.state = chunksEnd
		}
	}
	c.line = c.line[:0]
	return dst
}

// giveUp hands on what was held back.
func (c *chunks) giveUp(dst []byte) []byte {
	dst = append(dst, c.line...)
	c.state, c.line = chunksEnd, nil
	return dst
}

// end appends what is missing where the connection ends: a line break, or the empty
// line behind the last chunk.
func (c *chunks) end(dst []byte) []byte {
	if c.state == inSize && len(c.line) > 0 {
		c.line = append(c.line, '\n')
		dst = c.takeLine(dst)
	}
	if c.state == inTrailer {
		c.state = chunksEnd
		return append(dst, "\r\n"...)
	}
	return c.giveUp(dst)
}

// isChunked reports whether the body behind a header that net/http takes is in
// chunks.
func isChunked(head []byte) bool {
	const name = "transfer-encoding"
	_, rest, _ := bytes.Cut(head, []byte("\n"))
	for line := range bytes.Lines(rest) {
		if len(line) > len(name) && line[len(name)] == ':' && isName(line[:len(name)], name) {
			return true // there is no other coding
		}
	}
	return false
}
