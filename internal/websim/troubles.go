package websim

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// MaxBody is the limit on bodies that the huge ones of a web with troubles are
// over, and nothing else.
const MaxBody = 1 << 20

// CrawlDelay is what the robots.txt of one host asks for, in a web with Slow.
const CrawlDelay = 7 * time.Second

// RetryAfter is what a host of a web with Slow asks for, and BusyPath where.
const (
	RetryAfter = 90 * time.Second
	BusyPath   = "/busy"
)

// status answers with a status for ever.
func status(code int, reason string) *resource {
	return &resource{fail: reason, noText: true, serve: func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Error(w, http.StatusText(code), code)
	}}
}

// flaky answers with a status a number of times, and is a page then.
func flaky(failures, code int, header http.Header, page *resource) *resource {
	serve := page.serve
	page.failures = failures
	page.serve = func(w http.ResponseWriter, r *http.Request, n int) {
		if n > failures {
			serve(w, r, n)
			return
		}
		for k, v := range header {
			w.Header()[k] = v
		}
		http.Error(w, http.StatusText(code), code)
	}
	return page
}

func redirect(code int, location, to string) *resource {
	return &resource{redirect: to, links: []link{{to: to}}, noText: true, serve: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Location", location)
		w.WriteHeader(code)
	}}
}

// small is a page without links.
func small(title string) *resource {
	return htmlPage(title, "The page "+title+" has a sentence of its own, and another one. It is about "+title+".", nil)
}

// flush sends what has been written so far.
func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

func robotsTxt(body string) *resource {
	return rawPage("text/plain", body, nil)
}

