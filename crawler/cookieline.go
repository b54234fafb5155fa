package crawler

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxCookie is how long the name and the value of a cookie may be together, in bytes,
// as browsers have it.
const maxCookie = 4096

// parseSetCookie reads a Set-Cookie header as user agents do (RFC 6265 section 5.2),
// which take what no server should send: names with spaces or brackets, values with
// quotes, commas or bytes beyond ASCII. They go back as they came. What cannot be a
// cookie is nil. Expires is the time at which it ends, zero if it lasts as long as the
// session; MaxAge is not set.
func parseSetCookie(line string, now time.Time) *http.Cookie {
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return nil // it could not be sent
	}
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	name, value = trimBlanks(name), trimBlanks(value)
	if !ok || name == "" || len(name)+len(value) > maxCookie {
		return nil
	}
	c := &http.Cookie{Name: name, Value: value}
	aged := false // a Max-Age prevails over Expires
	for attributes != "" {
		var a string
		a, attributes, _ = strings.Cut(attributes, ";")
		key, v, _ := strings.Cut(a, "=")
		v = trimBlanks(v)
		switch strings.ToLower(trimBlanks(key)) {
		case "expires":
			if t, ok := parseCookieDate(v); ok && !aged {
				c.Expires = t
			}
		case "max-age":
			if t, ok := cookieEnd(v, now); ok {
				c.Expires, aged = t, true
			}
		case "domain":
			if v != "" {
				c.Domain = strings.ToLower(strings.TrimPrefix(v, "."))
			}
		case "path":
			if c.Path = ""; strings.HasPrefix(v, "/") {
				c.Path = v
			}
		case "secure":
			c.Secure = true
		case "httponly":
			c.HttpOnly = true
		}
	}
	return c
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }

// longAgo is when a cookie ends that is to be forgotten.
var longAgo = time.Unix(1, 0).UTC()

// maxAge bounds Max-Age, as browsers do.
const maxAge = 400 * 24 * time.Hour

// cookieEnd reads a Max-Age (RFC 6265 section 5.2.2).
func cookieEnd(v string, now time.Time) (_ time.Time, ok bool) {
	digits := strings.TrimPrefix(v, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(v, 10, 64)
	switch {
	case v[0] == '-' || err == nil && seconds <= 0:
		return longAgo, true
	case err != nil || seconds > int64(maxAge/time.Second): // too large a number
		return now.Add(maxAge).UTC(), true
	}
	return now.Add(time.Duration(seconds) * time.Second).UTC(), true
}

// parseCookieDate reads a date by the algorithm of RFC 6265 section 5.1.1, which takes
// the first time, day, month and year that it meets, in whatever form.
func parseCookieDate(s string) (_ time.Time, ok bool) {
	var hour, minute, second, day, month, year int
	hasTime, hasDay, hasMonth, hasYear := false, false, false, false
	for _, token := range strings.FieldsFunc(s, isDateDelimiter) {
		if !hasTime {
			if hour, minute, second, hasTime = clockTime(token); hasTime {
				continue
			}
		}
		if !hasDay {
			if day, hasDay = leadingNumber(token, 1, 2); hasDay {
				continue
			}
		}
		if !hasMonth && len(token) >= 3 {
			if i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(token[:3])); i >= 0 && i%3 == 0 {
				month, hasMonth = i/3+1, true
				continue
			}
		}
		if !hasYear {
			year, hasYear = leadingNumber(token, 2, 4)
		}
	}
	switch {
	case 70 <= year && year <= 99:
		year += 1900
	case year <= 69:
		year += 2000
	}
	if !hasTime || !hasDay || !hasMonth || !hasYear || day < 1 || day > 31 || year < 1601 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // there is no such day
		return time.Time{}, false
	}
	if t.Before(longAgo) {
		t = longAgo
	}
	return t, true
}

func isDateDelimiter(r rune) bool {
	return r == '\t' || ' ' <= r && r <= '/' || ';' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
}

// clockTime reads hh:mm:ss with one or two digits each.
func clockTime(s string) (hour, minute, second int, ok bool) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, p := range parts {
		if i < 2 && strings.Trim(p, "0123456789") != "" {
			return 0, 0, 0, false
		}
		if n[i], ok = leadingNumber(p, 1, 2); !ok {
			return 0, 0, 0, false
		}
	}
	return n[0], n[1], n[2], true
}

// leadingNumber reads the digits that s begins with, of which there must be so many.
func leadingNumber(s string, least, most int) (n int, ok bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits < least || digits > most {
		return 0, false
	}
	n, err := strconv.Atoi(s[:digits])
	return n, err == nil
}
