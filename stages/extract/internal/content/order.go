package content

// An order is what is known of a page from the order of its blocks.
type order struct {
	heading []int32               // of each block the heading before it, or -1
	copies  map[string]textPlaces // of each text its blocks
	top     int32                 // the block that is the heading of the page, or -1
	meets   []int32               // of each element the nearest around it that holds top too
}

// textPlaces are the blocks that have one text.
type textPlaces struct{ n, first int32 }

// longHeading is how many words a heading has at most that what stands below it
// is known by.
const longHeading = 30

// readOrder finds the order. It needs the facts.
func (p *Page) readOrder() {
	o := &p.order
	o.heading = make([]int32, len(p.Blocks))
	o.copies = make(map[string]textPlaces, len(p.Blocks))
	o.top = -1
	last := int32(-1)
	best := float32(-1)
	for i := range p.Blocks {
		b := &p.Blocks[i]
		o.heading[i] = last
		if b.Heading > 0 && b.words <= longHeading {
			last = int32(i)
		}
		c, ok := o.copies[b.Text]
		if !ok {
			c.first = int32(i)
		}
		c.n++
		o.copies[b.Text] = c
		if b.Heading == 1 || b.Heading == 2 && o.top < 0 {
			if x := p.titleScore(b); x > best {
				best, o.top = x, int32(i)
			}
		}
	}
	o.meets = make([]int32, len(p.elements))
	if o.top < 0 {
		return
	}
	around := make([]bool, len(p.elements))
	for at := p.Blocks[o.top].elem; at >= 0; at = p.elements[at].parent {
		around[at] = true
	}
	for i := range p.elements {
		o.meets[i] = int32(i)
		if up := p.elements[i].parent; !around[i] && up >= 0 {
			o.meets[i] = o.meets[up]
		}
	}
}

// titleScore says how well a heading fits the title of the page.
func (p *Page) titleScore(b *Block) float32 {
	shared, n := int32(0), int32(0)
	eachWord(clip(b.Text, 300), func(h uint32) {
		n++
		if p.facts.title[h] {
			shared++
		}
	})
	score := share(shared, n) + share(shared, int32(len(p.facts.title)))
	if b.Heading == 1 {
		score += .5
	}
	return score
}

// orderVector adds what is known of block i by the order of the blocks.
func (p *Page) orderVector(v *vector, i int) {
	b := &p.Blocks[i]
	o := &p.order
	c := o.copies[b.Text]
	v.log(c.n)
	v.is(c.first < int32(i))
	if o.top >= 0 && b.Source == FromTree {
		m := &p.elements[o.meets[b.elem]]
		v.add(float32(p.elements[b.elem].depth-m.depth), float32(p.elements[p.Blocks[o.top].elem].depth-m.depth))
		v.add(share(m.sum.words, p.elements[0].sum.words), share(m.sum.linkWords, m.sum.words))
		v.add(float32(max(-200, min(200, int32(i)-o.top))))
	} else {
		v.add(-1, -1, -1, -1, 0)
	}
	if h := o.heading[i]; h >= 0 {
		v.add(float32(p.Blocks[h].Heading))
		v.log(p.Blocks[h].words)
		v.log(int32(i) - h)
	} else {
		v.add(0, 0, 0)
	}
}
