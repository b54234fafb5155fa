// Package hardweb serves what crawlers stumble over: a site for each case that the
// web is known to hold and that standards, browsers or common sense decide. It is
// the torture site of tests, and of weir demo --torture.
//
// Each case is a host of its own, a port on 127.0.0.1, so that what goes wrong on
// one has no effect on the others. Its answers are bytes as a server might send
// them, well-formed or not.
package hardweb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A Case is something that is hard to get right, and what is right.
type Case struct {
	// Name is "kind/what".
	Name string
	// Seed is the path that the crawl of the case begins at.
	Seed string
	// Wants is what should come of it, one path each: "/a" is a page, "/a =Title"
	// one of that title, "/a !reason" a failure, "/a ~words" an address that is left
	// out for a reason with these words, "/a -" one that is never met,
	// "/a @/b" a page whose canonical address is that, "/a @" one that names none.
	Wants []string

	answers map[string]answer
}

// answer returns the bytes of a response.
type answer func(r request) []byte

// request is what a case may look at.
type request struct {
	path, head string
	host       string // with the port
}

// Site serves all cases.
type Site struct {
	Cases []Case

	urls      []string
	listeners []net.Listener
	wg        sync.WaitGroup
}

// Listen serves the cases on ports of 127.0.0.1 until Close.
func Listen() (*Site, error) {
	s := &Site{Cases: Cases()}
	for i := range s.Cases {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("serve case %s: %w", s.Cases[i].Name, err), s.Close())
		}
		s.listeners = append(s.listeners, l)
		s.urls = append(s.urls, "http://"+l.Addr().String())
		s.wg.Go(func() { s.serve(l, &s.Cases[i]) })
	}
	return s, nil
}

// URL returns the address of a path of the i-th case.
func (s *Site) URL(i int, path string) string { return s.urls[i] + path }

// Seeds returns the address that each case begins at.
func (s *Site) Seeds() []string {
	seeds := make([]string, len(s.Cases))
	for i := range seeds {
		seeds[i] = s.URL(i, s.Cases[i].Seed)
	}
	return seeds
}

// Close ends all serving and waits for it.
func (s *Site) Close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}

func (s *Site) serve(l net.Listener, c *Case) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { c.answer(conn) })
	}
}

// patience bounds how long a client may take over one request.
const patience = 10 * time.Second

// answer answers one request, and closes the connection.
func (c *Case) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	br := bufio.NewReader(conn)
	var head strings.Builder
	for head.Len() < 64<<10 {
		line, err := br.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	fields := strings.Fields(head.String())
	if len(fields) < 2 {
		return
	}
	r := request{path: fields[1], head: head.String(), host: conn.LocalAddr().String()}
	a, ok := c.answers[r.path]
	if !ok {
		if a, ok = c.answers["*"]; !ok || r.path == "/robots.txt" {
			a = status("404 Not Found", "")
		}
	}
	_, _ = conn.Write(a(r))
	if t, ok := conn.(*net.TCPConn); ok {
		// Closing at once would take back what is still on its way.
		_ = t.CloseWrite()
		_, _ = io.Copy(io.Discard, br)
	}
}

// Outcome is what a crawl has made of an address.
type Outcome struct {
	Page   bool
	Title  string
	Reason string // of a failure
	Skip   string // why it was left out

	Canonical string // of a page
}

// Check compares what a crawl has made of the i-th case with what is right, and
// returns what differs, or "".
func (s *Site) Check(i int, outcome func(url string) (Outcome, error)) (string, error) {
	var wrong []string
	for _, want := range s.Cases[i].Wants {
		path, what, _ := strings.Cut(want, " ")
		o, err := outcome(s.URL(i, path))
		if err != nil {
			return "", err
		}
		if at, ok := strings.CutPrefix(what, "@"); ok && at != "" {
			what = "@" + s.URL(i, at)
		}
		if text := o.differs(what); text != "" {
			wrong = append(wrong, path+" "+text)
		}
	}
	return strings.Join(wrong, "; "), nil
}

func (o Outcome) differs(want string) string {
	kind := byte(0)
	if want != "" {
		kind, want = want[0], want[1:]
	}
	is := "was never met"
	switch {
	case o.Page:
		is = fmt.Sprintf("is a page of the title %q", o.Title)
	case o.Reason != "":
		is = "failed: " + o.Reason
	case o.Skip != "":
		is = "was left out: " + o.Skip
	}
	switch kind {
	case 0:
		if !o.Page {
			return is + ", want a page"
		}
	case '=':
		if !o.Page || o.Title != want {
			return is + fmt.Sprintf(", want a page of the title %q", want)
		}
	case '!':
		if o.Page || o.Reason != want {
			return is + ", want the failure " + want
		}
	case '~':
		if o.Page || o.Reason != "" || !strings.Contains(o.Skip, want) || o.Skip == "" {
			return is + ", want it left out: " + want
		}
	case '@':
		if !o.Page || o.Canonical != want {
			return fmt.Sprintf("%s, with the canonical address %q, want %q", is, o.Canonical, want)
		}
	case '-':
		if o != (Outcome{}) {
			return is + ", want it never met"
		}
	}
	return ""
}
