package extract

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	const rss = `<?xml version="1.0" encoding="iso-8859-1"?><rss version="2.0"><channel><title>Rivers</title><description>All of them</description><language>en</language>
<item><title>The &lt;b&gt;weir&lt;/b&gt;</title><description>&lt;p&gt;A weir is a barrier.&lt;/p&gt;&lt;p&gt;It is old.&lt;/p&gt;</description><link>http://e.example/1</link></item>
<item><title>M` + "\xfc" + `hle</title><description><![CDATA[<p>It grinds.]]></description></item></channel></rss>`
	const atom = `<feed xmlns="http://www.w3.org/2005/Atom"><title>Rivers</title><entry><title>The weir</title><content type="xhtml"><div><p>A <b>weir</b>.</p><p>Old.</p></div></content></entry></feed>`
	for _, tc := range []struct {
		name, body, contentType string
		kind, title, text       string
	}{
		{"plain", "a  b\r\n\r\n c\n", "text/plain; charset=utf-8", TypeText, "", "a  b\n\n c"},
		{"plain by its bytes", "just words", "", TypeText, "", "just words"},
		{"Latin-1", "M\xfchle", "text/plain; charset=iso-8859-1", TypeText, "", "Mühle"},
		{"RSS", rss, "application/rss+xml", TypeFeed, "Rivers", "The weir\nA weir is a barrier.\nIt is old.\nMühle\nIt grinds."},
		{"Atom", atom, "", TypeFeed, "Rivers", "The weir\nA weir.\nOld."},
		{"XML", "<?xml version='1.0'?><a><b>x  y</b><c>z</c></a>", "text/xml", TypeXML, "", "x y\nz"},
		{"broken XML", "<a><b>x</b><c <", "text/xml", TypeXML, "", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := new(Extractor).Document(t.Context(), []byte(tc.body), "http://e.example/", tc.contentType)
			if err != nil {
				t.Fatal(err)
			}
			if got.Type != tc.kind || got.Title != tc.title || got.Text != tc.text {
				t.Errorf("type %s, title %q, text %q (%s)", got.Type, got.Title, got.Text, got.Note)
			}
		})
	}
	got, err := new(Extractor).Document(t.Context(), []byte("<p>A page."), "", "text/html")
	if err != nil || got.Text != "A page." {
		t.Errorf("a page: %+v, %v", got, err)
	}
	if _, err := new(Extractor).Document(t.Context(), []byte("\x89PNG\r\n\x1a\n"), "", "image/png"); !errors.Is(err, ErrNotText) {
		t.Errorf("an image: %v", err)
	}
}

func TestDocumentEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := new(Extractor).Document(ctx, []byte("<a>"+strings.Repeat("<b>x</b>", 10_000)), "", "text/xml")
	if err != nil || got.Note == "" || len(got.Text) > 0 {
		t.Errorf("%d bytes, note %q, %v", len(got.Text), got.Note, err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte("<rss><item><title>a</title><description>&lt;p>b"), "text/xml")
	f.Add([]byte("<feed><entry><content><div>a<p>b</div></entry>"), "")
	f.Add([]byte("a\r\nb"), "text/plain")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		got, err := (&Extractor{Chunks: new(ChunkOptions)}).Document(t.Context(), body, "", contentType)
		if err != nil {
			return
		}
		for _, c := range got.Chunks {
			if got.Text[c.Start:c.End] != c.Text {
				t.Errorf("chunk %q is at %q", c.Text, got.Text[c.Start:c.End])
			}
		}
	})
}
