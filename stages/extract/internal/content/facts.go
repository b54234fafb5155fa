package content

import (
	"encoding/json"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// pageFacts are what is known of a page as a whole.
type pageFacts struct {
	tokens                            []uint32 // hashed: words of the address, types that it gives itself, names of its body
	title                             map[uint32]bool
	summary                           map[uint32]bool // words of its description
	types                             typeSet
	pathDepth, pathDigits, pathLen    int
	paragraphs, headings, items, rows int
	pres, forms, articles, buttons    int
	prices                            int
}

// typeSet is the set of schema.org and OpenGraph types that a page claims.
type typeSet uint32

const (
	claimsArticle typeSet = 1 << iota
	claimsProduct
	claimsForum
	claimsQuestion
	claimsList
	claimsFAQ
	claimsSite
	claimsHowTo
	claimsSoftware
	claimsOther
)

var claims = map[string]typeSet{
	"article": claimsArticle, "newsarticle": claimsArticle, "blogposting": claimsArticle, "techarticle": claimsArticle,
	"reportagenewsarticle": claimsArticle, "blog": claimsArticle, "scholarlyarticle": claimsArticle,
	"product": claimsProduct, "productgroup": claimsProduct, "og:product": claimsProduct, "product.group": claimsProduct, "book": claimsProduct,
	"discussionforumposting": claimsForum, "qapage": claimsQuestion | claimsForum, "question": claimsQuestion,
	"itemlist": claimsList, "collectionpage": claimsList, "offercatalog": claimsList, "searchresultspage": claimsList,
	"faqpage": claimsFAQ, "website": claimsSite, "howto": claimsHowTo, "recipe": claimsHowTo,
	"softwareapplication": claimsSoftware, "service": claimsOther, "localbusiness": claimsOther, "event": claimsOther,
}

func (p *Page) readFacts() {
	f := &p.facts
	m := &p.doc.Meta
	f.title = wordSet(m.Title, m.OpenGraph["og:title"])
	f.summary = wordSet(m.Description, m.OpenGraph["og:description"])
	fact := func(prefix, s string) {
		if s != "" {
			f.tokens = append(f.tokens, hashName(kindFact, prefix+s))
		}
	}
	claim := func(t string) {
		t = strings.ToLower(t)
		f.types |= claims[t]
		fact("type:", t)
	}
	claim(m.OpenGraph["og:type"])
	for _, o := range p.Objects {
		for _, t := range typesOf(o) {
			claim(t[strings.LastIndexByte(t, '/')+1:])
		}
	}
	for _, w := range strings.Fields(strings.ToLower(clip(m.Fields["generator"], 60))) {
		fact("generator:", w)
		break
	}
	for w := range strings.FieldsFuncSeq(strings.ToLower(clip(m.Title, 200)), func(r rune) bool { return r == ' ' || r == '|' || r == '-' || r == ',' || r == ':' }) {
		fact("title:", w)
	}
	if u := p.url; u != nil {
		for w := range strings.FieldsFuncSeq(clip(u.Hostname(), 100), func(r rune) bool { return r == '.' || r == '-' }) {
			fact("host:", w)
		}
		path := clip(u.EscapedPath(), 300)
		f.pathLen = len(path)
		f.pathDepth = strings.Count(strings.Trim(path, "/"), "/") + 1
		for _, c := range path {
			if c >= '0' && c <= '9' {
				f.pathDigits++
			}
		}
		first := true
		for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' }) {
			if first {
				fact("first:", part)
			}
			first = false
			for w := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == '+' }) {
				fact("path:", w)
			}
		}
		for k := range strings.FieldsFuncSeq(clip(u.RawQuery, 200), func(r rune) bool { return r == '&' }) {
			k, _, _ = strings.Cut(k, "=")
			fact("query:", k)
		}
	}
	for i := range p.elements {
		e := &p.elements[i]
		switch e.node.DataAtom {
		case atom.P:
			f.paragraphs++
		case atom.H1, atom.H2, atom.H3, atom.H4:
			f.headings++
		case atom.Li:
			f.items++
		case atom.Tr:
			f.rows++
		case atom.Pre:
			f.pres++
		case atom.Form:
			f.forms++
		case atom.Article:
			f.articles++
		case atom.Button:
			f.buttons++
		case atom.Html, atom.Body:
			for _, t := range p.tokens[e.tokens[0]:e.tokens[1]] {
				f.tokens = append(f.tokens, t^kindFact*fnvPrime)
			}
		}
	}
	for i := range p.Blocks {
		if hasPrice(p.Blocks[i].Text) {
			f.prices++
		}
	}
	p.findLongest()
}

