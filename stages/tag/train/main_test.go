package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// train runs the program and returns what it prints.
func train(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out, io.Discard); err != nil {
		t.Fatalf("train %v: %v", args, err)
	}
	return out.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTrainAndMeasure(t *testing.T) {
	const treebank = "../testdata/en.conllu"
	plain, err := os.ReadFile(treebank)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zipped := write(t, "en.conllu.gz", z.String())
	words := write(t, "words.tsv", "the\tDT\nwalks\tNNS,VBZ\n")

	dir := t.TempDir()
	var models [2][]byte
	for i, from := range []string{treebank, zipped} {
		out := filepath.Join(dir, "en.model")
		printed := train(t, "-lang", "en", "-xpos", "-words", words, "-min", "1", "-out", out, "-dev", treebank, from)
		if !strings.Contains(printed, "gold words: upos") {
			t.Errorf("no scores in %q", printed)
		}
		if models[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
		if got := train(t, "-eval", out, "-dev", zipped); scores(got) != scores(printed) {
			t.Errorf("the model's scores are %q, and were %q when it was made", got, printed)
		}
	}
	if len(models[0]) == 0 || !bytes.Equal(models[0], models[1]) {
		t.Errorf("the same treebank gives models of %d and %d bytes that differ", len(models[0]), len(models[1]))
	}
	if got := train(t, "-lang", "zh", "-dev", treebank); !strings.Contains(got, "raw text: token F1") {
		t.Errorf("measuring the tagger that there is prints %q", got)
	}
	if got := train(t, "-lang", "en", "-folds", "2", "-min", "1", treebank); !strings.HasPrefix(got, "2 parts:") {
		t.Errorf("cross-validation prints %q", got)
	}
}

// scores is a line of scores without the time that they took.
func scores(printed string) string {
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	line, _, _ := strings.Cut(lines[len(lines)-1], " (")
	return line
}

func TestWordLists(t *testing.T) {
	dict := t.TempDir()
	for name, content := range map[string]string{
		"index.noun": "  1 licence\nwalk n 1\nbaby n 1\nice_cream n 1\nfoot n 1\n", "noun.exc": "feet foot\n",
		"index.verb": "go v 1\nbake v 1\ntry v 1\n", "verb.exc": "went go\ngoes go\n",
		"index.adj": "good a 1\n", "adj.exc": "better good\nbest good\n",
		"index.adv": "well r 1\n", "adv.exc": "",
	} {
		if err := os.WriteFile(filepath.Join(dict, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const wordnet = "babies NNS|baby NN|bake VB|baked VBD|bakes VBZ|baking VBG|best JJS|better JJR|feet NNS|foot NN|foots NNS|go VB|" +
		"goes VBZ|going VBG|good JJ|gos VBZ|tried VBD|tries VBZ|try VB|trying VBG|walk NN|walks NNS|well RB|went VBD"
	if got := strings.NewReplacer("\t", " ", "\n", "|").Replace(strings.TrimSpace(train(t, "-wordnet", dict))); got != wordnet {
		t.Errorf("WordNet gives\n%s, want\n%s", got, wordnet)
	}

	name := strings.TrimSuffix(write(t, "xx.aff", "SET UTF-8\nSFX A Y 2\nSFX A 0 s [^s]\nSFX A y ies [^aeiou]y\n"), ".aff")
	if err := os.WriteFile(name+".dic", []byte("2\nparty/A\nhouse/A po:nom\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const hunspell = "house nom|houses nom|parties A|partys A"
	if got := strings.NewReplacer("\t", " ", "\n", "|").Replace(strings.TrimSpace(train(t, "-hunspell", name, "-drop", "^party "))); got != hunspell {
		t.Errorf("Hunspell gives\n%s, want\n%s", got, hunspell)
	}

	vectors := write(t, "vectors.txt", "the 1 0\ncat 0 1\na 2 0.1\ndog 0.1 3\nnever 9 9\n")
	const clusters = "a\tc0\nthe\tc0\ncat\tc1\ndog\tc1\n"
	if got := train(t, "-cluster", "2", "-limit", "4", vectors); got != clusters {
		t.Errorf("the clusters are %q, want %q", got, clusters)
	}
}

func TestMistakes(t *testing.T) {
	const treebank = "../testdata/en.conllu"
	tests := []struct {
		want string
		args []string
	}{
		{"no treebank", nil},
		{"missing.conllu", []string{"missing.conllu"}},
		{"broken.gz", []string{write(t, "broken.gz", "not gzip")}},
		{"-eval wants -dev", []string{"-eval", "x.model"}},
		{"x.model", []string{"-eval", "x.model", "-dev", treebank}},
		{"broken.model", []string{"-eval", write(t, "broken.model", "no model"), "-dev", treebank}},
		{"no tab", []string{"-lang", "en", "-words", write(t, "w.tsv", "word\n"), treebank}},
		{"word lists", []string{"-lang", "en", "-words", "a,b,c", treebank}},
		{"line 2: 1 numbers, 2", []string{"-cluster", "2", write(t, "v.txt", "a 1 2\nb 1\n")}},
		{"line 1: no vector", []string{"-cluster", "2", write(t, "v.txt", "a\n")}},
		{"invalid syntax", []string{"-cluster", "2", write(t, "v.txt", "a one\n")}},
		{"one file", []string{"-cluster", "2"}},
		{"index.noun", []string{"-wordnet", t.TempDir()}},
		{"none.aff", []string{"-hunspell", "none"}},
		{"-drop", []string{"-hunspell", "none", "-drop", "("}},
	}
	for _, tc := range tests {
		err := run(tc.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("train %v: %v, want an error with %q", tc.args, err, tc.want)
		}
	}
}
