package stages

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Reason is a short, stable, machine-readable word for why an item failed:
// it is stored, counted and filtered on. An HTTP status is "http_" followed by
// its three digits; [ReasonRateLimited] stands for 429.
type Reason string

// Reasons of this package.
const (
	ReasonBadURL         Reason = "bad_url"         // the URL cannot be requested at all
	ReasonCanceled       Reason = "canceled"        // the caller's context was cancelled
	ReasonTimeout        Reason = "timeout"         // a time limit of the stage passed
	ReasonDNS            Reason = "dns"             // the host name has no address, or the resolver failed
	ReasonRefused        Reason = "refused"         // nobody listens on the port
	ReasonUnreachable    Reason = "unreachable"     // no route to the host
	ReasonReset          Reason = "reset"           // the other side broke the connection
	ReasonTLS            Reason = "tls"             // the handshake or the certificate failed
	ReasonPrivateAddress Reason = "private_address" // the address is not a public one
	ReasonProtocol       Reason = "protocol"        // the answer is not HTTP that can be read
	ReasonRateLimited    Reason = "rate_limited"    // HTTP 429
	ReasonRedirect       Reason = "bad_redirect"    // a redirect without a usable target
	ReasonTooLarge       Reason = "too_large"       // over a cap on size
	ReasonRatio          Reason = "ratio"           // compressed beyond any honest page
	ReasonEncoding       Reason = "bad_encoding"    // Content-Encoding unknown or corrupt
	ReasonTruncated      Reason = "truncated"       // the body ended early
	ReasonType           Reason = "unsupported_type"
	ReasonNetwork        Reason = "network"      // any other network failure
	ReasonStart          Reason = "exec_start"   // a child process could not be started, or said no hello
	ReasonDied           Reason = "exec_died"    // a child process ended while it had the item
	ReasonNonsense       Reason = "exec_garbage" // a child process broke the protocol
	ReasonStopped        Reason = "stopped"      // the stage was stopped first
	ReasonFailed         Reason = "failed"       // the item's own work failed
)

// An Error is a failure of one item, with what a pipeline needs to decide what
// to do next. Every error that a stage of this package returns for an item is
// an *Error; reach it with [errors.As] or [AsError]. A stage of package pipeline
// may return it as it is, or wrapped: its Verdict is understood there.
type Error struct {
	// Op is the stage: "fetch", "exec".
	Op string
	// Subject is what it worked on, such as a URL.
	Subject string
	// Reason is the machine-readable word.
	Reason Reason
	// Permanent says that trying again would end the same way. False means
	// that it may pass.
	Permanent bool
	// RetryAfter is the earliest time for the next attempt, if the other side
	// named one; zero otherwise.
	RetryAfter time.Time
	// Detail is for people.
	Detail string
	// Err is the cause, or nil.
	Err error
}

// Error returns "op subject: reason: detail".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteByte(' ')
		b.WriteString(e.Subject)
	}
	b.WriteString(": ")
	b.WriteString(string(e.Reason))
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Verdict returns Permanent and RetryAfter. Package pipeline acts by it.
func (e *Error) Verdict() (permanent bool, notBefore time.Time) {
	return e.Permanent, e.RetryAfter
}

// Timeout reports whether a time limit of the stage was the reason.
func (e *Error) Timeout() bool { return e.Reason == ReasonTimeout }

// AsError returns the *Error in err's chain, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// statusReason names an HTTP status.
func statusReason(status int) Reason {
	if status == 429 {
		return ReasonRateLimited
	}
	return Reason(fmt.Sprintf("http_%d", status))
}

// clip shortens s to at most n bytes for a message, at a rune boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
