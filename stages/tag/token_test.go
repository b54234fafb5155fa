package tag

import (
	"slices"
	"strings"
	"testing"
)

func tagger(t testing.TB, lang string) *Tagger {
	t.Helper()
	tg, ok := For(lang)
	if !ok {
		t.Fatalf("For(%q): no model", lang)
	}
	return tg
}

// tokensOf returns the words of text with a bar between sentences.
func tokensOf(tg *Tagger, text string) string {
	var out []string
	for i, s := range tg.Tag(text) {
		if i > 0 {
			out = append(out, "|")
		}
		for _, w := range s.Tokens {
			out = append(out, w.Text)
		}
	}
	return strings.Join(out, " ")
}

func TestTokens(t *testing.T) {
	tests := []struct{ lang, text, want string }{
		{"en", "", ""},
		{"en", " \t\n ", ""},
		{"en", "Hello, world.", "Hello , world ."},
		{"en", "They don't know; it's Ann's, and I'll go.", "They do n't know ; it 's Ann 's , and I 'll go ."},
		{"en", "We don’t know.", "We do n’t know ."},
		{"en", "You cannot. I'm gonna go.", "You can not . | I 'm gon na go ."},
		{"en", "a well-known 10-year plan", "a well - known 10 - year plan"},
		{"en", "non-stop e-mail from co-workers", "non-stop e-mail from co-workers"},
		{"en", "Dr. Smith of the U.S. met Mr. J. Jones.", "Dr. Smith of the U.S. met Mr. J. Jones ."},
		{"en", "See http://example.com/a?b=c,d. It works.", "See http://example.com/a?b=c,d . | It works ."},
		{"en", "Write to ann.lee@example.com or visit www.example.org/x (now).", "Write to ann.lee@example.com or visit www.example.org/x ( now ) ."},
		{"en", "It is in report.doc on example.com.", "It is in report.doc on example.com ."},
		{"en", "It cost $1,200.50 at 5:30pm on 11/28/2000.", "It cost $ 1,200.50 at 5:30 pm on 11/28/2000 ."},
		{"en", "Call 713-853-3989 for 3.5% off.", "Call 713-853-3989 for 3.5 % off ."},
		{"en", "Nice :-) and sad :( today", "Nice :-) and sad :( today"},
		{"en", "AT&T's plan... really?!", "AT&T 's plan ... really ?!"},
		{"en", "the '60s and the dogs' food", "the '60s and the dogs ' food"},
		{"en", "the 4th of July, 1980s", "the 4th of July , 1980s"},
		{"en", "#golang by @weir_go", "#golang by @weir_go"},
		{"en", "and/or (see <b>)", "and / or ( see < b > )"},
		{"pt", "A casa da Maria", "A casa de a Maria"},
		{"pt", "DA CASA às vezes", "DE A CASA a as vezes"},
		{"pt", "Trata-se de um ex-ministro, disse-me.", "Trata se de um ex-ministro , disse me ."},
		{"pt", "Custa US$ 200,50 na sexta-feira.", "Custa US$ 200,50 em a sexta-feira ."},
		{"fr", "L'homme qu'il a vu aujourd'hui.", "L' homme qu' il a vu aujourd'hui ."},
		{"fr", "l’homme du jardin", "l’ homme de le jardin"},
		{"fr", "Va-t-il à Saint-Étienne ?", "Va -t-il à Saint-Étienne ?"},
		{"fr", "Il a 80 000 habitants.", "Il a 80 000 habitants ."},
		{"es", "¿Vamos al cine del barrio?", "¿ Vamos a el cine de el barrio ?"},
		{"es", "No quiere hacerlo ni sentarse.", "No quiere hacer lo ni sentar se ."},
		{"es", "la charla con Carlos duerme, una parte", "la charla con Carlos duerme , una parte"},
		{"de", "Am 13. Mai ging er zum Arzt.", "An dem 13. Mai ging er zu dem Arzt ."},
		{"de", "Das ist z.B. gut, sagt Dr. Müller.", "Das ist z.B. gut , sagt Dr. Müller ."},
	}
	for _, tt := range tests {
		t.Run(tt.lang+"/"+tt.text, func(t *testing.T) {
			if got := tokensOf(tagger(t, tt.lang), tt.text); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What is written without spaces is cut by a dictionary, in any language.
func TestWordsOfDictionaries(t *testing.T) {
	for _, tt := range []struct{ lang, text, want string }{
		{"zh", "这座大坝建成于十九世纪，Weir 2 是新的。", "这 座 大坝 建成 于 十九 世纪 ， Weir 2 是 新的 。"},
		{"ja", "水門は夜に開く。Weirのデータ、AKB48も", "水門 は 夜 に 開く 。 | Weir の データ 、 AKB48 も"},
		{"th", "ฝายกั้นแม่น้ำและประตูเปิด 25%", "ฝาย กั้น แม่น้ำ และ ประตู เปิด 25 %"},
		{"en", "The weir (大坝建成) is open.", "The weir ( 大坝 建成 ) is open ."},
	} {
		tg, _ := For(tt.lang)
		if got := tokensOf(tg, tt.text); got != tt.want {
			t.Errorf("%s: got  %q\nwant %q", tt.lang, got, tt.want)
		}
	}
}

func TestSentences(t *testing.T) {
	tests := []struct {
		name, lang, text string
		want             []string
	}{
		{"marks", "en", "It rains. Does it? Yes!", []string{"It rains.", "Does it?", "Yes!"}},
		{"a blank line ends a sentence", "en", "no full stop\n\nnext paragraph", []string{"no full stop", "next paragraph"}},
		{"a line break does not", "en", "one\nsentence goes on.", []string{"one\nsentence goes on."}},
		{"abbreviations", "en", "Mr. Smith went to Washington. He met Dr. Lee.", []string{"Mr. Smith went to Washington.", "He met Dr. Lee."}},
		{"quotes close the sentence", "en", `He said "Stop." Then he left.`, []string{`He said "Stop."`, "Then he left."}},
		{"a missing space", "en", "This is the end.Next it goes on.", []string{"This is the end.", "Next it goes on."}},
		{"Portuguese", "pt", "O gato dorme. A casa é grande.", []string{"O gato dorme.", "A casa é grande."}},
		{"no model", "xx", "Foo bar. Baz qux? quux. Ok.", []string{"Foo bar.", "Baz qux? quux.", "Ok."}},
		{"Chinese without a model", "zh", "你好。再见！", []string{"你好。", "再见！"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tg, _ := For(tt.lang)
			var got []string
			for _, s := range tg.Tag(tt.text) {
				got = append(got, s.Text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// checkDocument checks what holds for every text: tokens in order, inside
// their sentence and the text, and without white space or losses.
func checkDocument(t testing.TB, tg *Tagger, text string) {
	t.Helper()
	end := 0
	for _, s := range tg.Tag(text) {
		if s.Start < end || s.End < s.Start || s.End > len(text) || text[s.Start:s.End] != s.Text || len(s.Tokens) == 0 {
			t.Fatalf("%q: the sentence %q [%d:%d] after %d", text, s.Text, s.Start, s.End, end)
		}
		at := end
		for i, w := range s.Tokens {
			if w.Part > 0 && w.Start == s.Tokens[i-1].Start {
				continue
			}
			if w.Start < at || w.End <= w.Start || w.End > s.End {
				t.Fatalf("%q: the token %q [%d:%d] after %d", text, w.Text, w.Start, w.End, at)
			}
			if w.Parts == 0 && w.Text != text[w.Start:w.End] {
				t.Fatalf("%q: the token %q at %q", text, w.Text, text[w.Start:w.End])
			}
			if gap := text[at:w.Start]; gap != "" && gap != "-" {
				if n, _ := spaces(gap); n != len(gap) {
					t.Fatalf("%q: %q is in no token", text, gap)
				}
			}
			if tg.HasTags() && w.UPOS == "" {
				t.Fatalf("%q: the token %q has no tag", text, w.Text)
			}
			at = w.End
		}
		if at != s.End {
			t.Fatalf("%q: the sentence ends at %d, its tokens at %d", text, s.End, at)
		}
		end = s.End
	}
	if n, _ := spaces(text[end:]); end+n != len(text) {
		t.Fatalf("%q: %q is in no sentence", text, text[end:])
	}
}

var hostile = []string{
	"\xff\xfe\x00", "a\xffb\xc3", "\x00\x00", "'", "''", "-", "--", "a-", "-a", "'s", "n't", "’", "l'", "l’", "$", "1.", ".1", "1-", "...", "!?",
	"http://", "://", "@", "a@", "a@b", "@@", "#", "##a", "www.", "www.a", "a.", "a.b.", "é", "É.", "\u200b", "\ufeff", "\u0301\u0301", "👩‍👩‍👧 🇩🇪",
	"80 000 000", "80 000x", "80 ", "0 000", strings.Repeat("a", 5000), strings.Repeat("a-", 2000), strings.Repeat("(", 500), strings.Repeat("1,", 500),
	strings.Repeat("'s", 100), "do-lo-se-me", "-se", "a-t-il", "hacérselo", "ándolo", "13. ", "13. mai", "&amp; &", "A&B&C", "km/h", "U$", "n°", ";)", ":-", "8)",
	"ภาษาไทย 日本語。テスト", "مرحبا؟ نعم", "\r\n\r\n", "a\u2028b\u2029c", "don\xe2\x80", "\xe2\x80\x99s", "S'\u2019",
}

func TestAnyBytes(t *testing.T) {
	for _, lang := range append(Languages(), "xx") {
		tg, _ := For(lang)
		for _, text := range hostile {
			checkDocument(t, tg, text)
			checkDocument(t, tg, "x "+text+" y. Z "+text)
		}
	}
}
