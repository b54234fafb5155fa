// Package codec gives values their stored form: JSON, or their own binary form
// if they have one, compressed where that pays.
package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The first byte of a stored value says how the rest is to be read.
const (
	encodingPlain = 0
	encodingZstd  = 1

	compressAbove = 1 << 10
	maxDecoded    = 256 << 20 // bytes; a longer value was never written
)

// The compressors have no state between calls and are safe for concurrent use.
var (
	compressor = sync.OnceValue(func() *zstd.Encoder {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return enc
	})
	decompressor = sync.OnceValue(func() *zstd.Decoder {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDecoded), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return dec
	})
)

// Encode returns the stored form of a value.
func Encode[T any](v T) ([]byte, error) {
	var b []byte
	var err error
	if m, ok := any(v).(encoding.BinaryMarshaler); ok {
		b, err = m.MarshalBinary()
	} else {
		b, err = json.Marshal(v)
	}
	if err != nil {
		return nil, err
	}
	if len(b) > compressAbove {
		return compressor().EncodeAll(b, append(make([]byte, 0, len(b)/2), encodingZstd)), nil
	}
	return append(append(make([]byte, 0, 1+len(b)), encodingPlain), b...), nil
}

// Decode is the inverse of Encode.
func Decode[T any](body []byte, v *T) error {
	if len(body) == 0 {
		return fmt.Errorf("body is empty")
	}
	b := body[1:]
	switch body[0] {
	case encodingPlain:
	case encodingZstd:
		var err error
		if b, err = decompressor().DecodeAll(b, nil); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown encoding %d", body[0])
	}
	if m, ok := any(v).(encoding.BinaryUnmarshaler); ok {
		return m.UnmarshalBinary(b)
	}
	return json.Unmarshal(b, v)
}
