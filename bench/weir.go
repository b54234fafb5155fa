package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// records are the settings of a crawl that keeps pages and their links.
func records(within scope.Within) crawler.Settings {
	return crawler.Settings{Scope: scope.Settings{Within: within}, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
}

func weirRecords(s sites) (result, error) {
	return weir([]string{s.Seed}, records(scope.WithinAny), nil)
}

func weirPipeline(s sites) (result, error) {
	return weir([]string{s.Seed}, crawler.Settings{Scope: scope.Settings{Within: scope.WithinAny}}, nil)
}

func weirTLS(s sites) (result, error) {
	settings := records(scope.WithinAny)
	settings.Scope.MaxDepth = 1
	return weir([]string{s.TLS}, settings, func(builtin *http.Transport) http.RoundTripper {
		builtin.TLSClientConfig = s.tlsConfig()
		return builtin
	})
}

func weirDocs(s sites) (result, error) {
	if len(s.Docs) == 0 {
		return result{}, fmt.Errorf("-docs is missing: the folder that internal/realsites/fetch.sh has filled")
	}
	return weir(s.Docs, records(""), nil)
}

// weir crawls into a folder, every commit synced to the disk, with the settings of
// the command.
func weir(seeds []string, settings crawler.Settings, transport func(*http.Transport) http.RoundTripper) (result, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	memory.TuneCollector()
	return weirIn(dir, seeds, settings, transport)
}

// weirIn is weir in a folder.
func weirIn(dir string, seeds []string, settings crawler.Settings, transport func(*http.Transport) http.RoundTripper) (result, error) {
	settings.Delay, settings.PerHost, settings.Workers, settings.AllowPrivate = -1, 8, concurrency, true
	memory.SetBudget(cmp.Or(settings.Memory, crawler.DefaultMemory), settings.Runs(crawler.StageExtract))
	ctx := context.Background()
	store, err := badgerqueue.Open(filepath.Join(dir, "store"), memory.StoreOptions())
	if err != nil {
		return result{}, err
	}
	c, err := crawler.New(store, &crawler.Options{
		Settings: settings, Seeds: crawler.Seeds(seeds...), Transport: transport, ArchiveDir: filepath.Join(dir, "warc"),
	})
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
	if !st.Done {
		return result{}, fmt.Errorf("the crawl is not complete: %+v", st)
	}
	if *sizes {
		if _, err := kinds(ctx, store, int(st.Pages)); err != nil {
			return result{}, err
		}
	}
	err = store.Close()
	return result{Pages: int(st.Pages), Unique: int(st.Pages), Elapsed: elapsed, Disk: size(dir)}, err
}

// size returns how many bytes the files below dir have.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
