package stages

import (
	"os/exec"
	"strconv"
	"syscall"
)

// newProcessGroup keeps the console's Ctrl-C from the child, which is ended by
// the end of its standard input.
func newProcessGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killProcessGroup ends the child and all it started.
func killProcessGroup(cmd *exec.Cmd) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
	_ = cmd.Process.Kill()
}
