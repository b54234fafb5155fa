package robots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-301537d8/weir/internal/wire"
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
	out = wire.AppendString(out, p.Detail)
	if p.Outcome == Unreachable {
		return wire.AppendString(out, p.Rules.Agent()), nil
	}
	return p.Rules.append(out), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. Errors are
// [ErrCorrupt]; p is unchanged then.
func (p *Policy) UnmarshalBinary(data []byte) error {
	d := decoder{wire.NewReader(data)}
	if d.Byte() != formatVersion {
		return fmt.Errorf("%w: unknown version", ErrCorrupt)
	}
	q := Policy{
		Outcome:  Outcome(d.Byte()),
		Fetched:  d.time(),
		Expires:  d.time(),
		Status:   d.Int(),
		Failures: d.Int(),
		Detail:   d.Text(),
	}
	switch q.Outcome {
	case Unreachable:
		q.Rules = disallowAll(d.Text())
	case Parsed, Unavailable:
		q.Rules = d.rules()
	default:
		d.Fail()
	}
	if !d.Done() {
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
	out = wire.AppendString(out, r.agent)
	out = append(out, byte(r.dialect))
	out = binary.AppendUvarint(out, uint64(r.crawlDelay))
	out = binary.AppendUvarint(out, uint64(len(r.sitemaps)))
	for _, s := range r.sitemaps {
		out = wire.AppendString(out, s)
	}
	out = binary.AppendUvarint(out, uint64(len(r.rules)))
	for _, rule := range r.rules {
		n := uint64(rule.Line) << 1
		if rule.Allow {
			n |= 1
		}
		out = binary.AppendUvarint(out, n)
		out = wire.AppendString(out, rule.Pattern)
	}
	return out
}

// decoder reads the binary forms.
type decoder struct{ wire.Reader }

func (d *decoder) time() time.Time { return time.UnixMilli(d.Varint()) }

func (d *decoder) rules() *Rules {
	r := &Rules{agent: d.Text(), dialect: Dialect(d.Byte())}
	delay := d.Uvarint()
	r.crawlDelay = time.Duration(min(delay, uint64(maxCrawlDelay)))
	// Every element takes a byte at least, so that a false count allocates
	// nothing: the loops end with the data.
	for n := d.Uvarint(); n > 0 && d.OK(); n-- {
		r.sitemaps = append(r.sitemaps, d.Text())
	}
	for n := d.Uvarint(); n > 0 && d.OK(); n-- {
		line := d.Uvarint()
		rule := Rule{Allow: line&1 == 1, Line: int(line >> 1), Pattern: d.Text()}
		if !d.OK() || rule.Pattern == "" || line>>1 > math.MaxInt32 {
			d.Fail()
			break
		}
		r.rules = append(r.rules, rule)
	}
	if r.dialect > Google {
		d.Fail()
	}
	if d.OK() {
		r.compile()
	}
	return r
}
