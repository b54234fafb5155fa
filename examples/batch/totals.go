package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-301537d8/weir/queue"
)

// The totals must come out right although many consumers add to them at once
// and any of them may die at any moment. A record that all of them read, add to
// and write back would need a lock, and would make them wait for each other.
//
// Instead nobody adds to anything. With its acks each consumer writes the sums
// of just the lines it acks, as a new record of the table partials. The record
// is named after the first of these deliveries: an item is settled once in its
// life, so no two commits that succeed can choose the same name, whoever makes
// them, and no consumer needs an identity that outlives it. When the barrier
// is released every line has been acked and every partial sum is there, and no
// line of the next day is out yet. So the one who closes the day reads them,
// and replaces them by the day's totals in the transaction that acks the
// barrier.
//
// The tables, and who writes them:
//
//	partials  date/id of a delivery    a consumer, with its acks
//	stores    date/store               whoever closes the day, with the
//	products  date/product             barrier's ack
//	reports   date
//	told      date/consumer            each consumer, with its ack of the barrier
//	job       settings, position, end  the publisher, with what it enqueues or acks
const (
	tablePartials = "partials"
	tableStores   = "stores"
	tableProducts = "products"
	tableReports  = "reports"
	tableTold     = "told"
	tableJob      = "job"
)

// amount is a sum over lines.
type amount struct {
	Lines int64 `json:"lines"`
	Units int64 `json:"units"`
	Cents int64 `json:"cents"`
}

func (a amount) plus(b amount) amount {
	return amount{a.Lines + b.Lines, a.Units + b.Units, a.Cents + b.Cents}
}

// totals are the sums of some lines by store and by product.
type totals struct {
	Stores   map[string]amount `json:"stores"`
	Products map[string]amount `json:"products"`
}

func newTotals() totals {
	return totals{Stores: make(map[string]amount), Products: make(map[string]amount)}
}

func (t totals) add(s sale) {
	a := amount{Lines: 1, Units: s.units, Cents: s.units * s.cents}
	t.Stores[s.store] = t.Stores[s.store].plus(a)
	t.Products[s.product] = t.Products[s.product].plus(a)
}

func (t totals) merge(other totals) {
	for name, a := range other.Stores {
		t.Stores[name] = t.Stores[name].plus(a)
	}
	for name, a := range other.Products {
		t.Products[name] = t.Products[name].plus(a)
	}
}

func (t totals) sum() amount {
	var sum amount
	for _, a := range t.Stores {
		sum = sum.plus(a)
	}
	return sum
}

// best returns the name with the highest turnover, the first of several.
func best(m map[string]amount) string {
	var name string
	for n, a := range m {
		if name == "" || a.Cents > m[name].Cents || a.Cents == m[name].Cents && n < name {
			name = n
		}
	}
	return name
}

// report is the record of a day that is over.
type report struct {
	Date       string `json:"date"`
	Stores     int    `json:"stores"`
	Total      amount `json:"total"`
	Acked      int64  `json:"acked"` // lines, as the queue counted them before the barrier
	TopStore   string `json:"topStore"`
	TopProduct string `json:"topProduct"`
	Partials   int    `json:"partials"` // commits whose sums were folded
}

func partialKey(date string, first *queue.Delivery) string {
	return fmt.Sprintf("%s/%016x", date, first.ID)
}

// readPartials returns the sum of a day's partials, and their keys.
func readPartials(ctx context.Context, s *queue.Store, date string) (totals, []string, error) {
	sum := newTotals()
	var keys []string
	err := scanDay(ctx, s, tablePartials, date, func(key string, value []byte) error {
		var t totals
		if err := json.Unmarshal(value, &t); err != nil {
			return err
		}
		sum.merge(t)
		keys = append(keys, key)
		return nil
	})
	return sum, keys, err
}

// readAmounts returns a day's records of the table stores or products.
func readAmounts(ctx context.Context, s *queue.Store, table, date string) (map[string]amount, error) {
	amounts := make(map[string]amount)
	err := scanDay(ctx, s, table, date, func(key string, value []byte) error {
		var a amount
		if err := json.Unmarshal(value, &a); err != nil {
			return err
		}
		amounts[key[len(date)+1:]] = a
		return nil
	})
	return amounts, err
}

// scanDay calls fn with each record of a table whose key begins with date/.
func scanDay(ctx context.Context, s *queue.Store, table, date string, fn func(key string, value []byte) error) error {
	const page = 500
	from, to := date+"/", date+"0" // 0 is what follows the slash
	for {
		records, err := s.Scan(ctx, table, from, to, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r.Key, r.Value); err != nil {
				return fmt.Errorf("record %s of %s: %w", r.Key, table, err)
			}
		}
		if len(records) < page {
			return nil
		}
		from = records[page-1].Key + "\x00"
	}
}

// putJSON sets a record to the JSON form of v, which must be a value that has
// one.
func putJSON(tx *queue.Tx, table, key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only numbers, strings and maps of them are stored
	}
	tx.Put(table, key, b)
}

// getJSON reads a record that putJSON wrote.
func getJSON(ctx context.Context, s *queue.Store, table, key string, v any) error {
	b, err := s.Get(ctx, table, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("record %s of %s: %w", key, table, err)
	}
	return nil
}
