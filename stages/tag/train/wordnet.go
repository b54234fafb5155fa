package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeWordNet turns the index and exception files of WordNet's dict folder
// into a word list for the trainer's -words flag: each word form, a tab and
// the Penn tags that it can have by itself, as in "walks NNS,VBZ".
func writeWordNet(w io.Writer, dir string) error {
	forms := map[string]map[string]bool{}
	add := func(form, tag string) {
		if forms[form] == nil {
			forms[form] = map[string]bool{}
		}
		forms[form][tag] = true
	}
	for _, pos := range []string{"noun", "verb", "adj", "adv"} {
		lemmas, err := firstFields(filepath.Join(dir, "index."+pos))
		if err != nil {
			return err
		}
		irregular, err := exceptions(filepath.Join(dir, pos+".exc"))
		if err != nil {
			return err
		}
		for _, lemma := range lemmas {
			if strings.ContainsAny(lemma, "_ ") {
				continue
			}
			inflect(pos, lemma, irregular[lemma], add)
		}
	}
	bw := bufio.NewWriter(w)
	for _, form := range slices.Sorted(maps.Keys(forms)) {
		fmt.Fprintf(bw, "%s\t%s\n", form, strings.Join(slices.Sorted(maps.Keys(forms[form])), ","))
	}
	return bw.Flush()
}

// firstFields returns the first field of each line that does not begin with a
// space, as those of WordNet's licence do.
func firstFields(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, " ") {
			if f := strings.Fields(line); len(f) > 0 {
				out = append(out, f[0])
			}
		}
	}
	return out, nil
}

// exceptions reads a list of irregular forms and returns those of each lemma.
func exceptions(name string) (map[string][]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 {
			for _, lemma := range f[1:] {
				out[lemma] = append(out[lemma], f[0])
			}
		}
	}
	return out, nil
}

func inflect(pos, lemma string, irregular []string, add func(form, tag string)) {
	switch pos {
	case "noun":
		add(lemma, "NN")
		add(plural(lemma), "NNS")
		for _, f := range irregular {
			add(f, "NNS")
		}
	case "verb":
		add(lemma, "VB")
		add(plural(lemma), "VBZ")
		stem := lemma
		if strings.HasSuffix(lemma, "e") && !strings.HasSuffix(lemma, "ee") {
			stem = lemma[:len(lemma)-1]
		}
		add(stem+"ing", "VBG")
		past := stem + "ed"
		if endsInConsonantY(lemma) {
			past = lemma[:len(lemma)-1] + "ied"
		}
		if !slices.ContainsFunc(irregular, func(f string) bool { return !strings.HasSuffix(f, "ing") && !strings.HasSuffix(f, "s") }) {
			add(past, "VBD")
		}
		for _, f := range irregular {
			switch {
			case strings.HasSuffix(f, "ing"):
				add(f, "VBG")
			case strings.HasSuffix(f, "s"):
				add(f, "VBZ")
			default:
				add(f, "VBD")
			}
		}
	case "adj":
		add(lemma, "JJ")
		for _, f := range irregular {
			if strings.HasSuffix(f, "est") {
				add(f, "JJS")
			} else {
				add(f, "JJR")
			}
		}
	case "adv":
		add(lemma, "RB")
	}
}

func plural(s string) string {
	switch {
	case endsInConsonantY(s):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "z"),
		strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	}
	return s + "s"
}

func endsInConsonantY(s string) bool {
	return len(s) > 1 && s[len(s)-1] == 'y' && !strings.ContainsRune("aeiou", rune(s[len(s)-2]))
}
