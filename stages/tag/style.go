package tag

import "strings"

// A style is what a language does at the joints of words: which clitics are
// split off, which hyphens hold, how numbers are written. The split rules of
// a model name their style by the language.
type style struct {
	name          string
	elisions      []string // split off in front, with their apostrophe: French l', qu'
	english       bool     // split off n't, 's and so on
	hyphens       hyphens
	keepBefore    []string // prefixes whose hyphen holds although others split: English co-, non-
	afterHyphen   []string // clitics that are split off behind a hyphen
	hyphenKeeps   bool     // the hyphen stays with the clitic, as in French -t-il
	spacedNumbers bool     // 80 000 is one token
	signs         bool     // -5 and +44 are one token
	ordinals      bool     // 13. is one token before a month or a lower-case word
	groupMarks    bool     // !!! and ?! are one token
	unitsSplit    bool     // 20h and 5km are two tokens
	verbClitics   bool     // hacerlo is hacer and lo
	multiword     bool     // what the rules cut is a multiword token of CoNLL-U
	initials      bool     // a capital and a full stop are one token
	keepWords     []string // words that no rule splits
	abbreviations []string // beside those of the treebank, without their full stop
}

type hyphens uint8

const (
	hyphensJoin  hyphens = iota // word-word is one token
	hyphensSplit                // the parts and the hyphen are tokens
)

var styles = map[string]style{
	"en": {
		name: "en", english: true, groupMarks: true, hyphens: hyphensSplit, multiword: true, initials: true,
		keepBefore: []string{
			"anti", "ante", "auto", "bi", "bio", "co", "contra", "counter", "cross", "cyber", "de", "dis", "e", "eco", "ex",
			"extra", "fore", "hyper", "infra", "inter", "intra", "mega", "meta", "micro", "mid", "mini", "mis",
			"mono", "multi", "neo", "non", "over", "pan", "para", "peri", "poly", "post", "pre", "pro", "proto", "pseudo",
			"psycho", "quasi", "re", "semi", "socio", "sub", "super", "supra", "tele", "trans", "tri", "ultra", "un", "uni",
		},
		abbreviations: []string{
			"assn", "approx", "apr", "ave", "bros", "capt", "cf", "cmdr", "cpl", "dept", "dr", "est", "etc", "fig", "gen",
			"gov", "hon", "jr", "lt", "ltd", "maj", "mr", "mrs", "ms", "mt", "prof", "rev", "sen", "sgt", "sr", "univ", "vs",
		},
	},
	"fr": {
		name: "fr", hyphens: hyphensJoin, hyphenKeeps: true, spacedNumbers: true, unitsSplit: true, signs: true, initials: true,
		elisions: []string{"l", "d", "j", "n", "s", "c", "m", "t", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "presqu"},
		afterHyphen: []string{
			"-t-il", "-t-elle", "-t-on", "-t-ils", "-t-elles", "-il", "-elle", "-ils", "-elles", "-on", "-je", "-tu",
			"-nous", "-vous", "-ce", "-moi", "-toi", "-le", "-la", "-les", "-lui", "-leur", "-en", "-y",
		},
		abbreviations: []string{"m", "mm", "mme", "mmes", "mlle", "dr", "pr", "st", "ste", "cf", "av", "apr", "env", "etc", "p", "vol", "fig", "art"},
		keepWords:     []string{"aujourd'hui", "rendez-vous", "quelqu'un", "l'on", "c'est-à-dire"},
	},
	"pt": {
		name: "pt", hyphens: hyphensJoin, multiword: true, initials: true,
		afterHyphen: []string{
			"-se", "-me", "-te", "-lhe", "-lhes", "-nos", "-vos", "-lo", "-la", "-los", "-las",
			"-no", "-na", "-nos", "-nas", "-o", "-a", "-os", "-as",
		},
		abbreviations: []string{"sr", "sra", "srs", "dr", "dra", "prof", "profa", "eng", "av", "art", "pág", "vol", "fig", "etc", "tel", "séc"},
	},
	"es": {
		name: "es", hyphens: hyphensSplit, verbClitics: true, multiword: true, initials: true,
		abbreviations: []string{"sr", "sra", "sres", "srta", "dr", "dra", "prof", "ud", "uds", "etc", "pág", "págs", "núm", "av", "avda", "art", "fig", "vol", "cía", "gral", "lic", "ing"},
	},
	"de": {
		name: "de", hyphens: hyphensSplit, ordinals: true, initials: true,
		abbreviations: []string{"dr", "prof", "st", "str", "nr", "bzw", "usw", "ca", "evtl", "ggf", "etc", "inkl", "mio", "mrd", "vgl", "abb", "bd", "hrsg", "jh", "tel", "u.a", "z.b", "d.h", "u.s.w"},
	},
	"": {hyphens: hyphensJoin, groupMarks: true, initials: true},
}

