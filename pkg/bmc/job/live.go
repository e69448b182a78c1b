package job

import (
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
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// live is a job that runs in this process, or ran a short while ago.
type live struct {
	task    batch.Task
	durable bool // on record in the log
	options view.JobOptions
	given   site.Secret // sealed; of a job that sets a given password
	cancel  context.CancelFunc

	mu      sync.Mutex
	job     view.Job // its ID and what was asked for never change
	index   map[string]int
	changes []view.JobChange
	grown   chan struct{} // closed at the next change
}

func newLive(job view.Job, task batch.Task, durable bool) *live {
	l := &live{task: task, durable: durable, job: job, index: map[string]int{}, grown: make(chan struct{})}
	l.job.Results = slices.Clone(job.Results)
	for i, r := range job.Results {
		l.index[r.Target] = i
	}
	return l
}

func (l *live) view() view.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.job
	j.Results = slices.Clone(l.job.Results)
	return j
}

func (l *live) tell(c view.JobChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.index[c.Target]; ok {
		r := &l.job.Results[i]
		if c.Result != nil {
			*r = *c.Result
		} else {
			r.Phase, r.Message = c.Phase, c.What
		}
	}
	l.changes = append(l.changes, c)
	l.wake()
}

// wake needs the lock.
func (l *live) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *live) end(at time.Time, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.job.State, l.job.Ended, l.job.Reason = "ended", at, reason
	l.job.Count()
	l.wake()
}

func (l *live) follow(ctx context.Context, tell func(view.JobChange) error) error {
	for told := 0; ; {
		l.mu.Lock()
		news, ended, grown := l.changes[told:], l.job.State != "running", l.grown
		l.mu.Unlock()
		for _, c := range news {
			if err := tell(c); err != nil {
				return err
			}
		}
		told += len(news)
		if ended {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin has a job run in a goroutine that Run waits for.
func (r *Runner) begin(l *live) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return errors.New("the daemon is stopping: the job goes on when it is started again")
	}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(r.ctx)
	r.live = slices.DeleteFunc(r.live, func(o *live) bool { return o.job.ID == l.job.ID })
	r.live = append(r.live, l)
	for i := 0; len(r.live) > keptLive && i < len(r.live)-1; {
		if r.live[i].view().State == "running" {
			i++
			continue
		}
		r.live = slices.Delete(r.live, i, i+1)
	}
	r.running.Go(func() {
		defer l.cancel()
		r.work(ctx, l)
	})
	return nil
}

// work does a job. What it records is recorded even while the daemon stops:
// the writer of the log ends last.
func (r *Runner) work(ctx context.Context, l *live) {
	job := l.view()
	s := r.c.State()
	options := l.options
	if j, ok := s.Jobs.Get(job.ID); ok {
		options = view.JobOptions(j.Options)
	}
	targets, unfit := r.targets(s, job)
	v := r.vaultOf(l)
	dial := bmc.OpenEither(r.c.Dial, v)
	o := batch.Options{
		Parallel: options.Parallel, PerRack: options.PerRack, Stagger: options.Stagger, Canary: options.Canary, MaxFailures: options.MaxFailures, Deadline: options.Deadline,
		Patience: r.c.Patience, Jitter: r.c.Jitter, Sessions: &r.sessions, Past: past(s, job),
		Dial: func(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
			if err := unfit[t.Name]; err != nil {
				return nil, err
			}
			t.PasswordOnly = job.Verb == Access
			return dial(ctx, t)
		},
		After: func(ctx context.Context, res batch.Result) { r.after(ctx, l, res) },
	}
	if options.NoPower && o.Parallel == 0 {
		o.Parallel = len(targets) // whoever presses the buttons needs no cap
	}
	o.Around = r.around(s)
	if l.durable {
		o.Note = func(ctx context.Context, node, what string) error {
			return r.record(ctx, site.JobStep{ID: job.ID, Node: node, What: what})
		}
		o.Before = func(ctx context.Context, node string, a bmc.PowerAction) error {
			step := site.JobStep{ID: job.ID, Node: node, What: "power " + string(a) + " issued", Power: string(a)}
			if job.Verb == Install && a == bmc.ActionOff {
				return r.waiting(ctx, job.ID, node, step) // an installer that has come keeps its power
			}
			return r.record(ctx, step)
		}
	}
	results := batch.Run(ctx, o, targets, r.equip(l, v), func(c batch.Change) {
		change := Change(c)
		l.tell(change)
		if l.durable && r.c.Observe != nil {
			r.c.Observe(job.ID, change)
		}
	})
	reason := ""
	for _, res := range results {
		if res.Phase == batch.NotStarted {
			reason, _, _ = strings.Cut(strings.TrimPrefix(res.Message, "not started: "), " (")
		}
	}
	if l.durable && !r.left(ctx) {
		if err := r.record(context.WithoutCancel(ctx), site.JobEnded{ID: job.ID, Reason: reason}); err != nil {
			r.c.Log.Error("the end of a job could not be recorded", "job", job.ID, "error", err)
		}
	}
	l.end(r.c.Now(), reason)
}

// around is what the daemon knows of machines beside what their BMCs say.
func (r *Runner) around(s *site.State) batch.Around {
	a := batch.Around{Boot: r.c.Boot, Image: r.c.Image, Fetches: r.c.Fetches, Now: r.c.Now}
	if r.c.BIOS != nil {
		a.BIOS = func(node string) (map[string]string, error) {
			m, ok := s.Machine(node)
			if !ok {
				return nil, fmt.Errorf("the plan has no node %s any more", node)
			}
			return r.c.BIOS(s, m)
		}
	}
	return a
}

// left reports whether the daemon stops, so that the job is left to the next
// one.
func (r *Runner) left(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c.Owner && ctx.Err() != nil && r.ctx.Err() != nil
}

func (r *Runner) record(ctx context.Context, b site.Body) error {
	_, err := r.c.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) { return []site.Body{b}, nil })
	return err
}

