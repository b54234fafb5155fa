package crawler

import (
	"reflect"
	"slices"
	"testing"

	"github.com/seed-301537d8/weir/internal/codec"
)

func TestSkipSetRoundTrip(t *testing.T) {
	var all []*Skip
	for i := range skips {
		if skips[i].Request == nil {
			s := skips[i]
			s.From = "http://b.example:8080/c"
			all = append(all, &s)
		}
	}
	for n := range len(all) + 1 {
		want := skipSet{from: "http://b.example:8080/c", skips: all[:n]}
		b, err := codec.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var got skipSet
		if err := codec.Decode(b, &got); err != nil || got.from != want.from || len(got.skips) != n {
			t.Fatalf("%d skips come back as %d of %q, %v", n, len(got.skips), got.from, err)
		}
		for _, s := range skips {
			query := skipQuery{address: s.URL}
			there := slices.ContainsFunc(want.skips, func(w *Skip) bool { return w.URL == s.URL })
			if err := codec.Decode(b, &query); err != nil || query.found != there {
				t.Errorf("%q is found among %d: %v, %v", s.URL, n, query.found, err)
			}
		}
		for i, s := range got.skips {
			if !reflect.DeepEqual(s, want.skips[i]) {
				t.Errorf("%+v comes back as %+v", want.skips[i], s)
			}
		}
		for cut := range b {
			if codec.Decode(b[:cut], &got) == nil {
				t.Errorf("%d skips cut to %d of %d bytes are taken", n, cut, len(b))
			}
		}
	}
}

func FuzzSkipSet(f *testing.F) {
	b, err := skipSet{from: "http://b.example/", skips: []*Skip{{URL: "http://b.example/a", Reason: "x", From: "http://b.example/"}}}.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var set, again skipSet
		if set.UnmarshalBinary(b) != nil {
			return
		}
		for _, s := range set.skips {
			query := skipQuery{address: s.URL}
			if err := query.UnmarshalBinary(b); err != nil || !query.found {
				t.Errorf("%q is not found in %+v: %v", s.URL, set, err)
			}
		}
		short, err := set.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(short); err != nil || !reflect.DeepEqual(again, set) {
			t.Errorf("%+v comes back as %+v, %v", set, again, err)
		}
	})
}
