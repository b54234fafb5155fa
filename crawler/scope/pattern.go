package scope

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// A Pattern is a family of addresses that a site can make without end, though
// none of them looks wrong: the months of a calendar, one page under ever new
// session ids, the combinations of a form's filters. A crawl fetches Limit
// addresses of each. Which address it is that is one too many depends on what
// was fetched before, so the crawl counts them; see [Traps.Pattern].
type Pattern struct {
	Kind PatternKind
	// Key is what the addresses have in common; what differs is "*".
	Key   string
	Limit int
	// why is what is to be said of an address that is refused whatever the count.
	why string
}

// PatternKind is what differs between the addresses of a pattern.
type PatternKind string

// The kinds of patterns.
const (
	// Calendar: dates, at the end of the path or in parameters. A date more than
	// a year ahead is refused at once, since nothing has happened there yet.
	Calendar PatternKind = "calendar"
	// Session: session ids, in the query or in the path; see
	// weburl.Options.DropSession.
	Session PatternKind = "session"
	// Token: a segment of 16 or more random letters and digits, with more of the
	// path behind it.
	Token PatternKind = "token"
	// Facets: the values of four parameters or more.
	Facets PatternKind = "facets"
)

// String explains the pattern: "trap calendar: 1000 addresses like
// example.com/events/*/* are fetched".
func (p Pattern) String() string {
	if p.why != "" {
		return fmt.Sprintf("trap %s: %s", p.Kind, p.why)
	}
	return fmt.Sprintf("trap %s: %d addresses like %s are fetched, and no more", p.Kind, p.Limit, p.Key)
}

// Pattern returns the pattern that an address is one of, at a given time, and
// false for most addresses, which are of none. A Limit of 0 means that this
// address is refused whatever else was fetched.
func (t Traps) Pattern(u weburl.URL, now time.Time) (Pattern, bool) {
	if u.Query() == "" && !strings.ContainsAny(u.Path(), "0123456789;(") {
		return Pattern{}, false
	}
	// The clearest first.
	if limit := cmp.Or(t.MaxSessions, DefaultMaxSessions); limit > 0 {
		if page := u.Canonical(&weburl.Options{DropSession: true}); page != u {
			return Pattern{Kind: Session, Key: page.Host() + page.Target(), Limit: limit}, true
		}
	}
	segments := strings.Split(u.Path()[1:], "/")
	params := splitParams(u.Query())
	if limit := cmp.Or(t.MaxCalendar, DefaultMaxCalendar); limit > 0 {
		if key, date, ok := calendar(segments, params); ok {
			p := Pattern{Kind: Calendar, Key: u.Host() + key, Limit: limit}
			if date.After(now.AddDate(1, 0, 1)) {
				p.Limit, p.why = 0, "the date is more than a year ahead"
			}
			return p, true
		}
	}
	if limit := cmp.Or(t.MaxTokens, DefaultMaxTokens); limit > 0 {
		if key, ok := tokens(segments); ok {
			return Pattern{Kind: Token, Key: u.Host() + key + withQuery(u.Query()), Limit: limit}, true
		}
	}
	if limit := cmp.Or(t.MaxFacets, DefaultMaxFacets); limit > 0 {
		names := make([]string, 0, len(params))
		for _, p := range params {
			names = append(names, p.name)
		}
		slices.Sort(names)
		if names = slices.Compact(names); len(names) >= 4 {
			return Pattern{Kind: Facets, Key: u.Host() + u.Path() + "?" + strings.Join(names, "=*&") + "=*", Limit: limit}, true
		}
	}
	return Pattern{}, false
}

func withQuery(q string) string {
	if q == "" {
		return ""
	}
	return "?" + q
}

type param struct{ name, value string }

func splitParams(query string) (params []param) {
	if query == "" {
		return nil
	}
	for p := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		params = append(params, param{strings.ToLower(name), value})
	}
	return params
}

