package crawler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/warc"
)

// The stage warc writes what servers answered to WARC files. Where the archive
// ends is stored in the transaction that acknowledges what was written, and the
// archive is cut to that place before it is written to: so the files hold each
// answer that the crawl has settled exactly once.

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
}

// archiveKey is the key of the archive's position in tables.Crawl.
const archiveKey = "archive"

// archiveBatch is how many answers are written and synced together at most.
const archiveBatch = 64

// archiveRetry is how long the stage waits when the archive cannot be written,
// for want of space perhaps.
const archiveRetry = time.Second

// Captured is an answer on its way to the archive: its place in File is not
// known yet.
type Captured struct {
	Capture
	records []byte // gzip members; the first, of Length bytes, is the response
}

// Archive is the stage warc. Make one with [NewArchive].
type Archive struct {
	store *queue.Store
	files *warc.Archive
	log   *slog.Logger
}

// NewArchive returns the archive of a crawl, in Options.ArchiveDir.
func NewArchive(store *queue.Store, o *Options) *Archive {
	obeyed := "obey"
	if o.Settings.IgnoreRobots {
		obeyed = "ignore"
	}
	return &Archive{store: store, log: o.logger(), files: &warc.Archive{Dir: o.ArchiveDir, MaxSize: o.ArchiveFileSize, Info: []warc.Field{
		{Name: "software", Value: "Weir (https://github.com/seed-301537d8/weir)"},
		{Name: "format", Value: "WARC File Format 1.1"},
		{Name: "conformsTo", Value: "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"},
		{Name: "robots", Value: obeyed},
		{Name: "http-header-user-agent", Value: cmp.Or(o.Settings.UserAgent, stages.DefaultUserAgent)},
	}}}
}

// capture hands what a server has answered to the archive, in at most room bytes.
// A page that was refused for its type or its size was not read, and is not an
// answer.
func (a *Archive) capture(out *pipeline.Out, to *pipeline.Edge[Captured], room int, r Request, resp *stages.FetchResponse, fetchErr error) error {
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
	item, err := capturedItem(to, r, resp, x)
	if err == nil && len(item.Body) > room {
		// The rest of the item, and what compression may add, fits into a half.
		x.Body, x.Truncated = x.Body[:min(len(x.Body), room/2)], "length"
		item, err = capturedItem(to, r, resp, x)
	}
	if err != nil {
		return err
	}
	out.Enqueue(to, item)
	return nil
}

func capturedItem(to *pipeline.Edge[Captured], r Request, resp *stages.FetchResponse, x *warc.Exchange) (queue.Item, error) {
	records, response, err := x.AppendRecords(nil)
	if err != nil {
		return queue.Item{}, fmt.Errorf("capture: %w", err)
	}
	return to.Item(Captured{Capture{
		URL: r.URL, Key: r.captureKey(), Time: resp.Fetched.UTC(), Status: resp.Status, MIME: resp.MediaType(),
		Digest: warc.Digest(x.Body), Length: int64(response),
	}, records})
}

// captureKey is that of the record of an answer, if it is not the URL.
func (r *Request) captureKey() string {
	if r.plain() {
		return ""
	}
	return r.Key()
}

// Write is the stage: wire it with Edges.Captures by pipeline.HandleBatch, as
// serial. Another attempt mends whatever keeps it from writing, so it never gives
// an answer up.
func (a *Archive) Write(ctx context.Context, in []Captured, out *pipeline.Out) error {
	var end warc.Position
	if _, err := tables.Get(ctx, a.store, tables.Crawl, archiveKey, &end); err != nil {
		return err
	}
	pieces := make([][]byte, len(in))
	for i := range in {
		pieces[i] = in[i].records
	}
	end, places, err := a.files.Write(end, pieces)
	if err != nil {
		a.log.Error("archive not written; trying again", "pages", len(in), "err", err)
		return pipeline.RetryAfter(archiveRetry, err)
	}
	for i, p := range places {
		record := in[i].Capture
		record.File, record.Offset = p.File, p.Offset
		if err := tables.Put(out.Tx(), tables.Captures, cmp.Or(record.Key, tables.Key(record.URL)), record); err != nil {
			return err
		}
	}
	return tables.Put(out.Tx(), tables.Crawl, archiveKey, end)
}
