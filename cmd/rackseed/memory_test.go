package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestGCPercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         300,
		1 << 20:   400,
		6 << 20:   200,
		12 << 20:  100,
		24 << 20:  50,
		40 << 20:  30,
		500 << 20: 30,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("with %d MiB alive GOGC is %d, want %d", live>>20, got, want)
		}
	}
}

// GOGC follows what lives, up and down, and leaves it to whoever set it.
func TestGOGCFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	current := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	paceGC(func(name string) string { return map[string]string{"GOGC": "70"}[name] })
	if runtime.GC(); current() != 100 {
		t.Fatalf("GOGC is %d though the operator chose", current())
	}
	paceGC(func(string) string { return "" })
	settle := func(done func(percent int) bool) {
		t.Helper()
		for range 1000 {
			runtime.GC()
			runtime.Gosched()
			if done(current()) {
				return
			}
		}
		t.Errorf("GOGC stays at %d", current())
	}
	held := make([]byte, 200<<20)
	settle(func(p int) bool { return p == 30 })
	runtime.KeepAlive(held) // and not beyond this line
	settle(func(p int) bool { return p > 30 })
}
