package warc_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-301537d8/weir/stages/warc"
)

// An archive is written piece by piece; the position that Write returns is
// stored with whatever says that the page is done.
func ExampleArchive_Write() {
	dir, err := os.MkdirTemp("", "archive")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	archive := &warc.Archive{
		Dir: dir,
		Info: []warc.Field{
			{Name: "software", Value: "weir"},
			{Name: "format", Value: "WARC File Format 1.1"},
		},
	}
	page := &warc.Exchange{
		URL:           "https://example.com/",
		Time:          time.Now(),
		Proto:         "HTTP/1.1",
		Status:        200,
		RequestHeader: http.Header{"User-Agent": {"weir"}},
		Header:        http.Header{"Content-Type": {"text/plain"}},
		Body:          []byte("hello"),
	}
	piece, _, err := page.AppendRecords(nil)
	if err != nil {
		log.Fatal(err)
	}

	var stored warc.Position
	// This write is lost: the process dies before it has stored the position.
	if _, _, err = archive.Write(stored, [][]byte{piece}); err != nil {
		log.Fatal(err)
	}
	stored, places, err := archive.Write(stored, [][]byte{piece})
	if err != nil {
		log.Fatal(err)
	}

	file, err := os.ReadFile(filepath.Join(dir, places[0].File))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Equal(file[places[0].Offset:], piece), stored.Offset == int64(len(file)))
	// Output: true true
}

func ExampleReader() {
	page := &warc.Exchange{
		URL:    "https://example.com/",
		Proto:  "HTTP/2.0",
		Status: 200,
		Header: http.Header{"Content-Type": {"text/plain"}},
		Body:   []byte("hello"),
	}
	file, _, err := page.AppendRecords(nil)
	if err != nil {
		log.Fatal(err)
	}

	r := warc.NewReader(bytes.NewReader(file))
	for {
		record, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Offset(), record.Type, record.TargetURI, record.Get("WARC-Protocol"))
		fmt.Printf("%s\n", bytes.ReplaceAll(record.Block, []byte("\r\n"), []byte("\n")))
	}
	// Output:
	// 0 response https://example.com/ h2
	// HTTP/1.1 200 OK
	// Content-Length: 5
	// Content-Type: text/plain
	//
	// hello
}
