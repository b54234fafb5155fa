package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// Generation is the record of a generation that has passed every stage.
type Generation struct {
	Number   int           `json:"number"`
	Started  time.Time     `json:"started"`  // when its first stage could begin
	Finished time.Time     `json:"finished"` // when its last stage had settled everything
	Stages   []StageTotals `json:"stages"`   // in the order of Handle
}

// StageTotals says what became of the generation's items in one stage.
type StageTotals struct {
	Name string `json:"name"`
	queue.Totals
}

// Everything that a pipeline stores about itself is in one table.
const table = "weir.pipeline"

func generationKey(n int) string { return fmt.Sprintf("generation/%010d", n) }

// Generations returns the records of the generations that are complete, in
// order, from number from on, at most limit of them.
func Generations(ctx context.Context, store *queue.Store, from, limit int) ([]Generation, error) {
	records, err := store.Scan(ctx, table, generationKey(from), "generation0", limit)
	if err != nil {
		return nil, fmt.Errorf("generations: %w", err)
	}
	generations := make([]Generation, len(records))
	for i, r := range records {
		if err := json.Unmarshal(r.Value, &generations[i]); err != nil {
			return nil, fmt.Errorf("generations: record %s: %w", r.Key, err)
		}
	}
	return generations, nil
}

// Done reports whether the pipeline whose state the store holds has finished:
// its last generation is complete, and nothing has been enqueued since.
func Done(ctx context.Context, store *queue.Store) (bool, error) {
	return DoneAnd(ctx, store, func() (bool, error) { return true, nil })
}

// DoneAnd reports whether there was a moment during the call at which the pipeline was
// done and also, which reads records of the store, said true. It is for those who keep
// work elsewhere than in queues, in a table say, and move it by transactions: what moves
// while they look is not overlooked. also may be called more than once.
func DoneAnd(ctx context.Context, store *queue.Store, also func() (bool, error)) (bool, error) {
	// Between two commits of those who coordinate, no barrier goes and none but a user's
	// comes, so a queue to which something has been enqueued stays one. If all are empty
	// behind also, counting what it can have read (see queue.Store.QueueStats), they were
	// empty when it read.
	turn, err := loadTurn(ctx, store)
	for err == nil {
		st, err := loadState(ctx, store)
		if err != nil || !st.Done {
			return false, err
		}
		if ok, err := also(); err != nil || !ok {
			return false, err
		}
		if empty, err := allEmpty(ctx, store); err != nil || !empty {
			return false, err
		}
		now, err := loadTurn(ctx, store)
		if err != nil || bytes.Equal(turn, now) {
			return err == nil, err
		}
		turn = now
	}
	return false, err
}

// allEmpty reports whether nothing has been enqueued to any stage since its last barrier,
// which has passed.
func allEmpty(ctx context.Context, store *queue.Store) (bool, error) {
	topology, err := loadTopology(ctx, store)
	if err != nil {
		return false, err
	}
	for _, s := range topology {
		q, err := store.QueueStats(ctx, s.Queue)
		if err != nil {
			return false, fmt.Errorf("done: %w", err)
		}
		if q.SinceBarrier > 0 || q.Barriers > 0 {
			return false, nil
		}
	}
	return true, nil
}

// Done is the function Done on the pipeline's store.
func (p *Pipeline) Done(ctx context.Context) (bool, error) { return Done(ctx, p.store) }

// savedState is the coordinator's record.
type savedState struct {
	Complete int  `json:"complete"` // the last complete generation, -1 if there is none
	Done     bool `json:"done"`
}

func loadState(ctx context.Context, store *queue.Store) (savedState, error) {
	st := savedState{Complete: -1}
	_, err := loadJSON(ctx, store, "state", &st)
	return st, err
}

// savedStage is a stage in the stored topology.
type savedStage struct {
	Queue string   `json:"queue"`
	Feeds []string `json:"feeds,omitempty"`
}

func loadTopology(ctx context.Context, store *queue.Store) ([]savedStage, error) {
	var topology []savedStage
	_, err := loadJSON(ctx, store, "topology", &topology)
	return topology, err
}

func putJSON(tx *queue.Tx, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	tx.Put(table, key, b)
	return nil
}
