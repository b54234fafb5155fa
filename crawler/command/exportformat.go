package command

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/internal/columns"
	"github.com/seed-301537d8/weir/internal/printable"
	"github.com/seed-301537d8/weir/stages/tag"
	"github.com/seed-301537d8/weir/stages/warc"
)

// record is something that is exported: as JSON by itself, as CSV in columns.
type record interface{ cells() []string }

// csvHeads are the columns of each kind.
var csvHeads = map[string][]string{
	"pages": {"url", "status", "generation", "depth", "referrer", "fetched_at", "content_type", "bytes", "digest",
		"title", "language", "text", "links", "redirect", "duplicate_of", "noindex", "near_duplicate_of", "vanished_at"},
	"links":       {"from", "to", "anchor", "generation"},
	"failures":    {"url", "reason", "detail", "status", "generation", "depth", "referrer", "attempts", "at"},
	"captures":    {"url", "time", "status", "mime", "digest", "file", "offset", "length"},
	"assets":      {"url", "of", "status", "content_type", "bytes", "digest", "redirect", "reason", "fetched_at", "visited"},
	"generations": {"number", "urls", "fetched", "failed", "deferred", "started", "finished", "complete"},
}

// exportWriter returns a function that writes a record, and one that writes
// what is left at the end.
func exportWriter(format string, buf *bufio.Writer) (write func(record) error, finish func(kind string) error) {
	if format == "parquet" {
		return parquetExport(buf)
	}
	if format != "csv" {
		return func(r record) error { return writeJSON(buf, r) }, func(string) error { return nil }
	}
	w := csv.NewWriter(buf)
	headed := false
	head := func(kind string) error {
		if headed {
			return nil
		}
		headed = true
		return w.Write(csvHeads[kind])
	}
	return func(r record) error {
			if err := head(kindOf(r)); err != nil {
				return err
			}
			return w.Write(safeCells(r.cells()))
		}, func(kind string) error {
			if err := head(kind); err != nil {
				return err
			}
			w.Flush()
			return w.Error()
		}
}

// parquetExport is exportWriter for Parquet, whose columns are the fields of what is
// written.
func parquetExport(buf *bufio.Writer) (write func(record) error, finish func(kind string) error) {
	var w *parquetWriter
	begin := func(kind string) {
		if w == nil {
			w = newParquetWriter(buf, kind, columns.Of(recordTypes[kind]))
		}
	}
	return func(r record) error {
			begin(kindOf(r))
			b, err := json.Marshal(r)
			if err != nil {
				return err
			}
			return w.write(b)
		}, func(kind string) error {
			begin(kind)
			return w.close()
		}
}

// recordTypes are the types of what is exported, by kind.
var recordTypes = map[string]reflect.Type{
	"pages":       reflect.TypeFor[pageRecord](),
	"links":       reflect.TypeFor[linkRecord](),
	"failures":    reflect.TypeFor[failureRecord](),
	"captures":    reflect.TypeFor[captureRecord](),
	"assets":      reflect.TypeFor[assetRecord](),
	"generations": reflect.TypeFor[generationRecord](),
}

// safeCells makes the cells of a row harmless: control characters are escaped,
// and what a spreadsheet would take for a formula gets an apostrophe in front
// that it does not show. Numbers stay numbers.
func safeCells(cells []string) []string {
	for i, s := range cells {
		s = printable.String(s)
		if s != "" && strings.IndexByte("=+-@\t", s[0]) >= 0 {
			if _, err := strconv.ParseFloat(s, 64); err != nil {
				s = "'" + s
			}
		}
		cells[i] = s
	}
	return cells
}

func kindOf(r record) string {
	switch r.(type) {
	case pageRecord:
		return "pages"
	case linkRecord:
		return "links"
	case failureRecord:
		return "failures"
	case captureRecord:
		return "captures"
	case assetRecord:
		return "assets"
	}
	return "generations"
}

type (
	pageRecord       inspect.PageRow
	linkRecord       inspect.LinkRow
	failureRecord    crawler.Failure
	captureRecord    crawler.Capture
	assetRecord      crawler.Asset
	generationRecord inspect.GenerationStatus
)

// cells of a page leave out the sentences; the links are in one column, with
// blanks between them.
func (p pageRecord) cells() []string {
	return []string{
		p.URL, strconv.Itoa(p.Status), strconv.Itoa(p.Generation), strconv.Itoa(p.Depth), p.Referrer, stamp(p.FetchedAt),
		p.ContentType, strconv.Itoa(p.Bytes), p.Digest, p.Title, p.Language, p.Text, strings.Join(p.Links, " "),
		p.Redirect, p.DuplicateOf, strconv.FormatBool(p.NoIndex), p.NearDuplicateOf, stampOrNone(p.VanishedAt),
	}
}

