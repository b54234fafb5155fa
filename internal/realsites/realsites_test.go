//go:build realsites

package realsites

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var packages = flag.String("realsites.dir", "", "folder that fetch.sh has filled")

// sites are where packages have their pages.
var sites = map[string]string{
	"debian-policy":     "usr/share/doc/debian-policy/policy.html",
	"python3.11-doc":    "usr/share/doc/python3.11/html",
	"postgresql-doc-15": "usr/share/doc/postgresql-doc-15/html",
	"apache2-doc":       "usr/share/doc/apache2-doc/manual",
}

// found is what there is at an address.
type found struct {
	depth   int    // links and redirects from the seed
	outcome string // page, redirect to …, or the reason of a failure
}

func TestCrawlsOfRealSitesAreComplete(t *testing.T) {
	if *packages == "" {
		t.Fatal("-realsites.dir is missing; see the package's documentation")
	}
	n := 0
	for name, root := range sites {
		dir := filepath.Join(*packages, name, root)
		if _, err := os.Stat(dir); err != nil {
			t.Logf("%s is not among the packages: %v", name, err)
			continue
		}
		n++
		t.Run(name, func(t *testing.T) { compare(t, dir, fmt.Sprintf("127.8.0.%d:0", n)) })
	}
	if n < 2 {
		t.Errorf("%d sites in %s, want 2 at the least", n, *packages)
	}
}

func compare(t *testing.T, dir, address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.FS(os.DirFS(dir).(fs.StatFS)))}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	seed := "http://" + l.Addr().String() + "/"

	start := time.Now()
	want := walk(t, seed)
	walked := time.Since(start)
	start = time.Now()
	got := crawl(t, seed)
	t.Logf("%d addresses; the walk took %v, the crawl %v", len(want), walked.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	if len(want) < 20 {
		t.Errorf("the walk found %d addresses only", len(want))
	}
	count := make(map[string]int)
	for u, w := range want {
		kind, _, _ := strings.Cut(w.outcome, " ")
		count[kind]++
		if g := got[u]; g != w {
			t.Errorf("%s: the crawl found %+v, the walk %+v", u, g, w)
		}
	}
	t.Log(count)
	for u, g := range got {
		if _, ok := want[u]; !ok {
			t.Errorf("%s: the crawl found %+v, the walk nothing", u, g)
		}
	}
}

// crawl is what Weir finds.
func crawl(t *testing.T, seed string) map[string]found {
	t.Helper()
	ctx := t.Context()
	store, err := badgerqueue.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Settings: crawler.Settings{Delay: -1, PerHost: 16, AllowPrivate: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		Seeds:    crawler.Seeds(seed),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Done(ctx); err != nil || !done {
		t.Errorf("Done = %v, %v", done, err)
	}
	all := make(map[string]found)
	scan(t, store, "pages", func(p crawler.Page) {
		all[p.URL] = found{p.Generation, "page"}
		if p.Redirect != "" {
			all[p.URL] = found{p.Generation, "redirect to " + p.Redirect}
		}
	})
	scan(t, store, "failures", func(f crawler.Failure) { all[f.URL] = found{f.Generation, f.Reason} })
	if err := store.Check(ctx); err != nil {
		t.Error(err)
	}
	return all
}

func scan[T any](t *testing.T, store *queue.Store, table string, each func(T)) {
	t.Helper()
	for from := ""; ; {
		records, err := store.Scan(t.Context(), table, from, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			var v T
			if err := codec.Decode(r.Value, &v); err != nil {
				t.Fatal(err)
			}
			each(v)
			from = r.Key + "\x00"
		}
		if len(records) == 0 {
			return
		}
	}
}

// walk visits what can be reached on the seed's host, one address after the
// other, breadth first.
func walk(t *testing.T, seed string) map[string]found {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	host := strings.TrimSuffix(strings.TrimPrefix(seed, "http://"), "/")
	all := map[string]found{seed: {}}
	for todo := []string{seed}; len(todo) > 0; todo = todo[1:] {
		u := todo[0]
		f := all[u]
		outcome, links := look(t, client, u)
		all[u] = found{f.depth, outcome}
		for _, to := range links {
			parsed, err := url.Parse(to)
			if _, ok := all[to]; ok || err != nil || parsed.Host != host || parsed.Scheme != "http" {
				continue
			}
			all[to] = found{depth: f.depth + 1}
			todo = append(todo, to)
		}
	}
	return all
}

// look returns what an address holds.
func look(t *testing.T, client *http.Client, u string) (outcome string, links []string) {
	t.Helper()
	resp, err := client.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	if location := resp.Header.Get("Location"); location != "" {
		to := resolve(base, location)
		return "redirect to " + to, []string{to}
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("http_%d", resp.StatusCode), nil
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case media == "text/html" || media == "application/xhtml+xml":
		return "page", linksOf(base, body)
	case media == "text/plain" || media == "text/xml" || strings.HasSuffix(media, "/xml") || strings.HasSuffix(media, "+xml") && strings.HasPrefix(media, "application/"):
		return "page", nil
	}
	return "unsupported_type", nil
}

// linksOf reads the tags of a page in order.
func linksOf(base *url.URL, body []byte) []string {
	var hrefs []string
	based := false
	z := html.NewTokenizer(bytes.NewReader(body))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		tag := z.Token()
		attr := make(map[string]string)
		for _, a := range tag.Attr {
			attr[a.Key] = a.Val
		}
		// A page that is built by Sphinx does not vouch for its own sources.
		if slices.Contains(strings.Fields(strings.ToLower(attr["rel"])), "nofollow") {
			continue
		}
		switch tag.Data {
		case "a", "area":
			hrefs = append(hrefs, attr["href"])
		case "link":
			rels := strings.Fields(strings.ToLower(attr["rel"]))
			for _, rel := range []string{"canonical", "next", "prev", "previous", "alternate"} {
				if slices.Contains(rels, rel) && !slices.Contains(rels, "stylesheet") {
					hrefs = append(hrefs, attr["href"])
				}
			}
		case "iframe", "frame":
			hrefs = append(hrefs, attr["src"])
		case "meta":
			if _, to, ok := strings.Cut(strings.ToLower(attr["content"]), "url="); ok && strings.EqualFold(attr["http-equiv"], "refresh") {
				hrefs = append(hrefs, attr["content"][len(attr["content"])-len(to):])
			}
		case "base":
			if u, err := base.Parse(attr["href"]); err == nil && !based && attr["href"] != "" {
				base, based = u, true
			}
		}
	}
	var links []string
	for _, href := range hrefs {
		if href = strings.TrimSpace(href); href != "" && href[0] != '#' {
			links = append(links, resolve(base, href))
		}
	}
	return links
}

// resolve returns a reference as a browser's address bar would show it, or "".
func resolve(base *url.URL, href string) string {
	u, err := base.Parse(href)
	if err != nil {
		return ""
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}
