package robots

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add([]byte(v.Robots), v.UA, v.URL)
	}
	f.Add([]byte("\xef\xbb\xbfUser-agent:*\rCrawl-delay:1e999\rSitemap:\x00\xff\rAllow:*$*\r"), "a", "/%zz%4")
	f.Fuzz(func(t *testing.T, body []byte, agent, url string) {
		p := Decide(Fetch{Status: 200, Body: body}, agent, nil)
		rule, allowed := p.Rules.Match(url)
		if rule == (Rule{}) && !allowed || rule != (Rule{}) && rule.Allow != allowed {
			t.Fatalf("rule %q decides %v", rule, allowed)
		}
		data, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var q Policy
		if err := q.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if again, _ := q.Rules.Match(url); again != rule {
			t.Fatalf("rule %q after storing, %q before", again, rule)
		}
		if d := p.Rules.CrawlDelay(); d < 0 || d > maxCrawlDelay {
			t.Fatalf("Crawl-delay %v", d)
		}
		ParseDialect(body, agent, Google).Match(url)
	})
}

// FuzzMatch holds the compiled matcher to a plain one by regular expressions.
func FuzzMatch(f *testing.F) {
	f.Add("/a*b$\n/a\n!/ab*\n/ab\n!/abc", "/abcb")
	f.Add("/*ab*ab$\n!/%7e\n/?\n!/$", "/abxabxab?x/%2f")
	f.Fuzz(func(t *testing.T, lines, url string) {
		if len(lines) > 1000 || len(url) > 1000 {
			return
		}
		body := "User-agent: *\n"
		for line := range strings.SplitSeq(lines, "\n") {
			if allow, ok := strings.CutPrefix(line, "!"); ok {
				body += "Allow: " + allow + "\n"
			} else {
				body += "Disallow: " + line + "\n"
			}
		}
		r := Parse([]byte(body), "Weir")
		_, got := r.Match(url)
		if want := plainAllowed(r.rules, url); got != want {
			t.Fatalf("Match(%q) = %v, want %v\n%s", url, got, want, body)
		}
	})
}

func plainAllowed(rules []Rule, url string) bool {
	path, _ := normalize(target(url), false)
	if path == "/robots.txt" {
		return true
	}
	octets, allowed := 0, true
	for _, rule := range rules {
		pattern, anchored := strings.CutSuffix(rule.Pattern, "$")
		parts := strings.Split(pattern, "*")
		inQuery, length := false, len(parts)-1
		for i := range parts {
			parts[i], inQuery = normalize(parts[i], inQuery)
			length += len(parts[i])
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		expr := `(?s)\A` + strings.Join(parts, ".*")
		if anchored {
			expr += `\z`
			length++
		}
		if !regexp.MustCompile(expr).MatchString(path) {
			continue
		}
		if length > octets || length == octets && rule.Allow {
			octets, allowed = length, rule.Allow
		}
	}
	return allowed
}

func FuzzUnmarshal(f *testing.F) {
	for i, v := range readVectors(f) {
		if i%10 == 0 {
			data, _ := Decide(Fetch{Status: 200, Body: []byte(v.Robots)}, v.UA, nil).MarshalBinary()
			f.Add(data)
		}
	}
	data, _ := Decide(Fetch{Status: 500}, "Weir", nil).MarshalBinary()
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Policy
		if err := p.UnmarshalBinary(data); err != nil {
			return
		}
		p.Decide("/a/b?c")
		again, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var q Policy
		if err := q.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if third, _ := q.MarshalBinary(); !bytes.Equal(again, third) {
			t.Fatalf("%x, then %x", again, third)
		}
	})
}

func FuzzDirectives(f *testing.F) {
	f.Add("otherbot: unavailable_after: Fri, 25 Aug 2028 15:00:00 GMT, weir: none")
	f.Add(":,:,unavailable_after:,unavailable_after")
	f.Fuzz(func(t *testing.T, value string) {
		ParseHeader([]string{value, value}, "weir")
		ParseMeta("robots", value, "weir")
	})
}

// typicalFile is a robots.txt as a shop or a wiki has: 200 rules, some wild.
func typicalFile() []byte {
	var b strings.Builder
	b.WriteString("User-agent: *\n")
	for i := range 200 {
		if i%10 == 0 {
			fmt.Fprintf(&b, "Disallow: /*?*param%d=\n", i)
		} else {
			fmt.Fprintf(&b, "Disallow: /section%d/private/\n", i)
		}
	}
	return []byte(b.String())
}

// adversarialFile is as large as is read, and made of stars.
func adversarialFile() []byte {
	line := "Disallow: /" + strings.Repeat("*a", 40) + "*b$\n"
	return append([]byte("User-agent: *\n"), strings.Repeat(line, MaxBody/len(line))...)
}

func BenchmarkMatch(b *testing.B) {
	long := "/" + strings.Repeat("a", 2000)
	nested := []byte("User-agent: *\n")
	for n := range 900 {
		nested = append(nested, "Disallow: /"+strings.Repeat("a", n)+"\n"...)
	}
	for _, bm := range []struct {
		name string
		body []byte
		url  string
	}{
		{"typical", typicalFile(), "https://example.com/section15/articles/2026/a-title?page=2"},
		{"adversarial", adversarialFile(), long},
		{"adversarial-nested", nested, "/" + strings.Repeat("a", 898) + "b"},
		{"adversarial-one-star", append([]byte("User-agent: *\n"), strings.Repeat("Disallow: *a*b\n", MaxBody/15)...), long},
	} {
		r := Parse(bm.body, "Weir")
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Match(bm.url)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bm := range []struct {
		name string
		body []byte
	}{{"typical", typicalFile()}, {"adversarial", adversarialFile()}} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.body)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(bm.body, "Weir")
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data, err := Decide(Fetch{Status: 200, Body: typicalFile()}, "Weir", nil).MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := new(Policy).UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}
