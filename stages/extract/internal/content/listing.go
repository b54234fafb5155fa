package content

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// mostOfListing is how many nodes of an element are looked at for its lines.
const mostOfListing = 200

// IsLine reports whether an element is a line by its own style, such as those that
// listings without <pre> are made of.
func IsLine(n *html.Node) bool { return n.DataAtom == atom.Span && isStyled(n, "display:block") }

// isStyled reports whether the style of an element says so.
func isStyled(n *html.Node, what string) bool {
	property, value, _ := strings.Cut(what, ":")
	style := attr(n, "style")
	return strings.Contains(style, property) && strings.Contains(style, value) && strings.Contains(strings.ReplaceAll(style, " ", ""), what)
}

// IsListing reports whether an element is a listing: <pre>, or code of several
// lines. These are known by line breaks or elements that are lines; or by line feeds,
// if the code has a style that shows it as a box or its white space as it is.
func IsListing(n *html.Node) bool {
	if n.DataAtom == atom.Pre {
		return true
	}
	if n.DataAtom != atom.Code || n.FirstChild == nil {
		return false
	}
	keepsLines := isStyled(n, "display:block") || isStyled(n, "white-space:pre")
	if c := n.FirstChild; !keepsLines && c == n.LastChild && c.Type == html.TextNode {
		return false // as most code is
	}
	for up, steps := n.Parent, 0; up != nil && steps < 8; up, steps = up.Parent, steps+1 {
		if up.DataAtom == atom.Pre || up.DataAtom == atom.Code {
			return false // a part of one
		}
	}
	nodes, lines := 0, 0
	open := false // whether there is text on the present line
	for c := range n.Descendants() {
		if nodes++; nodes > mostOfListing || lines > 1 {
			break
		}
		switch {
		case c.DataAtom == atom.Br || IsLine(c):
			open = false
		case c.Type == html.TextNode && !isSpace(c.Data):
			if keepsLines && strings.Contains(strings.TrimSpace(c.Data), "\n") {
				return true
			}
			if !open || keepsLines && strings.HasPrefix(strings.TrimLeft(c.Data, " \t\r"), "\n") {
				open = true
				lines++
			}
			if keepsLines && strings.HasSuffix(strings.TrimRight(c.Data, " \t\r"), "\n") {
				open = false
			}
		case c.Type == html.TextNode && keepsLines && strings.Contains(c.Data, "\n"):
			open = false
		}
	}
	return lines > 1
}

// breaksLine reports whether an element begins and ends a block.
func breaksLine(n *html.Node) bool { return breaking[n.DataAtom] || IsListing(n) }
