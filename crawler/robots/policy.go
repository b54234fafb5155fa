package robots

import (
	"fmt"
	"time"
)

const (
	// MaxRedirects is how many redirects of a robots.txt are to be followed,
	// even to other hosts (RFC 9309 section 2.3.1.2).
	MaxRedirects = 5

	// Lifetime is how long a robots.txt may be used before it is fetched
	// again (section 2.4).
	Lifetime = 24 * time.Hour

	// firstRetry is the wait after the first failure to reach a robots.txt;
	// with every further one it grows by retryGrowth, up to Lifetime.
	firstRetry  = 2 * time.Second
	retryGrowth = 3

	// maxDetail bounds what is stored of an error's text.
	maxDetail = 200
)

// Outcome is what came of fetching a robots.txt.
type Outcome uint8

const (
	// Parsed: the file was fetched, its rules hold (section 2.3.1.1).
	Parsed Outcome = 1 + iota
	// Unavailable: there is no such file, everything is allowed (section 2.3.1.3).
	Unavailable
	// Unreachable: the server or the network failed or asked to wait; nothing
	// may be fetched for now (section 2.3.1.4).
	Unreachable
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Parsed:
		return "parsed"
	case Unavailable:
		return "unavailable"
	case Unreachable:
		return "unreachable"
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Fetch is how fetching a robots.txt ended.
type Fetch struct {
	// Time is when it ended.
	Time time.Time
	// Err is the failure to connect, resolve, read and so on, or nil. A limit
	// on the size of the body is no error: MaxBody bytes are enough.
	Err error
	// NoServer says that there is none to ask: the host's name does not exist,
	// say. Pages of that host fail for the same reason.
	NoServer bool
	// Status is the status of the last response. A redirect means that the
	// limit of MaxRedirects was reached or the redirect led nowhere.
	Status int
	// Body is the body of a successful response, or its first MaxBody bytes.
	Body []byte
	// Cut says that the body ended before its announced length.
	Cut bool
	// RetryAfter is how long the server asked to wait, or 0.
	RetryAfter time.Duration
}

// Policy is what a crawler may do on one origin (scheme, host and port), from
// one fetch of its robots.txt until the next. Its binary form is meant to be
// stored.
type Policy struct {
	Outcome Outcome
	Rules   *Rules
	Fetched time.Time
	// Expires is when robots.txt must be fetched again.
	Expires time.Time
	// Status is that of the response, or 0 without one.
	Status int
	// Detail is the text of the network's error, cut to 200 bytes, or empty.
	Detail string
	// Failures counts the fetches in a row that ended Unreachable.
	Failures int
}

// Decide turns the outcome of a fetch into the policy that follows from it
// for the crawler whose product token is agent.
//
//	2xx                                parsed, for 24 hours; one that is cut, when
//	                                   that has happened three times
//	3xx, after MaxRedirects            unavailable: all allowed, for 24 hours
//	4xx but 429                        unavailable: all allowed, for 24 hours
//	429, 5xx, network failure, others  unreachable: all disallowed, for
//	                                   2 seconds, then 6, 18 … to 24 hours,
//	                                   and at least for RetryAfter (at most
//	                                   24 hours)
//	NoServer                           unavailable, for 2 seconds
//
// The RFC would permit to go on with old rules, or without any, once a file has
// been unreachable for a month; Decide does neither.
//
// previous is the policy in force before, or nil; it is needed for the growing
// wait only.
func Decide(f Fetch, agent string, previous *Policy) *Policy {
	p := &Policy{Fetched: f.Time, Expires: f.Time.Add(Lifetime), Status: f.Status}
	switch {
	case f.Err == nil && 200 <= f.Status && f.Status < 300 && (!f.Cut || previous != nil && previous.Failures >= 2):
		p.Outcome = Parsed
		p.Rules = Parse(f.Body, agent)
	case f.Err == nil && 300 <= f.Status && f.Status < 500 && f.Status != 429:
		p.Outcome = Unavailable
		p.Rules = &Rules{agent: agent}
	case f.NoServer:
		p.Outcome = Unavailable
		p.Rules = &Rules{agent: agent}
		p.Expires = f.Time.Add(firstRetry)
	default:
		p.Outcome = Unreachable
		p.Rules = disallowAll(agent)
		p.Failures = 1
		switch {
		case f.Cut:
			p.Detail = "it ended before its announced length"
		case f.Err != nil:
			p.Detail = f.Err.Error()
			p.Detail = p.Detail[:min(len(p.Detail), maxDetail)]
		}
		wait := firstRetry
		if previous != nil && previous.Outcome == Unreachable {
			p.Failures = previous.Failures + 1
			for range min(previous.Failures, 10) {
				wait = min(retryGrowth*wait, Lifetime)
			}
		}
		p.Expires = f.Time.Add(max(wait, min(f.RetryAfter, Lifetime)))
	}
	return p
}

// Fresh reports whether the policy may still be used at the given time. One that expires
// later than any can is of a clock that was ahead, and may not: it would hold for as long
// as the clock was. The clocks of machines may differ by an hour.
func (p *Policy) Fresh(now time.Time) bool {
	return now.Before(p.Expires) && p.Expires.Sub(now) <= Lifetime+time.Hour
}

// Waited returns how long a file that cannot be reached will have been waited for
// when the policy expires, without what servers have asked for.
func (p *Policy) Waited() (total time.Duration) {
	wait := firstRetry
	for range min(p.Failures, 1000) {
		total += wait
		wait = min(retryGrowth*wait, Lifetime)
	}
	return total
}

// Decision is the answer of a [Policy] about one URL.
type Decision struct {
	Allowed bool
	// Temporary says that nothing is known yet and that the URL is to be
	// asked about again when the policy has expired.
	Temporary bool
	// Reason is for people: the rule that decided, or why there is none.
	Reason string
}

// Decide returns whether a URL, absolute or path and query, may be fetched and
// why. A policy that allows gives no reason unless a rule does.
func (p *Policy) Decide(url string) Decision {
	switch p.Outcome {
	case Unavailable:
		return Decision{Allowed: true}
	case Unreachable:
		reason := p.Detail
		if reason == "" {
			reason = fmt.Sprintf("status %d", p.Status)
		}
		return Decision{Temporary: true, Reason: "robots.txt is unreachable: " + reason}
	}
	rule, allowed := p.Rules.Match(url)
	if rule == (Rule{}) {
		return Decision{Allowed: allowed}
	}
	return Decision{Allowed: allowed, Reason: "robots.txt: " + rule.String()}
}
