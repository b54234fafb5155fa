// Package crawler crawls the web on a transactional queue: politely, within a
// scope, exactly once, and to an end that is a stored fact.
//
// [New] makes a crawl of [Options], which are all that a program says, and a store:
//
//	crawl → extract → tag → …
//
// A [Function] is called with each page: it gets a [Visit] and an [Out], on which it
// follows links, writes items, and judges the answer. Package command makes a program
// with all of weir's commands of the same options; [Scrape] makes those of a program
// that has one function. Package inspect looks at what is stored.
//
// The crawl stage, a [Visitor], fetches a page and commits, in one transaction, its
// record, what its function has decided, the links to follow, what became of the
// host's politeness, and the acknowledgement. Each later stage works on a [Doc], adds
// to it and hands it on. So a crash at any instant loses nothing and repeats nothing
// that was recorded; only what was being fetched is fetched again.
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
