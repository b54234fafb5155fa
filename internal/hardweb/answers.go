package hardweb

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/html/charset"
)

// raw is an answer as it stands.
func raw(s string) answer { return func(request) []byte { return []byte(s) } }

// answerOf is a well-formed answer with a type, further header lines and a body.
func answerOf(code, contentType, header, body string) answer {
	if contentType != "" {
		header = "Content-Type: " + contentType + "\r\n" + header
	}
	return raw(fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", code, header, len(body), body))
}

func html(body string) answer { return answerOf("200 OK", "text/html; charset=utf-8", "", body) }

// page is a page with a title.
func page(title string) answer {
	return html("<!doctype html><title>" + title + "</title><p>The text of the page.</p>")
}

func typed(contentType, body string) answer { return answerOf("200 OK", contentType, "", body) }

func status(code, body string) answer { return answerOf(code, "text/html", "", body) }

func redirectTo(location string) answer {
	return answerOf("302 Found", "", "Location: "+location+"\r\n", "")
}

// linking is a page whose body is given, for cases about links.
func linking(body string) answer { return html("<!doctype html><title>start</title>" + body) }

// encoded returns text in an encoding. All cases are within theirs.
func encoded(encoding, text string) string {
	e, _ := charset.Lookup(encoding)
	s, err := e.NewEncoder().String(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", encoding, err))
	}
	return s
}

// coded returns text with a content coding.
func coded(coding, text string) string {
	var b bytes.Buffer
	switch coding {
	case "gzip":
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case "deflate":
		w := zlib.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case "raw deflate":
		w, _ := flate.NewWriter(&b, 6) // the level is one that there is
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case "br":
		w := brotli.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case "zstd":
		w, _ := zstd.NewWriter(&b) // without options it cannot fail
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	}
	return b.String()
}
