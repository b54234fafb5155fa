package robots

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule is a line of a robots.txt that allows or disallows.
type Rule struct {
	Allow   bool
	Pattern string // as written
	Line    int    // its number in the file, from 1; 0 if no file said so
}

// String returns the rule as a line of robots.txt, or "no rule" for the zero
// Rule.
func (r Rule) String() string {
	if r == (Rule{}) {
		return "no rule"
	}
	verb := "Disallow: "
	if r.Allow {
		verb = "Allow: "
	}
	if r.Line == 0 {
		return verb + r.Pattern
	}
	return fmt.Sprintf("%s%s (line %d)", verb, r.Pattern, r.Line)
}

// Rules are the rules of a robots.txt for one crawler, compiled. The zero
// value, like a nil pointer, allows everything.
type Rules struct {
	agent      string
	dialect    Dialect
	rules      []Rule
	crawlDelay time.Duration
	sitemaps   []string

	literals []literal  // without wildcards, in order of their prefixes
	wild     []wildcard // with wildcards, the most specific first
}

// literal is a rule that matches by prefix.
type literal struct {
	prefix string
	rule   Rule
	parent int // the longest other literal that is a prefix of this one, or -1
}

// wildcard is a rule that matches the parts of its pattern one after another.
type wildcard struct {
	parts    []string // what stands between the stars, at least one
	anchored bool     // by '$'
	octets   int      // how specific the rule is
	least    int      // the length of the shortest match
	rule     Rule
}

// disallowAll returns rules by which nothing may be fetched.
func disallowAll(agent string) *Rules {
	r := &Rules{agent: agent, rules: []Rule{{Pattern: "/"}}}
	r.compile()
	return r
}

// Agent returns the product token that the rules were chosen for.
func (r *Rules) Agent() string {
	if r == nil {
		return ""
	}
	return r.agent
}

// CrawlDelay returns the greatest Crawl-delay of the crawler's groups, at most
// 24 hours, or 0 if there is none.
func (r *Rules) CrawlDelay() time.Duration {
	if r == nil {
		return 0
	}
	return r.crawlDelay
}

// Sitemaps returns the values of the Sitemap lines, in order, as written. The
// caller must not change the slice.
func (r *Rules) Sitemaps() []string {
	if r == nil {
		return nil
	}
	return r.sitemaps
}

// Size returns about how many bytes of memory the rules take.
func (r *Rules) Size() int {
	if r == nil {
		return 0
	}
	const rules, text, each = 160, 16, 72 // besides the text itself
	n := rules + len(r.agent)
	for _, s := range r.sitemaps {
		n += text + len(s)
	}
	for _, rule := range r.rules {
		n += each + len(rule.Pattern)
	}
	for _, l := range r.literals {
		n += each + len(l.prefix)
	}
	for _, w := range r.wild {
		n += each + len(w.parts)*text + w.least
	}
	return n
}

// Allowed reports whether the rules allow to fetch a URL: an absolute URL or
// path and query.
func (r *Rules) Allowed(url string) bool {
	_, allowed := r.Match(url)
	return allowed
}

// Match returns the rule that decides about a URL, the one with the most
// octets among those that match, and what it decides. If an allow and a
// disallow rule are equal, the allow rule counts. The zero Rule is returned if
// no rule matches, and the URL is then allowed (RFC 9309 section 2.2.2).
//
// The time it takes is proportional to the length of the URL times the number
// of rules with wildcards, whatever these look like; rules without are found
// by binary search.
func (r *Rules) Match(url string) (_ Rule, allowed bool) {
	if r == nil || len(r.rules) == 0 {
		return Rule{}, true
	}
	path := target(url)
	if r.dialect == RFC9309 {
		path, _ = normalize(path, false)
		if path == "/robots.txt" {
			return Rule{}, true
		}
	}

	best, octets := r.matchLiteral(path)
	for i := range r.wild {
		w := &r.wild[i]
		if octets > 0 && (w.octets < octets || w.octets == octets && best.Allow) {
			break
		}
		if w.octets == octets && !w.rule.Allow {
			continue
		}
		if w.match(path) {
			best, octets = w.rule, w.octets
			break
		}
	}
	return best, octets == 0 || best.Allow
}

// matchLiteral returns the longest literal that is a prefix of path, and its
// length. Every such literal is the one that stands last before path in the
// order, or one of its parents: whatever stands between a prefix of path and
// path has that prefix, too.
func (r *Rules) matchLiteral(path string) (Rule, int) {
	i, found := slices.BinarySearchFunc(r.literals, path, func(l literal, path string) int {
		return strings.Compare(l.prefix, path)
	})
	if !found {
		i--
	}
	for i >= 0 && !strings.HasPrefix(path, r.literals[i].prefix) {
		i = r.literals[i].parent
	}
	if i < 0 {
		return Rule{}, 0
	}
	return r.literals[i].rule, len(r.literals[i].prefix)
}

// match takes every part at the first place where it fits: if there is any
// match, there is one that does. This needs no going back.
func (w *wildcard) match(path string) bool {
	if len(path) < w.least || !strings.HasPrefix(path, w.parts[0]) {
		return false
	}
	rest := path[len(w.parts[0]):]
	last := len(w.parts) - 1
	if last == 0 {
		return !w.anchored || rest == ""
	}
	for _, part := range w.parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	if w.anchored {
		return strings.HasSuffix(rest, w.parts[last])
	}
	return strings.Contains(rest, w.parts[last])
}

// compile fills literals and wild from rules.
func (r *Rules) compile() {
	for _, rule := range r.rules {
		r.add(rule, rule.Pattern)
		if i := strings.LastIndexByte(rule.Pattern, '/'); r.dialect == Google && rule.Allow && i >= 0 &&
			strings.HasPrefix(rule.Pattern[i:], "/index.htm") {
			r.add(rule, rule.Pattern[:i+1]+"$")
		}
	}
	// Equal rules stand together, allow first, and all but the first go.
	slices.SortStableFunc(r.literals, func(a, b literal) int {
		return cmp.Or(strings.Compare(a.prefix, b.prefix), allowFirst(a.rule, b.rule))
	})
	r.literals = slices.CompactFunc(r.literals, func(a, b literal) bool { return a.prefix == b.prefix })
	for i := range r.literals {
		p := i - 1
		for p >= 0 && !strings.HasPrefix(r.literals[i].prefix, r.literals[p].prefix) {
			p = r.literals[p].parent
		}
		r.literals[i].parent = p
	}
	slices.SortStableFunc(r.wild, func(a, b wildcard) int {
		return cmp.Or(cmp.Compare(b.octets, a.octets), allowFirst(a.rule, b.rule))
	})
}

func allowFirst(a, b Rule) int {
	switch {
	case a.Allow == b.Allow:
		return 0
	case a.Allow:
		return -1
	}
	return 1
}

// add compiles one pattern.
func (r *Rules) add(rule Rule, pattern string) {
	pattern, anchored := strings.CutSuffix(pattern, "$")
	w := wildcard{anchored: anchored, rule: rule}
	inQuery := false
	for part := range strings.SplitSeq(pattern, "*") {
		if r.dialect == Google {
			part = normalizeGoogle(part)
		} else {
			part, inQuery = normalize(part, inQuery)
		}
		w.parts = append(w.parts, part)
		w.least += len(part)
	}
	if len(w.parts) == 1 && !anchored {
		r.literals = append(r.literals, literal{prefix: w.parts[0], rule: rule})
		return
	}
	w.octets = w.least + len(w.parts) - 1
	if anchored {
		w.octets++
	}
	r.wild = append(r.wild, w)
}
