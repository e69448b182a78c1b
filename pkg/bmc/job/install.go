package job

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Install is the verb of installs: each machine, in its turn, is armed, told
// to boot from the network, switched off and on, and watched until it is
// ready or has failed.
const Install = "install"

// installer is one install job.
type installer struct {
	r       *Runner
	job     string
	by      string
	options view.JobOptions

	mu     sync.Mutex
	vetted uint64 // the plan, by site.State.PlanSeq, that was vetted for the job
}

// task is what a verb does. An install belongs to one job.
func (r *Runner) task(id, by, verb string, args []string, o view.JobOptions) (batch.Task, error) {
	if verb != Install {
		return batch.Parse(verb, args)
	}
	if len(args) > 0 {
		return batch.Task{}, fmt.Errorf("install takes no %q", args[0])
	}
	in := &installer{r: r, job: id, by: by, options: o}
	return batch.Task{Name: Install, Changes: true, Energizes: !o.NoPower, Course: func(ctx context.Context, v *batch.Visit) (batch.Outcome, error) {
		t := &turn{in: in, v: v, node: v.Target.Name}
		return t.run(ctx)
	}}, nil
}

// installable refuses machines that cannot be installed, all or none, and
// those that another job installs.
func (r *Runner) installable(s *site.State, machines []*site.Machine, req view.JobRequest) error {
	var others []*site.Job
	for _, j := range s.AllJobs() {
		if j.Verb == Install && j.Running() {
			others = append(others, j)
		}
	}
	for _, m := range machines {
		name := m.Node.Name
		if !req.DryRun && !req.Options.NoPower && s.BMCOf(m).Address == "" {
			return view.Misuse(fmt.Sprintf("%s has no BMC in the plan: add bmc: {address: ADDRESS}, or switch it on by hand, with --no-power", name))
		}
		for _, j := range others {
			if n, ok := s.JobNodes.Get(site.JobKey{ID: j.ID, Node: name}); ok && !n.Done {
				return install.Refusal(fmt.Sprintf("%s is in install job %s already: `rackseed install --resume %s` watches it, `rackseed job cancel %s` ends it", name, j.ID, j.ID, j.ID))
			}
		}
	}
	_, err := install.Arm(s, machines, "", "", time.Time{})
	return err
}

// vetInstall vets the machines of a request before the log's writer is kept
// waiting: writing answer files for a large site takes a while.
func (r *Runner) vetInstall(req view.JobRequest) error {
	if req.Verb != Install || r.c.Vet == nil {
		return nil
	}
	s := r.c.State()
	machines, err := r.pick(s, req, batch.Task{})
	if err != nil {
		return err
	}
	if err := r.c.Vet(s, machines); err != nil {
		return install.Refusal(err.Error())
	}
	return nil
}

// describe adds what would be lost to the results of a job that begins.
func describe(s *site.State, machines []*site.Machine, results []view.JobResult) {
	for i, m := range machines {
		if data, err := json.Marshal(view.InstallTargetOf(s, m)); err == nil {
			results[i].Data = data
		}
	}
}

// todo is what is left to do with a machine of an install job.
type todo int

const (
	toArm   todo = iota // nothing was done yet, or another install was asked for
	toTell              // armed, and its installer has not come: its BMC may not have been told
	toWatch             // its installer has come, or is gone
	lost                // armed, and that was taken back
)

// left compares what is on record of a machine with how it stands. One that
// the job installed is never armed again by it.
func left(n site.JobNode, m *site.Machine) todo {
	came := m.Attempt.Number >= n.Attempt
	switch {
	case n.Attempt == 0:
		return toArm
	case came && (m.Running() || m.Installed):
		return toWatch
	case n.Again:
		return toArm
	case came:
		return toWatch
	case m.Phase == site.PhaseArmed:
		return toTell
	default:
		return lost
	}
}

// turn is one machine's part of an install job.
type turn struct {
	in      *installer
	v       *batch.Visit
	node    string
	said    string
	settled bool // its boot device was looked at after the install
	note    string
	ladder  ladder
	expires time.Time // its arming, as last seen; zero if it was not

	stopTape func() // of its console; nil before it was begun
}

func (t *turn) machine() (*site.State, *site.Machine, site.JobNode, error) {
	s := t.in.r.c.State()
	m, ok := s.Machine(t.node)
	if !ok {
		return s, nil, site.JobNode{}, fmt.Errorf("the plan has no node %s any more", t.node)
	}
	n, _ := s.JobNodes.Get(site.JobKey{ID: t.in.job, Node: t.node})
	return s, m, n, nil
}

