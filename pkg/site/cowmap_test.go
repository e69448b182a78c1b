package site

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// A fork and its parent go separate ways: whatever is done to one map, every
// other map of the family still equals its own model.
func TestMapForksAreIsolated(t *testing.T) {
	type family struct {
		real  Map[int, int]
		model map[int]int
	}
	rapid.Check(t, func(t *rapid.T) {
		all := []family{{newMap[int, int](), map[int]int{}}}
		forked := []bool{false} // a map that was forked is published, and no longer written
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "map")
			k := rapid.IntRange(0, 40).Draw(t, "key")
			switch rapid.SampledFrom([]string{"set", "set", "remove", "fork"}).Draw(t, "do") {
			case "set":
				if !forked[i] {
					v := rapid.Int().Draw(t, "value")
					all[i].real.set(k, v)
					all[i].model[k] = v
				}
			case "remove":
				if !forked[i] {
					all[i].real.remove(k)
					delete(all[i].model, k)
				}
			case "fork":
				forked[i] = true
				all = append(all, family{all[i].real.fork(), maps.Clone(all[i].model)})
				forked = append(forked, false)
			}
			for j := range all {
				if got := maps.Collect(all[j].real.All()); !maps.Equal(got, all[j].model) || all[j].real.Len() != len(all[j].model) {
					t.Fatalf("map %d holds %v (Len %d), want %v", j, got, all[j].real.Len(), all[j].model)
				}
				v, ok := all[j].real.Get(k)
				want, wantOK := all[j].model[k]
				if v != want || ok != wantOK {
					t.Fatalf("map %d has %d, %t under %d; want %d, %t", j, v, ok, k, want, wantOK)
				}
			}
		}
	})
}

func TestMapStopsWhenAsked(t *testing.T) {
	m := newMap[int, int]()
	for i := range 100 {
		m.set(i, i)
	}
	n := 0
	for range m.All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("visited %d", n)
	}
}

func BenchmarkMapForkAndSet(b *testing.B) {
	m := newMap[int, int]()
	for i := range 16000 {
		m.set(i, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		f := m.fork()
		f.set(1, 2)
	}
}
