package badgerqueue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"

	"github.com/dgraph-io/badger/v4/y"

	"github.com/seed-301537d8/weir/queue/driver"
)

// Of the format of Badger's logs: the length of a file's header, and the flags
// of the entries of a transaction, of its end, and of those whose value lies in
// the log of values.
const (
	logHeader    = 20
	metaTxn      = 1 << 6
	metaFinTxn   = 1 << 7
	maxEntryHead = 22
)

// logEntry is an entry of a log.
type logEntry struct {
	meta       byte
	key, value []byte
	size       int // in the file
}

// nextEntry decodes the entry at the beginning of b. It reports false at the
// end of the log or at an entry that is broken, where Badger cuts the log.
//
// An entry is meta, user meta, the lengths of key and value and the time of
// expiry as uvarints, the key, the value, and a checksum of all that.
func nextEntry(b []byte) (e logEntry, ok bool) {
	if len(b) < 2 {
		return e, false
	}
	at := 2
	var sizes [3]uint64
	for i := range sizes {
		v, n := binary.Uvarint(b[at:min(len(b), maxEntryHead)])
		if n <= 0 {
			return e, false
		}
		sizes[i] = v
		at += n
	}
	if sizes[0] == 0 || sizes[0] > 1<<16 || sizes[1] > uint64(len(b)) {
		return e, false
	}
	end := at + int(sizes[0]) + int(sizes[1])
	if end+4 > len(b) || crc32.Checksum(b[:end], y.CastagnoliCrcTable) != binary.BigEndian.Uint32(b[end:]) {
		return e, false
	}
	keyEnd := at + int(sizes[0])
	return logEntry{b[0], b[at:keyEnd], b[keyEnd:end], end + 4}, true
}

// memLog is what a memtable's log holds: batches first to last, none if first
// is 0. whole says that nothing but zeros comes after them.
type memLog struct {
	path        string
	size        int // without most of the zeros at its end
	first, last uint64
	whole       bool
}

// readMemLog reads a memtable's log as Badger will.
func readMemLog(path string) (memLog, error) {
	m := memLog{path: path}
	b, err := readSparse(path)
	if err != nil {
		return m, err
	}
	m.size = len(b)
	if n := min(8, len(b)); !allZero(b[:n]) {
		return m, fmt.Errorf("%w: log %s: names an encryption key, and there is none", driver.ErrCorrupt, path)
	}
	at, open := min(logHeader, len(b)), uint64(0)
	whole := at // where the last whole batch ends
	for {
		e, ok := nextEntry(b[at:])
		if !ok {
			break
		}
		at += e.size
		if e.meta&metaTxn != 0 && len(e.key) >= 8 {
			if ts := y.ParseTs(e.key); open == 0 {
				open = ts
			} else if open != ts {
				break
			}
		} else if e.meta&metaFinTxn != 0 {
			if ts, err := strconv.ParseUint(string(e.value), 10, 64); err != nil || ts != open {
				break
			}
			if m.first == 0 {
				m.first = open
			}
			m.last, open = open, 0
			whole = at
		} else if open != 0 {
			break
		} else {
			whole = at // moved by a collection of the log of values
		}
	}
	m.whole = allZero(b[whole:])
	return m, nil
}

var zeros [64 << 10]byte

func allZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// readSparse returns a file's content without most of the zeros at its end: logs
// are made longer than what is written to them.
func readSparse(path string) ([]byte, error) {
	end, err := endOfData(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, end)
	_, err = io.ReadFull(f, b)
	return b, err
}

// endOfData returns an offset in a file from which on there are only zeros, at
// most a piece behind the first of them.
func endOfData(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	const piece = 1 << 20
	end := info.Size()
	for b := make([]byte, piece); end > 0; end -= int64(len(b)) {
		b = b[:min(end, piece)]
		if _, err := f.ReadAt(b, end-int64(len(b))); err != nil {
			return 0, err
		}
		if !allZero(b) {
			break
		}
	}
	return min(end+piece, info.Size()), nil
}

// newReadAhead returns a reader of f between two offsets that reads large
// pieces.
func newReadAhead(f *os.File, from, to int64) io.Reader {
	return &readAhead{r: io.NewSectionReader(f, from, to-from)}
}

type readAhead struct {
	r    io.Reader
	buf  []byte
	rest []byte
}

func (r *readAhead) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.buf == nil {
			r.buf = make([]byte, 256<<10)
		}
		n, err := r.r.Read(r.buf)
		if n == 0 {
			return 0, err
		}
		r.rest = r.buf[:n]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
