package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/internal/lease"
	"github.com/seed-301537d8/weir/queue"
)

// callTime bounds an attempt at a call that does not wait.
const callTime = 20 * time.Second

// greetTime bounds an attempt at one of several addresses as long as none has answered, so
// that a machine that just fell silent does not keep others from being asked.
const greetTime = 3 * time.Second

// maxReply bounds an answer, in bytes.
const maxReply = 1 << 30

// Between two attempts at a call a random time passes, which doubles.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// call makes a call, and again while no server can answer: calls are such that they may
// be made twice. reply is filled in.
func (e *engine) call(ctx context.Context, name string, request, reply any) error {
	return e.callFor(ctx, callTime, name, request, reply)
}

// callFor is call with a bound on an attempt.
func (e *engine) callFor(ctx context.Context, limit time.Duration, name string, request, reply any) error {
	if err := e.ctx.Err(); err != nil {
		return queue.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.ctx, func() { cancel(queue.ErrClosed) })()
	begun, untrusted := time.Now(), 0
	for attempts, pause := 1, e.pause; ; attempts, pause = attempts+1, min(2*pause, lastPause) {
		at := e.at.Load()
		if len(e.urls) > 1 && !e.met.Load() {
			limit = min(limit, e.greet)
		}
		asked := time.Now()
		attempt, done := context.WithTimeoutCause(ctx, limit, errSlow)
		err := e.once(attempt, e.urls[at], name, request, reply)
		done()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			e.met.Store(true)
			e.answered(request, reply, asked)
			return nil
		case !again(err):
			return err
		}
		if !errors.Is(err, ErrBusy) {
			e.doubt()
		}
		if isUntrusted(err) {
			untrusted++
		}
		switch {
		case untrusted >= len(e.urls) && !e.met.Load(): // waiting does not help, as it may in the midst of work
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case time.Since(begun) >= e.opts.Patience && attempts >= len(e.urls):
			if errors.Is(err, ErrUnavailable) {
				return err
			}
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		e.at.CompareAndSwap(at, (at+1)%int64(len(e.urls))) // a standby may lead now
		e.log.Debug("call is made again", "call", name, "err", err)
		if e.opts.OnRetry != nil {
			e.opts.OnRetry(err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// doubt notes that a server has not answered, or is no leader any more: another may be, and
// may have given what is held here to somebody else already, since a leader that has
// died is replaced sooner than the lease of its clients ends. The next sign of life says.
func (e *engine) doubt() {
	e.mu.Lock()
	held := e.held
	e.mu.Unlock()
	if held == nil {
		return
	}
	held.Doubt()
	select {
	case e.doubted <- struct{}{}:
	default:
	}
}

// answered notes that the server has heard of the client. Heartbeats and receive alone say
// that it still knows it: the end of a session is the same of a client that is long gone.
func (e *engine) answered(request, reply any, asked time.Time) {
	var client, session string
	switch m := request.(type) {
	case *clientRequest:
		client, session = m.Client, m.Session
	case *receiveRequest:
		client, session = m.Client, m.Session
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if client == "" || client != e.client {
		return
	}
	lasts := lease.Share(e.lease)
	var leads int64
	switch m := reply.(type) {
	case *heartbeatReply:
		leads = m.Lasts
	case *receiveReply:
		leads = m.Lasts
	default:
		return
	}
	if leads > 0 {
		lasts = min(lasts, time.Duration(leads)*time.Millisecond)
	}
	e.held.Answered(asked, lasts)
	for s := range e.sessions {
		if s.name == session && s.lease > 0 {
			s.own.Answered(asked, lease.Share(s.lease))
		}
	}
}

// errSlow ends an attempt that nobody answers.
var errSlow = errors.New("no answer in time")

// unreachable is an error of the way to the server.
type unreachable struct{ err error }

func (e *unreachable) Error() string { return e.err.Error() }

func (e *unreachable) Unwrap() error { return e.err }

// strange is an answer that no server gives.
type strange struct{ base, status string }

func (e *strange) Error() string {
	return fmt.Sprintf("%s answers %s, and is no weir server or a proxy before one", e.base, e.status)
}

// Answer returns what a server has answered, or what stands in its place, if an error is of
// an answer; ok is false if there was none.
func Answer(err error) (text string, ok bool) {
	var s *strange
	if errors.As(err, &s) {
		return s.status, true
	}
	var r *remoteError
	if errors.As(err, &r) {
		return r.text, true
	}
	return "", false
}

// again reports whether a call that ended so may be answered otherwise later, or by
// another server.
func again(err error) bool {
	var u *unreachable
	for _, target := range []error{ErrUnavailable, ErrBusy, queue.ErrFenced, queue.ErrFailed, queue.ErrClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return errors.As(err, &u)
}

// once makes one attempt at a call.
func (e *engine) once(ctx context.Context, base, name string, request, reply any) error {
	binary := !e.opts.JSON
	body, err := encode(request, binary)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", queue.ErrInvalid, name, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", typeJSON)
	if binary {
		r.Header.Set("Content-Type", typeCBOR)
	}
	if e.opts.Token != "" {
		r.Header.Set("Authorization", "Bearer "+e.opts.Token)
	}
	resp, err := e.http.Do(r)
	if err != nil && strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
		return fmt.Errorf("%w: %s speaks HTTP/1.1 only, and is no weir server or a proxy before one; https will do", ErrProtocol, base)
	}
	if err != nil {
		return &unreachable{explained(err, r.URL, e.met.Load())}
	}
	defer resp.Body.Close()
	binary = isBinary(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK {
		if err := decode(resp.Body, maxReply, binary, reply); err != nil {
			if errors.Is(err, queue.ErrInvalid) {
				return fmt.Errorf("%w: answer to %s: %w", ErrProtocol, name, err)
			}
			return &unreachable{err}
		}
		return nil
	}
	var p problem
	if err := decode(resp.Body, 1<<20, binary, &p); err == nil && p.Code != "" {
		return p.err()
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	err = &strange{base, resp.Status}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return &unreachable{err}
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}
