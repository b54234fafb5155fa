// Package crawler crawls the web on a transactional queue: politely, within a
// scope, exactly once, and to an end that is a stored fact.
//
// [New] assembles a pipeline from [Settings] and a store:
//
//	crawl → extract → tag → …
//
// The crawl stage fetches a page and commits, in one transaction, its record,
// the links to follow, what became of the host's politeness, and the
// acknowledgement. Each later stage works on a [Doc], adds to it and hands it
// on. So a crash at any instant loses nothing and repeats nothing that was
// recorded; only what was being fetched is fetched again.
//
// A page's generation is its distance from the seeds in links and redirects.
// When a generation has passed every stage, its record is stored; when one is
// empty, the crawl is complete.
//
// What is stored lies in tables of the store, one record for each address; see
// [Page], [Failure], [Text] and [Tags]. An address that was met has a page, a
// failure, or a place in the queue; one that was left out has a [Skip], which
// names the rule.
//
// Pages arrive from the network at the same time, so a store that is opened with
// a queue.Options.CommitDelay of some milliseconds costs less: weir crawl has 10.
//
// The subpackages work without a queue: weburl gives addresses one form, robots
// reads robots.txt, scope decides what belongs to a crawl, polite says how long
// to leave a host alone, and sitemap reads sitemaps.
package crawler
