package crawler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// docStage is a stage behind crawl: built in, a Go function, or another program.
type docStage struct {
	Stage
	v        *Visitor
	keepPage bool                // for a stage extract that comes later
	exec     *stages.Exec        // of a command
	next     *pipeline.Edge[Doc] // nil for the last one
}

// work is the stage.
func (s *docStage) work(ctx context.Context, d Doc, out *pipeline.Out) error {
	var err error
	switch {
	case s.Func != nil:
		err = s.function(ctx, &d, out)
	case s.exec != nil:
		err = s.external(ctx, &d, out)
	case s.Name == StageExtract:
		err = s.extract(ctx, &d, out)
	default:
		err = s.tag(ctx, &d, out)
	}
	if err != nil {
		return err
	}
	if s.next != nil {
		s.next.Emit(out, d)
	}
	return nil
}

// extract finds a page's main text, or takes the text of another document.
func (s *docStage) extract(ctx context.Context, d *Doc, out *pipeline.Out) error {
	kept := new(extract.Text)
	x := s.v.Options.extractor()
	if mediaType := stages.MediaType(d.ContentType); isHTML(mediaType) {
		// What parsed it for the crawl has given its share back by now.
		share, err := s.share(ctx, d)
		if err != nil {
			return err
		}
		defer share.Release()
		kept = x.Extract(ctx, d.Page(), d.Language)
	} else {
		if isText(mediaType) {
			mediaType += "; charset=utf-8" // the crawl has made it that
		}
		share, err := s.v.memory.Tree(ctx, 4*int64(len(d.HTML)))
		if err != nil {
			return err
		}
		defer share.Release()
		kept, err = x.Document(ctx, d.HTML, d.URL, mediaType)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			kept = &extract.Text{Method: "none", Note: err.Error()}
		}
		kept.Language = stages.DetectLanguage(kept.Text, kept.Language, d.Language)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.keepText(ctx, textOf(kept), d, out)
}

// share waits for the memory that the extraction of a page takes.
func (s *docStage) share(ctx context.Context, d *Doc) (*stages.Share, error) {
	if d.parse == nil { // it has come through the queue
		return s.v.memory.Extraction(ctx, d.HTML)
	}
	return s.v.memory.ExtractionOf(ctx, d.Page())
}

// keepText stores a text, and leaves the page behind.
func (s *docStage) keepText(ctx context.Context, t Text, d *Doc, out *pipeline.Out) error {
	d.Title, d.Text, d.Language = t.Title, t.Text, t.Language
	if err := s.v.compareText(ctx, d, t, out); err != nil {
		return err
	}
	if err := s.v.noteNear(ctx, out.Tx(), d, &t); err != nil {
		return err
	}
	d.HTML, d.parse, d.ContentType, d.history = nil, nil, "", nil
	return tables.Put(out.Tx(), tables.Texts, d.key(), t)
}

// external has another program do the work. It gets the document as JSON; one
// that is no text, such as a PDF file, in base64 as its body. What it
// emits to the edge "result" is stored, and handed on: in the place of extract or
// tag in the form of Text or Tags, otherwise as it is.
func (s *docStage) external(ctx context.Context, d *Doc, out *pipeline.Out) error {
	given := struct {
		*Doc
		HTML string `json:"html,omitempty"`
		Body []byte `json:"body,omitempty"`
	}{Doc: d}
	if isText(stages.MediaType(d.ContentType)) {
		given.HTML = string(d.HTML)
	} else {
		given.Body = d.HTML
	}
	item, err := json.Marshal(given)
	if err != nil {
		return err
	}
	reply, err := s.exec.Do(ctx, item)
	if err != nil {
		return err
	}
	if !s.keepPage {
		d.HTML, d.parse = nil, nil
	}
	results := reply.Emit["result"]
	if len(results) > 1 {
		return pipeline.Permanent(fmt.Errorf("stage %s emits %d results for one page, at most one is kept", s.Name, len(results)))
	}
	for _, result := range results {
		if err := s.keepResult(ctx, result, d, out); err != nil {
			return pipeline.Permanent(err)
		}
	}
	return nil
}

// function has a Go function do the work. In place of extract, it may also have
// set the document's title, text and language.
func (s *docStage) function(ctx context.Context, d *Doc, out *pipeline.Out) error {
	given, decided := *d, NewOut(d.visit(out))
	err := s.v.caller.call(ctx, s.Timeout, func(ctx context.Context) error { return s.Func(ctx, &given, decided) })
	if err != nil {
		var p *panicError
		if errors.As(err, &p) {
			return fmt.Errorf("%w\n%s", err, p.stack)
		}
		return err
	}
	if decided.err == nil {
		decided.err = cmp.Or(decided.checkItems(s.v.Options.Items), s.v.router.checkFollows(s.Follows, true, decided))
	}
	if decided.err == nil && decided.verdict != nil {
		decided.err = errLateVerdict
	}
	if decided.err != nil {
		return pipeline.Permanent(decided.err)
	}
	*d = given
	if decided.result == nil && s.Name == StageExtract {
		decided.result = Text{Title: d.Title, Text: d.Text, Language: d.Language, Method: "function"}
	}
	if decided.result != nil {
		result, err := json.Marshal(decided.result)
		if err == nil {
			err = s.keepResult(ctx, result, d, out)
		}
		if err != nil {
			return pipeline.Permanent(err)
		}
	}
	return s.v.carryOut(ctx, out, decided, d.key(), d.NoFollow)
}

// visit is the page that a function of a stage follows links of.
func (d *Doc) visit(out *pipeline.Out) *Visit {
	v := &Visit{
		Request: Request{URL: d.URL, Label: d.Label, Depth: d.Depth}, URL: d.URL, ContentType: d.ContentType,
		Body: d.HTML, Generation: out.Generation(), Attempt: out.Attempt(), parse: d.parse,
	}
	if v.parse == nil {
		v.parse = &parse{xhtml: v.MediaType() == "application/xhtml+xml"}
	}
	return v
}

func (s *docStage) keepResult(ctx context.Context, result json.RawMessage, d *Doc, out *pipeline.Out) error {
	switch s.Name {
	case StageExtract:
		var t Text
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("result of stage %s: %w", s.Name, err)
		}
		if t.Method == "" {
			t.Method = "external"
		}
		if t.Language == "" {
			t.Language = stages.DetectLanguage(t.Text, "", d.Language)
		}
		return s.keepText(ctx, t, d, out)
	case StageTag:
		var t Tags
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("result of stage %s: %w", s.Name, err)
		}
		if err := t.validate(); err != nil {
			return fmt.Errorf("result of stage %s: %w", s.Name, err)
		}
		return tables.Put(out.Tx(), tables.Tags, d.key(), t)
	}
	d.Results = result
	return tables.Put(out.Tx(), tables.Results, s.Name+"/"+d.key(), result)
}