func (t *turn) run(ctx context.Context) (batch.Outcome, error) {
	ctx, cancel := t.limited(ctx)
	defer cancel()
	defer t.endTape()
	_, m, n, err := t.machine()
	if err != nil {
		return batch.Outcome{}, err
	}
	switch left(n, m) {
	case toWatch, lost:
		t.tape()
		return t.watch(ctx, install.Arrival, nil)
	case toArm:
		t.v.Forget()
	}
	if t.in.options.NoPower {
		if err := t.arm(ctx); err != nil {
			return batch.Outcome{}, err
		}
		return t.watch(ctx, 0, nil)
	}
	for {
		out, err := t.round(ctx)
		if !errors.Is(err, errElsewhere) {
			return out, err
		}
		t.ladder.climb = true
	}
}

// round tells the BMC, and watches what becomes of it: the end of the install,
// or errElsewhere, after which the BMC is to be told in the next way.
func (t *turn) round(ctx context.Context) (batch.Outcome, error) {
	climbs := t.ladder.climb
	err := t.v.Talk(ctx, t.talk(), t.tell)
	switch _, m, n, _ := t.machine(); {
	case m == nil || n.Attempt == 0:
		return batch.Outcome{}, cmp.Or(err, error(batch.NotBegun("it was not armed"))) // its BMC could not be asked
	case err == nil:
		return t.watch(ctx, install.Arrival, nil)
	case climbs && t.ladder.climb:
		// It was switched before, and may come all the same.
		t.ladder.end()
		t.say(t.ladder.seen + "; it cannot be told otherwise: " + err.Error())
		return t.watch(ctx, install.Arrival/3, nil)
	case len(t.v.Issued()) == 0:
		return t.watch(ctx, 1, err)
	}
	// It may have been switched all the same.
	t.say("its BMC failed; its installer may come all the same: " + err.Error())
	return t.watch(ctx, install.Arrival/3, err)
}

// errTooLong is the end of the time that --deadline gives a machine.
var errTooLong = errors.New("it took longer than the job's deadline for one machine")

func (t *turn) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := t.v.Deadline(); d > 0 {
		return context.WithTimeoutCause(ctx, d, errTooLong)
	}
	return context.WithCancel(ctx)
}

func (t *turn) say(what string) {
	if what != t.said {
		t.said = what
		t.v.Say(what)
	}
}

// arm arms the machine in the commit that records it, unless the job has
// done that.
func (t *turn) arm(ctx context.Context) error {
	in := t.in
	if err := in.vet(t.node); err != nil {
		return err
	}
	anew := false
	_, err := in.r.c.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
		anew = false
		m, ok := s.Machine(t.node)
		if !ok {
			return nil, fmt.Errorf("the plan has no node %s any more", t.node)
		}
		n, _ := s.JobNodes.Get(site.JobKey{ID: in.job, Node: t.node})
		if left(n, m) != toArm {
			return nil, nil
		}
		bodies, err := install.Arm(s, []*site.Machine{m}, in.by, in.options.Why, now.Add(in.window()))
		anew = err == nil
		return append(bodies, site.JobStep{ID: in.job, Node: t.node, What: "armed", Attempt: m.Attempt.Number + 1}), err
	})
	if err != nil {
		return err
	}
	if anew {
		t.v.Forget()
	}
	t.say("armed")
	t.tape()
	return nil
}

func (in *installer) window() time.Duration { return cmp.Or(in.options.Window, install.DefaultArming) }

// vet looks again at what is about to be armed if the plan has changed since.
func (in *installer) vet(node string) error {
	if in.r.c.Vet == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.r.c.State()
	if s.PlanSeq == in.vetted {
		return nil
	}
	j, _ := s.Jobs.Get(in.job)
	var machines []*site.Machine
	for _, name := range j.Targets {
		if m, ok := s.Machine(name); ok {
			machines = append(machines, m)
		}
	}
	if in.r.c.Vet(s, machines) == nil {
		in.vetted = s.PlanSeq
		return nil
	}
	// What is wrong with another one is no reason.
	m, ok := s.Machine(node)
	if !ok {
		return fmt.Errorf("the plan has no node %s any more", node)
	}
	return in.r.c.Vet(s, []*site.Machine{m})
}

