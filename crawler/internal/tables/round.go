package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed-301537d8/weir/queue"
)

// RoundState is how far the present round of a crawl is.
type RoundState struct {
	Number  int    `json:"number"`
	Which   string `json:"which"`
	Table   int    `json:"table"`  // that its scan is at
	Cursor  string `json:"cursor"` // the key behind the last one that the scan has seen there
	Scanned bool   `json:"scanned"`
	Over    bool   `json:"over"`
}

const roundKey = "round" // in Crawl

// ReadRound returns the state of the present round and its stored form, nil if the
// crawl has had none but the first.
func ReadRound(ctx context.Context, store *queue.Store) (st RoundState, stored []byte, err error) {
	stored, err = store.Get(ctx, Crawl, roundKey)
	if errors.Is(err, queue.ErrNotFound) {
		return RoundState{Scanned: true, Over: true}, nil, nil
	}
	if err != nil {
		return st, nil, err
	}
	if err := json.Unmarshal(stored, &st); err != nil {
		return st, nil, fmt.Errorf("record %s/%s: %w: %w", Crawl, roundKey, queue.ErrCorrupt, err)
	}
	return st, stored, nil
}

// PutRound adds the next state of the present round to a transaction, which fails if
// it is not in the state before any more.
func PutRound(tx *queue.Tx, before []byte, st RoundState) error {
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tx.Require(Crawl, roundKey, before)
	tx.Put(Crawl, roundKey, b)
	return nil
}

// RoundRecord is the key of a round in Rounds.
func RoundRecord(n int) string { return fmt.Sprintf("%010d", n) }

// RoundCounter is the counter of what came of visits in a round.
func RoundCounter(n int, outcome string) string { return "round/" + strconv.Itoa(n) + "/" + outcome }

// RoundKey is the key in the frontier of a visit of a round. An address has no blank.
func RoundKey(key string, round int) string {
	if round == 0 {
		return key
	}
	return key + " @" + strconv.Itoa(round)
}

// SameText is the Method of a record in Versions which says that a change left the
// text as it was.
const SameText = "same"

// ChangeKey is that of the Change of an address, given by its key, in a round, and of
// the text that the address had before it.
func ChangeKey(round int, key string) string { return RoundRecord(round) + "/" + key }
