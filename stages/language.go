package stages

import (
	"strings"

	"github.com/seed-301537d8/weir/stages/lang"
)

// minLanguageText is the least text, in bytes, that a detected language is
// believed on against what the page declares.
const minLanguageText = 200

// DetectLanguage returns the language of a page as an ISO 639-1 code ("de"), or
// an ISO 639-3 code where there is none, or "" if it is unknown. htmlLang is the
// lang attribute of <html>, contentLanguage the Content-Language header or its
// <meta>; each may be "".
//
// The text decides if there is enough of it and package lang is sure, because
// templates declare languages that their pages are not in. Else the lang attribute
// decides, then Content-Language if it names one language, then the text, however
// short it is.
func DetectLanguage(text, htmlLang, contentLanguage string) string {
	declared := primaryLanguage(htmlLang)
	if declared == "" && !strings.Contains(contentLanguage, ",") {
		declared = primaryLanguage(contentLanguage)
	}
	found := lang.Detect(text)
	switch {
	case found.Code == "" || declared == "" && found.Confidence < needed(text):
		return declared
	case declared == "":
		return found.Code
	case sameLanguage(declared, found.Code):
		return declared
	case len(text) >= minLanguageText && found.Confidence >= 0.9:
		return found.Code
	}
	return declared
}

// needed is how sure a detection must be where nothing is declared: a word alone
// may be a name.
func needed(text string) float64 {
	if len(text) < 20 {
		return 0.8
	}
	return 0.5
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
			return "no" // Bokmål, Nynorsk and Danish are close to each other
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