// troubles adds what goes wrong and returns links to it. Each kind has hosts of
// its own, numbered from first on, so that the failures of one do not make a
// crawler back off from another.
func (w *Web) troubles(first int) []link {
	var entry []link
	host := first - 1
	// begin starts the next host and at adds a resource on it.
	begin := func() { host++ }
	at := func(path string, r *resource) string { return w.add(w.url(host, path), r) }
	enter := func(url string) { entry = append(entry, link{to: url}) }

	begin() // redirects
	for i, code := range []int{301, 302, 303, 307, 308} {
		target := fmt.Sprintf("/target%d", i)
		at(target, small("Target "+strconv.Itoa(i)))
		enter(at(fmt.Sprintf("/moved%d", i), redirect(code, target+"#part", w.url(host, target))))
	}
	for i := range 3 { // a loop of three
		to := fmt.Sprintf("/loop%d", (i+1)%3)
		r := redirect(302, to, w.url(host, to))
		if i == 2 {
			r.fail = "redirect_loop"
		}
		at(fmt.Sprintf("/loop%d", i), r)
	}
	enter(w.url(host, "/loop0"))
	self := redirect(302, "/self", w.url(host, "/self"))
	self.fail = "redirect_loop"
	enter(at("/self", self))
	for i := range 14 { // too long a chain: the eleventh in a row is not followed
		to := fmt.Sprintf("/chain%d", i+1)
		r := redirect(302, to, w.url(host, to))
		if i == 10 {
			r.fail = "too_many_redirects"
		}
		at(fmt.Sprintf("/chain%d", i), r)
	}
	enter(w.url(host, "/chain0"))
	nowhere := status(302, "bad_redirect")
	nowhere.serve = func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(302) }
	enter(at("/nowhere", nowhere))
	outside := redirect(302, "http://elsewhere.example/", "http://elsewhere.example/")
	outside.links[0].refused = "elsewhere"
	enter(at("/outside", outside))

	begin() // failures that are certain
	for _, code := range []int{400, 401, 403, 404, 410, 451} {
		enter(at(fmt.Sprintf("/%d", code), status(code, fmt.Sprintf("http_%d", code))))
	}
	enter(w.url(host, "/not/there"))
	enter(at("/huge", &resource{fail: "too_large", serve: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Type", "text/html")
		block := bytes.Repeat([]byte("<p>More and more. "), 4096)
		for range 2*MaxBody/len(block) + 1 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}}))
	enter(at("/huge-announced", &resource{fail: "too_large", serve: func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(100*MaxBody))
		_, _ = w.Write([]byte("<p>The rest follows."))
		flush(w)
		<-r.Context().Done()
	}}))
	image := rawPage("image/png", "\x89PNG\r\n\x1a\n0000", nil)
	image.fail = "unsupported_type"
	enter(at("/image.png", image))
	liar := rawPage("text/html", "\x89PNG\r\n\x1a\n0000", nil)
	liar.fail = "unsupported_type"
	enter(at("/image.html", liar))

	// Failures that pass. A host each: three failures in a row mean a long rest.
	begin()
	enter(at("/500", flaky(1, 500, nil, small("Recovered 500"))))
	begin()
	enter(at("/503", flaky(1, 503, http.Header{"Retry-After": {"1"}}, small("Recovered 503"))))
	begin()
	enter(at("/429", flaky(1, 429, http.Header{"Retry-After": {"1"}}, small("Recovered 429"))))
	begin()
	enter(at("/cut", flaky(0, 0, nil, small("Whole at last"))))
	cut := w.resources[w.url(host, "/cut")]
	whole := cut.serve
	cut.failures = 1
	cut.serve = func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 {
			whole(w, r, n)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write([]byte("<p>This ends in the middle of"))
		flush(w)
		panic(http.ErrAbortHandler)
	}

	begin() // types and character sets
	latin, _ := charmap.ISO8859_1.NewEncoder().String(`<title>Latin</title><p>Ein schöner Tag für ein Café.</p><a href="größe.html">größe</a>`)
	enter(at("/latin", rawPage("text/html; charset=iso-8859-1", latin, []link{{to: at("/gr%C3%B6%C3%9Fe.html", small("Umlaut"))}})))
	wide, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`<title>Wide</title><p>Every letter takes two bytes here.</p><a href="ж.html">ж</a>`)
	enter(at("/wide", rawPage("text/html", wide, []link{{to: at("/%D0%B6.html", small("Cyrillic"))}})))
	enter(at("/meta", rawPage("text/html", "<meta charset=koi8-r><title>\xd3\xc1\xca\xd4</title><p>\xfc\xd4\xcf \xd3\xd4\xd2\xc1\xce\xc9\xc3\xc1.</p>", nil)))
	enter(at("/plain", rawPage("text/plain", "A plain text with http://elsewhere.example/ in it, which is no link.", nil)))
	enter(at("/undeclared", rawPage("", "<!doctype html><title>Undeclared</title><p>Nobody says what this is.</p><a href=found.html>f</a>", []link{{to: at("/found.html", small("Found"))}})))

	begin() // odd links
	entry = append(entry, w.oddLinks(host, at)...)

	begin() // robots.txt
	w.robots[w.opts.Host(host)] = robotsTxt("User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.pdf$\n\nUser-agent: other\nDisallow: /\n")
	forbidden := func(path string) {
		r := small("Forbidden " + path)
		r.fail, r.detail = "robots", "Disallow"
		enter(at(path, r))
	}
	forbidden("/private/secret")
	forbidden("/paper.pdf")
	enter(at("/private/open", small("Open")))
	enter(at("/paper.pdf?draft", small("Draft")))
	begin()
	w.robots[w.opts.Host(host)] = redirect(301, w.url(host, "/the-robots.txt"), "")
	at("/the-robots.txt", robotsTxt("User-agent: weir\nDisallow: /moved-rule\n\nUser-agent: *\nAllow: /\n"))
	forbidden("/moved-rule")
	enter(at("/after-moved-rule", small("After the moved rule")))
	begin()
	filler := strings.Repeat("# A comment that says nothing.\n", 1+500<<10/31)
	w.robots[w.opts.Host(host)] = robotsTxt("User-agent: *\nDisallow: /early\n" + filler + "Disallow: /late\n")
	forbidden("/early")
	enter(at("/late", small("Behind the first 500 KiB")))

	begin() // what pages say to robots
	noFollow := link{to: w.url(host, "/unloved"), refused: "nofollow"}
	enter(at("/rel", rawPage("text/html", `<title>Rel</title><p>One link is not vouched for.</p><a rel="NoFollow noopener" href=/unloved>u</a><a href=/loved>l</a>`,
		[]link{noFollow, {to: at("/loved", small("Loved"))}})))
	asks := "not to follow"
	enter(at("/meta-nofollow", rawPage("text/html", `<meta name=robots content="nofollow"><title>Meta</title><p>Do not go there.</p><a href=/unloved2>u</a>`,
		[]link{{to: w.url(host, "/unloved2"), refused: asks}})))
	header := rawPage("text/html", `<title>Header</title><p>Do not go there either.</p><a href=/unloved3>u</a>`,
		[]link{{to: w.url(host, "/unloved3"), refused: asks}})
	body := header.serve
	header.noIndex = true
	header.serve = func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("X-Robots-Tag", "none")
		body(w, r, n)
	}
	enter(at("/header", header))
	noIndex := rawPage("text/html", `<meta name=robots content=noindex><title>No index</title><p>Not for the index.</p><a href=/indexed>i</a>`,
		[]link{{to: at("/indexed", small("Indexed"))}})
	noIndex.noIndex = true
	enter(at("/noindex", noIndex))

	begin() // one content under several addresses
	for i := range 4 {
		enter(at(fmt.Sprintf("/same%d", i), small("Same")))
	}

	begin() // traps
	path := "/"
	for depth := range 4 {
		r := rawPage("text/html", fmt.Sprintf(`<title>Deep %d</title><p>Deeper is the same.</p><a href="deep/">d</a>`, depth), []link{{to: w.url(host, path+"deep/")}})
		if depth == 3 {
			r.links[0].refused = "repeats itself"
		}
		at(path, r)
		path += "deep/"
	}
	enter(w.url(host, "/"))
	query := "/list?x=1"
	for n := 1; n <= 5; n++ {
		next := link{to: w.url(host, query+"&x=1")}
		if n == 5 {
			next.refused = "parameter more than"
		}
		enterIf := at(query, htmlPage(fmt.Sprintf("List %d", n), "A list of nothing.", []link{next}))
		if n == 1 {
			enter(enterIf)
		}
		query += "&x=1"
	}
	long := link{to: w.url(host, "/"+strings.Repeat("long", 600)), refused: "longer than"}
	enter(at("/to-long", htmlPage("To long", "One link is too long.", []link{long})))
	return entry
}

