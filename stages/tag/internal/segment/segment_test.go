package segment

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func cut(run string) string {
	var words []string
	from := 0
	for _, end := range Cut(run, nil) {
		words = append(words, run[from:end])
		from = end
	}
	return strings.Join(words, "|")
}

func TestCut(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"simplified Chinese", "这|座|大坝|建成|于|十九|世纪"},
		{"traditional Chinese", "我們|的|圖書館|在|晚上|關門"},
		{"Japanese", "水門|は|夜|に|開く"},
		{"Katakana of the dictionary", "コンピューター|を|使う"},
		{"Katakana that it does not know", "ホゲラムピヨ|を|使う"},
		{"Thai", "ฝาย|กั้น|แม่น้ำ|และ|ประตู|เปิด"},
		{"Thai that it does not know", "ฆฌฎฏ|ปิด"},
		{"one character", "水"},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := strings.ReplaceAll(test.want, "|", "")
			if n := Run(run + " x"); n != len(run) {
				t.Fatalf("the run has %d bytes, want %d", n, len(run))
			}
			if got := cut(run); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRun(t *testing.T) {
	for s, want := range map[string]string{
		"":                               "",
		"weir":                           "",
		"。水":                             "",
		"水。":                             "水",
		"水weir":                          "水",
		"水ฝาย":                           "水",
		"ฝาย฿":                           "ฝาย",
		"ฝาย๑":                           "ฝาย",
		"강물":                             "",
		"水\xe6\xb0":                      "水",
		strings.Repeat("水", maxRun):      strings.Repeat("水", maxRun/3),
		"x" + strings.Repeat("水", 10000): "",
	} {
		if n := Run(s); s[:n] != want {
			t.Errorf("Run(%.20q) = %d, want %d", s, n, len(want))
		}
		if want != "" && s[0] < FirstByte {
			t.Errorf("%.20q begins below FirstByte", s)
		}
	}
}

// The words of a run, one behind the other, are the run.
func FuzzCut(f *testing.F) {
	for _, s := range []string{"这座水坝", "図書館はヴヴヴ", "เแโใไะๅ็่", "ฝายฆฌ", strings.Repeat("ーァ", 300), strings.Repeat("เ", 400), "\xe0\xb8\xe3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		run := s[:Run(s)]
		from := 0
		for _, end := range Cut(run, nil) {
			if end <= from || end > len(run) || !utf8.ValidString(run[from:end]) {
				t.Fatalf("%q: a word from %d to %d", run, from, end)
			}
			from = end
		}
		if from != len(run) {
			t.Fatalf("%q: the words end at %d of %d", run, from, len(run))
		}
	})
}

func TestDictionary(t *testing.T) {
	words := []Word{{"水", 3}, {"水坝", 5}, {"水坝上", 7}, {"一", 1}, {"龥", 9}}
	var a, b bytes.Buffer
	if err := Write(&a, words); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(words)
	if err := Write(&b, words); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the order of the words makes a difference")
	}
	d, err := read(a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string][]Word{
		"水坝下":   {{"水", 3}, {"水坝", 5}},
		"水坝上":   {{"水", 3}, {"水坝", 5}, {"水坝上", 7}},
		"龥":     {{"龥", 9}},
		"水\xe5": {{"水", 3}},
		"坝":     nil, "a": nil, "": nil, "\U00020000": nil,
	} {
		var got []Word
		d.prefixes(s, func(n int, cost uint8) { got = append(got, Word{s[:n], cost}) })
		if !slices.Equal(got, want) {
			t.Errorf("prefixes of %q: %v, want %v", s, got, want)
		}
	}
	for _, bad := range [][]Word{{{"", 1}}, {{"a", 1}, {"a", 2}}, {{"\xff", 1}}, {{strings.Repeat("a", maxWord+1), 1}}} {
		if err := Write(&b, bad); err == nil {
			t.Errorf("wrote %.20q", bad)
		}
	}
	for n := range a.Len() {
		if _, err := read(a.Bytes()[:n]); err == nil {
			t.Fatalf("read a file cut at %d", n)
		}
	}
}

func BenchmarkCut(b *testing.B) {
	for name, run := range map[string]string{
		"Chinese": "这座水坝建于十九世纪", "Japanese": "図書館は夜に閉まります", "Thai": "ห้องสมุดปิดตอนกลางคืน",
		"repeated": strings.Repeat("一", 300), "repeated Katakana": strings.Repeat("ー", 300),
	} {
		b.Run(name, func(b *testing.B) {
			ends := Cut(run, nil)
			b.SetBytes(int64(len(run)))
			b.ReportAllocs()
			for b.Loop() {
				ends = Cut(run, ends[:0])
			}
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	for name, file := range map[string][]byte{"cjk": cjkFile, "thai": thaiFile} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
