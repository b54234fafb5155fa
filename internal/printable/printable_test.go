package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestString(t *testing.T) {
	for in, want := range map[string]string{
		"plain Grüße 日本":             "plain Grüße 日本",
		"two\nlines\tand a tab":      "two\nlines\tand a tab",
		"\x1b]0;owned\a\x1b[2J":      `\u001b]0;owned\u0007\u001b[2J`,
		"C1 \u009b2J and \x7f":       `C1 \u009b2J and \u007f`,
		"\u202etxt.exe\u2066 \u200f": `\u202etxt.exe\u2066 \u200f`,
		"line\u2028\u2029\rover":     `line\u2028\u2029\u000dover`,
		"bytes \xff\x9b2J":           `bytes \ufffd\ufffd2J`,
		"the character \ufffd":       "the character \ufffd",
	} {
		if got := String(in); got != want {
			t.Errorf("String(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Line("a\nb\tc\x1b"); got != `a\u000ab\u0009c\u001b` {
		t.Errorf("Line: %q", got)
	}
}

// However text is cut into writes, the same comes out, and JSON stays JSON.
func TestWriter(t *testing.T) {
	const text = "Grüße \x1b[1m\u202e日本\u009b!\n"
	for size := 1; size < len(text); size++ {
		var b bytes.Buffer
		w := NewWriter(&b)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if m, err := w.Write([]byte(rest[:n])); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if b.String() != String(text) {
			t.Errorf("in pieces of %d: %q", size, b.String())
		}
	}
	in, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := NewWriter(&b).Write(in); err != nil {
		t.Fatal(err)
	}
	var out string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out != text || strings.ContainsRune(b.String(), 0x202e) {
		t.Errorf("%s: %q, %v", b.Bytes(), out, err)
	}
}

func FuzzString(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := String(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, harmful) {
			t.Errorf("String(%q) = %q", s, got)
		}
		if again := String(got); again != got {
			t.Errorf("String of %q is %q", got, again)
		}
	})
}
