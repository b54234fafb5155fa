//go:build unix

package stages

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childDir holds the program of testdata/execchild once buildChild has built it.
var childDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if childDir != "" {
		os.RemoveAll(childDir)
	}
	os.Exit(code)
}

// buildChild builds the test's child once. It is not the test binary itself,
// because that takes a second to start under the race detector.
var buildChild = sync.OnceValues(func() (string, error) {
	var err error
	if childDir, err = os.MkdirTemp("", "weir-exec"); err != nil {
		return "", err
	}
	program := filepath.Join(childDir, "child.exe")
	out, err := exec.Command("go", "build", "-o", program, "./testdata/execchild").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the child failed (the go command is needed): %w\n%s", err, out)
	}
	return program, nil
})

// child returns an Exec whose children have the manners named, quick to time
// out and to start again.
func child(t testing.TB, mode string) *Exec {
	t.Helper()
	program, err := buildChild()
	if err != nil {
		t.Fatal(err)
	}
	return &Exec{
		Command:  []string{program, mode},
		Children: 1, Timeout: time.Minute, HelloTimeout: time.Minute, StopTimeout: 5 * time.Second,
		MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, MaxLine: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// start runs e until the test ends, and then checks that Run returned without
// an error and left no goroutine behind.
func start(t testing.TB, e *Exec) {
	t.Helper()
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		// Run has ended; only the runtime may still be tidying up.
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
			runtime.GC()
		}
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
}

func item(s string) json.RawMessage {
	b, _ := json.Marshal(s)
	return b
}

// emitted returns the one value emitted to an edge.
func emitted(t testing.TB, r Reply, edge string) string {
	t.Helper()
	if len(r.Emit[edge]) != 1 {
		t.Fatalf("%d values to %q in %v", len(r.Emit[edge]), edge, r.Emit)
	}
	return string(r.Emit[edge][0])
}

func mustDo(t testing.TB, e *Exec, s string) Reply {
	t.Helper()
	r, err := e.Do(t.Context(), item(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return r
}

func TestExecAnswers(t *testing.T) {
	e := child(t, "good")
	start(t, e)
	if got := emitted(t, mustDo(t, e, "ok:<b>ü"), "out"); got != `"<b>ü"` && got != `"\u003cb\u003eü"` {
		t.Errorf("emitted %s", got)
	}
	if r := mustDo(t, e, "nothing"); r.Emit != nil {
		t.Errorf("emitted %v", r.Emit)
	}
	for _, tc := range []struct {
		item      string
		reason    Reason
		permanent bool
		retry     time.Duration
	}{
		{"error:bad luck", ReasonFailed, false, 0},
		{"permanent:bad luck", "no_text", true, 0},
		{"later:bad luck", ReasonFailed, false, 90 * time.Second},
	} {
		_, err := e.Do(t.Context(), item(tc.item))
		x := AsError(err)
		if x == nil || x.Reason != tc.reason || x.Permanent != tc.permanent || x.Detail != "bad luck" {
			t.Errorf("%s: got %v", tc.item, err)
			continue
		}
		if d := time.Until(x.RetryAfter); tc.retry != 0 && (d > tc.retry || d < tc.retry-10*time.Second) {
			t.Errorf("%s: retry after %v", tc.item, d)
		}
	}
	if _, err := e.Do(t.Context(), json.RawMessage("{")); AsError(err) == nil || !AsError(err).Permanent {
		t.Errorf("an item that is not JSON: %v", err)
	}
	if _, err := e.Do(t.Context(), item(strings.Repeat("x", 2<<20))); AsError(err) == nil || AsError(err).Reason != ReasonTooLarge {
		t.Errorf("an item over the limit: %v", err)
	}
}

// A child that fails costs its item one attempt, and the next item finds a new
// child.
func TestExecSurvivesItsChildren(t *testing.T) {
	for _, tc := range []struct {
		item   string
		want   Reason
		detail string
	}{
		{"die", ReasonDied, "exit status 7"},
		{"hang", ReasonTimeout, "no reply within"},
		{"garbage", ReasonNonsense, "Traceback"},
		{"swap", ReasonNonsense, "was due"},
		{"flood", ReasonNonsense, "flood"},
		{"long", ReasonNonsense, "over the limit"},
		{"half", ReasonDied, "exited"},
		{"close", ReasonDied, "closed its standard output"},
	} {
		t.Run(tc.item, func(t *testing.T) {
			e := child(t, "good")
			if tc.item == "hang" {
				e.Timeout = 2 * time.Second // in which the good items are done on a busy machine too
			}
			start(t, e)
			first := emitted(t, mustDo(t, e, "ok:1"), "pid")
			_, err := e.Do(t.Context(), item(tc.item))
			x := AsError(err)
			if x == nil || x.Reason != tc.want || x.Permanent || !strings.Contains(x.Detail, tc.detail) {
				t.Errorf("got %v, want %s with %q", err, tc.want, tc.detail)
			}
			if second := emitted(t, mustDo(t, e, "ok:2"), "pid"); second == first {
				t.Errorf("the child %s was not replaced", first)
			}
		})
	}
}

func TestExecSurvivesBadGreetings(t *testing.T) {
	for _, tc := range []struct{ mode, detail string }{
		{"silent", "no hello in time"},
		{"deaf", "no hello in time"},
		{"exits", "exit status 3"},
		{"wrong version", "version 99"},
		{"greets badly", "Welcome"},
		{"floods", "version 0"},
		{"floods without lines", "over the limit"},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			e := child(t, tc.mode)
			if tc.mode == "silent" || tc.mode == "deaf" {
				e.HelloTimeout = 300 * time.Millisecond
			}
			start(t, e)
			for range 2 {
				_, err := e.Do(t.Context(), item("ok:1"))
				if x := AsError(err); x == nil || x.Reason != ReasonStart || x.Permanent || !strings.Contains(x.Detail, tc.detail) {
					t.Errorf("got %v, want exec_start with %q", err, tc.detail)
				}
			}
		})
	}
}

func TestExecChildThatDoesNotReadTimesOut(t *testing.T) {
	e := child(t, "ignores input")
	e.Timeout = 300 * time.Millisecond
	start(t, e)
	// More than a pipe holds, so that the write cannot end.
	_, err := e.Do(t.Context(), item("ok:"+strings.Repeat("x", 900<<10)))
	if x := AsError(err); x == nil || x.Reason != ReasonTimeout {
		t.Errorf("got %v, want a timeout", err)
	}
}

// Output that nobody asked for costs no item anything.
func TestExecReplacesAnIdleChildThatSpeaks(t *testing.T) {
	e := child(t, "good")
	start(t, e)
	mustDo(t, e, "twice")
	var failed int
	for range 3 {
		if _, err := e.Do(t.Context(), item("ok:1")); err != nil {
			failed++
		}
	}
	if failed > 1 { // the line and the next item race for the idle child
		t.Errorf("%d items failed", failed)
	}
}

func TestExecBatches(t *testing.T) {
	e := child(t, "good")
	e.Batch = 8
	var calls sync.WaitGroup
	var batched atomic.Int64
	// The calls wait for Run, so that the first batch finds them all.
	for i := range 64 {
		calls.Go(func() {
			s := "ok:" + strconv.Itoa(i)
			if i%16 == 5 {
				s = "die"
			}
			r, err := e.Do(t.Context(), item(s))
			if i%16 == 5 {
				if x := AsError(err); x == nil || x.Reason != ReasonDied {
					t.Errorf("item %d: got %v, want exec_died", i, err)
				}
				return
			}
			if err != nil {
				t.Errorf("item %d: %v", i, err)
				return
			}
			if got := emitted(t, r, "out"); got != fmt.Sprintf(`"%d"`, i) {
				t.Errorf("item %d got the reply of %s", i, got)
			}
			if emitted(t, r, "batch") != "1" {
				batched.Add(1)
			}
		})
	}
	start(t, e)
	calls.Wait()
	if batched.Load() == 0 {
		t.Error("no two items shared a batch")
	}
}

func TestExecManyCallersManyChildren(t *testing.T) {
	e := child(t, "good")
	e.Children = 4
	start(t, e)
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			r, err := e.Do(t.Context(), item("ok:"+strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
			} else if got := emitted(t, r, "out"); got != strconv.Quote(strconv.Itoa(i)) {
				t.Errorf("item %d got the reply of %s", i, got)
			}
		})
	}
	calls.Wait()
}

