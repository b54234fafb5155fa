package crawler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/warc"
)

// An archive holds what servers answered, in WARC files. They are a journal of the crawl
// stage (pipeline.Journal), and so:
//
//	A1  An answer is in the files if and only if the store has the record of its visit;
//	    once, and where its Capture says.
//	A2  Where the archive ends is a record of the store. It is changed in the transaction
//	    that has the visits, when what lies in front of it has been synced, and only from
//	    the end at which this process has begun to write: who has been taken for dead
//	    meanwhile changes nothing.
//	A3  What lies behind that end is cut off before anything is written there.
//	A4  A body is there once: answers are written one after the other, and another with
//	    the same body refers to it.
//
// A crash between the sync and the commit leaves bytes behind the end, and the visits
// undone. A refused transaction does the same.

// Capture is the record of an answer in the archive. Its JSON form is stable.
type Capture struct {
	URL    string    `json:"url"`
	Key    string    `json:"key,omitempty"` // of its record, if that is not the URL
	Time   time.Time `json:"time"`          // when the request began
	Status int       `json:"status"`
	MIME   string    `json:"mime,omitempty"`   // the media type that the server named
	Digest string    `json:"digest,omitempty"` // sha1:base32 of the body as it arrived
	File   string    `json:"file"`             // in the archive's folder
	Offset int64     `json:"offset"`           // of the response record, in bytes
	Length int64     `json:"length"`           // of the response record, compressed

	// Archive names the folder of File if several processes have one each; see
	// Options.ArchiveName.
	Archive string `json:"archive,omitempty"`

	// Truncated says why the body is not whole, or is empty; see warc.Exchange.
	Truncated string `json:"truncated,omitempty"`

	// Revisit is set if the record is a revisit record, which has no body:
	// RevisitIdentical or RevisitNotModified. The body is in the response record of
	// RefersTo, of RefersAt.
	Revisit  string    `json:"revisit,omitempty"`
	RefersTo string    `json:"refers_to,omitempty"`
	RefersAt time.Time `json:"refers_at,omitzero"`
}

// Kinds of revisit records.
const (
	RevisitIdentical   = "identical-payload-digest"
	RevisitNotModified = "server-not-modified"
)

// payload is the record of a body that the archive has: which response record it is in.
type payload struct {
	URL  string    `json:"url"`
	Time time.Time `json:"time"`
}

// archiveKey is the key of the archive's position in tables.Crawl.
const archiveKey = "archive"

// key is that of this archive's position.
func (a *Archive) key() string {
	if a.name == "" {
		return archiveKey
	}
	return archiveKey + "/" + a.name
}

// archiveRetry is how long the crawl waits when the archive cannot be written,
// for want of space perhaps.
const archiveRetry = time.Second

// captured is an answer on its way to the archive: its place in File is not
// known yet.
type captured struct {
	Capture
	records []byte // gzip members; the first, of Length bytes, is the response
}

// Archive is that of a crawl. Make one with [NewArchive].
type Archive struct {
	store   *queue.Store
	name    string // of this process's archive; "" for that of a crawl on one machine
	files   *warc.Archive
	journal *pipeline.Journal[*captured]
	log     *slog.Logger
}

