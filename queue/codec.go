package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dchest/siphash"

	"github.com/seed-301537d8/weir/internal/wire"
)

// hash128 is the keyed hash of an item's identity.
type hash128 [16]byte

// secret is the store's hash key: chosen at random when the store is made, so
// that nobody can prepare URLs that collide.
type secret struct{ k0, k1 uint64 }

// hash is SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012).
func (s secret) hash(key string) (h hash128) {
	lo, hi := siphash.Hash128(s.k0, s.k1, []byte(key))
	binary.BigEndian.PutUint64(h[:8], lo)
	binary.BigEndian.PutUint64(h[8:], hi)
	return h
}

// An item is stored as
//
//	format|flags  attempts  enqueued  [expires]  [batch]  [key]  [headers]  body
//
// where numbers are uvarints and strings have their length before them, or with a
// history in the place of the attempts. These come right after the first byte so
// that a retry need not decode the rest.
const (
	itemFormat     = 0x10 // the first byte, without flags
	itemHistory    = 0x30 // the same of an item with a history
	flagKey        = 0x01
	flagHeaders    = 0x02
	flagExpires    = 0x04
	flagLive       = 0x08 // the key's mark goes when the item does
	flagBatch      = 0x40
	itemFlags      = 0x4f
	maxItemHeaders = 64
)

// appendItem encodes an item that has been delivered attempts times.
func appendItem(b []byte, it *Item, attempts int, enqueued int64) []byte {
	flags := byte(itemFormat)
	if it.Key != "" {
		flags |= flagKey
		if it.Mode != Once {
			flags |= flagLive
		}
	}
	if len(it.Headers) > 0 {
		flags |= flagHeaders
	}
	if !it.Expires.IsZero() {
		flags |= flagExpires
	}
	if it.Batch != "" {
		flags |= flagBatch
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(attempts))
	b = binary.AppendUvarint(b, uint64(enqueued))
	if flags&flagExpires != 0 {
		b = binary.AppendUvarint(b, uint64(it.Expires.UnixMilli()))
	}
	if flags&flagBatch != 0 {
		b = wire.AppendString(b, it.Batch)
	}
	if flags&flagKey != 0 {
		b = append(b, byte(it.Mode))
		b = wire.AppendString(b, it.Key)
	}
	if flags&flagHeaders != 0 {
		b = appendHeaders(b, it.Headers)
	}
	return append(b, it.Body...)
}

// encodedItemSize bounds the length of appendItem's result.
func encodedItemSize(it *Item) int {
	n := 1 + 5 + 10 + len(it.Body)
	if !it.Expires.IsZero() {
		n += 10
	}
	if it.Batch != "" {
		n += 2 + len(it.Batch)
	}
	if it.Key != "" {
		n += 4 + len(it.Key)
	}
	for name, value := range it.Headers {
		n += len(name) + len(value) + 6
	}
	return n
}

// malformed returns an error that names what was read if any of it could not be.
func malformed(r *wire.Reader, what string) error {
	if r.OK() {
		return nil
	}
	return fmt.Errorf("%w: malformed %s", ErrCorrupt, what)
}

// malformedItem is malformed for an item.
func malformedItem(r *wire.Reader, id uint64) error {
	if r.OK() {
		return nil
	}
	return malformed(r, fmt.Sprintf("item %d", id))
}

// storedItem is a decoded item. Body shares memory with what was decoded.
type storedItem struct {
	Item
	history
	enqueued int64 // Unix milliseconds
	expires  int64 // Unix milliseconds, or 0
}

// decodeItem decodes a stored item that lies at l.
func decodeItem(l loc, value []byte) (storedItem, error) {
	var s storedItem
	r := wire.NewReader(value)
	flags := r.Byte()
	if f := flags &^ itemFlags; f != itemFormat && f != itemHistory {
		return s, fmt.Errorf("%w: item %d has format %#x", ErrCorrupt, l.id, flags)
	}
	s.history = readHistory(&r, flags)
	s.enqueued = int64(r.Uvarint())
	if flags&flagExpires != 0 {
		s.expires = int64(r.Uvarint())
		s.Expires = time.UnixMilli(s.expires)
	}
	if flags&flagBatch != 0 {
		s.Batch = r.Text()
	}
	if flags&flagKey != 0 {
		s.Mode = Mode(r.Byte())
		s.Key = r.Text()
	}
	if flags&flagHeaders != 0 {
		s.Headers = readHeaders(&r)
	}
	s.Body = r.Rest()
	s.Group = l.group
	s.Priority = int(l.prio)
	return s, malformedItem(&r, l.id)
}