// after records what became of a machine, and what was learned of its BMC.
func (r *Runner) after(ctx context.Context, l *live, res batch.Result) {
	left := !res.OK && r.left(ctx)
	_, err := r.c.Do(context.WithoutCancel(ctx), func(s *site.State, _ time.Time) ([]site.Body, error) {
		var bodies []site.Body
		known := site.BMCKnown{
			Protocol: string(res.Known.Protocol), CipherSuite: res.Known.CipherSuite, Certificate: res.Known.Certificate,
			Manufacturer: res.Known.Manufacturer, Model: res.Known.Model, Firmware: res.Known.Firmware,
		}
		if m, ok := s.Machine(res.Target); ok && m.BMC != known && known != (site.BMCKnown{}) && s.BMCOf(m).Address == res.Address {
			bodies = append(bodies, site.BMCLearned{Node: res.Target, Known: known})
		}
		if l.durable && !left {
			bodies = append(bodies, site.JobNodeDone{ID: l.job.ID, Node: res.Target, OK: res.OK, Message: res.Message})
		}
		return bodies, nil
	})
	if err != nil {
		r.c.Log.Error("what became of a machine could not be recorded", "job", l.job.ID, "node", res.Target, "error", err)
	}
}

// targets are the BMCs of a job; unfit says which of them cannot be reached,
// because the plan lacks what is needed.
func (r *Runner) targets(s *site.State, job view.Job) ([]bmc.Target, map[string]error) {
	targets := make([]bmc.Target, 0, len(job.Results))
	unfit := map[string]error{}
	for _, res := range job.Results {
		t := bmc.Target{Name: res.Target, Address: res.Address, Rack: res.Rack}
		m, ok := s.Machine(res.Target)
		if !ok {
			unfit[res.Target] = fmt.Errorf("the plan has no node %s any more", res.Target)
		} else if found, err := r.c.Target(s, m); err != nil {
			unfit[res.Target] = err
		} else {
			t = found
			t.Known = known(m.BMC)
		}
		targets = append(targets, t)
	}
	return targets, unfit
}

func known(k site.BMCKnown) bmc.Known {
	return bmc.Known{
		Protocol: bmc.Protocol(k.Protocol), CipherSuite: k.CipherSuite, Certificate: k.Certificate,
		Manufacturer: k.Manufacturer, Model: k.Model, Firmware: k.Firmware,
	}
}

func past(s *site.State, job view.Job) map[string]batch.Past {
	out := map[string]batch.Past{}
	for _, res := range job.Results {
		n, ok := s.JobNodes.Get(site.JobKey{ID: job.ID, Node: res.Target})
		if !ok {
			continue
		}
		// A machine that failed is not tried again by itself, only by --resume,
		// which takes its failure off the record.
		p := batch.Past{Done: n.Done && n.OK, Failed: n.Done && !n.OK, Message: n.Message}
		for _, a := range n.Issued {
			p.Issued = append(p.Issued, bmc.PowerAction(a))
		}
		out[res.Target] = p
	}
	return out
}

// Change is a change as the API shows it.
func Change(c batch.Change) view.JobChange {
	out := view.JobChange{Target: c.Target, Phase: string(c.Phase), What: c.What}
	if c.Result != nil {
		r := Result(*c.Result)
		out.Result = &r
	}
	return out
}

// Result is a result as the API shows it.
func Result(r batch.Result) view.JobResult {
	out := view.JobResult{
		Target: r.Target, Address: r.Address, Rack: r.Rack, OK: r.OK, Phase: string(r.Phase), Message: r.Message, Fix: r.Fix,
		Attempts: r.Attempts, Seconds: r.Took.Round(time.Millisecond).Seconds(),
	}
	if r.Data != nil {
		if data, err := json.Marshal(r.Data); err == nil {
			out.Data = data
		}
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, view.JobStep{What: s.What, Error: s.Err})
	}
	return out
}
