package crawler_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
)

// The pages of a host come on the connection on which its robots.txt came, by whatever
// settings.
func TestRobotsAndPagesShareAConnection(t *testing.T) {
	for name, hosts := range map[string]map[string]crawler.Settings{
		"the general settings": nil,
		"a host's own":         {"127.0.0.1": {MaxBody: 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			var connections, requests atomic.Int32
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.URL.Path == "/robots.txt" {
					fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
					return
				}
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<title>t</title><a href=/a>a</a><a href=/b>b</a>")
			}))
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			s.Start()
			defer s.Close()
			store := openMemory(t)
			c, err := crawler.New(store, &crawler.Options{
				Seeds:    crawler.Seeds(s.URL + "/"),
				Settings: crawler.Settings{AllowPrivate: true, Delay: -1, Hosts: hosts, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r, n := requests.Load(), connections.Load(); r != 4 || n != 1 {
				t.Errorf("%d requests on %d connections, want 4 on 1", r, n)
			}
		})
	}
}
