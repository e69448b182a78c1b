// Package batch does one thing to many BMCs: the canaries first, so many at a
// time, so many in a rack, the power-ons apart, and no more once too many
// failed. A BMC that is dead costs nobody's time but its own.
package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Options say how a batch goes about it. The zero value goes on with
// everything at DefaultParallel.
type Options struct {
	Parallel    int           // BMCs at a time; zero means DefaultParallel
	PerRack     int           // BMCs of one rack at a time; zero means no bound
	Stagger     time.Duration // between two power-ons
	Canary      int           // the first so many must succeed before the rest begins
	MaxFailures int           // begin no more after so many failed; zero means go on
	Deadline    time.Duration // of one BMC, retries included; zero means what the task takes
	Tries       int           // conversations with a BMC that does not answer; zero means 3
	Patience    bmc.Patience

	Dial bmc.Dialer
	// Sessions keeps every BMC to one session at a time, in this batch and in
	// all that share it; nil means this batch alone.
	Sessions *Sessions
	// Before is called when a power action is about to be sent: once it
	// returns nil, the action is on record.
	Before func(ctx context.Context, target string, action bmc.PowerAction) error
	// Note is told of what is done besides: a boot device that was told in
	// another way, a medium that was ejected. Nil puts it on no record.
	Note func(ctx context.Context, target, what string) error
	// After is called when a target that was begun has ended, before its
	// result is told.
	After func(ctx context.Context, r Result)
	// Around is what is known of the targets beside what their BMCs say.
	Around Around
	// Past is what an earlier run of the same batch came to, by target.
	Past map[string]Past

	Clock  func() time.Time                        // nil means time.Now
	Jitter func(limit time.Duration) time.Duration // nil means evenly between zero and limit
}

// DefaultParallel keeps a laptop's sockets and a BMC network's switches well
// below what they bear.
const DefaultParallel = 32

// idle is how long a session may wait for its turn to switch a machine on. An
// IPMI session ends by itself after 60 s (IPMI 2.0 section 6.12.15).
const idle = 30 * time.Second

func (o Options) withDefaults(t Task) Options {
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	if o.Tries <= 0 {
		o.Tries = 3
	}
	if o.Deadline <= 0 && t.Course == nil {
		o.Deadline = cmp.Or(t.Takes, 2*time.Minute)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func(limit time.Duration) time.Duration { return rand.N(limit + 1) }
	}
	if o.Sessions == nil {
		o.Sessions = &Sessions{}
	}
	if o.Stagger > 0 && t.Energizes && t.Course == nil {
		// Whoever is let in must get its turn before its session is idle for too long.
		o.Parallel = min(o.Parallel, max(1, int(idle/o.Stagger)))
		o.Deadline += max(idle, o.Stagger)
	}
	return o
}

// Past is what an earlier run did with one target.
type Past struct {
	Done    bool
	Failed  bool              // and is not to be tried again
	Message string            // of the earlier run, where it ended
	Issued  []bmc.PowerAction // on record as about to be sent, in order
}

// Phase is how far a target has come.
type Phase string

// The phases of a target. The last three are final.
const (
	Running    Phase = "running"
	Retrying   Phase = "retrying"
	Done       Phase = "done"
	Failed     Phase = "failed"
	NotStarted Phase = "not started"
)

// Change is one step of one target.
type Change struct {
	Target string  `json:"target"`
	Phase  Phase   `json:"phase"`
	What   string  `json:"what"`             // in words
	Result *Result `json:"result,omitempty"` // in the final phases
}

// Result is what became of one target.
type Result struct {
	Target   string        `json:"target"`
	Address  string        `json:"address"`
	Rack     string        `json:"rack,omitempty"`
	OK       bool          `json:"ok"`
	Phase    Phase         `json:"phase"`
	Message  string        `json:"message"`
	Fix      string        `json:"fix,omitempty"` // the next step, where it failed
	Data     any           `json:"data,omitempty"`
	Steps    bmc.Steps     `json:"steps,omitempty"`
	Took     time.Duration `json:"-"` // in JSON as seconds
	Attempts int           `json:"attempts"`
	Known    bmc.Known     `json:"known,omitzero"`
	Err      error         `json:"-"`
}