// ref is an item in memory that is not decoded: what scheduling needs, and
// the stored bytes.
type ref struct {
	id       uint64
	attempts int32 // deliveries so far
	deaths   int32 // of them
	keyed    bool
	live     bool   // has a mark that goes with it
	batched  bool   // is in a batch
	index    uint8  // in block
	block    *block // nil if the item is stored alone
	expires  int64  // Unix milliseconds, or 0
	value    []byte
}

// clone returns the ref with bytes of its own.
func (f ref) clone() ref {
	f.value = bytes.Clone(f.value)
	return f
}

// at returns where a ready item of a lane is stored.
func (f ref) at(queue uint16, k laneKey) loc {
	at := k.loc()
	at.queue, at.id = queue, f.id
	if f.block != nil {
		at.block = f.block.first
	}
	return at
}

// floor returns an id that a scan of the lane must begin at, or before, to find
// the item.
func (f ref) floor() uint64 {
	if f.block != nil {
		return f.block.first
	}
	return f.id
}

// makeRef reads the head of a stored item.
func makeRef(id uint64, value []byte) (ref, error) {
	r := wire.NewReader(value)
	flags := r.Byte()
	f := ref{id: id, value: value, keyed: flags&flagKey != 0, live: flags&flagLive != 0, batched: flags&flagBatch != 0}
	f.attempts = int32(r.Int())
	switch flags &^ itemFlags {
	case itemFormat:
	case itemHistory:
		f.deaths = int32(r.Int())
		r.Int()   // blamed
		r.Bytes() // failure
	default:
		r.Fail()
	}
	if flags&flagExpires != 0 {
		r.Uvarint()
		f.expires = int64(r.Uvarint())
	}
	return f, malformedItem(&r, id)
}

// keyHash returns the hash of a keyed item's identity.
func (f ref) keyHash(s secret) hash128 {
	it, err := decodeItem(loc{id: f.id}, f.value)
	if err != nil {
		return hash128{} // makeRef has accepted the head; a mark that is not found is no harm
	}
	return s.hash(it.Key)
}

// mark is what is stored about a key: whether it was ever enqueued with mode
// Once, and where its last item was put. Whether that item is still live is
// seen by looking there.
type mark struct {
	ever bool
	at   loc // the queue is that of the mark
}

const (
	markEver  = 1 << iota // enqueued with mode Once
	markBlock             // the item is in a block
)

func (m mark) append(b []byte) []byte {
	var flags byte
	if m.ever {
		flags = markEver
	}
	if m.at.block != 0 {
		flags |= markBlock
	}
	b = append(b, flags, byte(m.at.prio))
	b = binary.AppendUvarint(b, m.at.id)
	if m.at.block != 0 {
		b = binary.AppendUvarint(b, m.at.id-m.at.block)
	}
	b = binary.AppendUvarint(b, uint64(m.at.epoch))
	b = binary.AppendUvarint(b, uint64(m.at.due))
	return append(b, m.at.group...)
}

func decodeMark(q uint16, b []byte) (mark, error) {
	r := wire.NewReader(b)
	flags := r.Byte()
	m := mark{ever: flags&markEver != 0}
	m.at.queue = q
	m.at.prio = int8(r.Byte())
	m.at.id = r.Uvarint()
	if flags&markBlock != 0 {
		if m.at.block = m.at.id - r.Uvarint(); m.at.block > m.at.id || m.at.block == 0 {
			r.Fail()
		}
	}
	m.at.epoch = uint32(r.Uvarint())
	m.at.due = int64(r.Uvarint())
	m.at.group = string(r.Rest())
	return m, malformed(&r, "mark")
}

// queueCounts are the numbers of a queue that change with every commit.
type queueCounts struct {
	open, tail uint32 // epochs
	dead       int64  // dead letters
	bytes      int64  // of unsettled items
	total      Totals
	marks      int64 // keys that are known, or unknownMarks
}

// unknownMarks is the number of marks where an earlier version has not counted them.
const unknownMarks = -1

// mark counts a mark that was made, or with -1 one that was deleted.
func (c *queueCounts) mark(n int64) {
	if c.marks != unknownMarks {
		c.marks += n
	}
}

func (c *queueCounts) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.open))
	b = binary.AppendUvarint(b, uint64(c.tail))
	b = binary.AppendUvarint(b, uint64(c.dead))
	b = binary.AppendUvarint(b, uint64(c.bytes))
	b = c.total.append(b)
	return binary.AppendUvarint(b, uint64(c.marks-unknownMarks))
}

