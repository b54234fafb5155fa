package scope

import "strings"

// Traps are addresses that a site makes without end, mostly by mistake:
// relative links that grow the path, forms that add parameters to themselves.

// segmentsOf appends the segments of a path, which begins with "/", to buf.
func segmentsOf(buf []string, path string) []string {
	for s := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		buf = append(buf, s)
	}
	return buf
}

// pathLoop reports whether a run of segments stands more than limit times in a
// row, and returns the run. It takes a time of the square of the number of
// segments; a Segments rule before it bounds that.
func pathLoop(path string, limit int) (bool, string) {
	var stack [64]string
	segments := segmentsOf(stack[:0], path)
	for unit := 1; unit*(limit+1) <= len(segments); unit++ {
		same := 0 // how many segments in a row equal the one a unit before
		for i := unit; i < len(segments); i++ {
			if segments[i] != segments[i-unit] || unit == 1 && isNumber(segments[i]) {
				same = 0
				continue
			}
			if same++; same == unit*limit {
				return true, strings.Join(segments[i-unit+1:i+1], "/")
			}
		}
	}
	return false, ""
}

// repeatedSegment reports whether a segment that is no number stands more than
// limit times in a path, and returns it.
func repeatedSegment(path string, limit int) (bool, string) {
	var stack [64]string
	segments := segmentsOf(stack[:0], path)
	for i := 0; i+limit < len(segments); i++ {
		if isNumber(segments[i]) {
			continue
		}
		n := 0
		for _, s := range segments[i:] {
			if s == segments[i] {
				n++
			}
		}
		if n > limit {
			return true, segments[i]
		}
	}
	return false, ""
}

// repeatedParam reports whether a parameter of one name stands more than limit
// times in a query, and returns the name.
func repeatedParam(query string, limit int) (bool, string) {
	if strings.Count(query, "&") < limit {
		return false, ""
	}
	counts := make(map[string]int)
	for p := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if counts[name]++; counts[name] > limit {
			return true, name
		}
	}
	return false, ""
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
