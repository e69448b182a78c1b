// Package job runs batches for a daemon. What changes a machine is on record
// in the log before it is sent, so that a daemon that was killed goes on with
// what is left and repeats no power action that happened.
package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Config is what a runner works with. All of it is needed down to Log.
type Config struct {
	State func() *site.State
	// Do commits the events that decide gives, as ledger.Ledger does.
	Do func(ctx context.Context, decide func(*site.State, time.Time) ([]site.Body, error)) (*site.State, error)
	// Target says how the BMC of a machine is reached, its password included.
	Target func(s *site.State, m *site.Machine) (bmc.Target, error)
	Dial   bmc.Dialer
	NewID  func() string
	Now    func() time.Time
	Log    *slog.Logger

	// BIOS are the firmware settings that the role of a machine wants.
	BIOS func(s *site.State, m *site.Machine) (map[string]string, error)
	// Boot, Image and Fetches are batch.Around's, for whoever serves.
	Boot    func(node string, since time.Time) (bmc.Sign, bool)
	Image   func(t bmc.Target, name string) (string, error)
	Fetches func(url string, since time.Time) (clients []batch.Fetch, ours bool)

	// Record records the console of a node in its timeline until stop; nil is
	// for whoever has no timelines.
	Record func(node string) (stop func(), err error)

	// Observe is told what happens to each machine of a job that changes
	// something; nil is allowed. It must not wait.
	Observe func(job string, c view.JobChange)

	// Seal and Open keep passwords that jobs set, as seal.Box does.
	Seal func(site.Secret) site.Secret
	Open func(site.Secret) (string, error)

	// Changed is closed at the next commit, as ledger.Ledger's is.
	Changed func() <-chan struct{}
	// Vet says why machines that are about to be armed could not be installed.
	Vet func(s *site.State, machines []*site.Machine) error
	// Pace divides the deadlines of installs.
	Pace install.Pace

	// Owner has unfinished jobs of the log go on at the start, and leaves jobs
	// that run at the end to the next start. Without it, a job ends with the
	// runner.
	Owner    bool
	Patience bmc.Patience
	Jitter   func(time.Duration) time.Duration
}

// stale is how long a daemon may have been away for its jobs to go on by
// themselves: nobody expects a machine to be switched off that was to be
// yesterday.
const stale = time.Hour

// keptLive bounds the ended jobs whose data is remembered.
const keptLive = 20

// Runner runs jobs.
type Runner struct {
	c        Config
	sessions batch.Sessions
	started  chan struct{}
	running  sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // of Run
	stopped bool
	live    []*live // the oldest first
}

// New makes a runner, which Run sets going.
func New(c Config) *Runner { return &Runner{c: c, started: make(chan struct{})} }

// Run goes on with what an earlier daemon left, and returns when ctx has
// ended and every job has.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	if r.c.Owner {
		r.takeOver(ctx)
	}
	// Not before: what is queued meanwhile would look left behind, be begun
	// twice, and switch machines twice.
	close(r.started)
	<-ctx.Done()
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

func (r *Runner) takeOver(ctx context.Context) {
	s := r.c.State()
	for _, j := range s.AllJobs() {
		if !j.Running() {
			continue
		}
		task, err := r.task(j.ID, j.By, j.Verb, j.Args, view.JobOptions(j.Options))
		away, limit := time.Duration(0), staleAfter(j)
		_, doErr := r.c.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
			if away = now.Sub(j.Active); away < limit && err == nil {
				return nil, nil
			}
			return []site.Body{site.JobEnded{ID: j.ID, Reason: fmt.Sprintf("the daemon was away for %s", away.Round(time.Second))}}, nil
		})
		if doErr != nil || err != nil || away >= limit {
			r.c.Log.Warn("an unfinished job does not go on by itself", "job", j.ID, "away", away, "error", errors.Join(err, doErr))
			continue
		}
		r.c.Log.Info("an unfinished job goes on", "job", j.ID, "verb", j.Verb)
		if err := r.begin(newLive(viewOf(s, j), task, true)); err != nil {
			r.c.Log.Warn("an unfinished job waits for the next start", "job", j.ID, "error", err)
		}
	}
}

// staleAfter is how long a daemon may have been away for a job to go on by
// itself. Whoever armed machines for hours means it for hours.
func staleAfter(j *site.Job) time.Duration {
	if j.Verb == Install {
		return max(stale, cmp.Or(j.Options.Window, install.DefaultArming))
	}
	return stale
}

