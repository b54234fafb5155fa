package stages

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// local is a Fetcher that may reach the test's own server.
func local() *Fetcher { return &Fetcher{AllowPrivate: true} }

// serve starts a server for the test and returns its URL.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// serveRaw answers each connection with the bytes given, after reading a
// request's header, and closes it.
func serveRaw(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				if _, err := c.Read(buf); err == nil {
					io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func compressed(t testing.TB, encoding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return data
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFetchDecodesEachEncoding(t *testing.T) {
	page := []byte("<!doctype html><title>T</title>" + strings.Repeat("<p>Some text of the page.</p>\n", 500))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		e := strings.TrimPrefix(r.URL.Path, "/")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		body := page
		for _, one := range strings.Split(e, "+") {
			body = compressed(t, one, body)
		}
		if e != "" {
			w.Header().Set("Content-Encoding", strings.ReplaceAll(e, "+", ", "))
		}
		w.Write(body)
	})
	f := local()
	for _, e := range []string{"", "gzip", "br", "zstd", "deflate", "gzip+br"} {
		for range 2 { // the second time with a pooled decoder
			resp, err := f.Fetch(t.Context(), FetchRequest{URL: url + "/" + e})
			if err != nil {
				t.Fatalf("%q: %v", e, err)
			}
			if !bytes.Equal(resp.Body, page) {
				t.Errorf("%q: body of %d bytes, want %d", e, len(resp.Body), len(page))
			}
			if resp.Digest != sha256.Sum256(page) {
				t.Errorf("%q: digest differs", e)
			}
			if e != "" && resp.WireSize >= int64(len(page)) {
				t.Errorf("%q: wire size %d", e, resp.WireSize)
			}
			if !resp.IsHTML() || resp.Remote == "" || resp.Timings.Total <= 0 || resp.Timings.FirstByte <= 0 {
				t.Errorf("%q: incomplete response %+v", e, resp)
			}
		}
	}
}

func TestFetchClassifiesStatuses(t *testing.T) {
	date := time.Now().Add(90 * time.Second).UTC()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		switch status {
		case 429:
			w.Header().Set("Retry-After", "120")
		case 503:
			w.Header().Set("Retry-After", date.Format(http.TimeFormat))
		case 301:
			w.Header().Set("Location", "../b?x=1#frag")
		}
		w.WriteHeader(status)
		if status == 404 {
			io.WriteString(w, "gone")
		}
	})
	for _, tc := range []struct {
		status    int
		reason    Reason // "" for no error
		permanent bool
		retry     time.Duration // roughly
	}{
		{200, "", false, 0},
		{204, "", false, 0},
		{301, "", false, 0},
		{302, ReasonRedirect, true, 0},
		{400, "http_400", true, 0},
		{404, "http_404", true, 0},
		{408, "http_408", false, 0},
		{410, "http_410", true, 0},
		{429, ReasonRateLimited, false, 120 * time.Second},
		{500, "http_500", false, 0},
		{501, "http_501", true, 0},
		{503, "http_503", false, 90 * time.Second},
	} {
		t.Run(fmt.Sprint(tc.status), func(t *testing.T) {
			f := local()
			f.Types = []string{"*/*"}
			resp, err := f.Fetch(t.Context(), FetchRequest{URL: fmt.Sprintf("%s/%d", url, tc.status)})
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if tc.status == 301 && resp.Redirect != url+"/b?x=1" {
					t.Errorf("Redirect = %q", resp.Redirect)
				}
				return
			}
			e := AsError(err)
			if e == nil {
				t.Fatalf("got %v, want an *Error", err)
			}
			if resp == nil || resp.Status != tc.status {
				t.Errorf("the response is missing: %+v", resp)
			}
			if e.Reason != tc.reason || e.Permanent != tc.permanent {
				t.Errorf("got %s permanent=%v, want %s permanent=%v", e.Reason, e.Permanent, tc.reason, tc.permanent)
			}
			if got := time.Until(e.RetryAfter); tc.retry != 0 && (got > tc.retry || got < tc.retry-10*time.Second) {
				t.Errorf("retry after %v, want about %v", got, tc.retry)
			} else if tc.retry == 0 && !e.RetryAfter.IsZero() {
				t.Errorf("RetryAfter = %v", e.RetryAfter)
			}
		})
	}
}

