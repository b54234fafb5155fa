package main

import (
	"context"
	"errors"
	"io"

	"github.com/seed-301537d8/weir/queue"
)

const (
	publishBatch = 500   // lines in one transaction
	endOfRun     = "end" // the body of the barrier behind the last day
)

// publish enqueues the lines of all files, a barrier behind each day, and one
// more behind the last day's. It takes no notice of how far the consumers are,
// except that it waits while the queue is above its high-water mark.
//
// The position in the files is a record that changes in the transaction that
// enqueues the lines before it. So a restart goes on behind the last line that
// is in the queue, and the lines need no identity to keep out repetitions.
func (j *job) publish(ctx context.Context, s *queue.Store) error {
	var at position
	if err := getJSON(ctx, s, tableJob, "position", &at); err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	r := &reader{sales: j.sales, at: at}
	defer r.close()
	for r.at.Day < j.Days {
		if err := j.writeDay(r.at.Day); err != nil {
			return err
		}
		items, err := readItems(r)
		if err != nil && err != io.EOF {
			return err
		}
		var tx queue.Tx
		tx.Enqueue(salesQueue, items...)
		if err == io.EOF {
			tx.Barrier(salesQueue, []byte(j.date(r.at.Day)))
			r.nextDay()
			if r.at.Day == j.Days {
				// Nothing lies between the last day's barrier and this
				// one, so it is released when everybody has acked that.
				tx.Barrier(salesQueue, []byte(endOfRun))
			}
		}
		putJSON(&tx, tableJob, "position", r.at)
		tx.WaitIfFull()
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
	}
	return nil
}

// readItems returns the next lines of a day, and io.EOF with the last of them.
func readItems(r *reader) ([]queue.Item, error) {
	var items []queue.Item
	for len(items) < publishBatch {
		line, err := r.next()
		if err != nil {
			return items, err
		}
		items = append(items, queue.Item{Body: line})
	}
	return items, nil
}

// closeDays is the other half of the publisher: it receives the barriers, and
// closes a day when its barrier is released. Its subscription is durable, so
// the next day does not open unless this day's report is stored, even if the
// program dies while the consumers have acked and the report is missing. It
// returns errDone after the last day.
func (j *job) closeDays(ctx context.Context, s *queue.Store, c *queue.Consumer) error {
	for {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			return err
		}
		var tx queue.Tx
		date := string(ds[0].Barrier.Body)
		if date == endOfRun {
			tx.Put(tableJob, "end", nil)
		} else if err := closeDay(ctx, s, &tx, date, ds[0].Barrier.Counts); err != nil {
			return err
		}
		tx.Ack(ds[0])
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		if date == endOfRun {
			return errDone
		}
	}
}

// closeDay adds a day's report to tx. The totals that it reads are final: all
// lines of the day are settled, and the next day is not open before tx is
// committed.
func closeDay(ctx context.Context, s *queue.Store, tx *queue.Tx, date string, counts queue.Totals) error {
	t, err := readTotals(ctx, s, date)
	if err != nil {
		return err
	}
	putJSON(tx, tableReports, date, newReport(date, t, counts.Acked))
	return nil
}
