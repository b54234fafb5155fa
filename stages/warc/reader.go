package warc

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// ErrFormat is returned when what is read is not a whole, sound WARC record.
var ErrFormat = errors.New("not a WARC record")

const (
	defaultMaxBlock = 1 << 30
	maxHeader       = 1 << 20
	readBuffer      = 64 << 10
)

// Reader reads the records of a WARC file, which is a series of gzip members
// with one record in each, or of records that are not compressed. It reads
// versions 1.0 and 1.1, and what other tools have made of them: lines that end
// in LF only, folded fields, a target URI in angle brackets. It is not safe for
// concurrent use.
type Reader struct {
	// MaxBlock is how many bytes a block may have; a longer one is an error
	// that wraps ErrFormat. Default 1 GiB. Memory is taken only for bytes
	// that are there, whatever Content-Length says.
	MaxBlock int64

	src    source
	file   *bufio.Reader // of src
	gz     *gzip.Reader  // of file; nil until the first member
	member *bufio.Reader // of gz
	offset int64         // where the last record begins in the file
	size   int64         // how many bytes of the file it takes
	err    error         // what every further Next returns
}

// source counts what is read from a file, and keeps how reading failed.
type source struct {
	r   io.Reader
	n   int64
	err error // other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// NewReader returns a Reader of the file that r reads, from where r is, which
// must be where a record begins: offsets are counted from there.
func NewReader(r io.Reader) *Reader {
	z := &Reader{src: source{r: r}}
	z.file = bufio.NewReaderSize(&z.src, readBuffer)
	return z
}

// Offset returns where in the file the record begins that Next returned last,
// in bytes; those are compressed bytes if the file is. Before the first record
// it is 0.
func (r *Reader) Offset() int64 { return r.offset }

// Size returns how many bytes of the file that record takes.
func (r *Reader) Size() int64 { return r.size }

// Next returns the next record, which is the caller's to keep. At the end of
// the file it returns io.EOF. An error that wraps [ErrFormat] says where the
// record begins that cannot be read: one that the file ends within also wraps
// io.ErrUnexpectedEOF; one whose WARC-Block-Digest is a SHA-1 that does not
// match is such an error too. Any other error is that of the underlying reader.
// After an error, Next returns the same error again.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	start := r.position()
	rec, err := r.next()
	if err == nil {
		r.offset, r.size = start, r.position()-start
		return rec, nil
	}
	switch {
	case r.src.err != nil:
		r.err = fmt.Errorf("warc: read record at offset %d: %w", start, r.src.err)
	case err == io.EOF:
		r.err = io.EOF
	default:
		r.err = fmt.Errorf("warc: record at offset %d: %w: %w", start, ErrFormat, err)
	}
	return nil, r.err
}

// position returns how many bytes of the file have been taken up.
func (r *Reader) position() int64 { return r.src.n - int64(r.file.Buffered()) }

// next reads a record from r.file. It returns io.EOF if there is no further
// byte, and io.ErrUnexpectedEOF if the file ends within the record.
func (r *Reader) next() (*Record, error) {
	first, err := r.file.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != 0x1f { // the first byte of a gzip member
		rec, err := r.record(r.file)
		return rec, unexpected(err)
	}
	// gzip takes no byte too many from a reader that can be read by the byte.
	if r.gz == nil {
		r.gz = new(gzip.Reader)
		r.member = bufio.NewReaderSize(nil, readBuffer)
	}
	if err := r.gz.Reset(r.file); err != nil {
		return nil, unexpected(err)
	}
	r.gz.Multistream(false)
	r.member.Reset(r.gz)
	rec, err := r.record(r.member)
	if err != nil {
		return nil, unexpected(err)
	}
	// Reading to the end verifies the checksum and finds the next member.
	switch _, err := r.member.ReadByte(); {
	case err == nil:
		return nil, errors.New("the gzip member goes on after the record")
	case err != io.EOF:
		return nil, err
	}
	return rec, nil
}

// unexpected returns io.ErrUnexpectedEOF for io.EOF, and other errors as they
// are.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// record reads a record from b, to the end of the two line ends behind it.
func (r *Reader) record(b *bufio.Reader) (*Record, error) {
	header, err := readHeader(b)
	if err != nil {
		return nil, err
	}
	rec, length, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	limit := r.MaxBlock
	if limit <= 0 {
		limit = defaultMaxBlock
	}
	if length > limit {
		return nil, fmt.Errorf("a block of %d bytes is over the limit of %d", length, limit)
	}
	// ReadAll grows what it returns as bytes come.
	rec.Block, err = io.ReadAll(io.LimitReader(b, length))
	if err != nil {
		return nil, err
	}
	if int64(len(rec.Block)) < length {
		return nil, io.ErrUnexpectedEOF
	}
	var end [len(recordEnd)]byte
	if _, err := io.ReadFull(b, end[:]); err != nil {
		return nil, err
	}
	if string(end[:]) != recordEnd {
		return nil, fmt.Errorf("the block of %d bytes is not followed by two line ends", length)
	}
	if want := rec.Get(fieldBlockDigest); !digestMatches(want, rec.Block) {
		return nil, fmt.Errorf("the block has digest %s, but %q was stored", Digest(rec.Block), want)
	}
	return rec, nil
}

