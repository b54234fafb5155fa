package scope

import (
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

func TestPattern(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, url, want string // "kind key" and ", refused"
	}{
		{"a page", "http://e.com/a/b.html", ""},
		{"a number", "http://e.com/page/42", ""},
		{"a year", "http://e.com/2024/", ""},
		{"a post below its date", "http://e.com/2024/05/12/a-post", ""},
		{"a version", "http://e.com/docs/3.12/", ""},
		{"a file by its number", "http://e.com/rfc/9110.html", ""},
		{"a month", "http://e.com/events/2024/05/", "calendar e.com/events/*/*/"},
		{"a month without zero", "http://e.com/events/2024/5", "calendar e.com/events/*/*"},
		{"a day", "http://e.com/events/2024/05/12", "calendar e.com/events/*/*/*"},
		{"a month in one", "http://e.com/cal/2024-05", "calendar e.com/cal/*"},
		{"a day in one", "http://e.com/cal/20240512/", "calendar e.com/cal/*/"},
		{"a month in the query", "http://e.com/cal?month=5&year=2024&view=list", "calendar e.com/cal?month=*&year=*&view=list"},
		{"a date in the query", "http://e.com/cal?start=2024-05-12", "calendar e.com/cal?start=*"},
		{"a month that counts from zero", "http://e.com/cal?year=2024&month=0", "calendar e.com/cal?year=*&month=*"},
		{"a page of the query", "http://e.com/list?page=5&year=2024", ""},
		{"next year", "http://e.com/cal/2027/04/", "calendar e.com/cal/*/*/"},
		{"in two years", "http://e.com/cal/2028/05/", "calendar e.com/cal/*/*/, refused"},
		{"in eight thousand years", "http://e.com/cal?year=10000&month=5", "calendar e.com/cal?year=*&month=*, refused"},
		{"a session", "http://e.com/a?PHPSESSID=1&b=2", "session e.com/a?b=2"},
		{"a session in the path", "http://e.com/a;jsessionid=0123?b", "session e.com/a?b"},
		{"a token", "http://e.com/s/9f8e7d6c5b4a39281706f5e4/page?x", "token e.com/s/*/page?x"},
		{"a token that is the page", "http://e.com/photo/9f8e7d6c5b4a39281706f5e4", ""},
		{"words are no token", "http://e.com/the-long-name-of-2024/page", ""},
		{"filters", "http://e.com/shop?size=1&color=red&brand=x&sort=up", "facets e.com/shop?brand=*&color=*&size=*&sort=*"},
		{"a filter", "http://e.com/shop?size=1&color=red&size=2&size=3", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := weburl.Parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if p, ok := (Traps{}).Pattern(u, now); ok {
				got = string(p.Kind) + " " + p.Key
				if p.Limit == 0 {
					got += ", refused"
				}
			}
			if got != tc.want {
				t.Errorf("%s: %q, want %q", tc.url, got, tc.want)
			}
			if p, ok := (Traps{MaxCalendar: -1, MaxSessions: -1, MaxTokens: -1, MaxFacets: -1}).Pattern(u, now); ok {
				t.Errorf("%s: %v, though there are no limits", tc.url, p)
			}
		})
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"http://e.com/2024/05/", "http://e.com/?year=99999&month=99", "http://e.com/;(S(a))/1/2/3/4"} {
		f.Add(s)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := weburl.Parse(raw)
		if err != nil {
			return
		}
		if p, ok := (Traps{}).Pattern(u, now); ok && (p.Key == "" || p.Kind == "" || p.String() == "") {
			t.Errorf("%s: %+v", u, p)
		}
	})
}
