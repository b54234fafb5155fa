package warc_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/stages/warc"
)

// page is 13 KB of HTML with 30 links, of words that repeat as those of a language do.
func page(n uint64) (b []byte) {
	chance := rand.New(rand.NewPCG(n, 2))
	for i := 0; len(b) < 13_000; i++ {
		for range 40 {
			b = fmt.Appendf(b, "w%d ", int(chance.ExpFloat64()*300))
		}
		b = fmt.Appendf(b, "<p><a href=\"http://127.5.0.%d:8080/page/%d\">page</a>\n", i%50, chance.IntN(20_000))
	}
	return b
}

// What an answer takes on its way to the archive, beside storing it. (Of one page alone it
// would be half of that, as the processor learns which way its branches go.)
func BenchmarkAppendRecords(b *testing.B) {
	x := &warc.Exchange{
		URL: "http://127.5.0.1:8080/page/1", Time: time.Now(), Proto: "HTTP/1.1", Status: 200, IP: "127.5.0.1",
		RawHeader:     []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"),
		RequestHeader: http.Header{"User-Agent": {"weir"}, "Accept": {"text/html"}, "Accept-Encoding": {"gzip, br, zstd"}},
	}
	var pages [512][]byte
	for i := range pages {
		pages[i] = page(uint64(i))
	}
	b.SetBytes(int64(len(pages[0])))
	b.ReportAllocs()
	size, i := 0, 0
	for b.Loop() {
		x.Body = pages[i%len(pages)]
		i++
		out, _, err := x.AppendRecords(nil)
		if err != nil {
			b.Fatal(err)
		}
		size = len(out)
	}
	b.ReportMetric(float64(size), "bytes")
}
