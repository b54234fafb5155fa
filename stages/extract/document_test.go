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

func TestDocumentReadsPDF(t *testing.T) {
	file := []byte("%PDF-1.7 …")
	x := Extractor{}
	if _, err := x.Document(t.Context(), file, "", ""); !errors.Is(err, ErrNotText) {
		t.Errorf("without a reader: %v, want ErrNotText", err)
	}
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		pdf  PDF
		err  error
		want Text
	}{
		{"pages", PDF{Title: " On\nSalt ", Pages: []string{"one\ntwo", "", "three"}}, nil, Text{Title: "On Salt", Text: "one\ntwo\n\nthree", Words: 3, Type: TypePDF, Method: "pdf"}},
		{"scanned", PDF{Pages: []string{"", ""}}, nil, Text{Type: TypePDF, Method: "pdf", Note: "no text: scanned, it seems"}},
		{"cut", PDF{Pages: []string{"one"}, Cut: true}, nil, Text{Text: "one", Words: 1, Type: TypePDF, Method: "pdf", Note: "not all pages are read"}},
		{"broken", PDF{}, broken, Text{}},
	} {
		x := Extractor{PDF: func(context.Context, []byte) (*PDF, error) { return &c.pdf, c.err }}
		for _, contentType := range []string{"", "application/pdf", "application/octet-stream"} {
			got, err := x.Document(t.Context(), file, "", contentType)
			if !errors.Is(err, c.err) {
				t.Fatalf("%s: %v", c.name, err)
			}
			if err != nil {
				continue
			}
			if got.Title != c.want.Title || got.Text != c.want.Text || got.Words != c.want.Words || got.Type != c.want.Type || got.Method != c.want.Method || got.Note != c.want.Note {
				t.Errorf("%s as %q: %+v", c.name, contentType, got)
			}
		}
	}
	for mediaType, want := range map[string]bool{
		"text/html": true, "application/xhtml+xml": true, "text/plain": true, "application/atom+xml": true, "text/xml": true,
		"application/pdf": false, "image/svg+xml": false, "text/css": false, "application/json": false, "image/png": false, "": false,
	} {
		if x.Reads(mediaType) != want {
			t.Errorf("Reads(%q) is %v", mediaType, !want)
		}
	}
	x.PDF = func(context.Context, []byte) (*PDF, error) { return nil, nil }
	if !x.Reads("application/pdf") {
		t.Error("PDF is not read with a reader")
	}
}
