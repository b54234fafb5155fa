package pgqueue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

// A view has what was committed before it, whole, also what is being worked on, and
// nothing of it reaches the database.
func TestView(t *testing.T) {
	schema := newSchema()
	if st, err := pgqueue.ReadState(t.Context(), dsn(), options(schema)); err != nil || st != (pgqueue.State{}) {
		t.Fatalf("the state of nothing is %+v, %v", st, err)
	}
	if _, err := pgqueue.OpenView(t.Context(), dsn(), options(schema)); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("a view of nothing: %v, want ErrNotFound", err)
	}
	s := mustOpen(t, schema)
	for i := range 20 {
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Key: fmt.Sprint(i)})
		tx.Put("t", fmt.Sprintf("%02d", i), []byte("before"))
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := c.Receive(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	v, err := pgqueue.OpenView(t.Context(), dsn(), options(schema))
	if err != nil {
		t.Fatal(err)
	}
	var tx queue.Tx
	tx.Ack(held...)
	tx.Put("t", "00", []byte("after"))
	tx.Delete("t", "01")
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	if st, err := v.QueueStats(t.Context(), "q"); err != nil || st.Ready != 20 {
		t.Errorf("the view has %d ready items, %v; want 20", st.Ready, err)
	}
	var over queue.Tx
	over.Put("t", "02a", []byte("view"))
	over.Put("t", "03", []byte("view"))
	over.Delete("t", "04")
	over.Put("t", "99", []byte("view"))
	if err := v.Commit(t.Context(), &over); err != nil {
		t.Fatal(err)
	}
	records, err := v.Scan(t.Context(), "t", "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		if string(r.Value) != "before" {
			got = append(got, r.Key+"="+string(r.Value))
		}
	}
	if want := []string{"02a=view", "03=view", "99=view"}; len(records) != 21 || !slices.Equal(got, want) {
		t.Errorf("the view has %d records, of which new %q; want 21 and %q", len(records), got, want)
	}
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("check of the view: %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if b, err := s.Get(t.Context(), "t", "03"); err != nil || string(b) != "before" {
		t.Errorf("the store has %q, %v after the view; want what it had", b, err)
	}
	st, err := pgqueue.ReadState(t.Context(), dsn(), options(schema))
	if err != nil || !st.Exists || !strings.Contains(st.Leader, "pid ") {
		t.Errorf("the state of a store in use is %+v, %v", st, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err = pgqueue.ReadState(t.Context(), dsn(), options(schema)); err != nil || st != (pgqueue.State{Exists: true}) {
		t.Errorf("the state of a store that nobody leads is %+v, %v", st, err)
	}
}
