package tag

import (
	"os"
	"strings"
	"sync"
	"testing"
)

func TestForLanguageCodes(t *testing.T) {
	tests := []struct {
		code, want string
		ok         bool
	}{
		{"en", "en", true}, {"en-US", "en", true}, {"EN_gb", "en", true}, {" pt-BR ", "pt", true},
		{"fr", "fr", true}, {"es-419", "es", true}, {"de-CH-1996", "de", true},
		{"nl", "nl", false}, {"", "", false}, {"english", "english", false},
	}
	for _, tt := range tests {
		tg, ok := For(tt.code)
		if ok != tt.ok || tg.Language() != tt.want || tg.HasTags() != tt.ok {
			t.Errorf("For(%q) = %q, %v, tags %v; want %q, %v", tt.code, tg.Language(), ok, tg.HasTags(), tt.want, tt.ok)
		}
	}
}

func TestNoModelGivesTokensWithoutTags(t *testing.T) {
	for _, tg := range []*Tagger{{}, nil} {
		s := tg.Tag("Dit is een zin. En nog een.")
		if len(s) != 2 || len(s[0].Tokens) != 5 {
			t.Fatalf("got %+v", s)
		}
		if w := s[0].Tokens[0]; w.Text != "Dit" || w.UPOS != "" || w.XPOS != "" {
			t.Errorf("got %+v", w)
		}
		tokens := []Token{{Text: "Dit"}}
		tg.TagTokens(tokens)
		if tokens[0].UPOS != "" {
			t.Errorf("got %+v", tokens[0])
		}
	}
}

// The samples of testdata were written for this test; a model may get one
// word in twenty wrong.
func TestSamples(t *testing.T) {
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			f, err := os.Open("testdata/" + lang + ".conllu")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			gold, err := ReadTreebank(f)
			if err != nil {
				t.Fatal(err)
			}
			s := tagger(t, lang).Evaluate(gold)
			t.Log(s)
			if s.UPOS < 0.9 || s.WordF1 < 0.98 || s.SentenceF1 < 0.9 || lang == "en" && s.XPOS < 0.95 {
				t.Errorf("%v", s)
			}
		})
	}
}

func TestTagTokens(t *testing.T) {
	tokens := []Token{{Text: "The"}, {Text: "cat"}, {Text: "sleeps"}, {Text: "."}}
	tagger(t, "en").TagTokens(tokens)
	var got []string
	for _, w := range tokens {
		got = append(got, w.UPOS+"/"+w.XPOS)
	}
	if got, want := strings.Join(got, " "), "DET/DT NOUN/NN VERB/VBZ PUNCT/."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	tagger(t, "en").TagTokens(nil)
	long := make([]Token, 1000)
	tagger(t, "en").TagTokens(long)
	if long[999].UPOS == "" {
		t.Error("the last of 1000 tokens has no tag")
	}
}

func TestContractionsShareTheirPlace(t *testing.T) {
	s := tagger(t, "pt").Tag("Gosto da casa.")
	de, a := s[0].Tokens[1], s[0].Tokens[2]
	want := [2]Token{
		{Text: "de", Start: 6, End: 8, UPOS: "ADP", Part: 0, Parts: 2},
		{Text: "a", Start: 6, End: 8, UPOS: "DET", Part: 1, Parts: 2},
	}
	if got := [2]Token{de, a}; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s = tagger(t, "en").Tag("I don't.")
	if w := s[0].Tokens[2]; w.Start != 4 || w.End != 7 || w.Part != 1 || w.Parts != 2 {
		t.Errorf("got %+v", w)
	}
}

const story = `The crawler didn't stop in New York City; it's been running since Sept. 2004.
Ann's friends read about it on http://example.com/news, and they're happy :-)

"We can't believe it," said Dr. Smith of the U.S. office. He paid $5.50 for 3 well-known books.
`

func TestTaggingAllocatesNothing(t *testing.T) {
	for lang, text := range map[string]string{
		"en": story,
		"pt": "A Maria não gosta da casa dos pais; trata-se de um problema antigo, ÀS vezes.\n\nDisse-me o dr. João.",
		"fr": "L'homme qu'il a vu n'est pas venu. Y a-t-il 80 000 habitants des villes ?",
		"es": "El gato del vecino no quiere hacerlo. ¿Vamos al cine?",
		"de": "Am 13. Mai ging Frau Müller zum Arzt. Das ist z.B. nicht gut!",
	} {
		tg := tagger(t, lang)
		var doc Document
		tg.TagInto(&doc, text)
		if n := testing.AllocsPerRun(20, func() { tg.TagInto(&doc, text) }); n != 0 {
			t.Errorf("%s: %v allocations for one text, want none", lang, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	want := tokensOf(tagger(t, "en"), story)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, lang := range []string{"en", "de", "en", "pt", "fr", "es"} {
				tg, ok := For(lang)
				if !ok {
					t.Errorf("For(%q): no model", lang)
				}
				got := tokensOf(tg, story)
				if lang == "en" && got != want {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestPhrases(t *testing.T) {
	tests := []struct{ lang, text, phrases, entities string }{
		{"en", "The old mill on the hill belongs to Alice's sister.", "The old mill/the hill/Alice's sister", "Alice"},
		{"en", "Angela Merkel met three well-known writers in New York City.", "Angela Merkel/three well-known writers/New York City", "Angela Merkel/New York City"},
		{"en", "She sleeps.", "", ""},
		{"en", "Write to ann@example.com about it.", "", ""},
		{"pt", "A casa dos pais em São Paulo é um problema antigo.", "A casa/pais/São Paulo/um problema antigo", "São Paulo"},
	}
	join := func(ps []Phrase) string {
		var out []string
		for _, p := range ps {
			out = append(out, p.Text)
		}
		return strings.Join(out, "/")
	}
	for _, tt := range tests {
		s := tagger(t, tt.lang).Tag(tt.text)[0]
		if got := join(NounPhrases(s)); got != tt.phrases {
			t.Errorf("%s: noun phrases %q, want %q", tt.text, got, tt.phrases)
		}
		if got := join(Entities(s)); got != tt.entities {
			t.Errorf("%s: entities %q, want %q", tt.text, got, tt.entities)
		}
	}
}

func TestCounts(t *testing.T) {
	s := tagger(t, "en").Tag("The old mill is big. An old mill was sold. Paris is nice. I like Paris.")
	got := CountNounPhrases(s)
	if len(got) != 2 || got[0] != (PhraseCount{"old mill", 2}) || got[1] != (PhraseCount{"paris", 2}) {
		t.Errorf("noun phrases %v", got)
	}
	if got := CountEntities(s); len(got) != 1 || got[0] != (PhraseCount{"Paris", 2}) {
		t.Errorf("entities %v", got)
	}
}
