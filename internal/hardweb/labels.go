package hardweb

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// labels are more contents that are labelled well or badly: with encodings, types
// and codings.
func labels() (cases []Case) {
	enc := func(name, contentType, before, encoding, title string) {
		body := before + encoded(encoding, "<title>"+title+"</title><p>"+title+"</p>")
		cases = append(cases, one("charset/"+name, typed(contentType, body), " ="+title))
	}
	wide := func(order binary.AppendByteOrder, s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	enc("a label in capitals", "TEXT/HTML; CHARSET=WINDOWS-1251", "", "windows-1251", "да")
	enc("a label cp1251", "text/html; charset=cp1251", "", "windows-1251", "да")
	enc("a label x-sjis", "text/html; charset=x-sjis", "", "shift_jis", "日本")
	enc("a label utf8", "text/html; charset=utf8", "", "utf-8", "да")
	enc("a label win-1251", "text/html; charset=win-1251", "", "windows-1251", russian)
	enc("a label with a comma behind it", "text/html; charset=koi8-r, text/html", "", "koi8-r", "да")
	enc("a label with a semicolon behind it", "text/html; charset=koi8-r;", "", "koi8-r", "да")
	enc("a label whose quote is not closed", "text/html; charset=\"koi8-r", "", "koi8-r", "да")
	enc("a label with blanks around the sign", "text/html; charset = koi8-r", "", "koi8-r", "да")
	enc("two labels, the first holds", "text/html; charset=koi8-r; charset=utf-8", "", "koi8-r", "да")
	enc("another parameter first", "text/html; version=1; charset=koi8-r", "", "koi8-r", "да")
	enc("an empty label", "text/html; charset=", "<meta charset=koi8-r>", "koi8-r", "да")
	enc("no semicolon before the label", "text/html charset=koi8-r", "", "koi8-r", "да")
	enc("a page that says utf-16", "text/html", "<meta charset=utf-16le>", "utf-8", "да")
	enc("a page that says x-user-defined", "text/html", "<meta charset=x-user-defined>", "windows-1252", "né")
	enc("the header wins over the page", "text/html; charset=koi8-r", "<meta charset=windows-1251>", "koi8-r", "Привет")
	enc("a mark wins over the header", "text/html; charset=koi8-r", "\ufeff", "utf-8", "да, né")
	enc("a mark wins over the page", "text/html", "\ufeff<meta charset=koi8-r>", "utf-8", "да, né")
	enc("latin-1 means windows-1252", "text/html; charset=iso-8859-1", "", "windows-1252", "“quoted” – €5")
	enc("ascii means windows-1252", "text/html; charset=us-ascii", "", "windows-1252", "“né”")
	enc("iso-8859-9 means windows-1254", "text/html; charset=iso-8859-9", "", "windows-1254", "ışık “ğ”")
	enc("tis-620 means windows-874", "text/html; charset=tis-620", "", "windows-874", "ภาษาไทย")
	enc("ks_c_5601-1987 means euc-kr", "text/html; charset=ks_c_5601-1987", "", "euc-kr", "똠방각하")
	enc("big5-hkscs", "text/html; charset=big5-hkscs", "", "big5", "香港")
	enc("iso-8859-8-i", "text/html; charset=iso-8859-8-i", "", "iso-8859-8", "שלום")
	enc("a meta behind many bytes", "text/html", "<!--"+strings.Repeat("x", 900)+"--><meta charset=koi8-r>", "koi8-r", "да")
	enc("a meta far behind", "text/html", "<!--"+strings.Repeat("x", 3000)+"--><meta charset=koi8-r>", "koi8-r", russian)
	enc("a meta in the body", "text/html", "<body><p>x</p><meta charset=koi8-r>", "koi8-r", "да")
	enc("a content without http-equiv", "text/html", "<meta content='text/html; charset=koi8-r'>", "windows-1251", russian)
	enc("a meta with other attributes first", "text/html", "<meta id=x class='>' charset = 'koi8-r' >", "koi8-r", "да")
	enc("a meta with a slash", "text/html", "<meta charset=koi8-r/>", "windows-1251", russian)
	enc("a meta that is closed", "text/html", "<meta charset='koi8-r'/>", "koi8-r", "да")
	enc("two metas, the first holds", "text/html", "<meta charset=koi8-r><meta charset=windows-1251>", "koi8-r", "да")
	enc("two metas, the first unknown", "text/html", "<meta charset=klingon><meta charset=koi8-r>", "koi8-r", "да")
	enc("a meta with no value, then one", "text/html", "<meta charset><meta charset=koi8-r>", "koi8-r", "да")
	enc("a meta with a charset twice in its content", "text/html", "<meta http-equiv=content-type content='charset charset=koi8-r'>", "koi8-r", "да")
	enc("an XML declaration", "application/xhtml+xml", "<?xml version='1.0' encoding='windows-1251'?><html xmlns='http://www.w3.org/1999/xhtml'>", "windows-1251", "да")
	enc("an XML declaration in HTML", "text/html", "<?xml version='1.0' encoding='windows-1251'?>", "windows-1251", "да")
	enc("short and undeclared", "text/html", "", "utf-8", "é")
	enc("the euro of windows-1252", "text/html", "", "windows-1252", "Prix : 5 €, déjà vendu à Orléans, là où l’été dure")
	for name, order := range map[string]binary.AppendByteOrder{"utf-16le": binary.LittleEndian, "utf-16be": binary.BigEndian} {
		cases = append(cases,
			one("charset/"+name+" by the header", typed("text/html; charset="+name, wide(order, "<title>ж wide</title>")), " =ж wide"),
			one("charset/"+name+" with a mark, called utf-8", typed("text/html; charset=utf-8", wide(order, "\ufeff<title>ж wide</title>")), " =ж wide"),
			one("charset/"+name+" that is cut", typed("text/html", wide(order, "\ufeff<title>ж wide</title>")+"\x00"), " =ж wide"),
		)
	}
	cases = append(cases,
		one("charset/utf-7 is not read", typed("text/html; charset=utf-7", "<title>+ADw-b+AD4-</title>"), " =+ADw-b+AD4-"),
		one("charset/hz is not read", typed("text/html; charset=hz-gb-2312", "<title>x</title>~{<:Ky2;VV;~}"), ""),
		one("charset/zero bytes", typed("text/html", "<ti\x00tle>a</title><p>a\x00b"), ""),
		one("charset/a zero byte in a title", typed("text/html; charset=utf-8", "<title>a\x00b</title>"), " =a\ufffdb"),
		one("charset/an entity of windows-1252", typed("text/html", "<title>&#150;&#x93;</title>"), " =–“"),
		one("charset/a surrogate in an entity", typed("text/html", "<title>&#xD800;x</title>"), " =\ufffdx"),
		one("charset/bytes that no encoding has", typed("text/html; charset=utf-8", "<title>ok</title>"+strings.Repeat("\xc3\x28\xff\xfe", 50)), " =ok"),
	)

	const doc, link = "<!doctype html><title>right</title><p>text", "<a href=/next>next</a>"
	with := func(name, contentType, body string, wants ...string) {
		cases = append(cases, from("type/"+name, map[string]answer{"/": typed(contentType, body), "/next": page("next")}, wants...))
	}
	for _, t := range []string{"text/html;", "TEXT/HTML", "text/html, text/html", "text/html;charset=utf-8, text/html", " text/html ", "text/html charset=utf-8", "text/html; x", "\"text/html\"",
		"text/html;;;charset=utf-8", "text/html\t; charset=utf-8", "text / html", "/", "text/", "unknown", "application/x-unknown", "*/*", "content/unknown", "binary/octet-stream", "text/html/plain", "text/html:charset=utf-8", "text/html,charset=utf-8"} {
		with(fmt.Sprintf("%q", t), t, doc+link, "/ =right", "/next =next")
	}
	for _, t := range []string{"application/json", "application/pdf", "image/jpeg", "text/css", "application/javascript", "font/woff2", "video/mp4", "application/zip", "text/calendar"} {
		with("not wanted: "+t, t, doc+link, "/ !unsupported_type", "/next -")
	}
	for name, bytes := range map[string]string{"PDF": "%PDF-1.4\n%\xe2\xe3\xcf\xd3", "a GIF": "GIF89a\x01\x00\x01\x00", "a JPEG": "\xff\xd8\xff\xe0\x00\x10JFIF", "a ZIP": "PK\x03\x04\x14\x00\x00\x00", "a WOFF": "wOFF\x00\x01\x00\x00", "an MP4": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"} {
		with(name+" called HTML", "text/html", bytes, "/ !unsupported_type")
		with(name+" of no type", "", bytes, "/ !unsupported_type")
	}
	with("two headers, the last is not one", "text/html\r\nContent-Type: html", doc+link, "/ =right", "/next =next")
	with("HTML that begins with blanks", "", strings.Repeat("\n ", 300)+doc+link, "/ =right", "/next =next")
	with("HTML that begins with a comment", "", "<!-- hello -->"+doc+link, "/ =right", "/next =next")
	with("HTML that begins with a long comment", "", "<!-- "+strings.Repeat("hello ", 400)+"-->"+doc+link, "/ =right", "/next =next")
	with("HTML without a doctype", "", "<head><title>right</title></head>"+link, "/ =right", "/next =next")
	with("HTML that begins with a title", "", "<title>right</title>"+link, "/ =right", "/next =next")
	with("HTML that begins with a paragraph", "", "<p>hi</p><title>right</title>"+link, "/ =right", "/next =next")
	with("HTML that begins with a meta", "", "<meta charset=utf-8><title>right</title>"+link, "/ =right", "/next =next")
	with("HTML that begins with a link", "", "<link rel=x href=y><title>right</title>"+link, "/ =right", "/next =next")
	with("HTML that begins with an XML declaration", "", "<?xml version='1.0'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'x'><html xmlns='http://www.w3.org/1999/xhtml'><head><title>right</title></head><body>"+link+"</body></html>", "/ =right", "/next =next")
	with("HTML called XML, with a doctype", "application/xml", doc+link, "/ =right", "/next =next")
	with("XHTML that is not well-formed", "application/xhtml+xml", "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>right</title><body><p>a<p>b &nbsp; "+link, "/ =right", "/next =next")
	with("XHTML with a prefix", "application/xhtml+xml", "<h:html xmlns:h='http://www.w3.org/1999/xhtml'><h:head><h:title>right</h:title></h:head><h:body><h:a href='/next'>x</h:a></h:body></h:html>", "/ =right", "/next =next")
	with("XHTML with a CDATA section", "application/xhtml+xml", "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>right</title><script><![CDATA[ if (a<b && '</p>') ]]></script></head><body>"+link+"</body></html>", "/ =right", "/next =next")
	with("an attachment", "text/html\r\nContent-Disposition: attachment; filename=a.html", doc+link, "/ =right", "/next =next")
	with("nosniff and no type", "\r\nX-Content-Type-Options: nosniff", doc+link, "/ =right")
	with("plain text of binary bytes", "text/plain", "\x00\x01\x02\x03text", "/ !unsupported_type")
	with("plain text with a form feed", "text/plain", "page one\fpage two\x1b", "/")

	const body = "<!doctype html><title>right</title><p>Some text of the page, which is long enough to be compressed, compressed, compressed."
	zip := func(name, header, bytes, want string) {
		cases = append(cases, one("coding/"+name, answerOf("200 OK", "text/html", header, bytes), want))
	}
	z := coded("gzip", body)
	gz := "Content-Encoding: gzip\r\n"
	zip("gzip without its trailer", gz, z[:len(z)-8], " =right")
	zip("gzip with half a trailer", gz, z[:len(z)-4], " =right")
	zip("gzip with a wrong checksum", gz, z[:len(z)-8]+"\x00\x00\x00\x00"+z[len(z)-4:], " =right")
	zip("gzip with a wrong length", gz, z[:len(z)-4]+"\x00\x00\x00\x00", " =right")
	zip("gzip with a name", gz, "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03page.html\x00"+z[10:], " =right")
	zip("gzip with an extra field and a comment", gz, "\x1f\x8b\x08\x14\x00\x00\x00\x00\x00\x03\x04\x00abcdhello\x00"+z[10:], " =right")
	zip("gzip with zeros behind it", gz, z+strings.Repeat("\x00", 512), " =right")
	zip("gzip with three bytes behind it", gz, z+"\x1f\x8b\x08", " =right")
	zip("gzip behind a line break", gz, "\r\n"+z, " !bad_encoding")
	zip("gzip three times", "Content-Encoding: gzip, gzip\r\nContent-Encoding: gzip\r\n", coded("gzip", coded("gzip", z)), " =right")
	zip("gzip and identity", "Content-Encoding: gzip, identity\r\n", z, " =right")
	zip("gzip with a parameter", "Content-Encoding: gzip;q=1.0\r\n", z, " =right")
	zip("gzip in quotes", "Content-Encoding: \"gzip\"\r\n", z, " =right")
	zip("gzip, the header twice and done once", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", z, " =right")
	zip("an empty label", "Content-Encoding: \r\n", body, " =right")
	zip("compress on gzip", "Content-Encoding: compress\r\n", z, " =right")
	zip("gzip of an XML type, not named", "", z, " =right")
	d := coded("deflate", body)
	zip("deflate without its checksum", "Content-Encoding: deflate\r\n", d[:len(d)-4], " =right")
	zip("deflate with a wrong checksum", "Content-Encoding: deflate\r\n", d[:len(d)-4]+"\x00\x00\x00\x00", " =right")
	zip("deflate with bytes behind it", "Content-Encoding: deflate\r\n", d+"\r\n", " =right")
	zip("gzip called deflate", "Content-Encoding: deflate\r\n", z, " =right")
	zip("deflate called gzip", gz, d, " =right")
	zip("raw deflate called gzip", gz, coded("raw deflate", body), " =right")
	zip("br called deflate", "Content-Encoding: deflate\r\n", coded("br", body), " =right")
	zip("zstd called br", "Content-Encoding: br\r\n", coded("zstd", body), " =right")
	zs := coded("zstd", body)
	zip("zstd in two frames", "Content-Encoding: zstd\r\n", coded("zstd", body[:60])+coded("zstd", body[60:]), " =right")
	zip("zstd with three bytes behind it", "Content-Encoding: zstd\r\n", zs+"\r\n\x00", " =right")
	zip("zstd with one byte behind it", "Content-Encoding: zstd\r\n", zs+"\n", " =right")
	zip("zstd with a skippable frame", "Content-Encoding: zstd\r\n", "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"+zs, " =right")
	zip("br then gzip", "Content-Encoding: br, gzip\r\n", coded("gzip", coded("br", body)), " =right")
	zip("a short plain page called br", "Content-Encoding: br\r\n", "<title>x</title>", " =x")
	zip("a short plain page called deflate", "Content-Encoding: deflate\r\n", "<title>x</title>", " =x")
	return cases
}
