package batch

import (
	"fmt"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// queue decides which target is next. It knows no time and no goroutine.
type queue struct {
	o       Options
	targets []bmc.Target
	waiting map[int]bool
	first   int // every target before it has begun
	begun   int
	running int
	racks   map[string]int  // running, by rack
	busy    map[string]bool // addresses in a conversation
	canary  int             // canaries that have not succeeded yet
	failed  int
	why     string // no more are begun because of it
}

func newQueue(o Options, targets []bmc.Target) *queue {
	q := &queue{o: o, targets: targets, waiting: map[int]bool{}, racks: map[string]int{}, busy: map[string]bool{}}
	done, failed := 0, ""
	for i, t := range targets {
		switch past := o.Past[t.Name]; {
		case past.Done:
			done++
		case past.Failed:
			q.failed++
			failed = t.Name
		default:
			q.waiting[i] = true
		}
	}
	q.canary = min(max(0, o.Canary-done), len(q.waiting))
	if failed != "" {
		q.stop(failed)
	}
	return q
}

// next takes the first target that may begin now.
func (q *queue) next(cancelled bool) (int, bool) {
	if cancelled && q.why == "" {
		q.why = "cancelled"
	}
	if q.why != "" || q.running >= q.o.Parallel {
		return 0, false
	}
	if q.canary > 0 && q.running >= q.canary {
		return 0, false
	}
	for q.first < len(q.targets) && !q.waiting[q.first] {
		q.first++
	}
	for i := q.first; i < len(q.targets); i++ {
		t := q.targets[i]
		if !q.waiting[i] || t.Address != "" && q.busy[controller(t.Address)] || t.Rack != "" && q.o.PerRack > 0 && q.racks[t.Rack] >= q.o.PerRack {
			continue
		}
		delete(q.waiting, i)
		q.busy[controller(t.Address)] = true
		q.racks[t.Rack]++
		q.running++
		q.begun++
		return i, true
	}
	return 0, false
}

// end takes note of how a target ended.
func (q *queue) end(i int, p Phase) {
	t := q.targets[i]
	delete(q.busy, controller(t.Address))
	q.racks[t.Rack]--
	q.running--
	switch {
	case p == Done && q.canary > 0:
		q.canary--
	case p == Failed:
		q.failed++
		q.stop(t.Name)
	}
}

func (q *queue) stop(name string) {
	switch {
	case q.why != "":
	case q.canary > 0:
		q.why = fmt.Sprintf("the canary %s failed", name)
	case q.o.MaxFailures > 0 && q.failed >= q.o.MaxFailures:
		q.why = fmt.Sprintf("%d failed", q.failed)
	}
}