// Start begins a job, or has one that ended go on.
func (r *Runner) Start(ctx context.Context, req view.JobRequest) (view.Job, error) {
	select {
	case <-r.started:
	case <-ctx.Done():
		return view.Job{}, ctx.Err()
	}
	if req.Resume != "" {
		return r.resume(ctx, req)
	}
	id := r.c.NewID()
	task, err := r.task(id, req.By, req.Verb, req.Args, req.Options)
	if err != nil {
		return view.Job{}, view.Misuse(err.Error())
	}
	job := view.Job{ID: id, Verb: req.Verb, Args: req.Args, By: req.By, State: "running"}
	prepare := func(s *site.State) ([]site.Body, error) {
		machines, err := r.pick(s, req, task)
		if err != nil {
			return nil, err
		}
		var bodies []site.Body
		if task.Changes {
			bodies = append(bodies, site.JobQueued{ID: job.ID, Verb: req.Verb, Args: req.Args, Targets: namesOf(machines), Options: site.JobOptions(req.Options), By: req.By})
		}
		job.Results = waiting(s, machines)
		if req.Verb == Install {
			describe(s, machines, job.Results)
		}
		return append(bodies, pinned(machines, req.Pin)...), nil
	}
	if err := r.vetInstall(req); err != nil {
		return view.Job{}, err
	}
	if req.DryRun {
		_, err = prepare(r.c.State())
		job.ID, job.State = "", "dry-run"
	} else {
		_, err = r.c.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
			job.Queued = now
			return prepare(s)
		})
	}
	job.Count()
	if err != nil || req.DryRun {
		return job, err
	}
	l := newLive(job, task, task.Changes)
	l.options = req.Options
	if req.Password != "" {
		l.given = r.c.Seal(req.Password)
	}
	return job, r.begin(l)
}

func (r *Runner) resume(ctx context.Context, req view.JobRequest) (view.Job, error) {
	j, ok := r.c.State().Jobs.Get(req.Resume)
	switch {
	case !ok:
		return view.Job{}, view.Misuse(fmt.Sprintf("there is no job %s: see `rackseed job list`; jobs that only look are not kept", req.Resume))
	case req.Verb != "" && (j.Verb != req.Verb || !slices.Equal(j.Args, req.Args)):
		return view.Job{}, view.Misuse(fmt.Sprintf("job %s is `%s`, not `%s`", j.ID, words(j.Verb, j.Args), words(req.Verb, req.Args)))
	}
	if l := r.find(j.ID); l != nil && j.Running() {
		if len(req.Given) > 0 {
			return view.Job{}, view.Misuse(fmt.Sprintf("job %s is running, with its own options: `rackseed job cancel %s` ends it first", j.ID, j.ID))
		}
		return l.view(), nil
	}
	options, err := view.JobOptions(j.Options).With(req.Options, req.Given)
	if err != nil {
		return view.Job{}, view.Misuse(err.Error())
	}
	task, err := r.task(j.ID, j.By, j.Verb, j.Args, options)
	if err != nil {
		return view.Job{}, view.Misuse(err.Error())
	}
	s, err := r.c.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		now, ok := s.Jobs.Get(j.ID)
		if !ok || now.Running() {
			return nil, nil // a killed command left it
		}
		resumed := site.JobResumed{ID: j.ID, By: req.By}
		if len(req.Given) > 0 {
			resumed.Options = (*site.JobOptions)(&options)
		}
		return []site.Body{resumed}, nil
	})
	if err != nil {
		return view.Job{}, fmt.Errorf("recording that job %s goes on: %w", j.ID, err)
	}
	j, _ = s.Jobs.Get(j.ID)
	l := newLive(viewOf(s, j), task, true)
	return l.view(), r.begin(l)
}

func words(verb string, args []string) string {
	return strings.Join(append([]string{verb}, args...), " ")
}

// pick selects the machines of a job. What would break an install that runs
// is refused.
func (r *Runner) pick(s *site.State, req view.JobRequest, task batch.Task) ([]*site.Machine, error) {
	sel, err := site.ParseSelector(req.Selector)
	if err != nil {
		return nil, view.Misuse(err.Error())
	}
	machines, err := s.Select(sel)
	if err == nil && len(machines) == 0 {
		err = fmt.Errorf("%q selects no node: `rackseed node list` shows what there is", req.Selector)
	}
	if err != nil {
		return nil, view.Misuse(err.Error())
	}
	if req.Pin != "" && len(machines) != 1 {
		return nil, view.Misuse(fmt.Sprintf("--pin is the certificate of one BMC, and %q selects %d nodes", req.Selector, len(machines)))
	}
	if req.Verb == Install {
		return machines, r.installable(s, machines, req)
	}
	for _, m := range machines {
		if s.BMCOf(m).Address == "" {
			return nil, view.Misuse(fmt.Sprintf("%s has no BMC in the plan: add bmc: {address: ADDRESS}", m.Node.Name))
		}
		if m.Running() && task.Disrupts && !req.Force {
			return nil, install.Refusal(fmt.Sprintf("%s is being installed, and %s would break that: wait for it, or add --force", m.Node.Name, words(req.Verb, req.Args)))
		}
	}
	return machines, nil
}

