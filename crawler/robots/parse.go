package robots

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

const (
	// MaxBody is how much of a robots.txt is read: 500 KiB, what RFC 9309
	// section 2.5 asks for at the least. A line that the limit cuts is ignored.
	MaxBody = 500 << 10

	// maxLine is how much of a line is read, as by Google's parser: 8 times
	// the length of the longest URL that some browsers take.
	maxLine = 8 * 2083
)

// Dialect chooses between readings of the standard.
type Dialect uint8

const (
	// RFC9309 is the standard: octets are compared after escapes have been
	// normalised on both sides (section 2.2.2), and /robots.txt itself is
	// always allowed.
	RFC9309 Dialect = iota
	// Google is what Google's published parser does beside or against it:
	// escapes are compared as they are written but for the case of their
	// digits, and "Allow: /dir/index.html" allows /dir/ too.
	Google
)

// lineKind is what a line is about.
type lineKind uint8

const (
	otherLine lineKind = iota
	userAgentLine
	allowLine
	disallowLine
	crawlDelayLine
	sitemapLine
)

// kinds maps keys in lower case, with the misspellings that Google's parser
// forgives, to what they mean.
var kinds = map[string]lineKind{
	"user-agent": userAgentLine, "useragent": userAgentLine, "user agent": userAgentLine,
	"allow":    allowLine,
	"disallow": disallowLine, "dissallow": disallowLine, "dissalow": disallowLine,
	"disalow": disallowLine, "diasllow": disallowLine, "disallaw": disallowLine,
	"crawl-delay": crawlDelayLine, "crawldelay": crawlDelayLine,
	"sitemap": sitemapLine, "site-map": sitemapLine,
}

// Parse compiles the rules of a robots.txt for the crawler whose product token
// is agent. Every byte sequence is a valid file: lines that mean nothing are
// ignored.
func Parse(body []byte, agent string) *Rules {
	return ParseDialect(body, agent, RFC9309)
}

// ParseDialect is Parse with a choice of dialect.
func ParseDialect(body []byte, agent string, dialect Dialect) *Rules {
	p := parser{agent: agent}
	p.read(body)
	chosen := &p.global
	if p.seenSpecific {
		chosen = &p.specific
	}
	r := &Rules{agent: agent, dialect: dialect, rules: chosen.rules}
	r.crawlDelay, r.sitemaps = extensions(chosen.delays, p.sitemaps)
	r.compile()
	return r
}

// group collects the lines of all groups for one agent, which count as one
// (RFC 9309 section 2.2.1).
type group struct {
	rules  []Rule
	delays []string
}

type parser struct {
	agent        string
	specific     group // of groups that name the agent
	global       group // of groups for "*"
	seenSpecific bool  // some group names the agent, even one without rules
	sitemaps     []string

	// The group being read.
	inSpecific, inGlobal bool
	hasRules             bool // so that the next user-agent line begins a new group
}

func (p *parser) read(body []byte) {
	body = bytes.TrimPrefix(text(body), []byte("\xef\xbb\xbf"))
	if len(body) > MaxBody {
		body = body[:MaxBody]
		body = body[:bytes.LastIndexAny(body, "\r\n")+1]
	}
	for n := 1; len(body) > 0; n++ {
		line := body
		if i := bytes.IndexAny(body, "\r\n"); i >= 0 {
			line, body = body[:i], body[i:]
			if bytes.HasPrefix(body, []byte("\r\n")) {
				body = body[1:]
			}
			body = body[1:]
		} else {
			body = nil
		}
		if len(line) > maxLine {
			line = line[:maxLine]
		}
		if key, value, ok := keyValue(string(line)); ok {
			p.line(n, kinds[strings.ToLower(key)], value)
		}
	}
}

// text returns a file as UTF-8. RFC 9309 wants it so, but some editors write
// UTF-16, and what it says is plain. It is known by its byte order mark, or by
// its zero bytes.
func text(body []byte) []byte {
	if len(body) < 4 {
		return body
	}
	var order binary.ByteOrder
	switch {
	case body[0] == 0xff && body[1] == 0xfe, body[0] != 0 && body[1] == 0 && body[2] != 0 && body[3] == 0:
		order = binary.LittleEndian
	case body[0] == 0xfe && body[1] == 0xff, body[0] == 0 && body[1] != 0 && body[2] == 0 && body[3] != 0:
		order = binary.BigEndian
	default:
		return body
	}
	body = body[:min(len(body), 2*MaxBody)&^1]
	units := make([]uint16, 0, len(body)/2)
	for ; len(body) > 0; body = body[2:] {
		units = append(units, order.Uint16(body))
	}
	return []byte(string(utf16.Decode(units)))
}

// line takes line number n in.
func (p *parser) line(n int, kind lineKind, value string) {
	switch kind {
	case userAgentLine:
		if p.hasRules {
			p.inSpecific, p.inGlobal, p.hasRules = false, false, false
		}
		if isStar(value) {
			p.inGlobal = true
		} else if token := ProductToken(value); token != "" && strings.EqualFold(token, p.agent) {
			p.inSpecific, p.seenSpecific = true, true
		}
	case allowLine, disallowLine:
		p.hasRules = true
		if value == "" || value[0] != '/' && value[0] != '*' {
			return // matches nothing: every path begins with a slash
		}
		rule := Rule{Allow: kind == allowLine, Pattern: value, Line: n}
		p.each(func(g *group) { g.rules = append(g.rules, rule) })
	case crawlDelayLine:
		if value != "" {
			p.each(func(g *group) { g.delays = append(g.delays, value) })
		}
	case sitemapLine:
		if value != "" {
			p.sitemaps = append(p.sitemaps, value)
		}
	}
}

// each calls f for the groups that the current line belongs to.
func (p *parser) each(f func(*group)) {
	if p.inSpecific {
		f(&p.specific)
	}
	if p.inGlobal {
		f(&p.global)
	}
}

// keyValue splits a line. A colon that was forgotten is forgiven if there are
// just two words.
func keyValue(line string) (key, value string, ok bool) {
	if i := strings.IndexByte(line, '#'); i >= 0 {
		line = line[:i]
	}
	line = trim(line)
	if i := strings.IndexByte(line, ':'); i >= 0 {
		key, value = trim(line[:i]), trim(line[i+1:])
		return key, value, key != ""
	}
	words := strings.Fields(line)
	if len(words) != 2 {
		return "", "", false
	}
	return words[0], words[1], true
}

func trim(s string) string { return strings.Trim(s, " \t\v\f\x00") }

// isStar reports whether the value of a user-agent line means all crawlers:
// "*", perhaps with words behind.
func isStar(value string) bool {
	return value == "*" || strings.HasPrefix(value, "* ") || strings.HasPrefix(value, "*\t")
}

// ProductToken returns the product token of a User-Agent header or of a
// user-agent line: the letters, '-' and '_' that it begins with (RFC 9309
// section 2.2.1). "Weir/1.0 (+https://example.com/)" has the token "Weir".
func ProductToken(userAgent string) string {
	for i := range len(userAgent) {
		c := userAgent[i]
		if ('a' > c|0x20 || c|0x20 > 'z') && c != '-' && c != '_' {
			return userAgent[:i]
		}
	}
	return userAgent
}
