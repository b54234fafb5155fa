package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

const workToken = "work-0123456789abcdef"

// offer serves a store, by way of a handler that may be in between.
func offer(t *testing.T, between func(http.Handler) http.Handler) (*queue.Store, *remote.Server, string) {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Check(context.Background()); err != nil {
			t.Error(err)
		}
		store.Close()
	})
	server, err := remote.NewServer(remote.ServerOptions{Tokens: []remote.Token{{Secret: workToken, Role: remote.RoleWork}}})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(store)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(between(server))
	web.Start()
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	return store, server, web.URL
}

// losing loses every n-th answer to a call of these names: what was asked has happened.
func losing(n int64, calls ...string) func(http.Handler) http.Handler {
	return func(to http.Handler) http.Handler {
		var count atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, name := range calls {
				if strings.HasSuffix(r.URL.Path, "/"+name) && count.Add(1)%n == 0 {
					to.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				}
			}
			to.ServeHTTP(w, r)
		})
	}
}

func TestPythonOverTheNetwork(t *testing.T) {
	need(t, "python3", "Python 3.7 or later")
	testNetwork(t, "python3", "python/count_words.py")
}

func TestNodeOverTheNetwork(t *testing.T) {
	need(t, "node", "Node 16 or later")
	testNetwork(t, "node", "node/count_words.js")
}

func TestJavaOverTheNetwork(t *testing.T) {
	testNetwork(t, "java", "-XX:TieredStopAtLevel=1", "-cp", javaClasses(t), "CountWords")
}

// testNetwork has the example of a language count words over a network that loses
// answers. The first process is killed, the second loses its leader: in the end each text
// was counted once.
func testNetwork(t *testing.T, command ...string) {
	t.Parallel()
	const texts = 24
	store, server, url := offer(t, losing(11, "commit", "receive", "subscribe", "open"))
	tokens := filepath.Join(t.TempDir(), "TOKENS")
	if err := os.WriteFile(tokens, []byte("# of a test\nread read-0123456789abcdef\nwork "+workToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var tx queue.Tx
	tx.Enqueue("texts", queue.Item{Body: []byte("no JSON")}, queue.Item{Body: []byte(`{"id": -1}`)}, queue.Item{Body: []byte{0xff}})
	for i := range texts {
		tx.Enqueue("texts", queue.Item{Body: fmt.Appendf(nil, `{"id": %d, "text": "one two  drei\n世界"}`, i)})
	}
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	counts, err := store.Subscribe(ctx, "counts", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer counts.Close()
	seen := make(map[int]int)
	await := func(n int) { // so many counts
		t.Helper()
		for len(seen) < n {
			ds, err := counts.Receive(ctx, 1)
			if err != nil {
				t.Fatalf("%d of %d counts have come: %v", len(seen), n, err)
			}
			var got struct{ ID, Words int }
			if err := json.Unmarshal(ds[0].Item.Body, &got); err != nil || got.Words != 4 {
				t.Errorf("counted %s, %v", ds[0].Item.Body, err)
			}
			if seen[got.ID]++; seen[got.ID] > 1 {
				t.Errorf("text %d was counted %d times", got.ID, seen[got.ID])
			}
			var tx queue.Tx
			tx.Ack(ds...)
			if err := store.Commit(ctx, &tx); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := func(env []string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, command[0], append(append(command[1:len(command):len(command)], url, "1"), args...)...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}

	first := start([]string{"WEIR_TOKEN=" + workToken})
	await(texts / 4)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed

	second := start(nil, tokens)
	await(texts / 2)
	server.Lead(nil)
	server.Lead(store) // which knows no clients
	await(texts)
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the second process ended with %v", err)
	}
	for _, c := range server.Clients() {
		if c.Address != "" && c.InFlight > 0 {
			t.Errorf("%s left and holds %d", c.Name, c.InFlight)
		}
	}
	st, err := store.QueueStats(ctx, "texts")
	if err != nil || st.Totals.Acked != texts || st.Dead != 3 || st.Ready+st.Leased+st.Delayed != 0 {
		t.Errorf("texts: %+v, %v; want %d done and 3 dead", st, err, texts)
	}
	if st, err := store.QueueStats(ctx, "counts"); err != nil || st.Totals.Enqueued != texts {
		t.Errorf("counts: %+v, %v; want %d", st, err, texts)
	}
}

// A proxy that loses its way for a moment is no fault of an item: the worker ends, and the
// item goes back.
func TestAProxyThatRefusesBuriesNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		command func(t *testing.T) []string
	}{
		{"Python", func(t *testing.T) []string {
			need(t, "python3", "Python 3.7 or later")
			return []string{"python3", "python/count_words.py"}
		}},
		{"Node", func(t *testing.T) []string {
			need(t, "node", "Node 16 or later")
			return []string{"node", "node/count_words.js"}
		}},
		{"Java", func(t *testing.T) []string {
			return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", javaClasses(t), "CountWords"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			command := c.command(t)
			store, _, url := offer(t, func(to http.Handler) http.Handler {
				var once sync.Once
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					lost := false
					if strings.HasSuffix(r.URL.Path, "/commit") {
						once.Do(func() { lost = true })
					}
					if lost {
						http.NotFound(w, r)
						return
					}
					to.ServeHTTP(w, r)
				})
			})
			var tx queue.Tx
			tx.Enqueue("texts", queue.Item{Body: []byte(`{"id": 1, "text": "one two"}`)})
			if err := store.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], append(command[1:], url)...)
			cmd.Env = append(os.Environ(), "WEIR_TOKEN="+workToken)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "404") {
				t.Errorf("the worker: %v; it says\n%s\nwant that it ends because of status 404", err, out)
			}
			if st, err := store.QueueStats(t.Context(), "texts"); err != nil || st.Dead != 0 || st.Ready != 1 {
				t.Errorf("texts: %+v, %v; want that it waits", st, err)
			}
		})
	}
}

