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
func (v *Visitor) failedTry(ctx context.Context, r Request, out *pipeline.Out) (int, error) {
	key := r.Key()
	var failed int64
	if out.Attempt() > 1 {
		var err error
		if failed, err = readCounter(ctx, v.Store, tableTries, key); err != nil {
			return 0, err
		}
	}
	out.OnFailure().Add(tableTries, key, 1)
	return int(failed) + 1, nil
}

// forgetTries drops the count of an address that is done.
func (v *Visitor) forgetTries(r Request, out *pipeline.Out) {
	if out.Attempt() > 1 {
		out.Tx().Delete(tableTries, r.Key())
	}
}

// panicked makes a panic of the stage a failed try.
func (v *Visitor) panicked(ctx context.Context, r Request, out *pipeline.Out, value any) error {
	v.Options.logger().Error("crawl stage panicked", "url", r.URL, "panic", value, "stack", string(debug.Stack()))
	tries, err := v.failedTry(ctx, r, out)
	if err != nil {
		return err
	}
	if tries >= v.Options.Settings.maxAttempts() {
		out.Reset()
		return v.giveUp(out, r, ReasonPanic, fmt.Sprint(value), 0)
	}
	return v.retry(tries, fmt.Errorf("panic: %v", value))
}

// retry marks an error for another try, after a back-off that counts tries and
// not deaths.
func (v *Visitor) retry(tries int, err error) error {
	return pipeline.RetryAfter(queue.Backoff{}.Delay(tries), err)
}