func TestExecCallerMayLeave(t *testing.T) {
	e := child(t, "good")
	e.Timeout = 2 * time.Second // of the item that nobody waits for any more
	start(t, e)
	mustDo(t, e, "ok:1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.Do(ctx, item("hang"))
	if x := AsError(err); x == nil || x.Reason != ReasonTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	mustDo(t, e, "ok:2")
}

func TestExecStops(t *testing.T) {
	for _, mode := range []string{"good", "will not stop"} {
		t.Run(mode, func(t *testing.T) {
			e := child(t, mode)
			e.StopTimeout = 300 * time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			pid := emitted(t, mustDo(t, e, "ok:1"), "pid")
			hanging := make(chan error, 1)
			begun := make(chan struct{})
			go func() {
				close(begun)
				_, err := e.Do(t.Context(), item("hang"))
				hanging <- err
			}()
			<-begun
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := <-hanging; !errors.Is(err, ErrExecStopped) {
				t.Errorf("the item at work: %v, want ErrExecStopped", err)
			}
			if _, err := e.Do(t.Context(), item("ok:1")); !errors.Is(err, ErrExecStopped) {
				t.Errorf("an item afterwards: %v, want ErrExecStopped", err)
			}
			if alive(pid) {
				t.Errorf("the child %s is alive", pid)
			}
			if err := e.Run(t.Context()); err == nil {
				t.Error("a second Run did not fail")
			}
		})
	}
}

func alive(pid string) bool {
	n, _ := strconv.Atoi(pid)
	return syscall.Kill(n, 0) == nil
}

func TestExecKillsTheGroup(t *testing.T) {
	e := child(t, "good")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	pid := emitted(t, mustDo(t, e, "grandchild"), "out")
	if !alive(pid) {
		t.Fatalf("the grandchild %s is not there", pid)
	}
	cancel()
	<-done
	for range 1000 { // whoever adopts it has to wait for it
		if !alive(pid) || zombie(pid) {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("the grandchild %s is alive", pid)
}

// zombie reports whether a process is dead and not yet waited for.
func zombie(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && strings.Contains(string(b), ") Z ")
}

func TestExecLogsStandardError(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	e := child(t, "good")
	e.Logger = slog.New(slog.NewTextHandler(lockedWriter{&mu, &logged}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	mustDo(t, e, "log:something to know")
	cancel()
	<-done // the end of a child is the end of its log
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(logged.String(), "something to know") {
		t.Errorf("logged %q", logged.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestExecRunFailsAtOnceWithoutItsProgram(t *testing.T) {
	for _, command := range [][]string{nil, {"no-such-program-anywhere"}} {
		e := &Exec{Command: command}
		if err := e.Run(t.Context()); err == nil {
			t.Errorf("%q: no error", command)
		}
		if _, err := e.Do(t.Context(), item("x")); !errors.Is(err, ErrExecStopped) {
			t.Errorf("%q: Do: %v", command, err)
		}
	}
}

func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("one\r\n"+strings.Repeat("x", 100)+"\n\nlast"), 16)
	for _, want := range []string{"one", strings.Repeat("x", 100), ""} {
		if got, err := readLine(r, 101); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := readLine(r, 101); err != io.EOF {
		t.Errorf("a line without an end: %v, want EOF", err)
	}
	if _, err := readLine(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 200)), 16), 100); err != errLongLine {
		t.Errorf("got %v, want errLongLine", err)
	}
}

func FuzzDecodeReply(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"ok":true}`, `{"id":1,"ok":true,"emit":{"a":[1,{"b":null}],"c":[]}}`, `{"id":1,"error":"x","permanent":true}`,
		`{"id":1,"error":"x","retry_after":1e300}`, `{"id":1,"ok":true,"error":"x"}`, `{"id":2,"ok":true}`, `{"ok":true}`, `[]`, ``, `{"id":1,"ok":true}{}`,
		`{"id":1,"ok":true,"emit":{"":[1]}}`, `{"id":-1}`, `{"weir":1}`, `{"id":1,"error":"x","reason":"  "}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		_, _ = decodeHello(line)
		r, err := decodeReply(line, 1)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		now := time.Unix(1e9, 0)
		reply, err := r.outcome("x", now)
		if (err == nil) != r.OK {
			t.Errorf("ok %v but %v", r.OK, err)
		}
		if e := AsError(err); e != nil && (e.Reason == "" || e.RetryAfter.After(now.Add(maxRetryAfter+time.Second))) {
			t.Errorf("outcome %+v", e)
		}
		for edge, values := range reply.Emit {
			if edge == "" || len(values) == 0 {
				t.Errorf("emission %q: %s", edge, values)
			}
		}
	})
}

func BenchmarkExec(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			e := child(b, "good")
			e.Children, e.Batch = 2, batch
			start(b, e)
			inFlight(b, 64, func() error {
				_, err := e.Do(b.Context(), item("nothing"))
				return err
			})
		})
	}
}

// A line with millions of values is refused for what it is before they take memory,
// and the child goes on.
func TestReplyWithTooManyValues(t *testing.T) {
	many := strings.Repeat("1,", MaxEmitted) + `"a,b",[1,2]`
	r, err := decodeReply([]byte(`{"id":1,"ok":true,"emit":{"x":[`+many+`]}}`), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.outcome("item", time.Now()); err == nil || !AsError(err).Permanent || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("outcome %v", err)
	}
	r, err = decodeReply([]byte(`{"id":1,"ok":true,"emit":{"x":["`+strings.Repeat(`\",`, MaxEmitted)+`"],"y":[{"a":[1,2]}]}}`), 1)
	if err != nil || len(r.Emit.values) != 2 {
		t.Errorf("%d edges, %v", len(r.Emit.values), err)
	}
	if n := countValues([]byte(`{"x":[1,[2,3],{"a":4,"b":5},"6,\""],"y":[7,8]}`)); n != 4 {
		t.Errorf("counted %d commas, want 4", n)
	}
}
