package sitemap

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func parse(t testing.TB, r io.Reader, o *Options) ([]Entry, Result, error) {
	t.Helper()
	var entries []Entry
	result, err := Parse(r, o, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	if result.URLs != len(entries) {
		t.Errorf("result says %d URLs, %d were handed over", result.URLs, len(entries))
	}
	return entries, result, err
}

// TestFiles reads the sitemaps of crawler-commons.
func TestFiles(t *testing.T) {
	tests := []struct {
		file string
		kind Kind
		urls int
		some map[int]string // locations by index
	}{
		{"atom.xml", Atom, 1, map[int]string{0: "http://example.org/2003/12/13/atom03"}},
		{"do-not-visit.txt", Text, 1, map[int]string{0: "http://www.example.com/do-not-visit-here"}},
		{"feed.rss", RSS, 4, map[int]string{1: "https://www.example.com/guid.html", 3: "https://www.example.com/foo?q=a&l=fr"}},
		{"hebdenbridgetimes-articles-sitemap.xml", URLSet, 74, map[int]string{0: "http://www.hebdenbridgetimes.co.uk/news/local/video-tour-de-yorkshire-in-calderdale-1-7242580"}},
		{"pagemaps-sitemap.xml", URLSet, 2, map[int]string{0: "http://www.example.com/foo"}},
		{"shinpaideshou-news-sitemap.xml", URLSet, 3, map[int]string{0: "https://shinpaideshou.wordpress.com/2017/04/25/job-opening-reischauer-policy-research-fellow/"}},
		{"sitemap-images.xml", URLSet, 1, map[int]string{0: "http://www.example.com/images/some_image_landing_page.html"}},
		{"sitemap-links.xml", URLSet, 3, map[int]string{1: "http://www.example.com/deutsch/"}},
		{"sitemap-mobile.xml", URLSet, 3, nil},
		{"sitemap-news.xml", URLSet, 2, map[int]string{0: "http://www.example.org/business/article55.html"}},
		{"sitemap-videos-tvshow.xml", URLSet, 1, map[int]string{0: "https://example.org/my-tv-show/23/13/"}},
		{"sitemap-videos.xml", URLSet, 3, map[int]string{0: "http://www.example.com/videos/some_video_landing_page.html"}},
		{"sitemap-with-bom.txt", Text, 2, map[int]string{0: "http://www.domain.com/page1.html"}},
		{"sitemap.badns.xml", URLSet, 2, map[int]string{1: "http://www.example.com/2"}},
		{"sitemap.index.xml", Index, 15, map[int]string{0: "https://example.com/sitemap.jss?portalCode=10260&lang=en"}},
		{"sitemap.ns.xml", URLSet, 2, map[int]string{0: "http://www.example.com/1"}},
		{"sitemap.txt", Text, 2, nil},
		{"sitemap.txt.gz", Text, 5, map[int]string{1: "http://www.example.com/catalog?item=12&desc=vacation_hawaii"}},
		{"xmlRss_pubDate.xml", RSS, 7, map[int]string{6: "http://www.example.com/article_7"}},
		{"xmlSitemap.gz", URLSet, 5, map[int]string{1: "http://www.example.com/catalog?item=12&desc=vacation_hawaii"}},
	}
	var seen []string
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			seen = append(seen, tt.file)
			f, err := os.Open(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			entries, result, err := parse(t, f, nil)
			if err != nil {
				t.Fatal(err)
			}
			if result.Kind != tt.kind || len(entries) != tt.urls {
				t.Errorf("%s with %d URLs, want %s with %d: %+v", result.Kind, len(entries), tt.kind, tt.urls, entries)
			}
			for i, loc := range tt.some {
				if i >= len(entries) || entries[i].Loc != loc {
					t.Errorf("no %q at %d", loc, i)
				}
			}
		})
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() && !slices.Contains(seen, f.Name()) {
			t.Errorf("no test reads %s", f.Name())
		}
	}
}

func day(y int, m time.Month, d, h, min, s int) time.Time {
	return time.Date(y, m, d, h, min, s, 0, time.UTC)
}

