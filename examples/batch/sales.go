package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sales describes the files that the stores send: one per store and day, every
// byte of which follows from these numbers. They are what makes two runs the
// same job, so they are stored with it.
type sales struct {
	Seed   uint64 `json:"seed"`
	Stores int    `json:"stores"`
	Lines  int    `json:"lines"` // per store and day
	Days   int    `json:"days"`

	dir string
}

const products = 200

func (s sales) date(day int) string {
	return time.Date(2026, time.January, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func (s sales) folder(day int) string { return filepath.Join(s.dir, s.date(day)) }

func (s sales) file(day, store int) string {
	return filepath.Join(s.folder(day), fmt.Sprintf("store-%04d.csv", store+1))
}

// writeDay makes the files of one day unless they are there. The folder gets
// its name when all of them are complete, so a program that was killed in
// between never leaves half a day to be taken for a whole one.
func (s sales) writeDay(day int) error {
	folder := s.folder(day)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	partial := s
	partial.dir = filepath.Join(s.dir, "incomplete")
	if err := os.RemoveAll(partial.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(partial.folder(day), 0o755); err != nil {
		return err
	}
	for store := range s.Stores {
		if err := os.WriteFile(partial.file(day, store), s.content(day, store), 0o644); err != nil {
			return err
		}
	}
	return os.Rename(partial.folder(day), folder)
}

// content returns the file of one store: lines of date, store, line number,
// product, units and price in cents.
func (s sales) content(day, store int) []byte {
	rng := rand.New(rand.NewPCG(s.Seed, uint64(day)<<32|uint64(store)))
	var b []byte
	for line := range s.Lines {
		b = fmt.Appendf(b, "%s,store-%04d,%d,product-%03d,%d,%d\n",
			s.date(day), store+1, line+1, 1+rng.IntN(products), 1+rng.IntN(9), 49+rng.IntN(9950))
	}
	return b
}

// sale is one line.
type sale struct {
	date, store, product string
	units, cents         int64 // cents is the price of one unit
}

func parseSale(line string) (sale, error) {
	f := strings.Split(line, ",")
	if len(f) != 6 {
		return sale{}, fmt.Errorf("sales line %q has %d fields, not 6", line, len(f))
	}
	units, err := strconv.ParseInt(f[4], 10, 64)
	if err != nil {
		return sale{}, fmt.Errorf("sales line %q: units: %w", line, err)
	}
	cents, err := strconv.ParseInt(f[5], 10, 64)
	if err != nil {
		return sale{}, fmt.Errorf("sales line %q: cents: %w", line, err)
	}
	return sale{date: f[0], store: f[1], product: f[3], units: units, cents: cents}, nil
}

// position is a place in the files: all before it has been published.
type position struct {
	Day    int   `json:"day"`
	Store  int   `json:"store"`
	Offset int64 `json:"offset"` // bytes of the store's file
}

// reader reads the lines of the files from a position on, day by day.
type reader struct {
	sales
	at    position
	file  *os.File
	lines *bufio.Reader
}

// next returns the next line of the day, or io.EOF at the day's end.
func (r *reader) next() ([]byte, error) {
	for r.at.Store < r.Stores {
		if r.file == nil {
			f, err := os.Open(r.sales.file(r.at.Day, r.at.Store))
			if err != nil {
				return nil, err
			}
			r.file, r.lines = f, bufio.NewReader(f)
			if _, err := f.Seek(r.at.Offset, io.SeekStart); err != nil {
				return nil, err
			}
		}
		line, err := r.lines.ReadBytes('\n')
		if err == nil {
			r.at.Offset += int64(len(line))
			return line[:len(line)-1], nil
		}
		if err != io.EOF || len(line) > 0 {
			return nil, fmt.Errorf("read %s: %w", r.file.Name(), err)
		}
		r.close()
		r.at = position{Day: r.at.Day, Store: r.at.Store + 1}
	}
	return nil, io.EOF
}

// nextDay turns to the first line of the next day.
func (r *reader) nextDay() {
	r.close()
	r.at = position{Day: r.at.Day + 1}
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