// styleOf returns the style of a language, or one for languages without.
func styleOf(lang string) style {
	if s, ok := styles[lang]; ok {
		return s
	}
	return styles[""]
}

// joinHyphens extends the word c[:n] over the hyphens that hold.
func (y *style) joinHyphens(c string, n int) int {
	for n+1 < len(c) && c[n] == '-' {
		m := wordLen(c[n+1:])
		if m == 0 {
			return n
		}
		if y.hyphens == hyphensSplit && !y.holds(c[:n], c[n+1:n+1+m]) {
			return n
		}
		n += 1 + m
		if y.hyphens == hyphensSplit {
			return n
		}
	}
	return n
}

func (y *style) holds(before, after string) bool {
	if before == "" || !isASCIILetter(after[0]) {
		return false
	}
	var buf [12]byte
	if len(before) > len(buf) {
		return false
	}
	for i := 0; i < len(before); i++ {
		buf[i] = before[i] | 0x20
	}
	for _, p := range y.keepBefore {
		if string(buf[:len(before)]) == p {
			return true
		}
	}
	return false
}

// wordLen returns the length of the letters, digits, apostrophes and bytes
// above ASCII that c begins with.
func wordLen(c string) int {
	n := 0
	for n < len(c) && (isASCIILetter(c[n]) || isDigit(c[n]) || c[n] >= 0x80 && !strings.HasPrefix(c[n:], "–") && !strings.HasPrefix(c[n:], "—") && !closesQuote(c[n:])) {
		n++
	}
	return n
}

func closesQuote(c string) bool {
	return strings.HasPrefix(c, "’") || strings.HasPrefix(c, "”") || strings.HasPrefix(c, "»") || strings.HasPrefix(c, "…") || strings.HasPrefix(c, "“")
}

// clitic returns the length of the first part of the token w when the
// language splits w, and 0 otherwise.
func (y *style) clitic(w string) int {
	if y.english {
		return englishClitic(w)
	}
	if y.verbClitics {
		return spanishClitic(w)
	}
	if len(y.elisions) > 0 {
		if n := y.elision(w); n > 0 {
			return n
		}
	}
	if len(y.afterHyphen) > 0 && w[0] != '-' && strings.IndexByte(w, '-') > 0 && !y.kept(w) {
		return y.hyphenClitic(w)
	}
	return 0
}

// elision returns the length of l' in l'homme.
func (y *style) elision(w string) int {
	n, size := apostrophe(w)
	if n <= 0 || n+size >= len(w) || y.kept(w) {
		return 0
	}
	for _, e := range y.elisions {
		if equalFold(w[:n], e) {
			return n + size
		}
	}
	return 0
}

func (y *style) kept(w string) bool {
	for _, k := range y.keepWords {
		if equalFold(w, k) {
			return true
		}
	}
	return false
}

// hyphenClitic returns the length of the verb in donne-moi or trata-se.
func (y *style) hyphenClitic(w string) int {
	best := 0
	for _, c := range y.afterHyphen {
		if n := len(w) - len(c); n > 0 && equalFold(w[n:], c) && (best == 0 || n < best) {
			best = n
		}
	}
	if best == 0 || strings.IndexByte(w[:best], '-') >= 0 && !y.hyphenKeeps {
		return 0
	}
	return best
}

// apostrophe returns the place and the length of the first apostrophe of w.
func apostrophe(w string) (at, size int) {
	for i := 0; i < len(w); i++ {
		if w[i] == '\'' {
			return i, 1
		}
		if w[i] == 0xE2 && strings.HasPrefix(w[i:], "’") {
			return i, len("’")
		}
	}
	return -1, 0
}

