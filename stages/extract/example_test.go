package extract_test

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/stages/extract"
)

func ExampleExtractor() {
	page := `<html lang="en"><head><title>The flood</title></head><body>
		<nav><a href="/">Home</a> <a href="/news">News</a></nav>
		<article><h1>The flood</h1>
		<p>The river had risen during the night, and by the morning the old mill stood in water up to its windows.</p>
		<p>The miller carried the sacks of flour up to the loft and tied his boat to the chimney, which made the
		neighbours laugh until they needed it themselves.</p></article>
		<footer>All rights reserved</footer></body></html>`
	x := &extract.Extractor{Mode: extract.ModeBalanced}
	text := x.HTML(context.Background(), []byte(page), "https://example.com/flood", "")
	fmt.Println(text.Title, text.Language, text.Method)
	fmt.Println(text.Text)
	// Output:
	// The flood en model
	// The river had risen during the night, and by the morning the old mill stood in water up to its windows.
	// The miller carried the sacks of flour up to the loft and tied his boat to the chimney, which made the neighbours laugh until they needed it themselves.
}
