package content

import (
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The annotators of the pages that the model learns from did not agree on all of
// what follows; it is a matter of what an article is, in any language and
// whatever its elements are called.

// isArticle reports whether a page is more likely an article than not.
func isArticle(types [types]float32) bool { return types[0] > .5 }

// maybeForum is how likely a forum a page must be for comments to be its content.
const maybeForum = .3

// linksFloor is how likely a block of links must be to belong to an article: such
// as "read also" and tags. It is one if this share of its words is in links.
const (
	linksFloor  = .9
	linkedShare = .8
)

// isProduct reports whether a page is more likely about a product than not.
func isProduct(types [types]float32) bool { return types[3] > .5 }

// isShop reports whether a page is more likely than not one that sells or shows
// things: a product, a listing or a collection. There, and not on pages about
// services and articles, what customers say and what opens over the page when
// somebody clicks are not what the page is about.
func isShop(types [types]float32) bool { return types[3]+types[4]+types[5] > .5 }

// likely returns the probability of each block to be taken: smoothed, and none
// for what stands in places that hold furniture on pages of such types and, on an
// article, links that are not certain. So it is if there is enough without them: some
// words on an article, as many as are left out on other pages, where what has that
// name may be all there is. The threshold is chosen among these.
func (p *Page) likely(blocks []float32, types [types]float32) []float32 {
	out := p.smooth(blocks, types)
	article := isArticle(types)
	never := p.furnitureOf(out, types)
	left := make([]bool, len(out))
	var rest, without float32 // words of content that are to be expected
	for i, x := range out {
		left[i] = p.isFurniture(i, x, article, never)
		if left[i] {
			without += x * float32(p.Blocks[i].words)
		} else {
			rest += x * float32(p.Blocks[i].words)
		}
	}
	if rest < enoughWords || !article && rest < without {
		return out
	}
	for i := range out {
		if left[i] {
			out[i] = 0
		}
	}
	return out
}

// What stands in these places is furniture, by the type of the page. On forums
// comments are what the page is about, on the others what is called related, and
// captions of figures, are not; forms are on all, but for their fields' labels, left
// to the model.
const (
	furniture           = inComments | inReaderOnly | inCaption | inRelated | inDisclaimer | inTrail | inLabel
	furnitureOfArticles = inAppeal | inAuthor | inHidden
	furnitureOfForums   = inSignature | inAside
	furnitureOfShops    = inReviews | inOverlay
	furnitureOfLists    = inButton
)

// mostFurniture is the largest part of what is likely content that stands in one
// such place, if that is furniture: what holds more is the page's text, whatever it
// is called. Comments and what customers say may well be more.
const (
	mostFurniture   = .34
	alwaysFurniture = inComments | inReaderOnly | inReviews | inOverlay
)

// furnitureOf returns the places that hold furniture, on a page of such blocks.
func (p *Page) furnitureOf(probability []float32, types [types]float32) place {
	never := furniture
	switch {
	case isArticle(types):
		never |= furnitureOfArticles
	case types[2] >= maybeForum:
		never = furnitureOfForums
	case types[4]+types[5] > .5:
		never |= furnitureOfLists
	}
	if isShop(types) {
		never |= furnitureOfShops
	}
	var all float32
	var held [64]float32
	for i, x := range probability {
		w := x * float32(p.Blocks[i].words)
		all += w
		for in := p.elements[p.Blocks[i].elem].place & never; in != 0; in &= in - 1 {
			held[bits.TrailingZeros64(uint64(in))] += w
		}
	}
	for k, w := range held {
		if w > all*mostFurniture && place(1)<<k&alwaysFurniture == 0 {
			never &^= place(1) << k
		}
	}
	return never
}

// isFurniture reports whether block i, of probability x, is furniture.
func (p *Page) isFurniture(i int, x float32, article bool, never place) bool {
	b := &p.Blocks[i]
	if b.Source != FromTree {
		return false
	}
	place := p.elements[b.elem].place
	if place&inHeading != 0 {
		never &^= inButton // which opens what it heads
	}
	if place&never != 0 || b.words <= homeWords && b.linkWords == b.words && p.leadsHome(b.elem) {
		return true
	}
	return article && x < linksFloor && float32(b.linkWords) >= linkedShare*float32(b.words)
}

// homeWords is how many words a link has at most that names the site, or says home.
const homeWords = 6

// leadsHome reports whether the first link in an element, or the one that it stands
// in, leads to the home page of the site: it is the site's name above its pages, or
// the first of the links that say where a page stands.
func (p *Page) leadsHome(at int32) bool {
	if p.url == nil {
		return false
	}
	home := func(n *html.Node) bool {
		to, err := p.url.Parse(strings.TrimSpace(attr(n, "href")))
		return err == nil && attr(n, "href") != "" && to.Host == p.url.Host && (to.Path == "/" || to.Path == "") && to.RawQuery == "" && to.Fragment == ""
	}
	for i := at; i >= 0 && p.elements[i].place&inAnchor != 0; i = p.elements[i].parent {
		if n := p.elements[i].node; n.DataAtom == atom.A {
			return home(n)
		}
	}
	const within = 8
	steps := 0
	for n := range p.elements[at].node.Descendants() {
		if steps++; steps > within {
			break
		}
		if n.DataAtom == atom.A && n.Type == html.ElementNode {
			return home(n)
		}
	}
	return false
}

// dropEmptyHeadings leaves out headings of which all is left out that stands in one
// element with them, where that has none like it beside it, as cards have: those in
// what stands beside the text, or all of them.
func (p *Page) dropEmptyHeadings(keep []bool, all bool) {
	for i, k := range keep {
		b := &p.Blocks[i]
		if !k || b.Source != FromTree || b.Heading < 2 || !all && p.elements[b.elem].place&(inAside|inForm|inNav) == 0 {
			continue
		}
		at := b.elem
		for p.elements[at].lastBlock-p.elements[at].firstBlock < 2 && p.elements[at].parent >= 0 {
			at = p.elements[at].parent
		}
		e := &p.elements[at]
		if e.twins < 2 && !slices.Contains(keep[i+1:max(int(e.lastBlock), i+1)], true) && !slices.Contains(keep[e.firstBlock:i], true) {
			keep[i] = false
		}
	}
}

// dropStructured leaves out the texts of JSON-LD where the elements that are kept
// hold more than half as many words: then these say the same, or what the JSON-LD
// says is about the site.
func (p *Page) dropStructured(keep []bool) {
	var words int32
	for i, k := range keep {
		if b := &p.Blocks[i]; k && b.Source == FromTree {
			words += b.words
		}
	}
	for i := range keep {
		if b := &p.Blocks[i]; b.Source != FromTree && words*2 > b.words {
			keep[i] = false
		}
	}
}
