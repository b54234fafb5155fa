package stages

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxEncodings bounds how many times over a body may be encoded.
const maxEncodings = 3

// maxZstdWindow is what RFC 9659 lets a zstd content coding ask for: 8 MiB.
const maxZstdWindow = 8 << 20

// The decoders are costly to make and reset cheaply.
var (
	gzipPool   sync.Pool // of *gzip.Reader
	brotliPool sync.Pool // of *brotli.Reader
	zstdPool   sync.Pool // of *zstd.Decoder
)

// contentEncodings returns the codings of a body in the order in which they
// were applied, without "identity".
func contentEncodings(header []string) []string {
	var out []string
	for _, v := range header {
		for e := range strings.SplitSeq(v, ",") {
			e = strings.ToLower(strings.TrimSpace(e))
			if e != "" && e != "identity" && e != "none" && e != "utf-8" {
				out = append(out, e)
			}
		}
	}
	return out
}

// errRatio is returned by a ratioReader.
var errRatio = errors.New("the body is compressed too well to be honest")

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
	if r.n > 1<<20 && r.n > r.max*max(r.wire.n, 1) {
		return n, errRatio
	}
	return n, err
}

// decode undoes the codings of a body. What was decoded before an error is
// returned with it.
func (f *Fetcher) decode(url string, wire *wireReader, encodings []string, limit int64) ([]byte, error) {
	if len(encodings) > maxEncodings {
		return nil, f.fail(url, ReasonEncoding, true, fmt.Sprintf("%d content encodings", len(encodings)), nil)
	}
	var r io.Reader = wire
	for i := len(encodings) - 1; i >= 0; i-- {
		dec, release, err := newDecoder(encodings[i], r)
		if err != nil {
			if errors.Is(err, io.EOF) && wire.n == 0 && wire.err == nil {
				return nil, nil // an empty body needs no decoding
			}
			return nil, f.decodeError(url, encodings[i], wire, err)
		}
		defer release()
		r = dec
	}
	body, err := readCapped(&ratioReader{r: r, max: or(f.MaxRatio, 200), wire: wire}, -1, limit)
	if err != nil {
		return body, f.decodeError(url, strings.Join(encodings, ", "), wire, err)
	}
	// A decoder stops at the end of its stream; the end of the message is what
	// shows whether the body arrived whole, and frees the connection.
	drain(wire, 64<<10)
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

// newDecoder returns a reader that undoes one coding, and what gives it back.
func newDecoder(encoding string, r io.Reader) (dec io.Reader, release func(), err error) {
	switch encoding {
	case "gzip", "x-gzip":
		z, _ := gzipPool.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		if err := z.Reset(r); err != nil {
			gzipPool.Put(z)
			return nil, nil, err
		}
		return z, func() { gzipPool.Put(z) }, nil
	case "br":
		z, _ := brotliPool.Get().(*brotli.Reader)
		if z == nil {
			z = new(brotli.Reader)
		}
		if err := z.Reset(r); err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Reset(strings.NewReader("")); brotliPool.Put(z) }, nil
	case "zstd":
		z, _ := zstdPool.Get().(*zstd.Decoder)
		if z == nil {
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
			if err != nil {
				return nil, nil, err
			}
		}
		if err := z.Reset(r); err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Reset(nil); zstdPool.Put(z) }, nil
	case "deflate":
		return newDeflate(r)
	}
	return nil, nil, fmt.Errorf("unknown content encoding %q", clip(encoding, 50))
}

// newDeflate reads what servers call deflate: a zlib stream (RFC 9110 section
// 8.4.1.2) or, from some, a bare deflate stream.
func newDeflate(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 4<<10)
	head, err := b.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		z, err := zlib.NewReader(b)
		return z, func() {}, err
	}
	return flate.NewReader(b), func() {}, nil
}
