package badgerqueue_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Some tests run a part of themselves in a child process, the test binary
// again, since that part may be killed, or may kill itself.

const childVariable = "WEIR_TEST_CHILD"

// children are what a child process can be told to do. Each writes what it has
// achieved to w, a line at a time, as soon as it is achieved.
var children = map[string]func(dir string, w io.Writer) error{
	"fill":  fillDisk,
	"drain": drainDisk,
	"write": writeForever,
	"hold":  holdOpen,
	"crash": fillAndDie,
}

// TestChild is the child's part. It does nothing in the parent.
func TestChild(t *testing.T) {
	name := os.Getenv(childVariable)
	if name == "" {
		return
	}
	if err := children[name](os.Getenv("WEIR_TEST_DIR"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// child is a running child process. What it writes goes to out.
type child struct {
	*exec.Cmd
	errs bytes.Buffer
}

func startChild(tb testing.TB, name, dir string, out io.Writer) *child {
	tb.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.count=1")}
	c.Env = append(os.Environ(), childVariable+"="+name, "WEIR_TEST_DIR="+dir)
	c.Stdout, c.Stderr = out, &c.errs
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	return c
}

// runChild runs a child to its end, which must be a good one.
func runChild(tb testing.TB, name, dir string) string {
	tb.Helper()
	var out bytes.Buffer
	c := startChild(tb, name, dir, &out)
	if err := c.Wait(); err != nil {
		tb.Fatalf("child %s: %v\n%s\n%s", name, err, &out, tail(c.errs.String(), 3000))
	}
	return out.String()
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