// calendar reports whether an address names a page of a calendar: by a date that
// the path ends with, or by parameters. An article that lies below its date is
// none. The key has the date replaced.
func calendar(segments []string, params []param) (key string, date time.Time, ok bool) {
	var c dateParts
	last := len(segments) - 1
	if last > 0 && segments[last] == "" {
		last--
	}
	first := last + 1
	for first > 0 && last-first < 3 && c.segment(segments[first-1], first-1 == last) {
		first--
	}
	inPath := c.complete()
	if !inPath {
		c = dateParts{}
	}
	inQuery := false
	for _, p := range params {
		inQuery = c.param(p) || inQuery
	}
	if !inPath && !(inQuery && c.complete()) {
		return "", date, false
	}
	masked := slices.Clone(segments)
	for i := range masked {
		if inPath && first <= i && i <= last {
			masked[i] = "*"
		}
	}
	key = "/" + strings.Join(masked, "/")
	for i, p := range params {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		var d dateParts
		if d.param(p) {
			p.value = "*"
		}
		key += sep + p.name + "=" + p.value
	}
	return key, c.time(), true
}

// dateParts collects what an address says of a date.
type dateParts struct{ year, month, day int }

// complete reports whether it is enough for a page of a calendar.
func (d *dateParts) complete() bool { return d.year > 0 && d.month > 0 }

func (d *dateParts) time() time.Time {
	return time.Date(d.year, time.Month(max(d.month, 1)), max(d.day, 1), 0, 0, 0, 0, time.UTC)
}

// segment takes a segment of a path, of which the last comes first: a day, a
// month, a year, or all in one.
func (d *dateParts) segment(s string, last bool) bool {
	if whole, ok := parseDate(s); ok && last {
		*d = whole
		return true
	}
	n, err := strconv.Atoi(s)
	if err != nil || len(s) > 5 || d.year > 0 {
		return false
	}
	switch {
	case len(s) >= 4 && n >= 1000:
		if d.month == 0 {
			return false // a year alone, or a number
		}
		d.year = n
	case len(s) <= 2 && 1 <= n && n <= 31:
		if d.day > 0 {
			return false
		}
		d.month, d.day = n, d.month // what was taken for the month is the day
	default:
		return false
	}
	return d.month <= 12 || d.year == 0
}

// param takes a parameter.
func (d *dateParts) param(p param) bool {
	n, err := strconv.Atoi(p.value)
	number := err == nil && n >= 0 && len(p.value) <= 5
	switch p.name {
	case "year", "yr", "y", "cal_year", "calyear":
		if number && n >= 1000 {
			d.year = n
			return true
		}
	case "month", "mon", "mo", "cal_month", "calmonth":
		if number && 0 <= n && n <= 12 {
			d.month = max(n, 1) // some count from 0
			return true
		}
	case "day", "dd", "cal_day":
		if number && 1 <= n && n <= 31 {
			d.day = n
			return true
		}
	case "week", "wk":
		if number && 1 <= n && n <= 53 {
			d.month = min(1+n/5, 12)
			return true
		}
	}
	if whole, ok := parseDate(p.value); ok {
		*d = whole
		return true
	}
	return false
}

// parseDate reads 2026-03, 2026-03-15, 20260315 and 2026_03.
func parseDate(s string) (d dateParts, ok bool) {
	if len(s) < 7 || len(s) > 10 {
		return d, false
	}
	plain := strings.NewReplacer("_", "-", ".", "-").Replace(s)
	for _, layout := range []string{"2006-01-02", "2006-01", "20060102", "2006-1-2", "2006-1"} {
		if t, err := time.Parse(layout, plain); err == nil && t.Year() >= 1000 {
			d = dateParts{t.Year(), int(t.Month()), t.Day()}
			return d, true
		}
	}
	return d, false
}

// tokens replaces the random segments of a path but for its last one.
func tokens(segments []string) (key string, ok bool) {
	masked := slices.Clone(segments)
	for i, s := range masked[:max(len(masked)-1, 0)] {
		if isRandom(s) {
			masked[i], ok = "*", true
		}
	}
	return "/" + strings.Join(masked, "/"), ok
}

// isRandom reports whether a segment is 16 or more letters and digits without a
// pattern: both are mixed.
func isRandom(s string) bool {
	if len(s) < 16 {
		return false
	}
	changes, letters, digits := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		digit := '0' <= c && c <= '9'
		switch {
		case digit:
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			letters++
		case c == '-' || c == '_':
			continue
		default:
			return false
		}
		if i > 0 && digit != ('0' <= s[i-1] && s[i-1] <= '9') {
			changes++
		}
	}
	return letters > 0 && digits > 0 && changes >= 5
}
