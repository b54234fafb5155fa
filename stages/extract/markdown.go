package extract

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// Markdown is written as GitHub Flavored Markdown (github.github.com/gfm): ATX
// headings, "-" and "1." lists, fenced code with its language, "*" and "**" for
// emphasis, tables with a header row, absolute links and images, no raw HTML.
// What would mean something in Markdown is escaped, so that what a reader of
// Markdown shows is the text of the page.

// A markdownWriter writes a tree block by block. Text between blocks is
// collected in span, with its emphasis and links.
type markdownWriter struct {
	out     strings.Builder
	limit   int
	full    bool
	resolve func(string) (string, error)
	layout  map[*html.Node]bool // tables that are no tables
	boxes   []box               // the open quotes and list items
	lists   []int               // the open lists: the next number, or -1
	gap     int                 // newlines before the next line: 0, 1 or 2
	span    span
	heading int // level of the open heading, or 0
	pre     *html.Node
	code    strings.Builder // text of pre
	// codeLineEnded says that an element has begun or ended a line of it.
	codeLineEnded bool
	table         *tableWriter
}

// A box is a quote or a list item, whose lines begin alike.
type box struct {
	first string // what its first line begins with, until that is written
	rest  string
}

// markdown returns a tree as Markdown of at most limit bytes, and whether
// something was left out for it. Hrefs that resolve refuses are no links.
func markdown(root *html.Node, limit int, resolve func(string) (string, error)) (string, bool) {
	m := &markdownWriter{limit: limit, resolve: resolve, layout: layoutTables(root)}
	walk(root, m.enter, m.leave)
	m.paragraph()
	return m.out.String(), m.full
}

// paragraph ends the span and writes it as a paragraph or heading.
func (m *markdownWriter) paragraph() {
	if m.table != nil && m.table.inCell {
		m.span.space()
		return
	}
	s := m.span.end(m.heading > 0)
	if s == "" {
		return
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		l = escapeLineStart(l)
		if m.heading > 0 {
			if strings.HasSuffix(l, "#") {
				l = l[:len(l)-1] + `\#`
			}
			l = strings.Repeat("#", m.heading) + " " + l
		}
		if i < len(lines)-1 {
			l += `\`
		}
		m.line(l)
	}
}

// block separates blocks by an empty line.
func (m *markdownWriter) block() {
	m.paragraph()
	if k := len(m.boxes); k > 0 && m.boxes[k-1].first != "" {
		return // its first block
	}
	m.gap = 2
}

// line writes a line, behind what the open boxes begin with.
func (m *markdownWriter) line(s string) {
	if m.full {
		return
	}
	var b strings.Builder
	if m.out.Len() > 0 {
		b.WriteByte('\n')
		if m.gap == 2 {
			begun := len(m.boxes)
			for i := range m.boxes {
				if m.boxes[i].first != "" {
					begun = i
					break
				}
			}
			var p strings.Builder
			for _, x := range m.boxes[:begun] {
				p.WriteString(x.rest)
			}
			b.WriteString(strings.TrimRight(p.String(), " "))
			b.WriteByte('\n')
		}
	}
	for i := range m.boxes {
		if x := &m.boxes[i]; x.first != "" {
			b.WriteString(x.first)
			x.first = ""
		} else {
			b.WriteString(x.rest)
		}
	}
	b.WriteString(s)
	line := strings.TrimRight(b.String(), " ")
	if m.out.Len()+len(line) > m.limit {
		m.full = true
		return
	}
	m.out.WriteString(line)
	m.gap = 1
}

func (m *markdownWriter) enter(n *html.Node) bool {
	if n.Type == html.TextNode {
		if m.pre != nil {
			m.addCode(n.Data)
		} else {
			m.span.text(n.Data)
		}
		return true
	}
	if n.Type != html.ElementNode {
		return n.Type == html.DocumentNode
	}
	if m.pre != nil {
		switch {
		case n.DataAtom == atom.Br:
			m.code.WriteByte('\n')
		case breaks(n.DataAtom):
			m.endCodeLine()
		case content.IsLine(n):
			m.codeLineEnded = true
		}
		return true
	}
	if content.IsListing(n) {
		m.block()
		if m.table == nil || !m.table.inCell {
			m.pre = n
			m.code.Reset()
			return true
		}
	}
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		m.block()
		m.heading = int(n.Data[1] - '0')
	case atom.Ul, atom.Ol, atom.Menu:
		m.openList(n)
	case atom.Li:
		m.openItem()
	case atom.Blockquote:
		m.block()
		m.boxes = append(m.boxes, box{"> ", "> "})
	case atom.Br:
		m.span.lineBreak(m.table != nil)
	case atom.Hr:
		m.block()
	case atom.Table:
		m.block()
		if !m.layout[n] && m.table == nil {
			m.table = &tableWriter{node: n}
		}
	case atom.Tr:
		m.paragraph()
		if m.table != nil {
			m.table.row = nil
			m.table.heads = 0
		} else {
			m.block()
		}
	case atom.Td, atom.Th:
		if m.table != nil {
			m.span.end(true)
			m.table.inCell = true
		} else {
			m.block()
		}
	case atom.Img:
		if u, err := m.resolve(attr(n, "src")); err == nil {
			m.span.image(clipText(attr(n, "alt"), 200), u)
		}
	case atom.Strong, atom.B:
		if m.heading > 0 {
			m.span.skip("**")
		} else {
			m.span.open("**", "")
		}
	case atom.Em, atom.I, atom.Cite, atom.Dfn:
		m.span.open("*", "")
	case atom.Del, atom.S, atom.Strike:
		m.span.open("~~", "")
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		m.span.open("`", "")
	case atom.A:
		if u, err := m.resolve(attr(n, "href")); err == nil {
			m.span.open("[", u)
		}
	default:
		if breaks(n.DataAtom) {
			m.block()
		} else if content.IsLine(n) {
			m.span.lineBreak(m.table != nil)
		}
	}
	return true
}

func (m *markdownWriter) leave(n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	if m.pre != nil {
		switch {
		case m.pre == n:
			m.fence(n)
		case breaks(n.DataAtom):
			m.endCodeLine()
		case content.IsLine(n):
			m.codeLineEnded = true
		}
		return
	}
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		m.block()
		m.heading = 0
	case atom.Ul, atom.Ol, atom.Menu:
		m.paragraph()
		m.lists = m.lists[:max(0, len(m.lists)-1)]
		m.gap = 2
		if len(m.lists) > 0 {
			m.gap = 1
		}
	case atom.Li:
		m.paragraph()
		m.closeBox()
		m.gap = 1
	case atom.Blockquote:
		m.paragraph()
		m.closeBox()
		m.gap = 2
	case atom.Table:
		m.paragraph()
		if m.table != nil && m.table.node == n {
			t := m.table
			m.table = nil
			m.writeTable(t)
		}
		m.gap = 2
	case atom.Tr:
		if m.table != nil {
			m.table.endRow(n)
		} else {
			m.block()
		}
	case atom.Td, atom.Th:
		if m.table != nil {
			m.table.add(n, m.span.end(true))
		} else {
			m.block()
		}
	case atom.Strong, atom.B:
		m.span.close("**")
	case atom.Em, atom.I, atom.Cite, atom.Dfn:
		m.span.close("*")
	case atom.Del, atom.S, atom.Strike:
		m.span.close("~~")
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		m.span.close("`")
	case atom.A:
		m.span.close("[")
	default:
		if breaks(n.DataAtom) {
			m.block()
		} else if content.IsLine(n) {
			m.span.lineBreak(m.table != nil)
		}
	}
}