func TestFetchConditional(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == "yesterday" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		t.Errorf("header %v", r.Header)
	})
	resp, err := local().Fetch(t.Context(), FetchRequest{URL: url, ETag: `"v1"`, LastModified: "yesterday"})
	if err != nil {
		t.Fatal(err)
	}
	if !resp.NotModified || resp.Status != 304 {
		t.Errorf("got %+v", resp)
	}
}

func TestFetchSendsItsHeaders(t *testing.T) {
	var got http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	f := local()
	f.AcceptLanguage = "de"
	_, err := f.Fetch(t.Context(), FetchRequest{URL: strings.Replace(url, "http://", "http://user:secret@", 1) + "/#frag", Header: http.Header{"Accept": {"text/plain"}}})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"User-Agent": DefaultUserAgent, "Accept": "text/plain", "Accept-Language": "de",
		"Accept-Encoding": "gzip, br, zstd, deflate", "Authorization": "",
	} {
		if got.Get(k) != want {
			t.Errorf("%s = %q, want %q", k, got.Get(k), want)
		}
	}
}

func TestFetchBoundsBodies(t *testing.T) {
	zeros := make([]byte, 8<<20)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		switch r.URL.Path {
		case "/announced":
			w.Header().Set("Content-Length", fmt.Sprint(len(zeros)))
			w.Write(zeros)
		case "/stream":
			for range 64 {
				w.Write(zeros[:64<<10])
				w.(http.Flusher).Flush()
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(compressed(t, "gzip", zeros))
		case "/bomb2":
			w.Header().Set("Content-Encoding", "gzip, zstd")
			w.Write(compressed(t, "zstd", compressed(t, "gzip", zeros)))
		}
	})
	for _, tc := range []struct {
		path    string
		fetcher *Fetcher
		want    Reason
	}{
		{"/announced", &Fetcher{MaxBody: 1 << 20}, ReasonTooLarge},
		{"/stream", &Fetcher{MaxBody: 1 << 20}, ReasonTooLarge},
		{"/stream", &Fetcher{MaxWire: 1 << 20}, ReasonTooLarge},
		{"/bomb", &Fetcher{MaxBody: 1 << 20, MaxRatio: 1 << 20}, ReasonTooLarge},
		{"/bomb", &Fetcher{MaxRatio: 200}, ReasonRatio},
		{"/bomb2", &Fetcher{}, ReasonRatio},
	} {
		tc.fetcher.AllowPrivate = true
		tc.fetcher.Types = []string{"*/*"}
		resp, err := tc.fetcher.Fetch(t.Context(), FetchRequest{URL: url + tc.path})
		if e := AsError(err); e == nil || e.Reason != tc.want || !e.Permanent {
			t.Errorf("%s: got %v, want %s", tc.path, err, tc.want)
		} else if len(resp.Body) != 0 {
			t.Errorf("%s: %d bytes of body", tc.path, len(resp.Body))
		}
	}
	for _, path := range []string{"/announced", "/stream", "/bomb"} {
		cut := &Fetcher{MaxBody: 1 << 20, MaxRatio: 1 << 20, Cut: true, AllowPrivate: true, Types: []string{"*/*"}}
		resp, err := cut.Fetch(t.Context(), FetchRequest{URL: url + path})
		if e := AsError(err); e == nil || e.Reason != ReasonTooLarge || len(resp.Body) != 1<<20 {
			t.Errorf("%s, cut: got %v, want %s and the first mebibyte", path, err, ReasonTooLarge)
		}
	}
}

func TestFetchOfAPercentSignThatBeginsNoEscape(t *testing.T) {
	var got string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.Path })
	for sent, want := range map[string]string{"/100%.html": "/100%.html", "/a%zz%41%": "/a%zzA%", "/%4": "/%4"} {
		if _, err := local().Fetch(t.Context(), FetchRequest{URL: url + sent}); err != nil || got != want {
			t.Errorf("%s: the server saw %q, %v, want %q", sent, got, err, want)
		}
	}
}

