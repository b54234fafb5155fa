package warc

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Names of the fields that a Record has members for, or that Append works out.
const (
	fieldType          = "WARC-Type"
	fieldID            = "WARC-Record-ID"
	fieldDate          = "WARC-Date"
	fieldTargetURI     = "WARC-Target-URI"
	fieldContentType   = "Content-Type"
	fieldContentLength = "Content-Length"
	fieldBlockDigest   = "WARC-Block-Digest"
)

// reserved holds those names.
var reserved = []string{fieldType, fieldID, fieldDate, fieldTargetURI, fieldContentType, fieldContentLength, fieldBlockDigest}

// recordEnd follows every block (section 4).
const recordEnd = "\r\n\r\n"

// Field is a named field of a record, in the order written.
type Field struct{ Name, Value string }

// Record is one WARC record. Its fields are those of section 5 of the standard.
type Record struct {
	// Type is the WARC-Type: "warcinfo", "request", "response", "metadata" …
	Type string
	// ID is the WARC-Record-ID with its angle brackets, such as [NewID]
	// returns. A record without one is written with a new one.
	ID string
	// Date is the WARC-Date, written in UTC with as many digits of the second
	// as it has, up to nanoseconds. Its year must be from 0 to 9999.
	Date time.Time
	// TargetURI is the WARC-Target-URI, or "". It is written as a URI (RFC 3986):
	// spaces, control characters and what is not ASCII are percent-encoded.
	TargetURI string
	// ContentType is the media type of the block, or "".
	ContentType string
	// Fields are the other fields. A record that was read has its
	// WARC-Block-Digest here; in one that is written, the fields that the
	// members above stand for, Content-Length and WARC-Block-Digest are left out,
	// since Append writes its own.
	Fields []Field
	// Block is what the record holds; for HTTP, the message with its header.
	Block []byte

	body   []byte // behind Block, so that a large one need not be copied to stand there
	packed bool   // it has been compressed by others
}

// size is that of the block.
func (r *Record) size() int { return len(r.Block) + len(r.body) }

// Get returns the value of the first of r.Fields with that name, in any case,
// or "".
func (r *Record) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// NewID returns a new record ID: a random UUID (RFC 9562, version 4) as a URN
// in angle brackets.
func NewID() string {
	var u [16]byte
	rand.Read(u[:])         // never fails
	u[6] = u[6]&0x0f | 0x40 // version 4
	u[8] = u[8]&0x3f | 0x80 // the variant of RFC 9562
	b := append(make([]byte, 0, 47), "<urn:uuid:"...)
	for i, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(append(b, '>'))
}

// Digest returns the SHA-1 of b in the form that WARC tools write and compare:
// "sha1:" and base32 in capitals.
func Digest(b []byte) string { return digest(b) }

// digest is Digest of parts that follow one another.
func digest(parts ...[]byte) string {
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	return "sha1:" + base32.StdEncoding.EncodeToString(h.Sum(nil))
}

// Append appends the record, not compressed, and returns the longer slice. It
// adds WARC-Block-Digest and Content-Length.
//
// Nothing in a value can end its line: control characters become spaces, and
// what is not UTF-8 becomes U+FFFD. In names, what RFC 9110 does not allow in
// a token becomes "_"; a field without a name is left out. A [Reader] takes
// fields of 1 MiB in all.
func Append(b []byte, r *Record) []byte {
	b = appendHeader(b, r)
	b = append(append(b, r.Block...), r.body...)
	return append(b, recordEnd...)
}

