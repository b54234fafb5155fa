package polite

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what RetryAfter returns: more seconds than a Duration
// holds are this many.
const maxRetryAfter = 365 * 24 * time.Hour

// RetryAfter reads the value of a Retry-After header: seconds or an HTTP date
// (RFC 9110 section 10.2.3), of which it returns the distance from now. It
// returns 0 if the value is neither, or lies in the past, and at most a year.
// How much of it to obey is decided by Options.MaxRetryAfter.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if digits(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
