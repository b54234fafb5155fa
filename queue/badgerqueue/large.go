package badgerqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/dgraph-io/badger/v4"

	"github.com/seed-301537d8/weir/queue/driver"
)

// Badger keeps values of a mebibyte and more in files of their own, the logs of
// values, and finds them there by file number and offset alone: a file that is
// missing is made anew under its number, and then other bytes stand where the
// old key looks. So no value that large is given to Badger. It is cut into
// pieces, each with a key of its own, which lie in the same logs of memtables
// and the same tables as everything else, where a checksum binds each value to
// its key.
//
// The entry of the key holds a partition: which batch wrote the pieces, and how
// many there are. An index has an entry for each key and batch that have pieces.
//
//   - The pieces of a partition never change, and are there as long as an entry
//     or a read can refer to them.
//   - Pieces that no entry refers to any more are garbage: later batches delete
//     them, and the index entry with the last of them. What a crash leaves is
//     found by the index when the store is opened.

// Keys that nobody else sees. Package queue has no key above them or between
// them.
const (
	hiddenPrefix = "\xff\xffweir "
	batchKey     = hiddenPrefix + "batch" // see committed
	piecePrefix  = hiddenPrefix + "piece "
	indexPrefix  = hiddenPrefix + "index "
)

// inPieces is the user meta of an entry whose value is a partition.
const inPieces byte = 1

// A partition says where the pieces of a value are.
type partition struct {
	batch uint64 // that wrote them
	count uint32
	size  uint64 // of the value
}

const partitionSize = 8 + 4 + 8

func (p partition) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, partitionSize), p.batch)
	b = binary.BigEndian.AppendUint32(b, p.count)
	return binary.BigEndian.AppendUint64(b, p.size)
}

func decodePartition(b []byte) (p partition, ok bool) {
	if len(b) != partitionSize {
		return p, false
	}
	return partition{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:])}, true
}

func pieceKey(key []byte, batch uint64, i uint32) []byte {
	b := make([]byte, 0, len(piecePrefix)+len(key)+12)
	b = append(append(b, piecePrefix...), key...)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, batch), i)
}

func indexKey(key []byte, batch uint64) []byte {
	b := make([]byte, 0, len(indexPrefix)+len(key)+8)
	b = append(append(b, indexPrefix...), key...)
	return binary.BigEndian.AppendUint64(b, batch)
}

// largeValues knows which keys have pieces. The committer owns it.
type largeValues struct {
	piece   int // how long a piece is; values as long or longer are cut
	seed    maphash.Seed
	keys    map[uint64]struct{} // hashes of keys whose value may be in pieces
	garbage [][]byte            // keys to be deleted by later batches, in this order
}

// garbageWrites and garbageBytes are how much garbage a batch deletes.
const (
	garbageWrites = 32
	garbageBytes  = 32 << 10
)

// largeReserve returns how much of Badger's limits is left for pieces and
// garbage: writes, and bytes of their keys. A batch of n bytes has at most
// 2n/piece pieces, and an index entry for each two of them.
func largeReserve(maxBytes int64, piece int) (writes int, bytes int64) {
	n := 4 * maxBytes / int64(piece)
	return int(n) + garbageWrites, n*maxHiddenKey + garbageBytes
}

// maxHiddenKey is how much one of the keys above takes of a batch at most.
const maxHiddenKey = 1024 + 64

func newLargeValues(piece int) largeValues {
	return largeValues{piece: piece, seed: maphash.MakeSeed(), keys: make(map[uint64]struct{})}
}

func (l *largeValues) hash(key []byte) uint64 { return maphash.Bytes(l.seed, key) }

// changes are what a batch changes of large values, applied when it is durable.
type changes struct {
	cut     []uint64 // hashes of keys whose values it cuts
	uncut   []uint64 // of keys that it sets or deletes
	garbage [][]byte
	deleted int // of the garbage that there was
}

// supersede notes that a write replaces the value of a key, if that is in pieces.
func (l *largeValues) supersede(txn *badger.Txn, key []byte, c *changes) error {
	if len(l.keys) == 0 {
		return nil
	}
	h := l.hash(key)
	if _, ok := l.keys[h]; !ok {
		return nil
	}
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if item.UserMeta() != inPieces {
		return nil // another key of that hash, or one that this batch has written before
	}
	p, err := readPartition(item)
	if err != nil {
		return err
	}
	c.uncut = append(c.uncut, h)
	c.garbage = p.appendKeys(c.garbage, key)
	return nil
}

// appendKeys appends all keys of a partition, that of the index last.
func (p partition) appendKeys(keys [][]byte, key []byte) [][]byte {
	for i := range p.count {
		keys = append(keys, pieceKey(key, p.batch, i))
	}
	return append(keys, indexKey(key, p.batch))
}

