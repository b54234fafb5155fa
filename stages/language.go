package stages

import (
	"slices"
	"strings"
	"unicode"

	"github.com/RadhiFadlillah/whatlanggo"
)

// languageSample bounds the text that a language is detected on, in bytes. More
// costs time and changes nothing.
const languageSample = 4 << 10

// minLanguageText is the least text, in bytes, that a detected language is
// believed on against what the page declares.
const minLanguageText = 200

// DetectLanguage returns the language of a page as an ISO 639-1 code ("de"), or
// an ISO 639-3 code where there is none, or "" if it is unknown. htmlLang is the
// lang attribute of <html>, contentLanguage the Content-Language header or its
// <meta>; each may be "".
//
// The text decides if there is enough of it and its detection is reliable,
// because templates declare languages that their pages are not in. Else the
// lang attribute decides, then Content-Language if it names one language, then
// an unreliable detection.
func DetectLanguage(text, htmlLang, contentLanguage string) string {
	declared := primaryLanguage(htmlLang)
	if declared == "" && !strings.Contains(contentLanguage, ",") {
		declared = primaryLanguage(contentLanguage)
	}
	sample := text
	if len(sample) > languageSample {
		sample = strings.ToValidUTF8(sample[:languageSample], "")
	}
	if len(strings.TrimSpace(sample)) < 20 {
		return declared
	}
	info := whatlanggo.Detect(sample)
	code := info.Lang.Iso6391()
	if code == "" {
		code = info.Lang.Iso6393()
	}
	if declared == "" || sameLanguage(declared, code) {
		return or(declared, code)
	}
	if len(sample) >= minLanguageText && info.IsReliable() {
		return code
	}
	return declared
}

// functionWords are the words that give a language away in a short text.
var functionWords = map[string]string{
	"de": "der die das den dem des ein eine einen einem einer und oder aber ist sind war nicht ich du er sie wir ihr es im am zum zur mit von zu auf für wie was dass auch noch hat haben wird kein unter bei nach",
	"en": "the a an and or but is are was were not n't 's 'm 're 've 'll i you he she we they it of to in on at for with by that this what how did do does has have had will would no my your his her its from as be",
	"es": "el la los las un una unos unas y o pero es son era no yo tú él ella nosotros del al de en con por para que qué cómo se su sus más muy está están ha han hay lo le les mi",
	"fr": "le la les l' un une des et ou mais est sont était ne pas n' je tu il elle nous vous ils elles du au aux de d' en dans avec par pour que qu' qui se sa son ses plus très c' ce cette j' sur ont a",
	"pt": "o a os as um uma uns umas e ou mas é são era não eu tu ele ela nós eles do da dos das no na nos nas ao à de em com por para que se seu sua mais muito está estão foi há lhe meu minha pelo pela",
}

// DetectAmong returns which of some languages, given as ISO 639-1 codes, a text
// looks most like, or "" if it looks like none. It is for texts too short for
// [DetectLanguage] to be right about, where the choice is known to be small.
func DetectAmong(text string, codes ...string) string {
	if len(text) > languageSample {
		text = strings.ToValidUTF8(text[:languageSample], "")
	}
	words := strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(text, "’", "'")), func(r rune) bool {
		return r != '\'' && !unicode.IsLetter(r)
	})
	best, most, tie := "", 0, false
	for _, code := range codes {
		n := 0
		for _, f := range strings.Fields(functionWords[code]) {
			for _, w := range words {
				if w == f || f[0] == '\'' && strings.HasSuffix(w, f) ||
					f == "n't" && strings.HasSuffix(w, f) || f[len(f)-1] == '\'' && strings.HasPrefix(w, f) {
					n++
				}
			}
		}
		switch {
		case n > most:
			best, most, tie = code, n, false
		case n == most:
			tie = true
		}
	}
	if most > 0 && !tie {
		return best
	}
	among := make(map[whatlanggo.Lang]bool)
	for lang := range whatlanggo.Langs {
		if slices.Contains(codes, lang.Iso6391()) {
			among[lang] = true
		}
	}
	code := whatlanggo.DetectWithOptions(text, whatlanggo.Options{Whitelist: among}).Lang.Iso6391()
	if !slices.Contains(codes, code) {
		return ""
	}
	return code
}

// primaryLanguage returns the language of a BCP 47 tag, or "" if it is none.
func primaryLanguage(tag string) string {
	tag = strings.ToLower(strings.TrimSpace(tag))
	if i := strings.IndexAny(tag, "-_"); i >= 0 {
		tag = tag[:i]
	}
	if len(tag) < 2 || len(tag) > 3 {
		return ""
	}
	for _, c := range tag {
		if c < 'a' || c > 'z' {
			return ""
		}
	}
	switch tag {
	case "und", "mul", "zxx", "xx":
		return ""
	}
	return tag
}

// sameLanguage reports whether two codes mean what a detector cannot tell
// apart, or one language under two codes.
func sameLanguage(declared, detected string) bool {
	group := func(c string) string {
		switch c {
		case "nb", "nn", "no", "nob", "nno", "da", "dan":
			return "no" // Bokmål is closer to Danish than to what trigrams see
		case "hr", "sr", "bs", "sh", "hrv", "srp", "bos":
			return "sh"
		case "id", "ms", "ind", "msa":
			return "ms"
		case "cmn", "zh", "yue":
			return "zh"
		}
		return c
	}
	return group(declared) == group(detected)
}
