package pipeline

import (
	"fmt"

	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// Edge is a queue of values of one type. Make one with [NewEdge], and set its
// fields before the pipeline runs.
//
// Values are stored as JSON, or as they encode themselves if T implements
// encoding.BinaryMarshaler and *T encoding.BinaryUnmarshaler. What is longer
// than a kilobyte is compressed, so that a queue of pages costs disk, and
// little of it.
type Edge[T any] struct {
	name string

	// Key returns the identity of a value, or "" for none, and Mode what
	// happens if it is known; see [queue.Item]. Nil means no identities.
	Key  func(T) string
	Mode queue.Mode

	// Group returns what a value shares its limits with, such as a host. Nil
	// means no groups.
	Group func(T) string

	// Priority orders values of one generation. Nil means all are equal.
	Priority func(T) int

	// Config holds the settings of the queue. The pipeline stores it when it
	// begins to run. An edge that is not a loop and has no high-water mark
	// gets one of 1,000 items and 64 MiB.
	Config queue.Config
}

// NewEdge returns an edge on the queue of that name.
func NewEdge[T any](name string) *Edge[T] { return &Edge[T]{name: name} }

// AnyEdge is an edge of whatever type. Only this package implements it.
type AnyEdge interface {
	// Name returns the name of the edge's queue.
	Name() string
	config() queue.Config
}

// Name returns the name of the edge's queue.
func (e *Edge[T]) Name() string { return e.name }

func (e *Edge[T]) config() queue.Config { return e.Config }

// Emit adds a value to what the stage's transaction will enqueue. It cannot
// fail: an error of encoding, or a feed that was not declared, fails the
// attempt once the stage returns.
//
// The value may be encoded after the stage has returned, or be handed to the next
// stage as it is, with what its encoded form leaves out, such as unexported fields:
// what it refers to must not be changed after Emit.
func (e *Edge[T]) Emit(out *Out, v T) {
	if out.chains && e.Key == nil && e.Group == nil {
		if out.declared(e) {
			out.emitted = append(out.emitted, emission{
				queue: e.name, live: v, make: func() (queue.Item, error) { return e.Item(v) },
			})
		}
		return
	}
	item, err := e.Item(v)
	if err != nil {
		out.fail(err)
		return
	}
	out.Enqueue(e, item)
}

// Item returns the queue item of a value, for those who want to give it a
// delay, an expiry or headers before they hand it to [Out.Enqueue].
func (e *Edge[T]) Item(v T) (queue.Item, error) {
	body, err := codec.Encode(v)
	if err != nil {
		return queue.Item{}, fmt.Errorf("encode value for %s: %w", e.name, err)
	}
	item := queue.Item{Body: body, Mode: e.Mode}
	if e.Key != nil {
		item.Key = e.Key(v)
	}
	if e.Group != nil {
		item.Group = e.Group(v)
	}
	if e.Priority != nil {
		item.Priority = e.Priority(v)
	}
	return item, nil
}

// Value decodes the body of an item of the edge's queue, such as a dead letter.
func (e *Edge[T]) Value(body []byte) (T, error) {
	var v T
	if err := codec.Decode(body, &v); err != nil {
		return v, fmt.Errorf("decode value of %s: %w", e.name, err)
	}
	return v, nil
}

// Emitted returns what was emitted to the edge with out, in order. It is for
// tests of stages.
func (e *Edge[T]) Emitted(out *Out) ([]T, error) {
	if out.err != nil {
		return nil, out.err
	}
	var values []T
	for _, em := range out.emitted {
		if em.queue != e.name {
			continue
		}
		v, err := e.Value(em.encoded.Body)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}