// oddLinks adds pages whose links are written oddly.
func (w *Web) oddLinks(host int, at func(string, *resource) string) []link {
	h := w.opts.Host(host)
	odd := []struct{ href, path string }{
		{"a b.html", "/odd/a%20b.html"},
		{"café.html", "/odd/caf%C3%A9.html"},
		{"caf%c3%a9.html", "/odd/caf%C3%A9.html"},
		{`..\back.html`, "/back.html"},
		{"%7Etilde.html", "/odd/~tilde.html"},
		{"~tilde.html", "/odd/~tilde.html"},
		{"frag.html#one", "/odd/frag.html"},
		{"frag.html#two", "/odd/frag.html"},
		{"./dot/../dots.html", "/odd/dots.html"},
		{"  \n spa\nces.html\t ", "/odd/spaces.html"},
		{"//" + h + "/protocol.html", "/protocol.html"},
		{"http://user:secret@" + h + "/credentials.html", "/credentials.html"},
		{"http:relative.html", "/odd/relative.html"},
		{"query.html?a=b&c=d e", "/odd/query.html?a=b&c=d%20e"},
		{"query.html?a=b%26c", "/odd/query.html?a=b%26c"},
		{"/../../above.html", "/above.html"},
		{"empty//segment.html", "/odd/empty//segment.html"},
		{"HTTP://" + strings.ToUpper(h) + "/UPPER.html", "/UPPER.html"},
		{"semi;colon.html", "/odd/semi;colon.html"},
		{"per%zent.html", "/odd/per%zent.html"},
	}
	var b strings.Builder
	b.WriteString("<!doctype html><title>Odd links</title><p>All of these lead somewhere.</p>\n")
	var links []link
	for _, o := range odd {
		href := strings.NewReplacer("&", "&amp;", `"`, "&quot;").Replace(o.href)
		fmt.Fprintf(&b, "<a href=\"%s\">x</a>\n", href)
		u := w.url(host, o.path)
		links = append(links, link{to: u})
		if w.resources[u] == nil {
			at(o.path, small("Odd "+o.path))
		}
	}
	for _, href := range []string{"", "#top", "mailto:a@example.com", "javascript:void(0)", "data:text/html,x", "tel:1", "http://[bad", "http://"} {
		fmt.Fprintf(&b, "<a href=\"%s\">none</a>\n", href)
	}
	for i, element := range []string{`<iframe src="%s"></iframe>`, `<map><area href="%s"></map>`, `<link rel=next href="%s">`, `<meta http-equiv=refresh content="9; url=%s">`} {
		path := fmt.Sprintf("/odd/element%d.html", i)
		fmt.Fprintf(&b, element+"\n", path)
		links = append(links, link{to: at(path, small("Element "+strconv.Itoa(i)))})
	}
	b.WriteString("<script>document.write('<a href=\"/scripted.html\">x</a>')</script><!-- <a href=/comment.html>x</a> -->\n")
	index := at("/odd/index.html", rawPage("text/html; charset=utf-8", b.String(), links))
	based := at("/base.html", rawPage("text/html", `<title>Base</title><base href="/based/sub/"><base href="/wrong/"><p>Links have a base.</p><a href=x.html>x</a><a href="?q">q</a>`,
		[]link{{to: at("/based/sub/x.html", small("Based"))}, {to: at("/based/sub/?q", small("Based query"))}}))
	return []link{{to: index}, {to: based}}
}

