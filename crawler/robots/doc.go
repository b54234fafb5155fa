// Package robots reads robots.txt files and the robots directives of pages,
// and answers whether a crawler may fetch an address.
//
// [Parse] compiles the rules of a file that concern one crawler, as RFC 9309
// says; [Decide] turns the outcome of fetching the file, good or bad, into a
// [Policy] that can be stored and says until when it holds. [ParseHeader] and
// [ParseMeta] read X-Robots-Tag headers and robots meta elements.
//
// A crawler is named by its product token ("Weir"), not by its User-Agent
// header; [ProductToken] cuts one from the other.
//
// Nothing here fetches, keeps time or panics, whatever the bytes. All values
// may be used by many goroutines once made.
package robots
