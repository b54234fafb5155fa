//go:build !linux

package badgerqueue_test

import (
	"errors"
	"testing"
)

func memoryDir(tb testing.TB) string { return tb.TempDir() }

// A disk is a small filesystem of its own. Tests mount one on Linux only.
type disk struct{ dir string }

func mountMemory(testing.TB, int) *disk { return nil }
func mountImage(testing.TB, int) *disk  { return nil }

var errNoMount = errors.New("no mounts here")

func (d *disk) remount() error  { return errNoMount }
func (d *disk) cutPower() error { return errNoMount }
