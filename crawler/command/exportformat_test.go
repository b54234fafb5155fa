package command

import (
	"slices"
	"testing"
)

// What a spreadsheet, or a terminal, would do something with is text in a CSV, and
// numbers are numbers.
func TestCellsAreHarmless(t *testing.T) {
	cells := safeCells([]string{
		`=HYPERLINK("http://a.example/")`, "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-12.5", "+3", "1e9", "", "a=b", "\x1b[2J", "a\u202eb\u009bc", "плюс",
	})
	want := []string{
		`'=HYPERLINK("http://a.example/")`, "'+1+1", "'-2+3", "'@SUM(A1)", "'\t=1", `\u000d=1`, "-12.5", "+3", "1e9", "", "a=b", `\u001b[2J`, `a\u202eb\u009bc`, "плюс",
	}
	if !slices.Equal(cells, want) {
		t.Errorf("cells %q, want %q", cells, want)
	}
}
