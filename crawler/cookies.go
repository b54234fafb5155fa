package crawler

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// Cookies keep the cookies that servers set (RFC 6265): in the store, in the same
// transactions as the pages, and those of recent sites in memory. A crawl is one
// session however often it is stopped, so session cookies are kept as well. It must
// not be copied.
type Cookies struct {
	// Store is where they are. It is required.
	Store *queue.Store

	mu     sync.Mutex // held while a site's jar is read or changed
	recent cache[*siteJar]
}

// maxSiteCookies is how many cookies of one site are kept, the last ones set.
const maxSiteCookies = 200

// siteJar holds the cookies of a registrable domain.
type siteJar struct {
	jar    *cookiejar.Jar
	stored []setCookie
}

// setCookie is a cookie as a server has set it.
type setCookie struct {
	From    string    `json:"from"`             // the address that set it
	Line    string    `json:"line,omitempty"`   // as in Set-Cookie
	Raw     []byte    `json:"raw,omitempty"`    // in its place, if that is not UTF-8
	Expires time.Time `json:"expires,omitzero"` // whatever the line says
}

func newSetCookie(from, line string, expires time.Time) setCookie {
	if utf8.ValidString(line) {
		return setCookie{From: from, Line: line, Expires: expires}
	}
	return setCookie{From: from, Raw: []byte(line), Expires: expires}
}

// cookie is the cookie, or nil if the line is none.
func (s *setCookie) cookie() *http.Cookie {
	line := s.Line
	if s.Raw != nil {
		line = string(s.Raw)
	}
	c := parseSetCookie(line, time.Time{})
	if c != nil {
		c.Expires = s.Expires
	}
	return c
}

// Apply adds the cookies for an address to a request.
func (c *Cookies) Apply(ctx context.Context, u weburl.URL, r *http.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	site, err := c.siteLocked(ctx, u)
	if err != nil {
		return err
	}
	var pairs []string // as they came, where (*http.Request).AddCookie would mend them
	if given := r.Header.Get("Cookie"); given != "" {
		pairs = append(pairs, given)
	}
	for _, cookie := range site.jar.Cookies(r.URL) {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	return nil
}

// Keep takes the cookies of an answer, and adds them to the stage's transaction,
// whether that succeeds or fails.
func (c *Cookies) Keep(ctx context.Context, u weburl.URL, resp *stages.FetchResponse, out *pipeline.Out) error {
	if resp == nil || len(resp.Header["Set-Cookie"]) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	site, err := c.siteLocked(ctx, u)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, line := range resp.Header["Set-Cookie"] {
		if cookie := parseSetCookie(line, now); cookie != nil {
			site.add(newSetCookie(u.String(), line, cookie.Expires))
		}
	}
	c.rememberLocked(u.RegistrableDomain(), site)
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		if err := tables.Put(tx, tables.Cookies, u.RegistrableDomain(), site.stored); err != nil {
			return err
		}
	}
	return nil
}

// siteLocked returns the jar of an address's site.
func (c *Cookies) siteLocked(ctx context.Context, u weburl.URL) (*siteJar, error) {
	name := u.RegistrableDomain()
	if site, ok := c.recent.get(name); ok {
		return site, nil
	}
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		return nil, fmt.Errorf("cookies of %s: %w", name, err)
	}
	site := &siteJar{jar: jar}
	var stored []setCookie
	if _, err := tables.Get(ctx, c.Store, tables.Cookies, name, &stored); err != nil {
		return nil, err
	}
	for _, set := range stored {
		site.add(set)
	}
	c.rememberLocked(name, site)
	return site, nil
}

// rememberLocked keeps a site's jar in memory, as far as there is room.
func (c *Cookies) rememberLocked(name string, site *siteJar) {
	c.recent.weigh = (*siteJar).size
	c.recent.put(name, site)
}

// size is about how many bytes of memory the jar takes.
func (s *siteJar) size() int {
	const cookie = 400 // besides its texts, which are there twice
	n := cookie
	for _, set := range s.stored {
		n += cookie + 2*(len(set.From)+len(set.Line)+len(set.Raw))
	}
	return n
}

// add adds a cookie, in the place of one that it replaces.
func (s *siteJar) add(set setCookie) {
	cookie := set.cookie()
	from, err := url.Parse(set.From)
	if cookie == nil || err != nil {
		return
	}
	s.jar.SetCookies(from, []*http.Cookie{cookie})
	s.stored = slices.DeleteFunc(s.stored, func(o setCookie) bool { return sameCookie(o, set) })
	if s.stored = append(s.stored, set); len(s.stored) > maxSiteCookies {
		s.stored = s.stored[len(s.stored)-maxSiteCookies:]
	}
}

// sameCookie reports whether two are of one name, domain and path.
func sameCookie(a, b setCookie) bool {
	x, y := a.cookie(), b.cookie()
	if x == nil || y == nil {
		return false
	}
	return x.Name == y.Name && strings.EqualFold(x.Domain, y.Domain) && x.Path == y.Path &&
		(x.Domain != "" || hostOf(a.From) == hostOf(b.From)) && (x.Path != "" || pathOf(a.From) == pathOf(b.From))
}

func hostOf(address string) string {
	u, err := weburl.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// pathOf is the default path of a cookie (RFC 6265 section 5.1.4).
func pathOf(address string) string {
	u, err := weburl.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path()[:max(strings.LastIndexByte(u.Path(), '/'), 1)]
}
