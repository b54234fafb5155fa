package robots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrCorrupt is returned when bytes are not the binary form of a Policy or of
// Rules, or are that of another version.
var ErrCorrupt = errors.New("robots: not a stored policy")

// formatVersion begins every binary form. It changes with the format, and
// with what Parse makes of a file, so that stored policies are fetched anew.
const formatVersion = 1

// MarshalBinary implements encoding.BinaryMarshaler: the patterns as written,
// with varints, some 20 bytes a rule. Times are kept to the millisecond.
func (p *Policy) MarshalBinary() ([]byte, error) {
	out := []byte{formatVersion, byte(p.Outcome)}
	out = binary.AppendVarint(out, p.Fetched.UnixMilli())
	out = binary.AppendVarint(out, p.Expires.UnixMilli())
	out = binary.AppendUvarint(out, uint64(p.Status))
	out = binary.AppendUvarint(out, uint64(p.Failures))
	out = appendString(out, p.Detail)
	if p.Outcome == Unreachable {
		return appendString(out, p.Rules.Agent()), nil
	}
	return p.Rules.append(out), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. Errors are
// [ErrCorrupt]; p is unchanged then.
func (p *Policy) UnmarshalBinary(data []byte) error {
	d := decoder{data: data}
	if d.byte() != formatVersion {
		return fmt.Errorf("%w: unknown version", ErrCorrupt)
	}
	q := Policy{
		Outcome:  Outcome(d.byte()),
		Fetched:  d.time(),
		Expires:  d.time(),
		Status:   d.int(),
		Failures: d.int(),
		Detail:   d.string(),
	}
	switch q.Outcome {
	case Unreachable:
		q.Rules = disallowAll(d.string())
	case Parsed, Unavailable:
		q.Rules = d.rules()
	default:
		d.failed = true
	}
	if d.failed || len(d.data) > 0 {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	}
	*p = q
	return nil
}

// append appends the binary form of r.
func (r *Rules) append(out []byte) []byte {
	if r == nil {
		r = &Rules{}
	}
	out = appendString(out, r.agent)
	out = append(out, byte(r.dialect))
	out = binary.AppendUvarint(out, uint64(r.crawlDelay))
	out = binary.AppendUvarint(out, uint64(len(r.sitemaps)))
	for _, s := range r.sitemaps {
		out = appendString(out, s)
	}
	out = binary.AppendUvarint(out, uint64(len(r.rules)))
	for _, rule := range r.rules {
		n := uint64(rule.Line) << 1
		if rule.Allow {
			n |= 1
		}
		out = binary.AppendUvarint(out, n)
		out = appendString(out, rule.Pattern)
	}
	return out
}

func appendString(out []byte, s string) []byte {
	out = binary.AppendUvarint(out, uint64(len(s)))
	return append(out, s...)
}

// decoder takes values off the front of data. Once it has failed it returns
// zeros.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.failed = true
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.failed, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) int() int {
	v := d.uvarint()
	if v > math.MaxInt32 {
		d.failed = true
		return 0
	}
	return int(v)
}

func (d *decoder) time() time.Time {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.failed, d.data = true, nil
		return time.Time{}
	}
	d.data = d.data[n:]
	return time.UnixMilli(v)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.failed, d.data = true, nil
		return ""
	}
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}

func (d *decoder) rules() *Rules {
	r := &Rules{agent: d.string(), dialect: Dialect(d.byte())}
	delay := d.uvarint()
	r.crawlDelay = time.Duration(min(delay, uint64(maxCrawlDelay)))
	// Every element takes a byte at least, so that a false count allocates
	// nothing: the loops end with the data.
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		r.sitemaps = append(r.sitemaps, d.string())
	}
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		line := d.uvarint()
		rule := Rule{Allow: line&1 == 1, Line: int(line >> 1), Pattern: d.string()}
		if d.failed || rule.Pattern == "" || line>>1 > math.MaxInt32 {
			d.failed = true
			break
		}
		r.rules = append(r.rules, rule)
	}
	if r.dialect > Google {
		d.failed = true
	}
	if !d.failed {
		r.compile()
	}
	return r
}