// NewArchive returns the archive of a crawl, in Options.ArchiveDir.
func NewArchive(store *queue.Store, o *Options) *Archive {
	obeyed := "obey"
	if o.Settings.IgnoreRobots {
		obeyed = "ignore"
	}
	s := &o.Settings.Archive
	info := []warc.Field{
		{Name: "software", Value: "Weir (https://github.com/seed-301537d8/weir)"},
		{Name: "format", Value: "WARC File Format 1.1"},
		{Name: "conformsTo", Value: "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"},
		{Name: "robots", Value: obeyed},
		{Name: "http-header-user-agent", Value: cmp.Or(o.Settings.UserAgent, stages.DefaultUserAgent)},
	}
	for _, line := range s.Info {
		name, value, _ := strings.Cut(line, ":")
		info = append(info, warc.Field{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	a := &Archive{store: store, name: o.ArchiveName, log: o.logger(), files: &warc.Archive{Dir: o.ArchiveDir, Prefix: s.Prefix, MaxSize: s.FileSize, Info: info}}
	a.journal = pipeline.NewJournal(a.write)
	return a
}

// capture hands what a server has answered to the archive, in about room bytes at most.
// A page that was refused for its type or its size was not read, and is not an
// answer.
func (a *Archive) capture(ctx context.Context, out *pipeline.Out, room int, r Request, resp *stages.FetchResponse, fetchErr error) error {
	if resp == nil || fetchErr != nil && resp.Status < 300 && len(resp.Wire) == 0 {
		return nil
	}
	x := &warc.Exchange{
		URL: r.URL, Time: resp.Fetched, Proto: resp.Proto, Status: resp.Status,
		RequestHeader: resp.RequestHeader, Header: resp.Header, RawHeader: resp.RawHeader, Body: resp.Wire,
	}
	if host, _, err := net.SplitHostPort(resp.Remote); err == nil {
		x.IP = host
	}
	if resp.WireCut {
		x.Truncated = "unspecified"
		if resp.Status >= 300 {
			x.Truncated = "length" // the fetcher has cut it
		}
	}
	if err := a.refer(ctx, &r, resp, x); err != nil {
		return err
	}
	c, err := newCaptured(r, resp, x)
	if err == nil && len(c.records) > room {
		x.Body, x.Truncated = x.Body[:min(len(x.Body), room/2)], "length"
		c, err = newCaptured(r, resp, x)
	}
	if err != nil {
		return err
	}
	a.journal.Add(out, c)
	out.OnCommit(func() { recordBuffers.Put(&c.records) })
	return nil
}

// refer finds the response record that holds what a server calls unmodified.
func (a *Archive) refer(ctx context.Context, r *Request, resp *stages.FetchResponse, x *warc.Exchange) error {
	if !resp.NotModified {
		return nil
	}
	var c Capture
	ok, err := tables.Get(ctx, a.store, tables.Captures, r.Key(), &c)
	if !ok || err != nil {
		return err
	}
	x.Revisit = &warc.Revisit{Profile: warc.NotModified, TargetURI: cmp.Or(c.RefersTo, c.URL), Date: c.Time, Digest: c.Digest}
	if c.RefersTo != "" {
		x.Revisit.Date = c.RefersAt
	}
	return nil
}

// recordBuffers hold the records of answers until these are in the archive.
var recordBuffers = sync.Pool{New: func() any { return new([]byte) }}

func newCaptured(r Request, resp *stages.FetchResponse, x *warc.Exchange) (*captured, error) {
	buffer := recordBuffers.Get().(*[]byte)
	records, response, err := x.AppendRecords((*buffer)[:0])
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	c := Capture{
		URL: r.URL, Key: r.captureKey(), Time: resp.Fetched.UTC(), Status: resp.Status, MIME: resp.MediaType(),
		Digest: x.PayloadDigest(), Length: int64(response), Truncated: x.Truncated,
	}
	if v := x.Revisit; v != nil {
		c.Revisit, c.RefersTo, c.RefersAt, c.Digest = RevisitNotModified, v.TargetURI, v.Date, v.Digest
	}
	return &captured{c, records}, nil
}

// captureKey is that of the record of an answer, if it is not the URL.
func (r *Request) captureKey() string {
	if r.plain() {
		return ""
	}
	return r.Key()
}

// captureTime tells the answers of one address apart.
const captureTime = " 20060102150405.000000000"

// index adds an answer to the index of the archive. The last one of an address has the
// key of the address; an older one has its time behind it. last holds those of this
// transaction.
func (a *Archive) index(ctx context.Context, tx *queue.Tx, c Capture, last map[string]Capture) error {
	key := cmp.Or(c.Key, tables.Key(c.URL))
	before, ok := last[key]
	if !ok {
		var err error
		if ok, err = tables.Get(ctx, a.store, tables.Captures, key, &before); err != nil {
			return err
		}
	}
	if ok {
		if err := tables.Put(tx, tables.Captures, key+before.Time.UTC().Format(captureTime), before); err != nil {
			return err
		}
	}
	last[key] = c
	return tables.Put(tx, tables.Captures, key, c)
}

var emptyDigest = warc.Digest(nil)

// dedupe makes a revisit record of an answer whose body the archive has, or notes that
// it has it from now on. had holds the bodies of this transaction. Answers are written
// one after the other, so each body is there once, and what is referred to is there.
func (a *Archive) dedupe(ctx context.Context, tx *queue.Tx, c *captured, had map[string]payload) error {
	if c.Revisit != "" || c.Truncated != "" || c.Digest == emptyDigest {
		return nil
	}
	p, ok := had[c.Digest]
	if !ok {
		var err error
		if ok, err = tables.Get(ctx, a.store, tables.Payloads, c.Digest, &p); err != nil {
			return err
		}
	}
	if !ok {
		p = payload{c.URL, c.Time}
		had[c.Digest] = p
		return tables.Put(tx, tables.Payloads, c.Digest, p)
	}
	v := &warc.Revisit{Profile: warc.IdenticalPayload, TargetURI: p.URL, Date: p.Time, Digest: c.Digest}
	record, err := warc.AsRevisit(c.records[:c.Length], v)
	if err != nil {
		return err
	}
	c.records = append(record, c.records[c.Length:]...)
	c.Length, c.Revisit, c.RefersTo, c.RefersAt = int64(len(record)), RevisitIdentical, p.URL, p.Time
	return nil
}

// write is that of the journal. What keeps it from writing may be mended meanwhile, so no
// answer is given up. Without answers it cuts off what lies behind the end.
func (a *Archive) write(ctx context.Context, group []*captured, tx *queue.Tx) error {
	if len(group) == 0 {
		return a.cut(ctx)
	}
	end, err := a.end(ctx, tx)
	if err != nil {
		return err
	}
	pieces := make([][]byte, len(group))
	answers := make([]captured, len(group))
	had := make(map[string]payload)
	for i, c := range group {
		answers[i] = *c // it may come again
		if err := a.dedupe(ctx, tx, &answers[i], had); err != nil {
			return err
		}
		pieces[i] = answers[i].records
	}
	end, places, err := a.files.Write(end, pieces)
	if err != nil {
		a.log.Error("archive not written; trying again", "pages", len(group), "err", err)
		return pipeline.RetryAfter(archiveRetry, err)
	}
	last := make(map[string]Capture)
	for i, p := range places {
		c := answers[i].Capture
		c.File, c.Offset, c.Archive = p.File, p.Offset, a.name
		if err := a.index(ctx, tx, c, last); err != nil {
			return err
		}
	}
	return tables.Put(tx, tables.Crawl, a.key(), end)
}

// check refuses an archive that lacks what the store has of it, as one does that was put back
// from an older backup: no answer could ever be written, and the crawl would wait for ever.
func (a *Archive) check(ctx context.Context) error {
	end, err := a.end(ctx, new(queue.Tx))
	if err != nil {
		return err
	}
	if err := a.files.Check(end); errors.Is(err, warc.ErrShort) {
		return fmt.Errorf("%w; put the file back that belongs to this store, or move it away: then another is begun", err)
	}
	return nil // what else keeps it from being written may pass
}

// cut cuts off what a process that died has left behind the end, since nothing may be
// written there any more. Files that cannot be written now are reported when they must be.
func (a *Archive) cut(ctx context.Context) error {
	end, err := a.end(ctx, new(queue.Tx))
	if err != nil {
		return err
	}
	if _, _, err := a.files.Write(end, nil); err != nil {
		a.log.Warn("archive cannot be written yet", "err", err)
	}
	return nil
}

// end returns where the archive ends, and has the transaction refused if that has changed
// when it is committed.
func (a *Archive) end(ctx context.Context, tx *queue.Tx) (end warc.Position, err error) {
	stored, err := a.store.Get(ctx, tables.Crawl, a.key())
	switch {
	case errors.Is(err, queue.ErrNotFound):
		stored = nil
	case err != nil:
		return end, err
	default:
		if err := tables.Decode(tables.Crawl, a.key(), stored, &end); err != nil {
			return end, err
		}
	}
	tx.Require(tables.Crawl, a.key(), stored)
	return end, nil
}
