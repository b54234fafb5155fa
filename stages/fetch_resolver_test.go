package stages

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers questions about names on pipes: those that end in "here.test." are
// 127.0.0.1 for ttl seconds, others do not exist for as long.
type nameServer struct {
	ttl uint32

	mu    sync.Mutex
	asked map[string]int // how often for the address of a name, version 4
}

// resolver returns a parent for newResolver.
func (s *nameServer) resolver() *net.Resolver {
	s.asked = make(map[string]int)
	return &net.Resolver{Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go s.serve(server)
		return client, nil
	}}
}

// outsideBubbles looks something up, as package net makes a channel when it first does,
// which must not be that of a bubble.
func outsideBubbles(t *testing.T) {
	t.Helper()
	if _, err := newResolver((&nameServer{ttl: 1}).resolver(), 1).LookupHost(t.Context(), "here.test."); err != nil {
		t.Fatal(err)
	}
}

func (s *nameServer) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name+"."]
}

// serve answers until the other end is closed, each message behind its length.
func (s *nameServer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := s.answer(question)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (s *nameServer) answer(question []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		panic(err)
	}
	q := m.Questions[0]
	if q.Type == dnsmessage.TypeA {
		s.mu.Lock()
		s.asked[q.Name.String()]++
		s.mu.Unlock()
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: s.ttl}
	soa := dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("test."), Type: dnsmessage.TypeSOA, Class: q.Class, TTL: s.ttl},
		Body:   &dnsmessage.SOAResource{NS: q.Name, MBox: q.Name, MinTTL: s.ttl},
	}
	switch here := strings.HasSuffix(q.Name.String(), "here.test."); {
	case here && q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	case here:
		m.Authorities = []dnsmessage.Resource{soa} // it exists, with no such address
	default:
		m.RCode, m.Authorities = dnsmessage.RCodeNameError, []dnsmessage.Resource{soa}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// Answers are believed as long as they say and no longer than the bound, those that a
// name does not exist among them.
func TestNamesAreLookedUpOnce(t *testing.T) {
	outsideBubbles(t)
	const hour = 3600
	for _, tc := range []struct {
		what, name string
		ttl        uint32
		after      time.Duration // the second lookup
		want       int
	}{
		{"at once", "here.test", hour, 0, 1},
		{"while it holds", "here.test", 60, 59 * time.Second, 1},
		{"when it is over", "here.test", 60, 61 * time.Second, 2},
		{"within the bound", "here.test", hour, maxTTL - time.Second, 1},
		{"over the bound", "here.test", hour, maxTTL + time.Second, 2},
		{"no such name", "gone.test", 60, 59 * time.Second, 1},
		{"no such name, when it is over", "gone.test", 60, 61 * time.Second, 2},
		{"no such name, over the bound", "gone.test", hour, maxTTL + time.Second, 2},
		{"what does not hold at all", "here.test", 0, 0, 2},
	} {
		t.Run(tc.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &nameServer{ttl: tc.ttl}
				r := newResolver(server.resolver(), maxAnswers)
				lookUp := func() {
					t.Helper()
					addrs, err := r.LookupHost(t.Context(), tc.name+".")
					if here := tc.name == "here.test"; here != (err == nil) || here && addrs[0] != "127.0.0.1" {
						t.Fatalf("lookup of %s: %v, %v", tc.name, addrs, err)
					}
				}
				lookUp()
				time.Sleep(tc.after)
				lookUp()
				if got := server.times(tc.name); got != tc.want {
					t.Errorf("asked %d times, want %d", got, tc.want)
				}
			})
		})
	}
}

// However many names there are, the last ones alone are remembered.
func TestAnswersAreBounded(t *testing.T) {
	outsideBubbles(t)
	synctest.Test(t, func(t *testing.T) {
		server := &nameServer{ttl: 300}
		r := newResolver(server.resolver(), 8)
		again := 0
		for range 2 {
			for i := range 32 {
				if _, err := r.LookupHost(t.Context(), fmt.Sprintf("%d.here.test.", i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range 32 {
			again += server.times(fmt.Sprintf("%d.here.test", i)) - 1
		}
		if again < 32-8 {
			t.Errorf("%d of 32 names were asked for again, and 8 answers are remembered", again)
		}
	})
}

// A crawl that makes each connection anew asks once for the name; and what is
// remembered is no way around the guard.
func TestFetcherRemembersNames(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "text/html")
	}))
	defer site.Close()
	_, port, _ := strings.Cut(site.Listener.Addr().String(), ":")
	server := &nameServer{ttl: 300}
	resolver := newResolver(server.resolver(), maxAnswers)
	url := "http://www.here.test:" + port + "/"

	f := &Fetcher{AllowPrivate: true, Resolver: resolver}
	for range 3 {
		resp, err := f.Fetch(t.Context(), FetchRequest{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Reused {
			t.Error("the connection was there already")
		}
		resp.Release()
	}
	if got := server.times("www.here.test"); got != 1 {
		t.Errorf("asked %d times for the name, want 1", got)
	}
	guarded := &Fetcher{Resolver: resolver}
	for range 2 {
		if _, err := guarded.Fetch(t.Context(), FetchRequest{URL: url}); AsError(err) == nil || AsError(err).Reason != ReasonPrivateAddress {
			t.Errorf("got %v, want %s", err, ReasonPrivateAddress)
		}
	}
	if got := server.times("www.here.test"); got != 1 {
		t.Errorf("asked %d times for the name, want 1", got)
	}
}
