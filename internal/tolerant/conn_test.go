package tolerant

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// script is a connection on which a server answers each request with the next
// answer, in pieces of size bytes; 0 means whole.
type script struct {
	net.Conn
	answers []string
	size    int
	pending string
}

func (s *script) Write(p []byte) (int, error) {
	if len(s.answers) > 0 {
		s.pending += s.answers[0]
		s.answers = s.answers[1:]
	}
	return len(p), nil
}

func (s *script) Read(p []byte) (int, error) {
	if s.pending == "" {
		return 0, io.EOF
	}
	n := len(s.pending)
	if s.size > 0 {
		n = min(n, s.size)
	}
	n = copy(p, s.pending[:n])
	s.pending = s.pending[n:]
	return n, nil
}

const request = "GET / HTTP/1.1\r\nHost: e.example\r\n\r\n"

// exchange sends a request and reads the response with net/http.
func exchange(c *Conn, br *bufio.Reader) (resp *http.Response, body string, err error) {
	if _, err := c.Write([]byte(request)); err != nil {
		return nil, "", err
	}
	for {
		resp, err = http.ReadResponse(br, &http.Request{Method: "GET"})
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == 101 {
			break
		}
	}
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestHeadersAsServersSendThem(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tc := range []struct{ name, answer, body, field, value string }{
		{"as it should be", ok + "X: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a line without a colon", ok + "garbage\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a line of another line's kind", ok + "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a first line that continues none", ok + " folded\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a folded value", ok + "X: y\r\n z\r\nbad line\r\n zz\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y z"},
		{"a blank before the colon", ok + "X : y\r\nContent-Length : 2\r\n\r\nhi", "hi", "X", "y"},
		{"a name with a blank", ok + "My Header: z\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"no name", ok + ": z\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a zero byte", ok + "X: a\x00b\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "a b"},
		{"a carriage return in a value", ok + "X: a\rb\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "a b"},
		{"bare line feeds", "HTTP/1.1 200 OK\nX: y\ngarbage\nContent-Length: 2\n\nhi", "hi", "X", "y"},
		{"empty lines before", "\r\n\r\n" + ok + "X: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"latin-1 bytes", ok + "X: caf\xe9\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "caf\xe9"},
		{"two blanks in the status line", "HTTP/1.1  200  OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"no reason", "HTTP/1.1 200\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"a status line in lower case", "http/1.1 200 ok\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"no version", "HTTP 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"HTTP/2 in the text of HTTP/1", "HTTP/2 200\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"ICY", "ICY 200 OK\r\nX: y\r\n\r\nhi", "hi", "X", "y"},
		{"an early hint", "HTTP/1.1 103 Early Hints\r\ngarbage\r\nLink: </a>\r\n\r\n" + ok + "bad\r\nX: y\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"no empty line", ok + "X: y\r\nContent-Length: 0\r\n", "", "X", "y"},
		{"identity", ok + "X: y\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", "hi", "X", "y"},
		{"identity and no length", ok + "X: y\r\nTransfer-Encoding: identity\r\n\r\nhi", "hi", "X", "y"},
		{"chunked twice in a list", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"identity, chunked", ok + "Transfer-Encoding: identity, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"chunked and a length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 77\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"chunked and lengths that differ", ok + "Transfer-Encoding: chunked\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "", ""},
		{"gzip, chunked", ok + "Content-Encoding: br\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", "Content-Encoding", "br"},
		{"chunks with bare line feeds", ok + "Transfer-Encoding: chunked\r\n\r\n1\nh\n1\ni\n0\n\n", "hi", "", ""},
		{"chunks with blanks around their sizes", ok + "Transfer-Encoding: chunked\r\n\r\n \t2 \r\nhi\r\n 0 \r\n\r\n", "hi", "", ""},
		{"chunks with extensions", ok + "Transfer-Encoding: chunked\r\n\r\n0002 ; a=b\r\nhi\r\n0;c\r\n\r\n", "hi", "", ""},
		{"chunks without the empty line", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "hi", "", ""},
		{"chunks without a line break at the end", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0", "hi", "", ""},
		{"chunks with a trailer that is malformed", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nbad\r\n x\r\n\r\n", "hi", "", ""},
		{"chunks with empty lines between", ok + "Transfer-Encoding: chunked\r\n\r\n\r\n2\r\nhi\r\n\r\n0\r\n\r\n", "hi", "", ""},
		{"a length in a list", ok + "X: y\r\nContent-Length: 2, 2\r\n\r\nhi", "hi", "X", "y"},
		{"a length twice, written otherwise", ok + "X: y\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nhi", "hi", "X", "y"},
		{"a length that is none", ok + "X: y\r\nContent-Length: two\r\n\r\nhi", "hi", "X", "y"},
		{"a negative length", ok + "X: y\r\nContent-Length: -1\r\n\r\nhi", "hi", "X", "y"},
		{"an empty length", ok + "X: y\r\nContent-Length:\r\n\r\nhi", "hi", "X", "y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 7} {
				c := Wrap(&script{answers: []string{tc.answer}, size: size}, 64<<10, true)
				resp, body, err := exchange(c, bufio.NewReader(c))
				if err != nil {
					t.Fatalf("in pieces of %d: %v", size, err)
				}
				if body != tc.body || resp.StatusCode != 200 || resp.Header.Get(tc.field) != tc.value {
					t.Errorf("in pieces of %d: status %d, body %q, %s %q", size, resp.StatusCode, body, tc.field, resp.Header.Get(tc.field))
				}
			}
		})
	}
}

// What nobody can read is left to net/http to refuse.
func TestWhatCannotBeRead(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, answer := range []string{
		"SSH-2.0-OpenSSH_9.6\r\n", "<html>no header</html>", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "HTT", "",
		chunked + "zz\r\nhi\r\n0\r\n\r\n", chunked + "2\r\nhi", chunked + "2\r\nhi\r\n", chunked + "2\r\nhello\r\n0\r\n\r\n", chunked,
		chunked + "fffffffffffffffff\r\nhi", chunked + strings.Repeat("0", 5000) + "2\r\nhi\r\n0\r\n\r\n",
	} {
		c := Wrap(&script{answers: []string{answer}}, 64<<10, false)
		if resp, _, err := exchange(c, bufio.NewReader(c)); err == nil {
			t.Errorf("%q: status %d, want an error", answer, resp.StatusCode)
		}
	}
}

// Answers follow each other on one connection, whatever their bodies look like.
func TestConnectionsAreUsedAgain(t *testing.T) {
	c := Wrap(&script{size: 5, answers: []string{
		"HTTP/1.1 200 OK\r\nbad\r\nContent-Length: 20\r\n\r\nHTTP/1.1 200 OK\nbad\n",
		"HTTP/1.1 404 Gone Fishing\r\nX-lower: a\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\n\tbad\r\nTransfer-Encoding: chunked, chunked\r\n\r\n3\r\nfoo\r\n0\r\n\r\n",
	}}, 64<<10, true)
	br := bufio.NewReader(c)
	for i, want := range []string{"HTTP/1.1 200 OK\nbad\n", "hello", "foo"} {
		_, body, err := exchange(c, br)
		if err != nil || body != want {
			t.Fatalf("answer %d: %q, %v, want %q", i, body, err, want)
		}
		if i == 1 && string(c.Header()) != "HTTP/1.1 404 Gone Fishing\r\nX-lower: a\r\nContent-Length: 5\r\n\r\n" {
			t.Errorf("header %q", c.Header())
		}
	}
}

// Bytes that belong to no response, as those of TLS, go through.
func TestOtherBytesGoThrough(t *testing.T) {
	s := &script{answers: []string{"\x16\x03\x01 HTTP\r\n\r\n"}}
	c := Wrap(s, 100, false)
	if _, err := c.Write([]byte("\x16\x03\x01client hello")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "\x16\x03\x01 HTTP\r\n\r\n" {
		t.Errorf("read %q, %v", b, err)
	}
}

// FuzzHeader holds the tolerant reader to net/http: what that takes comes out
// the same, and nothing makes the reader fail, in whatever pieces it arrives.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.0 200\nTransfer-Encoding: chunked, identity\n\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n00\r\nA: b\r\n\r\nHTTP", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 1\nh\n0",
		"\r\nHTTP/1.1 200 OK\r\nX\r\n y\r\n\r\n", "icy 200", "HTTP/1.1 200 OK\r\nA:\x00\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, answer []byte, size uint8) {
		c := Wrap(&script{answers: []string{string(answer)}, size: int(size)}, 4<<10, true)
		resp, body, err := exchange(c, bufio.NewReader(c))
		plain := &script{answers: []string{string(answer)}}
		_, _ = plain.Write([]byte(request))
		want, err2 := http.ReadResponse(bufio.NewReader(plain), &http.Request{Method: "GET"})
		if err2 != nil || want.StatusCode < 200 || bytes.Contains(answer, []byte("\r\r")) {
			return
		}
		b, err3 := io.ReadAll(want.Body)
		if err3 != nil {
			return
		}
		if want.ProtoMajor != 1 || want.ProtoMinor > 1 || len(want.Status) < 3 || strings.ContainsAny(want.Status, "+-") || want.StatusCode > 999 {
			return // which net/http takes and nobody sends
		}
		if want.ProtoMinor == 0 && strings.Contains(strings.ToLower(string(answer)), "transfer-encoding") {
			return // which has a meaning here
		}
		if err != nil {
			t.Fatalf("net/http takes %q, and not with tolerance: %v", answer, err)
		}
		if resp.StatusCode != want.StatusCode || body != string(b) {
			t.Errorf("%q: status %d and %q, want %d and %q", answer, resp.StatusCode, body, want.StatusCode, b)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	answer := "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n" +
		"Content-Length: 4096\r\nLast-Modified: Tue, 24 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"abc\"\r\nVary: Accept-Encoding\r\n\r\n" + strings.Repeat("x", 4096)
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"plain":    func(c net.Conn) net.Conn { return c },
		"tolerant": func(c net.Conn) net.Conn { return Wrap(c, 64<<10, false) },
	} {
		b.Run(name, func(b *testing.B) {
			s := &script{}
			c := wrap(s)
			buf := make([]byte, 8<<10)
			b.ReportAllocs()
			for b.Loop() {
				s.answers = append(s.answers[:0], answer)
				_, _ = c.Write([]byte(request))
				for s.pending != "" {
					_, _ = c.Read(buf)
				}
			}
		})
	}
}
