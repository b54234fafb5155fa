package faults

import (
	"io"
	"net"
	"sync"
	"time"
)

// Link is the network between two processes: it listens in the place of one of them, and
// carries what arrives there, unless it is cut. The zero value is whole.
// It is safe for concurrent use.
type Link struct {
	mu    sync.Mutex
	heal  chan struct{} // closed when the link is whole; nil if it is
	pause time.Duration // before each packet
	conns map[net.Conn]bool
}

// Cut stops all that travels, without a word to either end, until Mend.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heal == nil {
		l.heal = make(chan struct{})
	}
}

// Mend ends a cut or a delay. What had been sent meanwhile arrives.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heal != nil {
		close(l.heal)
		l.heal = nil
	}
	l.pause = 0
}

// Slow makes each packet take so long.
func (l *Link) Slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pause = d
}

// Reset breaks all connections.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (l *Link) add(c net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = make(map[net.Conn]bool)
	}
	l.conns[c] = true
	return &linkConn{Conn: c, l: l}
}

// pass waits until something may pass.
func (l *Link) pass() {
	for {
		l.mu.Lock()
		heal, pause := l.heal, l.pause
		l.mu.Unlock()
		if heal == nil {
			time.Sleep(pause)
			return
		}
		<-heal
	}
}

// linkConn is a connection over a link.
type linkConn struct {
	net.Conn
	l *Link
}

func (c *linkConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.l.pass()
	return n, err
}

func (c *linkConn) Write(b []byte) (int, error) {
	c.l.pass()
	return c.Conn.Write(b)
}

func (c *linkConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c.Conn)
	c.l.mu.Unlock()
	return c.Conn.Close()
}

// Listener returns a listener whose connections are over the link.
func (l *Link) Listener(of net.Listener) net.Listener { return linkListener{of, l} }

type linkListener struct {
	net.Listener
	l *Link
}

func (l linkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.l.add(c), nil
}

// Forward carries connections of a listener to an address, byte by byte, until the
// listener is closed.
func (l *Link) Forward(listener net.Listener, network, address string) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		here := l.add(c)
		go func() {
			defer here.Close()
			there, err := net.Dial(network, address)
			if err != nil {
				return
			}
			defer there.Close()
			done := make(chan struct{}, 2)
			for _, way := range [][2]net.Conn{{here, there}, {there, here}} {
				go func() {
					_, _ = io.Copy(way[0], way[1]) // a broken connection is what this is for
					done <- struct{}{}
				}()
			}
			<-done
		}()
	}
}