// A Location is read as links are, with the bytes that were sent.
func TestFetchReadsLocationsAsLinks(t *testing.T) {
	for sent, want := range map[string]string{
		"/sale-50%-off":            "/sale-50%-off",
		"/caf\xe9":                 "/caf%E9",
		"/caf\xc3\xa9?q=\xc3\xa9":  "/caf%C3%A9?q=%C3%A9",
		`\a\b`:                     "/a/b",
		"../a b#fragment":          "/a%20b",
		"  /a\t":                   "/a",
		"?page=2":                  "/?page=2",
		"http:///F.example:80/%7e": "http://f.example/~",
	} {
		url := serveRaw(t, "HTTP/1.1 302 Found\r\nLocation: "+sent+"\r\nContent-Length: 0\r\n\r\n")
		resp, err := local().Fetch(t.Context(), FetchRequest{URL: url})
		if err != nil || strings.TrimPrefix(resp.Redirect, strings.TrimSuffix(url, "/")) != want {
			t.Errorf("Location %q: %+v, %v, want %q", sent, resp.Redirect, err, want)
		}
	}
}

func TestFetchNoticesBrokenAnswers(t *testing.T) {
	half := compressed(t, "gzip", []byte(strings.Repeat("some text ", 1000)))
	half = half[:len(half)/2]
	for _, tc := range []struct {
		name, answer string
		want         Reason
		permanent    bool
	}{
		{"content length", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nshort", ReasonTruncated, false},
		{"chunked", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ReasonTruncated, false},
		{"bad chunk", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", ReasonProtocol, true},
		{"gzip cut", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(half), half), ReasonTruncated, false},
		{"corrupt gzip", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ReasonEncoding, true},
		{"not http", "SSH-2.0-OpenSSH_9.6\r\n", ReasonProtocol, true},
		{"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ReasonProtocol, true},
		{"nothing", "", ReasonReset, false},
		{"header too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n", ReasonTooLarge, true},
		{"image", "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n", ReasonType, true},
		{"bad location", "HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n", ReasonRedirect, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := local().Fetch(t.Context(), FetchRequest{URL: serveRaw(t, tc.answer)})
			e := AsError(err)
			if e == nil {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Reason != tc.want || e.Permanent != tc.permanent {
				t.Errorf("got %v (permanent %v), want %s (permanent %v)", e, e.Permanent, tc.want, tc.permanent)
			}
		})
	}
}

// A header is read as browsers do, over TLS too, and is kept as it was sent.
func TestFetchReadsHeadersAsServersSendThem(t *testing.T) {
	const header = "HTTP/1.1 200 Fine By Me\r\nx-Lower: a\r\nno colon here\r\nContent-type: text/html\r\nTransfer-Encoding: identity\r\nX-Lower: b\r\nContent-Length: 5, 5\r\n\r\n"
	f := local()
	f.KeepWire = true
	resp, err := f.Fetch(t.Context(), FetchRequest{URL: serveRaw(t, header+"hello")})
	if err != nil || string(resp.Body) != "hello" || string(resp.RawHeader) != header {
		t.Errorf("%v, header %q", err, resp.RawHeader)
	}

	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, header+"hello")
	}))
	srv.EnableHTTP2 = false
	srv.StartTLS()
	t.Cleanup(srv.Close)
	f = local()
	f.KeepWire = true
	f.Transport = func(builtin *http.Transport) http.RoundTripper {
		builtin.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
		return builtin
	}
	resp, err = f.Fetch(t.Context(), FetchRequest{URL: srv.URL})
	if err != nil || string(resp.Body) != "hello" || string(resp.RawHeader) != header || resp.Timings.TLS == 0 {
		t.Errorf("by TLS: %v, %+v", err, resp)
	}
}

