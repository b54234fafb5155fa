package lang

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Result is what a text seems to be.
type Result struct {
	// Code is the ISO 639-1 code of the language, or "" if the text has no letters
	// of a script that is known.
	Code string

	// Confidence is how likely it is that Code is right, from 0 to 1, as the model
	// sees it. From 0.9 on it is right in nearly all cases.
	Confidence float64
}

// A text is looked at in as many bytes as this, from three places of it if it is
// longer: more costs time and changes nothing.
const sampleSize = 1536

// Detect returns the language of a text.
func Detect(text string) Result { return detect(text, nil) }

// DetectAmong returns which of some languages, given by their codes, a text is in.
// It is for texts too short for [Detect] to be sure about, where the choice is
// known to be small.
func DetectAmong(text string, codes ...string) Result {
	return detect(text, func(code string) bool { return slices.Contains(codes, code) })
}

// Languages returns the codes that Detect can give, sorted.
func Languages() []string {
	codes := []string{"ja", "zh"}
	for _, s := range single {
		codes = append(codes, s.code)
	}
	for s := latin; s <= modelled; s++ {
		codes = append(codes, models()[s].codes...)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func detect(text string, among func(code string) bool) Result {
	parts := sample(text)
	s := scriptOfText(parts)
	switch {
	case s == none:
		return Result{}
	case s > modelled:
		code := nameOf(s)
		if among != nil && !among(code) {
			return Result{}
		}
		return Result{code, 1}
	}
	return models()[s].detect(parts, s, among)
}

// nameOf returns the language of a script that only one language has.
func nameOf(s script) string {
	switch s {
	case han:
		return "zh"
	case kana:
		return "ja"
	}
	return single[int(s)-scripts].code
}

// sample returns a text, or the parts of it that are looked at.
func sample(text string) []string {
	if len(text) <= sampleSize {
		return []string{text}
	}
	const size = sampleSize / 3
	parts := make([]string, 3)
	for i := range parts {
		from := i * (len(text) - size) / 2
		part := text[from : from+size]
		// What is cut at both ends may be part of a word, or of a letter.
		if j := strings.IndexByte(part, ' '); i > 0 && j >= 0 {
			part = part[j:]
		}
		if j := strings.LastIndexByte(part, ' '); i < 2 && j >= 0 {
			part = part[:j]
		}
		parts[i] = part
	}
	return parts
}

// scriptOfText returns the script that most letters are of. Japanese mixes kana
// with Chinese characters, which count as well then.
func scriptOfText(parts []string) script {
	counts := make([]int, scripts+len(single))
	for _, text := range parts {
		for _, r := range text {
			counts[scriptOf(r)]++
		}
	}
	counts[none] = 0
	if counts[kana]*10 >= counts[han] && counts[kana] > 0 {
		counts[kana] += counts[han]
		counts[han] = 0
	}
	// A character that stands for a word or a syllable weighs more than a letter.
	counts[han] *= 3
	counts[kana] *= 2
	counts[scriptOf('한')] *= 2
	best := none
	for s, n := range counts {
		if n > counts[best] {
			best = script(s)
		}
	}
	return best
}

// detect sums up the weights of what the parts of a text are made of.
func (m *model) detect(parts []string, s script, among func(string) bool) Result {
	sum := newSummer(m)
	for _, text := range parts {
		features(text, s, m.bits, sum.add)
	}
	scores := sum.scores()
	best, total := -1, 0.0
	for i, code := range m.codes {
		if among == nil || among(code) {
			if best < 0 || scores[i] > scores[best] {
				best = i
			}
		}
	}
	if best < 0 || sum.n == 0 {
		return Result{}
	}
	for i, code := range m.codes {
		if among == nil || among(code) {
			total += math.Exp(scores[i] - scores[best])
		}
	}
	return Result{m.codes[best], 1 / total}
}

// features calls fn for each feature of a text: the runs of one to five letters of
// its words, with the ends of the words, and the words. A feature is its hash.
func features(text string, s script, bits uint, fn func(bucket uint32)) {
	var word [maxWord + 2]rune
	n := 0
	flush := func() {
		if n > 0 {
			word[0], word[n+1] = ' ', ' '
			wordFeatures(word[:n+2], bits, fn)
			n = 0
		}
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		switch {
		case 'a' <= r && r <= 'z':
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		case r < utf8.RuneSelf:
			flush()
			continue
		default:
			if !joins(r, s) {
				flush()
				continue
			}
			r = fold(r)
		}
		if n == maxWord {
			flush()
		}
		n++
		word[n] = r
	}
	flush()
}

// maxWord is where a word without end is cut, in letters.
const maxWord = 32

func wordFeatures(word []rune, bits uint, fn func(uint32)) {
	const prime = 0x9E3779B1
	shift := 32 - bits
	whole := uint32(2166136261)
	for i := range word {
		h := uint32(0x811C9DC5)
		for n := 0; n < 5 && i+n < len(word); n++ {
			h = (h ^ uint32(word[i+n])) * prime
			h ^= h >> 15
			if n == 0 && word[i] == ' ' {
				continue
			}
			fn((h * 0x85EBCA6B) >> shift)
		}
		whole = (whole ^ uint32(word[i])) * 16777619
		whole ^= whole >> 13
	}
	fn((whole * 0xC2B2AE35) >> shift)
}
