package simhash_test

import (
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/stages/simhash"
)

// Two texts that differ in a few words are near duplicates; others are not.
func Example() {
	river := strings.Repeat("The old mill stands beside the river, where a grey heron waits for fish in the warm sun. ", 20)
	printed, _ := simhash.Of(river)
	signed, _ := simhash.Of(river + "Seen by the miller.")
	other, words := simhash.Of(strings.Repeat("Trains to the coast leave from the second platform every hour but on Sundays. ", 20))
	fmt.Println("signed:", simhash.Distance(printed, signed) <= simhash.MaxDistance)
	fmt.Println("other:", simhash.Distance(printed, other) <= simhash.MaxDistance, "of", words, "words")
	// Output:
	// signed: true
	// other: false of 280 words
}