// set writes a large value. Each key has at most one in a batch.
func (l *largeValues) set(txn *badger.Txn, key, value []byte, batch uint64, c *changes) error {
	p := partition{batch: batch, size: uint64(len(value))}
	for rest := value; len(rest) > 0; p.count++ {
		n := min(len(rest), l.piece-1)
		if err := txn.SetEntry(badger.NewEntry(pieceKey(key, batch, p.count), rest[:n])); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if err := txn.SetEntry(badger.NewEntry(indexKey(key, batch), p.encode())); err != nil {
		return err
	}
	c.cut = append(c.cut, l.hash(key))
	return txn.SetEntry(badger.NewEntry(key, p.encode()).WithMeta(inPieces))
}

// sweep deletes some of the garbage.
func (l *largeValues) sweep(txn *badger.Txn, c *changes) error {
	for i, room := 0, garbageBytes; i < min(len(l.garbage), garbageWrites) && room >= maxHiddenKey; i++ {
		if err := txn.Delete(l.garbage[i]); err != nil {
			return err
		}
		room -= len(l.garbage[i]) + 64
		c.deleted++
	}
	return nil
}

// apply takes the changes of a durable batch in.
func (l *largeValues) apply(c *changes) {
	for _, h := range c.uncut {
		delete(l.keys, h)
	}
	for _, h := range c.cut {
		l.keys[h] = struct{}{}
	}
	l.garbage = append(l.garbage[c.deleted:], c.garbage...)
	if len(l.garbage) == 0 {
		l.garbage = nil
	}
}

// load reads the index, and finds which partitions are garbage.
func (l *largeValues) load(txn *badger.Txn) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(indexPrefix)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		p, err := readPartition(it.Item())
		if err != nil {
			return err
		}
		name := it.Item().KeyCopy(nil)
		key := name[len(indexPrefix) : len(name)-8]
		item, err := txn.Get(key)
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
		if err == nil && item.UserMeta() == inPieces {
			current, err := readPartition(item)
			if err != nil {
				return err
			}
			if current == p {
				l.keys[l.hash(key)] = struct{}{}
				continue
			}
		}
		l.garbage = p.appendKeys(l.garbage, key)
	}
	return nil
}

func readPartition(item *badger.Item) (p partition, err error) {
	err = item.Value(func(v []byte) error {
		var ok bool
		if p, ok = decodePartition(v); !ok {
			return fmt.Errorf("%w: a table (*.sst) or a log (*.mem): key %q says what cannot be of its large value", driver.ErrCorrupt, item.Key())
		}
		return nil
	})
	return p, err
}

// readValue calls fn with the value of an item, which is valid until it returns.
func (d *store) readValue(txn *badger.Txn, item *badger.Item, fn func([]byte)) error {
	if item.UserMeta() != inPieces {
		return item.Value(func(v []byte) error {
			if len(v) == 0 && item.ValueSize() > 0 { // of format 1: see upgrade
				return fmt.Errorf("%w: a log of values (*.vlog): value of key %q", driver.ErrCorrupt, item.Key())
			}
			fn(v)
			return nil
		})
	}
	p, err := readPartition(item)
	if err != nil {
		return err
	}
	first := pieceKey(item.Key(), p.batch, 0)
	if err := d.pending.verify(first, pieceKey(item.Key(), p.batch, p.count), nil); err != nil {
		return err
	}
	value := make([]byte, 0, p.size)
	for i := range p.count {
		piece, err := txn.Get(pieceKey(item.Key(), p.batch, i))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return fmt.Errorf("%w: a table (*.sst) or a log (*.mem): piece %d of the value of key %q is missing", driver.ErrCorrupt, i, item.Key())
		}
		if err == nil {
			err = piece.Value(func(v []byte) error { value = append(value, v...); return nil })
		}
		if err != nil {
			return err
		}
	}
	if uint64(len(value)) != p.size {
		return fmt.Errorf("%w: a table (*.sst) or a log (*.mem): the value of key %q has %d bytes of %d", driver.ErrCorrupt, item.Key(), len(value), p.size)
	}
	fn(value)
	return nil
}

// verifyLargeValues reads every value that is in pieces.
func (d *store) verifyLargeValues(ctx context.Context) error {
	defer d.readers.leave(d.readers.enter())
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(indexPrefix)})
	defer it.Close()
	for it.Rewind(); it.Valid() && ctx.Err() == nil; it.Next() {
		name := it.Item().KeyCopy(nil)
		item, err := txn.Get(name[len(indexPrefix) : len(name)-8])
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue // garbage
		}
		if err == nil {
			err = d.readValue(txn, item, func([]byte) {})
		}
		if err != nil {
			return badgerError("verify", err)
		}
	}
	return ctx.Err()
}
