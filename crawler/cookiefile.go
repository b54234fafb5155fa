package crawler

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/queue"
)

// AddCookies adds the cookies of a file to those that the crawl keeps, and returns
// how many there are: Netscape's cookies.txt, which browsers' extensions and curl
// write, or JSON, a list of objects with name, value and domain as browsers'
// extensions and WebDriver write it, or an object that has it as "cookies", as
// Playwright does. A file that the crawl has been given already changes nothing, so
// that what servers have set since stays. It must not be called while the crawl
// runs.
func (c *Crawler) AddCookies(ctx context.Context, file []byte) (int, error) {
	cookies, err := parseCookies(file)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(file)
	key := "cookie-file/" + hex.EncodeToString(sum[:8])
	var had bool
	if known, err := tables.Get(ctx, c.store, tables.Crawl, key, &had); known || err != nil {
		return len(cookies), err
	}
	jar := &Cookies{Store: c.store}
	var tx queue.Tx
	for _, set := range cookies {
		u, err := weburl.Parse(set.From)
		if err != nil {
			return 0, fmt.Errorf("cookie of %s: %w", set.From, err)
		}
		site, err := jar.siteLocked(ctx, u) // nobody else has the jar
		if err != nil {
			return 0, err
		}
		site.add(set)
		if err := tables.Put(&tx, tables.Cookies, u.RegistrableDomain(), site.stored); err != nil {
			return 0, err
		}
	}
	if err := tables.Put(&tx, tables.Crawl, key, true); err != nil {
		return 0, err
	}
	return len(cookies), c.store.Commit(ctx, &tx)
}

// parseCookies reads a file of cookies; see [Crawler.AddCookies].
func parseCookies(file []byte) ([]setCookie, error) {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	if text := bytes.TrimSpace(file); len(text) > 0 && (text[0] == '[' || text[0] == '{') {
		return parseJSONCookies(text)
	}
	return parseNetscapeCookies(string(file))
}

// parseNetscapeCookies reads lines of seven fields between tabs: domain, whether
// hosts below it get the cookie, path, whether it is for https alone, when it
// expires, name and value.
func parseNetscapeCookies(file string) ([]setCookie, error) {
	var all []setCookie
	number := 0
	for line := range strings.Lines(file) {
		number++
		line = strings.TrimRight(line, "\r\n")
		line = strings.TrimPrefix(line, "#HttpOnly_")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) == 6 {
			f = append(f, "") // an empty value whose tab an editor has taken off
		}
		if len(f) != 7 {
			return nil, fmt.Errorf("line %d: it has %d fields between tabs, not the 7 of cookies.txt", number, len(f))
		}
		expires, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q is no time in seconds", number, f[4])
		}
		c := jsonCookie{Name: f[5], Value: f[6], Domain: f[0], Path: f[2], Secure: strings.EqualFold(f[3], "TRUE"), Expires: float64(expires)}
		c.hostOnly = !strings.EqualFold(f[1], "TRUE")
		set, err := c.set()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, set)
	}
	return all, nil
}

// jsonCookie has the fields of the common forms.
type jsonCookie struct {
	Name           string  `json:"name"`
	Value          string  `json:"value"`
	Domain         string  `json:"domain"`
	Path           string  `json:"path"`
	Secure         bool    `json:"secure"`
	HostOnly       *bool   `json:"hostOnly"`
	Expires        float64 `json:"expires"`        // seconds; -1 for a session's
	ExpirationDate float64 `json:"expirationDate"` // as browsers' extensions call it
	Expiry         float64 `json:"expiry"`         // as WebDriver does

	hostOnly bool
}

func parseJSONCookies(text []byte) ([]setCookie, error) {
	var list []jsonCookie
	if text[0] == '{' {
		var state struct {
			Cookies *[]jsonCookie `json:"cookies"`
		}
		if err := json.Unmarshal(text, &state); err != nil {
			return nil, err
		}
		if state.Cookies == nil {
			return nil, fmt.Errorf(`the object has no list "cookies"`)
		}
		list = *state.Cookies
	} else if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	var all []setCookie
	for i := range list {
		c := &list[i]
		c.hostOnly = !strings.HasPrefix(c.Domain, ".")
		if c.HostOnly != nil {
			c.hostOnly = *c.HostOnly
		}
		set, err := c.set()
		if err != nil {
			return nil, fmt.Errorf("cookie %d: %w", i+1, err)
		}
		all = append(all, set)
	}
	return all, nil
}

// set is the cookie as a server would have set it.
func (c *jsonCookie) set() (setCookie, error) {
	host := strings.TrimPrefix(c.Domain, ".")
	scheme := "http"
	if c.Secure {
		scheme = "https"
	}
	u, err := weburl.Parse(scheme + "://" + host + "/")
	switch {
	case c.Name == "":
		return setCookie{}, fmt.Errorf("it has no name")
	case host == "" || err != nil:
		return setCookie{}, fmt.Errorf("the cookie %s has the domain %q", c.Name, c.Domain)
	}
	line := c.Name + "=" + c.Value + "; Path=" + cmp.Or(c.Path, "/")
	if c.Secure {
		line += "; Secure"
	}
	if !c.hostOnly {
		line += "; Domain=" + u.Hostname()
	}
	if is := parseSetCookie(line, time.Time{}); is == nil || is.Name != trimBlanks(c.Name) || is.Value != trimBlanks(c.Value) {
		return setCookie{}, fmt.Errorf("the cookie %q has the value %q, which no cookie can have", c.Name, c.Value)
	}
	set := newSetCookie(u.String(), line, time.Time{})
	for _, seconds := range []float64{c.Expires, c.ExpirationDate, c.Expiry} {
		if seconds > 0 {
			set.Expires = time.Unix(int64(seconds), 0).UTC()
		}
	}
	return set, nil
}
