package crawler

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

// So do the cookies of many sites, which grow while they are remembered.
func TestRememberedCookiesAreBounded(t *testing.T) {
	var c Cookies
	long := strings.Repeat("x", 4000)
	for i := range 400 {
		name := fmt.Sprint("site", i, ".example")
		site := new(siteJar)
		for n := range 10 {
			site.stored = append(site.stored, newSetCookie("http://"+name+"/", fmt.Sprint("c", n, "=", long), time.Time{}))
			c.rememberLocked(name, site)
		}
		if got, ok := c.recent.get(name); !ok || got != site {
			t.Fatalf("the cookies of %s are forgotten at once", name)
		}
	}
	size := 0
	for _, half := range []map[string]weighed[*siteJar]{c.recent.young, c.recent.old} {
		for _, e := range half {
			size += e.value.size()
		}
	}
	if size < cacheMaxBytes/4 || size > cacheMaxBytes {
		t.Errorf("what is remembered takes %d bytes, want %d at most", size, cacheMaxBytes)
	}
}
