//go:build !windows

package pgqueue_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/faults"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

// A leader that has lost its lock, which another holds, cannot write, whatever it
// believes.
func TestDeposedLeaderIsFenced(t *testing.T) {
	schema := newSchema()
	old := mustOpen(t, schema)
	if err := put(old, "k", "old"); err != nil {
		t.Fatal(err)
	}
	endSessions(t, schema, "leader")
	new := mustOpen(t, schema)
	if err := put(new, "k", "new"); err != nil {
		t.Fatal(err)
	}
	if err := put(old, "k", "old again"); !errors.Is(err, queue.ErrFenced) || !errors.Is(err, queue.ErrFailed) {
		t.Errorf("the old leader's commit returned %v, want ErrFenced and ErrFailed", err)
	}
	if v, err := new.Get(t.Context(), "t", "k"); err != nil || string(v) != "new" {
		t.Errorf("the record is %q, %v, want new", v, err)
	}
	if err := new.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What the old leader had out is delivered by the new one at once.
func TestStandbyTakesOver(t *testing.T) {
	schema := newSchema()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leads := make(chan string)
	over := make(chan error, 2)
	for _, name := range []string{"a", "b"} {
		go func() {
			over <- pgqueue.Lead(ctx, dsn(), options(schema), func(ctx context.Context, s *queue.Store) error {
				var tx queue.Tx
				tx.Enqueue("q", queue.Item{Key: "the one"})
				if err := s.Commit(ctx, &tx); err != nil {
					return err
				}
				c, err := s.Subscribe(ctx, "q", nil)
				if err != nil {
					return err
				}
				ds, err := c.Receive(ctx, 1)
				if err != nil {
					return err
				}
				leads <- fmt.Sprintf("%s %s", name, ds[0].Item.Key)
				<-ctx.Done()
				return put(s, "k", "too late")
			})
		}()
	}
	first := <-leads
	endSessions(t, schema, "leader")
	second := <-leads
	if first == second || !strings.HasSuffix(second, "the one") {
		t.Errorf("first %q led, then %q", first, second)
	}
	cancel()
	for range 2 {
		if err := <-over; !errors.Is(err, context.Canceled) && !errors.Is(err, queue.ErrFailed) && err != nil {
			t.Errorf("Lead returned %v", err)
		}
	}
}

// leadAndCommit is a child process: it leads a store and commits one record
// after the other, until it cannot.
func leadAndCommit(schema string, w io.Writer) error {
	opts := options(schema)
	opts.LeaderTimeout = 2 * time.Second // and not as short as a busy machine may stop a process
	s, err := pgqueue.Open(context.Background(), dsn(), opts)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := put(s, fmt.Sprintf("%08d", i), "child"); err != nil {
			fmt.Fprintln(w, "end", errors.Is(err, queue.ErrFenced), err)
			return nil
		}
		fmt.Fprintln(w, i)
	}
}

const leaderVariable = "WEIR_TEST_LEADER"

