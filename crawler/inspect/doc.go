// Package inspect looks at the crawl in a store: how far it is, what it has found,
// and what is known of an address. It is what weir's commands are made of, for
// tools of one's own.
//
// Nothing here changes the store, and all of it may be used while the crawl runs:
// each record is read as it is at that moment, and nothing is held up. Where there
// may be many, a function whose name begins with Walk calls another with each, a
// page of records at a time, until that returns an error, which it then returns,
// or [ErrStop]. Memory does not grow with their number.
package inspect
