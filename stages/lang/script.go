package lang

import "unicode"

// A script is a set of letters that one language, or a few, are written in.
type script uint8

const (
	none script = iota
	latin
	cyrillic
	arabic
	devanagari
	hebrew
	han
	kana
	modelled = hebrew // scripts up to here have a model
)

// single has the scripts that name their language.
var single = []struct {
	table *unicode.RangeTable
	code  string
}{
	{unicode.Greek, "el"}, {unicode.Thai, "th"}, {unicode.Hangul, "ko"}, {unicode.Armenian, "hy"}, {unicode.Georgian, "ka"},
	{unicode.Bengali, "bn"}, {unicode.Tamil, "ta"}, {unicode.Telugu, "te"}, {unicode.Kannada, "kn"}, {unicode.Malayalam, "ml"},
	{unicode.Gujarati, "gu"}, {unicode.Gurmukhi, "pa"}, {unicode.Oriya, "or"}, {unicode.Sinhala, "si"}, {unicode.Khmer, "km"},
	{unicode.Lao, "lo"}, {unicode.Myanmar, "my"}, {unicode.Ethiopic, "am"}, {unicode.Tibetan, "bo"}, {unicode.Thaana, "dv"},
}

const scripts = int(kana) + 1 // and then those of single

// scriptOf returns the script of a letter, as one of the constants or as scripts
// plus a place in single, and none for what is no letter of a known one.
func scriptOf(r rune) script {
	switch {
	case r < 0x80:
		if 'a' <= r|0x20 && r|0x20 <= 'z' {
			return latin
		}
		return none
	case r < 0x250:
		if unicode.IsLetter(r) {
			return latin
		}
		return none
	case r < 0x370:
		return none // phonetic letters, and marks that belong to the letter before
	case 0x400 <= r && r < 0x530:
		return cyrillic
	case 0x590 <= r && r < 0x600:
		return hebrew
	case 0x600 <= r && r < 0x780:
		if unicode.IsLetter(r) {
			return arabic
		}
		return none
	case 0x900 <= r && r < 0x980:
		return devanagari
	case 0x3040 <= r && r < 0x3100:
		return kana
	case 0x3400 <= r && r < 0xA000, 0xF900 <= r && r < 0xFB00, 0x20000 <= r && r < 0x30000:
		return han
	case 0x1E00 <= r && r < 0x1F00:
		return latin
	}
	for i, s := range single {
		if unicode.Is(s.table, r) {
			return script(scripts + i)
		}
	}
	return none
}
