package remote

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Those at one address who use one token have a share of the server at most, so that whoever
// uses more than there is takes it from himself. Behind a proxy, or on a socket of Unix, all
// have one address: there, tokens of their own separate them. The connections of an address
// count whatever comes over them.

const (
	// shareOf is what part of the clients and of the calls may be those of one sharer.
	shareOf = 4

	// maxConnections bounds the connections from one address.
	maxConnections = 4096

	// maxReading bounds the bytes of requests that are being read, or carried out, and of what
	// calls that look have read and send, of one sharer.
	maxReading = 256 << 20
)

// sharer is who has a share: those at a place with a token, which is given by its number.
type sharer struct {
	place string
	token int
}

func (s sharer) String() string {
	return fmt.Sprintf("%s with this token", cmp.Or(s.place, "this socket"))
}

// place returns what counts as one address: that of a machine, or the 64 bits of IPv6 that
// a network gives a machine. It is "" for what is no address, as a socket of Unix.
func place(address string) string {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	ip := a.Addr().Unmap()
	if ip.Is6() {
		p, _ := ip.WithZone("").Prefix(64)
		return p.String()
	}
	return ip.String()
}

// shares are the calls in progress, of all and of each sharer.
type shares struct {
	most int // calls

	mu    sync.Mutex
	calls int
	of    map[sharer]*share // none of nothing
}

// share is what one sharer has. It is guarded by shares.mu.
type share struct {
	calls int
	bytes int64 // of requests, and of answers
}

// begin begins a call. What it returns ends it.
func (s *shares) begin(by sharer) (*use, error) {
	u := &use{all: s, by: by}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls >= s.most {
		return nil, fmt.Errorf("%w: %d calls are in progress", ErrBusy, s.calls)
	}
	u.share = s.of[u.by]
	if u.share == nil {
		u.share = new(share)
		s.of[u.by] = u.share
	}
	if most := max(s.most/shareOf, 1); u.share.calls >= most {
		return nil, fmt.Errorf("%w: %d calls from %s are in progress", ErrBusy, most, u.by)
	}
	s.calls++
	u.share.calls++
	return u, nil
}

// use is what one call has of a share.
type use struct {
	all   *shares
	by    sharer
	share *share
	bytes int64
}

func (u *use) end() {
	u.all.mu.Lock()
	defer u.all.mu.Unlock()
	u.all.calls--
	u.share.calls--
	u.share.bytes -= u.bytes
	if u.share.calls == 0 {
		delete(u.all.of, u.by)
	}
}

// take adds bytes of a request, or of an answer, to what the call has.
func (u *use) take(n int) error {
	u.all.mu.Lock()
	defer u.all.mu.Unlock()
	u.bytes += int64(n)
	u.share.bytes += int64(n)
	if u.share.bytes > maxReading {
		return fmt.Errorf("%w: requests and answers of more than %d bytes, for %s, are in progress", ErrBusy, maxReading, u.by)
	}
	return nil
}

// counted is the body of a request, whose bytes count.
type counted struct {
	body io.Reader
	use  *use
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.body.Read(b)
	if n > 0 {
		if busy := c.use.take(n); busy != nil {
			return n, busy
		}
	}
	return n, err
}

// connections bounds those from one address, as the ConnState of a server.
type connections struct {
	mu sync.Mutex
	of map[string]int
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	at := place(conn.RemoteAddr().String())
	if at == "" || state != http.StateNew && state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew {
		if c.of[at]++; c.of[at] > maxConnections {
			_ = conn.Close() // the server finds out
		}
		return
	}
	if c.of[at]--; c.of[at] == 0 {
		delete(c.of, at)
	}
}
