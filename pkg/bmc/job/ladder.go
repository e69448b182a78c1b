package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// ladder is how far a machine is in being told to boot from the network: the
// ways in which its BMC was told, and what it then did.
type ladder struct {
	climb bool      // the next conversation tells it in the next way
	since time.Time // when it was switched on, last; zero means that it was not
	begun time.Time // when this daemon began to listen for it
	heard bool      // it booted from the network
	ended bool      // there is no way left, or no power cycle
	told  []string  // the ways
	seen  string    // what it did instead
}

// silence is how long a machine may take from power-on to its first sign on
// the wire before its BMC is told in another way: 25 minutes, longer than any
// self-test, for a power cycle in the middle of one would begin it anew. Some
// servers with terabytes of memory train it for a quarter of an hour.
const silence = install.Arrival * 5 / 6

// errElsewhere is of a machine that boots something else than its BMC was
// told.
var errElsewhere = errors.New("it did not boot from the network")

// errCame is of a machine that came while its BMC was being told.
var errCame = errors.New("it has come")

func (t *turn) unlessCame(err error) error {
	if errors.Is(err, errCame) {
		return nil
	}
	return err
}

// bootDevice tells the BMC the network in the next way that sticks, and puts
// that on record: the power actions that follow are for it.
func (t *turn) bootDevice(ctx context.Context, s *batch.Session) (bmc.Steps, error) {
	state, m, n, err := t.machine()
	if err != nil {
		return nil, err
	}
	if left(n, m) != toTell || t.ladder.climb && !t.elsewhere(m, n) {
		t.ladder.climb = false
		return nil, errCame // somebody pressed the button, or it is on its way
	}
	told := n.Told
	if !t.ladder.climb && len(told) > 0 {
		told = told[:len(told)-1] // what was told last was never tried
	}
	t.say("boot device pxe")
	want := bmc.Boot{Device: bmc.DevicePXE, Mode: mode(state, m)}
	_, way, steps, err := s.Tell(ctx, want, told)
	if err != nil {
		return steps, err
	}
	what := fmt.Sprintf("told %s by %s; power cycle %d of at most %d", want, way, len(told)+1, batch.MaxCycles)
	err = t.in.r.waiting(ctx, t.in.job, t.node, site.JobStep{ID: t.in.job, Node: t.node, What: what, Way: way})
	if err != nil {
		return steps, err
	}
	t.say(what)
	t.v.Forget()
	s.Issued = nil
	t.ladder.climb = false
	return steps, nil
}

// waiting records a step for a machine that is armed by the job and whose
// installer has not come; else it is errCame.
func (r *Runner) waiting(ctx context.Context, job, node string, step site.JobStep) error {
	_, err := r.c.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, ok := s.Machine(node)
		n, _ := s.JobNodes.Get(site.JobKey{ID: job, Node: node})
		if !ok || left(n, m) != toTell {
			return nil, errCame
		}
		return []site.Body{step}, nil
	})
	return err
}

// lookout ticks while the machine is looked for on the wire. What went wrong
// before is no reason to tell its BMC anything more.
func (t *turn) lookout(cause error) (tick <-chan time.Time, stop func()) {
	c := t.in.r.c
	if c.Boot == nil || cause != nil || t.in.options.NoPower || t.ladder.since.IsZero() || t.ladder.ended {
		return nil, func() {}
	}
	ticker := time.NewTicker(max(c.Pace.Of(silence)/60, 100*time.Millisecond))
	return ticker.C, ticker.Stop
}

// elsewhere reports whether the BMC of a machine is to be told in another way:
// it came up and booted something else, or nothing was heard of it for too
// long. It is never so for one whose installer has begun.
func (t *turn) elsewhere(m *site.Machine, n site.JobNode) bool {
	l, c := &t.ladder, t.in.r.c
	if l.heard || l.ended || left(n, m) != toTell {
		return false
	}
	var sign *bmc.Sign
	if s, ok := c.Boot(t.node, l.since); ok {
		sign = &s
	}
	l.told = n.Told
	limit := c.Pace.Of(silence)
	switch {
	case sign != nil && (sign.Device == bmc.DevicePXE || sign.Device == bmc.DeviceHTTP):
		l.heard = true
		return false
	case sign == nil && (c.Now().Sub(l.since) < limit || c.Now().Sub(l.begun) < c.Pace.Of(install.Grace/2)):
		return false // a daemon that has just started could not hear it
	}
	l.seen = bmc.Compare(bmc.DevicePXE, sign).Words(bmc.DevicePXE, sign, limit.Round(time.Second))
	t.say(l.seen)
	if len(n.Told) >= batch.MaxCycles {
		l.end()
	}
	return !l.ended
}

// end has the machine waited for, and its BMC told nothing more.
func (l *ladder) end() { l.climb, l.ended = false, true }

// history says what was tried, for a machine that did not come.
func (l *ladder) history() string {
	if l.heard {
		return "; it did boot from the network"
	}
	if l.seen == "" {
		return ""
	}
	return fmt.Sprintf("; told by %s: %s", strings.Join(l.told, ", then by "), l.seen)
}
