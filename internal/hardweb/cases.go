package hardweb

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Cases returns all cases, by kind.
func Cases() []Case {
	return slices.Concat(encodings(), declarations(), codings(), types(), headers(), redirects(), links(), robots(), sitemaps(), instructions(), traps(),
		addresses(), statuses(), moves(), labels(), messages(), rules(), feeds(), markup(), variations())
}

// one is a case of a single page.
func one(name string, a answer, want string) Case {
	return Case{Name: name, Seed: "/", answers: map[string]answer{"/": a}, Wants: []string{"/" + want}}
}

// from is a case of several pages.
func from(name string, answers map[string]answer, wants ...string) Case {
	return Case{Name: name, Seed: "/", answers: answers, Wants: wants}
}

const (
	russian  = "Это длинный русский текст о погоде, в котором много слов. Сегодня идет дождь, а завтра будет солнце."
	greek    = "Αυτό είναι ένα μεγάλο ελληνικό κείμενο για τον καιρό. Σήμερα βρέχει αλλά αύριο θα έχει ήλιο στην πόλη."
	japanese = "これは日本語の長い文章です。今日は雨が降っていますが、明日は晴れるでしょう。"
	chinese  = "这是一段很长的中文文本，今天下雨，明天会出太阳。北京的天气很好，我们去公园散步。"
)

// encodings are pages that declare none.
func encodings() (cases []Case) {
	for _, c := range []struct{ encoding, text string }{
		{"windows-1251", russian}, {"koi8-r", russian}, {"iso-8859-5", russian}, {"ibm866", russian},
		{"iso-8859-7", greek}, {"shift_jis", japanese}, {"euc-jp", japanese}, {"iso-2022-jp", japanese}, {"gbk", chinese},
		{"big5", "這是一段很長的中文文本，今天下雨，明天會出太陽。台北的天氣很好，我們去公園散步。"},
		{"euc-kr", "이것은 긴 한국어 문장입니다. 오늘은 비가 오지만 내일은 맑을 것입니다."},
		{"windows-1255", "זהו טקסט ארוך בעברית על מזג האוויר. היום יורד גשם, אבל מחר תהיה שמש בתל אביב."},
		{"windows-1256", "هذا نص طويل باللغة العربية عن الطقس. اليوم تمطر السماء ولكن غدا ستكون الشمس مشرقة."},
		{"windows-874", "นี่คือข้อความภาษาไทยที่ยาวเกี่ยวกับสภาพอากาศ"},
		{"iso-8859-2", "To jest długi polski tekst o pogodzie. Dzisiaj pada deszcz, ale jutro będzie świecić słońce w całej Polsce."},
		{"windows-1252", "Ceci est un long texte français sur la météo. Il pleut, mais demain le soleil brillera à Paris, où l'été est là."},
		{"utf-8", "Grüße aus dem Schönen Österreich"},
	} {
		body := encoded(c.encoding, "<title>"+c.text+"</title><p>"+c.text+"</p>")
		cases = append(cases, one("charset/undeclared "+c.encoding, typed("text/html", body), " ="+c.text))
	}
	for name, order := range map[string]binary.AppendByteOrder{"utf-16le": binary.LittleEndian, "utf-16be": binary.BigEndian} {
		for _, mark := range []string{"", "\ufeff"} {
			var b []byte
			for _, u := range utf16.Encode([]rune(mark + "<title>A title in wide letters</title><p>Text</p>")) {
				b = order.AppendUint16(b, u)
			}
			cases = append(cases, one(fmt.Sprintf("charset/%s, mark %v", name, mark != ""), typed("text/html", string(b)), " =A title in wide letters"))
		}
	}
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return cases
}