// watch waits for the end of the install. The installer has to come within
// arrival, if that is given; cause is what went wrong before. errElsewhere is
// of a machine that does not boot what its BMC was told.
func (t *turn) watch(ctx context.Context, arrival time.Duration, cause error) (batch.Outcome, error) {
	look, stop := t.lookout(cause)
	defer stop()
	var late <-chan time.Time
	if arrival > 0 {
		timer := time.NewTimer(t.until(arrival))
		defer timer.Stop()
		late = timer.C
	}
	for {
		changed := t.in.r.c.Changed()
		_, m, n, err := t.machine()
		if err != nil {
			return batch.Outcome{}, err
		}
		if m.Phase == site.PhaseArmed {
			t.expires = m.Arming.Until
		}
		if over, out, err := t.over(m, n, cause); over {
			return out, err
		}
		t.say(stageOf(m))
		if m.Installed {
			t.settle(ctx)
		}
		select {
		case <-changed:
			continue
		case <-look:
			if t.elsewhere(m, n) {
				return batch.Outcome{}, errElsewhere
			}
			continue
		case <-late:
			late, err = nil, t.absent(arrival, cause)
		case <-t.stopped(m):
			err = batch.NotBegun(t.v.StopWhy() + " (its arming was taken back before its installer came)")
		case <-ctx.Done():
			if t.in.r.left(ctx) {
				return batch.Outcome{}, ctx.Err() // the next daemon goes on
			}
			err = gone(ctx, m)
		}
		if back, failed := t.disarm(ctx, err); back || failed != nil || ctx.Err() != nil {
			return batch.Outcome{}, cmp.Or(failed, err)
		}
	}
}

// until is what is left of the time in which the machine has to come. It began
// when the machine was switched on, whichever daemon did that; one that has
// just started waits for a while at least, for nobody could come before.
func (t *turn) until(arrival time.Duration) time.Duration {
	pace := t.in.r.c.Pace
	whole := pace.Of(arrival)
	_, _, n, err := t.machine()
	if err != nil || n.Switched.IsZero() {
		return whole
	}
	rest := whole - t.in.r.c.Now().Sub(n.Switched)
	return min(whole, max(rest, pace.Of(install.Grace)))
}

// stopped is watched as long as the machine can be disarmed.
func (t *turn) stopped(m *site.Machine) <-chan struct{} {
	if m.Phase != site.PhaseArmed {
		return nil
	}
	return t.v.Stopped()
}

func gone(ctx context.Context, m *site.Machine) error {
	tooLong := errors.Is(context.Cause(ctx), errTooLong)
	if m.Phase == site.PhaseArmed && !tooLong {
		return batch.NotBegun("cancelled (its arming was taken back before its installer came)")
	}
	why := "cancelled"
	if tooLong {
		why = errTooLong.Error()
	}
	if m.Phase != site.PhaseArmed {
		why += "; its install goes on by itself"
	}
	return &batch.Failure{Err: errors.New(why), Fix: fmt.Sprintf("`rackseed node show %s` says how it stands", m.Node.Name)}
}

// absent is said of a machine whose installer did not come.
func (t *turn) absent(arrival time.Duration, cause error) error {
	if cause != nil {
		return cause
	}
	return &batch.Failure{
		Err: fmt.Errorf("its BMC says that it boots from the network, but within %s nothing of it arrived that may be installed%s", t.in.r.c.Pace.Of(arrival).Round(time.Second), t.ladder.history()),
		Fix: fmt.Sprintf("look at its console (`rackseed console %s`): does it boot from the network, from the port that is cabled to this one? `rackseed explain %s` says what it would be told", t.node, t.node),
	}
}

// disarm takes the arming back, unless the installer has come meanwhile:
// then the wire is right, and back is false.
func (t *turn) disarm(ctx context.Context, why error) (back bool, err error) {
	_, err = t.in.r.c.Do(context.WithoutCancel(ctx), func(s *site.State, _ time.Time) ([]site.Body, error) {
		m, ok := s.Machine(t.node)
		n, _ := s.JobNodes.Get(site.JobKey{ID: t.in.job, Node: t.node})
		back = ok && m.Phase == site.PhaseArmed && n.Attempt == m.Attempt.Number+1
		if !back {
			return nil, nil
		}
		return []site.Body{
			site.Disarmed{Node: t.node, By: t.in.by, Reason: "job " + t.in.job + ": " + why.Error()},
			site.JobStep{ID: t.in.job, Node: t.node, What: "disarmed: " + why.Error(), Disarmed: true},
		}, nil
	})
	if err != nil {
		err = fmt.Errorf("taking the arming back: %w", err)
	}
	return back, err
}

