package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/gocolly/colly/v2"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// concurrency is how many requests each crawler may have under way.
const concurrency = 64

// crawl is a crawler process.
func crawl(name string) error {
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r, err := crawlers[name](*seedURL)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func transport() *http.Transport {
	return &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: concurrency, DisableCompression: true}
}

// fetchOnly fetches every page by its number and looks at none of them.
func fetchOnly(seed string) (result, error) {
	client := &http.Client{Transport: transport()}
	u, err := url.Parse(seed)
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
	return result{*pages, *pages, time.Since(start)}, nil
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
func loop(seed string) (result, error) {
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
		doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		base, err := url.Parse(target)
		if err != nil {
			return err
		}
		var found []string
		doc.Find("a[href]").Each(func(_ int, a *goquery.Selection) {
			href, _ := a.Attr("href")
			if u, err := base.Parse(href); err == nil {
				u.Fragment = ""
				found = append(found, u.String())
			}
		})
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
	return result{len(seen), len(seen), time.Since(start)}, failed
}

// collyCrawl is Colly as its documentation shows it, in memory.
func collyCrawl(seed string) (result, error) {
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
	if err := c.Visit(seed); err != nil {
		return result{}, err
	}
	c.Wait()
	return result{fetched, len(different), time.Since(start)}, nil
}

func weirRecords(seed string) (result, error) {
	return weir(seed, crawler.Settings{Scope: scope.Settings{Within: scope.WithinAny}, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}})
}

func weirPipeline(seed string) (result, error) {
	return weir(seed, crawler.Settings{Scope: scope.Settings{Within: scope.WithinAny}})
}

// weir crawls into a folder, every commit synced to the disk.
func weir(seed string, settings crawler.Settings) (result, error) {
	settings.Delay, settings.PerHost, settings.Workers, settings.AllowPrivate = -1, 8, concurrency, true
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	debug.SetGCPercent(memory.GCPercent)
	ctx := context.Background()
	store, err := badgerqueue.Open(dir, memory.StoreOptions())
	if err != nil {
		return result{}, err
	}
	c, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds(seed)})
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if err := c.Run(ctx); err != nil {
		return result{}, err
	}
	elapsed := time.Since(start)
	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		return result{}, err
	}
	if !st.Done || st.Failures > 0 {
		return result{}, fmt.Errorf("the crawl is not complete: %+v", st)
	}
	return result{int(st.Pages), int(st.Pages), elapsed}, store.Close()
}
