package codec_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/internal/codec"
)

type record struct {
	Name  string
	Links []string
}

// raw encodes itself.
type raw []byte

func (r raw) MarshalBinary() ([]byte, error) { return r, nil }

func (r *raw) UnmarshalBinary(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

func TestRoundTrip(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{0, 1, 1023, 1024, 1025, 8191, 8192, 8193, 100_000, 3 << 20} {
		noise := make(raw, size)
		for i := range noise {
			noise[i] = byte(chance.Uint32())
		}
		for name, v := range map[string]raw{"noise": noise, "text": raw(strings.Repeat("a word ", size/7+1)[:size])} {
			b, err := codec.Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			var got raw
			if err := codec.Decode(b, &got); err != nil || !bytes.Equal(got, v) {
				t.Errorf("%d bytes of %s come back as %d, %v", size, name, len(got), err)
			}
			if name == "text" && size > 2000 && len(b) > size/4 {
				t.Errorf("%d bytes of text take %d", size, len(b))
			}
		}
	}
	v := record{"a", []string{"b", "c"}}
	b, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := codec.Decode(b, &got); err != nil || got.Name != "a" || len(got.Links) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestInBubbles(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			want := strings.Repeat("a long value ", 5000)
			b, err := codec.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if err := codec.Decode(b, &got); err != nil || got != want {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range []raw{nil, raw("short"), raw(strings.Repeat("s2 ", 1000)), raw(strings.Repeat("zstd ", 3000))} {
		b, err := codec.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && b[0] == 1 {
			return // the limit of zstd is 256 MiB, which takes long
		}
		var v raw
		if codec.Decode(b, &v) == nil && len(v) > 8<<10 && b[0] != 0 {
			t.Errorf("%d bytes became %d", len(b), len(v))
		}
		var r record
		_ = codec.Decode(b, &r)
	})
}
