package stages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// FuzzDecode feeds any bytes to each decoder: the outcome is a body within the
// limit or an error of a known kind.
func FuzzDecode(f *testing.F) {
	for _, e := range []string{"gzip", "br", "zstd", "deflate"} {
		for _, s := range []string{"", "some text", string(bytes.Repeat([]byte("zeros "), 5000))} {
			f.Add(compressed(f, e, []byte(s)), e)
		}
	}
	f.Add([]byte("not compressed"), "gzip, br")
	f.Add([]byte{0x78}, "deflate")
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0xff}, "zstd")
	f.Fuzz(func(t *testing.T, data []byte, encoding string) {
		const limit = 64 << 10
		fetcher := &Fetcher{}
		w := newWatch(context.Background(), time.Minute)
		defer w.stop()
		wire := &wireReader{r: bytes.NewReader(data), max: 1 << 20, w: w, idle: time.Minute, last: time.Now()}
		body, err := fetcher.decode("http://e.example/", wire, contentEncodings([]string{encoding}), bodyReader{limit: limit})
		if len(body) > limit {
			t.Errorf("%d bytes, limit %d", len(body), limit)
		}
		if err != nil && AsError(err) == nil && !errors.Is(err, errTooLarge) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("an error of no known kind: %v", err)
		}
	})
}
