package extract

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A tableWriter collects the rows of a table.
type tableWriter struct {
	node   *html.Node
	inCell bool
	row    []string
	heads  int // how many of row are headings
	rows   [][]string
	header bool  // whether the first row is a header
	spans  []int // of each column: how many more rows its cell spans
}

// Bounds on what a cell may span, and on the columns of a table.
const (
	maxSpan    = 50
	maxColumns = 200
)

func spanOf(n *html.Node, key string) int {
	v, err := strconv.Atoi(strings.TrimSpace(attr(n, key)))
	if err != nil || v < 1 {
		return 1
	}
	return min(v, maxSpan)
}

// add adds a cell, and empty ones for what it and those above it span.
func (t *tableWriter) add(n *html.Node, text string) {
	t.inCell = false
	t.skipSpanned()
	if n.DataAtom == atom.Th {
		t.heads++
	}
	for i := range spanOf(n, "colspan") {
		if len(t.row) >= maxColumns {
			return
		}
		if i > 0 {
			text = ""
		}
		for len(t.spans) <= len(t.row) {
			t.spans = append(t.spans, 0)
		}
		t.spans[len(t.row)] = spanOf(n, "rowspan")
		t.row = append(t.row, strings.ReplaceAll(text, "|", `\|`))
	}
}

func (t *tableWriter) skipSpanned() {
	for len(t.row) < len(t.spans) && t.spans[len(t.row)] > 0 {
		t.row = append(t.row, "")
	}
}

func (t *tableWriter) endRow(tr *html.Node) {
	t.inCell = false
	cells := 0
	for _, c := range t.row {
		if c != "" {
			cells++
		}
	}
	for i := range t.spans {
		t.spans[i] = max(0, t.spans[i]-1)
	}
	if cells == 0 {
		return
	}
	if len(t.rows) == 0 {
		t.header = t.heads > 1 && t.heads >= cells || tr.Parent != nil && tr.Parent.DataAtom == atom.Thead
	}
	t.rows = append(t.rows, t.row)
	t.row = nil
}

// writeTable writes a table. One without a header gets an empty one, since GFM
// has none without.
func (m *markdownWriter) writeTable(t *tableWriter) {
	columns := 0
	for _, r := range t.rows {
		columns = max(columns, len(r))
	}
	if columns == 0 {
		return
	}
	m.gap = 2
	rows := t.rows
	if !t.header {
		rows = append([][]string{nil}, rows...)
	}
	for i, r := range rows {
		var b strings.Builder
		b.WriteByte('|')
		for c := range columns {
			cell := ""
			if c < len(r) {
				cell = r[c]
			}
			b.WriteString(" " + cell)
			if cell != "" {
				b.WriteByte(' ')
			}
			b.WriteByte('|')
		}
		m.line(b.String())
		if i == 0 {
			m.line("|" + strings.Repeat(" --- |", columns))
		}
	}
	m.gap = 2
}

// layoutTables returns the tables that hold no table of data but the layout of
// a page: they hold blocks, or other tables, or one cell a row.
func layoutTables(root *html.Node) map[*html.Node]bool {
	type state struct {
		node      *html.Node
		row, most int
		layout    bool
	}
	var open []*state
	found := make(map[*html.Node]bool)
	walk(root, func(n *html.Node) bool {
		var t *state
		if len(open) > 0 {
			t = open[len(open)-1]
		}
		if n.Type != html.ElementNode {
			return true
		}
		switch n.DataAtom {
		case atom.Table:
			if t != nil {
				t.layout = true
			}
			role := attr(n, "role")
			open = append(open, &state{node: n, layout: role == "presentation" || role == "none"})
		case atom.Tr:
			if t != nil {
				t.row = 0
			}
		case atom.Td, atom.Th:
			if t != nil {
				t.row++
				t.most = max(t.most, t.row)
			}
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.Pre, atom.Blockquote, atom.Section, atom.Article, atom.Form:
			if t != nil && n.DataAtom != atom.Form {
				t.layout = true
			}
		}
		return true
	}, func(n *html.Node) {
		if k := len(open) - 1; k >= 0 && open[k].node == n {
			t := open[k]
			open = open[:k]
			if t.layout || t.most < 2 {
				found[n] = true
			}
		}
	})
	return found
}
