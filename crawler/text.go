package crawler

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
	"github.com/seed-301537d8/weir/stages/tag"
)

// extract returns the extract stage: it finds a page's main text.
func (c *Crawler) extract(x *extract.Extractor, next *pipeline.Edge[Doc]) pipeline.Func[Doc] {
	return func(ctx context.Context, d Doc, out *pipeline.Out) error {
		var kept Text
		if strings.HasPrefix(d.ContentType, "text/plain") {
			text := string(d.HTML)
			kept = Text{Text: text, Language: stages.DetectLanguage(text, "", d.Language), Method: "plain"}
		} else {
			page := stages.ParseDocument(d.HTML, d.URL, &stages.DocumentOptions{Resolve: resolve})
			kept = textOf(x.Extract(ctx, page, d.Language))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := put(out.Tx(), tableTexts, recordKey(d.URL), kept); err != nil {
			return err
		}
		if next != nil {
			next.Emit(out, Doc{URL: d.URL, Language: kept.Language, Title: kept.Title, Text: kept.Text})
		}
		return nil
	}
}

// tag returns the tag stage: sentences, words and their parts of speech.
func (c *Crawler) tag(next *pipeline.Edge[Doc]) pipeline.Func[Doc] {
	return func(_ context.Context, d Doc, out *pipeline.Out) error {
		if err := put(out.Tx(), tableTags, recordKey(d.URL), TagText(d.Text, d.Language)); err != nil {
			return err
		}
		if next != nil {
			next.Emit(out, d)
		}
		return nil
	}
}

// TagText tags a text in a language, given by its code.
func TagText(text, language string) Tags {
	tagger, ok := tag.For(language)
	sentences := tagger.Tag(text)
	tags := Tags{Language: language, Tagged: ok, Sentences: make([]Sentence, len(sentences))}
	for i, s := range sentences {
		tags.Sentences[i] = Sentence{Start: s.Start, End: s.End, Tokens: make([]Token, len(s.Tokens))}
		for j, t := range s.Tokens {
			tags.Sentences[i].Tokens[j] = Token{t.Text, t.UPOS, t.XPOS, t.Start, t.End}
		}
	}
	if !ok {
		return tags
	}
	for _, p := range tag.CountNounPhrases(sentences) {
		tags.Phrases = append(tags.Phrases, Count{p.Text, p.Count})
	}
	for _, p := range tag.CountEntities(sentences) {
		tags.Entities = append(tags.Entities, Count{p.Text, p.Count})
	}
	return tags
}

// external returns a stage that is another program. It gets the document as
// JSON. What it emits to the edge "result" is stored, and handed on: in the
// place of extract or tag in the form of Text or Tags, otherwise as it is.
func (c *Crawler) external(name string, e *stages.Exec, next *pipeline.Edge[Doc]) pipeline.Func[Doc] {
	return func(ctx context.Context, d Doc, out *pipeline.Out) error {
		item, err := json.Marshal(struct {
			Doc
			HTML string `json:"html,omitempty"`
		}{d, string(d.HTML)})
		if err != nil {
			return err
		}
		reply, err := e.Do(ctx, item)
		if err != nil {
			return err
		}
		d.HTML = nil
		for _, result := range reply.Emit["result"] {
			if err := c.keepResult(name, result, &d, out); err != nil {
				return pipeline.Permanent(err)
			}
		}
		if next != nil {
			next.Emit(out, d)
		}
		return nil
	}
}

func (c *Crawler) keepResult(name string, result json.RawMessage, d *Doc, out *pipeline.Out) error {
	key := recordKey(d.URL)
	switch name {
	case StageExtract:
		var t Text
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("result of stage %s: %w", name, err)
		}
		if t.Method == "" {
			t.Method = "external"
		}
		if t.Language == "" {
			t.Language = stages.DetectLanguage(t.Text, "", d.Language)
		}
		d.Title, d.Text, d.Language = t.Title, t.Text, t.Language
		return put(out.Tx(), tableTexts, key, t)
	case StageTag:
		var t Tags
		if err := json.Unmarshal(result, &t); err != nil {
			return fmt.Errorf("result of stage %s: %w", name, err)
		}
		if err := t.validate(); err != nil {
			return fmt.Errorf("result of stage %s: %w", name, err)
		}
		return put(out.Tx(), tableTags, key, t)
	}
	d.Results = result
	return put(out.Tx(), tableResults, name+"/"+key, result)
}
