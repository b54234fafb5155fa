package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// An affix is a suffix rule of a Hunspell dictionary: words that match cond
// lose strip and get add.
type affix struct {
	strip, add string
	cond       *regexp.Regexp
	tense      string
}

// writeHunspell turns a Hunspell dictionary, name.aff and name.dic, into a
// word list for the trainer's -words flag: each stem and each stem with one
// suffix, a tab, and what the dictionary says of it. That is its part of
// speech and tense where the dictionary has them (po: or CAT= and T= fields),
// and otherwise the flags of the stem and of the suffix, which stand for ways
// of inflection. Entries that match the expression drop are left out.
func writeHunspell(w io.Writer, name, drop string) error {
	dropRE, err := regexp.Compile(drop)
	if err != nil {
		return fmt.Errorf("-drop: %w", err)
	}
	suffixes, long, err := readAffixes(name + ".aff")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(name + ".dic")
	if err != nil {
		return err
	}
	forms := map[string]map[string]bool{}
	add := func(form, class string) {
		if form == "" || strings.ContainsAny(form, " \t") {
			return
		}
		form = strings.ToLower(form)
		if forms[form] == nil {
			forms[form] = map[string]bool{}
		}
		forms[form][class] = true
	}
	for line := range strings.Lines(string(data)) {
		expandEntry(strings.TrimSpace(line), suffixes, long, add)
	}
	bw := bufio.NewWriter(w)
	for _, form := range slices.Sorted(maps.Keys(forms)) {
		classes := slices.Sorted(maps.Keys(forms[form]))
		if drop != "" && dropRE.MatchString(form+" "+strings.Join(classes, ",")) {
			continue
		}
		fmt.Fprintf(bw, "%s\t%s\n", form, strings.Join(classes[:min(len(classes), 4)], ","))
	}
	return bw.Flush()
}

func expandEntry(line string, suffixes map[string][]affix, long bool, add func(form, class string)) {
	entry, fields, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	stem, flags, _ := strings.Cut(entry, "/")
	pos := partOfSpeech(fields)
	list := splitFlags(flags, long)
	if pos == "" {
		for _, f := range list {
			if suffixes[f] != nil {
				add(stem, "="+f)
			}
		}
	} else {
		add(stem, pos)
	}
	for _, f := range list {
		for _, a := range suffixes[f] {
			if !strings.HasSuffix(stem, a.strip) || !a.cond.MatchString(stem) {
				continue
			}
			class := pos
			if pos == "" {
				class = f
			}
			add(stem[:len(stem)-len(a.strip)]+a.add, class+a.tense)
		}
	}
}

func splitFlags(flags string, long bool) []string {
	var out []string
	for flags != "" {
		_, n := utf8.DecodeRuneInString(flags)
		if long && n < len(flags) {
			_, m := utf8.DecodeRuneInString(flags[n:])
			n += m
		}
		out = append(out, flags[:n])
		flags = flags[n:]
	}
	return out
}

var fieldRE = regexp.MustCompile(`(?:\bpo:|\bCAT=)([\pL_]+)`)

// partOfSpeech returns the part of speech in the fields of an entry, with the
// verbs of all groups as one.
func partOfSpeech(fields string) string {
	m := fieldRE.FindStringSubmatch(fields)
	if m == nil {
		return ""
	}
	if len(m[1]) > 1 && m[1][0] == 'v' && strings.Contains(fields, "po:v") {
		return "v"
	}
	return m[1]
}

var tenseRE = regexp.MustCompile(`(?:\bpo:|\bT=|\bN=)([\pL]+)`)

func readAffixes(name string) (suffixes map[string][]affix, long bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	suffixes = map[string][]affix{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		if len(fields) == 2 && fields[0] == "FLAG" {
			long = fields[1] == "long"
		}
		if len(fields) < 5 || fields[0] != "SFX" {
			continue // also the head of a group, which has four fields
		}
		a := affix{strip: fields[2]}
		if a.strip == "0" {
			a.strip = ""
		}
		a.add, _, _ = strings.Cut(fields[3], "/")
		if a.add == "0" {
			a.add = ""
		}
		if a.cond, err = regexp.Compile("(?:" + fields[4] + ")$"); err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
		if m := tenseRE.FindStringSubmatch(strings.Join(fields[5:], " ")); m != nil {
			a.tense = "+" + m[1]
		}
		suffixes[fields[1]] = append(suffixes[fields[1]], a)
	}
	return suffixes, long, sc.Err()
}
