package warc

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var when = time.Date(2025, 3, 4, 5, 6, 7, 89, time.UTC)

// readAll returns the records of a file, which must be sound.
func readAll(t testing.TB, file []byte) []*Record {
	t.Helper()
	var records []*Record
	r := NewReader(bytes.NewReader(file))
	for end := int64(0); ; end = r.Offset() + r.Size() {
		rec, err := r.Next()
		if err == io.EOF {
			if end != int64(len(file)) {
				t.Fatalf("the last record ends at %d of %d bytes", end, len(file))
			}
			return records
		}
		if err != nil {
			t.Fatalf("after %d records: %v", len(records), err)
		}
		if r.Offset() != end {
			t.Fatalf("record %d is at %d, but the one before ends at %d", len(records), r.Offset(), end)
		}
		records = append(records, rec)
	}
}

// member returns what one gzip member holds, as the standard library reads it.
func member(t testing.TB, b []byte) []byte {
	t.Helper()
	rest := bytes.NewReader(b)
	z, err := stdgzip.NewReader(rest)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if rest.Len() != 0 {
		t.Fatalf("%d bytes behind the gzip member", rest.Len())
	}
	return text
}

func TestAppendWritesTheFieldsOfTheStandard(t *testing.T) {
	got := string(Append(nil, &Record{
		Type:        "metadata",
		ID:          "<urn:uuid:00000000-0000-4000-8000-000000000000>",
		Date:        when.In(time.FixedZone("", 3600)),
		TargetURI:   "https://example.com/",
		ContentType: "text/plain",
		Fields:      []Field{{"WARC-IP-Address", "192.0.2.1"}},
		Block:       []byte("hello"),
	}))
	want := strings.ReplaceAll(`WARC/1.1
WARC-Type: metadata
WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>
WARC-Date: 2025-03-04T05:06:07.000000089Z
WARC-Target-URI: https://example.com/
Content-Type: text/plain
WARC-IP-Address: 192.0.2.1
WARC-Block-Digest: sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N
Content-Length: 5

hello

`, "\n", "\r\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRecordsAreReadBackAsWritten(t *testing.T) {
	records := []*Record{
		{Type: "warcinfo", ID: NewID(), Date: when, ContentType: "application/warc-fields", Block: []byte("software: x\r\n")},
		{Type: "metadata", ID: NewID(), Date: time.Time{}, Block: []byte{}},
		{
			Type: "resource", ID: NewID(), Date: when, TargetURI: "http://a/?b=<c>",
			Fields: []Field{{"X-Twice", "1"}, {"X-Empty", ""}, {"X-Twice", "é: \t2"}},
			Block:  bytes.Repeat([]byte("\r\n\r\nWARC/1.1\r\n"), 20_000),
		},
	}
	var plain, zipped []byte
	for _, r := range records {
		plain = Append(plain, r)
		var err error
		if zipped, err = AppendGzip(zipped, r); err != nil {
			t.Fatal(err)
		}
	}
	records[2].Fields[2].Value = "é:  2" // a tab is a control character
	for i := range records {
		digest := Field{"WARC-Block-Digest", Digest(records[i].Block)}
		records[i].Fields = append(records[i].Fields, digest)
	}
	for name, file := range map[string][]byte{"plain": plain, "gzip": zipped} {
		if got := readAll(t, file); !reflect.DeepEqual(got, records) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, records)
		}
	}
}

func TestNewIDIsARandomUUID(t *testing.T) {
	form := regexp.MustCompile(`^<urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}>$`)
	a, b := NewID(), NewID()
	if !form.MatchString(a) || !form.MatchString(b) || a == b {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestValuesCannotBeginALine(t *testing.T) {
	const evil = "x\r\n\r\nWARC/1.1\r\nEvil: yes\r\x00\n"
	text := Append(nil, &Record{
		Type: evil, ID: evil, Date: when, TargetURI: "http://a/" + evil, ContentType: evil,
		Fields: []Field{{evil, evil}, {"", "no name"}, {"content-LENGTH", "7"}, {"X-Bytes", "\xff"}},
	})
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if strings.HasPrefix(line, "Evil") || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("%q is a line of the record", line)
		}
	}
	got := readAll(t, text)
	if len(got) != 1 {
		t.Fatalf("%d records were read", len(got))
	}
	want := &Record{
		Type: "x    WARC/1.1  Evil: yes", ID: "x    WARC/1.1  Evil: yes", Date: when,
		TargetURI:   "http://a/x%0D%0A%0D%0AWARC/1.1%0D%0AEvil:%20yes%0D%00%0A",
		ContentType: "x    WARC/1.1  Evil: yes",
		Fields: []Field{
			{"x____WARC_1.1__Evil__yes___", "x    WARC/1.1  Evil: yes"},
			{"X-Bytes", "\uFFFD"},
			{"WARC-Block-Digest", Digest(nil)},
		},
		Block: []byte{},
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v\nwant %+v", got[0], want)
	}
}

