package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/gocolly/colly/v2"
)

// concurrency is how many requests each crawler may have under way.
const concurrency = 64

func transport() *http.Transport {
	return &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: concurrency, DisableCompression: true}
}

// fetchOnly fetches every page by its number and looks at none of them.
func fetchOnly(s sites) (result, error) {
	client := &http.Client{Transport: transport()}
	u, err := url.Parse(s.Seed)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	for range concurrency {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(*pages); i = next.Add(1) - 1 {
				target := fmt.Sprintf("http://127.5.0.%d:%s/page/%d", i%hosts+1, u.Port(), i)
				if _, err := get(client, target); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return result{}, *err
	}
	return result{Pages: *pages, Unique: *pages, Elapsed: time.Since(start)}, nil
}

func get(client *http.Client, target string) ([]byte, error) {
	resp, err := client.Get(target)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// loop is the limit: fetch, parse with goquery, resolve links, remember which
// were seen in a map, keep nothing.
func loop(s sites) (result, error) {
	seed := s.Seed
	client := &http.Client{Transport: transport()}
	var mu sync.Mutex
	more := sync.NewCond(&mu)
	seen := map[string]bool{seed: true}
	todo, busy := []string{seed}, 0
	var failed error
	start := time.Now()
	visit := func(target string) error {
		body, err := get(client, target)
		if err != nil {
			return err
		}
		found, err := goqueryLinks(target, body)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, u := range found {
			if !seen[u] {
				seen[u] = true
				todo = append(todo, u)
			}
		}
		return nil
	}
	var group sync.WaitGroup
	for range concurrency {
		group.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for {
				for len(todo) == 0 && busy > 0 {
					more.Wait()
				}
				if len(todo) == 0 {
					return
				}
				target := todo[0]
				todo = todo[1:]
				busy++
				mu.Unlock()
				err := visit(target)
				mu.Lock()
				busy--
				if err != nil {
					failed = err
				}
				more.Broadcast()
			}
		})
	}
	group.Wait()
	return result{Pages: len(seen), Unique: len(seen), Elapsed: time.Since(start)}, failed
}

// goqueryLinks returns the targets of a page's links.
func goqueryLinks(target string, body []byte) (found []string, err error) {
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	doc.Find("a[href]").Each(func(_ int, a *goquery.Selection) {
		href, _ := a.Attr("href")
		if u, err := base.Parse(href); err == nil {
			u.Fragment = ""
			found = append(found, u.String())
		}
	})
	return found, nil
}

// loopTLS is the loop for pages over TLS.
func loopTLS(s sites) (result, error) {
	t := transport()
	t.ForceAttemptHTTP2 = true
	t.TLSClientConfig = s.tlsConfig()
	return visitIndex(s.TLS, t, func(target string, body []byte) {
		if _, err := goqueryLinks(target, body); err != nil {
			panic(err)
		}
	})
}

func (s sites) tlsConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.Root))
	return &tls.Config{RootCAs: roots}
}

// visitIndex fetches what an index links to and calls fn with each page.
func visitIndex(index string, t *http.Transport, fn func(target string, body []byte)) (result, error) {
	client := &http.Client{Transport: t}
	start := time.Now()
	body, err := get(client, index)
	if err != nil {
		return result{}, err
	}
	targets, err := goqueryLinks(index, body)
	if err != nil {
		return result{}, err
	}
	var next atomic.Int64
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	for range concurrency {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(targets)); i = next.Add(1) - 1 {
				body, err := get(client, targets[i])
				if err != nil {
					failed.Store(&err)
					return
				}
				fn(targets[i], body)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return result{}, *err
	}
	return result{Pages: len(targets), Unique: len(targets), Elapsed: time.Since(start)}, nil
}

// collyCrawl is Colly as its documentation shows it, in memory.
func collyCrawl(s sites) (result, error) {
	c := colly.NewCollector(colly.Async(true))
	if err := c.Limit(&colly.LimitRule{DomainGlob: "*", Parallelism: concurrency}); err != nil {
		return result{}, err
	}
	c.WithTransport(transport())
	var mu sync.Mutex
	different := make(map[string]bool)
	fetched := 0
	c.OnResponse(func(r *colly.Response) {
		mu.Lock()
		defer mu.Unlock()
		different[r.Request.URL.String()] = true
		fetched++
	})
	c.OnHTML("a[href]", func(e *colly.HTMLElement) {
		// Colly takes addresses that differ in their fragments for different pages.
		href, _, _ := strings.Cut(e.Attr("href"), "#")
		_ = e.Request.Visit(href) // an error says that it was visited
	})
	start := time.Now()
	if err := c.Visit(s.Seed); err != nil {
		return result{}, err
	}
	c.Wait()
	return result{Pages: fetched, Unique: len(different), Elapsed: time.Since(start)}, nil
}
