package pipeline

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Errors of Run and Seed.
var (
	// ErrWiring is returned by Run for a pipeline that cannot work: an edge
	// that nobody handles, two stages on one queue.
	ErrWiring = errors.New("pipeline is wired wrongly")

	// ErrTopology is returned by Run when the store holds unfinished work of
	// a pipeline of another shape.
	ErrTopology = errors.New("store holds the unfinished work of a different pipeline")

	// ErrRunning is returned by Run while the pipeline runs.
	ErrRunning = errors.New("pipeline is running")

	// ErrUndeclared fails the attempt of a stage that emits to an edge that
	// it has not declared with Feeds.
	ErrUndeclared = errors.New("stage emits to an edge that is not among its feeds")
)

// ErrTimeLimit is the cause of the end of a stage's context after its time limit; see
// [TimeLimit]. The attempt fails if the stage then returns an error, which is
// wrapped together with it.
var ErrTimeLimit = errors.New("stage has reached its time limit")

// ErrAgain is what a stage returns to have its item delivered again without a
// failure: the attempt is not counted, and what the stage has put into Out.Tx is
// committed, but not what it has emitted. A stage uses it when it finds that
// something else comes first, and has done that.
var ErrAgain = errors.New("again")

// Snooze is [ErrAgain] for a stage that finds that its item cannot be worked on before d
// has passed: it is delivered again after d. An error that Snooze has made is ErrAgain
// to errors.Is, also if it is wrapped.
func Snooze(d time.Duration) error { return &snoozeError{max(d, 0)} }

type snoozeError struct{ after time.Duration }

func (e *snoozeError) Error() string { return fmt.Sprintf("again after %v", e.after) }
func (e *snoozeError) Unwrap() error { return ErrAgain }

// A Verdict is an error that says itself what is to become of the item whose
// stage returned it, as the Error of package stages does. The pipeline looks for one with
// [errors.As], so it may be wrapped; of several the outermost counts. An error
// that is none may pass: its item is tried again after the queue's back-off.
type Verdict interface {
	error

	// Verdict reports whether no other attempt can mend the error: the item
	// then goes to the dead letters at once. If another can, notBefore is the
	// time to wait for; zero means that the queue's back-off decides.
	Verdict() (permanent bool, notBefore time.Time)
}

// Permanent marks an error of a stage that no other attempt can mend: the item
// goes to the dead letters at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string              { return e.err.Error() }
func (e *permanentError) Unwrap() error              { return e.err }
func (e *permanentError) Verdict() (bool, time.Time) { return true, time.Time{} }

// RetryAfter marks an error of a stage whose next attempt should begin after d
// rather than after the queue's back-off. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryError{max(d, 0), err}
}

type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string              { return e.err.Error() }
func (e *retryError) Unwrap() error              { return e.err }
func (e *retryError) Verdict() (bool, time.Time) { return false, time.Now().Add(e.after) }

// verdict returns what an error says about its item.
func verdict(err error) (permanent bool, notBefore time.Time) {
	var v Verdict
	if errors.As(err, &v) {
		return v.Verdict()
	}
	return false, time.Time{}
}

// PanicError is what a stage that panicked is said to have returned.
type PanicError struct {
	Value any
	stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("stage panicked: %v", e.Value) }

// Stack returns the stack of the goroutine that panicked. It is kept with the
// item if it ends in the dead letters.
func (e *PanicError) Stack() []byte { return e.stack }

// protect calls a stage and turns a panic into an error.
func protect(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return fn()
}
