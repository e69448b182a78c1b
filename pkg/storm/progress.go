package storm

import (
	"context"
	"sync/atomic"
	"time"
)

// Progress is told about once per second while a rehearsal runs.
type Progress struct {
	Phase   string
	Elapsed time.Duration
	Done    int
	Failed  int
	Total   int
	Bytes   int64 // downloads only
}

// ticker thins calls to one per second.
type ticker struct {
	tell func(Progress)
	next time.Duration
}

func newTicker(tell func(Progress)) *ticker { return &ticker{tell: tell, next: time.Second} }

func (t *ticker) at(now time.Duration, progress func() Progress) {
	if t.tell == nil || now < t.next {
		return
	}
	t.next += time.Second
	t.tell(progress())
}

// tally is what many downloading goroutines count together.
type tally struct {
	done, failed atomic.Int64
	bytes        atomic.Int64
}

// watch tells about the tally every second until the returned function is
// called, which waits for the last word.
func (t *tally) watch(ctx context.Context, phase string, total int, tell func(Progress)) (stop func()) {
	if tell == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	finished := make(chan struct{})
	start := time.Now()
	go func() {
		defer close(finished)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				tell(Progress{
					Phase: phase, Elapsed: time.Since(start), Total: total,
					Done: int(t.done.Load()), Failed: int(t.failed.Load()), Bytes: t.bytes.Load(),
				})
			}
		}
	}()
	return func() { cancel(); <-finished }
}
