package lang

import "unicode"

// joins reports whether r goes on with a word of the script: a letter of it, or a
// mark that belongs to a letter.
func joins(r rune, s script) bool {
	return scriptOf(r) == s || unicode.IsMark(r)
}

// fold returns a letter in lower case.
func fold(r rune) rune {
	if r == 'İ' {
		return 'i'
	}
	return unicode.ToLower(r)
}
