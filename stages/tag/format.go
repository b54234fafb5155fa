package tag

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/seed-301537d8/weir/internal/wire"
)

// A model file is the magic line, then four numbers of 32 bits, low byte
// first: the version of the format, the length of the body, its CRC-32 and
// the length of what follows, which is the body compressed with DEFLATE. The
// body is made of unsigned varints, strings with their length in front, and
// runs of bytes. Columns of a table stand one after the other, since alike
// bytes together compress better.

const (
	magic         = "weir tag\n"
	formatVersion = 1
	headerSize    = len(magic) + 16

	maxBody    = 64 << 20 // largest body that Load accepts, and that Train writes
	maxStrings = 1 << 16
)

// Errors of [Load]. They are wrapped with what exactly is wrong.
var (
	// ErrNotModel is returned when the input is no model file at all.
	ErrNotModel = errors.New("not a tagger model")
	// ErrVersion is returned for a model of another version of the format.
	ErrVersion = errors.New("unsupported model version")
	// ErrCorruptModel is returned when a model file is damaged or cut short.
	ErrCorruptModel = errors.New("corrupt tagger model")
)

// write writes the model in the form that readModel reads.
func (m *model) write(w io.Writer) error {
	var e encoder
	e.str(m.lang)
	e.num(len(m.labels))
	for _, l := range m.labels {
		e.str(l.upos)
		e.str(l.xpos)
	}
	e.lexicon(m.lex)
	e.strs(m.rules.abbreviations)
	e.num(len(m.rules.contractions))
	for _, c := range m.rules.contractions {
		e.str(c.form)
		e.strs(c.parts)
		e.bool(c.sometimes)
	}
	e.rows(m.rowsTag)
	e.rows(m.rowsEnd)
	if len(e.buf) > maxBody {
		return fmt.Errorf("tag: the model has %d bytes, at most %d are allowed", len(e.buf), maxBody)
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(e.buf); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	head := []byte(magic)
	head = binary.LittleEndian.AppendUint32(head, formatVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(e.buf)))
	head = binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE(e.buf))
	head = binary.LittleEndian.AppendUint32(head, uint32(packed.Len()))
	if _, err := w.Write(append(head, packed.Bytes()...)); err != nil {
		return fmt.Errorf("tag: write model: %w", err)
	}
	return nil
}

// Load reads a model that [Train] wrote. The error says what is wrong with a
// file that it cannot use: [ErrNotModel], [ErrVersion], [ErrCorruptModel], or
// an error of r. A damaged file costs no more memory than a large model.
func Load(r io.Reader) (*Tagger, error) {
	m, err := readModel(r, false)
	if err != nil {
		return nil, fmt.Errorf("tag: load model: %w", err)
	}
	return &Tagger{m: m}, nil
}

func readModel(r io.Reader, keepRows bool) (*model, error) {
	var head [headerSize]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if n < len(magic) || string(head[:len(magic)]) != magic {
			return nil, ErrNotModel
		}
		return nil, corrupt("cut short in the header, after %d bytes", n)
	}
	if string(head[:len(magic)]) != magic {
		return nil, ErrNotModel
	}
	field := func(i int) uint32 { return binary.LittleEndian.Uint32(head[len(magic)+4*i:]) }
	if v := field(0); v != formatVersion {
		return nil, fmt.Errorf("%w %d, this program reads version %d", ErrVersion, v, formatVersion)
	}
	size, sum, packed := field(1), field(2), field(3)
	if size > maxBody || packed > maxBody {
		return nil, corrupt("%d bytes, %d compressed, at most %d are allowed", size, packed, maxBody)
	}
	// Both buffers grow with what is there, not with what the header promises.
	var input, body bytes.Buffer
	if _, err := input.ReadFrom(io.LimitReader(r, int64(packed))); err != nil {
		return nil, err
	}
	if input.Len() < int(packed) {
		return nil, corrupt("cut short, %d of %d bytes are there", input.Len(), packed)
	}
	if int(size) < 100*input.Len() {
		body.Grow(int(size) + 1 + bytes.MinRead)
	}
	if _, err := body.ReadFrom(io.LimitReader(flate.NewReader(&input), int64(size)+1)); err != nil {
		return nil, corrupt("%v", err)
	}
	if body.Len() != int(size) || input.Len() > 0 {
		return nil, corrupt("%d bytes and %d too many, the header says %d", body.Len(), input.Len(), size)
	}
	if got := crc32.ChecksumIEEE(body.Bytes()); got != sum {
		return nil, corrupt("the checksum is %08x, the header says %08x", got, sum)
	}
	return decodeModel(body.Bytes(), keepRows)
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorruptModel, fmt.Sprintf(format, args...))
}

