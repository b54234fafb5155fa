package crawler

import (
	"bytes"
	"encoding"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// unmarshaler is what a *T is.
type unmarshaler[T any] interface {
	*T
	encoding.BinaryUnmarshaler
}

func roundTrip[T encoding.BinaryMarshaler, P unmarshaler[T]](t *testing.T, mayBeCut bool, values ...T) {
	t.Helper()
	for _, want := range values {
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got T
		if err := P(&got).UnmarshalBinary(bytes.Clone(b)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v comes back as %+v, %v", want, got, err)
		}
		if mayBeCut {
			continue
		}
		for n := range b {
			if P(&got).UnmarshalBinary(bytes.Clone(b[:n])) == nil {
				t.Errorf("%+v cut to %d of %d bytes is taken", want, n, len(b))
			}
		}
		if P(&got).UnmarshalBinary(append(bytes.Clone(b), 7)) == nil {
			t.Errorf("%+v with a byte more is taken", want)
		}
	}
}

func TestRequestRoundTrip(t *testing.T) {
	roundTrip(t, false, Request{}, Request{URL: "http://a/"},
		Request{URL: "http://a/b", Depth: 300, Referrer: "http://a/", Redirects: 9},
		Request{URL: strings.Repeat("x", 5000), Sitemap: true},
		Request{
			URL: "http://a/api", Label: "list", Data: map[string]string{"page": "2"}, Method: "POST",
			Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}"), Priority: -3,
		})
}

func TestDocRoundTrip(t *testing.T) {
	roundTrip(t, true, Doc{HTML: []byte{}}, Doc{URL: "http://a/", ContentType: "text/html", HTML: []byte("<p>\xff")},
		Doc{Key: "http://a/#POST-1", Label: "x", Depth: 3, NoFollow: true, Language: "de", Title: "T", Text: "Ein Satz.", Results: []byte(`{"a":1}`), HTML: []byte{}})
}

func TestPageRoundTrip(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)
	digest := strings.Repeat("0af", 21) + "1"
	roundTrip(t, false, Page{
		URL: "http://a/b", Method: "POST", Label: "l", Status: 200, Generation: 3, Depth: 4, Referrer: "http://a/", FetchedAt: at, Took: 5, FirstByte: 6,
		Remote: "[::1]:80", ContentType: "text/html; charset=utf-8", Bytes: 1 << 30, Digest: digestForm + digest, DuplicateOf: "http://a/c", Redirect: "/",
		Title: "t", Canonical: "http://a/b", NoIndex: true, TooLarge: true, ETag: `"e"`, Modified: "yesterday", Attempts: 7, Items: 8, Soft404: true,
		VanishedAt: &at, Round: 9, Request: []byte{0, 1}, Links: []Link{{"http://b/", "x"}}, Dropped: 10,
	},
		// What has no short form.
		Page{Remote: "127.0.0.1:080", ContentType: "text/html; charset=klingon", Digest: digestForm + strings.ToUpper(digest)},
		Page{Remote: "proxy", Digest: "md5:00", FetchedAt: at.In(time.FixedZone("", 3600))})
	roundTrip(t, false, Page{}, Page{URL: "http://a/", Title: "é", Attempts: 2}, Page{URL: "http://a/b", Links: []Link{
		{"http://a/c", "c"}, {"http://a/c", ""}, {"http://a/", "up"}, {"https://b/", "\xff"}, {"http://a/b/long/way", "a"},
	}})
}

func TestTagsRoundTrip(t *testing.T) {
	english := TagText("We're going to New York. New York is 3.5 times bigger, isn't it?\n\nNo 😀.", "en")
	if len(english.Sentences) < 3 || len(english.Entities) == 0 {
		t.Fatalf("tagged: %+v", english)
	}
	roundTrip(t, false, Tags{Sentences: []Sentence{}}, english, TagText("Het is koud.", "nl"),
		// What another program's tags may be like.
		Tags{Sentences: []Sentence{{Start: 9, End: 2, Tokens: []Token{{Text: "not there", Start: -5, End: 1 << 20}, {}}}, {Tokens: []Token{}}}})
}

func TestTagsWithNonsense(t *testing.T) {
	for _, tags := range []Tags{
		{Sentences: []Sentence{{Start: -1}}}, {Sentences: []Sentence{{End: 1 << 31}}},
		{Sentences: []Sentence{{Tokens: []Token{{Start: -1}}}}}, {Sentences: []Sentence{{Tokens: []Token{{End: -1}}}}},
		{Phrases: []Count{{"a", -1}}}, {Entities: []Count{{"a", 1 << 40}}},
	} {
		if tags.validate() == nil {
			t.Errorf("%+v is taken", tags)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range []encoding.BinaryMarshaler{
		Request{URL: "http://a/b", Depth: 3, Sitemap: true}, Doc{URL: "http://a/", HTML: []byte("<p>")}, Page{URL: "http://a/", Links: []Link{{"http://a/b", "b"}}}, skips[2], skips[7], TagText("A word, isn't it? New York.", "en"),
	} {
		b, err := v.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if r.UnmarshalBinary(b) == nil {
			if b, err := r.MarshalBinary(); err != nil || r.UnmarshalBinary(b) != nil { // without what is empty
				t.Fatal(err)
			}
			roundTrip(t, false, r)
		}
		var p Page
		if p.UnmarshalBinary(b) == nil {
			again, err := p.MarshalBinary()
			var got Page
			if err != nil || got.UnmarshalBinary(again) != nil || !reflect.DeepEqual(got, p) {
				t.Errorf("%+v becomes %+v, %v", p, got, err)
			}
		}
		var d Doc
		_ = d.UnmarshalBinary(b)
		var skip Skip
		if skip.UnmarshalBinary(b) == nil && skip.URL != "" {
			again, err := skip.MarshalBinary()
			var got Skip
			if err != nil || got.UnmarshalBinary(again) != nil {
				t.Errorf("%+v cannot be read again: %v", skip, err)
			}
			if got.FromKey(skip.URL); !reflect.DeepEqual(got, skip) {
				t.Errorf("%+v becomes %+v", skip, got)
			}
		}
		var tags Tags
		if tags.UnmarshalBinary(b) == nil {
			again, err := tags.MarshalBinary()
			var got Tags
			if err != nil || got.UnmarshalBinary(again) != nil || !reflect.DeepEqual(got, tags) {
				t.Errorf("%+v becomes %+v, %v", tags, got, err)
			}
		}
	})
}

func TestCaptureRoundTrip(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)
	roundTrip(t, false, Capture{}, Capture{
		URL: "http://a/b", Key: "http://a/b#POST-1", Time: at, Status: 200, MIME: "text/html", Digest: "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
		File: "weir-20260102150405-00001.warc.gz", Offset: 1 << 40, Length: 3, Archive: "x", Truncated: "length",
		Revisit: RevisitIdentical, RefersTo: "http://a/c", RefersAt: at.Add(-time.Hour),
	},
		// What has no short form.
		Capture{Digest: "sha1:3i42h3s6nnfq2msvx7xzkyayscx5qbyj"}, Capture{Digest: "md5:00", RefersTo: "https://b/"})
}
