package crawler

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// The queue counts deliveries, and a delivery that was cut short by the death of
// the process counts like one that failed. A page that is slow, in a crawl that
// is killed often, must not be given up for that. So the crawl counts failed
// tries itself, in a table, for the few addresses that have any; and the queue's
// own limit, deliveries of all kinds, is there for pages that kill the process.

// deathsAllowed is how many deliveries beyond Settings.MaxAttempts an address
// gets before it goes to the dead letters.
const deathsAllowed = 45

// failedTry counts a failed try. It returns how many there are by now.
func (c *Crawler) failedTry(ctx context.Context, r Request, out *pipeline.Out) (int, error) {
	key := recordKey(r.URL)
	var failed int64
	if out.Attempt() > 1 {
		var err error
		if failed, err = readCounter(ctx, c.store, tableTries, key); err != nil {
			return 0, err
		}
	}
	out.OnFailure().Add(tableTries, key, 1)
	return int(failed) + 1, nil
}

// forgetTries drops the count of an address that is done.
func (c *Crawler) forgetTries(url string, out *pipeline.Out) {
	if out.Attempt() > 1 {
		out.Tx().Delete(tableTries, recordKey(url))
	}
}

// panicked makes a panic of the stage a failed try.
func (c *Crawler) panicked(ctx context.Context, r Request, out *pipeline.Out, value any) error {
	c.log.Error("crawl stage panicked", "url", r.URL, "panic", value, "stack", string(debug.Stack()))
	tries, err := c.failedTry(ctx, r, out)
	if err != nil {
		return err
	}
	if tries >= c.settings.MaxAttempts {
		out.Reset()
		return c.giveUp(out, r, ReasonPanic, fmt.Sprint(value), 0)
	}
	return c.retry(tries, fmt.Errorf("panic: %v", value))
}

// retry marks an error for another try, after a back-off that counts tries and
// not deaths.
func (c *Crawler) retry(tries int, err error) error {
	return pipeline.RetryAfter(queue.Backoff{}.Delay(tries), err)
}
