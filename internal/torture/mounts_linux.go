package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A mount is a small filesystem on an image, through a loop device.
type mount struct{ dir, image string }

func (t *torture) mkfs(mib int64) (*mount, error) {
	m := &mount{filepath.Join(t.dir, "mnt"), filepath.Join(t.dir, "image")}
	unix.Unmount(m.dir, unix.MNT_DETACH)
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return nil, err
	}
	os.Remove(m.image)
	if err := os.WriteFile(m.image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(m.image, mib<<20); err != nil {
		return nil, err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", m.image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: mkfs.ext4: %v %s", errNoMounts, err, out)
	}
	return m, m.mount()
}

func (m *mount) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", m.image, m.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %v %s", errNoMounts, err, out)
	}
	return nil
}

// unmount waits for those who still have files open.
func (m *mount) unmount() (err error) {
	for range 100 {
		if err = unix.Unmount(m.dir, 0); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: %w", m.dir, err)
}

// remount mounts the image again, as soon as the system is done with the block device.
func (m *mount) remount() error {
	err := m.unmount()
	if err != nil {
		return err
	}
	for range 100 {
		if err = m.mount(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// cutPower stops the filesystem at once: what it has not handed to the block
// device is gone, its own log included, and every later write fails.
func (m *mount) cutPower() error {
	f, err := os.Open(m.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	const (
		ioctlShutdown = 0x8004587d // EXT4_IOC_SHUTDOWN
		noLogFlush    = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	flags := uint32(noLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return errno
	}
	return nil
}

func powerCut(t *torture, until time.Time) (string, error) {
	var m *mount
	defer func() {
		if m != nil {
			m.unmount()
		}
	}()
	lives, settled, err := t.repeat(until, func(int) (*world, error) {
		var err error
		m, err = t.mkfs(8 << 10) // never full: the image is sparse
		return newWorld(filepath.Join(t.dir, "mnt", "store")), err
	}, func(w *world) error {
		d, early := t.when(time.Second)
		if err := w.lifeFor(d, early, program(), m.cutPower); err != nil {
			return err
		}
		return m.remount()
	})
	return fmt.Sprintf("%d power cuts, %d items settled", lives, settled), err
}

// diskFull lets a store fill its disk, and kills it when it has been full for a
// while.
func diskFull(t *torture, until time.Time) (string, error) {
	var m *mount
	defer func() {
		if m != nil {
			m.unmount()
		}
	}()
	n := 0
	lives, settled, err := t.repeat(until, func(int) (*world, error) {
		var err error
		m, err = t.mkfs(240)
		return newWorld(filepath.Join(t.dir, "mnt", "store")), err
	}, func(w *world) error {
		w.full = false
		if err := w.lifeFor(3*time.Second, false, program(), nil, "-fill"); err != nil {
			return err
		}
		if w.full {
			n++
		}
		return nil
	})
	return fmt.Sprintf("%d lives, in %d of them the disk was full, %d items settled", lives, n, settled), err
}
