package content

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Names and words are known by their hashes: FNV-1a of 32 bits, begun with a
// byte that says what kind of name it is.

const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// Kinds of hashed names.
const (
	kindTag      = 't'
	kindName     = 'n' // a class or id
	kindPart     = 'p' // a part of one: "post" of "post-body"
	kindRole     = 'r'
	kindProperty = 'i' // itemprop
	kindWord     = 'w' // a word of the text
	kindPair     = 'b' // two words in a row
	kindText     = 'x' // a short text as a whole
	kindFact     = 'f' // something said of the page
)

func hashKind(kind byte) uint32 { return (fnvOffset ^ uint32(kind)) * fnvPrime }

func hashByte(h uint32, c byte) uint32 { return (h ^ uint32(c)) * fnvPrime }

// hashName hashes a name without regard to case; digits count as one.
func hashName(kind byte, s string) uint32 {
	h := hashKind(kind)
	digit := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= '0' && c <= '9' {
			if digit {
				continue
			}
			digit, c = true, '0'
		} else {
			digit = false
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		h = hashByte(h, c)
	}
	return h
}

// Bounds on what is read of an element's names.
const (
	maxNames = 8
	maxName  = 60
)

// elementTokens appends the hashed names of an element, and returns the hash of
// its name and classes and its place.
func elementTokens(n *html.Node, tokens []uint32, in place) ([]uint32, uint32, place) {
	before := len(tokens)
	tag := hashName(kindTag, n.Data)
	tokens = append(tokens, tag)
	signature := tag
	for i := range n.Attr {
		a := &n.Attr[i]
		switch a.Key {
		case "class":
			names := 0
			for name := range strings.FieldsSeq(a.Val) {
				if names == maxNames {
					break
				}
				names++
				tokens = nameTokens(name, tokens)
				if names <= 3 {
					signature = signature*31 + hashName(kindName, name)
				}
			}
		case "id", "data-testid", "data-component":
			tokens = nameTokens(a.Val, tokens)
		case "role":
			in |= roles[a.Val]
			tokens = append(tokens, hashName(kindRole, a.Val))
		case "itemprop":
			in |= inItemprop
			tokens = append(tokens, hashName(kindProperty, a.Val))
		case "itemtype":
			tokens = append(tokens, hashName(kindProperty, strings.TrimSuffix(a.Val[strings.LastIndexByte(a.Val, '/')+1:], "/")))
		case "hidden":
			in |= inHidden
		case "aria-hidden":
			if a.Val == "true" {
				in |= inHidden
			}
		case "style":
			if hides(a.Val) {
				in |= inHidden
			}
		}
	}
	if n.DataAtom != atom.Html && n.DataAtom != atom.Body { // whose names are about the page
		for _, t := range tokens[before:] {
			in |= named[t]
		}
	}
	return tokens, signature, in
}

var commentPart = hashName(kindPart, "comment")

// named are the places that parts of names and whole names stand for.
var named = func() map[uint32]place {
	m := make(map[uint32]place)
	for _, of := range []struct {
		kind  byte
		in    place
		names string
	}{
		{kindPart, inComments, "comment comments"},
		{kindPart, inReviews, "review reviews"},
		{kindPart, inOverlay, "modal popup overlay drawer lightbox"},
		{kindName, inReaderOnly, readerOnlyNames},
		{kindPart, inRelated, "related recommended recommendations"},
		{kindPart, inSignature, "signature signatures"},
		{kindPart, inAppeal, "cta ctas newsletter subscribe signup widget"},
		{kindPart, inAuthor, "author authors byline bio"},
		{kindPart, inDisclaimer, "disclaimer disclaimers"},
		{kindPart, inTrail, "breadcrumb breadcrumbs"},
		{kindPart, inCaption, "caption captions figcaption"},
	} {
		for name := range strings.FieldsSeq(of.names) {
			m[hashName(of.kind, name)] |= of.in
		}
	}
	return m
}()

// readerOnlyNames are the classes by which style sheets of frameworks and large
// shops hide text from all but screen readers.
const readerOnlyNames = "sr-only visually-hidden visuallyhidden screen-reader-text screen-reader screenreader-only sr-text clipped a-offscreen show-for-sr offscreen assistive-text"

func hides(style string) bool {
	if !strings.Contains(style, "none") && !strings.Contains(style, "hidden") {
		return false
	}
	s := strings.ReplaceAll(strings.ToLower(style), " ", "")
	return strings.Contains(s, "display:none") || strings.Contains(s, "visibility:hidden")
}

// nameTokens appends a class or id, and its parts.
func nameTokens(name string, tokens []uint32) []uint32 {
	if len(name) > maxName {
		name = name[:maxName]
	}
	tokens = append(tokens, hashName(kindName, name))
	start, parts := 0, 0
	for i := 0; i <= len(name) && parts < maxNames; i++ {
		boundary := i == len(name)
		if !boundary {
			c := name[i]
			boundary = c == '-' || c == '_' || c == ':' || c == '/' || c >= '0' && c <= '9' ||
				c >= 'A' && c <= 'Z' && i > start && name[i-1] >= 'a' && name[i-1] <= 'z'
		}
		if !boundary {
			continue
		}
		if i-start >= 2 {
			tokens = append(tokens, hashName(kindPart, name[start:i]))
			parts++
		}
		start = i
		for start < len(name) && (name[start] == '-' || name[start] == '_' || name[start] == ':' || name[start] == '/' || name[start] >= '0' && name[start] <= '9') {
			start++
			i = start
		}
		i = max(i, start)
	}
	return tokens
}

// textTokens appends the hashes of the first words of a text, and for a short
// one its pairs of words and the whole.
func textTokens(s string, tokens []uint32) []uint32 {
	const words = 8
	start, n := -1, 0
	var last uint32
	whole := hashKind(kindText)
	for i := 0; i <= len(s) && n < words; i++ {
		inWord := false
		if i < len(s) {
			c := s[i]
			inWord = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || c >= '0' && c <= '9' || c == '$' || c == '\''
		}
		switch {
		case inWord && start < 0:
			start = i
		case !inWord && start >= 0:
			h := hashName(kindWord, s[start:min(i, start+20)])
			tokens = append(tokens, h)
			if n > 0 {
				tokens = append(tokens, (last*fnvPrime^h)*fnvPrime^kindPair)
			}
			whole = whole*fnvPrime ^ h
			last, start = h, -1
			n++
		}
	}
	if n < words {
		tokens = append(tokens, whole*fnvPrime)
	}
	return tokens
}
