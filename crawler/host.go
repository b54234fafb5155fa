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
	h.recent.put(host, after)
	usual := event.Time.Add(h.Spacing)
	if before.Failures == 0 && after.Failures == 0 && before.CrawlDelay == after.CrawlDelay && !after.NotBefore.After(usual) {
		return after, nil // the queue's own delay does it
	}
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		if err := tables.Put(tx, tables.Hosts, host, after); err != nil {
			return after, err
		}
		if after.NotBefore.After(usual) && !after.GivenUp(&options) && !after.Deferred {
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

// Deferred returns until when the addresses of a host are deferred, or zero.
func (h *Hosts) Deferred(ctx context.Context, host string) (time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.stateLocked(ctx, host)
	if err != nil || !st.Deferred || st.Wait(time.Now()) == 0 {
		return time.Time{}, err
	}
	return st.NotBefore, nil
}

// SetCrawlDelay notes what a host's robots.txt asks for, and returns how long to
// leave it alone between two requests.
func (h *Hosts) SetCrawlDelay(ctx context.Context, host string, delay time.Duration, out *pipeline.Out) (time.Duration, error) {
	h.mu.Lock()
	state, err := h.stateLocked(ctx, host)
	if err == nil {
		state.CrawlDelay = delay
		h.recent.put(host, state)
	}
	h.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if delay > 0 {
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
	return st, err
}