// over says whether the install has ended, and how.
func (t *turn) over(m *site.Machine, n site.JobNode, cause error) (bool, batch.Outcome, error) {
	fail := func(fix, format string, args ...any) (bool, batch.Outcome, error) {
		return true, batch.Outcome{}, &batch.Failure{Err: fmt.Errorf(format, args...), Fix: fix}
	}
	show := fmt.Sprintf("`rackseed node show %s` says more", t.node)
	switch {
	case m.Phase == site.PhaseReady:
		message := "ready"
		if t.note != "" {
			message += "; " + t.note
		}
		return true, batch.Outcome{Message: message}, nil
	case len(m.Deviations) > 0:
		return fail(show+"; what is corrected on the machine shows at its next report", "installed, but %d values are not as intended: %s", len(m.Deviations), strings.Join(m.Deviations[:min(3, len(m.Deviations))], "; "))
	case m.Phase == site.PhaseFailed:
		return fail(install.Fix(m), "at %s: %s", cmp.Or(m.Attempt.Stage, string(install.StageLoader)), m.Reason)
	case m.Phase == site.PhaseHeld:
		return fail(install.Fix(m), "held: %s", m.Reason)
	case left(n, m) == lost && cause != nil:
		return true, batch.Outcome{}, cause
	case left(n, m) == lost:
		fix, why := t.waitedInVain(m)
		return fail(fix, "%s", why)
	case m.Phase == site.PhasePlanned:
		return fail(fmt.Sprintf("`rackseed install %s` arms it again", t.node), "its install was given up: somebody disarmed it")
	}
	return false, batch.Outcome{}, nil
}

// waitedInVain says what ended an arming that no installer used up, and what
// to do.
func (t *turn) waitedInVain(m *site.Machine) (fix, why string) {
	who := fmt.Sprintf("`rackseed events` says who did that; `rackseed install %s` arms it again", t.node)
	switch {
	case t.expires.IsZero(): // it ended while no daemon watched
		return who, "it was disarmed, or its arming ran out, before it was installed"
	case m.Since.Before(t.expires):
		return who, "it was disarmed before its installer came"
	}
	fix = fmt.Sprintf("is it on, does it boot from the network, and is its MAC the plan's? `rackseed explain %s` says what it would be told; `rackseed install %s` arms it again", t.node, t.node)
	return fix, "its arming ran out before its installer came"
}

func stageOf(m *site.Machine) string {
	switch m.Phase {
	case site.PhaseArmed:
		return "armed, its installer has not come yet"
	case site.PhaseBooting:
		return "booting the installer"
	case site.PhaseInstalling:
		return "installing: " + m.Attempt.Stage
	case site.PhaseInstalled:
		return "installed, starting from its disk"
	}
	return string(m.Phase)
}

// settle has the machine start from its disk if its BMC would still start it
// from the network: some keep for ever what was meant for one boot. The
// daemon sends it to its disk anyway, so nothing fails with this.
func (t *turn) settle(ctx context.Context) {
	if t.settled || t.in.options.NoPower {
		return
	}
	t.settled = true
	err := t.v.Talk(ctx, max(t.in.r.c.Pace.Of(time.Minute), 5*time.Second), func(ctx context.Context, s *batch.Session) (batch.Outcome, error) {
		now, err := s.Boot(ctx)
		if err != nil || !slices.Contains([]bmc.Device{bmc.DevicePXE, bmc.DeviceHTTP}, now.Device) {
			return batch.Outcome{}, err
		}
		_, steps, err := bmc.SetBootVerified(ctx, s.Driver, bmc.Boot{Device: bmc.DeviceDisk, Mode: now.Mode}, s.Patience)
		if err == nil {
			t.add(fmt.Sprintf("its BMC still said %s, and was told disk", now))
		}
		return batch.Outcome{Steps: steps}, err
	})
	if err != nil && ctx.Err() == nil {
		t.add(fmt.Sprintf("its BMC may still start it from the network (%v), where it is sent to its disk", err))
	}
	if t.note != "" {
		t.say("installed; " + t.note)
	}
}

// add notes what is worth a word beside the result.
func (t *turn) add(note string) {
	if t.note != "" {
		t.note += "; "
	}
	t.note += note
}
