package warc

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// twoRecords returns a small file and where its second record begins.
func twoRecords(t testing.TB, appendTo func([]byte, *Record) ([]byte, error)) (file []byte, second int) {
	t.Helper()
	for i := range 2 {
		second = len(file)
		var err error
		file, err = appendTo(file, &Record{
			Type: "metadata", ID: "<urn:x:" + string(rune('0'+i)) + ">", Date: when, Block: []byte("block"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return file, second
}

func appendPlain(b []byte, r *Record) ([]byte, error) { return Append(b, r), nil }

func TestTornFilesAreToldFromWholeOnes(t *testing.T) {
	for name, form := range map[string]func([]byte, *Record) ([]byte, error){
		"plain": appendPlain, "gzip": AppendGzip,
	} {
		file, second := twoRecords(t, form)
		for n := range file {
			r := NewReader(bytes.NewReader(file[:n]))
			whole := 0
			var err error
			for err == nil {
				if _, err = r.Next(); err == nil {
					whole++
				}
			}
			wantWhole, atEnd := 0, n == 0 || n == second
			if n >= second {
				wantWhole = 1
			}
			if whole != wantWhole {
				t.Errorf("%s, %d bytes: %d records, want %d", name, n, whole, wantWhole)
			}
			if atEnd && err != io.EOF {
				t.Errorf("%s, %d bytes: %v, want io.EOF", name, n, err)
			}
			torn := errors.Is(err, ErrFormat) && errors.Is(err, io.ErrUnexpectedEOF)
			if !atEnd && !torn {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("%s, %d bytes: %v, then %v", name, n, err, again)
			}
		}
	}
}

func TestReaderSaysWhichRecordIsBroken(t *testing.T) {
	file, second := twoRecords(t, appendPlain)
	copy(file[second:], "GARC")
	r := NewReader(bytes.NewReader(file))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Next()
	where := fmt.Sprintf("offset %d:", second)
	if !errors.Is(err, ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), where) {
		t.Errorf("got %v, want one at %s", err, where)
	}
}

func TestReaderRefusesWhatIsNotARecord(t *testing.T) {
	zip := func(records ...string) string {
		var b bytes.Buffer
		w := stdgzip.NewWriter(&b)
		io.WriteString(w, strings.Join(records, ""))
		w.Close()
		return b.String()
	}
	record := string(Append(nil, &Record{Type: "metadata", Date: when, Block: []byte("block")}))
	for name, c := range map[string]struct{ file, want string }{
		"another version":     {strings.Replace(record, "1.1", "2.0", 1), "version"},
		"no length":           {strings.Replace(record, "Content-Length", "X-Length", 1), "no Content-Length"},
		"a negative length":   {strings.Replace(record, ": 5", ": -5", 1), "Content-Length"},
		"two lengths":         {strings.Replace(record, "Content-Length", "Content-Length: 5\r\nContent-Length", 1), "twice"},
		"a bad date":          {strings.Replace(record, ": 2025-", ": 25-", 1), "WARC-Date"},
		"a line of no field":  {strings.Replace(record, "WARC-Type:", "WARC-Type", 1), "not a named field"},
		"another block":       {strings.Replace(record, "block", "clock", 1), "digest"},
		"a length too short":  {strings.Replace(record, ": 5", ": 4", 1), "not followed by two line ends"},
		"a block over limits": {strings.Replace(record, ": 5", ": 6000000000", 1), "over the limit"},
		"a header over limits": {
			strings.Replace(record, "WARC-Type: ", "WARC-Type: "+strings.Repeat("x", maxHeader), 1), "header",
		},
		"two records in one gzip member": {zip(record, record), "goes on"},
		"an empty gzip member":           {zip(), "unexpected EOF"},
		"a checksum that is wrong": {func() string {
			z := []byte(zip(record))
			z[len(z)-8] ^= 1
			return string(z)
		}(), "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(c.file)).Next()
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestReaderTakesWhatOtherToolsWrite(t *testing.T) {
	const file = "WARC/1.0\n" +
		"warc-type: response\n" +
		"WARC-Record-ID:<urn:x:1>\n" +
		"WARC-Date: 2016\n" +
		"WARC-Target-URI: <http://a/>\n" +
		"X-Folded: a\n \t b\n" +
		"WARC-Block-Digest: SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\n" +
		"Content-Length: 5\n\nhello\r\n\r\n"
	got := readAll(t, []byte(file))[0]
	want := &Record{
		Type: "response", ID: "<urn:x:1>", Date: time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC), TargetURI: "http://a/",
		Fields: []Field{
			{"X-Folded", "a b"},
			{"WARC-Block-Digest", "SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
		},
		Block: []byte("hello"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDigestsAreComparedInAnyForm(t *testing.T) {
	for _, digest := range []string{
		"sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N", "SHA1:vl2mmho4yxukfwv63yhtwsbm3gxksq2n",
		"sha1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "sha1:qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"", "sha256:not looked at", "no digest",
	} {
		if !digestMatches(digest, []byte("hello")) {
			t.Errorf("%q does not match", digest)
		}
	}
	for _, digest := range []string{"sha1:", "sha1:QVTGHdzF6KLavt4PO0gs2a6pQ00=", Digest([]byte("Hello"))} {
		if digestMatches(digest, []byte("hello")) {
			t.Errorf("%q matches", digest)
		}
	}
}

func TestMaxBlockIsALimit(t *testing.T) {
	file, _ := twoRecords(t, AppendGzip)
	r := NewReader(bytes.NewReader(file))
	r.MaxBlock = 5
	if _, err := r.Next(); err != nil {
		t.Error(err)
	}
	r.MaxBlock = 4
	if _, err := r.Next(); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v", err)
	}
}

func TestMemoryIsTakenForBytesThatAreThere(t *testing.T) {
	const file = "WARC/1.1\r\nContent-Length: 1000000000\r\n\r\nfew"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(strings.NewReader(file)).Next()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 10<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

func TestErrorsOfTheSourceAreNotOfTheFormat(t *testing.T) {
	broken := errors.New("broken disk")
	for name, form := range map[string]func([]byte, *Record) ([]byte, error){
		"plain": appendPlain, "gzip": AppendGzip,
	} {
		file, second := twoRecords(t, form)
		for _, n := range []int{0, 1, second, second + 20} {
			r := NewReader(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
			var err error
			for err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, broken) || errors.Is(err, ErrFormat) {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
		}
	}
}

// FuzzReader reads anything: it must not panic, must stop, and must not return
// more than was there. What it reads can be written and read again.
func FuzzReader(f *testing.F) {
	plain, _ := twoRecords(f, appendPlain)
	zipped, second := twoRecords(f, AppendGzip)
	f.Add(plain)
	f.Add(zipped)
	f.Add(zipped[second:])
	f.Add([]byte("WARC/1.0\nX: y\n z\nWARC-Date: 2016-01\nContent-Length: 0\n\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(file)))
		r.MaxBlock = 1 << 16
		var end int64
		for {
			rec, err := r.Next()
			if err != nil {
				if err != io.EOF && !errors.Is(err, ErrFormat) {
					t.Fatalf("got %v", err)
				}
				break
			}
			if r.Offset() != end || r.Size() <= 0 || len(rec.Block) > 1<<16 {
				t.Fatalf("a record of %d bytes at %d after %d: %+v", r.Size(), r.Offset(), end, rec)
			}
			end += r.Size()
			again := readAll(t, Append(nil, rec))
			if len(again) != 1 || !bytes.Equal(again[0].Block, rec.Block) || !again[0].Date.Equal(rec.Date) {
				t.Fatalf("read %+v, then %+v", rec, again)
			}
		}
		if end > int64(len(file)) {
			t.Fatalf("%d bytes of records in %d", end, len(file))
		}
	})
}

// FuzzAppend writes a record of anything: exactly one is read, with the same
// block and as many fields, and writing that again changes nothing.
func FuzzAppend(f *testing.F) {
	f.Add("response", "<urn:x:1>", int64(1), "http://a/", "text/html", "X-A", "b", []byte("block"))
	f.Add("", "", int64(0), "<x>", "\r\n\r\n", "Content-Length", "7\r\nX: y", []byte("\r\n\r\nWARC/1.1\r\n"))
	f.Fuzz(func(t *testing.T, typ, id string, nanos int64, uri, contentType, name, value string, block []byte) {
		r := &Record{
			Type: typ, ID: id, Date: time.Unix(0, nanos), TargetURI: uri, ContentType: contentType,
			Fields: []Field{{name, value}, {"X-Last", "last"}}, Block: block,
		}
		zipped, err := AppendGzip(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		records := readAll(t, append(zipped, Append(nil, r)...))
		if len(records) != 2 {
			t.Fatalf("%d records", len(records))
		}
		wantFields := 3 // the two and the digest
		if name == "" || reservedName(name) != "" {
			wantFields = 2
		}
		for _, got := range records {
			if !bytes.Equal(got.Block, block) || !got.Date.Equal(r.Date) ||
				len(got.Fields) != wantFields || got.Get("X-Last") != "last" && !strings.EqualFold(name, "X-Last") {
				t.Fatalf("got %+v\nof %+v", got, r)
			}
			if got.ID != "" {
				if again := readAll(t, Append(nil, got))[0]; !reflect.DeepEqual(again, got) {
					t.Fatalf("got %+v\nthen %+v", got, again)
				}
			}
		}
	})
}
