// Package stages holds the work that a crawl pipeline does on one item:
// fetch a page, read its links, hand it to a program in another language. The
// packages below it take out the text of a page (extract), tag its words (tag)
// and write archives (warc).
//
// Every stage is a struct whose zero value works and a method that does the
// work, so that a test, a script or a pipeline can call it directly:
//
//	var f stages.Fetcher
//	resp, err := f.Fetch(ctx, stages.FetchRequest{URL: "https://example.com/"})
//	if err != nil {
//		return err // a *stages.Error: may it pass, and when
//	}
//	doc := stages.ParseDocument(resp.UTF8(), resp.URL, nil)
//	for _, link := range doc.Links() {
//		fmt.Println(link.URL, link.Text)
//	}
//
// The parts:
//
//   - [Fetcher] makes one HTTP request with bounded time, size and reach.
//   - [Document] is one parse of a page; links and metadata come from it.
//   - [Exec] keeps child processes in any language that answer items in JSON.
//
// What goes wrong is an [*Error] that says whether trying again may help, when
// the other side asked to be asked again, and a short machine-readable reason.
//
// Stages know nothing of queues: the pipeline wraps them, and turns an Error
// into a retry, a delay or a dead letter.
package stages
