package stages

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// An execChild is one process and the goroutines that serve its pipes. All of
// them end when kill or stop returns, whatever the process does: both close
// this process's ends of the pipes, which wakes everyone who waits on them.
type execChild struct {
	cmd    *exec.Cmd
	lines  chan execLine // from the reader; unbuffered, so a flood waits in the pipe
	input  chan []byte   // to the writer
	stdin  io.WriteCloser
	stdout io.ReadCloser
	gone   chan struct{} // closed by kill: nobody reads lines any more
	wg     sync.WaitGroup
	wait   sync.Once
	exit   error // what Wait returned; read after waited
	waited chan struct{}
}

// An execLine is one line of a child's standard output, or the error that ended
// it.
type execLine struct {
	text []byte
	err  error
}

var errLongLine = errors.New("the child wrote a line over the limit")

func (e *Exec) start(log *slog.Logger) (*execChild, error) {
	cmd := exec.Command(e.Command[0], e.Command[1:]...)
	cmd.Dir = e.Dir
	cmd.Env = append(os.Environ(), e.Env...)
	newProcessGroup(cmd)
	// A grandchild may hold standard error open for ever.
	cmd.WaitDelay = time.Second
	logs := &logWriter{named: make(chan struct{})}
	cmd.Stderr = logs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	logs.log = log.With("pid", cmd.Process.Pid)
	close(logs.named)
	c := &execChild{
		cmd: cmd, stdin: stdin, stdout: stdout,
		lines: make(chan execLine), input: make(chan []byte, 2),
		gone: make(chan struct{}), waited: make(chan struct{}),
	}
	c.wg.Go(func() { c.read(cmp.Or(e.MaxLine, DefaultExecMaxLine)) })
	in := c.input
	c.wg.Go(func() { c.feed(in) })
	return c, nil
}

// read passes on the lines of standard output, then the error that ended them.
func (c *execChild) read(maxLine int) {
	r := bufio.NewReaderSize(c.stdout, 64<<10)
	for {
		text, err := readLine(r, maxLine)
		select {
		case c.lines <- execLine{text, err}:
		case <-c.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

// readLine reads a line of at most limit bytes, without its end. A last line
// without an end is no line: its writer died on it.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return nil, errLongLine
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, io.EOF
		}
	}
}

// write hands a line to the writer; false if two are waiting already, which an
// honest child never lets happen, as it reads what it answers.
func (c *execChild) write(line []byte) bool {
	select {
	case c.input <- line:
		return true
	default:
		return false
	}
}

// feed writes to standard input, so that a child that does not read costs time
// but blocks nobody. Its errors show as the end of standard output.
func (c *execChild) feed(input <-chan []byte) {
	for line := range input {
		if _, err := c.stdin.Write(line); err != nil {
			break
		}
	}
	_ = c.stdin.Close()
}

// kill ends the process group at once and waits for everything to be over.
func (c *execChild) kill() {
	killProcessGroup(c.cmd)
	c.finish()
}

// stop closes standard input and gives the process a time to exit; then kill.
func (c *execChild) stop(grace time.Duration) {
	close(c.input)
	c.input = nil
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	c.reap()
	lines := c.lines // what it says now is of no use to anyone, but must not block it
	for over := false; !over; {
		select {
		case l := <-lines:
			if l.err != nil {
				lines = nil
			}
		case <-c.waited:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	killProcessGroup(c.cmd) // what it may have left behind
	c.finish()
}

func (c *execChild) finish() {
	close(c.gone)
	if c.input != nil {
		close(c.input)
	}
	_ = c.stdin.Close()
	c.reap()
	<-c.waited // Wait closes standard output, which ends the reader
	_ = c.stdout.Close()
	c.wg.Wait()
}

// reap waits for the process in a goroutine of its own, once.
func (c *execChild) reap() {
	c.wait.Do(func() {
		c.wg.Go(func() {
			c.exit = c.cmd.Wait()
			close(c.waited)
		})
	})
}

// exitError says how a process whose output has ended went, waiting a moment
// for it to do so.
func (c *execChild) exitError() error {
	c.reap()
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-c.waited:
		if c.exit == nil {
			return errors.New("the child exited")
		}
		return fmt.Errorf("the child exited: %w", c.exit)
	case <-t.C:
		return errors.New("the child closed its standard output")
	}
}

// maxLogLine bounds a line of a child's standard error.
const maxLogLine = 4 << 10

// A logWriter logs what is written to it, line by line. Only the goroutine that
// copies standard error uses it.
type logWriter struct {
	named chan struct{} // closed when there is a log, which has the number of the process
	log   *slog.Logger
	line  []byte
}

func (w *logWriter) Write(p []byte) (int, error) {
	<-w.named
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		if room := maxLogLine - len(w.line); room > 0 {
			w.line = append(w.line, part[:min(room, len(part))]...)
		}
		if i < 0 {
			break
		}
		p = p[i+1:]
		if line := bytes.TrimRight(w.line, "\r"); len(line) > 0 {
			w.log.Info("exec: "+string(bytes.ToValidUTF8(line, []byte("\ufffd"))), "stream", "stderr")
		}
		w.line = w.line[:0]
	}
	return n, nil
}
