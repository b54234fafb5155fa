package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/seed-301537d8/weir/queue"
)

// verify computes every total again, directly from the files, and compares it
// with the records. It prints one row for each day, and returns an error for
// all that differs.
func (j *job) verify(ctx context.Context, s *queue.Store) error {
	barriers, err := s.Barriers(ctx, salesQueue)
	if err != nil {
		return err
	}
	var errs []error
	w := tabwriter.NewWriter(j.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "day\tstores\tlines\tunits\tturnover\ttop store\ttop product\ttold\tover at\tnext open\tfiles agree")
	for day := range j.Days {
		want, err := j.addUpFiles(day)
		if err != nil {
			return err
		}
		r, err := compareDay(ctx, s, j.date(day), want)
		verdict := "yes"
		if err != nil {
			verdict = "NO"
			errs = append(errs, err)
		}
		told := 0
		err = scanDay(ctx, s, tableTold, j.date(day), func(string, []byte) error { told++; return nil })
		if err != nil {
			return err
		}
		var over, open string
		if day < len(barriers) {
			const layout = "15:04:05.000"
			over, open = barriers[day].Released.Format(layout), barriers[day].Opened.Format(layout)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f\t%s\t%s\t%d\t%s\t%s\t%s\n",
			j.date(day), r.Stores, r.Total.Lines, r.Total.Units, float64(r.Total.Cents)/100,
			r.TopStore, r.TopProduct, told, over, open, verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	errs = append(errs, checkEmpty(ctx, s), s.Check(ctx))
	return errors.Join(errs...)
}

// addUpFiles is the independent computation.
func (s sales) addUpFiles(day int) (totals, error) {
	sum := newTotals()
	files, err := os.ReadDir(s.folder(day))
	if err != nil {
		return totals{}, err
	}
	for _, entry := range files {
		if err := addUpFile(filepath.Join(s.folder(day), entry.Name()), sum); err != nil {
			return totals{}, err
		}
	}
	return sum, nil
}

func addUpFile(name string, sum totals) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, row := range rows {
		var units, price int64
		if _, err := fmt.Sscan(row[4]+" "+row[5], &units, &price); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, m := range []struct {
			of   map[string]amount
			name string
		}{{sum.stores, row[1]}, {sum.products, row[3]}} {
			a := m.of[m.name]
			a.Lines++
			a.Units += units
			a.Cents += units * price
			m.of[m.name] = a
		}
	}
	return nil
}

// compareDay returns a day's report, and an error if it or a total is not as
// computed.
func compareDay(ctx context.Context, s *queue.Store, date string, want totals) (report, error) {
	var r report
	if err := getJSON(ctx, s, tableReports, date, &r); err != nil {
		return r, err
	}
	got, err := readTotals(ctx, s, date)
	wantReport := newReport(date, want, want.sum().Lines)
	switch {
	case err != nil:
		return r, err
	case !maps.Equal(got.stores, want.stores):
		return r, fmt.Errorf("%s: totals of the stores differ from the files", date)
	case !maps.Equal(got.products, want.products):
		return r, fmt.Errorf("%s: totals of the products differ from the files", date)
	case r != wantReport:
		return r, fmt.Errorf("%s: report %+v, the files say %+v", date, r, wantReport)
	}
	return r, nil
}

// checkEmpty returns an error if anything is left of the job.
func checkEmpty(ctx context.Context, s *queue.Store) error {
	q, err := s.QueueStats(ctx, salesQueue)
	if err != nil {
		return err
	}
	if n := q.Ready + q.Delayed + q.Leased + q.Later + q.Dead; n > 0 {
		return fmt.Errorf("%d lines are left in the queue or its dead letters", n)
	}
	return nil
}
