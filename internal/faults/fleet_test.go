//go:build unix

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// output is the last that a process has said, in all its lives.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range bytes.SplitAfter(b, []byte("\n")) {
		if len(line) > 0 {
			o.buf.WriteString(time.Now().Format("05.000 "))
			o.buf.Write(line)
		}
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// member is a process that is started again whenever it has died.
type member struct {
	name  string
	args  []string
	links []*Link // between it and the others
	out   output

	mu   sync.Mutex
	cmd  *exec.Cmd
	last bool // it is not started again
}

// run runs the process until it ends well, or for good.
func (m *member) run(ctx context.Context) (ended bool) {
	for {
		m.mu.Lock()
		if m.last || ctx.Err() != nil {
			m.mu.Unlock()
			return false
		}
		m.cmd = exec.Command(os.Args[0], m.args...)
		m.cmd.Env = append(os.Environ(), asWeir+"=1", "WEIR_TOKEN="+token)
		m.cmd.Stdout, m.cmd.Stderr = &m.out, &m.out
		err := m.cmd.Start()
		m.mu.Unlock()
		if err == nil {
			err = m.cmd.Wait()
		}
		if err == nil {
			return true
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() >= 0 { // as systemd does
			fmt.Fprintf(&m.out, "--- %v\n", err)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		fmt.Fprintf(&m.out, "--- killed\n")
	}
}

// end kills the process for good.
func (m *member) end() {
	m.mu.Lock()
	m.last = true
	m.mu.Unlock()
	m.signal(syscall.SIGKILL)
}

func (m *member) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Signal(s) // it may have ended
	}
}

func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil || m.cmd.Process == nil {
		return 0
	}
	return m.cmd.Process.Pid
}