// equalFold is strings.EqualFold for a lower case b.
func equalFold(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

// englishClitic returns the length of the word before n't, 's, 'm and so on.
func englishClitic(w string) int {
	last := w[len(w)-1] | 0x20
	if last < 'd' || last > 't' || len(w) < 3 {
		return 0
	}
	at, size := -1, 0
	for i := len(w) - 2; i > 0 && i >= len(w)-6; i-- {
		if w[i] == '\'' || w[i] == '`' {
			at, size = i, 1
			break
		}
		if w[i] == 0xE2 && strings.HasPrefix(w[i:], "’") {
			at, size = i, len("’")
			break
		}
	}
	if at <= 0 {
		return 0
	}
	tail := w[at+size:]
	switch {
	case equalFold(tail, "t"):
		if at > 1 && w[at-1]|0x20 == 'n' {
			return at - 1
		}
	case equalFold(tail, "s"):
		if !isDigit(w[at-1]) {
			return at
		}
	case equalFold(tail, "m"), equalFold(tail, "d"), equalFold(tail, "ll"), equalFold(tail, "re"), equalFold(tail, "ve"):
		return at
	}
	return 0
}

// leadingApostrophe returns the length of the token at the start of c, which
// is an apostrophe.
func (y *style) leadingApostrophe(c string) int {
	n := 1 + handle(c[1:])
	tail := c[1:n]
	if y.english {
		switch {
		case equalFold(tail, "s"), equalFold(tail, "m"), equalFold(tail, "d"), equalFold(tail, "ll"),
			equalFold(tail, "re"), equalFold(tail, "ve"), equalFold(tail, "em"), equalFold(tail, "til"),
			equalFold(tail, "n"), equalFold(tail, "cause"):
			return n
		}
	}
	if len(tail) >= 2 && len(tail) <= 3 && isDigit(tail[0]) && isDigit(tail[1]) && (len(tail) == 2 || tail[2] == 's') && y.english {
		return n
	}
	return 1
}

// maxNumber bounds the groups of digits that are one number, in bytes.
const maxNumber = 128

// number returns the length of the number, date, time or telephone number at
// the start of c, which begins with a digit, and 0 if a word such as 4th or
// 3D starts there.
func (y *style) number(c string) int {
	n := digits(c)
	for n+1 < len(c) && n < maxNumber {
		switch c[n] {
		case '.', ',', ':', '/':
			if d := digits(c[n+1:]); d > 0 {
				n += 1 + d
				continue
			}
		case '-':
			if d := y.hyphenDigits(c, n); d > n {
				n = d
				continue
			}
		}
		break
	}
	if n < len(c) && (isASCIILetter(c[n]) || c[n] >= 0x80 || c[n] == '\'' || c[n] == '_' || c[n] == '@') {
		return y.unit(c, n)
	}
	if n+1 < len(c) && c[n] == '.' && isASCIILetter(c[n+1]) {
		if address(c) > 0 {
			return 0
		}
	}
	return n
}

// unit returns n if what stands behind the digits c[:n] is a unit of its own,
// as in 5pm, and 0 if it belongs to the number, as in 5th.
func (y *style) unit(c string, n int) int {
	m := handle(c[n:])
	switch {
	case y.english && foldIn(c[n:n+m], englishUnits), y.unitsSplit && m > 0 && !foldIn(c[n:n+m], frenchOrdinals):
		return n
	}
	return 0
}

var (
	englishUnits = []string{
		"am", "pm", "ft", "lb", "lbs", "kg", "km", "mm", "cm", "mph", "min", "mins", "hr", "hrs", "yr", "yrs",
		"mb", "gb", "k", "m", "p", "a",
	}
	frenchOrdinals = []string{"e", "er", "ers", "re", "res", "nd", "nde", "eme", "emes", "es", "s", "d"}
)

func foldIn(s string, list []string) bool {
	for _, l := range list {
		if equalFold(s, l) {
			return true
		}
	}
	return false
}

// spanishClitic returns the length of the verb in hacerse or haciéndolo. It
// knows verbs by their endings alone, so it leaves out clitics with which
// other words end too often: -te, and short words like charla.
func spanishClitic(w string) int {
	if len(w) < 5 || w[0] < 'a' {
		return 0
	}
	for _, clitic := range []string{"se", "me", "lo", "la", "le", "los", "las", "les", "nos"} {
		n := len(w) - len(clitic)
		if w[n:] != clitic || n < 3 {
			continue
		}
		stem := w[:n]
		if strings.HasSuffix(stem, "ándo") || strings.HasSuffix(stem, "éndo") {
			return n
		}
		if stem[n-1] != 'r' || n < 4 && clitic != "se" || n < 5 && clitic != "se" && clitic != "me" {
			continue
		}
		if strings.HasSuffix(stem, "uer") || strings.HasSuffix(stem, "ier") {
			continue // duerme, convierte
		}
		switch v := stem[n-2]; {
		case v == 'a', v == 'i', v == 'e' && clitic != "nos":
			return n
		}
	}
	return 0
}

// hyphenDigits returns the end of the digit groups that hyphens join to the
// digits c[:n]: telephone numbers, dates and scores.
func (y *style) hyphenDigits(c string, n int) int {
	end, groups, first, last := n, 1, n, 0
	total := n
	for end+1 < len(c) && c[end] == '-' && end < maxNumber {
		d := digits(c[end+1:])
		if d == 0 {
			break
		}
		last = d
		total += d
		end += 1 + d
		groups++
	}
	if end < len(c) && (isASCIILetter(c[end]) || c[end] == '-') {
		return n
	}
	switch {
	case groups == 1:
		return n
	case !y.english:
		return end
	case groups >= 3, total >= 7 && !(first == 4 && last == 4):
		return end
	}
	return n
}
