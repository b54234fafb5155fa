package queue

import (
	"fmt"
	"strconv"
)

// counterCache holds the values of counters that were added to lately, as they
// are after the plan in the making, so that a busy counter is read from disk
// once. Only the committer uses it.
type counterCache struct {
	values map[string]int64
	dirty  map[string]bool // added to in the plan in the making
}

const counterCacheMax = 4096

func (c *counterCache) forget(key []byte) {
	if len(c.values) > 0 {
		delete(c.values, string(key))
		delete(c.dirty, string(key))
	}
}

// has reports whether the counter of an opAdd is here.
func (c *counterCache) has(o *op) bool {
	var buf [64]byte
	_, ok := c.values[string(appendTableKey(buf[:0], o.name, []byte(o.key)))]
	return ok
}

// set reports whether the counter was not dirty yet.
func (c *counterCache) set(key []byte, n int64) (fresh bool) {
	if c.values == nil {
		c.values, c.dirty = make(map[string]int64), make(map[string]bool)
	}
	c.values[string(key)] = n
	fresh = !c.dirty[string(key)]
	c.dirty[string(key)] = true
	return fresh
}

// flush plans the counters' records: one write each, however often they were
// added to.
func (c *counterCache) flush(p *plan) {
	for key := range c.dirty {
		p.put(p.seal(append(p.tail(), key...)), p.seal(strconv.AppendInt(p.tail(), c.values[key], 10)))
	}
	clear(c.dirty)
	if len(c.values) > counterCacheMax {
		clear(c.values)
	}
}

// ParseCounter returns the number in a record that Tx.Add has made. Nil is 0.
func ParseCounter(value []byte) (int64, error) {
	if len(value) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a counter", ErrInvalid, cut(string(value), 40))
	}
	return n, nil
}

// addCounter plans an addition to a counter. A record that is no counter is
// replaced: check has no look at the disk, and a transaction must not fail here.
func (p *plan) addCounter(o *op) error {
	key := appendTableKey(p.tail(), o.name, []byte(o.key))
	n, ok := p.s.counters.values[string(key)]
	if !ok {
		value, found, err := p.storedKey(key)
		if err != nil {
			return err
		}
		if found {
			if n, err = ParseCounter(value); err != nil {
				p.s.log.Warn("record replaced by a counter", "table", o.name, "key", o.key)
				n = 0
			}
		}
	}
	n += o.delta
	if p.s.counters.set(key, n) {
		p.owe(len(key), 2*varintLen)
	}
	return nil
}
