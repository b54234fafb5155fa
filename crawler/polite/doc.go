// Package polite calculates how long a crawler has to leave a host alone.
//
// A [HostState] is what a crawler has to remember about a host: how long its
// last answer took, what its robots.txt and its Retry-After asked for, how
// often it has failed. [HostState.Next] takes what happened to a request and
// returns the next state, with the time before which the host must not be
// asked again. The calculation is pure: no clock, no chance, no goroutine. So
// the state can be committed together with the request it came from, and a
// crash forgets nothing.
//
// The delay between two requests to a host is the greatest of
//
//   - the delay that was configured,
//   - the Crawl-delay of its robots.txt, up to a limit,
//   - a factor times the last response time, up to a limit: a server that is
//     slow because it is busy is asked less often.
//
// After a Retry-After the host is left alone for that long, up to a limit.
// After several failures in a row, it is left alone for a time that doubles
// with every further one, up to a limit, and a success ends that. Whichever
// time is latest counts.
//
// Delays are meant to count from the end of a request, with one request at a
// time.
package polite
