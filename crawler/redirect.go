package crawler

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 10

// redirect records a redirect and follows it as a link to another address, with
// what makes the request its own (RFC 9110 section 15.4).
//
// One that leads back to where it came from is a failure, unless cookies were set
// on the way: many sites send a client round until it shows that it keeps them.
// So they are sent back, once. One to another spelling of the same page, as
// Settings.Identity sees it, is followed all the same: the frontier would take it
// for the page that it has.
func (v *Visitor) redirect(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse) (bool, error) {
	page := record(out, r, resp)
	to, err := u.Resolve(resp.Redirect)
	if err != nil {
		return false, v.giveUp(out, r, string(stages.ReasonRedirect), err.Error(), page.Status)
	}
	page.Redirect = to.String()
	if CheckCredentials(resp.Header.Get("Location")) != nil {
		if err := v.noticeLogins(out, r.URL, page.Redirect); err != nil {
			return false, err
		}
	}
	next := r.anew()
	next.URL, next.parsed, next.Referrer, next.Redirects = to.String(), to, r.URL, r.Redirects+1
	if next.Method != "" && (page.Status == http.StatusSeeOther || next.Method == http.MethodPost && page.Status < http.StatusTemporaryRedirect) {
		next.Method, next.Body, next.Header = "", nil, nil
	}
	if to.Origin() != u.Origin() {
		next.Header = nil // it may hold what is for this origin alone
	}
	next.cookies = mergeCookies(r.cookies, resp.Header, u.Host() == to.Host())
	next.via = append(slices.Clone(r.via), hashOf(&r))
	switch {
	case r.Redirects >= maxRedirects:
		return false, v.giveUp(out, r, ReasonRedirects, fmt.Sprintf("%d redirects in a row led here, and on to %s", r.Redirects, to), page.Status)
	case !slices.Contains(next.via, hashOf(&next)):
	case next.cookies == "" || next.Header.Get("Cookie") != "":
		return false, v.giveUp(out, r, ReasonRedirectLoop, fmt.Sprintf("it redirects to %s, which led here", to), page.Status)
	default:
		next.Header = next.Header.Clone()
		if next.Header == nil {
			next.Header = make(http.Header)
		}
		next.Header.Set("Cookie", next.cookies)
	}
	next.exact = v.Options.FrontierKey(next) == v.Options.FrontierKey(r.anew())
	// A seed that moves to another host takes the scope with it no farther
	// than to the page itself.
	d := v.Scope.Decide(to, r.Depth)
	if !d.Accepted {
		if err := v.Recorder.Skip(out, &Skip{URL: to.String(), Reason: d.String(), From: r.URL}); err != nil {
			return false, err
		}
	} else {
		v.Edges.Requests.Emit(out, next)
	}
	if r.Depth == 0 && to.Host() != u.Host() && !r.Sitemap {
		if links := v.Scope.Decide(to, 1); !links.Accepted {
			err := v.notice(out, Notice{NoticeSeedMoved, r.URL, fmt.Sprintf(
				"the seed %s has moved to %s, whose links are not in the scope; begin with that address, or give --scope any", r.URL, to)})
			if err != nil {
				return false, err
			}
		}
	}
	if _, err := v.found(out, r, page); err != nil {
		return false, err
	}
	return true, v.keep(ctx, out, r, page)
}

// anew returns the request without what has become of it in the frontier: it is known
// there by what is asked for alone.
func (r Request) anew() Request {
	r.round, r.known, r.exact, r.raised, r.deferred, r.failures = 0, nil, false, 0, 0, 0
	return r
}

// mergeCookies returns the Cookie header that the cookies set so far make, with
// those of a response. They are for the same host only.
func mergeCookies(have string, h http.Header, sameHost bool) string {
	if !sameHost {
		return ""
	}
	var names []string
	values := make(map[string]string)
	add := func(name, value string) {
		if _, ok := values[name]; !ok {
			names = append(names, name)
		}
		values[name] = value
	}
	for pair := range strings.SplitSeq(have, "; ") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			add(name, value)
		}
	}
	now := time.Now()
	for _, line := range h["Set-Cookie"] {
		c := parseSetCookie(line, now)
		if c != nil && len(names) < 20 && len(c.Value) <= 1000 && (c.Expires.IsZero() || c.Expires.After(now)) {
			add(c.Name, c.Value)
		}
	}
	slices.Sort(names)
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = name + "=" + values[name]
	}
	return strings.Join(pairs, "; ")
}

// hashOf tells a request of a chain of redirects from the others.
func hashOf(r *Request) uint64 {
	h := fnv.New64a()
	h.Write([]byte(r.URL + r.variant()))
	return h.Sum64()
}