// declarations are pages that declare an encoding, truly or not.
func declarations() (cases []Case) {
	add := func(name, contentType, before, encoding, title string) {
		body := before + encoded(encoding, "<title>"+title+"</title><p>"+title+"</p>")
		cases = append(cases, one("charset/"+name, typed(contentType, body), " ="+title))
	}
	add("utf-8 sent as gb2312", "text/html; charset=gb2312", "", "utf-8", chinese)
	add("utf-8 that says gb2312", "text/html", "<meta charset=gb2312>", "utf-8", chinese)
	add("utf-8 sent as iso-8859-1", "text/html; charset=iso-8859-1", "", "utf-8", "Grüße")
	add("windows-1251 sent as utf-8", "text/html; charset=utf-8", "", "windows-1251", russian)
	add("windows-1251 sent as iso-8859-1", "text/html; charset=iso-8859-1", "", "windows-1251", russian)
	add("windows-1251 sent as iso-8859-1, the page knows", "text/html; charset=iso-8859-1", "<meta charset=windows-1251>", "windows-1251", russian)
	add("gbk sent as shift_jis", "text/html; charset=shift_jis", "", "gbk", chinese)
	add("gb18030 sent as gb2312", "text/html; charset=gb2312", "", "gb18030", "㐀 "+chinese)
	add("a meta in a comment", "text/html", "<!-- <meta charset=koi8-r> -->", "windows-1251", russian)
	add("a meta in a comment, then a real one", "text/html", "<!-- <meta charset=koi8-r> --><meta charset=windows-1251>", "windows-1251", "да")
	add("a charset in a description", "text/html", "<meta name=description content='charset=koi8-r'>", "utf-8", russian)
	add("an attribute data-charset", "text/html", "<html data-charset=koi8-r>", "utf-8", russian)
	add("a meta in a script", "text/html", "<script>'<meta charset=koi8-r>'</script>", "windows-1251", russian)
	add("utf-16 declared and not meant", "text/html; charset=utf-16", "", "utf-8", russian)
	add("a charset that nobody knows", "text/html; charset=klingon", "<meta charset=koi8-r>", "koi8-r", russian)
	add("a charset in quotes", "text/html; charset='windows-1251'", "", "windows-1251", "да")
	add("http-equiv", "text/html", "<META http-equiv=Content-Type content='text/html; CHARSET = koi8-r'>", "koi8-r", "да")
	cases = append(cases,
		one("charset/a bad byte in utf-8", typed("text/html; charset=utf-8", "<title>"+chinese+"</title><p>"+chinese+"\xff"+chinese), " ="+chinese),
		one("charset/utf-8 that is cut", typed("text/html", "<title>"+chinese+"</title><p>"+chinese[:len(chinese)-1]), " ="+chinese),
	)
	return cases
}

// codings are contents with a coding, truly named or not.
func codings() (cases []Case) {
	const body = "<!doctype html><title>right</title><p>Some text of the page, which is long enough to be compressed, compressed, compressed."
	add := func(name, label, bytes string) {
		cases = append(cases, one("coding/"+name, answerOf("200 OK", "text/html", "Content-Encoding: "+label+"\r\n", bytes), " =right"))
	}
	for _, c := range []string{"gzip", "deflate", "br", "zstd"} {
		add(c, c, coded(c, body))
		add(c+" called utf-8", "utf-8", map[bool]string{true: coded(c, body), false: body}[c == "gzip" || c == "zstd"])
		add("plain called "+c, c, body)
	}
	add("raw deflate", "deflate", coded("raw deflate", body))
	add("x-gzip", "X-GZip", coded("gzip", body))
	add("gzip called br", "br", coded("gzip", body))
	add("br called gzip", "gzip", coded("br", body))
	add("zstd called gzip", "gzip", coded("zstd", body))
	add("gzip twice, named once", "gzip", coded("gzip", coded("gzip", body)))
	add("gzip not named", "identity", coded("gzip", body))
	add("gzip in two members", "gzip", coded("gzip", body[:50])+coded("gzip", body[50:]))
	add("gzip with bytes behind it", "gzip", coded("gzip", body)+"\n<!-- cached -->")
	add("zstd with bytes behind it", "zstd", coded("zstd", body)+"\r\n\r\n")
	add("br with bytes behind it", "br", coded("br", body)+"\r\n")
	add("plain called aws-chunked", "aws-chunked", body)
	add("plain called iso-8859-1", "iso-8859-1", body)
	add("plain called 8bit, binary", "8bit, binary", body)
	table := "<!doctype html><title>right</title><table>" + strings.Repeat("<tr><td></td><td></td><td></td><td></td></tr>\n", 60_000) + "</table>"
	add("an empty table, gzip", "gzip", coded("gzip", table))
	add("an empty table, br", "br", coded("br", table))
	bomb := coded("gzip", coded("gzip", strings.Repeat("\x00", 9<<20)))
	cases = append(cases, one("coding/a bomb", answerOf("200 OK", "text/html", "Content-Encoding: gzip, gzip\r\n", bomb), " !ratio"))
	return cases
}

