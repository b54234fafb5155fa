package content

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

// likely returns the probability of each block to be taken: smoothed, and none
// for what is called comments and, on an article, for links that are not certain.
// So it is if there is enough without them: some words on an article, as many as
// are left out on other pages but forums, where what has that name may be all
// there is. The threshold is chosen among these.
func (p *Page) likely(blocks []float32, types [types]float32) []float32 {
	out := p.smooth(blocks)
	article := isArticle(types)
	if !article && types[2] >= maybeForum {
		return out
	}
	furniture := make([]bool, len(out))
	var rest, without float32 // words of content that are to be expected
	for i, x := range out {
		furniture[i] = p.isFurniture(i, x, article)
		if furniture[i] {
			without += x * float32(p.Blocks[i].words)
		} else {
			rest += x * float32(p.Blocks[i].words)
		}
	}
	if rest < enoughWords || !article && rest < without {
		return out
	}
	for i := range out {
		if furniture[i] {
			out[i] = 0
		}
	}
	return out
}

// isFurniture reports whether block i, of probability x, is furniture.
func (p *Page) isFurniture(i int, x float32, article bool) bool {
	b := &p.Blocks[i]
	if b.Source != FromTree {
		return false
	}
	return p.elements[b.elem].place&inComments != 0 || article && x < linksFloor && float32(b.linkWords) >= linkedShare*float32(b.words)
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
