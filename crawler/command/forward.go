package command

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// One process at a time has a folder open. It listens on a unix socket for the
// others: they send their whole command line, it runs the subcommand on its
// store, and sends back the output and the exit code. So a subcommand is
// written once and works whether a crawl runs or not.
//
// Who may speak is decided by the folder's lock, not by the socket: a process
// first tries to open the folder, and turns to the socket only when another has
// it. What a process that was killed has left behind is replaced by the next
// one that has the lock. The file CONTROL, which only the owner can read, says
// where the socket is and holds a secret that a caller must know, since a
// socket has no permissions everywhere.

const (
	controlFile = "CONTROL"
	socketFile  = "SOCKET"

	// maxSocketPath is what every system takes; macOS has 104 bytes with the
	// zero at the end.
	maxSocketPath = 100

	// A process that cannot be reached yet may be just opening the folder.
	lockPatience = 3 * time.Second
	lockPause    = 50 * time.Millisecond
)

// control is the content of the file CONTROL.
type control struct {
	PID    int    `json:"pid"`
	Socket string `json:"socket"`
	Secret string `json:"secret"`
}

// call is what a process asks for.
type call struct {
	Secret string   `json:"secret"`
	Args   []string `json:"args"`
}

// live is a store that this process has open, and that it lets others use.
type live struct {
	name     string          // of the program
	options  crawler.Options // that it has given
	place    place
	dir      string // the place's name
	store    *queue.Store
	running  bool                                           // a crawl is at work on it
	workers  func(context.Context) ([]remote.Client, error) // over the network, or nil
	who      string                                         // the process that is, in words
	lost     func() error                                   // why another may lead the store now, nil as long as this process does
	secret   string
	listener net.Listener
	tempDir  string // that holds the socket, if the folder cannot

	cancel context.CancelFunc
	calls  sync.WaitGroup
}

// openLive opens a folder's store and begins to listen. Where sockets do not
// work the store is open all the same, and warn is told.
func (a *app) openLive(p place, options *badgerqueue.Options, running bool, warn func(error)) (*live, error) {
	store, err := badgerqueue.Open(p.folder, options)
	if err != nil {
		return nil, err
	}
	l := a.newLive(p, store)
	l.running, l.who, l.secret = running, fmt.Sprintf("pid %d", os.Getpid()), rand.Text()
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	if err := l.listen(); err != nil {
		warn(fmt.Errorf("other commands cannot reach this process: %w", err))
		return l, nil
	}
	l.calls.Go(func() { l.accept(ctx) })
	return l, nil
}

// newLive returns a store that is open, for this process alone.
func (a *app) newLive(p place, store *queue.Store) *live {
	return &live{name: a.name, options: a.options, place: p, dir: p.name, store: store,
		lost: func() error { return nil }, cancel: func() {}}
}

func (l *live) listen() error {
	l.removeTraces()
	dir, err := filepath.Abs(l.dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, socketFile)
	if len(path) <= maxSocketPath {
		l.listener, _ = net.Listen("unix", path)
	}
	if l.listener == nil { // too long, or the file system has no sockets
		if l.tempDir, err = os.MkdirTemp("", tempPattern); err != nil {
			return err
		}
		path = filepath.Join(l.tempDir, socketFile)
		if l.listener, err = net.Listen("unix", path); err != nil {
			return errors.Join(err, os.RemoveAll(l.tempDir))
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.listener.Close())
	}
	b, err := json.Marshal(control{PID: os.Getpid(), Socket: path, Secret: l.secret})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.dir, controlFile), b, 0o600); err != nil {
		return errors.Join(err, l.listener.Close())
	}
	return nil
}

// tempPattern names the folders of sockets that are not in the store's.
const tempPattern = "weir-socket-"

// removeTraces removes what a process that was killed has left. The caller has
// the folder's lock.
func (l *live) removeTraces() {
	c, err := readControl(l.dir)
	if err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(c.Socket)), tempPattern) {
		os.RemoveAll(filepath.Dir(c.Socket))
	}
	os.Remove(filepath.Join(l.dir, controlFile))
	os.Remove(filepath.Join(l.dir, socketFile))
}

