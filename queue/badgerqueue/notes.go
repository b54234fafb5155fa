package badgerqueue

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-301537d8/weir/queue/driver"
)

// notes is an append-only file of records, each a length, a checksum and the
// bytes. A record is written with one system call, which outlives the process.
type notes struct {
	path string
	f    *os.File
	buf  []byte
}

const maxNote = 16 << 20

// openNotes opens the file, which a complete store must have.
func openNotes(dir string, complete bool) (*notes, error) {
	n := &notes{path: filepath.Join(dir, notesFile)}
	flags := os.O_RDWR | os.O_APPEND
	if !complete {
		flags |= os.O_CREATE
	}
	var err error
	n.f, err = os.OpenFile(n.path, flags, 0o644)
	if complete && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: file %s is missing, which counts attempts that a crash has cut short; make an empty one to go on without these counts", driver.ErrCorrupt, notesFile)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func appendNote(b, note []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(note)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(note))
	return append(b, note...)
}

func (n *notes) append(note []byte) error {
	n.buf = appendNote(n.buf[:0], note)
	_, err := n.f.Write(n.buf)
	return err
}

// read calls fn for each whole record. A record that does not check was cut
// short by a crash, and ends the notes.
func (n *notes) read(fn func([]byte)) error {
	if _, err := n.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReader(n.f)
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return endOfNotes(err)
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > maxNote {
			return nil
		}
		note := make([]byte, size)
		if _, err := io.ReadFull(r, note); err != nil {
			return endOfNotes(err)
		}
		if crc32.ChecksumIEEE(note) != binary.BigEndian.Uint32(head[4:]) {
			return nil
		}
		fn(note)
	}
}

func endOfNotes(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// reset replaces the file.
func (n *notes) reset(all [][]byte) error {
	var b []byte
	for _, note := range all {
		b = appendNote(b, note)
	}
	if err := replaceFile(n.path, b); err != nil {
		return err
	}
	f, err := os.OpenFile(n.path, os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	old := n.f
	n.f = f
	return old.Close()
}

func (n *notes) close() error { return n.f.Close() }
