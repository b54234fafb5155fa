package badgerqueue_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// TestBadLengthInManifest makes the last record of a manifest seem longer than it
// is. So it ends early, and what is wrong is noticed elsewhere: by a table that a
// compaction has replaced, or by batches that are nowhere. The error names it.
func TestBadLengthInManifest(t *testing.T) {
	const header = 8
	dir := t.TempDir()
	manifest := filepath.Join("badger", "MANIFEST")
	refused := func(what, dir string, names ...string) {
		t.Helper()
		s, err := badgerqueue.Open(dir, small())
		if err == nil {
			s.Close()
		}
		for _, name := range names {
			if !errors.Is(err, queue.ErrCorrupt) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want ErrCorrupt that names %s", what, err, name)
			}
		}
	}
	change := func(dir, file string, f func(b []byte) []byte) {
		t.Helper()
		path := filepath.Join(dir, file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	fillStore(t, s, 10, 100, newRand(1))
	crashed := copyFolder(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// Table 77 came first, and went last.
	record := func(op pb.ManifestChange_Operation) []byte {
		b, err := proto.Marshal(&pb.ManifestChangeSet{Changes: []*pb.ManifestChange{{Id: 77, Op: op}}})
		if err != nil {
			t.Fatal(err)
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
		return append(binary.BigEndian.AppendUint32(head, crc32.Checksum(b, y.CastagnoliCrcTable)), b...)
	}
	last := record(pb.ManifestChange_DELETE)
	change(dir, manifest, func(b []byte) []byte {
		all := append(b[:header:header], record(pb.ManifestChange_CREATE)...)
		return append(append(all, b[header:]...), last...)
	})
	flipped := copyFolder(t, dir)
	change(flipped, manifest, func(b []byte) []byte {
		b[len(b)-len(last)+3] ^= 1 << 5
		return b
	})
	refused("a table that was replaced", flipped, "000077.sst", "MANIFEST")
	if s, err = badgerqueue.Open(dir, small()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	change(crashed, manifest, func(b []byte) []byte { return append(b, 0, 0, 0) })
	change(crashed, "HIGH", func(b []byte) []byte {
		high := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(b)+100)
		return binary.BigEndian.AppendUint32(high, crc32.ChecksumIEEE(high))
	})
	refused("batches behind the last log", crashed, "MANIFEST", fmt.Sprintf("%05d.mem", 1))
}
