package crawler

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// Hosts keep what is known of each host's politeness: in the store, in the same
// transactions as the pages, and the most recent ones in memory. It must not be
// copied.
type Hosts struct {
	// Store is where the hosts' states are. It is required.
	Store *queue.Store

	// Shared says that other processes ask the same hosts: then the store is read each
	// time. A host whose group has one request in flight has one writer at a time.
	Shared bool

	// Options are the rules. OptionsOf returns those of a host that may have its own;
	// nil means that none has.
	Options   polite.Options
	OptionsOf func(host string) polite.Options

	// Spacing is the delay that the frontier keeps by itself between two requests to
	// a host; what is more of it is added here.
	Spacing time.Duration

	// Grace is how long the addresses of a host that fails wait for it in the
	// frontier. From a longer wait on they are deferred. Default DefaultGrace;
	// negative means that they never are.
	Grace time.Duration

	// Patience is from when on an answer is a slow one. Then what waits for the host's
	// pause to be over is the caller's matter, by Rests, and not the frontier's, as it
	// may hold up others. Zero means that no answer is.
	Patience time.Duration

	mu     sync.Mutex // one update of a host's state at a time
	recent cache[polite.HostState]
}

// Account brings a host's politeness up to date with how a request ended: by an
// answer, an error, or both. What follows from it for the host's group in the
// frontier is added to the stage's transaction, whether that succeeds or fails.
func (h *Hosts) Account(ctx context.Context, host string, resp *stages.FetchResponse, fetchErr error, out *pipeline.Out) (polite.HostState, error) {
	event := eventOf(resp, fetchErr)
	options := h.optionsOf(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	before, err := h.stateLocked(ctx, host)
	if err != nil {
		return before, err
	}
	after := before.Next(event, &options)
	grace := cmp.Or(h.Grace, DefaultGrace)
	after.Deferred = grace > 0 && after.Failures > 0 && after.NotBefore.Sub(event.Time) > grace && !after.GivenUp(&options)
	after.Slow = h.Patience > 0 && max(event.Took, tookOf(resp)) > h.Patience
	h.recent.put(host, after)
	usual := event.Time.Add(h.Spacing)
	if before.Failures == 0 && after.Failures == 0 && before.CrawlDelay == after.CrawlDelay && before.Slow == after.Slow && !after.NotBefore.After(usual) {
		return after, nil // the queue's own delay does it
	}
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		if err := tables.Put(tx, tables.Hosts, host, after); err != nil {
			return after, err
		}
		if after.NotBefore.After(usual) && !after.GivenUp(&options) && !after.Deferred && !after.Slow {
			tx.DelayGroup(StageCrawl, host, after.NotBefore)
		}
	}
	return after, nil
}

// eventOf says what the end of a request means for its host.
func eventOf(resp *stages.FetchResponse, fetchErr error) polite.Event {
	event := polite.Event{Time: time.Now()}
	status := 0
	if resp != nil {
		if at := resp.Fetched.Add(resp.Timings.Total); !resp.Fetched.IsZero() && at.Before(event.Time) {
			event.Time = at // it may have been parked since
		}
		status, event.Took = resp.Status, resp.Timings.FirstByte
	}
	event.Result = polite.ResultOf(status, nil)
	e := stages.AsError(fetchErr)
	if e == nil {
		return event
	}
	if status == 0 {
		event.Result = polite.Failure
	}
	if e.Permanent && status == 0 || e.Reason == stages.ReasonFailed {
		event.Result = polite.Unknown // a private address, say, or a hook's refusal
	}
	if !e.RetryAfter.IsZero() {
		event.RetryAfter = time.Until(e.RetryAfter)
	}
	return event
}

// tookOf is how long an answer took with its body.
func tookOf(resp *stages.FetchResponse) time.Duration {
	if resp == nil {
		return 0
	}
	return resp.Timings.Total
}

// Down returns why nothing is asked of a host for now, or "". One request after
// the time may show that it is back.
func (h *Hosts) Down(ctx context.Context, host string) (string, error) {
	options := h.optionsOf(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.stateLocked(ctx, host)
	if err != nil || !st.GivenUp(&options) || st.Wait(time.Now()) == 0 {
		return "", err
	}
	return fmt.Sprintf("%s has failed %d times in a row, and is left alone until %s", host, st.Failures, st.NotBefore.UTC().Format(time.RFC3339)), nil
}

// Rests returns until when a host is left alone whose addresses do not wait for it in
// the frontier, or zero: a sick one, whose addresses are deferred, or a slow one, of
// which it depends on whom they hold up.
func (h *Hosts) Rests(ctx context.Context, host string) (until time.Time, slow bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.stateLocked(ctx, host)
	if err != nil || !st.Deferred && !st.Slow || st.Wait(time.Now()) == 0 {
		return time.Time{}, st.Slow, err
	}
	return st.NotBefore, !st.Deferred, nil
}

// Parked notes that a request is under way for which nobody waits, and that will have
// ended at a time. Until then, or until Answered says so, the host is asked nothing else.
func (h *Hosts) Parked(ctx context.Context, host string, until time.Time, out *pipeline.Out) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.stateLocked(ctx, host)
	if err != nil {
		return err
	}
	st.Slow, st.NotBefore, st.Reason = true, until, polite.ByResponseTime
	h.recent.put(host, st)
	return tables.Put(out.Tx(), tables.Hosts, host, st)
}

// Answered notes that a parked request has ended, and how long it took.
func (h *Hosts) Answered(ctx context.Context, host string, at time.Time, took time.Duration, tx *queue.Tx) error {
	options := h.optionsOf(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.stateLocked(ctx, host)
	if err != nil {
		return err
	}
	st.NotBefore = time.Time{}
	st = st.Next(polite.Event{Time: at, Took: took, Result: polite.Unknown}, &options)
	h.recent.put(host, st)
	return tables.Put(tx, tables.Hosts, host, st)
}

// SetCrawlDelay notes what a host's robots.txt asks for, and returns how long to
// leave it alone between two requests.
func (h *Hosts) SetCrawlDelay(ctx context.Context, host string, delay time.Duration, out *pipeline.Out) (time.Duration, error) {
	h.mu.Lock()
	state, err := h.stateLocked(ctx, host)
	before := state.CrawlDelay
	if err == nil {
		state.CrawlDelay = delay
		h.recent.put(host, state)
	}
	h.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if delay != before {
		for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
			if err := tables.Put(tx, tables.Hosts, host, state); err != nil {
				return 0, err
			}
		}
	}
	options := h.optionsOf(host)
	between, _ := state.Delay(&options)
	return between, nil
}

func (h *Hosts) optionsOf(host string) polite.Options {
	if h.OptionsOf != nil {
		return h.OptionsOf(host)
	}
	return h.Options
}

// stateLocked returns what is known of a host.
func (h *Hosts) stateLocked(ctx context.Context, host string) (polite.HostState, error) {
	if st, ok := h.recent.get(host); ok && !h.Shared {
		return st, nil
	}
	var st polite.HostState
	_, err := tables.Get(ctx, h.Store, tables.Hosts, host, &st)
	if options := h.optionsOf(host); options.Ahead(st.NotBefore, time.Now()) {
		st.NotBefore = time.Time{}
	}
	return st, err
}
