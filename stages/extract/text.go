package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
)

// hidden are the elements whose content is never text of a page.
var hidden = map[atom.Atom]bool{
	atom.Head: true, atom.Script: true, atom.Style: true, atom.Template: true, atom.Noscript: true, atom.Iframe: true,
	atom.Svg: true, atom.Math: true, atom.Canvas: true, atom.Audio: true, atom.Video: true, atom.Object: true,
	atom.Select: true, atom.Datalist: true, atom.Textarea: true, atom.Map: true, atom.Noframes: true, atom.Title: true,
}

// furniture are the elements that hold no main text as a rule: they are left
// out of the text of a body.
var furniture = map[atom.Atom]bool{
	atom.Nav: true, atom.Footer: true, atom.Aside: true, atom.Form: true, atom.Button: true, atom.Menu: true, atom.Dialog: true,
}

// blocks are the elements that stand on lines of their own.
var blocks = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
	atom.Ul: true, atom.Ol: true, atom.Li: true, atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Table: true, atom.Tr: true,
	atom.Caption: true, atom.Thead: true, atom.Tbody: true, atom.Tfoot: true, atom.Blockquote: true, atom.Pre: true,
	atom.Section: true, atom.Article: true, atom.Main: true, atom.Header: true, atom.Footer: true, atom.Nav: true,
	atom.Aside: true, atom.Figure: true, atom.Figcaption: true, atom.Address: true, atom.Details: true, atom.Summary: true,
	atom.Form: true, atom.Fieldset: true, atom.Legend: true, atom.Dialog: true, atom.Hr: true, atom.Br: true, atom.Body: true,
	atom.Html: true, atom.Center: true, atom.Option: true, atom.Hgroup: true,
}

// bodyOf returns the body element, or the root of a page that has none.
func bodyOf(root *html.Node) *html.Node {
	for n := root; n != nil; n = next(n, root) {
		if n.Type == html.ElementNode && n.DataAtom == atom.Body {
			return n
		}
	}
	return root
}

// A lineWriter collects text as lines with collapsed white space.
type lineWriter struct {
	lines []string
	b     strings.Builder
	space bool
}

// text adds text to the line.
func (w *lineWriter) text(s string) {
	for s != "" {
		i := strings.IndexFunc(s, unicode.IsSpace)
		if i == 0 {
			w.space = true
			_, n := utf8.DecodeRuneInString(s)
			s = s[n:]
			continue
		}
		word := s
		if i > 0 {
			word = s[:i]
		}
		if w.space && w.b.Len() > 0 {
			w.b.WriteByte(' ')
		}
		w.space = false
		w.b.WriteString(word)
		s = s[len(word):]
	}
}

// end ends the line, if there is one.
func (w *lineWriter) end() {
	if w.b.Len() > 0 {
		w.lines = append(w.lines, w.b.String())
		w.b.Reset()
	}
	w.space = false
}

// pre adds preformatted text: its lines are kept, their indentation too.
func (w *lineWriter) pre(s string) {
	for {
		i := strings.IndexByte(s, '\n')
		line := s
		if i >= 0 {
			line = s[:i]
		}
		w.b.WriteString(strings.TrimRight(line, " \t\r"))
		if i < 0 {
			return
		}
		w.end()
		s = s[i+1:]
	}
}

// textLines returns the text below root in lines. With skip, the furniture of
// the page is left out.
func textLines(root *html.Node, skip bool) []string {
	var w lineWriter
	pre := 0
	walk(root, func(n *html.Node) bool {
		switch n.Type {
		case html.TextNode:
			if pre > 0 {
				w.pre(n.Data)
			} else {
				w.text(n.Data)
			}
		case html.ElementNode:
			a := atomOf(n)
			if hidden[a] || skip && (furniture[a] || isHidden(n)) {
				return false
			}
			if blocks[a] {
				w.end()
			}
			switch a {
			case atom.Pre:
				pre++
			case atom.Td, atom.Th:
				w.space = true
			}
		}
		return true
	}, func(n *html.Node) {
		if n.Type != html.ElementNode {
			return
		}
		a := atomOf(n)
		if blocks[a] {
			w.end()
		}
		if a == atom.Pre {
			pre--
		}
	})
	w.end()
	return w.lines
}

// isHidden reports whether an element says that it is not shown.
func isHidden(n *html.Node) bool {
	for i := range n.Attr {
		switch n.Attr[i].Key {
		case "hidden":
			return true
		case "style":
			s := strings.ReplaceAll(strings.ToLower(n.Attr[i].Val), " ", "")
			if strings.Contains(s, "display:none") || strings.Contains(s, "visibility:hidden") {
				return true
			}
		}
	}
	return false
}

func emptyLines(lines []string) bool {
	for _, l := range lines {
		if l != "" {
			return false
		}
	}
	return true
}

// joinLines joins lines up to limit bytes.
func joinLines(lines []string, limit int) (s string, cut bool) {
	size := 0
	for i, l := range lines {
		size += len(l) + 1
		if size > limit+1 {
			s = strings.Join(lines[:i], "\n")
			if i == 0 {
				s = strings.ToValidUTF8(l[:limit], "")
			}
			return s, true
		}
	}
	return strings.Join(lines, "\n"), false
}

// linksIn returns the links below root.
func linksIn(root *html.Node, resolve func(string) (string, error)) []stages.Link {
	var out []stages.Link
	for n := root; n != nil && len(out) < stages.DefaultMaxLinks; n = next(n, root) {
		if n.Type == html.ElementNode && n.Data == "a" {
			if u, err := resolve(attr(n, "href")); err == nil {
				out = append(out, stages.Link{URL: u, Kind: stages.LinkAnchor, Text: nodeText(n, stages.DefaultMaxLinkText)})
			}
		}
	}
	return out
}

// imagesIn returns the images below root, each URL once.
func imagesIn(root *html.Node, resolve func(string) (string, error)) []Image {
	var out []Image
	seen := make(map[string]bool)
	for n := root; n != nil && len(out) < 1000; n = next(n, root) {
		if n.Type != html.ElementNode || n.Data != "img" {
			continue
		}
		u, err := resolve(attr(n, "src"))
		if err == nil && !seen[u] {
			seen[u] = true
			out = append(out, Image{URL: u, Alt: clipText(attr(n, "alt"), 500)})
		}
	}
	return out
}
