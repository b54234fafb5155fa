package polite

import (
	"cmp"
	"time"
)

// Options are the rules of politeness. Nil and zero fields mean the defaults;
// a negative duration or factor switches its rule off.
type Options struct {
	// MinDelay is the least time between two requests to a host: 1 second.
	MinDelay time.Duration `json:"min_delay,omitempty"`
	// MaxCrawlDelay is how much of a Crawl-delay is obeyed: 30 seconds. Some
	// files ask for hours, which no crawl ever ends with.
	MaxCrawlDelay time.Duration `json:"max_crawl_delay,omitempty"`
	// Factor times the last response time is waited before the next request: 1,
	// so that the crawler takes at most half of the time of a server that can
	// do one thing at once.
	Factor float64 `json:"factor,omitempty"`
	// MaxFactorDelay is how long Factor may make the crawler wait: 30 seconds.
	MaxFactorDelay time.Duration `json:"max_factor_delay,omitempty"`
	// MaxRetryAfter is how much of a Retry-After is obeyed: 24 hours.
	MaxRetryAfter time.Duration `json:"max_retry_after,omitempty"`
	// BackoffAfter is how many failures in a row make the crawler back off: 3.
	BackoffAfter int `json:"backoff_after,omitempty"`
	// FirstBackoff is how long it backs off then: 10 seconds. The time doubles
	// with each further failure. A negative value switches backing off off.
	FirstBackoff time.Duration `json:"first_backoff,omitempty"`
	// MaxBackoff is how long it backs off at most: 6 hours.
	MaxBackoff time.Duration `json:"max_backoff,omitempty"`
}

// The defaults of [Options].
const (
	DefaultMinDelay       = time.Second
	DefaultMaxCrawlDelay  = 30 * time.Second
	DefaultFactor         = 1.0
	DefaultMaxFactorDelay = 30 * time.Second
	DefaultMaxRetryAfter  = 24 * time.Hour
	DefaultBackoffAfter   = 3
	DefaultFirstBackoff   = 10 * time.Second
	DefaultMaxBackoff     = 6 * time.Hour
)

// withDefaults returns the options with their defaults filled in, and zero for
// what is switched off.
func (o *Options) withDefaults() Options {
	var p Options
	if o != nil {
		p = *o
	}
	set := func(d *time.Duration, byDefault time.Duration) {
		*d = max(cmp.Or(*d, byDefault), 0)
	}
	set(&p.MinDelay, DefaultMinDelay)
	set(&p.MaxCrawlDelay, DefaultMaxCrawlDelay)
	set(&p.MaxFactorDelay, DefaultMaxFactorDelay)
	set(&p.MaxRetryAfter, DefaultMaxRetryAfter)
	set(&p.FirstBackoff, DefaultFirstBackoff)
	set(&p.MaxBackoff, DefaultMaxBackoff)
	p.Factor = max(cmp.Or(p.Factor, DefaultFactor), 0)
	if p.BackoffAfter <= 0 {
		p.BackoffAfter = DefaultBackoffAfter
	}
	return p
}

// Ahead reports whether a time until which a host is to be left alone is later than any
// rule can have it: it was noted while the clock was ahead, and does not hold. The clocks
// of machines may differ by an hour.
func (o *Options) Ahead(until, now time.Time) bool {
	p := o.withDefaults()
	most := max(p.MinDelay, p.MaxCrawlDelay, p.MaxFactorDelay, p.MaxRetryAfter, p.MaxBackoff)
	return until.Sub(now) > most+time.Hour
}

// Result is how a request to a host ended.
type Result uint8

const (
	// Success: the host answered, be it with an error of the page such as 404.
	// It ends a row of failures.
	Success Result = iota
	// Failure: the host could not be reached, or answered that it cannot cope:
	// 429 and 5xx.
	Failure
	// Unknown: the request says nothing about the host, for instance since the
	// crawl was stopped. Only the delay between requests counts.
	Unknown
)

// ResultOf returns the result of a request from its response status and error.
// A status is 0 if there was no response.
func ResultOf(status int, err error) Result {
	if err != nil || status == 0 || status == 429 || status >= 500 {
		return Failure
	}
	return Success
}