func TestEntries(t *testing.T) {
	const plain = 0.5
	tests := []struct {
		name, in string
		want     []Entry
	}{
		{"everything", `<?xml version="1.0"?><urlset><url><loc> http://a/?x&amp;y </loc><lastmod>2026-05-01T10:00:00+02:00</lastmod><changefreq>Weekly</changefreq><priority>0.8</priority></url></urlset>`,
			[]Entry{{"http://a/?x&y", false, day(2026, 5, 1, 8, 0, 0), "weekly", 0.8}}},
		{"nonsense in fields", `<urlset><url><loc>http://a/</loc><lastmod>yesterday</lastmod><changefreq>often</changefreq><priority>7</priority></url></urlset>`,
			[]Entry{{Loc: "http://a/", Priority: plain}}},
		{"index", `<sitemapindex xmlns="x"><sitemap><loc>http://a/1.xml.gz</loc><lastmod>2026-05-01</lastmod></sitemap></sitemapindex>`,
			[]Entry{{"http://a/1.xml.gz", true, day(2026, 5, 1, 0, 0, 0), "", plain}}},
		{"sitemap within a set", `<urlset><sitemap><loc>http://a/1.xml</loc></sitemap><url><loc>http://a/</loc></url></urlset>`,
			[]Entry{{Loc: "http://a/1.xml", Sitemap: true, Priority: plain}, {Loc: "http://a/", Priority: plain}}},
		{"case, prefix, bare ampersand", `<S:URLSET><S:Url><s:LOC>http://a/?x&y</s:LOC></S:Url></S:URLSET>`,
			[]Entry{{Loc: "http://a/?x&y", Priority: plain}}},
		{"loc of an image is none", `<urlset><url><image:image><image:loc>http://a/i.jpg</image:loc></image:image><loc>http://a/</loc></url></urlset>`,
			[]Entry{{Loc: "http://a/", Priority: plain}}},
		{"CDATA, comment, entity", `<urlset><url><loc><![CDATA[http://a/?x&]]><!-- no -->&eacute;</loc></url></urlset>`,
			[]Entry{{Loc: "http://a/?x&é", Priority: plain}}},
		{"missing end tag", `<urlset><url><loc>http://a/</loc><url><loc>http://b/</loc></url></urlset>`,
			[]Entry{{Loc: "http://a/", Priority: plain}, {Loc: "http://b/", Priority: plain}}},
		{"end tags that do not match", `<urlset><url><loc>http://a/</location></url></x><url><loc>http://b/</loc></url></urlset>`,
			[]Entry{{Loc: "http://a/", Priority: plain}, {Loc: "http://b/", Priority: plain}}},
		{"empty loc", `<urlset><url><loc/></url><url/><url><loc>http://b/</loc></url></urlset>`,
			[]Entry{{Loc: "http://b/", Priority: plain}}},
		{"control characters and bad UTF-8", "<urlset><url><loc>http://a/\xff</loc><x>\x01\x0b</x></url></urlset>",
			[]Entry{{Loc: "http://a/\ufffd", Priority: plain}}},
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><urlset><url><loc>http://a/\xe9</loc></url></urlset>",
			[]Entry{{Loc: "http://a/é", Priority: plain}}},
		{"blank before the declaration", "\n <?xml version='1.0' encoding='UTF-8'?><urlset><url><loc>http://a/</loc></url></urlset>",
			[]Entry{{Loc: "http://a/", Priority: plain}}},
		{"UTF-16", utf16(`<?xml version="1.0" encoding="UTF-16"?><urlset><url><loc>http://a/é</loc></url></urlset>`),
			[]Entry{{Loc: "http://a/é", Priority: plain}}},
		{"RSS", `<rss><channel><link>http://a/</link><image><url>http://a/i.png</url></image><item><guid isPermaLink="false">http://a/0</guid><link>http://a/1</link><pubDate>Thu, 05 Jan 2017 13:34:51 +0100</pubDate></item><item><guid>http://a/2</guid></item></channel></rss>`,
			[]Entry{{"http://a/1", false, day(2017, 1, 5, 12, 34, 51), "", plain}, {Loc: "http://a/2", Priority: plain}}},
		{"RSS 1.0", `<rdf:RDF><channel/><item><link>http://a/1</link><dc:date>2026-05-01</dc:date></item></rdf:RDF>`,
			[]Entry{{"http://a/1", false, day(2026, 5, 1, 0, 0, 0), "", plain}}},
		{"Atom", `<feed><link href="http://a/"/><entry><link rel="self" href="http://a/s"/><link rel="alternate" href="http://a/1"/><published>2020-01-01</published><updated>2026-05-01T00:00:00Z</updated></entry></feed>`,
			[]Entry{{"http://a/1", false, day(2026, 5, 1, 0, 0, 0), "", plain}}},
		{"text", "\ufeff# pages\r\nhttp://a/1\r\n\r\n  HTTPS://a/2  \nftp://a/3",
			[]Entry{{Loc: "http://a/1", Priority: plain}, {Loc: "HTTPS://a/2", Priority: plain}}},
		{"no URL at all", `<urlset></urlset>`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":        strings.NewReader(tt.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
				"gzip":         bytes.NewReader(zip([]byte(tt.in))),
				"gzip twice":   bytes.NewReader(zip(zip([]byte(tt.in)))),
			} {
				got, result, err := parse(t, r, nil)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: %+v, want %+v", name, got, tt.want)
				}
				if result.Bytes != int64(len(tt.in)) {
					t.Errorf("%s: %d bytes, want %d", name, result.Bytes, len(tt.in))
				}
			}
		})
	}
}

