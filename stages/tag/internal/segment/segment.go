// Package segment cuts text of scripts that put no space between words into
// the words of a dictionary: Chinese and Japanese, and Thai.
//
// The dictionaries are those of ICU, by which browsers find the word that is
// clicked on. One of Chinese and Japanese serves both languages and gives each word
// a cost, the rarer the higher; the words of a run are those of the least cost
// together. Of Thai words there is a list; the words of a run are those that leave
// the least of it unknown, and of such the fewest (maximal matching).
//
// A dictionary is unpacked when the first text asks for it, once a process. All
// functions are safe for concurrent use, and take time in proportion to the text
// whatever it is: a word of a dictionary has at most [maxWord] bytes.
package segment

import "unicode/utf8"

// maxRun is the most of a run that is cut as one, in bytes: what memory a run
// takes is bounded by it. A word across its end is cut in two.
const maxRun = 1 << 10

// A kind is what a character is to the dictionaries.
type kind uint8

const (
	other    kind = iota
	han           // Chinese characters and Hiragana
	katakana      // like han, but unknown words are runs of it
	thai
)

func kindOf(r rune) kind {
	switch {
	case r < 0x0E01 || r > 0x2FA1F:
		return other
	case r <= 0x0E4E:
		if r == 0x0E3F { // the sign of the baht
			return other
		}
		return thai
	case r < 0x3005:
		return other
	case r >= 0x4E00 && r <= 0x9FFF, r >= 0x3400 && r <= 0x4DBF, r >= 0x20000, r >= 0xF900 && r <= 0xFAFF,
		r >= 0x3041 && r <= 0x3096, r >= 0x309D && r <= 0x309F, r >= 0x3005 && r <= 0x3007:
		return han
	case r >= 0x30A1 && r <= 0x30FA, r >= 0x30FC && r <= 0x30FF, r >= 0x31F0 && r <= 0x31FF, r >= 0xFF66 && r <= 0xFF9F:
		return katakana
	}
	return other
}

// FirstByte is the least byte that a run may begin with.
const FirstByte = 0xE0

// Run returns the length of the run of characters that a dictionary is there for
// and that s begins with, and 0 if there is none.
func Run(s string) int {
	first := other
	for n := 0; n < len(s); {
		r, size := utf8.DecodeRuneInString(s[n:])
		k := kindOf(r)
		if k == other || n > 0 && (k == thai) != (first == thai) || n+size > maxRun {
			return n
		}
		if n == 0 {
			first = k
		}
		n += size
	}
	return len(s)
}

// Cut appends to ends where the words of a run end that [Run] has found, counted
// from its beginning.
func Cut(run string, ends []int) []int {
	if run == "" {
		return ends
	}
	var c cutter
	c.clusters(run)
	if r, _ := utf8.DecodeRuneInString(run); kindOf(r) == thai {
		return c.thai(run, ends)
	}
	return c.cjk(run, ends)
}

// A cutter finds the cheapest way through a run.
type cutter struct {
	steps [maxRun + 1]step // by place in the run
}

// A step is the best way to a place known so far.
type step struct {
	cost    uint32 // of the words up to here, 0 if nothing ends here
	from    uint16 // where the last of them begins
	starts  bool   // a word may begin or end here
	unknown bool   // the last of them is not in the dictionary
}

// clusters marks the places at which words may begin.
func (c *cutter) clusters(run string) {
	c.steps[0] = step{starts: true, cost: 1}
	leads := false
	for i, r := range run {
		// Thai vowels and tones above, below and behind a letter stay with it, and
		// those written before a letter stay with what follows.
		behind := r >= 0x0E30 && r <= 0x0E3A || r == 0x0E45 || r >= 0x0E47 && r <= 0x0E4E
		c.steps[i].starts = !behind && !leads || i == 0
		leads = r >= 0x0E40 && r <= 0x0E44
	}
	c.steps[len(run)].starts = true
}

// reach takes the way over the word run[from:to] if it is cheaper than what is known.
func (c *cutter) reach(from, to int, cost uint32, unknown bool) {
	s := &c.steps[to]
	if cost += c.steps[from].cost; s.starts && (s.cost == 0 || cost < s.cost) {
		s.cost, s.from, s.unknown = cost, uint16(from), unknown
	}
}

// Costs of what the dictionary of Chinese and Japanese does not have, as in ICU: of a
// single character, and of a run of Katakana by its number of characters.
const unknownCost = 255

var katakanaCost = [...]uint32{8192, 984, 408, 240, 204, 252, 300, 372, 480}

func katakanaRunCost(n int) uint32 {
	if n < len(katakanaCost) {
		return katakanaCost[n]
	}
	return katakanaCost[0]
}

const maxKatakanaRun = 20

func (c *cutter) cjk(run string, ends []int) []int {
	words := cjkWords()
	before := other
	for i, r := range run {
		single := utf8.RuneLen(r)
		alone := false
		words.prefixes(run[i:], func(n int, cost uint8) {
			alone = alone || n == single
			c.reach(i, i+n, uint32(cost), false)
		})
		if !alone {
			c.reach(i, i+single, unknownCost, true)
		}
		k := kindOf(r)
		if k == katakana && before != katakana {
			n := 0
			for j, r := range run[i:] {
				if kindOf(r) != katakana || n > maxKatakanaRun {
					break
				}
				n++
				c.reach(i, i+j+utf8.RuneLen(r), katakanaRunCost(n), true)
			}
		}
		before = k
	}
	return c.way(len(run), ends, false)
}

// Costs of Thai: what is unknown weighs more than any number of words.
const (
	thaiWord    = 1
	thaiUnknown = 1 << 10 // a cluster
)

func (c *cutter) thai(run string, ends []int) []int {
	words := thaiWords()
	for i := range run {
		if !c.steps[i].starts {
			continue
		}
		words.prefixes(run[i:], func(n int, _ uint8) { c.reach(i, i+n, thaiWord, false) })
		end := i + 1
		for !c.steps[end].starts {
			end++
		}
		c.reach(i, end, thaiUnknown, true)
	}
	return c.way(len(run), ends, true)
}

// way appends the ends of the words on the best way to the place to, of which those
// that are unknown and side by side are one if join is set.
func (c *cutter) way(to int, ends []int, join bool) []int {
	n := len(ends)
	for behind := false; to > 0; to = int(c.steps[to].from) {
		s := &c.steps[to]
		if !join || !behind || !s.unknown {
			ends = append(ends, to)
		}
		behind = s.unknown
	}
	for i, j := n, len(ends)-1; i < j; i, j = i+1, j-1 {
		ends[i], ends[j] = ends[j], ends[i]
	}
	return ends
}
