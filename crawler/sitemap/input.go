package sitemap

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"regexp"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	// maxGzip is how many layers of gzip are taken off: a .gz file sent with
	// Content-Encoding: gzip has two if nobody removed the outer one.
	maxGzip = 2
	// maxToken is how many bytes a tag, a text or a line may have, so that
	// memory does not follow the size of the file.
	maxToken = 1 << 20
	// sniffLen is how much is looked at to tell the format and the encoding.
	sniffLen = 1024
)

var errTokenTooLong = errors.New("a tag, text or line is longer than 1 MiB")

// input turns a file into valid UTF-8 without control characters, within
// limits.
type input struct {
	r     io.Reader
	isXML bool
	max   int64 // uncompressed bytes
	bytes int64 // read so far
	token int64 // bytes read since the last call of newToken
}

// open removes compression and encoding, and tells the format.
func (in *input) open(r io.Reader) error {
	br := bufio.NewReaderSize(r, 8<<10)
	for range maxGzip {
		magic, err := br.Peek(2)
		if err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
			break
		}
		zr, err := gzip.NewReader(br)
		if err != nil {
			return err
		}
		br = bufio.NewReaderSize(zr, 8<<10)
	}
	limited := bufio.NewReaderSize(&limit{r: br, in: in}, 8<<10)
	head, err := limited.Peek(sniffLen)
	if err != nil && len(head) == 0 {
		if err == io.EOF {
			return ErrNotSitemap
		}
		return err
	}

	// An encoding that a byte order mark does not give may be declared.
	declared := unicode.UTF8.NewDecoder()
	if e := declaredEncoding(head); e != nil {
		declared = e.NewDecoder()
	}
	decoded := bufio.NewReaderSize(transform.NewReader(limited, unicode.BOMOverride(declared)), 8<<10)
	in.r = decoded
	for {
		c, err := decoded.ReadByte()
		if err != nil {
			if err == io.EOF {
				return ErrNotSitemap // nothing but blanks
			}
			return err
		}
		if c > ' ' {
			in.isXML = c == '<'
			return decoded.UnreadByte()
		}
	}
}

var xmlEncoding = regexp.MustCompile(`^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// declaredEncoding returns the encoding in the XML declaration, if it is a
// known one that has ASCII as a part, or nil.
func declaredEncoding(head []byte) encoding.Encoding {
	m := xmlEncoding.FindSubmatch(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	if m == nil {
		return nil
	}
	e, name := charset.Lookup(string(m[1]))
	if e == nil || name == "utf-8" || name == "utf-16le" || name == "utf-16be" || name == "replacement" {
		return nil // the declaration could be read, so it is not UTF-16
	}
	return e
}

// newToken says that what was read so far has been dealt with.
func (in *input) newToken() { in.token = 0 }

// Read implements io.Reader. XML permits no control characters; they become
// blanks.
func (in *input) Read(buf []byte) (int, error) {
	if in.token > maxToken {
		return 0, errTokenTooLong
	}
	n, err := in.r.Read(buf)
	in.token += int64(n)
	for i, c := range buf[:n] {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			buf[i] = ' '
		}
	}
	return n, err
}

// limit counts the uncompressed bytes and ends them at the limit. Errors stay:
// the readers above forget those that they meet while they look ahead.
type limit struct {
	r   io.Reader
	in  *input
	err error
}

func (l *limit) Read(buf []byte) (n int, err error) {
	if l.err != nil {
		return 0, l.err
	}
	n, l.err = l.read(buf)
	return n, l.err
}

func (l *limit) read(buf []byte) (int, error) {
	left := l.in.max - l.in.bytes
	if left == 0 {
		// The file may end here, or be too large.
		var one [1]byte
		for {
			n, err := l.r.Read(one[:])
			if n > 0 {
				return 0, ErrTooLarge
			}
			if err != nil {
				return 0, err
			}
		}
	}
	n, err := l.r.Read(buf[:min(int64(len(buf)), left)])
	l.in.bytes += int64(n)
	return n, err
}