func readControl(dir string) (control, error) {
	var c control
	b, err := os.ReadFile(filepath.Join(dir, controlFile))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

// close ends the calls under way and closes the store.
func (l *live) close() error {
	if l.cancel != nil {
		l.cancel()
	}
	if l.listener != nil {
		l.listener.Close()
	}
	l.calls.Wait()
	if l.listener != nil {
		l.removeTraces()
	}
	return l.store.Close()
}

func (l *live) accept(ctx context.Context) {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files, say
			select {
			case <-time.After(lockPause):
				continue
			case <-ctx.Done():
				return
			}
		}
		l.calls.Go(func() { l.answer(ctx, conn) })
	}
}

// answer runs the subcommand of one call. It ends early if the caller goes.
func (l *live) answer(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	in := bufio.NewReaderSize(conn, maxCall)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return
	}
	var c call
	if json.Unmarshal(line, &c) != nil || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(l.secret)) != 1 {
		return
	}
	l.calls.Go(func() { // a caller says no more; the end of its words is its end
		_, _ = io.Copy(io.Discard, in)
		cancel()
	})
	var mu sync.Mutex
	a := &app{
		name: l.name, options: l.options, in: strings.NewReader(""), live: l,
		out: &frameWriter{&mu, conn, frameOut}, err: &frameWriter{&mu, conn, frameErr},
	}
	code := a.runSafely(ctx, c.Args)
	if ctx.Err() != nil {
		return // the caller asks again, and may then have the folder itself
	}
	_, _ = (&frameWriter{&mu, conn, frameExit}).Write([]byte{byte(code)})
}

// runSafely runs a subcommand for another process: one that panics must not end the crawl
// that this process is at.
func (a *app) runSafely(ctx context.Context, args []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(a.err, "%s: panic: %v\n%s", a.name, p, debug.Stack())
			code = exitFailure
		}
	}()
	return a.run(ctx, args)
}

// An answer is a sequence of frames: what it is, four bytes of length, content.
const (
	frameOut  = 'o'
	frameErr  = 'e'
	frameExit = 'x' // one byte: the exit code
)

// Bounds of what is sent, in bytes: a command line, and the content of a frame.
const (
	maxCall  = 1 << 20
	maxFrame = 64 << 10
)

type frameWriter struct {
	mu   *sync.Mutex // held while a frame is written
	conn io.Writer
	kind byte
}

func (w *frameWriter) Write(b []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) > 0 {
		part := b[:min(len(b), maxFrame)]
		frame := append(make([]byte, 0, 5+len(part)), w.kind)
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(part)))
		if _, err := w.conn.Write(append(frame, part...)); err != nil {
			return n, err
		}
		n += len(part)
		b = b[len(part):]
	}
	return n, nil
}

// errNobody is returned by forward when no process answers.
var errNobody = errors.New("no process answers")

// forward has the process that has the folder open run the subcommand.
func forward(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) (code int, err error) {
	c, err := readControl(dir)
	if err != nil {
		return 0, errNobody
	}
	conn, err := net.DialTimeout("unix", c.Socket, lockPatience)
	if err != nil {
		return 0, errNobody
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line, err := json.Marshal(call{Secret: c.Secret, Args: args})
	if err != nil {
		return 0, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return 0, errNobody
	}
	code, begun, err := readFrames(conn, stdout, stderr)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil:
		return code, nil
	case isWriteError(err):
		return 0, err
	case !begun:
		return 0, errNobody // it was just closing
	}
	return 0, fmt.Errorf("pid %d has stopped in the middle of its answer; run the command again", c.PID)
}

// writeError is a failure to hand on what the other process has said.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

func isWriteError(err error) bool {
	var w writeError
	return errors.As(err, &w)
}