// readHeader reads lines up to an empty one, and returns them with it.
func readHeader(b *bufio.Reader) ([]byte, error) {
	var header []byte
	begin := 0 // of the line
	for {
		part, err := b.ReadSlice('\n')
		if len(header)+len(part) > maxHeader {
			return nil, fmt.Errorf("a header over %d bytes", maxHeader)
		}
		header = append(header, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		if begin == 0 && !bytes.HasPrefix(header, []byte("WARC/")) {
			return nil, errors.New("it does not begin with a version")
		}
		if len(bytes.TrimRight(header[begin:], "\r\n")) == 0 {
			return header, nil
		}
		begin = len(header)
	}
}

// parseHeader returns the record without its block, and how long that is.
func parseHeader(header []byte) (rec *Record, length int64, err error) {
	lines := strings.Split(string(header), "\n")
	version := strings.TrimRight(lines[0], "\r")
	if version != "WARC/1.0" && version != "WARC/1.1" {
		return nil, 0, fmt.Errorf("version %q is not known", version)
	}
	fields, err := parseFields(lines[1:])
	if err != nil {
		return nil, 0, err
	}
	rec = new(Record)
	seen := make(map[string]bool)
	for _, f := range fields {
		name := reservedName(f.Name)
		if name == "" || name == fieldBlockDigest {
			rec.Fields = append(rec.Fields, f)
			continue
		}
		if seen[name] {
			return nil, 0, fmt.Errorf("field %s is there twice", name)
		}
		seen[name] = true
		switch name {
		case fieldType:
			rec.Type = f.Value
		case fieldID:
			rec.ID = f.Value
		case fieldDate:
			rec.Date, err = parseDate(f.Value)
		case fieldTargetURI:
			rec.TargetURI = trimBrackets(f.Value)
		case fieldContentType:
			rec.ContentType = f.Value
		case fieldContentLength:
			length, err = parseLength(f.Value)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if !seen[fieldContentLength] {
		return nil, 0, errors.New("there is no Content-Length")
	}
	return rec, length, nil
}

// parseFields returns the named fields of the lines, which the LF was taken
// from. A line that begins with white space goes on with the field before it.
func parseFields(lines []string) ([]Field, error) {
	var fields []Field
	for _, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		if folded := line[0] == ' ' || line[0] == '\t'; folded && len(fields) > 0 {
			f := &fields[len(fields)-1]
			f.Value = strings.Trim(f.Value+" "+strings.Trim(line, " \t"), " \t")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || cleanName(name) != name {
			return nil, fmt.Errorf("%.100q is not a named field", line)
		}
		fields = append(fields, Field{name, strings.Trim(value, " \t")})
	}
	return fields, nil
}

// parseLength reads a Content-Length: digits only, no sign.
func parseLength(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("Content-Length %.100q is not a number of bytes", s)
	}
	return int64(n), nil
}

// dateLayouts are those of section 5.4. A fraction of the second is read too.
var dateLayouts = []string{
	"2006-01-02T15:04:05Z", "2006-01-02T15:04Z", "2006-01-02", "2006-01", "2006",
}

// parseDate reads a WARC-Date.
func parseDate(s string) (time.Time, error) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("WARC-Date %.100q is not a date", s)
}

// trimBrackets takes off the angle brackets that the grammar of WARC 1.0 put
// around every URI.
func trimBrackets(s string) string {
	if len(s) > 1 && s[0] == '<' && s[len(s)-1] == '>' {
		return s[1 : len(s)-1]
	}
	return s
}

// digestMatches says whether block has that digest, if it is a SHA-1. Those are
// written in base32, which the standard shows, in hexadecimal or in base64.
// Digests of other algorithms are not looked at.
func digestMatches(digest string, block []byte) bool {
	algorithm, value, ok := strings.Cut(digest, ":")
	if !ok || !strings.EqualFold(algorithm, "sha1") {
		return true
	}
	sum := sha1.Sum(block)
	return strings.EqualFold(value, base32.StdEncoding.EncodeToString(sum[:])) ||
		strings.EqualFold(value, hex.EncodeToString(sum[:])) ||
		value == base64.StdEncoding.EncodeToString(sum[:])
}
