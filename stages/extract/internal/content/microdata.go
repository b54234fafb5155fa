package content

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds on microdata.
const (
	maxItems      = 500
	maxProperties = 5000
	maxItemText   = 4 << 10
)

// Microdata returns the items of the page's microdata (HTML standard, section
// 5) in the shape of JSON-LD: "@type" is the last part of itemtype, and a
// property that occurs more than once is a list.
func (p *Page) Microdata() []map[string]any {
	var top []map[string]any
	items := make(map[*html.Node]map[string]any)
	properties := 0
	for i := range p.elements {
		if !hasAttr(p.elements[i].node, "itemscope") && attr(p.elements[i].node, "itemprop") == "" {
			continue
		}
		n := p.elements[i].node
		var item map[string]any
		if hasAttr(n, "itemscope") {
			if len(items) >= maxItems {
				continue
			}
			item = make(map[string]any)
			if t := strings.TrimSuffix(strings.TrimSpace(attr(n, "itemtype")), "/"); t != "" {
				item["@type"] = t[strings.LastIndexByte(t, '/')+1:]
			}
			items[n] = item
		}
		names := strings.Fields(attr(n, "itemprop"))
		var owner map[string]any
		for at := p.elements[i].parent; at >= 0 && owner == nil; at = p.elements[at].parent {
			owner = items[p.elements[at].node]
		}
		if item != nil && (len(names) == 0 || owner == nil) {
			top = append(top, item)
			continue
		}
		if owner == nil {
			continue
		}
		for _, name := range names {
			if properties++; properties > maxProperties || strings.HasPrefix(name, "@") {
				break
			}
			if item != nil {
				setProperty(owner, name, item)
			} else if v := propertyValue(n); v != "" {
				setProperty(owner, name, v)
			}
		}
	}
	for _, img := range p.images {
		at := img.parent
		for at >= 0 && items[p.elements[at].node] == nil {
			at = p.elements[at].parent
		}
		if properties++; at >= 0 && properties <= maxProperties {
			for name := range strings.FieldsSeq(attr(img.node, "itemprop")) {
				setProperty(items[p.elements[at].node], name, propertyValue(img.node))
			}
		}
	}
	return top
}

// An imageProperty is an image that is a property of an item.
type imageProperty struct {
	node   *html.Node
	parent int32
}

func setProperty(item map[string]any, name string, v any) {
	switch old := item[name].(type) {
	case nil:
		item[name] = v
	case []any:
		item[name] = append(old, v)
	default:
		item[name] = []any{old, v}
	}
}

// propertyValue returns the value of a property (HTML standard, section 5.2.4).
func propertyValue(n *html.Node) string {
	if v := attr(n, "content"); v != "" {
		return clipUTF8(v, maxItemText)
	}
	switch n.DataAtom {
	case atom.A, atom.Area, atom.Link:
		return attr(n, "href")
	case atom.Img, atom.Audio, atom.Embed, atom.Iframe, atom.Source, atom.Track, atom.Video:
		return attr(n, "src")
	case atom.Data, atom.Meter:
		return attr(n, "value")
	case atom.Time:
		if v := attr(n, "datetime"); v != "" {
			return v
		}
	}
	return shortText(n, maxItemText)
}

func clipUTF8(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func hasAttr(n *html.Node, key string) bool {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			return true
		}
	}
	return false
}
