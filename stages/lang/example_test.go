package lang_test

import (
	"fmt"

	"github.com/seed-301537d8/weir/stages/lang"
)

func ExampleDetect() {
	fmt.Println(lang.Detect("Gestern gingen wir zum alten Markt").Code)
	fmt.Println(lang.Detect("Í gær fórum við á markaðinn").Code)
	// Output:
	// de
	// is
}

// Where only some languages can be, say so.
func ExampleDetectAmong() {
	fmt.Println(lang.DetectAmong("la casa", "en", "es").Code)
	// Output: es
}
