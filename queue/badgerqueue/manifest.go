package badgerqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/seed-301537d8/weir/queue/driver"
)

const manifestFile = "MANIFEST"

// manifestHeader is a magic word, an extension of it that is not used, and the
// version of the format. Badger reads only this one.
var manifestHeader = []byte("Bdgr\x00\x00\x00\x08")

// manifest is what a manifest says.
type manifest struct {
	tables map[uint64]bool // by their numbers
	cut    bool            // it ends within a record
}

// readManifest returns nil if there is no manifest. A record is a length, a
// checksum and the bytes. One that was cut short, or whose length has gone bad,
// ends the manifest, as it does for Badger: what it says had not been relied on,
// or the tables and logs that are named before it will not fit together.
func readManifest(dir string) (*manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bad := func(what string, at int) error {
		return fmt.Errorf("%w: file %s: %s at byte %d", driver.ErrCorrupt, manifestFile, what, at)
	}
	if !bytes.HasPrefix(b, manifestHeader) {
		return nil, bad("no header", 0)
	}
	m := &manifest{tables: make(map[uint64]bool)}
	at := len(manifestHeader)
	for len(b)-at >= 8 {
		size := int(binary.BigEndian.Uint32(b[at:]))
		if size > len(b)-at-8 {
			if size > len(b) {
				return nil, bad("impossible length", at) // Badger refuses it too
			}
			break
		}
		record := b[at+8 : at+8+size]
		if crc32.Checksum(record, y.CastagnoliCrcTable) != binary.BigEndian.Uint32(b[at+4:]) {
			return nil, bad("a record does not match its checksum", at)
		}
		var changes pb.ManifestChangeSet
		if err := proto.Unmarshal(record, &changes); err != nil {
			return nil, bad("a malformed record", at)
		}
		for _, c := range changes.Changes {
			if c.Op == pb.ManifestChange_CREATE {
				m.tables[c.Id] = true
			} else {
				delete(m.tables, c.Id)
			}
		}
		at += 8 + size
	}
	m.cut = at < len(b)
	return m, nil
}