func pinned(machines []*site.Machine, pin string) []site.Body {
	if pin == "" {
		return nil
	}
	m := machines[0]
	known := m.BMC
	known.Certificate = strings.ToLower(strings.ReplaceAll(pin, ":", ""))
	return []site.Body{site.BMCLearned{Node: m.Node.Name, Known: known}}
}

func namesOf(machines []*site.Machine) []string {
	names := make([]string, 0, len(machines))
	for _, m := range machines {
		names = append(names, m.Node.Name)
	}
	return names
}

func waiting(s *site.State, machines []*site.Machine) []view.JobResult {
	out := make([]view.JobResult, 0, len(machines))
	for _, m := range machines {
		out = append(out, view.JobResult{Target: m.Node.Name, Address: s.BMCOf(m).Address, Rack: m.Node.Rack, Phase: "waiting"})
	}
	return out
}

// Cancel has a job begin no more machines. A conversation that runs is ended;
// a machine that was switched off to be cycled is switched on first.
func (r *Runner) Cancel(ctx context.Context, id string) error {
	if l := r.find(id); l != nil && l.view().State == "running" {
		l.cancel()
		return nil
	}
	j, ok := r.c.State().Jobs.Get(id)
	if !ok {
		return view.Misuse(fmt.Sprintf("there is no job %s: see `rackseed job list`", id))
	}
	if !j.Running() {
		return view.Misuse(fmt.Sprintf("job %s has ended already", id))
	}
	_, err := r.c.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) {
		return []site.Body{site.JobEnded{ID: id, Reason: "cancelled"}}, nil
	})
	return err
}

// Jobs lists the jobs, the newest first, without their results.
func (r *Runner) Jobs() []view.Job {
	s := r.c.State()
	var list []view.Job
	seen := map[string]bool{}
	r.mu.Lock()
	lives := slices.Clone(r.live)
	r.mu.Unlock()
	for _, l := range lives {
		j := l.view()
		seen[j.ID] = true
		list = append(list, j)
	}
	for _, j := range s.AllJobs() {
		if !seen[j.ID] {
			list = append(list, viewOf(s, j))
		}
	}
	slices.SortFunc(list, func(a, b view.Job) int { return b.Queued.Compare(a.Queued) })
	for i := range list {
		list[i].Results = nil
	}
	return list
}

// Job is one job with its results.
func (r *Runner) Job(id string) (view.Job, bool) {
	if l := r.find(id); l != nil {
		return l.view(), true
	}
	s := r.c.State()
	j, ok := s.Jobs.Get(id)
	if !ok {
		return view.Job{}, false
	}
	return viewOf(s, j), true
}

// Follow tells the changes of a job from its beginning until it has ended,
// and then the job.
func (r *Runner) Follow(ctx context.Context, id string, tell func(view.JobChange) error) error {
	if l := r.find(id); l != nil {
		if err := l.follow(ctx, tell); err != nil {
			return err
		}
	}
	j, ok := r.Job(id)
	if !ok {
		return view.Misuse(fmt.Sprintf("there is no job %s: see `rackseed job list`", id))
	}
	return tell(view.JobChange{Job: &j})
}

func (r *Runner) find(id string) *live {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range slices.Backward(r.live) {
		if l.job.ID == id {
			return l
		}
	}
	return nil
}

// viewOf is a job as the log tells it.
func viewOf(s *site.State, j *site.Job) view.Job {
	v := view.Job{ID: j.ID, Verb: j.Verb, Args: j.Args, By: j.By, State: "running", Reason: j.Reason, Queued: j.Queued, Ended: j.Ended}
	if !j.Running() {
		v.State = "ended"
	}
	for _, name := range j.Targets {
		res := view.JobResult{Target: name, Phase: "waiting"}
		if m, ok := s.Machine(name); ok {
			res.Address, res.Rack = s.BMCOf(m).Address, m.Node.Rack
		}
		n, _ := s.JobNodes.Get(site.JobKey{ID: j.ID, Node: name})
		switch {
		case n.Done && n.OK:
			res.OK, res.Phase, res.Message = true, string(batch.Done), n.Message
		case n.Done:
			res.Phase, res.Message = string(batch.Failed), n.Message
		case !j.Running():
			res.Phase, res.Message = string(batch.NotStarted), string(batch.NotStarted)
		}
		v.Results = append(v.Results, res)
	}
	v.Count()
	return v
}
