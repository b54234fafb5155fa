//go:build unix

package stages

import (
	"os/exec"
	"syscall"
)

// newProcessGroup makes the child the leader of a process group, so that its
// own children can be ended with it.
func newProcessGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killProcessGroup ends the child and all it started. If the child has been
// waited for and left nothing behind, its number is free for another group; that
// one made in the same moment gets it is too unlikely to guard against.
func killProcessGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
