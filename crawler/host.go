package crawler

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// account brings a host's politeness up to date with how a request ended.
func (c *Crawler) account(ctx context.Context, host string, resp *stages.FetchResponse, fetchErr error, out *pipeline.Out) (polite.HostState, error) {
	event := polite.Event{Time: time.Now()}
	status := 0
	if resp != nil {
		status, event.Took = resp.Status, resp.Timings.FirstByte
	}
	event.Result = polite.ResultOf(status, nil)
	e := stages.AsError(fetchErr)
	if e != nil {
		if status == 0 {
			event.Result = polite.Failure
		}
		if e.Permanent && status == 0 {
			event.Result = polite.Unknown // a private address, say
		}
		if !e.RetryAfter.IsZero() {
			event.RetryAfter = time.Until(e.RetryAfter)
		}
	}
	c.hostsMu.Lock()
	defer c.hostsMu.Unlock()
	before, err := c.hostState(ctx, host)
	if err != nil {
		return before, err
	}
	after := before.Next(event, &c.polite)
	c.hosts.put(host, after)
	usual := event.Time.Add(max(c.settings.Delay, 0))
	if before.Failures == 0 && after.Failures == 0 && before.CrawlDelay == after.CrawlDelay && !after.NotBefore.After(usual) {
		return after, nil // the queue's own delay does it
	}
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		if err := put(tx, tableHosts, host, after); err != nil {
			return after, err
		}
		if after.NotBefore.After(usual) && !after.GivenUp(&c.polite) {
			tx.DelayGroup(StageCrawl, host, after.NotBefore)
		}
	}
	return after, nil
}

// hostDown returns why nothing is asked of a host for now, or "". One request
// after the time may show that it is back.
func (c *Crawler) hostDown(ctx context.Context, host string) (string, error) {
	c.hostsMu.Lock()
	defer c.hostsMu.Unlock()
	st, err := c.hostState(ctx, host)
	if err != nil || !st.GivenUp(&c.polite) || st.Wait(time.Now()) == 0 {
		return "", err
	}
	return fmt.Sprintf("%s has failed %d times in a row, and is left alone until %s", host, st.Failures, st.NotBefore.UTC().Format(time.RFC3339)), nil
}

// hostState returns what is known of a host. The caller holds hostsMu.
func (c *Crawler) hostState(ctx context.Context, host string) (polite.HostState, error) {
	if st, ok := c.hosts.get(host); ok {
		return st, nil
	}
	var st polite.HostState
	_, err := get(ctx, c.store, tableHosts, host, &st)
	return st, err
}