// decodeModel reads the body of a model file. It trusts nothing: a body that
// was made to mislead gives an error too.
func decodeModel(body []byte, keepRows bool) (*model, error) {
	d := decoder{r: wire.NewReader(body)}
	m := &model{}
	m.lang = d.str("language")
	m.style = styleOf(m.lang)
	m.labels = make([]label, d.count("labels", maxLabels, 2))
	for i := range m.labels {
		m.labels[i] = label{d.str("label"), d.str("label")}
	}
	if len(m.labels) == 0 {
		d.fail("no labels")
	}
	m.lex = d.lexicon(len(m.labels))
	m.rules.abbreviations = d.strs("abbreviations")
	m.rules.contractions = make([]contraction, d.count("contractions", maxStrings, 3))
	for i := range m.rules.contractions {
		c := contraction{form: d.str("contraction"), parts: d.strs("words of a contraction"), sometimes: d.num("flag") != 0}
		if len(c.parts) == 0 || len(c.parts) > 8 || slices.Contains(c.parts, "") {
			d.fail("the contraction %q has %d words", c.form, len(c.parts))
			break
		}
		m.rules.contractions[i] = c
	}
	rowsTag := d.rows("tag weights", len(m.labels))
	rowsEnd := d.rows("boundary weights", int(manyWords)+1)
	if d.err == nil && d.r.Len() > 0 {
		d.fail("%d bytes too many", d.r.Len())
	}
	if d.err != nil {
		return nil, d.err
	}
	var err error
	if m.tags, err = newWeights(rowsTag, len(m.labels)); err != nil {
		return nil, corrupt("tag weights: %v", err)
	}
	if m.bounds, err = newWeights(rowsEnd, int(manyWords)+1); err != nil {
		return nil, corrupt("boundary weights: %v", err)
	}
	if keepRows {
		m.rowsTag, m.rowsEnd = rowsTag, rowsEnd
	}
	m.rules.ready(m.style)
	return m, nil
}

// An encoder builds the body of a model file.
type encoder struct{ buf []byte }

func (e *encoder) num(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder) bool(b bool) {
	if b {
		e.num(1)
	} else {
		e.num(0)
	}
}

func (e *encoder) str(s string) {
	e.buf = wire.AppendString(e.buf, s)
}

func (e *encoder) strs(list []string) {
	e.num(len(list))
	for _, s := range list {
		e.str(s)
	}
}

func (e *encoder) lexicon(x *lexicon) {
	e.num(len(x.classes))
	for _, c := range x.classes {
		e.bool(c.closed)
		e.num(len(c.labels))
		e.buf = append(e.buf, c.labels...)
	}
	e.num(len(x.kinds))
	for _, k := range x.kinds {
		e.num(int(k.class))
		e.num(int(k.lex[0]))
		e.num(int(k.lex[1]))
	}
	kind := map[uint32]uint16{}
	var keys []uint32
	for i, k := range x.keys {
		if k != 0 {
			keys = append(keys, k)
			kind[k] = x.kind[i]
		}
	}
	slices.Sort(keys)
	e.keys(keys)
	for _, k := range keys {
		e.num(int(kind[k]))
	}
}

// keys writes sorted numbers as differences, which are small.
func (e *encoder) keys(keys []uint32) {
	e.num(len(keys))
	last := uint32(0)
	for _, k := range keys {
		e.num(int(k - last))
		last = k
	}
}

func (e *encoder) rows(rows []row) {
	keys := make([]uint32, len(rows))
	for i, r := range rows {
		keys[i] = r.key
	}
	e.keys(keys)
	for _, r := range rows {
		e.num(len(r.cells))
	}
	for _, r := range rows {
		for _, c := range r.cells {
			e.buf = append(e.buf, c.label)
		}
	}
	for _, r := range rows {
		for _, c := range r.cells {
			e.buf = append(e.buf, uint8(c.weight))
		}
	}
}

