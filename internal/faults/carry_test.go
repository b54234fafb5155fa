//go:build unix

package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
)

// carry is a link for HTTP: beside all else it repeats some requests, loses some answers,
// and ends some connections. It returns the address in place of the server's.
func carry(t *testing.T, l *Link, server string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	to := &http.Transport{Protocols: protocols}
	protocols = new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	web := &http.Server{Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		chance := rand.IntN(100)
		if chance == 0 { // the request is lost
			panic(http.ErrAbortHandler)
		}
		if chance == 1 { // it arrives twice, and the second answer too
			_, _, _ = once(r.Context(), to, server, r, body)
		}
		resp, answer, err := once(r.Context(), to, server, r, body)
		if err != nil || chance == 2 { // the answer is lost
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	})}
	go func() {
		if err := web.Serve(l.Listener(listener)); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}()
	t.Cleanup(func() { l.Mend(); web.Close(); to.CloseIdleConnections() })
	return "http://" + listener.Addr().String()
}

func once(ctx context.Context, to *http.Transport, server string, r *http.Request, body []byte) (*http.Response, []byte, error) {
	again := r.Clone(ctx)
	again.URL.Scheme, again.URL.Host = "http", server
	again.RequestURI, again.Body, again.ContentLength = "", io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := to.RoundTrip(again)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}
