package batch

import (
	"context"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Visit is the turn of one target in a task that has a Course. It is for the
// goroutine of its course.
type Visit struct {
	Target bmc.Target

	run   *run
	index int
}

// Talk has a conversation with the target's BMC, again if it was away or
// busy, for at most limit.
func (v *Visit) Talk(ctx context.Context, limit time.Duration, do func(ctx context.Context, s *Session) (Outcome, error)) error {
	if v.run.talking != nil {
		select {
		case v.run.talking <- struct{}{}:
			defer func() { <-v.run.talking }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return v.run.talk(ctx, v.index, limit, do)
}

// Say tells whoever watches how far the target is.
func (v *Visit) Say(what string) {
	v.run.say(Change{Target: v.Target.Name, Phase: Running, What: what})
}

// Issued are the power actions that are on record.
func (v *Visit) Issued() []bmc.PowerAction { return slices.Clone(v.run.issued[v.index]) }

// Forget has the power actions on record belong to the past: the target
// begins anew.
func (v *Visit) Forget() { v.run.issued[v.index] = nil }

// Deadline is how long the target may take altogether; zero is for ever.
func (v *Visit) Deadline() time.Duration { return v.run.o.Deadline }

// Stopped is closed when no more targets are begun because too many failed.
func (v *Visit) Stopped() <-chan struct{} { return v.run.stopped }

// StopWhy says why, once Stopped is closed.
func (v *Visit) StopWhy() string { return v.run.stopWhy }

// NotBegun is the error of a course that left its target as it was. It is no
// failure of the target.
type NotBegun string

func (n NotBegun) Error() string { return string(n) }

// Failure is an error with a next step of its own.
type Failure struct {
	Err error
	Fix string
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the error itself.
func (f *Failure) Unwrap() error { return f.Err }

// stopEarly lets the courses that run know that no more are begun.
func (r *run) stopEarly() {
	if r.queue.why == "" || r.queue.failed == 0 {
		return
	}
	select {
	case <-r.stopped:
	default:
		r.stopWhy = r.queue.why
		close(r.stopped)
	}
}

// talkers bounds the sessions of courses, so that whoever waits for its turn
// to switch a machine on does not lose its session meanwhile.
func talkers(o Options) chan struct{} {
	if o.Stagger <= 0 {
		return nil
	}
	return make(chan struct{}, max(1, int(idle/o.Stagger)))
}
