package queue

import "context"

// Engine does the work of a [Store]; its methods are those of Store, which says what
// they do. There are two: the leader, which [New] makes on a driver, and the client of
// package remote, which asks a leader over the network. Errors wrap those of this
// package wherever they come from.
type Engine interface {
	// A transaction and records.
	Commit(ctx context.Context, tx *Tx) error
	Outcome(ctx context.Context, id string) (Result, error)
	TxSerial(ctx context.Context) (uint64, error)
	Get(ctx context.Context, table, key string) ([]byte, error)
	Scan(ctx context.Context, table, from, to string, limit int) ([]Record, error)

	// Sessions.
	Subscribe(ctx context.Context, queue string, options *SubscribeOptions) (Session, error)
	Unsubscribe(ctx context.Context, queue, name string) error
	Subscriptions(ctx context.Context, queue string) ([]string, error)
	Direct(ctx context.Context, queue string, backlog int) (d *Delivery, ok bool)

	// Barriers.
	WaitBarrier(ctx context.Context, id BarrierID) error
	Barriers(ctx context.Context, queue string) ([]Barrier, error)
	Holding(ctx context.Context, queue string) (Held, error)

	// Items.
	Browse(ctx context.Context, queue string, after *Waiting, limit int) ([]Waiting, error)
	Find(ctx context.Context, queue, key string) (Waiting, error)
	Seen(ctx context.Context, queue, key string) (bool, error)
	DeadLetters(ctx context.Context, queue string, after uint64, limit int) ([]DeadLetter, error)
	Deferrals(ctx context.Context, queue, after string, limit int) ([]Deferral, error)
	Batches(ctx context.Context, queue, from string, limit int) ([]Batch, error)

	// Queues.
	Stats(ctx context.Context) ([]QueueStats, error)
	QueueStats(ctx context.Context, queue string) (QueueStats, error)
	Config(ctx context.Context, queue string) (Config, error)
	GroupSettings(ctx context.Context, queue, group string) (GroupSettings, error)
	Full(ctx context.Context, queue string) bool
	WaitSpace(ctx context.Context, queue string) error
	Drain(ctx context.Context, queue string) error
	DrainGroup(ctx context.Context, queue, group string) error
	Purge(ctx context.Context, queue string) (int, error)
	PurgeDead(ctx context.Context, queue string) (int, error)

	// Bounds.
	MaxItem() int
	MaxTx() Size
	Size(ctx context.Context, tx *Tx) (Size, error)

	// Life.
	Check(ctx context.Context) error
	Close() error
}

// Session is a subscription of an engine; its methods are those of [Consumer].
type Session interface {
	Receive(ctx context.Context, max int) ([]*Delivery, error)
	Heartbeat(ctx context.Context) error
	Holding() int
	Close() error
}
