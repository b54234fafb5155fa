package percent_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/seed-301537d8/weir/crawler/internal/percent"
)

func TestEscapes(t *testing.T) {
	for i := range 256 {
		want := fmt.Sprintf("x%%%02X", i)
		got := string(percent.Append([]byte("x"), byte(i)))
		if got != want {
			t.Errorf("Append(%d) = %q, want %q", i, got, want)
		}
		for _, s := range []string{got[1:], fmt.Sprintf("%%%02x and more", i)} {
			if c, ok := percent.Decode(s); !ok || c != byte(i) {
				t.Errorf("Decode(%q) = %d, %v", s, c, ok)
			}
		}
		if got, want := percent.Unreserved(byte(i)), url.QueryEscape(string([]byte{byte(i)})) == string([]byte{byte(i)}); got != want {
			t.Errorf("Unreserved(%q) = %v", byte(i), got)
		}
	}
	for _, s := range []string{"", "%", "%4", "41", "%4g", "%g4", "x%41"} {
		if c, ok := percent.Decode(s); ok {
			t.Errorf("Decode(%q) = %d", s, c)
		}
	}
}
