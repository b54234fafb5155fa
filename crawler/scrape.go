package crawler

import "context"

// Scrape returns the options of the program that is written most often: fn is called
// with each page, from the seeds on, writes items of the type T under a name, and
// follows what it wants to; other links are not followed, and the stages extract and
// tag do not run. Whatever else the program has to say may be set in what Scrape
// returns.
//
//	func main() {
//		command.Main(crawler.Scrape[Quote]("quotes", page, "https://example.com/"))
//	}
//
// What fn cannot do fails the page, as [Out.Fail] does. A function that is slow, and
// must know when its time is over, is a [Function].
func Scrape[T any](name string, fn func(v *Visit, out *Out), seeds ...string) *Options {
	var item T
	var f Function // without a body New refuses it
	if fn != nil {
		f.Visit = func(_ context.Context, v *Visit, out *Out) error {
			fn(v, out)
			return nil
		}
	}
	return &Options{
		Seeds: Seeds(seeds...), Settings: Settings{Links: LinksNone, Stages: []Stage{{Name: StageCrawl}}},
		Functions: []Function{f}, Items: map[string]any{name: item},
	}
}
