package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
)

// How an address of the maze is found.
const (
	mazePage      = "page"      // by --forms --sitemaps
	mazeRequisite = "requisite" // by --requisites beside these
	mazePost      = "post"      // it is for POST, and is not asked for
	mazeText      = "text"      // it stands in plain text, and is not found
	mazeForbidden = "forbidden" // by robots.txt
)

// mazeCase is a page with the address that is hidden on it.
type mazeCase struct {
	path, find, how string
	html            string // "@" is the address to be found, and "$" the site
	header          string
	status          int
}

// mazeCases are the addresses of security-crawl-maze that need no JavaScript, as they
// lie there.
var mazeCases = []mazeCase{
	{path: "css/font-face", how: mazeRequisite, html: `<link rel=stylesheet href=/css/font-face.css>`},
	{path: "headers/content-location", how: mazePage, header: "Content-Location: @", status: 201},
	{path: "headers/link", how: mazeRequisite, header: `Link: <@>; rel="preload"`},
	{path: "headers/location", how: mazePage, header: "Location: @", status: 301},
	{path: "headers/refresh", how: mazePage, header: "Refresh: 999; url=@"},
	{path: "html/body/a/href", how: mazePage, html: `<a href="@"></a>`},
	{path: "html/body/a/ping", how: mazePost, html: `<a ping="@"></a>`},
	{path: "html/body/applet/archive", how: mazeRequisite, html: `<applet archive="@"></applet>`},
	{path: "html/body/applet/codebase", how: mazeRequisite, html: `<applet code=Some codebase="@"></applet>`},
	{path: "html/body/audio/source/src", how: mazeRequisite, html: `<audio><source src="@" type=audio/mpeg></audio>`},
	{path: "html/body/audio/source/srcset1x", how: mazeRequisite, html: `<audio><source srcset="@ 1x, /nothing 2x"></audio>`},
	{path: "html/body/audio/source/srcset2x", how: mazeRequisite, html: "<audio><source srcset=\"/nothing 1x,\n @ 2x\"></audio>"},
	{path: "html/body/audio/src", how: mazeRequisite, html: `<audio src="@"></audio>`},
	{path: "html/body/background", how: mazeRequisite, html: `<body background="@">`},
	{path: "html/body/blockquote/cite", how: mazePage, html: `<blockquote cite="@"></blockquote>`},
	{path: "html/body/embed/src", how: mazeRequisite, html: `<embed src="@"></embed>`},
	{path: "html/body/form/action-get", how: mazePage, html: `<form action="@" method=GET><input name=a value=b></form>`},
	{path: "html/body/form/action-post", how: mazePost, html: `<form action="@" method=POST><input name=a value=b></form>`},
	{path: "html/body/form/button/formaction", how: mazePage, html: `<form id=f></form><button form=f formaction="@" type=submit>go</button>`},
	{path: "html/body/frameset/frame/src", how: mazePage, html: `<h1>text</h1><frameset><frame src="@"></frame></frameset>`},
	{path: "html/body/iframe/src", how: mazePage, html: `<iframe src="@"></iframe>`},
	{path: "html/body/iframe/srcdoc", how: mazeRequisite, html: `<iframe srcdoc="<img src=@>"></iframe>`},
	{path: "html/body/img/dynsrc", how: mazeRequisite, html: `<img dynsrc="@">`},
	{path: "html/body/img/longdesc", how: mazePage, html: `<img src="#" longdesc="@">`},
	{path: "html/body/img/lowsrc", how: mazeRequisite, html: `<img lowsrc="@">`},
	{path: "html/body/img/src-data", how: mazeRequisite, html: `<img src="data:image/svg+xml,<svg%20xmlns='%68ttp:%2f/www.w3.org/2000/svg'%20xmlns:xlink='%68ttp:%2f/www.w3.org/1999/xlink'><image%20xlink:hr%65f='@'></image></svg>">`},
	{path: "html/body/img/src", how: mazeRequisite, html: `<img src="@">`},
	{path: "html/body/img/srcset1x", how: mazeRequisite, html: `<img srcset="@ 1x, /nothing 2x">`},
	{path: "html/body/img/srcset2x", how: mazeRequisite, html: "<img srcset=\"/nothing 1x,\n @ 2x\">"},
	{path: "html/body/input/src", how: mazeRequisite, html: `<input type=image src="@">`},
	{path: "html/body/isindex/action", how: mazePage, html: `<isindex action="@"></isindex>`},
	{path: "html/body/map/area/ping", how: mazePost, html: `<map name=m><area ping="@" href="#"></map>`},
	{path: "html/body/object/codebase", how: mazeRequisite, html: `<object codebase="@"></object>`},
	{path: "html/body/object/data", how: mazeRequisite, html: `<object data="@"></object>`},
	{path: "html/body/object/param/value", how: mazeRequisite, html: `<object><param name=ref value="@"></object>`},
	{path: "html/body/script/src", how: mazeRequisite, html: `<script src="@"></script>`},
	{path: "html/body/svg/image/xlink", how: mazeRequisite, html: `<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="@"/></svg>`},
	{path: "html/body/svg/script/xlink", how: mazeRequisite, html: `<svg xmlns:xlink="http://www.w3.org/1999/xlink"><script xlink:href="@"></script></svg>`},
	{path: "html/body/table/background", how: mazeRequisite, html: `<table background="@"></table>`},
	{path: "html/body/table/td/background", how: mazeRequisite, html: `<table><tr><td background="@"></table>`},
	{path: "html/body/video/poster", how: mazeRequisite, html: `<video poster="@"></video>`},
	{path: "html/body/video/src", how: mazeRequisite, html: `<video src="@"></video>`},
	{path: "html/body/video/track/src", how: mazeRequisite, html: `<video><track src="@" kind=subtitles></video>`},
	{path: "html/doctype", how: mazeRequisite, html: `<!DOCTYPE html SYSTEM "@"><title>text</title>`},
	{path: "html/head/base/href", how: mazeRequisite, html: `<base href="@"><title>text</title>`},
	{path: "html/head/comment-conditional", how: mazeRequisite, html: `<!--[if IE]><link rel=stylesheet href="@"><![endif]-->`},
	{path: "html/head/import/implementation", how: mazeRequisite, html: `<import namespace=n implementation="@" /></import>`},
	{path: "html/head/link/href", how: mazeRequisite, html: `<link rel=prefetch href="@" />`},
	{path: "html/head/meta/content-csp", how: mazePost, html: `<meta http-equiv=Content-Security-Policy content="script-src 'self'; report-uri @">`},
	{path: "html/head/meta/content-pinned-websites", how: mazeRequisite, html: `<meta name=msapplication-config content="@">`},
	{path: "html/head/meta/content-reading-view", how: mazeRequisite, html: `<meta name=copyright content="<img src='@'>">`},
	{path: "html/head/meta/content-redirect", how: mazePage, html: `<meta http-equiv=refresh content="10; url=@">`},
	{path: "html/head/profile", how: mazeRequisite, html: `<head profile="@"><title>text</title></head>`},
	{path: "html/manifest", how: mazeRequisite, html: `<html manifest="@"><title>text</title>`},
	{path: "html/misc/string/dot-dot-slash-prefix", how: mazeText, html: `<p>see ../@`},
	{path: "html/misc/string/dot-slash-prefix", how: mazeText, html: `<p>see .@`},
	{path: "html/misc/string/string-known-extension", find: "/test/html/misc/string/string-known-extension.pdf", how: mazeText, html: `<p>see @`},
	{path: "html/misc/string/url-string", how: mazeText, html: `<p>see $@`},
	{path: "html/misc/url/full-url", how: mazePage, html: `<a href="$@"></a>`},
	{path: "html/misc/url/path-relative-url", how: mazePage, html: `<base href="$/test/"><a href=html/misc/url/path-relative-url.found></a>`},
	{path: "html/misc/url/protocol-relative-url", how: mazePage, html: `<a href="%@"></a>`},
	{path: "html/misc/url/root-relative-url", how: mazePage, html: `<a href="@"></a>`},
	{path: "misc/known-files/robots.txt", how: mazeForbidden},
	{path: "misc/known-files/sitemap.xml", how: mazePage},
}