func (l linkRecord) cells() []string {
	return []string{l.From, l.To, l.Anchor, strconv.Itoa(l.Generation)}
}

func (f failureRecord) cells() []string {
	return []string{
		f.URL, f.Reason, f.Detail, strconv.Itoa(f.Status), strconv.Itoa(f.Generation), strconv.Itoa(f.Depth),
		f.Referrer, strconv.Itoa(f.Attempts), stamp(f.At),
	}
}

func (c captureRecord) cells() []string {
	return []string{
		c.URL, stamp(c.Time), strconv.Itoa(c.Status), c.MIME, c.Digest, c.File,
		strconv.FormatInt(c.Offset, 10), strconv.FormatInt(c.Length, 10),
	}
}

func (g generationRecord) cells() []string {
	finished := ""
	if g.Finished != nil {
		finished = stamp(*g.Finished)
	}
	return []string{
		strconv.Itoa(g.Number), strconv.FormatInt(g.URLs, 10), strconv.FormatInt(g.Fetched, 10),
		strconv.FormatInt(g.Failed, 10), strconv.FormatInt(g.Deferred, 10), stamp(g.Started), finished, strconv.FormatBool(g.Complete),
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (a assetRecord) cells() []string {
	return []string{
		a.URL, a.Of, strconv.Itoa(a.Status), a.ContentType, strconv.Itoa(a.Bytes), a.Digest, a.Redirect, a.Reason, stamp(a.FetchedAt), stamp(a.Visited),
	}
}

func stampOrNone(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// writeCDXJ writes a line of the index that pywb and other replay tools read
// (https://specs.webrecorder.net/cdxj/0.1.0/): the address with its host turned
// round, so that a sorted index has a domain in one place, then the time, then
// what is known as JSON.
func writeCDXJ(buf *bufio.Writer, c *crawler.Capture) error {
	if c.Revisit != "" {
		c.MIME = "warc/revisit" // by which replay tools know it
	}
	line, err := json.Marshal(struct {
		URL      string `json:"url"`
		MIME     string `json:"mime,omitempty"`
		Status   string `json:"status"`
		Digest   string `json:"digest,omitempty"`
		Length   string `json:"length"`
		Offset   string `json:"offset"`
		Filename string `json:"filename"`
	}{
		c.URL, c.MIME, strconv.Itoa(c.Status), c.Digest,
		strconv.FormatInt(c.Length, 10), strconv.FormatInt(c.Offset, 10), c.File,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(buf, "%s %s %s\n", warc.SURT(c.URL), c.Time.UTC().Format("20060102150405"), line)
	return err
}

// writeConllu writes the sentences of the n-th page. Sentence ids are unique in
// the file: the number of the page, then that of the sentence.
func writeConllu(buf *bufio.Writer, n int, r *inspect.Result) error {
	if r.Tags == nil || r.Text == nil || len(r.Tags.Sentences) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := tag.WriteCoNLLU(&b, taggedSentences(r.Text.Text, r.Tags)); err != nil {
		return err
	}
	fmt.Fprintf(buf, "# newdoc id = %s\n", r.Page.URL)
	for line := range bytes.Lines(b.Bytes()) {
		if id, ok := bytes.CutPrefix(line, []byte("# sent_id = ")); ok {
			fmt.Fprintf(buf, "# sent_id = %d-%s", n, id)
			continue
		}
		if _, err := buf.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// taggedSentences are stored tags in the form of package tag. Words that share
// a place in the text are those of a contraction.
func taggedSentences(text string, tags *crawler.Tags) []tag.Sentence {
	sentences := make([]tag.Sentence, 0, len(tags.Sentences))
	last := 0
	for _, s := range tags.Sentences {
		out := tag.Sentence{Start: s.Start, End: s.End}
		if 0 <= s.Start && s.Start <= s.End && s.End <= len(text) {
			out.Text = text[s.Start:s.End]
			out.Paragraph = len(sentences) == 0 || last <= s.Start && strings.Contains(text[last:s.Start], "\n")
			last = s.End
		}
		for i := 0; i < len(s.Tokens); {
			n := 1
			for i+n < len(s.Tokens) && s.Tokens[i+n].Start == s.Tokens[i].Start && s.Tokens[i+n].End == s.Tokens[i].End {
				n++
			}
			for part, t := range s.Tokens[i : i+n] {
				word := tag.Token{Text: t.Text, UPOS: t.UPOS, XPOS: t.XPOS, Start: t.Start, End: t.End}
				if n > 1 && n < 256 {
					word.Part, word.Parts = uint8(part), uint8(n)
				}
				out.Tokens = append(out.Tokens, word)
			}
			i += n
		}
		sentences = append(sentences, out)
	}
	return sentences
}
