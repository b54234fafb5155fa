package queue

// recent holds what the last batches have set, the one being planned among
// them. It is bounded: when max entries have been set the older half is
// forgotten, except that what no batch on disk has yet is never forgotten.
type recent[K comparable, V any] struct {
	max        int
	young, old map[K]V
	youngSince uint64 // batches after this one have set nothing in old
	since      uint64 // what batches after this one have set is here
}

func (m *recent[K, V]) get(key K) (V, bool) {
	if v, ok := m.young[key]; ok {
		return v, true
	}
	v, ok := m.old[key]
	return v, ok
}

// set notes what batch sets, where published is the last batch that is on disk.
func (m *recent[K, V]) set(key K, v V, batch, published uint64) {
	if len(m.young) >= m.max && m.youngSince <= published {
		m.old, m.since = m.young, m.youngSince
		m.young, m.youngSince = nil, batch
	}
	if m.young == nil {
		m.young = make(map[K]V)
	}
	m.young[key] = v
}

// forget empties it, where published is the last batch that is on disk.
func (m *recent[K, V]) forget(published uint64) {
	m.young, m.old, m.youngSince, m.since = nil, nil, published, published
}

func (m *recent[K, V]) remove(key K) {
	delete(m.young, key)
	delete(m.old, key)
}