// findLongest finds the innermost element that holds three quarters of the
// running text.
func (p *Page) findLongest() {
	if len(p.elements) == 0 {
		return
	}
	total := p.elements[0].sum.paragraphWords
	if total == 0 {
		return
	}
	for i := range p.elements {
		if e := &p.elements[i]; e.sum.paragraphWords*4 >= total*3 && e.depth >= p.elements[p.longest].depth {
			p.longest = i
		}
	}
}

func hasPrice(s string) bool {
	if len(s) > 200 {
		return false
	}
	return strings.ContainsAny(s, "$€£¥₹")
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// wordSet returns the hashes of the words of some texts.
func wordSet(texts ...string) map[uint32]bool {
	set := make(map[uint32]bool)
	for _, s := range texts {
		eachWord(s, func(h uint32) { set[h] = true })
	}
	return set
}

// eachWord calls do with the hash of each word of s.
func eachWord(s string, do func(uint32)) {
	h, in := hashKind(kindWord), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			h, in = hashByte(h, c|0x20), true
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80:
			h, in = hashByte(h, c), true
		case in:
			do(h)
			h, in = hashKind(kindWord), false
		}
	}
	if in {
		do(h)
	}
}

// typesOf returns the @type of an object of JSON-LD.
func typesOf(o map[string]any) []string {
	switch t := o["@type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, e := range t {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// maxObjects bounds the objects of JSON-LD that are read.
const maxObjects = 500

// readObjects reads the objects at the top of the page's JSON-LD, in lists and
// graphs too.
func (p *Page) readObjects() {
	add := func(list []any) {
		for _, e := range list {
			if o, ok := e.(map[string]any); ok && len(p.Objects) < maxObjects {
				p.Objects = append(p.Objects, o)
			}
		}
	}
	for _, raw := range p.doc.Meta.JSONLD {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			continue
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			add([]any{e})
			if o, ok := e.(map[string]any); ok {
				graph, _ := o["@graph"].([]any)
				add(graph)
			}
		}
	}
}

// minStructured is the least a text of JSON-LD must have to be a block, in bytes.
const minStructured = 80

// addStructured adds the descriptions and bodies that JSON-LD gives as blocks
// behind those of the tree.
func (p *Page) addStructured() {
	if len(p.elements) == 0 {
		return
	}
	for _, o := range p.Objects {
		for _, key := range []string{"description", "articleBody", "text"} {
			s, _ := o[key].(string)
			if len(s) < minStructured || len(p.Blocks) >= maxBlocks {
				continue
			}
			b := Block{Source: FromJSONLD}
			b.Text, b.words = structuredText(s)
			b.count()
			p.Blocks = append(p.Blocks, b)
		}
	}
}

// structuredText returns a text of JSON-LD, which may hold markup and escaped
// markup, as text.
func structuredText(s string) (string, int32) {
	if strings.Contains(s, "&lt;") {
		s = html.UnescapeString(s)
	}
	var l line
	if !strings.ContainsAny(s, "<&") {
		for i, part := range strings.Split(s, "\n") {
			if i > 0 {
				l.newline()
			}
			l.text(part)
		}
		return l.takeWords()
	}
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return l.takeWords()
		case html.TextToken:
			l.text(string(z.Text()))
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			if a := atom.Lookup(name); breaking[a] || a == atom.Br {
				l.newline()
			}
		}
	}
}

func (l *line) takeWords() (string, int32) {
	words := l.words
	return l.take(), words
}

// Markup returns a piece of HTML as text, block by block.
func Markup(s string) string {
	text, _ := structuredText(s)
	return text
}
