package stages

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxEncodings bounds how many times over a body may be encoded.
const maxEncodings = 3

// maxZstdWindow is what RFC 9659 lets a zstd content coding ask for: 8 MiB.
const maxZstdWindow = 8 << 20

// contentEncodings returns the codings that a header names, in the order in
// which they were applied, without those that mean none.
func contentEncodings(header []string) []string {
	var out []string
	for _, v := range header {
		for e := range strings.SplitSeq(v, ",") {
			e = strings.TrimPrefix(strings.ToLower(strings.Trim(e, " \t\"'")), "x-")
			if e != "" && e != "identity" && e != "none" {
				out = append(out, e)
			}
		}
	}
	return out
}

// errRatio is returned by a ratioReader.
var errRatio = errors.New("the body is compressed too well to be honest")

// Up to honestBody bytes a body may be compressed as well as can be: a table of
// empty rows is, and the caps on size bound the harm. Beyond, defaultRatio is a
// little more than what gzip makes of zeros.
const (
	honestBody   = 4 << 20
	defaultRatio = 1100
)

// ratioReader stops a body that grows too much in decompression.
type ratioReader struct {
	r    io.Reader
	n    int64
	max  int64
	wire *wireReader
}

func (r *ratioReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if r.n > honestBody && r.n > r.max*max(r.wire.n, 1) {
		return n, errRatio
	}
	return n, err
}

// decode undoes the codings of a body: those that are named, as far as its bytes
// bear the names out. What was decoded before an error is returned with it.
func (f *Fetcher) decode(url string, wire *wireReader, encodings []string, reader bodyReader) ([]byte, error) {
	var r io.Reader = wire
	undone := 0
	for i := len(encodings) - 1; i >= 0; i-- {
		b := bufio.NewReaderSize(r, 4<<10)
		r = b
		coding, err := actualCoding(encodings[i], b)
		if err != nil {
			return nil, f.decodeError(url, encodings[i], wire, err)
		}
		if coding == "" {
			continue
		}
		if undone++; undone > maxEncodings {
			return nil, f.fail(url, ReasonEncoding, true, fmt.Sprintf("more than %d content encodings", maxEncodings), nil)
		}
		dec, release, err := newDecoder(coding, b)
		if err != nil {
			return nil, f.decodeError(url, coding, wire, err)
		}
		defer release()
		r = dec
	}
	body, err := reader.read(&ratioReader{r: r, max: cmp.Or(f.MaxRatio, defaultRatio), wire: wire}, -1)
	if err != nil {
		return body, f.decodeError(url, strings.Join(encodings, ", "), wire, err)
	}
	// A decoder stops at the end of its stream; the end of the message frees the
	// connection, and shows whether a body without a coding is whole. Others say
	// themselves where they end, whatever length was announced.
	drain(wire, 64<<10)
	if undone > 0 {
		wire.err = nil
	}
	return body, nil
}

// undoHidden undoes a gzip that no header named, of a body that is said to be
// text. It returns other bodies as they are.
func (f *Fetcher) undoHidden(resp *FetchResponse, body []byte, limit int64) ([]byte, error) {
	if t := MediaType(resp.ContentType); !strings.HasPrefix(t, "text/") && t != "application/xhtml+xml" {
		return body, nil
	}
	for range maxEncodings {
		if !bytes.HasPrefix(body, gzipMagic) {
			break
		}
		wire := &wireReader{r: bytes.NewReader(body), max: int64(len(body)), detached: true}
		inner, err := f.decode(resp.URL, wire, []string{"gzip"}, bodyReader{limit: limit})
		if err != nil {
			return inner, err
		}
		body = inner
	}
	return body, nil
}

func (f *Fetcher) decodeError(url, encoding string, wire *wireReader, err error) error {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errWireTooLarge), wire.err != nil:
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, errRatio):
		return f.fail(url, ReasonRatio, true, err.Error(), err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return f.fail(url, ReasonTooLarge, true, "zstd: "+err.Error(), err)
	}
	return f.fail(url, ReasonEncoding, true, encoding+": "+err.Error(), err)
}

var (
	gzipMagic = []byte{0x1f, 0x8b, 0x08}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// actualCoding returns the coding of a body that is said to have one: what its
// first bytes are, if the name is wrong or unknown, and "" for none.
func actualCoding(name string, r *bufio.Reader) (string, error) {
	head, err := r.Peek(512)
	if len(head) == 0 {
		if err == io.EOF {
			err = nil // an empty body needs no decoding
		}
		return "", err
	}
	magic := ""
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		magic = "gzip"
	case bytes.HasPrefix(head, zstdMagic):
		magic = "zstd"
	}
	switch name {
	case "gzip", "zstd":
		if magic != "" {
			return magic, nil
		}
	case "br", "deflate":
		// These have no signature. Most bytes that are something else fail to
		// decode soon.
		if decodes(name, head) {
			return name, nil
		}
		if magic != "" {
			return magic, nil
		}
	default:
		return magic, nil
	}
	if !isBinary(head) {
		return "", nil
	}
	for _, other := range []string{"deflate", "br"} {
		if other != name && decodes(other, head) {
			return other, nil
		}
	}
	return name, nil // whose decoder will say what is wrong
}

// decodes reports whether what a body begins with can be of a coding.
func decodes(coding string, head []byte) bool {
	dec, release, err := newDecoder(coding, bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return false
	}
	defer release()
	var out [1 << 10]byte
	n, err := io.ReadFull(dec, out[:])
	switch {
	case err == nil, err == io.EOF:
		return true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n > 0 || len(head) < 512 || coding == "br"
	}
	return false
}
