package crawler

import (
	"cmp"
	"sync"
)

// cache is a bounded map from strings, safe for concurrent use. It forgets the
// older half of what was put into it.
type cache[V any] struct {
	max int // entries; 0 means cacheMax

	mu         sync.Mutex
	young, old map[string]V
}

const cacheMax = 16 << 10

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.putLocked(key, v)
	}
	return v, ok
}

func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(key, v)
}

func (c *cache[V]) putLocked(key string, v V) {
	if c.young == nil || len(c.young) >= cmp.Or(c.max, cacheMax)/2 {
		c.old, c.young = c.young, make(map[string]V)
	}
	c.young[key] = v
}
