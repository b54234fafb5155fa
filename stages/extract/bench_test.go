package extract

import (
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages"
)

// BenchmarkDoubled doubles its input: the time for each byte must not grow.
func BenchmarkDoubled(b *testing.B) {
	body := article[strings.Index(article, "<article>"):strings.Index(article, "<footer>")]
	for name, piece := range map[string]string{
		"articles":   body,
		"no spaces":  "a:b:",
		"nested":     "<ul><li>a",
		"tables":     "<table><tr><td>a</td><td><a href=/x>b</a></td></tr></table>",
		"formatting": "<b>a</b><i>b</i>",
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"128K", 128 << 10}, {"256K", 256 << 10}, {"512K", 512 << 10}} {
			page := []byte(strings.Repeat(piece, size.bytes/len(piece)))
			d := stages.ParseDocument(page, "https://rivers.example/a", nil)
			x := &Extractor{Mode: ModeAccurate, Markdown: true, Links: true, Chunks: new(ChunkOptions)}
			b.Run(name+"/"+size.name, func(b *testing.B) {
				b.SetBytes(int64(len(page)))
				for b.Loop() {
					x.Extract(b.Context(), d, "")
				}
			})
		}
	}
}
