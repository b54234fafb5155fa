package inspect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// The sample is from many hosts, bounded, and says what links take.
func TestSizesAreThoseOfASample(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	links := []crawler.Link{{To: "https://example.com/" + strings.Repeat("a", 300)}}
	var tx queue.Tx
	for host := range 20 {
		for i := range 50 {
			p := crawler.Page{URL: fmt.Sprintf("http://h%d.test/%d", host, i), Links: links}
			if err := tables.Put(&tx, tables.Pages, p.URL, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 40 { // all of one host
		if err := tables.Put(&tx, tables.Texts, fmt.Sprintf("http://h0.test/%d", i), crawler.Text{Text: "short"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	if err := sample(t.Context(), store, tables.Pages, func(r queue.Record) error {
		host, _, _ := strings.Cut(strings.TrimPrefix(r.Key, "http://"), "/")
		seen[host] = true
		return nil
	}); err != nil || len(seen) != sampleSize/sampleChunk {
		t.Errorf("the sample is of %d hosts, %v", len(seen), err)
	}
	sizes, err := readSizes(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]SizeStatus)
	for _, s := range sizes {
		of[s.Kind] = s
	}
	if p, l, x := of["page"], of["links"], of["text"]; len(sizes) != 3 || p.Sample != sampleSize || x.Sample != 40 ||
		l.Bytes < 300 || l.Bytes > 330 || p.Bytes < 40 || p.Bytes > 120 {
		t.Errorf("sizes %+v", sizes)
	}
}