func TestRecordWithoutIDIsGivenOne(t *testing.T) {
	got := readAll(t, Append(nil, &Record{Type: "metadata"}))
	if !strings.HasPrefix(got[0].ID, "<urn:uuid:") {
		t.Errorf("ID %q", got[0].ID)
	}
}

func TestExchangeIsAResponseAndARequest(t *testing.T) {
	x := &Exchange{
		URL: "https://example.com/a b?c=d e#f", Time: when, IP: "192.0.2.1",
		Proto: "HTTP/2.0", Status: 200,
		RequestHeader: http.Header{"User-Agent": {"weir"}, "Accept": {"*/*"}},
		Header: http.Header{
			"content-encoding":  {"gzip"},
			"Transfer-Encoding": {"chunked"},
			"Set-Cookie":        {"a=1", "b=2"},
		},
		Body:      []byte("body"),
		Truncated: "length",
	}
	before := []byte("before")
	out, n, err := x.AppendRecords(before)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(out, before) {
		t.Fatal("what was there has changed")
	}
	out = out[len(before):]
	member(t, out[:n])
	member(t, out[n:])
	records := readAll(t, out)
	res, req := records[0], records[1]
	for _, r := range records {
		if r.TargetURI != "https://example.com/a%20b?c=d%20e#f" || !r.Date.Equal(when) ||
			r.Get("warc-ip-address") != "192.0.2.1" || r.Get("WARC-Protocol") != "h2" {
			t.Errorf("got %+v", r)
		}
	}
	if res.Type != "response" || res.ContentType != "application/http; msgtype=response" ||
		res.Get("WARC-Payload-Digest") != Digest([]byte("body")) || res.Get("WARC-Truncated") != "length" {
		t.Errorf("response %+v", res)
	}
	if req.Type != "request" || req.ContentType != "application/http; msgtype=request" ||
		req.Get("WARC-Concurrent-To") != res.ID || req.Get("WARC-Truncated") != "" {
		t.Errorf("request %+v", req)
	}
	wantResponse := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n" +
		"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Archive-Orig-Transfer-Encoding: chunked\r\n\r\nbody"
	if string(res.Block) != wantResponse {
		t.Errorf("response\n%s\nwant\n%s", res.Block, wantResponse)
	}
	wantRequest := "GET /a%20b?c=d%20e HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: weir\r\n\r\n"
	if string(req.Block) != wantRequest {
		t.Errorf("request\n%s\nwant\n%s", req.Block, wantRequest)
	}
}

