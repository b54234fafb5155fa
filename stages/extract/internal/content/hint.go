package content

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A Hint is an element whose name or kind says that it may hold a date or the
// name of an author.
type Hint struct {
	Text  string // at most maxHintText bytes
	Value string // of the attribute that is for machines, such as datetime
	// Strong says that the page says it in so many words, by itemprop or rel.
	Strong bool
	// Block is the first block in the element, or behind it.
	Block int
}

// Bounds on hints.
const (
	maxHints    = 50
	maxHintText = 160
	maxHintName = 200
)

// Hints returns the elements that may hold the date of publication, and those
// that may hold an author's name, in document order. Those in what frames a
// page are left out.
func (p *Page) Hints() (dates, authors []Hint) {
	for i := range p.elements {
		e := &p.elements[i]
		if e.place&(inNav|inFooter|inAside|inForm|inDialog) != 0 {
			continue
		}
		date, author, strong := hintsOf(e.node)
		if !date && !author {
			continue
		}
		h := Hint{Text: shortText(e.node, maxHintText), Value: attr(e.node, "datetime"), Strong: strong, Block: int(e.firstBlock)}
		if h.Value == "" {
			h.Value = attr(e.node, "content")
		}
		if h.Text == "" && h.Value == "" {
			continue
		}
		if date && len(dates) < maxHints {
			dates = append(dates, h)
		}
		if author && len(authors) < maxHints {
			authors = append(authors, h)
		}
	}
	return dates, authors
}

// Bylines returns the short blocks that begin as a byline does: "By Ann Miller".
func (p *Page) Bylines() (hints []Hint) {
	for i := range p.Blocks {
		b := &p.Blocks[i]
		if len(b.Text) > 80 || b.words > 12 || len(hints) == maxHints {
			continue
		}
		lower := strings.ToLower(b.Text)
		if strings.HasPrefix(lower, "by ") || strings.HasPrefix(lower, "by: ") || strings.HasPrefix(lower, "written by") || strings.HasPrefix(lower, "author: ") || strings.HasPrefix(lower, "von ") || strings.HasPrefix(lower, "par ") {
			hints = append(hints, Hint{Text: b.Text, Block: i})
		}
	}
	return hints
}

var (
	dateNames   = []string{"date", "publish", "posted", "pubdate", "timestamp"}
	authorNames = []string{"author", "byline", "by-line", "writer", "contributor", "posted-by"}
	authorPaths = []string{"/author/", "/authors/", "/by/", "/contributor", "/staff/", "/writers/", "/people/"}
)

func hintsOf(n *html.Node) (date, author, strong bool) {
	date = n.DataAtom == atom.Time
	for i := range n.Attr {
		a := &n.Attr[i]
		switch a.Key {
		case "itemprop":
			switch a.Val {
			case "datePublished", "datepublished", "dateCreated":
				date, strong = true, true
			case "author", "creator":
				author, strong = true, true
			}
		case "rel":
			if a.Val == "author" {
				author, strong = true, true
			}
		case "href":
			for _, path := range authorPaths {
				author = author || n.DataAtom == atom.A && strings.Contains(clip(a.Val, maxHintName), path)
			}
		case "pubdate":
			date, strong = true, true
		case "class", "id", "data-testid":
			v := strings.ToLower(clip(a.Val, maxHintName))
			for _, name := range dateNames {
				date = date || strings.Contains(v, name) && !strings.Contains(v, "update") && !strings.Contains(v, "modif")
			}
			for _, name := range authorNames {
				author = author || strings.Contains(v, name)
			}
		}
	}
	return date, author, strong
}

// shortText returns the text of an element, or "" if it has more than limit
// bytes.
func shortText(n *html.Node, limit int) string {
	var l line
	long := false
	steps := 0
	walk(n, func(c *html.Node) bool {
		steps++
		if long || steps > 100 {
			long = true
			return false
		}
		switch {
		case c.Type == html.TextNode:
			if len(c.Data) > 4*limit {
				long = true
				return false
			}
			l.text(c.Data)
		case Textless(c):
			return false
		case c.Type == html.ElementNode && breaking[c.DataAtom]:
			l.newline()
		}
		long = l.b.Len() > limit
		return true
	})
	if long {
		return ""
	}
	return l.take()
}
