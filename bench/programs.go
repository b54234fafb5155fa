package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed spider.py
var spider []byte

// scrapyPages are enough of Scrapy, which is slow.
const scrapyPages = 4_000

// scrapyCrawl is Scrapy as its documentation shows it, with as many requests under
// way. It keeps nothing. It stops after scrapyPages.
func scrapyCrawl(s sites) (r result, usage *syscall.Rusage, err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return r, nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "spider.py")
	if err := os.WriteFile(file, spider, 0o600); err != nil {
		return r, nil, err
	}
	cmd := exec.Command("/usr/bin/python3", "-m", "scrapy", "runspider", file, "-a", "seed="+s.Seed,
		"-s", fmt.Sprintf("CLOSESPIDER_PAGECOUNT=%d", scrapyPages), "-s", fmt.Sprintf("CONCURRENT_REQUESTS=%d", concurrency))
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return r, nil, fmt.Errorf("run scrapy (python3-scrapy of Debian): %w", err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, nil, fmt.Errorf("scrapy: %w in %q", err, out)
	}
	r.Elapsed = time.Since(start)
	return r, cmd.ProcessState.SysUsage().(*syscall.Rusage), nil
}

// wget2Mirror mirrors the documentation into a folder, with its images and style
// sheets.
func wget2Mirror(s sites) (r result, usage *syscall.Rusage, err error) {
	if len(s.Docs) == 0 {
		return r, nil, fmt.Errorf("-docs is missing: the folder that internal/realsites/fetch.sh has filled")
	}
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return r, nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("wget2", append([]string{"--mirror", "--quiet", "--directory-prefix", dir}, s.Docs...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 8 { // 8: a link that is broken
		return r, nil, fmt.Errorf("run wget2: %w", err)
	}
	r.Elapsed = time.Since(start)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".htm") {
			r.Pages++
		}
		return err
	})
	r.Unique, r.Disk = r.Pages, size(dir)
	return r, cmd.ProcessState.SysUsage().(*syscall.Rusage), err
}
