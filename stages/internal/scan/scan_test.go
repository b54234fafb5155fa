package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const testText = 40 // maxText

// differ compares what Read finds with what the tree has. It reports whether Read
// found anything.
func differ(t *testing.T, page []byte) bool {
	t.Helper()
	got, ok := Read(page, testText)
	if !ok {
		return false
	}
	root, err := html.ParseWithOptions(strings.NewReader(string(page)), html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Fatalf("Read read a page of which no tree can be made: %v\n%q", err, page)
	}
	var want []string
	for _, e := range FromTree(root, testText) {
		if e.Node == nil {
			want = append(want, show(e))
		}
	}
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = show(got[i])
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("element %d is\n  %s\nin the tree it is\n  %s\nof %d; the page is\n%q", i, g, w, len(want), page)
		}
	}
	return true
}

func show(e Element) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v foreign=%v", e.Atom, e.Foreign)
	values := make(map[string]string) // the tree sorts those of some elements
	for _, a := range slices.Backward(e.Attr) {
		if wantedKey(a.Key) && a.Namespace != "xmlns" && (e.Atom != atom.Html || a.Key == "lang") {
			values[a.Key] = a.Val
		}
	}
	fmt.Fprintf(&b, " %q", values)
	fmt.Fprintf(&b, " %q", e.Text)
	return b.String()
}
