package stages

import (
	"net/http"
	"strings"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// HeaderLinks returns the links in a response's header: those of Link fields
// (RFC 8288) whose relation leads to a page, that of Refresh, which browsers treat as
// the <meta> of that name, and Content-Location. pageURL is what they are resolved against.
// With them come the requisites, such as what is to be preloaded.
func HeaderLinks(h http.Header, pageURL string) (links, requisites []Link) {
	if len(h["Link"]) == 0 && len(h["Refresh"]) == 0 && len(h["Content-Location"]) == 0 {
		return nil, nil
	}
	base, err := weburl.Parse(pageURL)
	if err != nil {
		return nil, nil
	}
	add := func(to *[]Link, href string, l Link) {
		href = strings.TrimSpace(href)
		if href == "" || href[0] == '#' || len(*to) >= DefaultMaxLinks {
			return
		}
		if u, err := base.Resolve(href); err == nil {
			l.URL = u.String()
			*to = append(*to, l)
		}
	}
	for _, field := range h["Refresh"] {
		add(&links, refreshTarget(field), Link{Kind: LinkRefresh})
	}
	for _, field := range h["Content-Location"] { // the page by a name of its own (RFC 9110 section 8.7)
		add(&links, field, Link{Kind: LinkAlternate})
	}
	for _, field := range h["Link"] {
		for field != "" {
			var href string
			var params map[string]string
			href, params, field = nextLinkValue(field)
			rel := strings.Fields(strings.ToLower(params["rel"]))
			if params["anchor"] != "" {
				continue // about another page
			}
			l := Link{NoFollow: vouchesNot(rel), Text: clipText(params["title"], DefaultMaxLinkText), Lang: clipText(params["hreflang"], 50), Type: clipText(params["type"], 100)}
			kind, part := linkRel(rel)
			switch {
			case kind != "":
				l.Kind = kind
				add(&links, href, l)
			case part:
				l.Kind = LinkRequisite
				add(&requisites, href, l)
			}
		}
	}
	return links, requisites
}

// nextLinkValue reads the first link of a Link field: its target, its parameters
// by name in lower case, of which the first of each counts, and the rest.
func nextLinkValue(s string) (href string, params map[string]string, rest string) {
	start := strings.IndexByte(s, '<')
	if start < 0 {
		return "", nil, ""
	}
	href, s, _ = strings.Cut(s[start+1:], ">")
	params = make(map[string]string)
	for {
		s = strings.TrimLeft(s, " \t;")
		if s == "" || s[0] == ',' {
			return href, params, strings.TrimPrefix(s, ",")
		}
		end := strings.IndexAny(s, "=;,")
		if end < 0 {
			return href, params, ""
		}
		name, value := strings.ToLower(strings.TrimSpace(s[:end])), ""
		if s[end] == '=' {
			value, s = paramValue(strings.TrimLeft(s[end+1:], " \t"))
		} else {
			s = s[end:]
		}
		if _, ok := params[name]; !ok {
			params[name] = value
		}
	}
}

// paramValue reads the value of a parameter, quoted or not.
func paramValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";,")
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