// A decoder reads the body of a model file. It keeps the first error, and after
// that returns zeroes only.
type decoder struct {
	r   wire.Reader
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = corrupt(format, args...)
		d.r.Fail()
	}
}

func (d *decoder) num(what string) uint64 {
	n := d.r.Uvarint()
	if !d.r.OK() {
		d.fail("%s: no number", what)
	}
	return n
}

// count reads the number of things that follow, of at least size bytes each.
func (d *decoder) count(what string, limit, size int) int {
	n := d.num(what)
	if possible := min(limit, d.r.Len()/size); n > uint64(possible) {
		d.fail("%d %s, at most %d are possible", n, what, possible)
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(what string, n int) []byte {
	if n > d.r.Len() {
		d.fail("%s: %d bytes are missing", what, n-d.r.Len())
		return nil
	}
	return d.r.Next(n)
}

func (d *decoder) str(what string) string {
	return string(d.bytes(what, d.count(what, math.MaxUint16, 1)))
}

func (d *decoder) strs(what string) []string {
	list := make([]string, d.count(what, maxStrings, 1))
	for i := range list {
		list[i] = d.str(what)
	}
	return list
}

func (d *decoder) keys(what string) []uint32 {
	keys := make([]uint32, d.count(what, math.MaxInt32, 1))
	last := uint64(0)
	for i := range keys {
		n := d.num(what)
		last += n
		if n == 0 && i > 0 || n > math.MaxUint32 || last > math.MaxUint32 {
			d.fail("%s: the keys are not in order", what)
			return nil
		}
		keys[i] = uint32(last)
	}
	return keys
}

func (d *decoder) lexicon(labels int) *lexicon {
	classes := make([]class, d.count("classes", math.MaxUint16, 2))
	for i := range classes {
		c := &classes[i]
		c.closed = d.num("class") != 0
		c.labels = slices.Clone(d.bytes("class", d.count("labels of a class", maxLabels, 1)))
		for _, l := range c.labels {
			if int(l) >= labels {
				d.fail("a class has the label %d of %d", l, labels)
			}
		}
		if c.closed && len(c.labels) == 0 {
			d.fail("a closed class without labels")
		}
	}
	if len(classes) == 0 {
		d.fail("no classes")
	}
	kinds := make([]lexEntry, d.count("kinds of words", maxKinds, 3))
	for i := range kinds {
		class, a, b := d.num("class of words"), d.num("list class"), d.num("list class")
		if class >= uint64(len(classes)) || a > math.MaxUint16 || b > math.MaxUint16 {
			d.fail("the kind %d of words has the classes %d of %d, %d and %d", i, class, len(classes), a, b)
		}
		kinds[i] = lexEntry{uint16(class), [2]uint16{uint16(a), uint16(b)}}
	}
	keys := d.keys("words")
	kind := make([]uint16, len(keys))
	for i := range kind {
		k := d.num("kind of a word")
		if k >= uint64(len(kinds)) {
			d.fail("a word has the kind %d of %d", k, len(kinds))
			return nil
		}
		kind[i] = uint16(k)
	}
	x := newLexicon(keys, kind, kinds)
	x.classes = classes
	return x
}

func (d *decoder) rows(what string, labels int) []row {
	keys := d.keys(what)
	rows := make([]row, len(keys))
	total := 0
	sizes := make([]int, len(keys))
	for i := range sizes {
		sizes[i] = d.count(what, maxLabels, 1)
		total += sizes[i]
	}
	ls, ws := d.bytes(what, total), d.bytes(what, total)
	if d.err != nil {
		return nil
	}
	cells := make([]cell, total)
	for i := range cells {
		if int(ls[i]) >= labels {
			d.fail("%s: the label %d of %d", what, ls[i], labels)
			return nil
		}
		cells[i] = cell{ls[i], int8(ws[i])}
	}
	for i, n := range sizes {
		rows[i] = row{keys[i], cells[:n:n]}
		cells = cells[n:]
	}
	return rows
}