// A coding is what the bytes are, whatever it is called.
func TestFetchGoesByTheBytesOfACoding(t *testing.T) {
	const page = "<!doctype html><title>T</title><p>Some text of the page, long enough to be compressed, compressed, compressed."
	gz := string(compressed(t, "gzip", []byte(page)))
	for _, tc := range []struct{ name, coding, body string }{
		{"gzip", "gzip", gz},
		{"gzip called x-gzip", "X-GZIP", gz},
		{"gzip called nonsense", "utf-8", gz},
		{"gzip called br", "br", gz},
		{"gzip called deflate", "deflate", gz},
		{"gzip not mentioned", "identity", gz},
		{"gzip twice, once mentioned", "gzip", string(compressed(t, "gzip", []byte(gz)))},
		{"gzip in two members", "gzip", string(compressed(t, "gzip", []byte(page[:40]))) + string(compressed(t, "gzip", []byte(page[40:])))},
		{"gzip with bytes behind it", "gzip", gz + "\n<!-- served by a cache -->"},
		{"zstd called gzip", "gzip", string(compressed(t, "zstd", []byte(page)))},
		{"zstd with bytes behind it", "zstd", string(compressed(t, "zstd", []byte(page))) + "\r\n\r\n"},
		{"br called gzip", "gzip", string(compressed(t, "br", []byte(page)))},
		{"br with bytes behind it", "br", string(compressed(t, "br", []byte(page))) + "\r\n"},
		{"deflate called gzip", "gzip", string(compressed(t, "deflate", []byte(page)))},
		{"plain called gzip", "gzip", page},
		{"plain called br", "br", page},
		{"plain called zstd", "zstd", page},
		{"plain called deflate", "deflate", page},
		{"plain called iso-8859-1", "iso-8859-1", page},
		{"plain called all at once", "gzip, br, aws-chunked, 8bit, binary", page},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", tc.coding, len(tc.body), tc.body)
			resp, err := local().Fetch(t.Context(), FetchRequest{URL: serveRaw(t, answer)})
			if err != nil || string(resp.Body) != page {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// A table of empty rows is honest, however well it can be compressed.
func TestFetchTakesAnEmptyTable(t *testing.T) {
	table := []byte("<table>" + strings.Repeat("<tr><td></td><td></td><td></td><td></td></tr>\n", 60_000) + "</table>")
	for _, coding := range []string{"gzip", "br", "zstd"} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", coding)
			w.Write(compressed(t, coding, table))
		})
		if resp, err := local().Fetch(t.Context(), FetchRequest{URL: url}); err != nil || len(resp.Body) != len(table) {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

func TestFetchKeepsWhatArrived(t *testing.T) {
	resp, err := local().Fetch(t.Context(), FetchRequest{URL: serveRaw(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nshort")})
	if e := AsError(err); e == nil || e.Reason != ReasonTruncated {
		t.Fatal(err)
	}
	if string(resp.Body) != "short" {
		t.Errorf("body %q", resp.Body)
	}
}

// With KeepWire a response has what an archive stores.
func TestFetchKeepsTheWire(t *testing.T) {
	page := []byte("<!doctype html><title>T</title>" + strings.Repeat("<p>Some text of the page.</p>\n", 500))
	bodies := map[string][]byte{"/": page, "/gzip": compressed(t, "gzip", page), "/404": []byte("not here"), "/long": make([]byte, 1<<20), "/moved": []byte("there")}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "/404", "/long":
			w.WriteHeader(http.StatusNotFound)
		case "/moved":
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusFound)
		}
		w.Write(bodies[r.URL.Path])
	})
	f := local()
	f.KeepWire = true
	for path, want := range bodies {
		resp, _ := f.Fetch(t.Context(), FetchRequest{URL: url + path})
		if path == "/long" {
			want = want[:256<<10]
		}
		if !bytes.Equal(resp.Wire, want) || resp.WireCut != (path == "/long") {
			t.Errorf("%s: %d bytes on the wire, cut: %t, want %d", path, len(resp.Wire), resp.WireCut, len(want))
		}
		if resp.RequestHeader.Get("User-Agent") == "" {
			t.Errorf("%s: request header %v", path, resp.RequestHeader)
		}
	}
	resp, err := local().Fetch(t.Context(), FetchRequest{URL: url + "/gzip"})
	if err != nil || resp.Wire != nil || resp.RequestHeader != nil {
		t.Errorf("without KeepWire: %d bytes, %v, %v", len(resp.Wire), resp.RequestHeader, err)
	}
}

func TestFetchTimeouts(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<p>begun"))
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	for _, tc := range []struct {
		name, path string
		f          *Fetcher
		detail     string
	}{
		{"header", "/header", &Fetcher{HeaderTimeout: 30 * time.Millisecond}, "awaiting response headers"},
		{"body", "/body", &Fetcher{IdleTimeout: 30 * time.Millisecond}, "no body within 30ms"},
		{"whole", "/body", &Fetcher{Timeout: 50 * time.Millisecond}, "no complete answer within 50ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.f.AllowPrivate = true
			_, err := tc.f.Fetch(t.Context(), FetchRequest{URL: url + tc.path})
			e := AsError(err)
			if e == nil || e.Reason != ReasonTimeout || e.Permanent || !strings.Contains(e.Detail, tc.detail) {
				t.Errorf("got %v, want a timeout with %q", err, tc.detail)
			}
		})
	}
	t.Run("caller", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := local().Fetch(ctx, FetchRequest{URL: url})
		if e := AsError(err); e == nil || e.Reason != ReasonCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
}

func TestFetchRefusesPrivateAddresses(t *testing.T) {
	hits := 0
	url := serve(t, func(http.ResponseWriter, *http.Request) { hits++ })
	port := url[strings.LastIndexByte(url, ':'):]
	var f Fetcher
	for _, u := range []string{
		url, "http://localhost" + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port,
		"http://10.1.2.3/", "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0" + port,
	} {
		_, err := f.Fetch(t.Context(), FetchRequest{URL: u})
		if e := AsError(err); e == nil || e.Reason != ReasonPrivateAddress || !e.Permanent {
			t.Errorf("%s: got %v, want private_address", u, err)
		}
	}
	if hits != 0 {
		t.Errorf("%d requests reached the server", hits)
	}
}

func TestFetchNamesConnectionFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for _, tc := range []struct {
		url  string
		want Reason
	}{
		{closed, ReasonRefused},
		{strings.Replace(plain, "http:", "https:", 1), ReasonTLS},
		{secure.URL, ReasonTLS},
		{"ftp://example.com/", ReasonBadURL},
		{"http:///", ReasonBadURL},
		{"http://a b/", ReasonBadURL},
		{"%zz", ReasonBadURL},
		{"", ReasonBadURL},
	} {
		_, err := local().Fetch(t.Context(), FetchRequest{URL: tc.url})
		if e := AsError(err); e == nil || e.Reason != tc.want {
			t.Errorf("%s: got %v, want %s", tc.url, err, tc.want)
		}
	}
}

func TestFetchSpeaksHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	f := local()
	f.once.Do(f.init)
	tr := f.newTransport(nil)
	tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	tr.TLSClientConfig.NextProtos = nil
	f.transport = tr
	resp, err := f.Fetch(t.Context(), FetchRequest{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Proto != "HTTP/2.0" || string(resp.Body) != "HTTP/2.0" || resp.Timings.TLS <= 0 {
		t.Errorf("got %s, body %q, %+v", resp.Proto, resp.Body, resp.Timings)
	}
}

func TestSniffType(t *testing.T) {
	for _, tc := range []struct{ declared, body, want string }{
		{"text/html", "<html>", ""},
		{"", "<!DOCTYPE HTML><p>", "text/html"},
		{"", "just words", "text/plain"},
		{"", "", "text/plain"},
		{"application/octet-stream", "<html><body>", "text/html"},
		{"application/octet-stream", "\x89PNG\r\n\x1a\n0000", "image/png"},
		{"text/plain", "<!doctype html><title>x", ""},
		{"text/plain", "BM is how this begins", ""},
		{"text/plain", "ID3 is how this begins", ""},
		{"text/plain", "BM\x00\x01\x00\x00", "image/bmp"},
		{"application/octet-stream", "BM is how this begins", "text/plain"},
		{"", "\xef\xbb\xbf<!doctype html><p>", "text/html"},
		{"", "<?xml version='1.0'?><rss version='2.0'>", "application/rss+xml"},
		{"text/html", "<?xml version='1.0'?><!-- a feed --><feed xmlns='http://www.w3.org/2005/Atom'>", "application/atom+xml"},
		{"text/xml", "<?xml version='1.0'?><!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'>", "application/xhtml+xml"},
		{"application/xml", "<html/>", "application/xhtml+xml"},
		{"application/xml", "<urlset>", ""},
		{"text/plain", "words", ""},
		{"text/html", "%PDF-1.7 ...", "application/pdf"},
		{"text/html", "\xff\xfe<\x00h\x00", ""},
		{"application/json", "<html>", ""},
	} {
		if got := sniffType(tc.declared, []byte(tc.body)); got != tc.want {
			t.Errorf("sniffType(%q, %q) = %q, want %q", tc.declared, tc.body, got, tc.want)
		}
	}
}

func TestContentType(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{[]string{"text/html"}, "text/html"},
		{[]string{" Text/HTML ; charset=x"}, "Text/HTML ; charset=x"},
		{[]string{"text/plain", "text/html"}, "text/html"},
		{[]string{"text/html", "html"}, "text/html"},
		{[]string{"text/html; charset=koi8-r, text/html"}, "text/html; charset=koi8-r"},
		{[]string{"text/html; charset=koi8-r", "text/plain"}, "text/plain"},
		{[]string{"text/html,*/*"}, "text/html"},
		{[]string{"text/html charset=koi8-r"}, "text/html charset=koi8-r"},
		{[]string{"\"text/html\""}, ""}, {[]string{"text"}, ""}, {[]string{"text/"}, ""}, {[]string{"text/a/b"}, ""}, {nil, ""},
	} {
		if got := contentType(http.Header{"Content-Type": tc.lines}); got != tc.want {
			t.Errorf("contentType(%q) = %q, want %q", tc.lines, got, tc.want)
		}
	}
	if got := MediaType("TEXT/HTML charset=x"); got != "text/html" {
		t.Errorf("media type %q", got)
	}
}

func TestMatchType(t *testing.T) {
	for _, tc := range []struct {
		t, pattern string
		want       bool
	}{
		{"text/html", "text/html", true}, {"text/html", "text/*", true}, {"image/png", "text/*", false},
		{"application/rss+xml", "application/*+xml", true}, {"application/xml", "application/*+xml", false},
		{"image/png", "*/*", true}, {"", "*/*", true}, {"", "text/*", false},
	} {
		if got := MatchType(tc.t, []string{tc.pattern}); got != tc.want {
			t.Errorf("MatchType(%q, %q) = %v", tc.t, tc.pattern, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		in   string
		want time.Duration // 0 for none
	}{
		{"", 0}, {"0", 0}, {"-5", 0}, {"soon", 0}, {"90", 90 * time.Second}, {" 7 ", 7 * time.Second},
		{"99999999999999999999", maxRetryAfter}, {"31536000", maxRetryAfter}, {"-99999999999999999999", 0}, {"1.5", 0},
		{"Friday, 02-Jan-26 03:05:05 GMT", time.Minute}, {"Fri Jan  2 03:05:05 2026", time.Minute},
		{"Fri, 01 Jan 9999 00:00:00 GMT", maxRetryAfter}, {"Fri, 02 Jan 2026 03:05:05 +0200", 0}, // no HTTP date
		{now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{now.Add(-time.Minute).Format(http.TimeFormat), 0},
	} {
		var want time.Time
		if tc.want != 0 {
			want = now.Add(tc.want)
		}
		if got := ParseRetryAfter(tc.in, now); !got.Equal(want) {
			t.Errorf("ParseRetryAfter(%q) = %v, want %v", tc.in, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		if at := ParseRetryAfter(value, now); !at.IsZero() && (!at.After(now) || at.Sub(now) > maxRetryAfter) {
			t.Fatalf("ParseRetryAfter(%q) = %v", value, at)
		}
	})
}
