package robots

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	body := []byte("User-agent: *\nDisallow: /a\n")
	tests := []struct {
		name      string
		fetch     Fetch
		outcome   Outcome
		lifetime  time.Duration
		allowed   bool
		temporary bool
		reason    string
	}{
		{"200", Fetch{Status: 200, Body: body}, Parsed, 24 * time.Hour, false, false, "robots.txt: Disallow: /a (line 2)"},
		{"200 and empty", Fetch{Status: 200}, Parsed, 24 * time.Hour, true, false, ""},
		{"204", Fetch{Status: 204}, Parsed, 24 * time.Hour, true, false, ""},
		{"redirects without end", Fetch{Status: 302, Body: body}, Unavailable, 24 * time.Hour, true, false, ""},
		{"404", Fetch{Status: 404, Body: body}, Unavailable, 24 * time.Hour, true, false, ""},
		{"401", Fetch{Status: 401}, Unavailable, 24 * time.Hour, true, false, ""},
		{"429", Fetch{Status: 429}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: status 429"},
		{"429 with Retry-After", Fetch{Status: 429, RetryAfter: time.Hour}, Unreachable, time.Hour, false, true, "robots.txt is unreachable: status 429"},
		{"Retry-After too long", Fetch{Status: 503, RetryAfter: 1000 * time.Hour}, Unreachable, 24 * time.Hour, false, true, "robots.txt is unreachable: status 503"},
		{"500", Fetch{Status: 500, Body: body}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: status 500"},
		{"network", Fetch{Err: io.ErrUnexpectedEOF}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: unexpected EOF"},
		{"network within the body", Fetch{Status: 200, Err: io.ErrUnexpectedEOF, Body: body}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: unexpected EOF"},
		{"no final status", Fetch{Status: 103}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: status 103"},
		{"no server", Fetch{Err: io.ErrUnexpectedEOF, NoServer: true}, Unavailable, 2 * time.Second, true, false, ""},
		{"nothing at all", Fetch{}, Unreachable, 2 * time.Second, false, true, "robots.txt is unreachable: status 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fetch.Time = noon
			p := Decide(tt.fetch, "Weir", nil)
			if p.Outcome != tt.outcome || p.Expires.Sub(noon) != tt.lifetime {
				t.Errorf("outcome %v for %v, want %v for %v", p.Outcome, p.Expires.Sub(noon), tt.outcome, tt.lifetime)
			}
			want := Decision{tt.allowed, tt.temporary, tt.reason}
			if got := p.Decide("https://example.com/a/b"); got != want {
				t.Errorf("Decide = %+v, want %+v", got, want)
			}
			if p.Rules.Agent() != "Weir" {
				t.Errorf("agent %q", p.Rules.Agent())
			}
			if !p.Fresh(p.Expires.Add(-1)) || p.Fresh(p.Expires) {
				t.Error("Fresh does not end with Expires")
			}

			data, err := p.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var q Policy
			if err := q.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			if got := q.Decide("https://example.com/a/b"); got != want {
				t.Errorf("Decide after storing = %+v, want %+v", got, want)
			}
			if !q.Expires.Equal(p.Expires) || !q.Fetched.Equal(p.Fetched) || q.Status != p.Status || q.Failures != p.Failures {
				t.Errorf("stored as %+v, was %+v", q, p)
			}
		})
	}
}

func TestDecideWaitsLongerEachTime(t *testing.T) {
	var p *Policy
	var got []string
	for range 11 {
		p = Decide(Fetch{Time: noon, Status: 500}, "Weir", p)
		got = append(got, p.Expires.Sub(noon).String())
	}
	want := "2s 6s 18s 54s 2m42s 8m6s 24m18s 1h12m54s 3h38m42s 10h56m6s 24h0m0s"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("waits %s\nwant  %s", s, want)
	}
	p = Decide(Fetch{Time: noon, Status: 404}, "Weir", p)
	p = Decide(Fetch{Time: noon, Status: 500}, "Weir", p)
	if p.Failures != 1 {
		t.Errorf("%d failures after a success, want 1", p.Failures)
	}
}

// A file whose body ends before its announced length is believed when that has
// happened three times: a wrong length does not cost the host.
func TestDecideOnAFileThatIsCut(t *testing.T) {
	f := Fetch{Time: time.Now(), Status: 200, Cut: true, Body: []byte("User-agent: *\nDisallow: /no\n")}
	var p *Policy
	for i, want := range []Outcome{Unreachable, Unreachable, Parsed} {
		if p = Decide(f, "weir", p); p.Outcome != want {
			t.Errorf("attempt %d: %v, want %v", i, p.Outcome, want)
		}
	}
	if p.Decide("/no").Allowed || !p.Decide("/yes").Allowed {
		t.Error("its rules do not hold")
	}
}

func TestPolicyStored(t *testing.T) {
	body := "User-agent: weir\nCrawl-delay: 2.5\nDisallow: /a\nAllow: /a/*/c$\nSitemap: https://example.com/s.xml\n"
	p := Decide(Fetch{Time: noon, Status: 200, Body: []byte(body)}, "Weir", nil)
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > len(body) {
		t.Errorf("%d bytes stored for a file of %d", len(data), len(body))
	}
	var q Policy
	if err := q.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if q.Rules.CrawlDelay() != 2500*time.Millisecond || len(q.Rules.Sitemaps()) != 1 || q.Rules.Agent() != "Weir" {
		t.Errorf("stored as %+v", q.Rules)
	}
	for _, url := range []string{"/a", "/a/b/c", "/a/b/cd", "/"} {
		if got, want := q.Decide(url), p.Decide(url); got != want {
			t.Errorf("%s: %+v after storing, %+v before", url, got, want)
		}
	}
	for n := range data {
		if err := new(Policy).UnmarshalBinary(data[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if err := new(Policy).UnmarshalBinary(append(data, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestDirectives(t *testing.T) {
	date := time.Date(2028, 8, 25, 15, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		values []string
		want   Directives
	}{
		{"none at all", nil, Directives{}},
		{"all", []string{"all"}, Directives{}},
		{"list", []string{"NoIndex , nofollow"}, Directives{NoIndex: true, NoFollow: true}},
		{"none", []string{"none"}, Directives{NoIndex: true, NoFollow: true}},
		{"several headers", []string{"noarchive", "nofollow"}, Directives{NoArchive: true, NoFollow: true}},
		{"for us", []string{"weir: noindex"}, Directives{NoIndex: true}},
		{"for others", []string{"otherbot: noindex, nofollow"}, Directives{}},
		{"for others, then us", []string{"otherbot: noindex, WEIR: nofollow"}, Directives{NoFollow: true}},
		{"for all, then others", []string{"noarchive, otherbot: noindex"}, Directives{NoArchive: true}},
		{"values are no agents", []string{"max-snippet: 20, noindex"}, Directives{NoIndex: true}},
		{"date with comma", []string{"unavailable_after: Fri, 25 Aug 2028 15:00:00 GMT, noindex"}, Directives{NoIndex: true, UnavailableAfter: date}},
		{"date of RFC 850", []string{"unavailable_after: Friday, 25-Aug-28 15:00:00 GMT"}, Directives{UnavailableAfter: date}},
		{"date of ISO 8601", []string{"unavailable_after: 2028-08-25T15:00:00Z"}, Directives{UnavailableAfter: date}},
		{"date in California", []string{"weir: unavailable_after: 25 Aug 2028 08:00:00 PDT"}, Directives{UnavailableAfter: date}},
		{"date for others", []string{"otherbot: unavailable_after: Fri, 25 Aug 2028 15:00:00 GMT, noindex"}, Directives{}},
		{"a value that is no directive", []string{"max-image-preview: none, max-snippet:-1"}, Directives{}},
		{"for us, a value that is no directive", []string{"weir: max-image-preview: none"}, Directives{}},
		{"blanks and semicolons between", []string{"noindex nofollow; noarchive"}, Directives{NoIndex: true, NoFollow: true, NoArchive: true}},
		{"no date", []string{"unavailable_after: soon, nofollow"}, Directives{NoFollow: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ParseHeader(tt.values, "Weir"); got != tt.want {
				t.Errorf("ParseHeader = %+v, want %+v", got, tt.want)
			}
		})
	}
	d := Directives{UnavailableAfter: date}
	if !d.MayIndex(date.Add(-1)) || d.MayIndex(date) || (Directives{NoIndex: true}).MayIndex(noon) {
		t.Error("MayIndex does not follow the date")
	}
}

func TestParseMeta(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		want          Directives
	}{
		{"robots", "noindex,nofollow", Directives{NoIndex: true, NoFollow: true}},
		{"ROBOTS", "NOINDEX", Directives{NoIndex: true}},
		{"weir", "none", Directives{NoIndex: true, NoFollow: true}},
		{"otherbot", "none", Directives{}},
		{"description", "noindex", Directives{}},
		{"robots", "max-snippet:20, noindex", Directives{NoIndex: true}},
		{"robots", "max-image-preview: none", Directives{}},
		{"robots", "noindex nofollow nosnippet", Directives{NoIndex: true, NoFollow: true, NoSnippet: true}},
	} {
		if got := ParseMeta(tt.name, tt.content, "Weir"); got != tt.want {
			t.Errorf("ParseMeta(%q, %q) = %+v, want %+v", tt.name, tt.content, got, tt.want)
		}
	}
}

// What was fetched while the clock was ahead is not used until that time has come.
func TestAPolicyOfAClockThatWasAhead(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, f := range []Fetch{{Status: 200, Body: []byte("User-agent: *\nDisallow: /")}, {Status: 503, RetryAfter: time.Hour}} {
		for ahead, fresh := range map[time.Duration]bool{-time.Second: true, 0: true, 10 * time.Minute: true, 365 * 24 * time.Hour: false} {
			f.Time = now.Add(ahead)
			if got := Decide(f, "weir", nil).Fresh(now); got != fresh {
				t.Errorf("status %d, fetched %v ahead: fresh %v, want %v", f.Status, ahead, got, fresh)
			}
		}
	}
}