// A leader that is stopped for longer than its timeout is replaced, and what it
// goes on to do when it is woken has no effect.
func TestPausedLeaderIsReplaced(t *testing.T) {
	if schema := os.Getenv(leaderVariable); schema != "" {
		if err := leadAndCommit(schema, os.Stdout); err != nil {
			fmt.Println("end", err)
		}
		os.Exit(0)
	}
	schema := newSchema()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), leaderVariable+"="+schema)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	for range 20 {
		if !lines.Scan() || strings.HasPrefix(lines.Text(), "end") {
			t.Fatalf("the child has ended: %s", lines.Text())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var records []queue.Record
	err = pgqueue.Lead(ctx, dsn(), options(schema), func(ctx context.Context, s *queue.Store) error {
		defer cancel()
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		if !strings.HasPrefix(last, "end true") {
			t.Errorf("the child's last word is %q, want that it is fenced", last)
		}
		if err := s.Check(ctx); err != nil {
			return err
		}
		records, err = s.Scan(ctx, "t", "", "", 1<<20)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(records) < 20 {
		t.Errorf("%d records are there, at least 20 were committed", len(records))
	}
	for i, r := range records {
		if r.Key != fmt.Sprintf("%08d", i) {
			t.Fatalf("record %d is %s", i, r.Key)
		}
	}
}

// A leader that no packet reaches, without a word, finds out by itself: what it waits for
// ends with an error, and it stands by until the network is whole.
func TestLeaderThatIsCutOffStandsBy(t *testing.T) {
	dir, err := os.MkdirTemp("", "cut") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	link := new(faults.Link)
	defer link.Mend()
	go link.Forward(listener, "unix", filepath.Join(server.Socket(), ".s.PGSQL.5432"))
	opts := options(newSchema())
	opts.LeaderTimeout = 2 * time.Second
	standby := make(chan error, 100)
	opts.Standby = func(why error) { standby <- why }
	ctx, cancel := context.WithCancel(t.Context())
	leads := make(chan *queue.Store)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = pgqueue.Lead(ctx, "postgres://weir@/postgres?host="+dir, opts, func(term context.Context, s *queue.Store) error { // which ends with ctx
			select {
			case leads <- s:
			case <-term.Done():
			}
			<-term.Done()
			return nil
		})
	}()
	s := <-leads
	if err := put(s, "k", "before"); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	if err := put(s, "k", "while it was cut off"); !errors.Is(err, queue.ErrFailed) {
		t.Errorf("a commit of a leader that is cut off returned %v, want ErrFailed", err)
	}
	if _, err := s.Get(t.Context(), "t", "other"); !errors.Is(err, queue.ErrFailed) && !errors.Is(err, queue.ErrClosed) {
		t.Errorf("a read of it returned %v, want ErrFailed", err)
	}
	if why := <-standby; !strings.Contains(why.Error(), "lost") {
		t.Errorf("it stands by because %v", why)
	}
	link.Reset()
	link.Mend()
	s = <-leads
	if v, err := s.Get(t.Context(), "t", "k"); err != nil || string(v) != "before" && string(v) != "while it was cut off" { // which may have been on its way
		t.Errorf("the record is %q, %v", v, err)
	}
	cancel()
	<-over
}

// What no waiting mends ends the leader, with the reason: a schema that somebody drops, or
// a right that is taken away.
func TestWhatDoesNotPassEndsTheLeader(t *testing.T) {
	for name, tt := range map[string]struct{ do, want string }{
		"schema dropped": {"DROP SCHEMA %s CASCADE", "does not exist"},
		"table dropped":  {"DROP TABLE %s.kv", "does not exist"},
		"rows refused":   {"ALTER TABLE %s.kv ADD CHECK (false) NOT VALID", "violates check constraint"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := newSchema()
			opts := options(schema)
			opts.Standby = func(err error) { t.Errorf("it stands by for %v", err) }
			terms := 0
			err := pgqueue.Lead(t.Context(), dsn(), opts, func(term context.Context, s *queue.Store) error {
				terms++
				execute(t, fmt.Sprintf(tt.do, schema))
				err := put(s, "k", "v")
				if err == nil {
					t.Error("a commit succeeds all the same")
					return nil
				}
				<-term.Done() // as one that serves, which notices nothing itself
				return errors.Join(err, context.Cause(term))
			})
			if terms != 1 || !errors.Is(err, queue.ErrFailed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("after %d terms Lead returned %v", terms, err)
			}
			execute(t, "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
		})
	}
}

// A leader that is fenced while it opens the store stands by, and does not end.
func TestLeaderThatIsFencedWhileItOpensStandsBy(t *testing.T) {
	schema := newSchema()
	mustOpen(t, schema).Close()
	// What opening writes is refused the first time, as of a term that has ended.
	execute(t, strings.ReplaceAll(`CREATE SEQUENCE $s.opened;
CREATE FUNCTION $s.once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF nextval('$s.opened') = 1 THEN RAISE EXCEPTION 'term has ended' USING ERRCODE = 'WEIR1'; END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER once BEFORE DELETE ON $s.notes FOR EACH STATEMENT EXECUTE FUNCTION $s.once()`, "$s", schema))
	opts := options(schema)
	var waits []error
	opts.Standby = func(why error) { waits = append(waits, why) }
	terms := 0
	err := pgqueue.Lead(t.Context(), dsn(), opts, func(context.Context, *queue.Store) error {
		terms++
		return nil
	})
	if err != nil || terms != 1 || len(waits) != 1 || !errors.Is(waits[0], queue.ErrFenced) {
		t.Errorf("Lead returned %v after %d terms, having waited for %v", err, terms, waits)
	}
}

// All sessions ask the server to notice that their machine has gone.
func TestSessionsAreKeptAlive(t *testing.T) {
	dir, err := os.MkdirTemp("", "alive") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan []byte, 100) // by each session
	var sessions sync.WaitGroup
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", filepath.Join(server.Socket(), ".s.PGSQL.5432"))
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			sessions.Go(func() { // until the server closes it
				_, _ = io.Copy(client, server)
				client.Close()
			})
			sessions.Go(func() {
				var b bytes.Buffer
				_, _ = io.Copy(io.MultiWriter(server, &b), client)
				server.Close()
				said <- b.Bytes()
			})
		}
	}()
	s, err := pgqueue.Open(t.Context(), "postgres://weir@/postgres?host="+dir, options(newSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "t", "k"); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
	s.Close()
	listener.Close()
	<-accepting
	sessions.Wait()
	close(said)
	n := 0
	for b := range said {
		if n++; !bytes.Contains(b, []byte("SET tcp_keepalives_idle")) {
			t.Errorf("a session that does not: %.300q", b)
		}
	}
	if n < 4 {
		t.Errorf("there were %d sessions, want those of the leader, of batches, notes and reads", n)
	}
}
