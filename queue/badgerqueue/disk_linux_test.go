package badgerqueue_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memoryDir returns an empty folder that goes away with the test: in memory if there is
// plenty, where nothing waits for a disk.
func memoryDir(tb testing.TB) string {
	const shm, plenty = "/dev/shm", 2 << 30
	var st unix.Statfs_t
	if unix.Statfs(shm, &st) != nil || st.Bavail*uint64(st.Bsize) < plenty {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "badgerqueue-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A disk is a small filesystem of its own.
type disk struct {
	dir   string
	image string // of the block device, or "" for memory
}

// mountMemory and mountImage return nil where mounting is not permitted; the
// caller then has a substitute, which shows less. In CI that is a failure.
func mountMemory(tb testing.TB, mib int) *disk {
	tb.Helper()
	d := &disk{dir: tb.TempDir()}
	if err := unix.Mount("weirtest", d.dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		noMounts(tb, err)
		return nil
	}
	tb.Cleanup(func() { unix.Unmount(d.dir, unix.MNT_DETACH) })
	return d
}

func mountImage(tb testing.TB, mib int) *disk {
	tb.Helper()
	d := &disk{dir: tb.TempDir(), image: filepath.Join(tb.TempDir(), "image")}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Truncate(d.image, int64(mib)<<20); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		noMounts(tb, fmt.Errorf("mkfs.ext4: %w: %s", err, out))
		return nil
	}
	if err := d.mount(); err != nil {
		noMounts(tb, err)
		return nil
	}
	tb.Cleanup(func() { unix.Unmount(d.dir, unix.MNT_DETACH) })
	return d
}

func noMounts(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("CI must be able to mount filesystems of its own, or power cuts and full disks go untested: %v", err)
	}
	tb.Logf("NOT TESTED as it should be: no mounts here (%v); a substitute is used", err)
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// remount mounts the image again. For a moment a process that another test starts may
// have what was open here, and the system may not be done with the block device.
func (d *disk) remount() (err error) {
	for range patience {
		if err = unix.Unmount(d.dir, 0); err != unix.EBUSY {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	for range patience {
		if err = d.mount(); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// patience is how many times the system is asked for what it refuses for a moment.
const patience = 200

// cutPower stops the filesystem at once: what it has not handed to the block
// device is gone, and every later write fails.
func (d *disk) cutPower() error {
	f, err := os.Open(d.dir)
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
