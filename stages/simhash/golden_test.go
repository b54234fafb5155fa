package simhash_test

import (
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages/simhash"
)

// Fingerprints are stored, so they stay what they are.
func TestFingerprintsStay(t *testing.T) {
	for text, want := range map[string]string{
		"":              "0000000000000000",
		"one":           "e806e2599d864cb2",
		"one Two three": "c2891793b631c004",
		"The quick brown fox jumps over the lazy dog, and 漢字 of 3 kinds; ÄÖÜ.": "58c988034290e4a5",
		strings.Repeat("all is the same and nothing is ", 500):                 "ab343b456f183cb9",
	} {
		if h, _ := simhash.Of(text); h.String() != want {
			t.Errorf("Of(%.40q) = %s, want %s", text, h, want)
		}
	}
}