// types are contents with a type, truly named or not.
func types() []Case {
	const doc = "<!doctype html><title>right</title><p>text"
	const link = "<a href=/next>next</a>"
	next := map[string]answer{"/next": page("next")}
	with := func(a answer) map[string]answer { return map[string]answer{"/": a, "/next": next["/next"]} }
	return []Case{
		from("type/none", with(answerOf("200 OK", "", "", doc+link)), "/ =right", "/next"),
		from("type/no slash", with(typed("html", doc+link)), "/ =right", "/next"),
		from("type/application/octet-stream", with(typed("application/octet-stream", doc+link)), "/ =right", "/next"),
		from("type/two, the last holds", with(answerOf("200 OK", "text/plain", "Content-Type: text/html\r\n", doc+link)), "/ =right", "/next"),
		from("type/a mark before the page", with(typed("application/octet-stream", "\ufeff"+doc+link)), "/ =right", "/next"),
		from("type/plain text is never HTML", with(typed("text/plain", doc+link)), "/ =", "/next -"),
		from("type/XML that is XHTML", with(typed("text/xml", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>right</title></head><body><a href="/next">n</a></body></html>`)), "/ =right", "/next"),
		from("type/XHTML with empty elements", with(typed("application/xhtml+xml", `<html xmlns="http://www.w3.org/1999/xhtml"><head><script src="a.js"/><title>right</title></head><body><textarea/><div/><a href="/next">n</a></body></html>`)), "/ =right", "/next"),
		one("type/text that begins with BM", typed("text/plain", "BM is short for bench mark"), ""),
		one("type/text that begins with ID3", typed("text/plain", "ID3 tags hold titles"), ""),
		one("type/an image called text", typed("text/html", "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), " !unsupported_type"),
		one("type/an image", typed("image/png", "\x89PNG"), " !unsupported_type"),
		one("type/nothing at all", answerOf("200 OK", "", "", ""), ""),
	}
}

// headers are answers as servers send them.
func headers() (cases []Case) {
	const ok, body = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<!doctype html><title>right</title>"
	n := len(body)
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, body)
	good := func(name, sent string) {
		cases = append(cases, one("http/"+name, raw(sent), " =right"))
	}
	bad := func(name, sent string) {
		c := from("http/"+name, map[string]answer{"/": linking("<a href=/bad>b</a><a href=/good>g</a>"), "/bad": raw(sent), "/good": page("good")}, "/", "/good =good", "/bad !protocol")
		cases = append(cases, c)
	}
	good("a line without a colon", ok+"garbage\r\n"+length+"\r\n"+body)
	good("a blank before the colon", ok+"Content-Length : "+fmt.Sprint(n)+"\r\n\r\n"+body)
	good("a name with a blank", ok+"My Header: x\r\n"+length+"\r\n"+body)
	good("a line without a name", ok+": x\r\n"+length+"\r\n"+body)
	good("a status line twice", ok+"HTTP/1.1 200 OK\r\n"+length+"\r\n"+body)
	good("a first line that is folded", "HTTP/1.1 200 OK\r\n x\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("a folded value", ok+"X: a\r\n b\r\n"+length+"\r\n"+body)
	good("a zero byte", ok+"X: a\x00b\r\n"+length+"\r\n"+body)
	good("a bell", ok+"X: a\x07b\r\n"+length+"\r\n"+body)
	good("bytes of latin-1", ok+"X: caf\xe9\r\n"+length+"\r\n"+body)
	good("bare line feeds", "HTTP/1.1 200 OK\nContent-Type: text/html\ngarbage\n\n"+body)
	good("empty lines before", "\r\n\r\n"+ok+length+"\r\n"+body)
	good("two blanks", "HTTP/1.1  200  OK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("no reason", "HTTP/1.1 200\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("lower case", "http/1.1 200 ok\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("no version", "HTTP 200 OK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("version 1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n"+body)
	good("version 2 in text", "HTTP/2 200\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("ICY", "ICY 200 OK\r\nContent-Type: text/html\r\n\r\n"+body)
	good("early hints", "HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nbad\r\n\r\n"+ok+length+"\r\n"+body)
	good("continue", "HTTP/1.1 100 Continue\r\n\r\n"+ok+length+"\r\n"+body)
	good("identity", ok+"Transfer-Encoding: identity\r\n"+length+"\r\n"+body)
	good("identity, no length", ok+"Transfer-Encoding: identity\r\n\r\n"+body)
	good("chunked", ok+"Transfer-Encoding: chunked\r\n\r\n"+chunked)
	good("chunked twice", ok+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked)
	good("chunked, chunked", ok+"Transfer-Encoding: chunked, chunked\r\n\r\n"+chunked)
	good("chunked and a length", ok+"Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n"+chunked)
	good("chunked in version 1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked)
	zipped := coded("gzip", body)
	good("gzip as a transfer coding", ok+"Transfer-Encoding: gzip, chunked\r\n\r\n"+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(zipped), zipped))
	good("a length in a list", ok+fmt.Sprintf("Content-Length: %d, %d\r\n\r\n", n, n)+body)
	good("a length twice", ok+length+length+"\r\n"+body)
	good("a length that is no number", ok+"Content-Length: many\r\n\r\n"+body)
	good("a negative length", ok+"Content-Length: -1\r\n\r\n"+body)
	good("no length", ok+"\r\n"+body)
	bad("lengths that differ", ok+"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"+body)
	bad("no HTTP", "SSH-2.0-OpenSSH_9.6\r\n")
	bad("a header that is none", "HTTP/1.1 abc\r\n\r\n")
	bad("a chunk that is none", ok+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"+body)
	return cases
}

// redirects are ways to send a client elsewhere.
func redirects() (cases []Case) {
	for _, c := range []struct{ name, location, path string }{
		{"a bare percent sign", "/sale-50%-off", "/sale-50%-off"},
		{"backslashes", `\a\b`, "/a/b"},
		{"bytes of latin-1", "/caf\xe9", "/caf%E9"},
		{"bytes of utf-8", "/caf\xc3\xa9?q=\xc3\xa9", "/caf%C3%A9?q=%C3%A9"},
		{"a blank", "/a b", "/a%20b"},
		{"dots", "/x/../a", "/a"},
		{"relative", "a?b#c", "/a?b"},
		{"a tab at its end", "/a\t", "/a"},
	} {
		cases = append(cases, from("redirect/"+c.name, map[string]answer{"/": redirectTo(c.location), c.path: page("there")}, "/", c.path+" =there"))
	}
	wall := func(r request) []byte {
		if strings.Contains(r.head, "\r\nCookie: seen=1\r\n") {
			return page("inside")(r)
		}
		return answerOf("302 Found", "", "Location: /\r\nSet-Cookie: seen=1; Path=/\r\n", "")(r)
	}
	inside := func(r request) []byte {
		if strings.Contains(r.head, "\r\nCookie: seen=1\r\n") {
			return linking("<a href=/behind>b</a>")(r)
		}
		return wall(r)
	}
	const odd = `a[b]="x, y"; c d={"e":1}`
	oddWall := func(r request) []byte {
		if strings.Contains(r.head, "\r\nCookie: "+odd+"\r\n") {
			return linking("<a href=/behind>b</a>")(r)
		}
		return answerOf("302 Found", "", "Location: /\r\nSet-Cookie: a[b]=\"x, y\"; Path=/\r\nSet-Cookie: c d={\"e\":1}\r\n", "")(r)
	}
	chain := map[string]answer{}
	for i := range 13 {
		chain[fmt.Sprintf("/%s", strings.Repeat("x", i))] = redirectTo("/" + strings.Repeat("x", i+1))
	}
	return append(cases,
		one("redirect/to itself", redirectTo("/"), " !redirect_loop"),
		from("redirect/a loop", map[string]answer{"/": redirectTo("/b"), "/b": redirectTo("/")}, "/", "/b !redirect_loop"),
		from("redirect/a wall of cookies", map[string]answer{"/": inside, "/behind": page("behind")}, "/", "/behind =behind"),
		from("redirect/a wall of odd cookies", map[string]answer{"/": oddWall, "/behind": page("behind")}, "/", "/behind =behind"),
		from("redirect/too many", chain, "/", "/xxxxxxxxxx !too_many_redirects"),
		one("redirect/nowhere", answerOf("302 Found", "", "", ""), " !bad_redirect"),
		one("redirect/to another scheme", redirectTo("mailto:a@example.com"), " !bad_redirect"),
		from("redirect/refresh by header", map[string]answer{"/": answerOf("200 OK", "text/html", "Refresh: 0; url=/a\r\n", ""), "/a": page("there")}, "/", "/a =there"),
		from("redirect/refresh by meta", map[string]answer{"/": html("<meta http-equiv=refresh content=\"3;URL='/a'\">"), "/a": page("there")}, "/", "/a =there"),
	)
}

// links are what is a link and what is not.
func links() (cases []Case) {
	add := func(name, body string, answers map[string]answer, wants ...string) {
		all := map[string]answer{"/": linking(body)}
		for path, a := range answers {
			all[path] = a
		}
		cases = append(cases, from("link/"+name, all, append([]string{"/"}, wants...)...))
	}
	a := map[string]answer{"/a": page("a")}
	for _, c := range []struct{ name, body string }{
		{"a", "<a href=/a>x</a>"},
		{"area", "<map><area href=/a></map>"},
		{"iframe", "<iframe src=/a></iframe>"},
		{"frame", "<frameset><frame src=/a></frameset>"},
		{"srcdoc", `<iframe srcdoc="<a href='/a'>x</a>"></iframe>`},
		{"object of a page", "<object data=/a type=text/html></object>"},
		{"embed of a page", "<embed src=/a type=text/html>"},
		{"noscript", "<noscript><a href=/a>x</a></noscript>"},
		{"svg", "<svg><a xlink:href=/a><text>x</text></a></svg>"},
		{"a citation", "<blockquote cite=/a>x</blockquote>"},
		{"a long description", "<img src=/i alt=x longdesc=/a>"},
		{"a relation", "<link rel=next href=/a>"},
		{"help", "<link rel=help href=/a>"},
		{"line breaks within", "<a href='/\na'>x</a>"},
		{"backslashes", `<a href="\a">x</a>`},
		{"an entity", "<a href='&#47;a'>x</a>"},
		{"a base", "<base href=/x/><a href=../a>x</a>"},
		{"a form", "<form action=/a><input type=submit></form>"},
	} {
		add(c.name, c.body, a, "/a =a")
	}
	for _, c := range []struct{ name, body string }{
		{"a template is none", "<template><a href=/a>x</a></template>"},
		{"a comment is none", "<!-- <a href=/a>x</a> -->"},
		{"a script is none", "<script>'<a href=/a>x</a>'</script>"},
		{"a textarea is none", "<textarea><a href=/a>x</a></textarea>"},
		{"a form by POST is none", "<form action=/a method=post></form>"},
		{"a script's address is none", "<a href='javascript:location=\"/a\"'>x</a>"},
		{"an object of something else is none", "<object data=/a type=image/png></object>"},
	} {
		add(c.name, c.body, a, "/a -")
	}
	add("a base in svg does not count", "<svg><base href=/x/></svg><a href=a>x</a>", a, "/a =a")
	add("a base in a template does not count", "<template><base href=/x/></template><a href=a>x</a>", a, "/a =a")
	add("nofollow", "<a rel=nofollow href=/a>x</a>", a, "/a ~nofollow")
	cases = append(cases,
		from("link/by header", map[string]answer{"/": answerOf("200 OK", "text/html", "Link: </a>; rel=\"next\"\r\n", "<p>x"), "/a": page("a")}, "/", "/a =a"),
		from("link/query in the page's encoding", map[string]answer{
			"/":                          typed("text/html; charset=windows-1251", encoded("windows-1251", "<a href='/find?q=привет'>x</a>")),
			"/find?q=%EF%F0%E8%E2%E5%F2": page("found"),
		}, "/", "/find?q=%EF%F0%E8%E2%E5%F2 =found"),
	)
	return cases
}

// robots are robots.txt files, and ways to send them.
func robots() (cases []Case) {
	add := func(name string, file answer, want string) {
		cases = append(cases, from("robots/"+name, map[string]answer{"/robots.txt": file, "/": page("p")}, "/"+want))
	}
	const deny = "User-agent: *\nDisallow: /\n"
	const allow = "User-agent: *\nDisallow: /no\n"
	wide := []byte{}
	for _, u := range utf16.Encode([]rune("\ufeff" + deny)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	add("forbids", typed("text/plain", deny), " !robots")
	add("forbids in utf-16", typed("text/plain", string(wide)), " !robots")
	add("forbids behind a mark", typed("text/plain", "\ufeff"+deny), " !robots")
	add("forbids as an octet-stream", typed("application/octet-stream", deny), " !robots")
	add("forbids by a redirect with a bare percent sign", redirectTo("/sale-50%.txt"), "")
	add("plain called gzip", answerOf("200 OK", "text/plain", "Content-Encoding: gzip\r\n", allow), "")
	add("plain called utf8", answerOf("200 OK", "text/plain", "Content-Encoding: utf8\r\n", allow), "")
	add("gzip that forbids, not named", answerOf("200 OK", "text/plain", "", coded("gzip", deny)), " !robots")
	add("broken gzip", answerOf("200 OK", "text/plain", "Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff"), "")
	add("a header line without a colon", raw("HTTP/1.1 200 OK\r\ngarbage\r\nContent-Type: text/plain\r\n\r\n"+deny), " !robots")
	add("is a page", html("<!doctype html><title>Not found</title>"), "")
	add("is gone", status("410 Gone", ""), "")
	add("allows the longest", typed("text/plain", "User-agent: *\nDisallow: /\nAllow: /$\n"), "")
	add("names the agent", typed("text/plain", "User-agent: *\nDisallow:\nUser-agent: weir\nDisallow: /\n"), " !robots")
	return cases
}

// sitemaps are lists of pages, and ways to send them.
func sitemaps() []Case {
	const set = `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>/a</loc><priority>0.9</priority></url></urlset>`
	site := func(name, path string, file answer, wants ...string) Case {
		return from("sitemap/"+name, map[string]answer{
			"/robots.txt": func(r request) []byte {
				return typed("text/plain", "Sitemap: http://"+r.host+path+"\n")(r)
			},
			"/": page("home"), path: file, "/a": page("a"),
		}, append([]string{"/", "/a =a"}, wants...)...)
	}
	seed := func(name, path string, file answer) Case {
		c := from("sitemap/"+name, map[string]answer{path: file, "/a": page("a")}, "/a =a")
		c.Seed = path
		return c
	}
	index := func(to string) answer {
		return typed("text/xml", `<sitemapindex><sitemap><loc>`+to+`</loc></sitemap></sitemapindex>`)
	}
	endless := map[string]answer{"/robots.txt": func(r request) []byte {
		return typed("text/plain", "Sitemap: http://"+r.host+"/i1.xml\n")(r)
	}, "/": page("home")}
	for i := 1; i < 9; i++ {
		endless[fmt.Sprintf("/i%d.xml", i)] = index(fmt.Sprintf("/i%d.xml", i+1))
	}
	return []Case{
		site("xml", "/map.xml", typed("application/xml", set)),
		site("application/x-gzip", "/map.xml.gz", typed("application/x-gzip", coded("gzip", set))),
		site("application/octet-stream", "/map.xml.gz", typed("application/octet-stream", coded("gzip", set))),
		site("text/html, which it is not", "/map.xml", html(set)),
		site("an image, which it is not", "/map.xml", typed("image/png", set)),
		site("a list of text", "/map.txt", func(r request) []byte { return typed("text/plain", "http://"+r.host+"/a\n")(r) }),
		site("utf-16", "/map.xml", func(r request) []byte {
			var b []byte
			for _, u := range utf16.Encode([]rune("\ufeff" + set)) {
				b = binary.LittleEndian.AppendUint16(b, u)
			}
			return typed("text/xml", string(b))(r)
		}),
		site("cut", "/map.xml", typed("text/xml", strings.TrimSuffix(set, "</urlset>"))),
		from("sitemap/in the usual place", map[string]answer{"/": page("home"), "/sitemap.xml": typed("text/xml", set), "/a": page("a")}, "/", "/a =a"),
		from("sitemap/not in the usual place", map[string]answer{"/": page("home")}, "/", "/sitemap.xml ~no sitemap"),
		from("sitemap/nested without end", endless, "/", "/i4.xml", "/i5.xml ~nested"),
		seed("as a seed", "/map.xml", typed("text/xml", set)),
		seed("as a seed, gzip", "/map.xml.gz", typed("application/gzip", coded("gzip", set))),
		seed("a feed as a seed", "/feed", typed("application/rss+xml", `<rss version="2.0"><channel><item><link>/a</link></item></channel></rss>`)),
		seed("an Atom feed as a seed", "/feed", typed("application/atom+xml", `<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="/a"/></entry></feed>`)),
	}
}

// instructions are what pages say to robots.
func instructions() (cases []Case) {
	add := func(name, header, meta, want string) {
		cases = append(cases, from("instructions/"+name, map[string]answer{
			"/":  answerOf("200 OK", "text/html", header, "<title>t</title>"+meta+"<a href=/a>x</a>"),
			"/a": page("a"),
		}, "/", "/a "+want))
	}
	add("nofollow in meta", "", "<meta name=robots content=nofollow>", "~follow")
	add("nofollow in the header", "X-Robots-Tag: nofollow\r\n", "", "~follow")
	add("none", "", "<META NAME=ROBOTS CONTENT=NONE>", "~follow")
	add("for another", "X-Robots-Tag: otherbot: nofollow\r\n", "<meta name=googlebot content=nofollow>", "=a")
	add("for this one", "X-Robots-Tag: weir: nofollow\r\n", "", "~follow")
	add("max-image-preview: none", "X-Robots-Tag: max-image-preview: none\r\n", "<meta name=robots content='max-image-preview: none'>", "=a")
	add("blanks between", "", "<meta name=robots content='noindex nofollow'>", "~follow")
	return cases
}

// traps are sites without end.
func traps() []Case {
	years := func(r request) []byte {
		var y, m int
		if _, err := fmt.Sscanf(r.path, "/cal/%d/%d", &y, &m); err != nil {
			y, m = 2026, 1
		}
		return linking(fmt.Sprintf("<a href=/cal/%d/%02d>next year</a>", y+1, m))(r)
	}
	session := func(r request) []byte {
		n := len(r.path)
		return linking(fmt.Sprintf("<a href=/page?PHPSESSID=%d%d>again</a>", n, len(r.path)*7919+strings.Count(r.path, "1")))(r)
	}
	loop := func(r request) []byte { return linking("<a href='x/'>deeper</a>")(r) }
	params := func(r request) []byte {
		return linking("<a href='" + r.path + map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")] + "p=1'>more</a>")(r)
	}
	return []Case{
		from("trap/a calendar", map[string]answer{"*": years}, "/", "/cal/2027/01", "/cal/2040/01 -"),
		from("trap/sessions", map[string]answer{"*": session}, "/"),
		from("trap/a path that grows", map[string]answer{"*": loop}, "/", "/x/", "/x/x/x/x/x/x/x/x/ -"),
		from("trap/a parameter that repeats", map[string]answer{"*": params}, "/", "/?p=1", "/?p=1&p=1&p=1&p=1&p=1&p=1 ~parameter"),
	}
}
