package badgerqueue

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/seed-301537d8/weir/queue/driver"
)

// blocks says which blocks of a table verifyTable reads.
type blocks bool

const (
	lastBlock blocks = false // the one from which Badger learns the last key
	allBlocks blocks = true
)

// verifyTable checks a table's index and blocks, and returns the highest
// version in it. A table is
//
//	blocks | index | its length | checksum | its length
//
// and a block is entries | offsets | their number | checksum | its length.
func verifyTable(path string, which blocks) (maxVersion uint64, err error) {
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
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
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
		return 0, err
	}
	index, err := sized()
	if err != nil {
		return 0, err
	}
	if !checksumOK(index, sum) {
		return 0, bad("index does not match its checksum")
	}
	table := fb.GetRootAsTableIndex(index, 0)
	n := table.OffsetsLength()
	if n == 0 {
		return 0, bad("no blocks")
	}
	first := 0
	if which == lastBlock {
		first = n - 1
	}
	r := io.Reader(nil)
	next := int64(-1) // where r stands
	var at fb.BlockOffset
	var b []byte
	for i := first; i < n; i++ {
		table.Offsets(&at, i)
		start, length := int64(at.Offset()), int64(at.Len())
		if start+length > size || length < 8 {
			return 0, bad(fmt.Sprintf("block %d lies outside", i))
		}
		if start != next {
			r = newReadAhead(f, start, size)
		}
		next = start + length
		if int64(cap(b)) < length {
			b = make([]byte, length)
		}
		b = b[:length]
		if _, err := io.ReadFull(r, b); err != nil {
			return 0, err
		}
		end := len(b) - 4
		if k := int(binary.BigEndian.Uint32(b[end:])); k > end || !checksumOK(b[:end-k], b[end-k:end]) {
			return 0, bad(fmt.Sprintf("block %d does not match its checksum", i))
		}
	}
	return table.MaxVersion(), nil
}

func checksumOK(data, sum []byte) bool {
	var c pb.Checksum
	if proto.Unmarshal(sum, &c) != nil || c.Algo != pb.Checksum_CRC32C && c.Algo != pb.Checksum_XXHash64 {
		return false
	}
	return y.VerifyChecksum(data, &c) == nil
}
