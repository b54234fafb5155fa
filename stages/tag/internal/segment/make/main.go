// Command make makes a dictionary of package segment from one of ICU, which has a
// word on each line, with its cost behind a tab or without.
//
//	go run ./stages/tag/internal/segment/make -out cjk.words cjdict.txt
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/seed-301537d8/weir/stages/tag/internal/segment"
)

func main() {
	out := flag.String("out", "", "the dictionary to write")
	flag.Parse()
	if *out == "" || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: make -out FILE LIST")
		os.Exit(2)
	}
	if err := run(*out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "make:", err)
		os.Exit(1)
	}
}

func run(out, list string) error {
	f, err := os.Open(list)
	if err != nil {
		return err
	}
	defer f.Close()
	words, err := read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	var file bytes.Buffer
	if err := segment.Write(&file, words); err != nil {
		return err
	}
	return os.WriteFile(out, file.Bytes(), 0o666)
}

// read reads a list of words. Comments begin with #.
func read(r io.Reader) ([]segment.Word, error) {
	var words []segment.Word
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		text, cost, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if text == "" {
			continue
		}
		word := segment.Word{Text: text}
		if cost != "" {
			c, err := strconv.ParseUint(strings.TrimSpace(cost), 10, 8)
			if err != nil {
				return nil, fmt.Errorf("line %d: cost of %q: %w", n, text, err)
			}
			word.Cost = uint8(c)
		}
		words = append(words, word)
	}
	return words, lines.Err()
}
