package stages

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A LinkKind says where on a page a link was found.
type LinkKind string

// The kinds of links.
const (
	LinkAnchor    LinkKind = "a"
	LinkArea      LinkKind = "area"
	LinkNext      LinkKind = "next"      // <link rel="next">
	LinkPrev      LinkKind = "prev"      // <link rel="prev">
	LinkAlternate LinkKind = "alternate" // <link rel="alternate">: a translation, a feed
	LinkCanonical LinkKind = "canonical" // <link rel="canonical">
	LinkFrame     LinkKind = "frame"     // <iframe> and <frame>
	LinkRefresh   LinkKind = "refresh"   // <meta http-equiv="refresh">
)

// A Link is one link of a page.
type Link struct {
	// URL is the target, resolved against the page's base.
	URL string `json:"url"`
	// Kind says where it was found.
	Kind LinkKind `json:"kind"`
	// Text is the link's text, or the alternative text of its image, with
	// white space collapsed; for <link> and frames, their title.
	Text string `json:"text,omitempty"`
	// NoFollow says that the page does not vouch for the target: rel is
	// nofollow, ugc or sponsored.
	NoFollow bool `json:"nofollow,omitempty"`
	// Lang and Type are the hreflang and type attributes, as of an alternate.
	Lang string `json:"lang,omitempty"`
	Type string `json:"type,omitempty"`
}

// Links returns the page's links in document order, repeated ones included.
// Targets that are no web pages (mailto:, javascript:, a fragment of this page)
// and hrefs that cannot be resolved are left out. The caller must not change
// the slice.
func (d *Document) Links() []Link {
	d.readLinks.Do(func() {
		for _, n := range d.hrefs {
			d.readLink(n)
		}
		d.hrefs, d.targets = nil, nil
	})
	return d.links
}

// LinksDropped returns how many links are missing from Links because the page
// has more than DocumentOptions.MaxLinks. Those that repeat a target of Links
// do not count.
func (d *Document) LinksDropped() int {
	d.Links()
	return d.lost
}

// Errors of ResolveURL.
var (
	errNoLink    = errors.New("not a link to another page")
	errNotWeb    = errors.New("not an http or https URL")
	errLongURL   = errors.New("URL too long")
	errNoWebHost = errors.New("no host")
)

// maxURL bounds a URL, in bytes. Servers rarely take more than 8 KiB.
const maxURL = 8 << 10

// ResolveURL resolves an href as a crawler without a URL canonicaliser would:
// by net/url, http and https only, the fragment removed.
func ResolveURL(base, href string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	return resolveURL(b, href)
}

func resolveURL(base *url.URL, href string) (string, error) {
	href = cleanHref(href)
	if base == nil || href == "" || href[0] == '#' {
		return "", errNoLink
	}
	if len(href) > maxURL {
		return "", errLongURL
	}
	u, err := base.Parse(href)
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", errNotWeb
	}
	if u.Hostname() == "" {
		return "", errNoWebHost
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}

// cleanHref removes what the URL standard removes before parsing: white space
// around, tabs and line ends within.
func cleanHref(s string) string {
	s = strings.Trim(s, " \t\r\n\f\x00")
	if strings.ContainsAny(s, "\t\r\n") {
		s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	}
	return s
}

// Resolve returns the absolute URL of an href of the page, by
// DocumentOptions.Resolve against the page's base. An error means that it leads
// to no other web page.
func (d *Document) Resolve(href string) (string, error) {
	if d.opts.Resolve != nil {
		href = cleanHref(href)
		if href == "" || href[0] == '#' {
			return "", errNoLink
		}
		if len(href) > maxURL {
			return "", errLongURL
		}
		return d.opts.Resolve(d.Base, href)
	}
	return resolveURL(d.base, href)
}

func (d *Document) readLink(n *html.Node) {
	href := attr(n, "href")
	rel := relations(n)
	l := Link{
		NoFollow: slices.Contains(rel, "nofollow") || slices.Contains(rel, "ugc") || slices.Contains(rel, "sponsored"),
	}
	switch n.DataAtom {
	case atom.A:
		l.Kind = LinkAnchor
	case atom.Area:
		l.Kind = LinkArea
	case atom.Iframe, atom.Frame:
		l.Kind, href = LinkFrame, attr(n, "src")
	case atom.Meta:
		l.Kind, href = LinkRefresh, refreshTarget(attr(n, "content"))
	case atom.Link:
		l.Kind = linkRel(rel)
	}
	if l.Kind == "" || href == "" {
		return
	}
	var err error
	if l.URL, err = d.Resolve(href); err != nil || !d.hasRoom(l.URL) {
		return
	}
	switch l.Kind {
	case LinkAnchor:
		l.Text = nodeText(n, d.opts.MaxLinkText, true)
	case LinkArea:
		l.Text = clipText(attr(n, "alt"), d.opts.MaxLinkText)
	}
	if l.Text == "" {
		l.Text = clipText(attr(n, "title"), d.opts.MaxLinkText)
	}
	l.Lang, l.Type = clipText(attr(n, "hreflang"), 50), clipText(attr(n, "type"), 100)
	d.links = append(d.links, l)
}

// hasRoom reports whether a link may be kept. From the limit on, only targets
// that are new are, and as many of them as the limit says: the contents of a
// manual may have many links to the parts of few pages.
func (d *Document) hasRoom(target string) bool {
	if len(d.links) < d.opts.MaxLinks {
		return true
	}
	if d.targets == nil {
		d.targets = make(map[string]bool)
		for _, l := range d.links {
			d.targets[l.URL] = true
		}
	}
	switch {
	case d.targets[target]:
		return false
	case len(d.targets) >= d.opts.MaxLinks:
		d.lost++
		return false
	}
	d.targets[target] = true
	return true
}

func relations(n *html.Node) []string { return strings.Fields(strings.ToLower(attr(n, "rel"))) }

// linkRel returns the kind of a <link>, or "" for one that leads to no page,
// such as a style sheet.
func linkRel(rel []string) LinkKind {
	for _, r := range rel {
		switch r {
		case "canonical":
			return LinkCanonical
		case "next":
			return LinkNext
		case "prev", "previous":
			return LinkPrev
		case "alternate":
			if slices.Contains(rel, "stylesheet") {
				return ""
			}
			return LinkAlternate
		}
	}
	return ""
}

// refreshTarget returns the URL of `5; url='next.html'`, in the forms that the
// HTML standard takes, or "" if there is none.
func refreshTarget(content string) string {
	s := strings.TrimLeft(content, " \t\r\n\f")
	digits := strings.TrimLeft(s, "0123456789.")
	if digits == s {
		return ""
	}
	s = strings.TrimLeft(digits, " \t\r\n\f;,")
	if len(s) >= 3 && strings.EqualFold(s[:3], "url") {
		if after, ok := strings.CutPrefix(strings.TrimLeft(s[3:], " \t\r\n\f"), "="); ok {
			s = strings.TrimLeft(after, " \t\r\n\f")
		}
	}
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		quote := s[0]
		s = s[1:]
		if end := strings.IndexByte(s, quote); end >= 0 {
			s = s[:end]
		}
	}
	return s
}

// clipText collapses white space and cuts to at most n bytes.
func clipText(s string, n int) string {
	if s == "" {
		return ""
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
