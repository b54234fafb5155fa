package stages

import (
	"testing"
	"unicode/utf8"
)

func TestToUTF8(t *testing.T) {
	for _, tc := range []struct{ name, body, header, want, charset string }{
		{"ascii", "plain", "", "plain", "utf-8"},
		{"utf-8 undeclared", "Grüße", "", "Grüße", "utf-8"},
		{"utf-8 bom", "\xef\xbb\xbfGrüße", "text/html; charset=iso-8859-1", "Grüße", "utf-8"},
		{"latin-1 undeclared", "Gr\xfc\xdfe", "", "Grüße", "windows-1252"},
		{"latin-1 header", "Gr\xfc\xdfe", "text/html; charset=ISO-8859-1", "Grüße", "windows-1252"},
		{"latin-1 header on utf-8", "Grüße", "text/html; charset=ISO-8859-1", "Grüße", "utf-8"},
		{"utf-8 header on latin-1", "Gr\xfc\xdfe", "text/html; charset=utf-8", "Grüße", "windows-1252"},
		{"utf-8 with one bad byte", "Grüße \xff!", "text/html; charset=utf-8", "Grüße \ufffd!", "utf-8"},
		{"cyrillic header", "\xcf\xf0\xe8\xe2\xe5\xf2", "text/html;charset=windows-1251", "Привет", "windows-1251"},
		{"meta", `<meta charset="windows-1251">` + "\xcf", "", `<meta charset="windows-1251">П`, "windows-1251"},
		{"meta http-equiv", `<META http-equiv=content-type content='text/html; charset=koi8-r'>` + "\xf0", "", `<META http-equiv=content-type content='text/html; charset=koi8-r'>П`, "koi8-r"},
		{"header over meta", `<meta charset="koi8-r">` + "\xcf", "text/html; charset=windows-1251", `<meta charset="koi8-r">П`, "windows-1251"},
		{"unknown header, meta decides", `<meta charset="koi8-r">` + "\xf0", "text/html; charset=klingon", `<meta charset="koi8-r">П`, "koi8-r"},
		{"xml declaration", `<?xml version="1.0" encoding="koi8-r"?>` + "\xf0", "", `<?xml version="1.0" encoding="koi8-r"?>П`, "koi8-r"},
		{"shift_jis", "\x83\x65\x83\x58\x83\x67", "text/html; charset=Shift_JIS", "テスト", "shift_jis"},
		{"gbk as gb2312", "\xd6\xd0\xce\xc4", "text/html; charset=gb2312", "中文", "gbk"},
		{"utf-16le bom", "\xff\xfeh\x00i\x00", "", "hi", "utf-16le"},
		{"utf-16be bom", "\xfe\xff\x00h\x00i", "text/html; charset=utf-8", "hi", "utf-16be"},
		{"meta says utf-16", `<meta charset="utf-16">ü`, "", `<meta charset="utf-16">ü`, "utf-8"},
		{"broken content type", "\xf0", "text/html; charset=koi8-r; charset=koi8-r;;", "П", "koi8-r"},
		{"empty", "", "", "", "utf-8"},
		{"meta without end", "<meta charset=", "", "<meta charset=", "utf-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, name := ToUTF8([]byte(tc.body), tc.header)
			if string(got) != tc.want || name != tc.charset {
				t.Errorf("got %q as %s, want %q as %s", got, name, tc.want, tc.charset)
			}
		})
	}
}

func FuzzToUTF8(f *testing.F) {
	for _, s := range []string{"", "Grüße", "Gr\xfc\xdfe", "\xff\xfeh\x00", "<meta charset=iso-2022-kr>\x1b$)C", "<meta charset='gb18030'>\x81\x30\x81\x30", "<?xml encoding='utf-7'?>+AGEAYg-"} {
		f.Add([]byte(s), "text/html; charset=utf-8")
		f.Add([]byte(s), "")
		f.Add([]byte(s), "text/html; charset=iso-2022-jp")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		got, name := ToUTF8(body, contentType)
		if !utf8.Valid(got) {
			t.Errorf("not UTF-8 as %s: %q", name, got)
		}
		if name == "" {
			t.Error("no name")
		}
	})
}
