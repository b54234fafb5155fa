package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/queue"
)

// The totals must come out right although many consumers add to them at once
// and any of them may die at any moment. A record that all of them read, add to
// and write back would need a lock around the commit, or would lose additions.
//
// So nobody reads. The totals are counters: with its acks a consumer commits
// additions (queue.Tx.Add), and the store, which commits one transaction after
// the other anyway, does the sums. A line that is delivered again after a crash
// was not acked, so it was not added either.
//
// A total that is no sum, a median say, would be kept in another way: each
// commit puts what it found in a record of its own, named after the ID of its
// first delivery. An item is settled once in its life, so no two commits that
// succeed choose the same name. Whoever closes the day folds those records.
//
// The tables, and who writes them:
//
//	stores    date/store/what     counters; consumers, with their acks
//	products  date/product/what
//	told      date/consumer       each consumer, with its ack of the barrier
//	reports   date                the publisher, with its ack of the barrier
//	job       settings, position  the publisher, with the lines before the position
//	job       end                 the publisher, with its ack of the last barrier
const (
	tableStores   = "stores"
	tableProducts = "products"
	tableTold     = "told"
	tableReports  = "reports"
	tableJob      = "job"
)

// amount is a sum over lines.
type amount struct{ Lines, Units, Cents int64 }

func (a amount) plus(b amount) amount {
	return amount{a.Lines + b.Lines, a.Units + b.Units, a.Cents + b.Cents}
}

// totals are the sums of some lines by store and by product.
type totals struct{ stores, products map[string]amount }

func newTotals() totals {
	return totals{stores: make(map[string]amount), products: make(map[string]amount)}
}

func (t totals) add(s sale) {
	a := amount{Lines: 1, Units: s.units, Cents: s.units * s.cents}
	t.stores[s.store] = t.stores[s.store].plus(a)
	t.products[s.product] = t.products[s.product].plus(a)
}

func (t totals) sum() amount {
	var sum amount
	for _, a := range t.stores {
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

// addTo adds the totals to the counters of a day, in tx.
func (t totals) addTo(tx *queue.Tx, date string) {
	for table, amounts := range map[string]map[string]amount{tableStores: t.stores, tableProducts: t.products} {
		for name, a := range amounts {
			key := date + "/" + name
			tx.Add(table, key+"/lines", a.Lines)
			tx.Add(table, key+"/units", a.Units)
			tx.Add(table, key+"/cents", a.Cents)
		}
	}
}

// readTotals reads the counters of a day.
func readTotals(ctx context.Context, s *queue.Store, date string) (totals, error) {
	t := newTotals()
	for table, amounts := range map[string]map[string]amount{tableStores: t.stores, tableProducts: t.products} {
		err := scanDay(ctx, s, table, date, func(key string, value []byte) error {
			n, err := queue.ParseCounter(value)
			if err != nil {
				return err
			}
			name, what, _ := strings.Cut(key, "/")
			a := amounts[name]
			switch what {
			case "lines":
				a.Lines = n
			case "units":
				a.Units = n
			case "cents":
				a.Cents = n
			}
			amounts[name] = a
			return nil
		})
		if err != nil {
			return totals{}, err
		}
	}
	return t, nil
}

// report is the record of a day that is over.
type report struct {
	Date       string
	Stores     int
	Total      amount
	Acked      int64 // lines, as the queue counted them before the barrier
	TopStore   string
	TopProduct string
}

func newReport(date string, t totals, acked int64) report {
	return report{
		Date: date, Stores: len(t.stores), Total: t.sum(), Acked: acked,
		TopStore: best(t.stores), TopProduct: best(t.products),
	}
}

// scanDay calls fn with each record of a table whose key begins with date/,
// and with the rest of that key.
func scanDay(ctx context.Context, s *queue.Store, table, date string, fn func(key string, value []byte) error) error {
	const page = 500
	from, to := date+"/", date+"0" // 0 is what follows the slash
	for {
		records, err := s.Scan(ctx, table, from, to, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r.Key[len(date)+1:], r.Value); err != nil {
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
