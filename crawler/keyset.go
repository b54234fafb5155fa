package crawler

import (
	"cmp"
	"hash/maphash"
	"sync"
)

// A keySet is a bounded set of strings, safe for concurrent use. It forgets the older
// half of what was put into it. It keeps a digest of 128 bits of each, keyed with what
// nobody knows: so keys take no memory and are not compared, and that two are taken
// for one is as likely as in the seen-set of a queue.
type keySet struct {
	max int // entries; 0 means cacheMax

	once       sync.Once
	seeds      [2]maphash.Seed
	mu         sync.Mutex
	young, old map[keyDigest]struct{}
}

type keyDigest [2]uint64

func (s *keySet) digest(key string) keyDigest {
	s.once.Do(func() { s.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()} })
	return keyDigest{maphash.String(s.seeds[0], key), maphash.String(s.seeds[1], key)}
}

// has reports whether a key is remembered.
func (s *keySet) has(key string) bool {
	d := s.digest(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[d]; ok {
		return true
	}
	_, ok := s.old[d]
	if ok {
		s.addLocked(d)
	}
	return ok
}

// add remembers keys.
func (s *keySet) add(keys ...string) {
	for _, key := range keys {
		d := s.digest(key)
		s.mu.Lock()
		s.addLocked(d)
		s.mu.Unlock()
	}
}

func (s *keySet) addLocked(d keyDigest) {
	if s.young == nil || len(s.young) >= cmp.Or(s.max, cacheMax)/2 {
		s.old, s.young = s.young, make(map[keyDigest]struct{})
	}
	s.young[d] = struct{}{}
}
