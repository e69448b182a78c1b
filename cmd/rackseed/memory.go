package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The garbage that may gather between two collections. Go's own rule, as much as
// there is of what lives, collects all the time while a daemon is small, and
// doubles it when a rack boots.
const (
	minGarbage     = 12 << 20 // bytes
	garbagePercent = 30       // of what lives
)

// gcPercent is GOGC for a heap of which so many bytes live.
func gcPercent(live uint64) int {
	if live == 0 { // nothing was collected yet: Go begins at 4 MiB for each 100
		return 100 * minGarbage / (4 << 20)
	}
	return int(min(max(garbagePercent, minGarbage*100/live), 400))
}

// paceGC has GOGC follow the heap, from each collection to the next, for as long
// as the process runs. Whoever sets GOGC or GOMEMLIMIT decides himself.
func paceGC(getenv func(string) string) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return
	}
	p := &pacer{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.collected()
}

type pacer struct {
	live    []metrics.Sample
	percent int
}

// mark is garbage at once, so that its finalizer runs after each collection.
type mark struct{ p *pacer }

func (p *pacer) collected() {
	metrics.Read(p.live)
	// To set it stops the world for a moment, so small changes are let go by.
	if next := gcPercent(p.live[0].Value.Uint64()); next < p.percent*9/10 || next > p.percent*11/10 {
		p.percent = next
		debug.SetGCPercent(next)
	}
	runtime.SetFinalizer(&mark{p}, func(m *mark) { m.p.collected() })
}
