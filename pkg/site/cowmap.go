package site

import (
	"hash/maphash"
	"iter"
	"maps"
	"slices"
)

// shardCount trades the cost of the first write after a fork (one pointer per
// shard) against that of the first write to a shard (a copy of its entries).
// 1024 keeps both below a microsecond at 16,000 nodes.
const shardCount = 1024

// Map is a copy-on-write map. A fork shares every entry with its parent; a
// write copies only the shard it touches. The parent never changes, so
// readers of a published State need no lock.
type Map[K comparable, V any] struct {
	seed   maphash.Seed
	shards []map[K]V
	owned  []bool
	n      int
}

func newMap[K comparable, V any]() Map[K, V] {
	return Map[K, V]{seed: maphash.MakeSeed(), shards: make([]map[K]V, shardCount)}
}

func (m *Map[K, V]) fork() Map[K, V] {
	return Map[K, V]{seed: m.seed, shards: m.shards, n: m.n}
}

func (m *Map[K, V]) shard(k K) int {
	return int(maphash.Comparable(m.seed, k) % shardCount)
}

// Get returns the value under k.
func (m *Map[K, V]) Get(k K) (V, bool) {
	v, ok := m.shards[m.shard(k)][k]
	return v, ok
}

// Len counts the entries.
func (m *Map[K, V]) Len() int { return m.n }

// All visits every entry in no particular order.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, shard := range m.shards {
			for k, v := range shard {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

func (m *Map[K, V]) writable(k K) map[K]V {
	i := m.shard(k)
	if m.owned == nil {
		m.shards, m.owned = slices.Clone(m.shards), make([]bool, shardCount)
	}
	if !m.owned[i] {
		own := maps.Clone(m.shards[i])
		if own == nil {
			own = map[K]V{}
		}
		m.shards[i], m.owned[i] = own, true
	}
	return m.shards[i]
}

func (m *Map[K, V]) set(k K, v V) {
	shard := m.writable(k)
	before := len(shard)
	shard[k] = v
	m.n += len(shard) - before
}

func (m *Map[K, V]) remove(k K) {
	if _, ok := m.Get(k); !ok {
		return
	}
	delete(m.writable(k), k)
	m.n--
}
