package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// changingSite is a site that a script changes from round to round. It notes what it
// is asked, and how it answers.
type changingSite struct {
	mu    sync.Mutex
	round int
	seen  []string // "path status", with " if" for a conditional request
	start time.Time
	every time.Duration // if the time says which round it is
	watch func(path string)
}

func (s *changingSite) now() int {
	if s.every > 0 {
		return int((time.Since(s.start) + s.every/2) / s.every)
	}
	return s.round
}

// take returns what the site was asked since it was last called, sorted.
func (s *changingSite) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	slices.Sort(seen)
	return seen
}

func (s *changingSite) set(round int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round = round
}

// RoundTrip implements http.RoundTripper.
func (s *changingSite) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve(w, r, s.now())
	if r.URL.Path != "/robots.txt" {
		note := fmt.Sprintf("%s %d", r.URL.Path, w.Code)
		if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
			note += " if"
		}
		s.seen = append(s.seen, note)
	}
	if s.watch != nil {
		s.watch(r.URL.Path)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

var siteBegin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // as in a bubble of synctest

func (s *changingSite) serve(w http.ResponseWriter, r *http.Request, round int) {
	page := func(title, text string, links ...string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<html lang=en><title>%s</title><body><article><h1>%s</h1>\n<p>%s</p>\n<p>This paragraph, about %s, stays as it is from one round to the next, so that a difference shows some context.</p></article>\n", title, title, text, title)
		for _, l := range links {
			fmt.Fprintf(w, "<a href=%q>to %s</a>\n", l, l)
		}
	}
	tagged := func(tag string, body func()) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body()
	}
	switch r.URL.Path {
	case "/":
		links := []string{"/same", "/dated", "/often", "/around", "/gone", "/soft", "/moved", "/home", "/flaky", "/listed", "/missing", "/leads"}
		if round >= 3 {
			links = append(slices.DeleteFunc(links, func(l string) bool { return l == "/same" }), "/late")
		}
		tagged(fmt.Sprintf(`"front-%v"`, round >= 3), func() { page("Front", "The front page leads to everything else on this site.", links...) })
	case "/same":
		tagged(`"same"`, func() { page("Same", "Nothing ever happens here, and nobody minds it at all.") })
	case "/dated":
		modified := siteBegin.Format(http.TimeFormat)
		w.Header().Set("Last-Modified", modified)
		if r.Header.Get("If-Modified-Since") == modified {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		page("Dated", "This page has a date, and the date stays what it was.")
	case "/often":
		page("Often", fmt.Sprintf("The number of the day is %d, as everybody can see for himself.", round))
	case "/around":
		page("Around", "The text is the same, and what is around it never is.")
		fmt.Fprintf(w, "<!-- made for round %d -->", round)
	case "/gone":
		if round >= 2 && round < 5 {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		page("Gone", "This page comes and goes as its author pleases.")
	case "/soft":
		if round >= 2 {
			page("Page not found", "Sorry.")
			return
		}
		page("Soft", "A page that will be missed without a status that says so.")
	case "/moved":
		if round >= 3 {
			http.Redirect(w, r, "/moved-to", http.StatusMovedPermanently)
			return
		}
		page("Moved", "This page is about to move to another address.")
	case "/moved-to":
		page("Moved to", "This page has moved here from another address.")
	case "/home":
		if round >= 4 {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		page("Home", "A page that will lead to the front page some day.")
	case "/flaky":
		if round == 6 {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		tagged(`"flaky"`, func() { page("Flaky", "This page cannot be had on one day, and is as it was on the others.") })
	case "/late":
		tagged(`"late"`, func() { page("Late", "A page that came later than all of the others.", "/later") })
	case "/later":
		tagged(`"later"`, func() { page("Later", "A page behind one that came later than the others.") })
	case "/leads":
		http.Redirect(w, r, "/same", http.StatusFound)
	case "/listed":
		tagged(fmt.Sprintf(`"listed-%v"`, round >= 4), func() {
			page("Listed", fmt.Sprintf("A sitemap says when this page has changed, which it has not: %v.", round < 4))
		})
	case "/sitemap.xml":
		w.Header().Set("Content-Type", "application/xml")
		modified := siteBegin
		if round >= 4 {
			modified = siteBegin.Add(4*24*time.Hour - time.Hour)
		}
		fmt.Fprintf(w, `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>http://site.test/listed</loc><lastmod>%s</lastmod></url></urlset>`, modified.Format(time.RFC3339))
	case "/robots.txt":
		fmt.Fprint(w, "User-agent: *\nAllow: /\nSitemap: http://site.test/sitemap.xml\n")
	default:
		http.NotFound(w, r)
	}
}
