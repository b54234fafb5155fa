package stages

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Content codings end where their data says so. Checksums and lengths behind it are
// passed over, for servers leave them out or get them wrong, and so is whatever
// follows that begins no further part: browsers look at none of these.

// The decoders are costly to make and reset cheaply.
var (
	flatePool  sync.Pool // of io.ReadCloser, which are flate.Resetter
	brotliPool sync.Pool // of *brotli.Reader
	zstdPool   sync.Pool // of *zstd.Decoder
)

// newDecoder returns a reader that undoes one coding, and what gives it back.
// What follows the end of the coded data is not read.
func newDecoder(coding string, r *bufio.Reader) (dec io.Reader, release func(), err error) {
	switch coding {
	case "gzip":
		if err := skipGzipHeader(r); err != nil {
			return nil, nil, err
		}
		z := newFlate(r)
		return &gzipMembers{z: z, r: r}, func() { flatePool.Put(z) }, nil
	case "deflate":
		if err := skipZlibHeader(r); err != nil {
			return nil, nil, err
		}
		z := newFlate(r)
		return z, func() { flatePool.Put(z) }, nil
	case "br":
		z, _ := brotliPool.Get().(*brotli.Reader)
		if z == nil {
			z = new(brotli.Reader)
		}
		if err := z.Reset(r); err != nil {
			return nil, nil, err
		}
		return &brotliStream{z: z}, func() { _ = z.Reset(strings.NewReader("")); brotliPool.Put(z) }, nil
	case "zstd":
		z, _ := zstdPool.Get().(*zstd.Decoder)
		if z == nil {
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.IgnoreChecksum(true))
			if err != nil {
				return nil, nil, err
			}
		}
		if err := z.Reset(&zstdFrames{r: r}); err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Reset(nil); zstdPool.Put(z) }, nil
	}
	return nil, nil, fmt.Errorf("unknown content encoding %q", clip(coding, 50))
}

func newFlate(r *bufio.Reader) io.ReadCloser {
	z, _ := flatePool.Get().(io.ReadCloser)
	if z == nil {
		return flate.NewReader(r)
	}
	_ = z.(flate.Resetter).Reset(r, nil) // never fails
	return z
}

// skipZlibHeader reads what servers put before data that they call deflate: the
// header of a zlib stream (RFC 9110 section 8.4.1.2), or nothing.
func skipZlibHeader(r *bufio.Reader) error {
	head, err := r.Peek(2)
	if err != nil {
		return err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		_, err = r.Discard(2)
	}
	return err
}

var errNoGzip = errors.New("gzip: invalid header")

// skipGzipHeader reads the header of a member of a gzip file (RFC 1952 section
// 2.3).
func skipGzipHeader(r *bufio.Reader) error {
	const (
		hasChecksum = 1 << (iota + 1)
		hasExtra
		hasName
		hasComment
	)
	head, err := r.Peek(10)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, gzipMagic) {
		return errNoGzip
	}
	flags := head[3]
	if _, err := r.Discard(10); err != nil {
		return err
	}
	if flags&hasExtra != 0 {
		size, err := r.Peek(2)
		if err != nil {
			return err
		}
		if _, err := r.Discard(2 + int(size[0]) + int(size[1])<<8); err != nil {
			return err
		}
	}
	for _, text := range []byte{hasName, hasComment} {
		for c := byte(1); flags&text != 0 && c != 0; {
			if c, err = r.ReadByte(); err != nil {
				return err
			}
		}
	}
	if flags&hasChecksum != 0 {
		_, err = r.Discard(2)
	}
	return err
}

// gzipMembers reads the members of a gzip file until what follows is none.
type gzipMembers struct {
	z io.ReadCloser
	r *bufio.Reader
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err != io.EOF {
		return n, err
	}
	_, _ = g.r.Discard(8) // checksum and length
	if head, _ := g.r.Peek(len(gzipMagic)); !bytes.Equal(head, gzipMagic) || skipGzipHeader(g.r) != nil {
		return n, io.EOF
	}
	return n, g.z.(flate.Resetter).Reset(g.r, nil)
}

// brotliStream reads a brotli stream and passes over what follows it, which a
// plain brotli.Reader calls an error.
type brotliStream struct {
	z    *brotli.Reader
	some bool
}

func (s *brotliStream) Read(p []byte) (int, error) {
	n, err := s.z.Read(p)
	s.some = s.some || n > 0
	if s.some && err != nil && err.Error() == "brotli: excessive input" {
		err = io.EOF
	}
	return n, err
}

// zstdFrames hands the frames of a zstd file (RFC 8878 section 3.1) to its decoder,
// which reads to the end of its input, and ends where no frame follows.
type zstdFrames struct {
	r *bufio.Reader

	begun   bool
	inBlock int  // how much of a header, a block or a checksum is still to come
	last    bool // it is the last block
	sum     bool // a checksum follows the last block
	between bool // no frame is under way
}

func (z *zstdFrames) Read(p []byte) (int, error) {
	for z.inBlock == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n, err := z.r.Read(p[:min(len(p), z.inBlock)])
	z.inBlock -= n
	return n, err
}

// next finds out how long what comes next is.
func (z *zstdFrames) next() error {
	switch {
	case !z.begun || z.between:
		head, err := z.r.Peek(zstd.HeaderMaxSize)
		var h zstd.Header
		if bad := h.Decode(head); bad != nil {
			if z.begun {
				return io.EOF // it is no frame
			}
			if err != nil && err != io.EOF {
				return err
			}
			z.inBlock = max(len(head), 1) // the decoder will say what is wrong
			return nil
		}
		z.begun, z.between, z.last, z.sum = true, h.Skippable, false, h.HasCheckSum
		z.inBlock = h.HeaderSize
		if h.Skippable {
			z.inBlock += int(h.SkippableSize)
		}
	case z.last && z.sum:
		z.sum, z.inBlock = false, 4
	case z.last:
		z.between = true
	default:
		head, err := z.r.Peek(3)
		if err != nil {
			return err
		}
		size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
		z.last = size&1 != 0
		z.inBlock = 3 + size>>3
		if size>>1&3 == 1 { // one byte, repeated
			z.inBlock = 3 + 1
		}
	}
	return nil
}