func (c *queueCounts) decode(b []byte) error {
	r := wire.NewReader(b)
	c.open, c.tail = uint32(r.Uvarint()), uint32(r.Uvarint())
	c.dead, c.bytes = int64(r.Uvarint()), int64(r.Uvarint())
	c.total.decode(&r)
	c.marks = unknownMarks
	if r.Len() > 0 {
		c.marks += int64(r.Uvarint())
	}
	return malformed(&r, "queue counts")
}

// epochCounts are the numbers of an epoch that is not finished.
type epochCounts struct {
	live    int64 // unsettled items, the delayed ones among them
	delayed int64
	total   Totals
	dirty   bool  // not stored since it changed
	bytes   int64 // of deferredEpoch alone: of its items

	// returning counts the groups that come back into the epoch and have not
	// arrived yet. It is not stored, but follows from the deferrals.
	returning int
}

func (c *epochCounts) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.live))
	b = binary.AppendUvarint(b, uint64(c.delayed))
	return binary.AppendUvarint(c.total.append(b), uint64(c.bytes))
}

func (c *epochCounts) decode(b []byte) error {
	r := wire.NewReader(b)
	c.live, c.delayed = int64(r.Uvarint()), int64(r.Uvarint())
	c.total.decode(&r)
	if r.Len() > 0 {
		c.bytes = int64(r.Uvarint())
	}
	return malformed(&r, "epoch counts")
}

// Totals counts what has become of items, since the queue was made or within
// one epoch.
type Totals struct {
	Enqueued   int64 `json:"enqueued"`
	Duplicates int64 `json:"duplicates"` // offered with a key that was known
	Acked      int64 `json:"acked"`
	Retried    int64 `json:"retried"` // attempts that failed and were not the last
	Buried     int64 `json:"buried"`
	Expired    int64 `json:"expired"`
	Dropped    int64 `json:"dropped"` // removed or replaced before delivery

	// Deferred counts the items that have left the epoch unsettled, by
	// Tx.Defer and Tx.DeferGroup; Rejoined those that came back into it. Of
	// every epoch is true that what is Enqueued or Rejoined, less what is
	// Acked, Buried, Expired, Dropped or Deferred, is unsettled.
	Deferred int64 `json:"deferred,omitempty"`
	Rejoined int64 `json:"rejoined,omitempty"`
}

// totalsFields is how many numbers Totals has, and oldTotals how many it has in
// formats before the third.
const (
	totalsFields = 9
	oldTotals    = 7
)

func (t *Totals) fields() [totalsFields]*int64 {
	return [totalsFields]*int64{
		&t.Enqueued, &t.Duplicates, &t.Acked, &t.Retried, &t.Buried, &t.Expired, &t.Dropped, &t.Deferred, &t.Rejoined,
	}
}

func (t *Totals) append(b []byte) []byte {
	for _, f := range t.fields() {
		b = binary.AppendUvarint(b, uint64(*f))
	}
	return b
}

func (t *Totals) decode(r *wire.Reader) {
	for i, f := range t.fields() {
		if i == oldTotals && r.Len() == 0 && r.OK() {
			return
		}
		*f = int64(r.Uvarint())
	}
}

// groupRecord is what is stored about a group that has settings, or whose
// minimum delay has not passed yet.
type groupRecord struct {
	settings GroupSettings
	nextDue  int64 // Unix nanoseconds
}

func (g *groupRecord) append(b []byte) []byte {
	b = binary.AppendVarint(b, g.nextDue)
	b = binary.AppendVarint(b, int64(g.settings.MaxInFlight))
	b = binary.AppendVarint(b, int64(g.settings.MinDelay))
	var notBefore int64
	if !g.settings.NotBefore.IsZero() {
		notBefore = g.settings.NotBefore.UnixNano()
	}
	b = binary.AppendVarint(b, notBefore)
	var paused byte
	if g.settings.Paused {
		paused = 1
	}
	return append(b, paused)
}

func decodeGroup(b []byte) (groupRecord, error) {
	r := wire.NewReader(b)
	var g groupRecord
	g.nextDue = r.Varint()
	g.settings.MaxInFlight = int(r.Varint())
	g.settings.MinDelay = time.Duration(r.Varint())
	if t := r.Varint(); t != 0 {
		g.settings.NotBefore = time.Unix(0, t)
	}
	g.settings.Paused = r.Byte() != 0
	return g, malformed(&r, "group record")
}
