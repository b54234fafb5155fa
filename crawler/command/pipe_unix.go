//go:build !windows

package command

import (
	"errors"
	"io"
	"syscall"
)

// isClosedPipe reports whether a write failed since nobody reads any more.
func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}
