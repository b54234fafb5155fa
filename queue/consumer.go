package queue

import (
	"context"
	"time"
)

// BarrierMode says which barriers a subscription receives.
type BarrierMode uint8

const (
	WithBarriers BarrierMode = iota // items and barriers
	OnlyBarriers                    // barriers alone
	NoBarriers                      // items alone
)

// SubscribeOptions are the settings of a session. Nil and zero fields mean the
// defaults given.
type SubscribeOptions struct {
	// Durable is a name under which barriers wait for this consumer even
	// while it is away: no epoch opens until the barrier before it has been
	// acked under every durable name of the queue. The name is registered by
	// the first Subscribe with it and stays until [Store.Unsubscribe]. One
	// session at a time holds a name.
	Durable string

	// Barriers says which barriers the session receives. A durable session
	// cannot have NoBarriers.
	Barriers BarrierMode

	// Prefetch bounds how many items the session holds at once. Default
	// 4,096. Barriers do not count.
	Prefetch int

	// Lease is for consumers that may vanish without a word, such as remote
	// ones: the session ends, and its items go back, with a death counted (see
	// [Config].MaxDeaths), when so long passes without a call of Heartbeat, nor
	// one of Receive, which counts as long as it waits. Default: no limit. In-process sessions need none, since they
	// end with the process.
	Lease time.Duration

	// Affinity has groups keep to this consumer, so that what it remembers of them, or
	// has connections for, is of use: what could be delivered of a group whose last
	// delivery it had is left to it for so long, and after that to whoever comes first,
	// whose the group then is. When the session ends its groups are anybody's at once.
	// So a consumer that is slow loses groups to those that would be idle, nothing
	// waits longer for an owner than this, and limits and turns of groups are as ever.
	//
	// It is a preference, kept in memory: a crash of the store, or more groups than
	// half of Options.GroupMemory, end it for some. Default 0: what could be delivered
	// is delivered to whoever asks first, unless another consumer's groups wait for it.
	Affinity time.Duration

	// Filter restricts the items that the session receives.
	Filter *Filter
}

const defaultPrefetch = 4096

// Consumer is a session: it receives deliveries and holds them until they are
// settled. When it ends they go back to the queue at once. A Consumer is safe
// for concurrent use; receivers take turns.
type Consumer struct{ session Session }

// Receive returns between 1 and max deliveries, waiting until there is one. A
// released barrier comes alone. It returns the context's error when ctx ends,
// and an error that wraps ErrClosed or ErrLeaseLost when the session has.
func (c *Consumer) Receive(ctx context.Context, max int) ([]*Delivery, error) {
	return c.session.Receive(ctx, max)
}

// Heartbeat tells the store that the consumer is alive; see
// [SubscribeOptions].Lease. It returns an error if the session has ended.
func (c *Consumer) Heartbeat(ctx context.Context) error { return c.session.Heartbeat(ctx) }

// Holding returns how many items the session holds.
func (c *Consumer) Holding() int { return c.session.Holding() }

// Close ends the session. What it holds goes back to the queue at once and
// keeps its place; the attempts are not counted. Settling it afterwards returns
// ErrLeaseLost. A second Close does nothing. Close never blocks for long.
func (c *Consumer) Close() error { return c.session.Close() }
