package extract

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A markdownWriter renders a tree as Markdown lines: CommonMark, tables in the
// form of GitHub. It is for reading and for language models, not for a way back
// to HTML: text is only escaped where it would begin a block.
type markdownWriter struct {
	lineWriter
	resolve func(string) (string, error)
	skip    bool
	prefix  []string // of the open blocks: "> ", "  "
	item    string   // "- " or "1. ", for the next line only
	counts  []int    // of the open lists; -1 for one without numbers
	pre     int
	fence   bool
	row     []string
	inCell  bool
	rows    int
}

func markdownLines(root *html.Node, skip bool, resolve func(string) (string, error)) []string {
	m := &markdownWriter{resolve: resolve, skip: skip}
	walk(root, m.enter, m.leave)
	m.flush()
	for len(m.lines) > 0 && m.lines[len(m.lines)-1] == "" {
		m.lines = m.lines[:len(m.lines)-1]
	}
	return m.lines
}

// flush ends the present line and writes it behind its prefixes.
func (m *markdownWriter) flush() {
	s := m.b.String()
	m.b.Reset()
	m.space = false
	if s == "" || m.inCell {
		if m.inCell {
			m.b.WriteString(s)
			m.space = true
		}
		return
	}
	prefix := strings.Join(m.prefix, "")
	if m.item != "" {
		prefix = strings.TrimSuffix(prefix, strings.Repeat(" ", len(m.item))) + m.item
		m.item = ""
	} else if m.pre == 0 && s != "" && strings.IndexByte("#>+-=", s[0]) >= 0 && !strings.HasPrefix(s, "# ") && !isHeading(s) {
		s = "\\" + s
	}
	m.lines = append(m.lines, prefix+s)
}

func isHeading(s string) bool {
	t := strings.TrimLeft(s, "#")
	return len(t) < len(s) && len(s)-len(t) <= 6 && strings.HasPrefix(t, " ")
}

// blank ends the line and separates blocks.
func (m *markdownWriter) blank() {
	m.flush()
	if n := len(m.lines); !m.inCell && n > 0 && m.lines[n-1] != "" && m.pre == 0 && m.item == "" {
		m.lines = append(m.lines, "")
	}
}

func (m *markdownWriter) enter(n *html.Node) bool {
	if n.Type == html.TextNode {
		if m.pre > 0 {
			m.preText(n.Data)
		} else {
			m.text(n.Data)
		}
		return true
	}
	if n.Type != html.ElementNode {
		return true
	}
	a := atomOf(n)
	if hidden[a] || m.skip && (furniture[a] || isHidden(n)) {
		return false
	}
	switch a {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		m.blank()
		m.b.WriteString(strings.Repeat("#", int(n.Data[1]-'0')) + " ")
	case atom.Ul, atom.Ol:
		if len(m.counts) == 0 {
			m.blank()
		}
		m.flush()
		count := -1
		if a == atom.Ol {
			count = 0
		}
		m.counts = append(m.counts, count)
	case atom.Li:
		m.flush()
		m.openItem()
	case atom.Blockquote:
		m.blank()
		m.prefix = append(m.prefix, "> ")
	case atom.Pre:
		m.blank()
		if m.pre == 0 && !m.inCell {
			m.lines = append(m.lines, strings.Join(m.prefix, "")+"```")
			m.fence = true
		}
		m.pre++
	case atom.Br:
		m.flush()
	case atom.Hr:
		m.blank()
		m.lines = append(m.lines, "---", "")
	case atom.Table:
		m.blank()
		m.rows = 0
	case atom.Tr:
		m.row = nil
	case atom.Td, atom.Th:
		m.flush()
		m.inCell = true
		m.b.Reset()
	case atom.Img:
		m.image(n)
	case atom.Strong, atom.B, atom.Em, atom.I, atom.Code, atom.A:
		m.mark(n, a, true)
	default:
		if blocks[a] {
			m.blank()
		}
	}
	return true
}

func (m *markdownWriter) openItem() {
	m.item = "- "
	if k := len(m.counts); k > 0 && m.counts[k-1] >= 0 {
		m.counts[k-1]++
		m.item = strconv.Itoa(m.counts[k-1]) + ". "
	}
	m.prefix = append(m.prefix, strings.Repeat(" ", len(m.item)))
}

func (m *markdownWriter) leave(n *html.Node) {
	if n.Type != html.ElementNode {
		return
	}
	switch a := atomOf(n); a {
	case atom.Ul, atom.Ol:
		m.flush()
		if k := len(m.counts); k > 0 {
			m.counts = m.counts[:k-1]
		}
		if len(m.counts) == 0 {
			m.blank()
		}
	case atom.Li:
		m.flush()
		m.item = ""
		m.prefix = m.prefix[:max(0, len(m.prefix)-1)]
	case atom.Blockquote:
		m.flush()
		m.prefix = m.prefix[:max(0, len(m.prefix)-1)]
		m.blank()
	case atom.Pre:
		m.flush()
		m.pre--
		if m.pre == 0 && m.fence {
			m.lines = append(m.lines, strings.Join(m.prefix, "")+"```", "")
			m.fence = false
		}
	case atom.Td, atom.Th:
		m.row = append(m.row, strings.ReplaceAll(strings.TrimSpace(m.b.String()), "|", "\\|"))
		m.b.Reset()
		m.inCell = false
	case atom.Tr:
		m.endRow()
	case atom.Strong, atom.B, atom.Em, atom.I, atom.Code, atom.A:
		m.mark(n, a, false)
	default:
		if blocks[a] && a != atom.Br && a != atom.Hr {
			m.blank()
		}
	}
}

func (m *markdownWriter) endRow() {
	if len(m.row) == 0 {
		return
	}
	prefix := strings.Join(m.prefix, "")
	m.lines = append(m.lines, prefix+"| "+strings.Join(m.row, " | ")+" |")
	if m.rows == 0 {
		m.lines = append(m.lines, prefix+"|"+strings.Repeat(" --- |", len(m.row)))
	}
	m.rows++
	m.row = nil
}

// mark writes the sign that begins or ends an inline element.
func (m *markdownWriter) mark(n *html.Node, a atom.Atom, open bool) {
	if m.pre > 0 || n.FirstChild == nil || strings.TrimSpace(nodeText(n, 20)) == "" {
		return
	}
	sign := ""
	switch a {
	case atom.Strong, atom.B:
		sign = "**"
	case atom.Em, atom.I:
		sign = "*"
	case atom.Code:
		sign = "`"
	case atom.A:
		u, err := m.resolve(attr(n, "href"))
		switch {
		case err != nil:
			return
		case open:
			sign = "["
		default:
			sign = "](" + strings.NewReplacer("(", "%28", ")", "%29", " ", "%20").Replace(u) + ")"
		}
	}
	if open {
		if m.space && m.b.Len() > 0 {
			m.b.WriteByte(' ')
		}
		m.space = false
	}
	m.b.WriteString(sign)
}

func (m *markdownWriter) image(n *html.Node) {
	u, err := m.resolve(attr(n, "src"))
	if err != nil || m.pre > 0 {
		return
	}
	if m.space && m.b.Len() > 0 {
		m.b.WriteByte(' ')
	}
	m.space = false
	m.b.WriteString("![" + strings.ReplaceAll(clipText(attr(n, "alt"), 200), "]", "") + "](" + u + ")")
}

func (m *markdownWriter) preText(s string) {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			if m.b.Len() == 0 && len(m.lines) > 0 {
				m.b.WriteByte(' ')
			}
			m.flush()
		}
		m.b.WriteString(strings.TrimRight(line, " \t\r"))
	}
}
