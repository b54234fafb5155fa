// Package codec gives values their stored form: JSON, or their own binary form
// if they have one, compressed where that pays.
package codec

import (
	"encoding"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// The first byte of a stored value says how the rest is to be read: its lower half how
// it is compressed, the upper one which form of its type it has; see Formed.
const (
	encodingPlain = 0
	encodingZstd  = 1
	encodingS2    = 2

	encodingMask = 1<<formShift - 1
	formShift    = 4

	compressAbove = 1 << 10
	zstdAbove     = 8 << 10   // for less, zstd costs more time than the space is worth
	maxDecoded    = 256 << 20 // bytes; a longer value was never written
)

// The compressors have no state between calls and are safe for concurrent use.
// They are made when the program starts, and not when they are first used, as
// they hold channels, and a test may use them in several bubbles of
// testing/synctest.
var compressor, decompressor = newCompressors()

func newCompressors() (*zstd.Encoder, *zstd.Decoder) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	enc.EncodeAll(nil, nil) // which makes its channel
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDecoded), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return enc, dec
}

// Formed is a value whose binary form has changed: its MarshalBinary makes the form of
// that number, from 1 to 15. Form 0 is what the type had before it was Formed, and JSON
// if that was not binary.
type Formed interface {
	encoding.BinaryMarshaler
	Form() byte
}

// A FormReader reads every form that its type has had.
type FormReader interface {
	UnmarshalForm(form byte, data []byte) error
}

// Encode returns the stored form of a value. One that has a method Compressed which
// returns true is stored as it is.
func Encode[T any](v T) ([]byte, error) {
	boxed := any(v) // once, as each time is a copy
	if a, ok := boxed.(encoding.BinaryAppender); ok && isCompressed(boxed) {
		return a.AppendBinary([]byte{formOf(boxed) | encodingPlain})
	}
	var b []byte
	var err error
	if m, ok := boxed.(encoding.BinaryMarshaler); ok {
		b, err = m.MarshalBinary()
	} else {
		b, err = json.Marshal(boxed)
	}
	if err != nil {
		return nil, err
	}
	form := formOf(boxed)
	if isCompressed(boxed) {
		return tagged(form|encodingPlain, b), nil
	}
	switch {
	case len(b) > zstdAbove:
		return compressor.EncodeAll(b, append(make([]byte, 0, len(b)/2), form|encodingZstd)), nil
	case len(b) > compressAbove:
		return tagged(form|encodingS2, s2.EncodeBetter(nil, b)), nil
	default:
		return tagged(form|encodingPlain, b), nil
	}
}

func isCompressed(v any) bool {
	c, ok := v.(interface{ Compressed() bool })
	return ok && c.Compressed()
}

// formOf is the part of a stored value's first byte that says which form it has.
func formOf(v any) byte {
	if f, ok := v.(Formed); ok {
		return f.Form() << formShift
	}
	return 0
}

func tagged(encoding byte, b []byte) []byte {
	return append(append(make([]byte, 0, 1+len(b)), encoding), b...)
}

// DecodedSize returns how many bytes a stored value takes when it is no longer
// compressed, or the size of body if it does not say.
func DecodedSize(body []byte) int64 {
	if len(body) > 0 {
		switch b := body[1:]; body[0] & encodingMask {
		case encodingZstd:
			var h zstd.Header
			if err := h.Decode(b); err == nil && h.HasFCS && h.FrameContentSize <= maxDecoded {
				return int64(h.FrameContentSize)
			}
		case encodingS2:
			if n, err := s2.DecodedLen(b); err == nil && n <= zstdAbove {
				return int64(n)
			}
		}
	}
	return int64(len(body))
}

// Decode is the inverse of Encode.
func Decode[T any](body []byte, v *T) error {
	if len(body) == 0 {
		return fmt.Errorf("body is empty")
	}
	b, form := body[1:], body[0]>>formShift
	switch body[0] & encodingMask {
	case encodingPlain:
	case encodingZstd:
		var err error
		if b, err = decompressor.DecodeAll(b, nil); err != nil {
			return err
		}
	case encodingS2:
		n, err := s2.DecodedLen(b)
		if err != nil {
			return err
		}
		if n > zstdAbove {
			return fmt.Errorf("%d bytes, want at most %d", n, zstdAbove)
		}
		if b, err = s2.Decode(nil, b); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown encoding %d", body[0])
	}
	if r, ok := any(v).(FormReader); ok {
		return r.UnmarshalForm(form, b)
	}
	if form != 0 {
		return fmt.Errorf("form %d of %T is unknown: a later version has written it", form, v)
	}
	if m, ok := any(v).(encoding.BinaryUnmarshaler); ok {
		return m.UnmarshalBinary(b)
	}
	return json.Unmarshal(b, v)
}
