package tag

import "strings"

// emoticon returns the length of the emoticon at the start of c, which must
// end there or before a mark or space, and 0 if there is none.
func emoticon(c string) int {
	n := emoticonLen(c)
	if n == 0 || n < len(c) && (isASCIILetter(c[n]) || isDigit(c[n])) {
		return 0
	}
	return n
}

const (
	eyes   = ":;=8xX"
	noses  = "-o'^"
	mouths = ")(][DPpOo/\\|*3$@>}{"
)

func emoticonLen(c string) int {
	if len(c) < 2 {
		return 0
	}
	switch {
	case strings.HasPrefix(c, "<3"):
		return 2
	case strings.HasPrefix(c, "^_^"), strings.HasPrefix(c, "-_-"), strings.HasPrefix(c, "o_O"),
		strings.HasPrefix(c, "O_o"), strings.HasPrefix(c, "T_T"), strings.HasPrefix(c, ">:("):
		return 3
	case strings.HasPrefix(c, "(:"), strings.HasPrefix(c, "(;"):
		if len(c) == 2 || !isASCIILetter(c[2]) {
			return 2
		}
	}
	eye := c[0]
	if strings.IndexByte(eyes, eye) < 0 {
		return 0
	}
	letter := eye != ':' && eye != ';' && eye != '='
	i := 1
	nose := false
	if len(c) > 2 && strings.IndexByte(noses, c[1]) >= 0 && strings.IndexByte(mouths, c[2]) >= 0 {
		i, nose = 2, true
	}
	mouth := c[i]
	if strings.IndexByte(mouths, mouth) < 0 {
		return 0
	}
	if letter && (!nose || c[1] != '-') && !(eye != '8' && mouth == 'D') {
		return 0 // "8)" closes a list number, "xp" is a word
	}
	if mouth == '/' && i+1 < len(c) && c[i+1] == '/' {
		return 0 // "://" belongs to a URL
	}
	i++
	for i < len(c) && c[i] == mouth && (mouth == ')' || mouth == '(' || mouth == 'D') {
		i++
	}
	return i
}
