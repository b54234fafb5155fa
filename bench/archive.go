package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/stages/warc"
)

func weirArchive(s sites) (result, error) { return archive(s.Seed) }

func archive(seed string) (result, error) {
	settings := records(scope.WithinAny)
	settings.Stages = append(settings.Stages, crawler.Stage{Name: crawler.StageWARC})
	return weir([]string{seed}, settings, nil)
}

func weirGzip(s sites) (result, error) {
	return weir([]string{s.Gzip}, records(scope.WithinAny), nil)
}

func weirGzipArchive(s sites) (result, error) { return archive(s.Gzip) }

// archiveGroup is how many answers archiveAlone writes and syncs at once.
const archiveGroup = 64

// archiveAlone makes records of pages like those of the synthetic web, and writes and syncs
// them: what an archive costs at least, in which a crawl has no part. There are so many
// different ones that the processor does not know what comes next.
func archiveAlone(sites) (result, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	rng := rand.New(rand.NewPCG(1, 2))
	bodies := make([][]byte, 512)
	for i := range bodies {
		bodies[i] = page(i, *pages, rng, func(i int) string { return fmt.Sprintf("http://127.5.0.%d:40000/page/%d", i%hosts+1, i) })
	}
	files := &warc.Archive{Dir: dir}
	var mu sync.Mutex // guards files, end and failed
	var end warc.Position
	var failed error
	r, err := alone(*pages/archiveGroup, func(group int) {
		records := make([][]byte, archiveGroup)
		for k := range records {
			i := group*archiveGroup + k
			x := &warc.Exchange{
				URL: fmt.Sprintf("http://127.5.0.%d:40000/page/%d", i%hosts+1, i), Time: time.Now(), Proto: "HTTP/1.1", Status: 200, IP: "127.5.0.1",
				RawHeader:     []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n"),
				RequestHeader: http.Header{"User-Agent": {"weir"}, "Accept": {"text/html"}, "Accept-Encoding": {"gzip, br, zstd"}},
				Body:          bodies[i%len(bodies)],
			}
			b, _, err := x.AppendRecords(nil)
			if err != nil {
				panic(err) // the address is well formed
			}
			records[k] = b
		}
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			end, _, failed = files.Write(end, records)
		}
	})
	r.Pages *= archiveGroup
	r.Unique, r.Disk = r.Pages, size(dir)
	if err == nil {
		err = failed
	}
	return r, err
}