// appendHeader appends all that precedes the block.
func appendHeader(b []byte, r *Record) []byte {
	id := r.ID
	if id == "" {
		id = NewID()
	}
	b = append(b, "WARC/1.1\r\n"...)
	b = appendField(b, fieldType, r.Type)
	b = appendField(b, fieldID, id)
	b = appendField(b, fieldDate, r.Date.UTC().Format(time.RFC3339Nano))
	if r.TargetURI != "" {
		b = appendField(b, fieldTargetURI, cleanURI(r.TargetURI))
	}
	if r.ContentType != "" {
		b = appendField(b, fieldContentType, r.ContentType)
	}
	for _, f := range r.Fields {
		if reservedName(f.Name) == "" {
			b = appendField(b, f.Name, f.Value)
		}
	}
	b = appendField(b, fieldBlockDigest, digest(r.Block, r.body))
	b = appendField(b, fieldContentLength, strconv.Itoa(r.size()))
	return append(b, "\r\n"...)
}

// reservedName returns the reserved name that a name is, in any case, or "".
func reservedName(name string) string {
	for _, own := range reserved {
		if len(own) == len(name) && strings.EqualFold(own, name) {
			return own
		}
	}
	return ""
}

// appendField appends one line of named fields, made safe.
func appendField(b []byte, name, value string) []byte {
	if name == "" {
		return b
	}
	b = append(b, cleanName(name)...)
	b = append(b, ": "...)
	b = append(b, cleanValue(value)...)
	return append(b, "\r\n"...)
}

// cleanName replaces what may not be in a token (RFC 9110 section 5.6.2).
func cleanName(s string) string {
	var clean []byte
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			if clean == nil {
				clean = []byte(s)
			}
			clean[i] = '_'
		}
	}
	if clean == nil {
		return s
	}
	return string(clean)
}

// cleanValue makes s one line of UTF-8 without white space around it, which
// readers take off anyway.
func cleanValue(s string) string {
	if isPrintable(s) {
		return strings.Trim(s, " ")
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c // what is not UTF-8 arrives here as U+FFFD
	}, s)
	return strings.Trim(s, " ")
}

// isPrintable reports whether s is printable ASCII.
func isPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// cleanURI percent-encodes what no URI may hold and what would not be read
// back: space, control characters, what is not ASCII, and an angle bracket at
// the beginning, since WARC 1.0 allowed a URI to be put in a pair of them.
func cleanURI(s string) string {
	if isPrintable(s) && !strings.Contains(s, " ") && !strings.HasPrefix(s, "<") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || i == 0 && c == '<' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// gzipWriters hold *gzip.Writer between records, since each has large tables. Real
// pages take 13 % more space than at the level 5, and half of the time. What is short,
// as requests are, is not worth the tables that it would be compressed with, and what
// arrived in a content coding, as most pages do, does not become shorter.
var gzipWriters, storeWriters = gzipPool(gzip.BestSpeed), gzipPool(gzip.NoCompression)

// compressFrom is the least block that is compressed, in bytes.
const compressFrom = 1 << 10

func gzipPool(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		w, err := gzip.NewWriterLevel(io.Discard, level)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
}

// sliceWriter is an io.Writer that appends.
type sliceWriter []byte

func (s *sliceWriter) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// AppendGzip appends the record that [Append] would, as one gzip member, and
// returns the longer slice. On an error, which only the compressor could
// cause, b is returned as it was. It may be called from several goroutines.
func AppendGzip(b []byte, r *Record) ([]byte, error) {
	out := sliceWriter(b)
	pool := gzipWriters
	if r.size() < compressFrom || r.packed {
		pool = storeWriters
	}
	w := pool.Get().(*gzip.Writer)
	defer pool.Put(w)
	w.Reset(&out)
	defer w.Reset(io.Discard) // the pool must not hold on to out
	for _, part := range [][]byte{appendHeader(make([]byte, 0, 512+len(r.TargetURI)), r), r.Block, r.body, []byte(recordEnd)} {
		if _, err := w.Write(part); err != nil {
			return b, fmt.Errorf("warc: compress record %s: %w", r.ID, err)
		}
	}
	if err := w.Close(); err != nil {
		return b, fmt.Errorf("warc: compress record %s: %w", r.ID, err)
	}
	return out, nil
}
