package sitemap

import (
	"bufio"
	"io"
	"strings"
	"time"
)

// text reads a text sitemap: absolute URLs, one a line. Other lines are
// skipped; a file without any URL is no sitemap.
func (p *parser) text(in *input) error {
	r := bufio.NewReaderSize(lineFeeds{in}, 8<<10)
	for {
		in.newToken()
		line, err := r.ReadString('\n')
		if line = strings.TrimSpace(line); hasHTTP(line) {
			p.result.Kind = Text
			if err := p.emit(Entry{Loc: line, Priority: 0.5}); err != nil {
				return err
			}
		} else if line != "" {
			p.result.Skipped++
		}
		switch {
		case err == io.EOF && p.result.Kind == "":
			return ErrNotSitemap
		case err == io.EOF:
			return nil
		case err != nil && p.result.Kind == "" && err == errTokenTooLong:
			return ErrNotSitemap
		case err != nil:
			return err
		}
	}
}

// lineFeeds reads a text in which carriage returns, which may stand alone, are line
// feeds.
type lineFeeds struct{ r io.Reader }

func (l lineFeeds) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// hasHTTP reports whether s begins like an absolute http or https URL.
func hasHTTP(s string) bool {
	const http, https = "http://", "https://"
	return len(s) > len(http) && strings.EqualFold(s[:len(http)], http) ||
		len(s) > len(https) && strings.EqualFold(s[:len(https)], https)
}

// dateLayouts are the W3C's date formats, which sitemaps and Atom use, and
// those of RFC 822 and habit, which RSS uses.
var dateLayouts = []string{
	time.RFC3339, "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700",
	"2006-01", "2006", "2006-01-02 15:04:05", "2006-01-02 15:04:05 -0700", "20060102",
	time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 06 15:04:05 -0700", "Mon, 2 Jan 06 15:04:05 MST", "Mon, 2 Jan 2006",
	"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04 -0700", "Mon, 2 Jan 2006 15:04 MST",
}

// parseDate reads a date as sitemaps and feeds write it.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