// MarshalJSON gives the time in seconds.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	return json.Marshal(struct {
		plain
		Seconds float64 `json:"seconds"`
	}{plain(r), r.Took.Round(time.Millisecond).Seconds()})
}

// Run does the task to every target and gives the results in their order. It
// returns when everything that was begun has ended and every session is
// closed; a cancelled ctx makes that soon. observe gets one change at a time,
// and may be nil.
func Run(ctx context.Context, o Options, targets []bmc.Target, task Task, observe func(Change)) []Result {
	r := &run{o: o.withDefaults(task), task: task, targets: targets, results: make([]Result, len(targets)), ended: make(chan int), observe: observe}
	r.issued, r.stopped, r.talking = make([][]bmc.PowerAction, len(targets)), make(chan struct{}), talkers(r.o)
	r.queue = newQueue(r.o, targets)
	for i, t := range targets {
		r.issued[i] = slices.Clone(o.Past[t.Name].Issued)
		r.results[i] = Result{Target: t.Name, Address: t.Address, Rack: t.Rack, Known: t.Known}
		switch past := o.Past[t.Name]; {
		case past.Done:
			r.finish(i, Done, past.Message, true)
		case past.Failed:
			r.finish(i, Failed, past.Message, false)
		}
	}
	for running := 0; ; running-- {
		for i, ok := r.queue.next(ctx.Err() != nil); ok; i, ok = r.queue.next(ctx.Err() != nil) {
			running++
			go func() {
				r.one(ctx, i)
				r.ended <- i
			}()
		}
		if running == 0 {
			break
		}
		i := <-r.ended
		r.queue.end(i, r.results[i].Phase)
		r.stopEarly()
	}
	why := r.queue.why
	if why == "" {
		why = "cancelled"
	}
	for i, left := range r.queue.waiting {
		if left {
			r.finish(i, NotStarted, "not started: "+why, false)
		}
	}
	return r.results
}

type run struct {
	o       Options
	task    Task
	targets []bmc.Target
	queue   *queue
	results []Result            // each written by the goroutine of its target
	issued  [][]bmc.PowerAction // on record, by target; likewise
	ended   chan int
	gate    gate
	stopped chan struct{} // closed when no more are begun
	stopWhy string        // read after stopped
	talking chan struct{} // a place for each session that may wait for its power-on

	mu      sync.Mutex
	observe func(Change)
}

func (r *run) say(c Change) {
	if r.observe == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observe(c)
}

func (r *run) end(ctx context.Context, i int, p Phase, message string) {
	res := &r.results[i]
	res.Phase, res.Message, res.OK = p, message, p == Done
	if r.o.After != nil {
		r.o.After(ctx, *res)
	}
	r.finish(i, p, message, res.OK)
}

func (r *run) finish(i int, p Phase, message string, ok bool) {
	res := &r.results[i]
	res.Phase, res.Message, res.OK = p, message, ok
	final := *res
	r.say(Change{Target: res.Target, Phase: p, What: message, Result: &final})
}

// one does the task to a target.
func (r *run) one(ctx context.Context, i int) {
	t, res := r.targets[i], &r.results[i]
	start := r.o.Clock()
	r.say(Change{Target: t.Name, Phase: Running, What: r.task.Name})
	var err error
	if r.task.Course != nil {
		var out Outcome
		out, err = r.task.Course(ctx, &Visit{Target: t, run: r, index: i})
		res.Message, res.Data, res.Steps = out.Message, out.Data, append(res.Steps, out.Steps...)
	} else {
		err = r.talk(ctx, i, r.o.Deadline, r.task.Do)
	}
	res.Took = r.o.Clock().Sub(start)
	notBegun := NotBegun("")
	switch {
	case errors.As(err, &notBegun):
		r.finish(i, NotStarted, string(NotStarted)+": "+string(notBegun), false)
	case err != nil:
		res.Err, res.Fix = err, advice(err)
		r.end(ctx, i, Failed, words(ctx, err))
	default:
		r.end(ctx, i, Done, res.Message)
	}
}

