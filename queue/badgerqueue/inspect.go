package badgerqueue

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/seed-301537d8/weir/queue/driver"
)

// Badger mends what it takes for the traces of a crash: it cuts logs and a
// manifest at the first thing it cannot read, and deletes tables that the
// manifest does not name. If bytes have gone bad instead, that is damage done
// in silence, and some broken tables make it panic. So the files are inspected
// before Badger sees them, and what it might cut is kept aside until the
// high-water mark has shown that nothing was lost.

// inspection is what was found, and what to do afterwards.
type inspection struct {
	dir        string
	aside      []string // files of which a copy was put aside
	unverified []string // tables whose blocks have not been read
	suspect    string
}

// asideSuffix marks the copies.
const asideSuffix = ".aside"

func inspect(dir string, water *highWater, budget int64) (*inspection, error) {
	in := &inspection{dir: dir}
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST"))
	if errors.Is(err, fs.ErrNotExist) {
		if water.version > 0 {
			return nil, fmt.Errorf("%w: file MANIFEST is missing from %s", driver.ErrCorrupt, dir)
		}
		return in, nil
	}
	if err != nil {
		return nil, err
	}
	if end := manifestEnd(manifest); end < len(manifest) {
		in.suspect = "file MANIFEST ends within a record"
		in.aside = append(in.aside, "MANIFEST")
	} else if len(manifest) < int(water.manifest) {
		in.suspect = "file MANIFEST is shorter than it was"
		in.aside = append(in.aside, "MANIFEST")
	}
	if in.suspect != "" {
		tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
		for _, t := range tables {
			in.aside = append(in.aside, filepath.Base(t))
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return nil, err
	}
	for _, path := range logs {
		last, whole, err := logEnd(path)
		if err != nil {
			return nil, err
		}
		if !whole && last < water.version {
			in.aside = append(in.aside, filepath.Base(path))
		}
	}
	if err := in.inspectTables(budget); err != nil {
		return nil, err
	}
	for _, name := range in.aside {
		if err := copyFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// inspectTables checks the index of each table, and the blocks of as many as
// the budget allows, the newest first.
func (in *inspection) inspectTables(budget int64) error {
	paths, err := filepath.Glob(filepath.Join(in.dir, "*.sst"))
	if err != nil {
		return err
	}
	sort.Sort(sort.Reverse(sort.StringSlice(paths)))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		blocks := budget >= info.Size()
		if blocks {
			budget -= info.Size()
		} else {
			in.unverified = append(in.unverified, path)
		}
		if err := verifyTable(path, blocks); err != nil {
			return err
		}
	}
	return nil
}

// blame names what was cut.
func (in *inspection) blame() string {
	if len(in.aside) == 0 {
		return "a file *.mem or *.sst in " + in.dir + " is missing or cut"
	}
	return "damaged: " + strings.Join(in.aside, ", ") + " in " + in.dir
}

// restore puts the copies back over what Badger has made of the files.
func (in *inspection) restore() error {
	var errs []error
	for _, name := range in.aside {
		path := filepath.Join(in.dir, name)
		errs = append(errs, os.Rename(path+asideSuffix, path))
	}
	return errors.Join(errs...)
}

func (in *inspection) discard() {
	for _, name := range in.aside {
		os.Remove(filepath.Join(in.dir, name) + asideSuffix)
	}
}

func copyFile(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path+asideSuffix, content, 0o644)
}

// manifestEnd returns where the last whole record of a manifest ends. A record
// is a length, a checksum and the bytes; eight bytes come before the first.
func manifestEnd(b []byte) int {
	end := min(8, len(b))
	for len(b)-end >= 8 {
		n := int(binary.BigEndian.Uint32(b[end:]))
		if n > len(b)-end-8 {
			break
		}
		end += 8 + n
	}
	return end
}

// logEnd reads a memtable's log as Badger will. It returns the version of the
// last whole batch, and whether nothing but zeros comes after it.
func logEnd(path string) (last uint64, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	r := &logReader{r: bufio.NewReaderSize(f, 1<<20)}
	if _, err := io.CopyN(io.Discard, r.r, logHeader); err != nil {
		return 0, true, nil // Badger starts such a log anew
	}
	open := uint64(0)
	for {
		meta, key, value, ok := r.entry()
		if !ok {
			return last, r.onlyZeros(), nil
		}
		switch {
		case meta&metaFinTxn != 0:
			if string(value) != fmt.Sprint(open) {
				return last, false, nil
			}
			last, open = open, 0
		case meta&metaTxn != 0 && len(key) >= 8:
			ts := y.ParseTs(key)
			if open != 0 && open != ts {
				return last, false, nil
			}
			open = ts
		}
	}
}

// Of the format of Badger's log: the length of a file's header, and the flags
// of the entries of a transaction and of its end.
const (
	logHeader  = 20
	metaTxn    = 1 << 6
	metaFinTxn = 1 << 7
)

// logReader reads the entries of a log.
type logReader struct {
	r    *bufio.Reader
	crc  uint32
	seen bytes.Buffer // of the entry that is being read
}

func (l *logReader) ReadByte() (byte, error) {
	c, err := l.r.ReadByte()
	if err == nil {
		l.seen.WriteByte(c)
	}
	return c, err
}

// entry returns the next entry, or false at the end or at one that is broken.
func (l *logReader) entry() (meta byte, key, value []byte, ok bool) {
	l.seen.Reset()
	var head [2]byte
	for i := range head {
		c, err := l.ReadByte()
		if err != nil {
			return 0, nil, nil, false
		}
		head[i] = c
	}
	var sizes [3]uint64 // key, value, expiry
	for i := range sizes {
		n, err := binary.ReadUvarint(l)
		if err != nil {
			return 0, nil, nil, false
		}
		sizes[i] = n
	}
	if sizes[0] == 0 || sizes[0] > 1<<16 || sizes[1] > 1<<31 {
		return 0, nil, nil, false
	}
	start := l.seen.Len()
	if _, err := io.CopyN(&l.seen, l.r, int64(sizes[0]+sizes[1])); err != nil {
		return 0, nil, nil, false
	}
	var sum [4]byte
	if _, err := io.ReadFull(l.r, sum[:]); err != nil {
		return 0, nil, nil, false
	}
	if crc32.Checksum(l.seen.Bytes(), y.CastagnoliCrcTable) != binary.BigEndian.Uint32(sum[:]) {
		l.seen.Write(sum[:])
		return 0, nil, nil, false
	}
	body := l.seen.Bytes()[start:]
	return head[0], body[:sizes[0]], body[sizes[0]:], true
}

// onlyZeros reports whether what was read last, and all that follows, is zero.
func (l *logReader) onlyZeros() bool {
	for _, c := range l.seen.Bytes() {
		if c != 0 {
			return false
		}
	}
	for {
		c, err := l.r.ReadByte()
		if err != nil {
			return true
		}
		if c != 0 {
			return false
		}
	}
}

// verifyTable checks a table's index and, if asked to, its blocks. A table is
//
//	blocks | index | its length | checksum | its length
//
// and a block is entries | offsets | their number | checksum | its length.
func verifyTable(path string, blocks bool) (err error) {
	bad := func(what string) error {
		return fmt.Errorf("%w: table %s: %s", driver.ErrCorrupt, path, what)
	}
	defer func() {
		if recover() != nil { // the index is a FlatBuffer, which is read unchecked
			err = bad("malformed index")
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	tail := func(n int64) ([]byte, error) {
		if n < 0 || n > size {
			return nil, bad("truncated")
		}
		b := make([]byte, n)
		_, err := f.ReadAt(b, size-n)
		size -= n
		return b, err
	}
	sized := func() ([]byte, error) {
		b, err := tail(4)
		if err != nil {
			return nil, err
		}
		return tail(int64(binary.BigEndian.Uint32(b)))
	}
	sum, err := sized()
	if err != nil {
		return err
	}
	index, err := sized()
	if err != nil {
		return err
	}
	if !checksumOK(index, sum) {
		return bad("index does not match its checksum")
	}
	if !blocks {
		return nil
	}
	table := fb.GetRootAsTableIndex(index, 0)
	var at fb.BlockOffset
	var b []byte
	for i := range table.OffsetsLength() {
		table.Offsets(&at, i)
		if int64(at.Offset())+int64(at.Len()) > size || at.Len() < 8 {
			return bad(fmt.Sprintf("block %d lies outside", i))
		}
		b = append(b[:0], make([]byte, at.Len())...)
		if _, err := f.ReadAt(b, int64(at.Offset())); err != nil {
			return err
		}
		n := len(b) - 4
		if k := int(binary.BigEndian.Uint32(b[n:])); k > n || !checksumOK(b[:n-k], b[n-k:n]) {
			return bad(fmt.Sprintf("block %d does not match its checksum", i))
		}
	}
	return nil
}

func checksumOK(data, sum []byte) bool {
	var c pb.Checksum
	return proto.Unmarshal(sum, &c) == nil && y.VerifyChecksum(data, &c) == nil
}

// verifyRest checks the tables that Open had no time for.
func (d *store) verifyRest(paths []string) {
	for _, path := range paths {
		select {
		case <-d.stop:
			return
		default:
		}
		if err := verifyTable(path, true); errors.Is(err, driver.ErrCorrupt) {
			d.log.Error("store is corrupt", "err", err)
			d.corrupt.Store(&err)
			return
		} // another error: compaction has removed the table
	}
}

// verifyOpen checks everything of an open database that has a checksum.
func verifyOpen(db *badger.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", driver.ErrCorrupt, r)
		}
	}()
	if err := db.VerifyChecksum(); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrCorrupt, err)
	}
	// Large values lie in a log of their own, and are checked as they are read.
	txn := db.NewTransactionAt(db.MaxVersion(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := it.Item().Value(func([]byte) error { return nil }); err != nil {
			return fmt.Errorf("%w: value of key %q: %w", driver.ErrCorrupt, it.Item().Key(), err)
		}
	}
	return nil
}
