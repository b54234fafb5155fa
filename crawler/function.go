package crawler

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// Function is a function on pages. It is called with each page that was fetched
// for a request of its label, and what it decides is part of the page's one
// transaction.
type Function struct {
	// Label is that of the requests whose pages it gets. The function without a
	// label gets the pages of requests that have none.
	Label string

	// Visit is the function. An error fails the page, which is tried again as
	// after a failed request; pipeline.Permanent and pipeline.RetryAfter hold. So
	// does a panic. When its context ends it should return.
	Visit func(ctx context.Context, v *Visit, out *Out) error

	// Types are the media types of the pages that it gets, such as
	// "application/json" or "application/*+xml". Nil means HTML and XHTML. What
	// it asks for is fetched for its label, be it among those that a crawl takes
	// or not.
	Types []string

	// Statuses are those of errors, from 400 to 599, whose answers it gets as well if
	// they are of its types. Such an answer is a page then, unless the function
	// judges that it is none, and as its links only those that the function follows
	// count; the stages behind crawl do not get it. The host's politeness is as ever.
	// Nil means that answers that are errors are failures.
	Statuses []int

	// MaxBody bounds a page for it, in bytes after decompression. 0 means
	// Settings.MaxBody.
	MaxBody int64

	// Timeout bounds a call. Its context ends then, and the page is failed a
	// second later whether the function has returned or not. 0 means
	// DefaultFunctionTimeout; a negative one none.
	Timeout time.Duration

	// Queue, if it is not empty, names a queue of the function's own, for slow
	// work: the page is recorded and put there, and the function called by
	// workers of its own. What it decides is then a transaction by itself, and it
	// cannot judge the answer. An error has it tried again without another
	// request, Settings.StageAttempts times; in the end the page lies among the
	// queue's dead letters.
	Queue string

	// Workers bounds how many calls of a function with a queue run at once. 0
	// means four for each processor.
	Workers int

	// Follows are the labels that the function gives to what it follows, ""
	// among them for none. They let the crawl make sure beforehand that each
	// has a function. Nil means that it may give any; one that nobody handles
	// then fails the page. A function with a queue follows nothing unless it says
	// so here. What it follows is of the generation behind the page's, as the
	// links of a page are, which then waits for it.
	Follows []string
}

// DefaultFunctionTimeout is how long a function may take for a page.
const DefaultFunctionTimeout = time.Minute

// functionGrace is how long a function whose time is over has to return.
const functionGrace = time.Second

// maxLost is how many calls of functions that do not return are left behind before
// no more are begun.
const maxLost = 64

// name is what the function is called for people.
func (f *Function) name() string {
	if f.Label == "" {
		return "default"
	}
	return f.Label
}

// wants reports whether the function gets pages of a media type.
func (f *Function) wants(mediaType string) bool {
	types := f.Types
	if types == nil {
		types = htmlTypes
	}
	return stages.MatchType(mediaType, types)
}

var htmlTypes = []string{"text/html", "application/xhtml+xml"}

// wantsError reports whether a function gets the answer to a request that ended with
// an error.
func (f *Function) wantsError(resp *stages.FetchResponse) bool {
	read := resp != nil && resp.Digest != [sha256.Size]byte{}
	return read && slices.Contains(f.Statuses, resp.Status) && f.wants(resp.MediaType())
}

// caller calls functions under a time limit.
type caller struct {
	mu   sync.Mutex
	lost int // calls that were left behind and have not returned
}

var (
	errLateVerdict  = errors.New("it judges the answer, which is recorded already; only a function in the page's own transaction can")
	errFunctionTime = errors.New("the function has taken too long")
	errGoexit       = pipeline.Permanent(errors.New("it has called runtime.Goexit, as FailNow of a test does"))
	errFunctionLost = fmt.Errorf("the function is not called: %d calls before it have taken too long and still not returned", maxLost)
)