// readFrames hands on an answer. begun reports whether anything arrived.
func readFrames(conn io.Reader, stdout, stderr io.Writer) (code int, begun bool, err error) {
	in := bufio.NewReader(conn)
	buf := make([]byte, maxFrame)
	for {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return 0, begun, err
		}
		begun = true
		size := binary.BigEndian.Uint32(head[1:])
		if size > maxFrame {
			return 0, begun, fmt.Errorf("a frame of %d bytes", size)
		}
		if _, err := io.ReadFull(in, buf[:size]); err != nil {
			return 0, begun, err
		}
		switch head[0] {
		case frameOut:
			_, err = stdout.Write(buf[:size])
		case frameErr:
			_, err = stderr.Write(buf[:size])
		case frameExit:
			if size == 1 {
				return int(buf[0]), begun, nil
			}
		}
		if err != nil {
			return 0, begun, writeError{err}
		}
	}
}

// withStore runs fn, which only looks, on a store: that of a folder, here or in the
// process that has it open, or that of a database, as it is at this moment. What fn
// has to say goes to out, which is that of this process either way.
func (a *app) withStore(ctx context.Context, dir string, out io.Writer, fn func(ctx context.Context, l *live, out io.Writer) error) error {
	p, err := a.findStore(ctx, dir)
	if err != nil {
		return err
	}
	if p.server != "" && a.live == nil {
		return a.withServer(ctx, p, out, fn)
	}
	if !p.isDatabase() {
		return a.withFolder(ctx, p, out, fn)
	}
	state, err := p.state(ctx)
	if err != nil {
		return err
	}
	store, err := pgqueue.OpenView(ctx, p.dsn, p.pgOptions(nil))
	if err != nil {
		return p.explain(err)
	}
	l := a.newLive(p, store)
	l.who, l.running = state.Leader, state.Leader != ""
	return errors.Join(fn(ctx, l, out), store.Close())
}

// withChanges is withStore for an fn that changes the store.
func (a *app) withChanges(ctx context.Context, dir string, out io.Writer, fn func(ctx context.Context, l *live, out io.Writer) error) error {
	p, err := a.findStore(ctx, dir)
	if err != nil {
		return err
	}
	if p.server != "" && a.live == nil {
		return a.withServer(ctx, p, out, fn)
	}
	if !p.isDatabase() {
		return a.withFolder(ctx, p, out, fn)
	}
	store, err := p.open(ctx)
	if errors.Is(err, queue.ErrLocked) {
		return fmt.Errorf("%w; stop it first, also those that stand by, and run this again", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, a.newLive(p, store), out), store.Close())
}

// findStore returns the place that --dir names, where there must be a store. In the
// process that has the store it is the place of that.
func (a *app) findStore(ctx context.Context, dir string) (place, error) {
	if a.live != nil {
		return a.live.place, nil
	}
	p, err := parsePlace(dir, "")
	if err != nil {
		return p, err
	}
	state, err := p.state(ctx)
	if err == nil && !state.Exists {
		err = fmt.Errorf("there is no crawl in %s; begin one with '%s crawl%s URL', or name its place with --dir", p.name, a.name, explicitDir(p.name))
	}
	return p, err
}

// withFolder runs fn here or in the process that has the folder open.
func (a *app) withFolder(ctx context.Context, p place, out io.Writer, fn func(ctx context.Context, l *live, out io.Writer) error) error {
	if a.live != nil {
		return fn(ctx, a.live, out)
	}
	for deadline := time.Now().Add(lockPatience); ; {
		l, err := a.openLive(p, nil, false, func(error) {})
		if err == nil {
			return errors.Join(fn(ctx, l, out), l.close())
		}
		if !errors.Is(err, queue.ErrLocked) {
			return err
		}
		code, ferr := forward(ctx, p.folder, a.args, out, a.err)
		switch {
		case ferr == nil && code == exitOK:
			return nil
		case ferr == nil:
			return exitError(code)
		case !errors.Is(ferr, errNobody):
			return ferr
		case time.Now().After(deadline):
			return fmt.Errorf("%w, which does not answer", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
