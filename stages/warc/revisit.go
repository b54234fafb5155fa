package warc

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Revisit is what a revisit record refers to (section 6.7): an earlier response
// record, of the same address or of another.
type Revisit struct {
	Profile   string    // IdenticalPayload or NotModified
	TargetURI string    // of that record
	Date      time.Time // of that record
	Digest    string    // of its payload, in the form of Digest
}

// The profiles of revisit records (WARC 1.1, section 6.7.2).
const (
	IdenticalPayload = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
	NotModified      = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
)

// AsRevisit returns the revisit record that takes the place of a response record, each
// a gzip member: it has the same id, date and address, and the header of the response
// without its body.
func AsRevisit(response []byte, v *Revisit) ([]byte, error) {
	rec, err := NewReader(bytes.NewReader(response)).Next()
	if err != nil {
		return nil, fmt.Errorf("warc: make a revisit record: %w", err)
	}
	rec.refer(v)
	return AppendGzip(nil, rec)
}

// refer makes a response record one that refers to another.
func (r *Record) refer(v *Revisit) {
	r.Type = "revisit"
	fields := r.Fields[:0:0]
	for _, f := range r.Fields {
		switch strings.ToLower(f.Name) {
		case "warc-payload-digest", "warc-truncated":
		default:
			fields = append(fields, f)
		}
	}
	r.Fields = append(fields, Field{"WARC-Payload-Digest", v.Digest}, Field{"WARC-Profile", v.Profile},
		Field{"WARC-Refers-To-Target-URI", cleanURI(v.TargetURI)}, Field{"WARC-Refers-To-Date", v.Date.UTC().Format(time.RFC3339Nano)})
	r.body = nil
	if head, _, ok := bytes.Cut(r.Block, []byte("\r\n\r\n")); ok {
		r.Block = r.Block[:len(head)+4]
	}
}