// A producer whose transaction is sent again after the store has forgotten its id is told
// so, and the transaction has happened once.
func TestProducersOfOtherLanguages(t *testing.T) {
	for _, c := range []struct {
		name    string
		command func(t *testing.T) []string
	}{
		{"Python", func(t *testing.T) []string {
			need(t, "python3", "Python 3.7 or later")
			return []string{"python3", "testdata/produce.py"}
		}},
		{"Node", func(t *testing.T) []string {
			need(t, "node", "Node 16 or later")
			return []string{"node", "testdata/produce.js"}
		}},
		{"Java", func(t *testing.T) []string {
			return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", javaClasses(t), "Produce"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			command := c.command(t)
			var others func()
			store, _, url := offer(t, func(to http.Handler) http.Handler {
				var once sync.Once
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "/commit") {
						once.Do(func() {
							to.ServeHTTP(httptest.NewRecorder(), r)
							others()
							panic(http.ErrAbortHandler)
						})
					}
					to.ServeHTTP(w, r)
				})
			})
			others = func() {
				var wg sync.WaitGroup
				for worker := range 64 {
					wg.Go(func() {
						for i := worker; i < queue.RememberedTxs; i += 64 {
							if err := store.Commit(context.Background(), &queue.Tx{ID: fmt.Sprint(i)}); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
			}
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], url)...)
			cmd.Env = append(os.Environ(), "WEIR_TOKEN="+workToken, "PYTHONPATH=python")
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "forgotten\n" {
				t.Errorf("the producer: %v; it says\n%s\nwant that its transaction is forgotten", err, out)
			}
			if st, err := store.QueueStats(t.Context(), "orders"); err != nil || st.Totals.Enqueued != 1 {
				t.Errorf("orders: %+v, %v; want 1", st, err)
			}
		})
	}
}

// serial is the part of an answer to commit that grows.
var serial = regexp.MustCompile(`,"serial":\d+`)

// deliveries is an answer to receive with a delivery.
var deliveries = regexp.MustCompile(`\{"deliveries":\[\{.*\}\]\}`)

// The lines of docs/protocol.md work, and may be repeated.
func TestCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	doc, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(doc), "```sh\n")
	script, _, ends := strings.Cut(script, "```")
	if !ok || !ends {
		t.Fatal("docs/protocol.md has no lines for a shell")
	}
	store, _, url := offer(t, func(h http.Handler) http.Handler { return h })
	var answers []string
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
		cmd.Env = append(os.Environ(), "WEIR_TOKEN="+workToken, "WEIR_URL="+url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		answers = append(answers, serial.ReplaceAllString(string(out), ""))
	}
	// What was given and is settled is not given again.
	again := deliveries.ReplaceAllString(answers[0], `{"deliveries":[]}`)
	if again == answers[0] || again != answers[1] || strings.Contains(answers[0], "error") || !strings.Contains(answers[0], `{"found":true,"text":"{\"status\": 200}"}`) {
		t.Errorf("the answers were\n%s\nand then\n%s", answers[0], answers[1])
	}
	st, err := store.QueueStats(t.Context(), "urls")
	if err != nil || st.Totals.Enqueued != 1 || st.Totals.Acked != 1 {
		t.Errorf("urls: %+v, %v", st, err)
	}
}
