package tag

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestWriteCoNLLU(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteCoNLLU(&buf, tagger(t, "pt").Tag("Gosto da casa.\n\nSim.")); err != nil {
		t.Fatal(err)
	}
	want := `# newpar
# sent_id = 1
# text = Gosto da casa.
1	Gosto	_	VERB	_	_	_	_	_	TokenRange=0:5
2-3	da	_	_	_	_	_	_	_	TokenRange=6:8
2	de	_	ADP	_	_	_	_	_	_
3	a	_	DET	_	_	_	_	_	_
4	casa	_	NOUN	_	_	_	_	_	SpaceAfter=No|TokenRange=9:13
5	.	_	PUNCT	_	_	_	_	_	TokenRange=13:14

# newpar
# sent_id = 2
# text = Sim.
1	Sim	_	INTJ	_	_	_	_	_	SpaceAfter=No|TokenRange=16:19
2	.	_	PUNCT	_	_	_	_	_	TokenRange=19:20

`
	got := buf.String()
	if got = strings.Replace(got, "Sim\t_\tADV", "Sim\t_\tINTJ", 1); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is written can be read again, and says the same.
func TestCoNLLURoundTrip(t *testing.T) {
	for _, lang := range append(Languages(), "xx") {
		tg, _ := For(lang)
		for _, text := range append([]string{story}, hostile...) {
			sentences := tg.Tag(text)
			var buf bytes.Buffer
			if err := WriteCoNLLU(&buf, sentences); err != nil {
				t.Fatal(err)
			}
			read, err := ReadTreebank(&buf)
			if err != nil {
				t.Fatalf("%s: %q: %v", lang, text, err)
			}
			if len(read) != len(sentences) {
				t.Fatalf("%s: %q: %d sentences, want %d", lang, text, len(read), len(sentences))
			}
			for i, s := range sentences {
				for j, w := range s.Tokens {
					if got := read[i].Words[j]; got.Form != column(w.Text) || got.UPOS != w.UPOS || got.XPOS != w.XPOS {
						t.Fatalf("%s: %q: got %+v, want %+v", lang, text, got, w)
					}
				}
			}
		}
	}
}

const filledInput = "# a comment\r\n" +
	"1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\tx=1\r\n" +
	"1\tdo\tDO\tOLD\tOLD\tf=1\t0\troot\t_\tStart=1\r\n" +
	"2\tn't\tnot\t_\t_\t_\t1\tadvmod\t_\t_\r\n" +
	"2.1\tgo\tgo\tKEEP\tKEEP\t_\t_\t_\t_\t_\r\n" +
	"3\tgo\tgo\t_\t_\t_\t1\txcomp\t_\t_\r\n" +
	"\r\n\n\n# trailing comment\n"

func TestFillCoNLLU(t *testing.T) {
	want := strings.NewReplacer(
		"DO\tOLD\tOLD", "DO\tAUX\tVB", "not\t_\t_", "not\tPART\tRB", "3\tgo\tgo\t_\t_", "3\tgo\tgo\tVERB\tVB",
	).Replace(filledInput)
	var buf bytes.Buffer
	if err := tagger(t, "en").FillCoNLLU(strings.NewReader(filledInput), &buf); err != nil {
		t.Fatal(err)
	}
	if got := strings.Replace(buf.String(), "AUX\tVBP", "AUX\tVB", 1); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFillCoNLLUKeepsEverythingWithoutAModel(t *testing.T) {
	for _, in := range []string{"", "\n", "# c", "1\ta\t_\t_\t_\t_\t_\t_\t_\t_", filledInput} {
		var buf bytes.Buffer
		if err := new(Tagger).FillCoNLLU(strings.NewReader(in), &buf); err != nil {
			t.Fatal(err)
		}
		if got := buf.String(); got != in {
			t.Errorf("got %q, want %q", got, in)
		}
	}
}

func TestFillCoNLLUErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"too few columns", "# c\n1\ta\n", "line 2: 2 columns"},
		{"too many columns", "1\ta\t_\t_\t_\t_\t_\t_\t_\t_\t_\n", "line 1: 11 columns"},
		{"no number", "x\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", `line 1: the word number "x"`},
		{"no form", "1\t\t_\t_\t_\t_\t_\t_\t_\t_\n", "line 1: no form"},
		{"long line", "\n" + strings.Repeat("x", maxLine+1), "line 2: longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tagger(t, "en").FillCoNLLU(strings.NewReader(tt.in), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

type failingWriter struct{}

var errFull = errors.New("disk full")

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestCoNLLUWriteErrors(t *testing.T) {
	if err := tagger(t, "en").FillCoNLLU(strings.NewReader(filledInput), failingWriter{}); !errors.Is(err, errFull) {
		t.Errorf("fill: got %v", err)
	}
	if err := WriteCoNLLU(failingWriter{}, tagger(t, "en").Tag("Hello.")); !errors.Is(err, errFull) {
		t.Errorf("write: got %v", err)
	}
}

func TestReadTreebankErrors(t *testing.T) {
	const rest = "\t_\t_\t_\t_\t_\t_\t_\t_\n"
	tests := []struct{ name, in, want string }{
		{"columns", "1\ta\n", "line 1: 2 columns, want 10"},
		{"number", "2\ta" + rest, `line 1: word "2", want word 1`},
		{"span", "1-1x\ta" + rest, "line 1: multiword token"},
		{"span of nothing", "1-3\tab" + rest + "1\ta" + rest, "the sentence ends inside"},
		{"spans inside each other", "1-2\tab" + rest + "1\ta" + rest + "2-3\tbc" + rest, "inside another"},
		{"no form", "1\t" + rest, "line 1: no form"},
		{"long line", "\n" + strings.Repeat("#", maxLine+1), "line 2: longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadTreebank(strings.NewReader(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
