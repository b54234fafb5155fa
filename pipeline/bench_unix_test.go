//go:build unix

package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// benchPage is what a fetch stage hands to an extracting one: the bytes, and the
// tree if it was parsed already.
type benchPage struct {
	N    int
	HTML []byte
	tree *html.Node
}

type benchText struct {
	N    int
	Text string
}

// BenchmarkChain runs pages of 13 KB through three stages: fetch, which parses the
// page if its links are wanted, extract, which needs the tree, and tag. So with
// parsing a page that is chained is parsed once, and otherwise twice.
func BenchmarkChain(b *testing.B) {
	page := benchHTML(13 << 10)
	for _, parse := range []bool{false, true} {
		for _, apart := range []bool{true, false} {
			b.Run(fmt.Sprintf("parse=%v/chain=%v", parse, !apart), func(b *testing.B) {
				store, err := badgerqueue.Open(b.TempDir(), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer store.Close()
				const pages = 2000
				p, numbers := benchPipeline(b, store, page, parse, apart)
				seeds := make([]int, pages)
				for i := range seeds {
					seeds[i] = i
				}
				start, used := time.Now(), cputime.Used()
				runs := 0
				for b.Loop() {
					runs++
					if err := pipeline.Seed(b.Context(), p, numbers, seeds...); err != nil {
						b.Fatal(err)
					}
					if err := p.Run(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				n := float64(runs * pages)
				b.ReportMetric(float64((cputime.Used()-used).Microseconds())/n, "cpu-µs/page")
				b.ReportMetric(n/time.Since(start).Seconds(), "pages/s")
			})
		}
	}
}

func benchPipeline(b *testing.B, store *queue.Store, page []byte, parse, apart bool) (*pipeline.Pipeline, *pipeline.Edge[int]) {
	numbers, texts, tags := pipeline.NewEdge[int]("numbers"), pipeline.NewEdge[benchPage]("texts"), pipeline.NewEdge[benchText]("tags")
	p := pipeline.New(store, &pipeline.Options{NoChaining: apart})
	pipeline.Handle(p, numbers, func(_ context.Context, n int, out *pipeline.Out) error {
		pg := benchPage{N: n, HTML: bytes.Clone(page)}
		if parse {
			tree, err := html.Parse(bytes.NewReader(pg.HTML))
			if err != nil {
				return err
			}
			pg.tree = tree
		}
		texts.Emit(out, pg)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}})
	pipeline.Handle(p, texts, func(_ context.Context, pg benchPage, out *pipeline.Out) error {
		if !parse {
			tags.Emit(out, benchText{pg.N, string(pg.HTML[:4<<10])})
			return nil
		}
		tree := pg.tree
		if tree == nil {
			var err error
			if tree, err = html.Parse(bytes.NewReader(pg.HTML)); err != nil {
				return err
			}
		}
		var text strings.Builder
		for n := range tree.Descendants() {
			if n.Type == html.TextNode {
				text.WriteString(n.Data)
			}
		}
		tags.Emit(out, benchText{pg.N, text.String()})
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{tags}})
	pipeline.Handle(p, tags, func(_ context.Context, t benchText, out *pipeline.Out) error {
		out.Tx().Put("words", fmt.Sprint(t.N), fmt.Append(nil, len(strings.Fields(t.Text))))
		return nil
	}, nil)
	return p, numbers
}

// benchHTML returns a page of about so many bytes, with paragraphs and links.
func benchHTML(size int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	var page bytes.Buffer
	page.WriteString("<!doctype html><title>A page</title>")
	for page.Len() < size {
		fmt.Fprintf(&page, `<p><a href="/%x">%x</a>`, rnd.Uint64(), rnd.Uint32())
		for range 40 {
			fmt.Fprintf(&page, " %s", strings.Repeat(string(rune('a'+rnd.IntN(26))), 1+rnd.IntN(9)))
		}
	}
	return page.Bytes()
}
