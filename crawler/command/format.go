package command

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// count writes a number with commas between the thousands.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural writes a number of things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// duration writes a time that something took, for people.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// table is text in columns: numbers to the right, the rest to the left.
type table struct {
	rows  [][]string
	width []int
}

func newTable(head ...string) *table {
	t := &table{width: make([]int, len(head))}
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		t.width[i] = max(t.width[i], utf8.RuneCountInString(c))
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(out io.Writer) {
	for r, cells := range t.rows {
		var line strings.Builder
		line.WriteString("  ")
		for i, c := range cells {
			pad := strings.Repeat(" ", t.width[i]-utf8.RuneCountInString(c))
			if t.numeric(i) {
				line.WriteString(pad + c + "  ")
			} else {
				line.WriteString(c + pad + "  ")
			}
		}
		if text := strings.TrimRight(line.String(), " "); text != "" || r > 0 {
			fmt.Fprintln(out, text)
		}
	}
}

// numeric reports whether a column is one of numbers and times.
func (t *table) numeric(i int) bool {
	for _, cells := range t.rows[1:] {
		if i < len(cells) && cells[i] != "" && cells[i] != "..." && (cells[i][0] < '0' || cells[i][0] > '9') {
			return false
		}
	}
	return true
}
