package websim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
)

// Transport returns a transport that answers from memory.
func (w *Web) Transport() http.RoundTripper { return transport{w} }

type transport struct{ web *Web }

// RoundTrip implements http.RoundTripper. The handler runs in a goroutine of
// its own, which ends with the request's context or when the body is closed.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.web.down[r.Host] {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	ctx, cancel := context.WithCancel(r.Context())
	body, out := io.Pipe()
	rw := &responseWriter{header: make(http.Header), out: out, ready: make(chan struct{})}
	go func() {
		defer func() {
			err := io.EOF
			if v := recover(); v != nil {
				err = io.ErrUnexpectedEOF
			}
			rw.WriteHeader(http.StatusOK)
			_ = out.CloseWithError(err)
		}()
		t.web.ServeHTTP(rw, r.WithContext(ctx))
	}()
	stop := context.AfterFunc(ctx, func() { _ = body.CloseWithError(ctx.Err()) })
	select {
	case <-rw.ready:
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	length := int64(-1)
	if n, err := strconv.ParseInt(rw.sent.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	return &http.Response{
		Status: http.StatusText(rw.status), StatusCode: rw.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rw.sent, ContentLength: length, Request: r,
		Body: closer{body, func() { stop(); cancel() }},
	}, nil
}

type closer struct {
	*io.PipeReader
	then func()
}

func (c closer) Close() error {
	defer c.then()
	return c.PipeReader.Close()
}

type responseWriter struct {
	header http.Header
	out    *io.PipeWriter
	once   sync.Once
	ready  chan struct{} // closed when the fields below are set
	status int
	sent   http.Header
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(b)
}

// Server serves a web on loopback addresses, one for each host.
type Server struct {
	*Web
	server    *http.Server
	listeners []net.Listener
	done      sync.WaitGroup
}

// Listen generates a web and serves it. The hosts have addresses of their own
// in 127.0.0.0/8 where the system routes all of that to itself, as Linux does.
// Options.Host is not used.
func Listen(o Options) (*Server, error) {
	const most = 200 // hosts: those of pages and those of troubles
	s := &Server{}
	var err error
	for range 10 { // until a port is free on every address
		if err = s.listen(most); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("serve a web: %w", err)
	}
	o.Host = func(n int) string { return s.listeners[n].Addr().String() }
	s.Web = New(o)
	s.server = &http.Server{Handler: s.Web}
	for _, l := range s.listeners {
		s.done.Go(func() { _ = s.server.Serve(l) })
	}
	return s, nil
}

func (s *Server) listen(n int) error {
	port := "0"
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.9.%d.%d:%s", i/200, i%200+1, port))
		if err != nil {
			for _, l := range s.listeners {
				_ = l.Close()
			}
			s.listeners = nil
			return err
		}
		if s.listeners = append(s.listeners, l); port == "0" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
		}
	}
	return nil
}

// Close stops serving.
func (s *Server) Close() error {
	err := s.server.Close()
	s.done.Wait()
	return err
}
