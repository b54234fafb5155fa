package hardweb

import (
	"fmt"
	"strings"
)

// messages are more answers as servers send them: lengths, chunks, ends.
func messages() (cases []Case) {
	const ok, body = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<!doctype html><title>right</title>"
	n := len(body)
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	good := func(name, sent string) { cases = append(cases, one("http/"+name, raw(sent), " =right")) }
	chunks := func(name, sent string) {
		good("chunks/"+name, ok+"Transfer-Encoding: chunked\r\n\r\n"+sent)
	}
	hex := fmt.Sprintf("%x", n)
	chunks("size with blanks behind it", hex+"  \r\n"+body+"\r\n0\r\n\r\n")
	chunks("size with a blank before it", " "+hex+"\r\n"+body+"\r\n0\r\n\r\n")
	chunks("size with zeros before it", "0000"+hex+"\r\n"+body+"\r\n0000\r\n\r\n")
	chunks("size in capitals", strings.ToUpper(fmt.Sprintf("%x", 0x2a))+"\r\n"+body+strings.Repeat(" ", 0x2a-n)+"\r\n0\r\n\r\n")
	chunks("an extension", hex+";a=b;c=\"d\"\r\n"+body+"\r\n0\r\n\r\n")
	chunks("a trailer", hex+"\r\n"+body+"\r\n0\r\nX: y\r\n\r\n")
	chunks("a trailer that is malformed", hex+"\r\n"+body+"\r\n0\r\ngarbage\r\n\r\n")
	chunks("no empty line at the end", hex+"\r\n"+body+"\r\n0\r\n")
	chunks("no line break behind the last size", hex+"\r\n"+body+"\r\n0")
	chunks("bare line feeds", hex+"\n"+body+"\n0\n\n")
	chunks("in single bytes", func() (s string) {
		for _, c := range body {
			s += "1\r\n" + string(c) + "\r\n"
		}
		return s + "0\r\n\r\n"
	}())
	chunks("bytes behind the end", hex+"\r\n"+body+"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
	good("a header in all capitals", "HTTP/1.1 200 OK\r\nCONTENT-TYPE: TEXT/HTML\r\n"+strings.ToUpper(length)+"\r\n"+body)
	good("a length with zeros before it", ok+fmt.Sprintf("Content-Length: 000%d\r\n\r\n", n)+body)
	good("a length with a plus", ok+fmt.Sprintf("Content-Length: +%d\r\n\r\n", n)+body)
	good("a length of blanks", ok+"Content-Length:   \r\n\r\n"+body)
	good("a length that is too large for a number", ok+"Content-Length: 99999999999999999999999\r\n\r\n"+body)
	good("a length with a unit", ok+fmt.Sprintf("Content-Length: %d bytes\r\n\r\n", n)+body)
	good("bytes behind the body", ok+length+"\r\n"+body+"\r\n\r\n")
	good("a header of 100 KB", ok+"Set-Cookie: a="+strings.Repeat("x", 100<<10)+"\r\n"+length+"\r\n"+body)
	good("a thousand header lines", ok+strings.Repeat("X-Fill: y\r\n", 1000)+length+"\r\n"+body)
	good("a value in utf-8", ok+"X: жж\r\n"+length+"\r\n"+body)
	good("a value that is empty", ok+"X:\r\nY: \r\n"+length+"\r\n"+body)
	good("no blank behind the colon", "HTTP/1.1 200 OK\r\nContent-Type:text/html\r\n"+length+"\r\n"+body)
	good("two colons", ok+"X:: y\r\n"+length+"\r\n"+body)
	good("a name in brackets", ok+"[X]: y\r\n"+length+"\r\n"+body)
	good("a name in utf-8", ok+"Имя: y\r\n"+length+"\r\n"+body)
	good("an HTML comment among the lines", ok+"<!-- x -->\r\n"+length+"\r\n"+body)
	good("a PHP notice among the lines", ok+"<br />\r\n<b>Notice</b>: x in <b>/y.php</b> on line 1<br />\r\n"+length+"\r\n"+body)
	good("a carriage return twice", "HTTP/1.1 200 OK\r\r\nContent-Type: text/html\r\r\n"+"\r\n"+body)
	good("a line feed then a carriage return", "HTTP/1.1 200 OK\n\rContent-Type: text/html\n\r\n\r"+body)
	good("a mixture of line ends", "HTTP/1.1 200 OK\nContent-Type: text/html\r\n"+length+"\n"+body)
	good("a reason in latin-1", "HTTP/1.1 200 D'accord \xe9\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("no blank behind the status", "HTTP/1.1 200\tOK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("version 1.2", "HTTP/1.2 200 OK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("version 1.10", "HTTP/1.10 200 OK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("version 2.0", "HTTP/2.0 200 OK\r\nContent-Type: text/html\r\n"+length+"\r\n"+body)
	good("three early answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 3)+ok+length+"\r\n"+body)
	good("processing", "HTTP/1.1 102 Processing\r\n\r\n"+ok+length+"\r\n"+body)
	good("keep-alive that closes", ok+"Connection: keep-alive\r\n"+length+"\r\n"+body)
	good("an unknown transfer coding", ok+"Transfer-Encoding: utf-8\r\n"+length+"\r\n"+body)
	good("an empty transfer coding", ok+"Transfer-Encoding:\r\n"+length+"\r\n"+body)
	good("a date that is none", ok+"Date: yesterday\r\nExpires: 0\r\nLast-Modified: never\r\n"+length+"\r\n"+body)
	good("a cookie that is malformed", ok+"Set-Cookie: =;;=\r\nSet-Cookie: \x7f\r\n"+length+"\r\n"+body)
	return cases
}
