package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

const form = `<form method="post" action="/session"><input name="token" value="t-%d"><input name="name"><input name="password" type="password"></form>`

func TestLoginFillsInTheForm(t *testing.T) {
	t.Setenv("NAME", "ada")
	t.Setenv("PASSWORD", "secret")
	v := crawler.NewVisit("http://forum.example/login", fmt.Appendf(nil, form, 7))
	out := crawler.NewOut(v)
	if err := login(t.Context(), v, out); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	r := out.Requests()
	if len(r) != 1 || r[0].URL != "http://forum.example/session" || r[0].Method != http.MethodPost || string(r[0].Body) != "name=ada&password=secret&token=t-7" {
		t.Errorf("requests %+v", r)
	}
}

// forum gives a session to whoever logs in, and messages to whoever has one.
type forum struct {
	mu       sync.Mutex
	logins   int
	tokens   int
	sessions map[string]bool
}

func (f *forum) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/robots.txt":
		http.NotFound(w, r)
	case "/login":
		f.tokens++
		fmt.Fprintf(w, form, f.tokens)
	case "/session":
		if r.FormValue("name") != "ada" || r.FormValue("password") != "secret" || r.FormValue("token") == "" {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		f.logins++
		session := fmt.Sprintf("s%d", f.logins)
		f.sessions[session] = true
		http.SetCookie(w, &http.Cookie{Name: "session", Value: session, Path: "/", HttpOnly: true})
		http.Redirect(w, r, "/messages/1", http.StatusSeeOther)
	default:
		c, err := r.Cookie("session")
		var n int
		if _, bad := fmt.Sscanf(r.URL.Path, "/messages/%d", &n); bad != nil || err != nil || !f.sessions[c.Value] {
			fmt.Fprintf(w, form, 0)
			return
		}
		fmt.Fprintf(w, `<p class="message">Message %d</p>`, n)
		if n < messagePages {
			fmt.Fprintf(w, `<a class="older" href="/messages/%d">older</a>`, n+1)
		}
	}
}

const messagePages = 60

// The site's session is kept over deaths of the crawl: it logs in once, unless it
// was killed at that very moment.
func TestCrawlIsKilledAndResumedWithinItsSession(t *testing.T) {
	f := &forum{sessions: make(map[string]bool)}
	site := killtest.Serve(t, f)
	t.Setenv("SITE", site.URL)
	t.Setenv("NAME", "ada")
	t.Setenv("PASSWORD", "secret")
	p := killtest.New(t)
	const kills = 5
	p.Crawl(site, kills, 8, nil)
	if n := len(killtest.Export[message](p, "items", "messages")); n != messagePages {
		t.Errorf("%d messages, want %d", n, messagePages)
	}
	if failures := killtest.Export[crawler.Failure](p, "failures"); len(failures) > 0 {
		t.Errorf("failures %+v", failures)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logins < 1 || f.logins > kills {
		t.Errorf("%d logins over %d lives", f.logins, kills+1)
	}
}