func utf16(s string) string {
	b := []byte{0xff, 0xfe}
	for _, r := range s {
		b = append(b, byte(r), byte(r>>8))
	}
	return string(b)
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func TestErrors(t *testing.T) {
	const one = `<urlset><url><loc>http://a/1</loc></url>`
	const two = one + `<url><loc>http://a/2</loc></url></urlset>`
	zipped := zip([]byte(strings.Repeat(" ", 5000) + two))
	tests := []struct {
		name string
		in   string
		o    *Options
		urls int
		want error
	}{
		{"nothing", "", nil, 0, ErrNotSitemap},
		{"blanks", " \n\t", nil, 0, ErrNotSitemap},
		{"HTML", "<!DOCTYPE html><html><body><a href='http://a/'>", nil, 0, ErrNotSitemap},
		{"XML without elements", "<?xml version='1.0'?><!-- -->", nil, 0, ErrNotSitemap},
		{"words", "Not found\n", nil, 0, ErrNotSitemap},
		{"image", "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 2<<20), nil, 0, ErrNotSitemap},
		{"cut between entries", one, nil, 1, ErrMalformed},
		{"cut behind loc", one + `<url><loc>http://a/2</loc><lastm`, nil, 2, ErrMalformed},
		{"cut in loc", one + `<url><loc>http://a/2`, nil, 1, ErrMalformed},
		{"bad syntax", one + `<url><loc>http://a/2</loc><`, nil, 2, ErrMalformed},
		{"gzip cut", string(zipped[:len(zipped)-9]), nil, 2, ErrMalformed},
		{"gzip only by magic", "\x1f\x8bnot really", nil, 0, ErrMalformed},
		{"too many", two, &Options{MaxURLs: 1}, 1, ErrTooManyURLs},
		{"just enough", two, &Options{MaxURLs: 2}, 2, nil},
		{"too many in text", "http://a/1\nhttp://a/2", &Options{MaxURLs: 1}, 1, ErrTooManyURLs},
		{"too large", two, &Options{MaxBytes: int64(len(two)) - 1}, 2, ErrTooLarge},
		{"just small enough", two, &Options{MaxBytes: int64(len(two))}, 2, nil},
		{"too large when unpacked", string(zipped), &Options{MaxBytes: 100}, 0, ErrTooLarge},
		{"endless tag", one + "<url x='" + strings.Repeat("x", 2<<20) + "'>", nil, 1, ErrMalformed},
		{"endless line", "http://a/1\nhttp://a/" + strings.Repeat("x", 2<<20), nil, 2, ErrMalformed},
		{"nested without end", one + strings.Repeat("<url>", 1<<20), nil, 1, ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries, _, err := parse(t, strings.NewReader(tt.in), tt.o)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if len(entries) != tt.urls {
				t.Errorf("%d URLs, want %d", len(entries), tt.urls)
			}
		})
	}
}

func TestHandlerStops(t *testing.T) {
	stop := errors.New("enough")
	n := 0
	result, err := Parse(strings.NewReader("http://a/1\nhttp://a/2\nhttp://a/3"), nil, func(Entry) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if err != stop || n != 2 || result.URLs != 2 {
		t.Errorf("error %v after %d calls, %d URLs", err, n, result.URLs)
	}
}

func TestReaderFails(t *testing.T) {
	_, _, err := parse(t, iotest.ErrReader(iotest.ErrTimeout), nil)
	if !errors.Is(err, iotest.ErrTimeout) || !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 4000)])
	}
	f.Add([]byte(utf16(`<?xml version="1.0" encoding="UTF-16"?><feed><entry><link href="a"/>`)))
	f.Add([]byte("<?xml version='1.0' encoding='x-user-defined'?><rss><item><guid>http://a</item>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := &Options{MaxURLs: 100, MaxBytes: 1 << 16}
		entries, result, err := parse(t, bytes.NewReader(data), o)
		if len(entries) > o.MaxURLs || result.Bytes > o.MaxBytes {
			t.Fatalf("%d entries, %d bytes", len(entries), result.Bytes)
		}
		for _, e := range entries {
			if e.Loc == "" || e.Priority < 0 || e.Priority > 1 {
				t.Fatalf("%+v", e)
			}
		}
		if err == nil && result.Kind == "" {
			t.Fatal("no kind and no error")
		}
		slow, _, slowErr := parse(t, iotest.OneByteReader(bytes.NewReader(data)), o)
		if !slices.Equal(slow, entries) || (err == nil) != (slowErr == nil) {
			t.Fatalf("byte by byte %v, %v; at once %v, %v", slow, slowErr, entries, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var buf bytes.Buffer
	buf.WriteString(`<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`)
	for range 10_000 {
		buf.WriteString("<url><loc>https://www.example.com/section/article-with-a-title</loc><lastmod>2026-05-01</lastmod><priority>0.8</priority></url>\n")
	}
	buf.WriteString("</urlset>")
	text := []byte(strings.Repeat("https://www.example.com/section/article-with-a-title\n", 10_000))
	for name, data := range map[string][]byte{"xml": buf.Bytes(), "text": text} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(bytes.NewReader(data), nil, func(Entry) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
