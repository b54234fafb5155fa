package command_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
)

// pagesByHost asks of each host and tells what it was asked, but for robots.txt.
func pagesByHost(log *requests) map[string]int {
	n := make(map[string]int)
	for line := range strings.Lines(log.String()) {
		if host, path, _ := strings.Cut(strings.TrimSpace(line), " "); path != "/robots.txt" {
			n[host]++
		}
	}
	return n
}

// manyHosts answers for every host: / leads to ten pages of 500 bytes each.
func manyHosts(t *testing.T, log *requests) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.add("%s %s", r.Host, r.URL.Path)
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		text := "<title>" + r.Host + r.URL.Path + "</title>"
		for i := range 10 {
			text += fmt.Sprintf("<a href=/%d>%d</a>", i, i)
		}
		fmt.Fprintf(w, "%-500s", text)
	}))
	t.Cleanup(s.Close)
	return s
}

// The rate is one for all hosts: the last of so many requests cannot have been made
// before its time has come, whatever the machine is doing.
func TestRateIsOfAllHosts(t *testing.T) {
	var log requests
	site := manyHosts(t, &log)
	args := quick(filepath.Join(t.TempDir(), "crawl"), "--proxy", site.URL, "--rate", "100", "--depth", "1")
	for _, host := range []string{"a", "b", "c", "d"} {
		args = append(args, "http://"+host+".test/")
	}
	began := time.Now()
	if out := must(t, args...); !strings.Contains(out, "Complete: 44 pages") {
		t.Fatal(out)
	}
	took := time.Since(began)
	// A tenth of a second's requests may pass at once, and robots.txt files count.
	n := len(strings.Split(log.String(), "\n"))
	if least := time.Duration(n-10) * time.Second / 100; n != 48 || took < least {
		t.Errorf("%d requests in %v, which is less than %v", n, took, least)
	}
}

// A budget of hosts is one for each host, and a round has it anew.
func TestBudgetsOfHosts(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []string
		want  []int // pages of a host, by round
	}{
		{"pages", []string{"--max-pages-per-host", "3"}, []int{3, 6, 9}},
		// The page that reaches the limit is fetched.
		{"bytes", []string{"--max-bytes-per-host", "1600"}, []int{4, 8, 12}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log requests
			site := manyHosts(t, &log)
			dir := filepath.Join(t.TempDir(), "crawl")
			must(t, quick(dir, append(test.flags, "--proxy", site.URL, "http://a.test/", "http://b.test/")...)...)
			for round, want := range test.want {
				if round > 0 {
					must(t, "crawl", "--dir", dir, "--progress", "off", "--recrawl")
				}
				if got := pagesByHost(&log); got["a.test"] != want || got["b.test"] != want || len(got) != 2 {
					t.Errorf("after round %d hosts were asked for %v pages, want %d of each", round, got, want)
				}
			}
		})
	}
}

// What is too long, too large or fails for good is given up after the attempts that
// were asked for, and says why.
func TestLimitsOfARequest(t *testing.T) {
	var mu sync.Mutex
	asked := make(map[string]int)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/failing":
			w.WriteHeader(http.StatusInternalServerError)
		case "/large":
			fmt.Fprintf(w, "%200000s", "x")
		case "/small":
			fmt.Fprintf(w, "%90000s", "x")
		case "/endless":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	defer site.Close()
	dir := filepath.Join(t.TempDir(), "crawl")
	other := strings.Replace(site.URL, "127.0.0.1", "localhost", 1) // whose timeout is short
	r := weir(t, quick(dir, "--ignore-robots", "--sitemaps=false", "--retries", "1", "--max-body", "100kB",
		"--per-host", "4", "--host", strings.TrimPrefix(other, "http://")+" timeout=200ms", site.URL+"/failing", site.URL+"/large", site.URL+"/small", other+"/endless")...)
	if !strings.Contains(r.out, "Complete: 1 page and 3 failures") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	failed := make(map[string]string)
	for _, f := range lines[crawler.Failure](t, must(t, "export", "--dir", dir, "failures")) {
		failed[f.URL[strings.LastIndex(f.URL, "/"):]] = fmt.Sprint(f.Reason, " ", f.Attempts)
	}
	for path, want := range map[string]string{"/failing": "http_500 2", "/large": "too_large 1", "/endless": "timeout 2"} {
		if failed[path] != want {
			t.Errorf("%s: %s, want %s", path, failed[path], want)
		}
	}
	if asked["/failing"] != 2 || asked["/large"] != 1 || asked["/small"] != 1 {
		t.Errorf("the server was asked for %v", asked)
	}
}

// A proxy that is spoken to by TLS takes requests for http, and tunnels for https.
func TestProxyWithTLS(t *testing.T) {
	var asked requests
	plain := httptest.NewServer(http.HandlerFunc(plainSite))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(plainSite))
	defer secure.Close()
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.add("%s %s", r.Method, r.Host)
		if r.Method == http.MethodConnect {
			pipeTo(w, strings.TrimPrefix(secure.URL, "https://"))
			return
		}
		resp, err := http.Get(plain.URL + r.URL.RequestURI())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.StartTLS()
	defer proxy.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	// The certificates of httptest are for example.com.
	dir := filepath.Join(t.TempDir(), "crawl")
	out := must(t, quick(dir, "--proxy", proxy.URL, "--ca-file", ca, "http://site.test/", "https://example.com/")...)
	if !strings.Contains(out, "Complete: 4 pages and 0 failures") || !strings.Contains(asked.String(), "GET site.test") || !strings.Contains(asked.String(), "CONNECT example.com:443") {
		t.Errorf("%s\nthe proxy was asked\n%s", out, asked.String())
	}
	// Without --ca-file neither the proxy nor the site behind it is believed; --insecure believes both.
	r := weir(t, quick(filepath.Join(t.TempDir(), "crawl"), "--retries", "0", "--proxy", proxy.URL, "https://example.com/")...)
	if r.code != 1 || !strings.Contains(r.out, "certificate") {
		t.Errorf("without --ca-file: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if out := must(t, quick(filepath.Join(t.TempDir(), "crawl"), "--insecure", "--proxy", proxy.URL, "https://example.com/")...); !strings.Contains(out, "Complete: 2 pages") {
		t.Errorf("--insecure:\n%s", out)
	}
}