func (m *markdownWriter) openList(n *html.Node) {
	m.paragraph()
	m.gap = 2
	if len(m.lists) > 0 {
		m.gap = 1
	}
	next := -1
	if n.DataAtom == atom.Ol {
		next = 1
		if start, err := strconv.Atoi(attr(n, "start")); err == nil && start >= 0 && start < 1e8 {
			next = start
		}
	}
	m.lists = append(m.lists, next)
}

func (m *markdownWriter) openItem() {
	m.paragraph()
	mark := "- "
	if k := len(m.lists) - 1; k >= 0 && m.lists[k] >= 0 {
		mark = strconv.Itoa(m.lists[k]) + ". "
		m.lists[k]++
	}
	m.boxes = append(m.boxes, box{mark, strings.Repeat(" ", len(mark))})
}

func (m *markdownWriter) closeBox() { m.boxes = m.boxes[:max(0, len(m.boxes)-1)] }

// addCode adds to a listing.
func (m *markdownWriter) addCode(s string) {
	if m.codeLineEnded && content.EndsLine(m.code.String(), s) {
		m.code.WriteByte('\n')
	}
	m.codeLineEnded = false
	m.code.WriteString(s)
}

// endCodeLine ends the line of a listing, if there is something in it.
func (m *markdownWriter) endCodeLine() {
	if s := m.code.String(); s != "" && s[len(s)-1] != '\n' {
		m.code.WriteByte('\n')
	}
}

// fence writes a listing.
func (m *markdownWriter) fence(n *html.Node) {
	m.pre = nil
	code := strings.Trim(m.code.String(), "\n")
	if strings.TrimSpace(code) == "" {
		return
	}
	mark := strings.Repeat("`", max(3, longestRun(code, '`')+1))
	m.line(mark + codeLanguage(n))
	for l := range strings.SplitSeq(code, "\n") {
		m.gap = 1
		m.line(l)
	}
	m.line(mark)
	m.gap = 2
}

func longestRun(s string, c byte) int {
	most, run := 0, 0
	for i := 0; i < len(s); i++ {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		most = max(most, run)
	}
	return most
}

// codeLanguage returns the language that a listing is marked with, or "".
func codeLanguage(pre *html.Node) string {
	nodes := []*html.Node{pre, pre.FirstChild, pre.Parent}
	for c := pre.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom == atom.Code {
			nodes[1] = c
			break
		}
	}
	if pre.Parent != nil {
		nodes = append(nodes, pre.Parent.Parent)
	}
	for _, n := range nodes {
		if n == nil || n.Type != html.ElementNode {
			continue
		}
		for _, key := range []string{"data-lang", "data-language"} {
			if l := languageName(attr(n, key)); l != "" {
				return l
			}
		}
		names := strings.Fields(attr(n, "class"))
		for i, name := range names {
			for _, prefix := range []string{"language-", "lang-", "highlight-source-", "brush:"} {
				if l, ok := strings.CutPrefix(name, prefix); ok {
					if l == "" && i+1 < len(names) {
						l = names[i+1]
					}
					if l = languageName(strings.TrimSuffix(l, ";")); l != "" {
						return l
					}
				}
			}
		}
	}
	return ""
}

func languageName(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) > 20 || s == "none" || s == "plaintext" {
		return ""
	}
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '#' || c == '-' || c == '.') {
			return ""
		}
	}
	return s
}

// escapeLineStart escapes what would begin a block at the start of a line.
func escapeLineStart(s string) string {
	if s == "" {
		return s
	}
	switch s[0] {
	case '#', '+', '-', '=', '>', '~':
		return `\` + s
	}
	n := 0
	for n < len(s) && n < 10 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > 0 && n < len(s) && (s[n] == '.' || s[n] == ')') && (n+1 == len(s) || s[n+1] == ' ') {
		return s[:n] + `\` + s[n:]
	}
	return s
}
