package crawler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler/robots"
)

// However large the rules of many hosts are, those that are remembered take no more than
// they may, and the last ones are among them.
func TestRememberedRulesAreBounded(t *testing.T) {
	f := &RobotsFiles{}
	for i := range 80 {
		var file strings.Builder
		file.WriteString("User-agent: *\n")
		for line := 0; file.Len() < robots.MaxBody/10; line++ {
			fmt.Fprintf(&file, "Disallow: /%d/%d/*.html\n", i, line)
		}
		name := fmt.Sprint("http://host", i, ".example")
		f.remember(name, &robots.Policy{Rules: robots.Parse([]byte(file.String()), "weir")})
		if _, ok := f.recent.get(name); !ok {
			t.Fatalf("the rules of %s are forgotten at once", name)
		}
	}
	size := 0
	for _, half := range []map[string]weighed[*robots.Policy]{f.recent.young, f.recent.old} {
		for _, e := range half {
			size += e.value.Rules.Size()
		}
	}
	if size < cacheMaxBytes/4 || size > cacheMaxBytes {
		t.Errorf("what is remembered takes %d bytes, want %d at most", size, cacheMaxBytes)
	}
}
