package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/seed-301537d8/weir/clients"
)

//go:embed workers
var workers embed.FS

// jars are what the Java worker needs.
var jars = []string{"boilerpipe.jar", "nekohtml.jar", "xercesImpl.jar"}

// checkTools returns an error that names everything that is missing, and how to
// install it.
func checkTools(jarDir string) error {
	var missing []string
	for _, program := range []string{"java", "javac", "python3", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	for _, jar := range jars {
		if name := filepath.Join(jarDir, jar); !isFile(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s not found; on Debian: apt-get install libboilerpipe-java default-jdk-headless python3 nodejs",
		strings.Join(missing, ", "))
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// prepareWorkers writes the workers and their helpers to a folder, compiles the
// one in Java unless that has been done, and returns the commands to start them.
func prepareWorkers(ctx context.Context, dir, jarDir string) (map[string][]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, f := range []struct {
		from fs.FS
		name string
	}{
		{clients.Files, "java/WeirWorker.java"}, {workers, "workers/Boilerpipe.java"},
		{clients.Files, "python/weir_worker.py"}, {workers, "workers/tagger.py"},
		{clients.Files, "node/weir_worker.js"}, {workers, "workers/scores.js"},
	} {
		content, err := fs.ReadFile(f.from, f.name)
		if err != nil {
			return nil, err
		}
		if path.Ext(f.name) == ".java" {
			sum.Write(content)
		}
		if err := os.WriteFile(filepath.Join(dir, path.Base(f.name)), content, 0o666); err != nil {
			return nil, err
		}
	}
	classpath := make([]string, len(jars))
	for i, jar := range jars {
		classpath[i] = filepath.Join(jarDir, jar)
	}
	// The folder of the classes is named after their source, and appears whole.
	classes := filepath.Join(dir, fmt.Sprintf("classes-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(classes); errors.Is(err, fs.ErrNotExist) {
		if err := compile(ctx, dir, classes, classpath); err != nil {
			return nil, err
		}
	}
	classpath = append([]string{classes}, classpath...)
	return map[string][]string{
		// The options make the virtual machine start faster.
		"boilerpipe": {"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
			"-cp", strings.Join(classpath, string(os.PathListSeparator)), "Boilerpipe"},
		"python": {"python3", filepath.Join(dir, "tagger.py")},
		"node":   {"node", filepath.Join(dir, "scores.js")},
	}, nil
}

func compile(ctx context.Context, dir, classes string, classpath []string) error {
	partial := filepath.Join(dir, "classes-partial")
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	javac := exec.CommandContext(ctx, "javac", "-encoding", "UTF-8", "-d", partial,
		"-cp", strings.Join(classpath, string(os.PathListSeparator)), "WeirWorker.java", "Boilerpipe.java")
	javac.Dir = dir
	if out, err := javac.CombinedOutput(); err != nil {
		return fmt.Errorf("javac: %w\n%s", err, out)
	}
	return os.Rename(partial, classes)
}