// Event is what happened to a request.
type Event struct {
	// Time is when it ended.
	Time time.Time
	// Took is how long the host took to answer, or 0 if it did not.
	Took time.Duration
	// Result says how it ended.
	Result Result
	// RetryAfter is how long the host asked to be left alone, from
	// [RetryAfter], or 0.
	RetryAfter time.Duration
}

// HostState is what there is to remember about a host. The zero value is a
// host that nothing is known about; it may be asked at once.
type HostState struct {
	// CrawlDelay is what robots.txt asks for, or 0. The caller sets it.
	CrawlDelay time.Duration `json:"crawl_delay,omitempty"`
	// Took is the last response time.
	Took time.Duration `json:"took,omitempty"`
	// Failures counts failures since the last success.
	Failures int `json:"failures,omitempty"`
	// NotBefore is when the host may be asked again, or zero.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Deferred says that what is wanted of the host does not wait for NotBefore
	// where it would hold up others. The caller sets it.
	Deferred bool `json:"deferred,omitempty"`
	// Slow says that the host's last answer took so long that nobody waits for the next
	// one, or for NotBefore, whom that would hold up. The caller sets it.
	Slow bool `json:"slow,omitempty"`
	// Reason says what made NotBefore as late as it is.
	Reason Reason `json:"reason,omitempty"`
}

// Reason says which rule decided how long to wait.
type Reason string

// The reasons.
const (
	ByMinDelay     Reason = "delay between requests"
	ByCrawlDelay   Reason = "Crawl-delay in robots.txt"
	ByResponseTime Reason = "slow responses"
	ByRetryAfter   Reason = "Retry-After"
	ByBackoff      Reason = "repeated failures"
)

// Delay returns the time to leave between two requests to the host while
// nothing is wrong with it, and the rule that decided.
func (s HostState) Delay(o *Options) (time.Duration, Reason) {
	p := o.withDefaults()
	delay, reason := p.MinDelay, ByMinDelay
	if d := min(s.CrawlDelay, p.MaxCrawlDelay); d > delay {
		delay, reason = d, ByCrawlDelay
	}
	// In floating point, so that no factor overflows.
	if d := min(p.Factor*float64(s.Took), float64(p.MaxFactorDelay)); d > float64(delay) {
		delay, reason = time.Duration(d), ByResponseTime
	}
	return delay, reason
}

// Next returns the state after an event. The host must not be asked before its
// NotBefore, which an event never brings forward.
func (s HostState) Next(e Event, o *Options) HostState {
	p := o.withDefaults()
	if e.Took > 0 {
		s.Took = e.Took
	}
	switch e.Result {
	case Success:
		s.Failures = 0
	case Failure:
		s.Failures = min(s.Failures, maxFailures-1) + 1
	}

	delay, reason := s.Delay(o)
	if d := min(e.RetryAfter, p.MaxRetryAfter); d > delay {
		delay, reason = d, ByRetryAfter
	}
	if e.Result == Failure {
		if d := backoff(s.Failures, p); d > delay {
			delay, reason = d, ByBackoff
		}
	}
	if t := e.Time.Add(delay); t.After(s.NotBefore) {
		s.NotBefore, s.Reason = t, reason
	}
	return s
}

// GivenUp reports whether a host has failed until it is backed off from for as
// long as can be: with the defaults, fifteen times within half a day. One
// request after NotBefore may show that it is back.
func (s HostState) GivenUp(o *Options) bool {
	p := o.withDefaults()
	d := backoff(s.Failures, p)
	return d > 0 && d >= p.MaxBackoff
}

// maxFailures is where counting failures ends, so that no state can overflow.
const maxFailures = 1 << 20

// Wait returns how long the host must be left alone from now on.
func (s HostState) Wait(now time.Time) time.Duration {
	return max(s.NotBefore.Sub(now), 0)
}

// backoff returns how long to back off after that many failures in a row.
func backoff(failures int, p Options) time.Duration {
	if failures < p.BackoffAfter {
		return 0
	}
	d := min(p.FirstBackoff, p.MaxBackoff)
	if d == 0 {
		return 0
	}
	for range failures - p.BackoffAfter {
		if d >= p.MaxBackoff-d {
			return p.MaxBackoff
		}
		d *= 2
	}
	return d
}
