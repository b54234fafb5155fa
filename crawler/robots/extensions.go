package robots

import (
	"strings"
	"time"

	"github.com/temoto/robotstxt"
)

const (
	// maxCrawlDelay bounds what is kept of a Crawl-delay; what a crawl obeys
	// is a matter of its politeness.
	maxCrawlDelay = 24 * time.Hour
	// maxDelayLines is how many Crawl-delay lines of a group are looked at.
	maxDelayLines = 26
)

// extensions reads the two kinds of lines that RFC 9309 leaves to others. The
// greatest of several delays counts. It hands the library a copy with nothing
// but these lines, each delay in a group of its own; a line that the library
// cannot read is ignored, since neither kind can forbid anything.
func extensions(delays, sitemaps []string) (delay time.Duration, urls []string) {
	if len(delays) == 0 && len(sitemaps) == 0 {
		return 0, nil
	}
	delays = delays[:min(len(delays), maxDelayLines)]
	for i, value := range delays {
		agent := string(rune('a' + i))
		data := fromString("User-agent: " + agent + "\nCrawl-delay: " + value + "\n")
		if data == nil {
			continue
		}
		if g := data.FindGroup(agent); g != nil {
			d := g.CrawlDelay
			if d < 0 || d > maxCrawlDelay { // negative after an overflow
				d = maxCrawlDelay
			}
			delay = max(delay, d)
		}
	}
	var clean strings.Builder
	for _, value := range sitemaps {
		clean.WriteString("Sitemap: " + value + "\n")
	}
	if data := fromString(clean.String()); data != nil {
		urls = data.Sitemaps
	}
	return delay, urls
}

// fromString contains the library: no panic of it gets further, and a file it
// cannot read is nil.
func fromString(text string) (data *robotstxt.RobotsData) {
	defer func() {
		if recover() != nil {
			data = nil
		}
	}()
	data, err := robotstxt.FromString(text)
	if err != nil {
		return nil
	}
	return data
}
