package main

import (
	"strings"
	"unicode"
)

// judgeArticle compares two texts by the 4-grams of their words, as multisets.
// Each page counts the same, whatever its length.
func judgeArticle(want, got string) score {
	a, b := grams(want), grams(got)
	var common, na, nb float64
	for g, n := range a {
		na += float64(n)
		common += float64(min(n, b[g]))
	}
	for _, n := range b {
		nb += float64(n)
	}
	total := na + nb - common
	if total == 0 {
		return score{}
	}
	return score{tp: common / total, fp: (nb - common) / total, fn: (na - common) / total}
}

func grams(s string) map[string]int {
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	const n = 4
	out := make(map[string]int)
	if len(words) > 0 && len(words) < n {
		out[strings.Join(words, " ")]++
	}
	for i := range max(0, len(words)-n+1) {
		out[strings.Join(words[i:i+n], " ")]++
	}
	return out
}

// judgeWords compares the words of two texts as multisets and returns F1,
// precision and recall in the place of counts.
func judgeWords(want, got string) score {
	a, b := bag(want), bag(got)
	if len(a) == 0 || len(b) == 0 {
		if len(a) == len(b) {
			return score{1, 1, 1}
		}
		if len(a) == 0 {
			return score{}
		}
	}
	common, na, nb := 0.0, 0.0, 0.0
	for w, n := range a {
		na += float64(n)
		common += float64(min(n, b[w]))
	}
	for _, n := range b {
		nb += float64(n)
	}
	if common == 0 {
		return score{}
	}
	p, r := common/nb, common/na
	return score{2 * p * r / (p + r), p, r}
}

func bag(s string) map[string]int {
	out := make(map[string]int)
	for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' }) {
		out[w]++
	}
	return out
}
