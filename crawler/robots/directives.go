package robots

import (
	"strings"
	"time"
)

// Directives are what a page says to robots about itself, in robots meta
// elements or X-Robots-Tag headers. The zero value restricts nothing.
type Directives struct {
	NoIndex   bool // do not show the page: do not store or pass it on
	NoFollow  bool // do not follow its links
	NoArchive bool // do not keep a copy for others
	NoSnippet bool // do not show an excerpt
	// UnavailableAfter is when the page stops being for show, or zero.
	UnavailableAfter time.Time
}

// Merge returns what holds when both hold: the more restrictive of each.
func (d Directives) Merge(e Directives) Directives {
	d.NoIndex = d.NoIndex || e.NoIndex
	d.NoFollow = d.NoFollow || e.NoFollow
	d.NoArchive = d.NoArchive || e.NoArchive
	d.NoSnippet = d.NoSnippet || e.NoSnippet
	if d.UnavailableAfter.IsZero() || !e.UnavailableAfter.IsZero() && e.UnavailableAfter.Before(d.UnavailableAfter) {
		d.UnavailableAfter = e.UnavailableAfter
	}
	return d
}

// MayIndex reports whether the page may be shown at the given time.
func (d Directives) MayIndex(now time.Time) bool {
	return !d.NoIndex && (d.UnavailableAfter.IsZero() || now.Before(d.UnavailableAfter))
}

// ParseMeta reads one meta element. It counts if its name is "robots" or the
// crawler's product token, in any case; both hold for the crawler, so the
// results for all elements are to be merged.
func ParseMeta(name, content, agent string) Directives {
	name = strings.TrimSpace(name)
	if !strings.EqualFold(name, "robots") && (agent == "" || !strings.EqualFold(name, agent)) {
		return Directives{}
	}
	return parseDirectives(content, "")
}

// ParseHeader reads the values of all X-Robots-Tag headers of a response, as
// in http.Header.Values. A value may begin with the product token of the
// crawler it is for, and name others on the way: "otherbot: noindex, weir:
// nofollow".
func ParseHeader(values []string, agent string) (d Directives) {
	for _, v := range values {
		d = d.Merge(parseDirectives(v, agent))
	}
	return d
}

// parseDirectives reads a list of directives. If agent is not empty, the list
// may name crawlers, and what is for others is left out.
func parseDirectives(list, agent string) (d Directives) {
	ours := true
	items := strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ';' })
	for i := 0; i < len(items); i++ {
		name, value, hasValue := strings.Cut(items[i], ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if hasValue && agent != "" && !takesValue(name) {
			ours = strings.EqualFold(name, agent) || name == "*" || name == "robots"
			name, value, hasValue = strings.Cut(value, ":")
			name = strings.ToLower(strings.TrimSpace(name))
		}
		if name == "unavailable_after" && hasValue {
			// The date may hold a comma, too: "Friday, 25-Aug-2028 15:00:00 GMT".
			t, ok := parseDate(value)
			if !ok && i+1 < len(items) {
				if t, ok = parseDate(value + "," + items[i+1]); ok {
					i++
				}
			}
			if ok && ours {
				d = d.Merge(Directives{UnavailableAfter: t})
			}
			continue
		}
		if !ours {
			continue
		}
		if hasValue {
			continue // "max-image-preview: none" is no "none"
		}
		for word := range strings.FieldsSeq(name) {
			d.add(word)
		}
	}
	return d
}

func (d *Directives) add(word string) {
	switch word {
	case "noindex":
		d.NoIndex = true
	case "nofollow":
		d.NoFollow = true
	case "noarchive", "nocache":
		d.NoArchive = true
	case "nosnippet":
		d.NoSnippet = true
	case "none":
		d.NoIndex, d.NoFollow = true, true
	}
}

// takesValue reports whether a directive is followed by ':' and a value.
func takesValue(name string) bool {
	return name == "unavailable_after" || strings.HasPrefix(name, "max-")
}

// parseDate reads a date as RFC 822, RFC 850, ISO 8601 and habit write it.
func parseDate(s string) (time.Time, bool) {
	s = strings.Join(strings.Fields(s), " ")
	for name, offset := range map[string]string{
		"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
		"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
		"GMT": "+0000", "UTC": "+0000", "UT": "+0000", "Z": "+0000",
	} {
		if rest, ok := strings.CutSuffix(s, " "+name); ok {
			s = rest + " " + offset
			break
		}
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "2006-01-02",
		time.RFC1123Z, "Mon, 02 Jan 2006 15:04:05", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05", "2 Jan 2006",
		"Monday, 02-Jan-06 15:04:05 -0700", "Monday, 02-Jan-2006 15:04:05 -0700", "2-Jan-2006 15:04:05 -0700",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
