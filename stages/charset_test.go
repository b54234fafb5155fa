package stages

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
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
		{"header in single quotes", "\xcf", "text/html; charset='windows-1251'", "П", "windows-1251"},
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

// Browsers detect the encoding of pages that declare none.
func TestUndeclaredEncodingsAreDetected(t *testing.T) {
	const (
		ru = "Это длинный русский текст о погоде, в котором много слов. Сегодня идет дождь, а завтра будет солнце."
		el = "Αυτό είναι ένα μεγάλο ελληνικό κείμενο για τον καιρό. Σήμερα βρέχει αλλά αύριο θα έχει ήλιο στην πόλη."
	)
	for _, tc := range []struct{ encoding, text string }{
		{"windows-1251", ru}, {"koi8-r", ru}, {"iso-8859-5", ru}, {"ibm866", ru},
		{"windows-1253", el + " Ά"}, {"iso-8859-7", el},
		{"shift_jis", "これは日本語の長い文章です。今日は雨が降っていますが、明日は晴れるでしょう。"},
		{"euc-jp", "これは日本語の長い文章です。今日は雨が降っていますが、明日は晴れるでしょう。"},
		{"iso-2022-jp", "これは日本語の長い文章です。今日は雨が降っていますが、明日は晴れるでしょう。"},
		{"gbk", "这是一段很长的中文文本，今天下雨，明天会出太阳。北京的天气很好，我们去公园散步。"},
		{"big5", "這是一段很長的中文文本，今天下雨，明天會出太陽。台北的天氣很好，我們去公園散步。"},
		{"euc-kr", "이것은 긴 한국어 문장입니다. 오늘은 비가 오지만 내일은 맑을 것입니다."},
		{"windows-1255", "זהו טקסט ארוך בעברית על מזג האוויר. היום יורד גשם, אבל מחר תהיה שמש בתל אביב."},
		{"windows-1256", "هذا نص طويل باللغة العربية عن الطقس. اليوم تمطر السماء ولكن غدا ستكون الشمس مشرقة."},
		{"windows-874", "นี่คือข้อความภาษาไทยที่ยาวเกี่ยวกับสภาพอากาศ วันนี้ฝนตก แต่พรุ่งนี้จะมีแดด"},
		{"windows-1254", "Bu, hava durumu hakkında uzun bir Türkçe metindir. Bugün yağmur yağıyor ama yarın İstanbul'da güneş açacak."},
		{"iso-8859-2", "To jest długi polski tekst o pogodzie. Dzisiaj pada deszcz, ale jutro będzie świecić słońce w całej Polsce."},
		{"windows-1252", "Ceci est un long texte français sur la météo. Il pleut, mais demain le soleil brillera à Paris, où l'été est là."},
		{"utf-16le", "<html><body>A page in UTF-16 without a byte order mark, which begins in ASCII.</body></html>"},
		{"utf-16be", "<html><body>A page in UTF-16 without a byte order mark, which begins in ASCII.</body></html>"},
	} {
		t.Run(tc.encoding, func(t *testing.T) {
			enc, _ := charset.Lookup(tc.encoding)
			page := tc.text
			if !strings.HasPrefix(page, "<") {
				page = "<html><head><script>var a = '<p>';</script><body><p class='x'>" + page + "</p></body></html>"
			}
			b, err := enc.NewEncoder().Bytes([]byte(page))
			if err != nil {
				t.Fatal(err)
			}
			if got, name := ToUTF8(b, "text/html"); string(got) != page {
				t.Errorf("as %s: %s", name, got)
			}
		})
	}
}

func TestDeclarationsAreDoubted(t *testing.T) {
	const ru, zh = "Это длинный русский текст о погоде, в котором много слов. Сегодня идет дождь.", "这是一段很长的中文文本，今天下雨，明天会出太阳。"
	in := func(encoding, s string) string {
		t.Helper()
		enc, _ := charset.Lookup(encoding)
		b, err := enc.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tc := range []struct{ name, body, header, want string }{
		{"windows-1251 sent as ISO-8859-1, the page knows", "<meta charset=windows-1251>" + in("windows-1251", ru), "text/html; charset=ISO-8859-1", ru},
		{"windows-1251 sent as ISO-8859-1", in("windows-1251", ru), "text/html; charset=ISO-8859-1", ru},
		{"windows-1251 sent as UTF-8", in("windows-1251", ru), "text/html; charset=utf-8", ru},
		{"gbk sent as Shift_JIS", in("gbk", zh), "text/html; charset=shift_jis", zh},
		{"UTF-8 sent as gb2312", zh, "text/html; charset=gb2312", zh},
		{"UTF-8 said to be windows-1251", "<meta charset=windows-1251>" + ru, "", ru},
		{"UTF-8 cut in a character", zh[:len(zh)-1], "text/html; charset=gb2312", zh[:len(zh)-3] + "\ufffd"},
		{"UTF-8 with a bad byte", zh + "\xff" + zh, "", zh + "\ufffd" + zh},
		{"four bytes of GB18030 in gb2312", in("gb18030", zh+"㐀€"), "text/html; charset=gb2312", zh + "㐀€"},
		{"a comment declares nothing", "<!-- <meta charset=koi8-r> -->" + in("windows-1251", ru), "", ru},
		{"a comment before the real one", "<!-- <meta charset=koi8-r> --><meta charset=windows-1251>" + in("windows-1251", "да"), "", "да"},
		{"an attribute of another name", "<div data-charset=koi8-r><meta name=description content='charset=koi8-r'></div>" + in("windows-1251", ru), "", ru},
		{"a script declares nothing", "<script>'<meta charset=koi8-r>'</script>" + in("windows-1251", ru), "", ru},
		{"an attribute's value declares nothing", "<a title='<meta charset=koi8-r>'></a>" + in("windows-1251", ru), "", ru},
		{"utf-16 declared and not meant", "<meta charset=utf-8>" + zh, "text/html; charset=utf-16", zh},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, name := ToUTF8([]byte(tc.body), tc.header); !strings.HasSuffix(string(got), tc.want) {
				t.Errorf("as %s: %s", name, got)
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

// A declaration behind an end tag is read: </title> begins nothing.
func TestADeclarationBehindATitle(t *testing.T) {
	page := []byte("<title>t</title><meta charset=koi8-r><p>\xf0\xf2\xe9\xf7\xe5\xf4</p>")
	if got := prescan(page); got != "koi8-r" {
		t.Errorf("declared is %q", got)
	}
}