// talk has a conversation with a target, again if the BMC was away or busy.
func (r *run) talk(ctx context.Context, i int, limit time.Duration, do conversation) error {
	release, err := r.o.Sessions.acquire(ctx, r.targets[i].Address)
	if err != nil {
		return err
	}
	defer release()
	begun := r.o.Clock()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = r.tries(limited, i, do)
	if err != nil && ctx.Err() == nil && r.o.Clock().Sub(begun) >= limit {
		err = fmt.Errorf("gave up after %s: %w", limit, err)
	}
	return err
}

// conversation is what is done with a session.
type conversation func(ctx context.Context, s *Session) (Outcome, error)

func (r *run) tries(ctx context.Context, i int, do conversation) error {
	t, res := r.targets[i], &r.results[i]
	for attempts := 1; ; attempts++ {
		res.Attempts = max(res.Attempts, attempts)
		err := r.converse(ctx, i, do)
		if err == nil || !r.worthRetrying(err, attempts, r.issued[i]) || ctx.Err() != nil {
			return err
		}
		wait := r.o.Jitter(backoff(attempts))
		r.say(Change{Target: t.Name, Phase: Retrying, What: fmt.Sprintf("%s: trying again in %s", oneLine(err), wait.Round(100*time.Millisecond))})
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// converse opens a session, does what is to be done and logs out, even where
// ctx has ended: a session that is left behind is one of four that a BMC has.
func (r *run) converse(ctx context.Context, i int, do conversation) error {
	t, res := r.targets[i], &r.results[i]
	t.Known = res.Known
	d, err := r.o.Dial(ctx, t)
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	s := &Session{Driver: d, Target: t, Patience: r.o.Patience, Issued: slices.Clone(r.issued[i]), Around: r.o.Around}
	if t.Protocol == bmc.Auto || t.Protocol == "" {
		s.other = func(ctx context.Context) (bmc.Driver, error) { return r.other(ctx, t, d) }
	}
	s.note = func(ctx context.Context, what string) error { return r.note(ctx, t.Name, what) }
	s.before = func(ctx context.Context, a bmc.PowerAction) error {
		if err := r.gate.wait(ctx, r.o, a); err != nil {
			return err
		}
		if r.o.Before != nil {
			if err := r.o.Before(ctx, t.Name, a); err != nil {
				return err
			}
		}
		r.issued[i] = append(r.issued[i], a)
		r.say(Change{Target: t.Name, Phase: Running, What: "power " + string(a) + " issued"})
		return nil
	}
	out, err := do(ctx, s)
	res.Message, res.Data = out.Message, out.Data
	res.Steps = append(res.Steps, out.Steps...)
	res.Known = d.Known()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if closing := s.Close(leaving); closing != nil {
		res.Steps = append(res.Steps, bmc.Step{What: "logging out", Err: closing.Error()})
	}
	return err
}

// note puts a step on record, and before the eyes of whoever watches.
func (r *run) note(ctx context.Context, target, what string) error {
	r.say(Change{Target: target, Phase: Running, What: what})
	if r.o.Note == nil {
		return nil
	}
	if err := r.o.Note(ctx, target, what); err != nil {
		return fmt.Errorf("recording %q: %w", what, err)
	}
	return nil
}

// other opens a session by the protocol that d does not speak. A BMC is talked
// to in one session at a time, so d is closed.
func (r *run) other(ctx context.Context, t bmc.Target, d bmc.Driver) (bmc.Driver, error) {
	t.Protocol = bmc.IPMI
	if d.Known().Protocol == bmc.IPMI {
		t.Protocol = bmc.Redfish
	}
	if err := d.Close(ctx); err != nil {
		return nil, fmt.Errorf("logging out before %s: %w", t.Protocol, err)
	}
	return r.o.Dial(ctx, t)
}

// gate lets one machine at a time be switched on.
type gate struct {
	mu   sync.Mutex
	next time.Time
}

func (g *gate) wait(ctx context.Context, o Options, a bmc.PowerAction) error {
	if o.Stagger <= 0 || a != bmc.ActionOn && a != bmc.ActionCycle {
		return nil
	}
	g.mu.Lock()
	now := o.Clock()
	at := g.next
	if at.Before(now) {
		at = now
	}
	g.next = at.Add(o.Stagger)
	g.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(at.Sub(now)):
		return nil
	}
}
