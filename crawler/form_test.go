package crawler

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
)

// skips have, and lack, what their short form leaves out.
var skips = []Skip{
	{},
	{URL: "http://a.example/", Reason: "too deep", From: "http://b.example/c"},
	{URL: "http://a.example:80/x?y", Reason: reasonBegins[0] + "b.example; found a.example", From: "http://b.example:8080/c"},
	{URL: "http://a.example/x", Reason: reasonBegins[0] + "c.example; found b.example", From: "http://b.example/c"},
	{URL: "http://a.example/x", Reason: reasonBegins[5], From: "http://b.example/"},
	{URL: "http://a.example/x", Reason: "; found a.example", From: ""},
	{URL: "no address", Reason: "b.example", From: "http://b.example"},
	{URL: "http://a.example/" + strings.Repeat("long/", 200), Reason: "rejected: x; found y; found a.example", From: "http://[::1]/"},
	{URL: "http://a.example/", Reason: "max_pages: 3", From: "http://b.example/", Request: []byte("\x00a")},
	{URL: "http://a.example/", Request: []byte{}},
}

func TestSkipRoundTrip(t *testing.T) {
	for _, want := range skips {
		b, err := codec.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		key := tables.Key(want.URL)
		var got Skip
		if err := tables.Decode(tables.Skips, key, b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v comes back as %+v, %v", want, got, err)
		}
		if want.Request != nil {
			continue // nothing is behind it that could be missed
		}
		for n := range b {
			if tables.Decode(tables.Skips, key, b[:n], &got) == nil {
				t.Errorf("%+v cut to %d of %d bytes is taken", want, n, len(b))
			}
		}
		if tables.Decode(tables.Skips, key, append(b, 7), &got) == nil {
			t.Errorf("%+v with a byte more is taken", want)
		}
	}
}

// What was stored before skips had a form of their own is read.
func TestSkipOfBefore(t *testing.T) {
	for _, want := range skips {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Skip
		if err := tables.Decode(tables.Skips, tables.Key(want.URL), append([]byte{0}, b...), &got); err != nil {
			t.Fatal(err)
		}
		if len(want.Request) == 0 {
			got.Request, want.Request = nil, nil // JSON does not tell them apart
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v comes back as %+v", want, got)
		}
	}
}

// The reason of nearly every skip is that a page leads to another host; it takes next to
// nothing beside the addresses.
func TestSkipIsShort(t *testing.T) {
	u, err := weburl.Parse("http://other.example/some/page")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := weburl.Parse("http://here.example/")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := new(scope.Settings).New([]weburl.URL{seed})
	if err != nil {
		t.Fatal(err)
	}
	d := sc.Decide(u, 1)
	if d.Accepted {
		t.Fatalf("%s is %s", u.String(), d)
	}
	from := "http://here.example/page"
	b, err := codec.Encode(Skip{URL: u.String(), Reason: d.String(), From: from})
	if err != nil || len(b) > len(from)+4 {
		t.Errorf("%q takes %d bytes, %v", d.String(), len(b), err)
	}
}

// What was stored before the words of tags stood in columns is read.
func TestTagsOfBefore(t *testing.T) {
	stored, err := base64.StdEncoding.DecodeString("AmVuAQ0EUFJPTgNQUlADQVVYA1ZCUARWRVJCA1ZCRwNBRFACSU4DQURKA05OUAVQUk9QTgNOTlAFUFVOQ1QBLgNBVVgD" +
		"VkJaA0FESgNKSlIFUFVOQ1QBLARQQVJUAlJCA0RFVAJEVARQUk9OAk5OM1dlJ3JlZ29pbmd0b05ld1lvcmsuTmV3WW9ya2lzYmlnZ2VyLGlzbid0aXQ/Tm/wn5iALgMA" +
		"MAcAAgAAAQMAAAIFAgADAgIABAMCAAUEAgAGAQAAAjoJBAMAAAUEAgAHAgIACAYCAAkBAAAHAgIACgMAAAACAgAGAQAABBADCwIAAAwEAgAGAQAAAQhuZXcgeW9yawIB" +
		"CE5ldyBZb3JrAg==")
	if err != nil {
		t.Fatal(err)
	}
	var got Tags
	if err := codec.Decode(append([]byte{0}, stored...), &got); err != nil {
		t.Fatal(err)
	}
	if want := TagText("We're going to New York. New York is bigger, isn't it?\n\nNo 😀.", "en"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