// call calls fn with a page, in a goroutine that is left behind if it neither
// returns nor heeds its context. What it decides meanwhile is then never read.
func (c *caller) call(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	c.mu.Lock()
	lost := c.lost
	c.mu.Unlock()
	if lost >= maxLost {
		return errFunctionLost
	}
	if limit == 0 {
		limit = DefaultFunctionTimeout
	}
	if limit < 0 {
		return protect(func() error { return fn(ctx) })
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errFunctionTime)
	defer cancel()
	returned := make(chan error, 1)
	go func() {
		err := errGoexit // unless it returns
		defer func() { returned <- err }()
		err = protect(func() error { return fn(limited) })
	}()
	var err error
	select {
	case err = <-returned:
	case <-limited.Done():
		grace := time.NewTimer(functionGrace)
		defer grace.Stop()
		select {
		case err = <-returned:
		case <-grace.C:
			c.leave(returned)
			err = pipeline.Permanent(errors.New("and does not heed its context"))
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("%w, over %v: %w", errFunctionTime, limit, err)
	}
	return err
}

// leave leaves a call behind.
func (c *caller) leave(returned <-chan error) {
	c.mu.Lock()
	c.lost++
	c.mu.Unlock()
	go func() {
		<-returned
		c.mu.Lock()
		c.lost--
		c.mu.Unlock()
	}()
}

// protect calls a function and makes a panic an error with its stack.
func protect(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	if err = fn(); err != nil {
		_ = err.Error() // which may panic: of a nil pointer of its type, say
	}
	return err
}

// panicError is what a function that panicked has returned.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// router finds the function of a request.
type router map[string]*Function

// newRouter returns what is wrong with the functions, by name, before anything
// is fetched.
func newRouter(functions []Function, stages []Stage, seeds []Request) (router, error) {
	r := make(router)
	var errs []error
	for i := range functions {
		f := &functions[i]
		switch {
		case f.Visit == nil:
			errs = append(errs, fmt.Errorf("the function %s is nil", f.name()))
		case r[f.Label] != nil:
			errs = append(errs, fmt.Errorf("two functions have the label %s", f.name()))
		case f.MaxBody < 0 || f.Workers < 0:
			errs = append(errs, fmt.Errorf("a number of the function %s is negative", f.name()))
		case slices.ContainsFunc(f.Statuses, func(s int) bool { return s < 400 || s > 599 }):
			errs = append(errs, fmt.Errorf("the function %s has a status that is not from 400 to 599 among its Statuses", f.name()))
		case slices.Contains(f.Types, ""):
			errs = append(errs, fmt.Errorf("a type of the function %s is empty", f.name()))
		}
		r[f.Label] = f
	}
	for i := range functions {
		for _, label := range functions[i].Follows {
			if label != "" && r[label] == nil {
				errs = append(errs, fmt.Errorf("the function %s gives %s", functions[i].name(), r.unhandled(label)))
			}
		}
	}
	for _, s := range stages {
		for _, label := range s.Follows {
			if label != "" && r[label] == nil {
				errs = append(errs, fmt.Errorf("the stage %s gives %s", s.Name, r.unhandled(label)))
			}
		}
	}
	for _, s := range seeds {
		if s.Label != "" && r[s.Label] == nil {
			errs = append(errs, fmt.Errorf("the seed %s has %s", s.URL, r.unhandled(s.Label)))
		}
	}
	return r, errors.Join(errs...)
}

// unhandled says of a label that no function handles it, and which labels are handled.
func (r router) unhandled(label string) string {
	labels := slices.Sorted(maps.Keys(r))
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
	known := "no function has a label"
	if len(labels) > 0 {
		known = "the labels are " + strings.Join(labels, ", ")
	}
	return fmt.Sprintf("the label %s, which no function handles (%s)", label, known)
}

// checkFollows returns an error if a function has given a label that it must not.
// One that is behind the crawl must declare what it follows.
func (r router) checkFollows(follows []string, behind bool, out *Out) error {
	for _, q := range out.requests {
		switch {
		case q.Label != "" && r[q.Label] == nil:
			return fmt.Errorf("it gives %s %s", q.URL, r.unhandled(q.Label))
		case behind && follows == nil:
			return fmt.Errorf("it follows %s, and being behind the crawl it must say so in Follows", q.URL)
		case follows != nil && !slices.Contains(follows, q.Label):
			return fmt.Errorf("it gives the label %q, which is not among its Follows, to %s", q.Label, q.URL)
		}
	}
	return nil
}
