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