func TestResponseBlock(t *testing.T) {
	for name, c := range map[string]struct {
		x    Exchange
		want string
	}{
		"length that is right": {
			Exchange{Proto: "HTTP/1.0", Status: 404, Header: http.Header{"Content-Length": {"2"}}, Body: []byte("no")},
			"HTTP/1.0 404 Not Found\nContent-Length: 2\n\nno",
		},
		"length of a body cut short": {
			Exchange{Proto: "HTTP/1.1", Status: 299, Header: http.Header{"Content-Length": {"99"}}, Body: []byte("no")},
			"HTTP/1.1 299 \nContent-Length: 2\nX-Archive-Orig-Content-Length: 99\n\nno",
		},
		"no length": {
			Exchange{Status: 200},
			"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		},
		"a status without a body": {
			Exchange{Proto: "HTTP/3.0", Status: 304, Header: http.Header{"Content-Length": {"99"}}},
			"HTTP/1.1 304 Not Modified\nContent-Length: 99\n\n",
		},
		"hostile headers": {
			Exchange{Status: 200, Header: http.Header{
				"a":              {"1\r\n\r\nbody\x00"},
				"A":              {"0"},
				"B: b\r\n\r\nc":  {"2"},
				"":               {"3"},
				"content-length": {"7", "8"},
			}},
			"HTTP/1.1 200 OK\nA: 0\nA: 1    body \nB__b____c: 2\nContent-Length: 0\n" +
				"X-Archive-Orig-Content-Length: 7\nX-Archive-Orig-Content-Length: 8\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(responseBlock(&c.x))
			if want := strings.ReplaceAll(c.want, "\n", "\r\n"); got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// A header that is known as it was sent is kept so.
func TestRawHeaderIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		raw, body, want string
		status          int
	}{
		"order, spelling, reason": {"HTTP/1.0 200 Fine By Me\r\nx-b: 1\r\nX-A: 2\r\nx-b: 3\r\ncontent-LENGTH: 2\r\n\r\n", "hi",
			"HTTP/1.0 200 Fine By Me\r\nx-b: 1\r\nX-A: 2\r\nx-b: 3\r\ncontent-LENGTH: 2\r\n\r\nhi", 200},
		"chunked": {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nA: b\r\n\r\n", "hi",
			"HTTP/1.1 200 OK\r\nX-Archive-Orig-transfer-encoding: chunked\r\nA: b\r\nContent-Length: 2\r\n\r\nhi", 200},
		"a length that does not hold": {"HTTP/1.1 200 OK\nContent-Length: 7\nno colon\n folded\n\n", "hi",
			"HTTP/1.1 200 OK\r\nX-Archive-Orig-Content-Length: 7\r\nno colon\r\n folded\r\nContent-Length: 2\r\n\r\nhi", 200},
		"a length twice": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n", "hi",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Archive-Orig-Content-Length: 2\r\n\r\nhi", 200},
		"not modified": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304},
		"no end":       {"HTTP/1.1 200", "", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			x := Exchange{Status: c.status, RawHeader: []byte(c.raw), Header: http.Header{"Not": {"this"}}, Body: []byte(c.body)}
			if got := string(responseBlock(&x)); got != c.want {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

func TestABarePercentSignIsArchived(t *testing.T) {
	for _, u := range []string{"http://a/100%", "http://a/50%-off?x=%zz%41", "http://a/%4"} {
		x := Exchange{URL: u, Status: 200, RequestHeader: http.Header{}}
		out, _, err := x.AppendRecords(nil)
		if err != nil || readAll(t, out)[0].TargetURI != u {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestProtocolIsKept(t *testing.T) {
	for _, c := range []struct{ proto, url, want string }{
		{"HTTP/1.1", "http://a/", "http/1.1"},
		{"HTTP/2.0", "https://a/", "h2"},
		{"HTTP/2.0", "http://a/", "h2c"},
		{"HTTP/3.0", "https://a/", "h3"},
		{"", "https://a/", ""},
	} {
		x := Exchange{URL: c.url, Proto: c.proto, Status: 200}
		out, n, err := x.AppendRecords(nil)
		if err != nil {
			t.Fatal(err)
		}
		if n != len(out) {
			t.Errorf("the response is %d of %d bytes, but there is no request", n, len(out))
		}
		if got := readAll(t, out)[0].Get("WARC-Protocol"); got != c.want {
			t.Errorf("%s of %s: WARC-Protocol %q, want %q", c.proto, c.url, got, c.want)
		}
	}
}

func TestExchangeOfHostileURLs(t *testing.T) {
	x := Exchange{URL: "http://a/\r\nEvil: yes", Status: 200, RequestHeader: http.Header{}}
	if out, _, err := x.AppendRecords([]byte("b")); err == nil || string(out) != "b" {
		t.Errorf("got %q, %v", out, err)
	}
	x.URL = "http://a/?q= HTTP/1.1\u0085\xff"
	out, _, err := x.AppendRecords(nil)
	if err != nil {
		t.Fatal(err)
	}
	req := readAll(t, out)[1]
	if want := "GET /?q=%20HTTP/1.1%C2%85%FF HTTP/1.1\r\nHost: a\r\n\r\n"; string(req.Block) != want {
		t.Errorf("got %q, want %q", req.Block, want)
	}
}

// What arrived compressed is not compressed again, and is read back all the same.
func TestCompressedBodiesAreStored(t *testing.T) {
	body := bytes.Repeat([]byte("what would compress very well "), 100)
	for coding, stored := range map[string]bool{"": false, "identity": false, "gzip": true, "BR": true, "identity, zstd": true} {
		x := &Exchange{URL: "http://example.com/", Time: time.Unix(1, 0), Proto: "HTTP/1.1", Status: 200, Header: http.Header{}, Body: body}
		if coding != "" {
			x.Header.Set("Content-Encoding", coding)
		}
		out, _, err := x.AppendRecords(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(out, body); got != stored {
			t.Errorf("coding %q: the body is there as it was: %v, want %v", coding, got, stored)
		}
		r, err := NewReader(bytes.NewReader(out)).Next()
		if err != nil || !bytes.HasSuffix(r.Block, body) {
			t.Errorf("coding %q: read back %v", coding, err)
		}
	}
}

// responseBlock returns the block of the record of a response.
func responseBlock(x *Exchange) []byte { return append(x.responseHead(), x.Body...) }
