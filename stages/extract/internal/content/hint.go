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

// posterNames are what the elements are called that hold the name of who wrote a post,
// in software that many forums run on.
var posterNames = map[string]bool{"username": true, "creator": true, "author": true, "post-author": true, "postauthor": true, "message-name": true, "nickname": true, "poster": true,
	"user-name": true, "username--style0": true, "topic-author": true, "bbp-author-name": true, "ipscomment_author": true, "forum-post-author": true, "author-name": true}

// Posters returns the elements that name who wrote a post, in document order.
func (p *Page) Posters() (hints []Hint) {
	for i := range p.elements {
		e := &p.elements[i]
		if e.place&(inNav|inFooter|inForm|inDialog) != 0 || len(hints) == maxHints {
			continue
		}
		if name := attr(e.node, "data-author"); name != "" {
			hints = append(hints, Hint{Text: clip(name, maxHintText), Strong: true, Block: int(e.firstBlock)})
			continue
		}
		named := attr(e.node, "itemprop") == "author"
		for class := range strings.FieldsSeq(clip(attr(e.node, "class"), maxHintName)) {
			named = named || posterNames[strings.ToLower(class)]
		}
		if !named {
			continue
		}
		if text := shortText(e.node, maxHintText); text != "" && !strings.Contains(text, "\n") {
			hints = append(hints, Hint{Text: text, Block: int(e.firstBlock)})
		}
	}
	return hints
}

// Bounds on lines that may be a date: how far from the heading of the page they
// stand, in blocks, and how long they are.
const (
	dateAway  = 8
	dateWords = 16
	dateBytes = 120
)

// DateLines returns the short blocks around the heading of the page, the nearest
// first, where a page without names for its parts shows its date. Of a page
// without a heading they are those around the block first. What stands behind a
// word for a change, or in a block behind one that ends in a colon and has such a
// word, is left out.
func (p *Page) DateLines(first int) (lines []Hint) {
	at := int(p.order.top)
	if at < 0 {
		at = first
	}
	add := func(i int) {
		if i < 0 || i >= len(p.Blocks) {
			return
		}
		b := &p.Blocks[i]
		if b.Source != FromTree || b.words > dateWords || len(b.Text) > dateBytes || p.elements[b.elem].place&(inNav|inFooter|inAside|inForm|inDialog) != 0 {
			return
		}
		text := beforeChange(b.Text)
		if i > 0 {
			if label := p.Blocks[i-1].Text; len(label) <= dateBytes && beforeChange(label) != label {
				text = ""
			}
		}
		if text != "" {
			lines = append(lines, Hint{Text: text, Block: i})
		}
	}
	for away := 1; away <= dateAway; away++ {
		add(at + away)
		add(at - away)
	}
	return lines
}

// changeWords say that what follows is when a page was changed last.
var changeWords = []string{"updat", "modif", "edited", "revised", "changed", "actuali", "atuali", "aggiorn", "aktualis", "geändert", "mis à jour", "mise à jour", "обновл", "更新"}

// beforeChange returns what stands in a short text before a word for a change.
func beforeChange(s string) string {
	lower := strings.ToLower(s)
	end := len(lower)
	for _, w := range changeWords {
		if i := strings.Index(lower, w); i >= 0 {
			end = min(end, i)
		}
	}
	if end == len(lower) {
		return s
	}
	return lower[:end]
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