// slow adds what takes long and returns links to it.
func (w *Web) slow(first int) []link {
	var entry []link
	host := first - 1
	begin := func() { host++ }
	at := func(path string, r *resource) string { return w.add(w.url(host, path), r) }
	enter := func(url string) { entry = append(entry, link{to: url}) }

	begin() // nobody listens, so there is no robots.txt, so nothing is allowed
	w.down[w.opts.Host(host)] = true
	enter(at("/down", &resource{fail: "robots", detail: "unreachable"}))
	begin() // robots.txt never works
	w.robots[w.opts.Host(host)] = status(500, "")
	enter(at("/unknown", &resource{fail: "robots", detail: "unreachable"}))
	begin() // robots.txt works in the end
	w.robots[w.opts.Host(host)] = flaky(2, 503, nil, robotsTxt("User-agent: *\nDisallow: /no\n"))
	enter(at("/yes", small("Allowed in the end")))
	begin() // never works
	enter(at("/500", status(500, "http_500")))
	begin()
	enter(at("/429", status(429, "rate_limited")))
	begin() // never ends
	enter(at("/cut", &resource{fail: "truncated", serve: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write([]byte("<p>This ends in the middle of"))
		flush(w)
		panic(http.ErrAbortHandler)
	}}))
	begin() // never begins
	enter(at("/silent", &resource{fail: "timeout", serve: func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }}))
	begin() // takes its time
	for i := range 4 {
		slow := small(fmt.Sprintf("Slow %d", i))
		serve := slow.serve
		slow.serve = func(w http.ResponseWriter, r *http.Request, n int) {
			time.Sleep(3 * time.Second)
			serve(w, r, n)
		}
		enter(at(fmt.Sprintf("/slow%d", i), slow))
	}
	enter(at("/quick", small("Quick")))
	begin() // asks for a delay
	w.robots[w.opts.Host(host)] = robotsTxt("User-agent: *\nCrawl-delay: " + strconv.Itoa(int(CrawlDelay/time.Second)) + "\n")
	for i := range 5 {
		enter(at(fmt.Sprintf("/patient%d", i), small(fmt.Sprintf("Patient %d", i))))
	}
	begin() // asks to be left alone
	enter(at(BusyPath, flaky(1, 503, http.Header{"Retry-After": {strconv.Itoa(int(RetryAfter / time.Second))}}, small("Busy"))))
	for i := range 3 {
		enter(at(fmt.Sprintf("/calm%d", i), small(fmt.Sprintf("Calm %d", i))))
	}
	return entry
}