// found is the address that the case hides.
func (c *mazeCase) found() string {
	if c.find != "" {
		return c.find
	}
	return "/test/" + c.path + ".found"
}

// maze serves the cases, and remembers what it was asked for.
type maze struct {
	mu    sync.Mutex
	asked map[string][]string // path: methods
}

func (m *maze) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.asked[r.URL.Path] = append(m.asked[r.URL.Path], r.Method)
	m.mu.Unlock()
	site := "http://" + r.Host
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/":
		for _, c := range mazeCases {
			fmt.Fprintf(w, "<a href=/%s>x</a>", c.path)
		}
		return
	case "/robots.txt":
		fmt.Fprint(w, "User-agent: *\nDisallow: /test/misc/known-files/robots.txt.found\n")
		return
	case "/sitemap.xml":
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprintf(w, "<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><sitemap><loc>\n %s/test/misc/known-files/sitemap.xml.found\n </loc></sitemap></sitemapindex>", site)
		return
	case "/css/font-face.css":
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprintf(w, "@font-face{font-family: x;src: url(%s/test/css/font-face.found);}", site)
		return
	}
	i := slices.IndexFunc(mazeCases, func(c mazeCase) bool { return "/"+c.path == r.URL.Path })
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	c := mazeCases[i]
	fill := strings.NewReplacer("@", c.found(), "$", site, "%@", "//"+r.Host+c.found()).Replace
	if c.header != "" {
		name, value, _ := strings.Cut(c.header, ": ")
		w.Header().Set(name, fill(value))
	}
	w.WriteHeader(max(c.status, http.StatusOK))
	fmt.Fprint(w, fill(c.html))
}

// Of the maze every page is found, with requisites everything else that is fetched by
// GET, and what is forbidden, is for POST, or stands in plain text is never asked for.
func TestMaze(t *testing.T) {
	for _, requisites := range []string{crawler.RequisitesNone, crawler.RequisitesAll} {
		t.Run("requisites "+requisites, func(t *testing.T) {
			m := &maze{asked: make(map[string][]string)}
			s := httptest.NewServer(m)
			defer s.Close()
			store := openMemory(t)
			c, err := crawler.New(store, &crawler.Options{
				Seeds: crawler.Seeds(s.URL + "/"),
				Settings: crawler.Settings{
					Delay: -1, AllowPrivate: true, Sitemaps: true, Forms: true, Requisites: requisites,
					Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			found := 0
			for _, c := range mazeCases {
				want := c.how == mazePage || c.how == mazeRequisite && requisites == crawler.RequisitesAll
				got := m.asked[c.found()]
				if len(got) > 0 {
					found++
				}
				if (len(got) > 0) != want || slices.Contains(got, http.MethodPost) {
					t.Errorf("%s (%s) was asked for by %v, want it asked for: %v", c.found(), c.how, got, want)
				}
			}
			t.Logf("%d of %d", found, len(mazeCases))
		})
	}
}
