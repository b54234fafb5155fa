package stages

import (
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages/internal/scan"
)

// maxFields bounds the fields of a form that go into its address.
const maxFields = 50

// readForm adds what a form asks for by GET when it is sent as the page has it,
// with each of its buttons that has an address of its own. Forms for passwords
// and files are for people.
func (d *Document) readForm(form *html.Node) {
	action := attr(form, "action")
	if form.DataAtom == atom.Isindex {
		d.addLink(action, Link{Kind: LinkForm})
		return
	}
	if m := strings.TrimSpace(attr(form, "method")); m != "" && !strings.EqualFold(m, "get") {
		action = ""
	}
	fields := make([]string, 0, 8)
	var buttons []*html.Node
	for _, n := range d.controls(form) {
		switch n.DataAtom {
		case atom.Input:
			switch strings.ToLower(attr(n, "type")) {
			case "password", "file":
				return
			case "submit", "image":
				buttons = append(buttons, n)
			case "button", "reset":
			case "checkbox", "radio":
				if hasAttr(n, "checked") {
					value := "on"
					if hasAttr(n, "value") {
						value = attr(n, "value")
					}
					fields = d.appendField(fields, n, value)
				}
			default:
				fields = d.appendField(fields, n, attr(n, "value"))
			}
		case atom.Textarea:
			fields = d.appendField(fields, n, scan.Text(n, 1000, false))
		case atom.Select:
			if value, ok := selected(n); ok {
				fields = d.appendField(fields, n, value)
			}
		case atom.Button:
			if t := strings.ToLower(attr(n, "type")); t != "button" && t != "reset" {
				buttons = append(buttons, n)
			}
		}
	}
	d.addForm(action, fields)
	for _, b := range buttons {
		if m := strings.TrimSpace(attr(b, "formmethod")); m == "" || strings.EqualFold(m, "get") {
			d.addForm(attr(b, "formaction"), fields)
		}
	}
}

// controls returns the elements of a form: those within it, but for those that name
// another form by their attribute form, and those elsewhere that name this one.
func (d *Document) controls(form *html.Node) (all []*html.Node) {
	id := attr(form, "id")
	within := make(map[*html.Node]bool) // of those that name the form
	for n := next(form, form); n != nil; n = next(n, form) {
		if n.Type == html.ElementNode && (!hasAttr(n, "form") || attr(n, "form") == id) {
			all = append(all, n)
			if hasAttr(n, "form") {
				within[n] = true
			}
		}
	}
	if d.associated == nil {
		d.associated = make(map[string][]*html.Node)
		for n := d.Root(); n != nil; n = next(n, d.Root()) {
			if of := attr(n, "form"); of != "" && n.Type == html.ElementNode {
				d.associated[of] = append(d.associated[of], n)
			}
		}
	}
	for _, n := range d.associated[id] {
		if !within[n] {
			all = append(all, n)
		}
	}
	delete(d.associated, id) // they belong to the first form of that name
	return all
}

// addForm adds the address of a form: the query is replaced by its fields.
func (d *Document) addForm(action string, fields []string) {
	if action == "" {
		return
	}
	target, _, _ := strings.Cut(action, "#")
	if len(fields) > 0 {
		target, _, _ = strings.Cut(target, "?")
		target += "?" + strings.Join(fields, "&")
	}
	d.addLink(target, Link{Kind: LinkForm})
}

// appendField appends name=value of a control, in the page's encoding.
func (d *Document) appendField(fields []string, n *html.Node, value string) []string {
	name := attr(n, "name")
	if name == "" || hasAttr(n, "disabled") || len(fields) >= maxFields {
		return fields
	}
	encode := func(s string) string {
		if d.encoding != nil {
			if b, err := d.encoding.NewEncoder().String(s); err == nil {
				s = b
			}
		}
		return url.QueryEscape(s)
	}
	return append(fields, encode(name)+"="+encode(clip(value, 1000)))
}

// selected returns the value that a <select> has at first.
func selected(n *html.Node) (value string, ok bool) {
	for o := next(n, n); o != nil; o = next(o, n) {
		if o.Type != html.ElementNode || o.DataAtom != atom.Option || hasAttr(o, "disabled") {
			continue
		}
		chosen := hasAttr(o, "selected")
		if !chosen && (ok || hasAttr(n, "multiple")) {
			continue
		}
		value, ok = scan.Text(o, 1000, false), true
		if hasAttr(o, "value") {
			value = attr(o, "value")
		}
		if chosen {
			break
		}
	}
	return value, ok
}

func hasAttr(n *html.Node, key string) bool {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			return true
		}
	}
	return false
}
