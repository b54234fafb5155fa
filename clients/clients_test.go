package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/stages"
)

// need fails the test if a program is missing: these tests are what keeps the
// helpers working, so they are never skipped.
func need(t *testing.T, program, what string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s is not installed; this test needs %s", program, what)
	}
}

func TestPython(t *testing.T) {
	need(t, "python3", "Python 3.7 or later")
	testWorker(t, "python3", "testdata/worker.py")
}

func TestNode(t *testing.T) {
	need(t, "node", "Node 16 or later")
	testWorker(t, "node", "testdata/worker.js")
}

func TestJava(t *testing.T) {
	testWorker(t, "java", "-XX:TieredStopAtLevel=1", "-cp", javaClasses(t), "Worker")
}

var compiled struct {
	once sync.Once
	dir  string
	err  error
}

// javaClasses returns the folder with what is written in Java, which is compiled once.
func javaClasses(t *testing.T) string {
	t.Helper()
	need(t, "javac", "a JDK of version 17 or later")
	need(t, "java", "a JDK of version 17 or later")
	compiled.once.Do(func() {
		if compiled.dir, compiled.err = os.MkdirTemp("", "weir-java"); compiled.err != nil {
			return
		}
		out, err := exec.Command("javac", "-encoding", "UTF-8", "-d", compiled.dir, "java/WeirWorker.java", "java/CountWords.java", "testdata/java/Worker.java", "testdata/java/Produce.java").CombinedOutput()
		if err != nil {
			compiled.err = fmt.Errorf("javac: %w\n%s", err, out)
		}
	})
	if compiled.err != nil {
		t.Fatal(compiled.err)
	}
	return compiled.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if compiled.dir != "" {
		os.RemoveAll(compiled.dir)
	}
	os.Exit(code)
}

func testWorker(t *testing.T, command ...string) {
	e := &stages.Exec{
		Command: command, Children: 2, Batch: 4, HelloTimeout: 2 * time.Minute,
		MinBackoff: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()

	t.Run("values survive", func(t *testing.T) {
		for _, v := range []any{
			"", "plain", "Grüße 世界 🜁", "<a href=\"x\">&amp;</a>\u2028\n\t\\\"\x00", strings.Repeat("long ", 100_000),
			float64(0), float64(-12), 1.5, 1e300, float64(1 << 52), true, false, nil,
			[]any{}, map[string]any{}, []any{"a", []any{nil}}, map[string]any{"k": map[string]any{"ü": 1.0}},
		} {
			r, err := e.Do(t.Context(), encode(t, map[string]any{"do": "echo", "value": v}))
			if err != nil {
				t.Fatalf("%.50v: %v", v, err)
			}
			if len(r.Emit["out"]) != 2 || len(r.Emit["size"]) != 1 {
				t.Fatalf("%.50v: emitted %v", v, r.Emit)
			}
			var got, again any
			if err := json.Unmarshal(r.Emit["out"][0], &got); err != nil {
				t.Fatal(err)
			}
			json.Unmarshal(r.Emit["out"][1], &again)
			if !reflect.DeepEqual(got, v) || !reflect.DeepEqual(again, map[string]any{"again": v}) {
				t.Errorf("sent %.100v, got %.100v and %.100v", v, got, again)
			}
		}
	})

	t.Run("outcomes", func(t *testing.T) {
		for _, tc := range []struct {
			do, detail string
			reason     stages.Reason
			permanent  bool
			retry      bool
		}{
			{"permanent", "never", "no_text", true, false},
			{"later", "soon", stages.ReasonFailed, false, true},
			{"fail", "bad luck", stages.ReasonFailed, false, false},
			{"unencodable", "", stages.ReasonFailed, true, false},
			{"die", "exit status 3", stages.ReasonDied, false, false},
		} {
			_, err := e.Do(t.Context(), encode(t, map[string]any{"do": tc.do}))
			x := stages.AsError(err)
			if x == nil || x.Reason != tc.reason || x.Permanent != tc.permanent || x.RetryAfter.IsZero() == tc.retry || !strings.Contains(x.Detail, tc.detail) {
				t.Errorf("%s: got %v (%+v)", tc.do, err, x)
			}
		}
	})

	t.Run("nothing to emit", func(t *testing.T) {
		r, err := e.Do(t.Context(), encode(t, map[string]any{"do": "nothing"}))
		if err != nil || r.Emit != nil {
			t.Errorf("got %v, %v", r, err)
		}
	})

	t.Run("many at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				r, err := e.Do(t.Context(), encode(t, map[string]any{"do": "echo", "value": i}))
				if err != nil {
					t.Error(err)
				} else if got := string(r.Emit["out"][0]); got != fmt.Sprint(i) {
					t.Errorf("item %d got the reply %s", i, got)
				}
			})
		}
		wg.Wait()
	})
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
