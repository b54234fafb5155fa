package tag

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// smallModel trains a model on the English sample.
func smallModel(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("testdata/en.conllu")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sentences, err := ReadTreebank(f)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	opts := TrainOptions{Language: "en", XPOS: true, Voters: 2, ClassMin: 1}
	opts.Words[0] = map[string]string{"cat": "animal", "dog": "animal", "berlin": "place"}
	if err := Train(&buf, sentences, &opts); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestTrainIsDeterministic(t *testing.T) {
	if !bytes.Equal(smallModel(t), smallModel(t)) {
		t.Error("two trainings of the same sentences differ")
	}
}

func TestTrainedModelLearns(t *testing.T) {
	tg, err := Load(bytes.NewReader(smallModel(t)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/en.conllu")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gold, err := ReadTreebank(f)
	if err != nil {
		t.Fatal(err)
	}
	if s := tg.Evaluate(gold); s.XPOS < 0.98 || s.UPOS < 0.98 || s.SentenceF1 < 0.9 {
		t.Errorf("on its own sentences: %v", s)
	}
}

func TestTrainErrors(t *testing.T) {
	word := func(tag string) *TreebankSentence {
		return &TreebankSentence{Text: "a", Words: []TreebankWord{{Form: "a", UPOS: tag}}}
	}
	var many []*TreebankSentence
	for i := range maxLabels + 1 {
		many = append(many, word(strings.Repeat("X", i+1)))
	}
	tests := []struct {
		name      string
		sentences []*TreebankSentence
		opts      TrainOptions
		want      string
	}{
		{"no language", []*TreebankSentence{word("X")}, TrainOptions{}, "no language"},
		{"no words", nil, TrainOptions{Language: "en"}, "no words"},
		{"no tag", []*TreebankSentence{word("")}, TrainOptions{Language: "en"}, `"a" has no universal tag`},
		{"too many tags", many, TrainOptions{Language: "en"}, "257 different tags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Train(io.Discard, tt.sentences, &tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	model := smallModel(t)
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(model)) }
	tests := []struct {
		name string
		in   []byte
		is   error
		want string
	}{
		{"empty", nil, ErrNotModel, "not a tagger model"},
		{"something else", []byte(strings.Repeat("hello ", 20)), ErrNotModel, "not a tagger model"},
		{"header cut short", model[:20], ErrCorruptModel, "after 20 bytes"},
		{"body cut short", model[:len(model)/2], ErrCorruptModel, "cut short"},
		{"another version", change(func(b []byte) []byte { b[len(magic)] = 9; return b }), ErrVersion, "version 9"},
		{"too large", change(func(b []byte) []byte { b[len(magic)+7] = 0xFF; return b }), ErrCorruptModel, "at most"},
		{"wrong length", change(func(b []byte) []byte { b[len(magic)+4]++; return b }), ErrCorruptModel, "the header says"},
		{"wrong checksum", change(func(b []byte) []byte { b[len(magic)+8]++; return b }), ErrCorruptModel, "checksum"},
		{"no tags", packed(t, func(e *encoder) { e.str("en"); e.num(0) }), ErrCorruptModel, "no labels"},
		{"too many tags", packed(t, func(e *encoder) { e.str("en"); e.num(1 << 40) }), ErrCorruptModel, "1099511627776 labels"},
		{"too many keys", packed(t, func(e *encoder) {
			e.str("en")
			e.num(1)
			e.strs(nil)
			e.str("")
			e.num(1)
			e.num(0)
			e.num(0)
			e.num(1 << 30)
		}), ErrCorruptModel, "words"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(bytes.NewReader(tt.in))
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Load(iotest.ErrReader(errFull)); !errors.Is(err, errFull) {
		t.Errorf("an error of the reader: got %v", err)
	}
}

func TestLoadAnyDamage(t *testing.T) {
	model := smallModel(t)
	for i := range model {
		damaged := bytes.Clone(model)
		damaged[i] ^= 0x55
		if _, err := Load(bytes.NewReader(damaged)); err == nil {
			t.Fatalf("a change of byte %d of %d is not noticed", i, len(model))
		}
	}
	for n := 0; n < len(model); n += 7 {
		if _, err := Load(bytes.NewReader(model[:n])); err == nil {
			t.Fatalf("a model cut to %d of %d bytes is not noticed", n, len(model))
		}
	}
}

func TestLoadLeavesTheRestOfTheInput(t *testing.T) {
	r := bytes.NewReader(append(smallModel(t), "rest"...))
	if _, err := Load(r); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("%q is left", rest)
	}
}
