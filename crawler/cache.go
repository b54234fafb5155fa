package crawler

import (
	"cmp"
	"sync"
)

// cache is a bounded map from strings, safe for concurrent use. It forgets the
// older half of what was put into it.
type cache[V any] struct {
	max   int         // entries; 0 means cacheMax
	weigh func(V) int // bytes that a value takes; nil if they are small, each about as the others

	mu         sync.Mutex
	young, old map[string]weighed[V]
	weight     int // of young
}

type weighed[V any] struct {
	value  V
	weight int
}

// At most so much is kept, and twice what is larger than half of it.
const (
	cacheMax      = 16 << 10
	cacheMaxBytes = 16 << 20
)

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.young[key]; ok {
		return e.value, true
	}
	e, ok := c.old[key]
	if ok {
		c.putLocked(key, e.value)
	}
	return e.value, ok
}

func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old, c.weight = nil, nil, 0
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(key, v)
}

func (c *cache[V]) putLocked(key string, v V) {
	weight := 0
	if c.weigh != nil {
		weight = c.weigh(v)
	}
	if c.young == nil || len(c.young) >= cmp.Or(c.max, cacheMax)/2 || c.weight+weight > cacheMaxBytes/2 {
		c.old, c.young, c.weight = c.young, make(map[string]weighed[V]), 0
	}
	c.weight += weight - c.young[key].weight
	c.young[key] = weighed[V]{v, weight}
}
