package site

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// JobQueued begins a durable job: one thing that is done to the BMCs of many
// nodes. What it does is on record, so that a daemon that is killed goes on
// where it was.
type JobQueued struct {
	ID      string     `json:"id"`
	Verb    string     `json:"verb"`
	Args    []string   `json:"args,omitempty"`
	Targets []string   `json:"targets"` // nodes
	Options JobOptions `json:"options"`
	By      string     `json:"by,omitempty"`
}

// JobStep is about to be done to one node. A power action stands here before
// it is sent, so whoever resumes the job looks at the machine first.
type JobStep struct {
	ID    string `json:"id"`
	Node  string `json:"node"`
	What  string `json:"what"`            // in words: power off issued
	Power string `json:"power,omitempty"` // the action, if it is one

	// Attempt is the install that the node was armed for in the same commit;
	// Disarmed says that the arming was taken back before it was used.
	Attempt  int  `json:"attempt,omitempty"`
	Disarmed bool `json:"disarmed,omitempty"`

	// Way is how the BMC was told a boot device, and kept it. The power actions
	// that follow are to show what the machine makes of it.
	Way string `json:"way,omitempty"`
}

// JobNodeDone says what became of one node.
type JobNodeDone struct {
	ID      string `json:"id"`
	Node    string `json:"node"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// JobEnded ends a job. Nodes without a JobNodeDone were not begun; Reason
// says why.
type JobEnded struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// JobResumed has an ended job go on with the nodes that are not done.
type JobResumed struct {
	ID string `json:"id"`
	By string `json:"by,omitempty"`
	// Options are what it goes on with; nil means with its own.
	Options *JobOptions `json:"options,omitempty"`
}

// BMCLearned is what a conversation found out about a node's BMC. It is an
// event of its own, because looking teaches, too, and looking is no job.
type BMCLearned struct {
	Node  string   `json:"node"`
	Known BMCKnown `json:"known"`
}

// The names of the bodies in the log.
func (JobQueued) Kind() string   { return "job-queued" }
func (JobStep) Kind() string     { return "job-step" }
func (JobNodeDone) Kind() string { return "job-node-done" }
func (JobEnded) Kind() string    { return "job-ended" }
func (JobResumed) Kind() string  { return "job-resumed" }
func (BMCLearned) Kind() string  { return "bmc-learned" }

// Subjects, by which a reader filters the log.
func (e JobQueued) Subject() string   { return e.ID }
func (e JobStep) Subject() string     { return e.Node }
func (e JobNodeDone) Subject() string { return e.Node }
func (e JobEnded) Subject() string    { return e.ID }
func (e JobResumed) Subject() string  { return e.ID }
func (e BMCLearned) Subject() string  { return e.Node }

// JobOptions say how a job goes about its nodes; zero is the default.
type JobOptions struct {
	Parallel    int           `json:"parallel,omitempty"`
	PerRack     int           `json:"per_rack,omitempty"`
	Stagger     time.Duration `json:"stagger,omitempty"` // nanoseconds, between two power-ons
	Canary      int           `json:"canary,omitempty"`
	MaxFailures int           `json:"max_failures,omitempty"`
	Deadline    time.Duration `json:"deadline,omitempty"` // nanoseconds, of one node

	// Of installs alone.
	NoPower bool          `json:"no_power,omitempty"` // somebody else switches the nodes on
	Window  time.Duration `json:"window,omitempty"`   // nanoseconds that an arming waits
	Why     string        `json:"why,omitempty"`      // recorded beside each arming
	Console bool          `json:"console,omitempty"`  // the nodes' consoles are recorded meanwhile
}

// Job is a durable job as the log tells it. A Job in a published State never
// changes.
type Job struct {
	ID      string     `json:"id"`
	Verb    string     `json:"verb"`
	Args    []string   `json:"args,omitempty"`
	Targets []string   `json:"targets"`
	Options JobOptions `json:"options"`
	By      string     `json:"by,omitempty"`
	Queued  time.Time  `json:"queued"`
	Active  time.Time  `json:"active"` // when anything of it was last recorded
	Ended   time.Time  `json:"ended,omitzero"`
	Reason  string     `json:"reason,omitempty"`
}

// JobKey names one node of a job.
type JobKey struct{ ID, Node string }

// JobNode is what is on record of one node of a job.
type JobNode struct {
	Issued  []string `json:"issued,omitempty"`  // power actions, about to be sent or sent
	Attempt int      `json:"attempt,omitempty"` // the install that the job armed it for
	Again   bool     `json:"again,omitempty"`   // that one failed, and another was asked for
	Told    []string `json:"told,omitempty"`    // the ways in which its BMC was told the boot device; Issued is since the last
	Done    bool     `json:"done,omitempty"`
	OK      bool     `json:"ok,omitempty"`
	Message string   `json:"message,omitempty"`

	Switched time.Time `json:"switched,omitzero"` // when the last of Issued was recorded
}

// Running reports whether the job has not ended.
func (j *Job) Running() bool { return j.Ended.IsZero() }

// keptJobs and keptTargets bound the ended jobs that a state remembers. The
// newest one is always kept.
const (
	keptJobs    = 100
	keptTargets = 50_000
)

// AllJobs lists the jobs, the oldest first.
func (s *State) AllJobs() []*Job {
	all := make([]*Job, 0, s.Jobs.Len())
	for _, j := range s.Jobs.All() {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b *Job) int { return cmp.Or(a.Queued.Compare(b.Queued), cmp.Compare(a.ID, b.ID)) })
	return all
}

func (s *State) applyJob(e Event) error {
	switch b := e.Body.(type) {
	case JobQueued:
		return s.queueJob(b, e.At)
	case JobStep:
		return s.changeJobNode(b.ID, b.Node, e.At, func(n *JobNode) {
			switch {
			case b.Power != "":
				n.Issued, n.Switched = append(slices.Clone(n.Issued), b.Power), e.At
			case b.Attempt > 0:
				*n = JobNode{Attempt: b.Attempt} // what was sent was for an earlier one
			case b.Disarmed:
				*n = JobNode{}
			case b.Way != "":
				n.Issued, n.Switched = nil, time.Time{}
				if len(n.Told) == 0 || n.Told[len(n.Told)-1] != b.Way {
					n.Told = append(slices.Clone(n.Told), b.Way)
				}
			}
		})
	case JobNodeDone:
		return s.changeJobNode(b.ID, b.Node, e.At, func(n *JobNode) { n.Done, n.OK, n.Message = true, b.OK, b.Message })
	case JobEnded:
		return s.endJob(b, e.At)
	case JobResumed:
		return s.resumeJob(b, e.At)
	case BMCLearned:
		return s.change(b.Node, func(m *Machine) error {
			m.BMC = b.Known
			return nil
		})
	default:
		return fmt.Errorf("no rule folds a %T", e.Body)
	}
}

func (s *State) queueJob(b JobQueued, at time.Time) error {
	if _, ok := s.Jobs.Get(b.ID); ok {
		return fmt.Errorf("there is a job %s already", b.ID)
	}
	s.Jobs.set(b.ID, &Job{ID: b.ID, Verb: b.Verb, Args: b.Args, Targets: b.Targets, Options: b.Options, By: b.By, Queued: at, Active: at})
	for _, node := range b.Targets {
		s.JobNodes.set(JobKey{b.ID, node}, JobNode{})
	}
	return nil
}

func (s *State) job(id string, running bool) (*Job, error) {
	j, ok := s.Jobs.Get(id)
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no job %s", id)
	case running && !j.Running():
		return nil, fmt.Errorf("job %s has ended", id)
	case !running && j.Running():
		return nil, fmt.Errorf("job %s is running", id)
	}
	changed := *j
	return &changed, nil
}

func (s *State) changeJobNode(id, node string, at time.Time, edit func(*JobNode)) error {
	j, err := s.job(id, true)
	if err != nil {
		return err
	}
	n, ok := s.JobNodes.Get(JobKey{id, node})
	if !ok {
		return fmt.Errorf("job %s is not about %s", id, node)
	}
	edit(&n)
	s.JobNodes.set(JobKey{id, node}, n)
	j.Active = at
	s.Jobs.set(id, j)
	return nil
}

func (s *State) endJob(b JobEnded, at time.Time) error {
	j, err := s.job(b.ID, true)
	if err != nil {
		return err
	}
	j.Ended, j.Reason = at, b.Reason
	s.Jobs.set(j.ID, j)
	s.forgetJobs()
	return nil
}

// resumeJob lets the nodes that failed try again. What they were sent stays
// on record, so that no power action is repeated that did happen.
func (s *State) resumeJob(b JobResumed, at time.Time) error {
	j, err := s.job(b.ID, false)
	if err != nil {
		return err
	}
	j.Active, j.Ended, j.Reason = at, time.Time{}, ""
	if b.Options != nil {
		j.Options = *b.Options
	}
	s.Jobs.set(b.ID, j)
	for _, node := range j.Targets {
		if n, _ := s.JobNodes.Get(JobKey{b.ID, node}); n.Done && !n.OK {
			s.JobNodes.set(JobKey{b.ID, node}, JobNode{Issued: n.Issued, Switched: n.Switched, Attempt: n.Attempt, Again: n.Attempt > 0})
		}
	}
	return nil
}

// forgetJobs lets the oldest ended jobs go.
func (s *State) forgetJobs() {
	jobs, targets := 0, 0
	for _, j := range slices.Backward(s.AllJobs()) {
		if j.Running() {
			continue
		}
		jobs++
		targets += len(j.Targets)
		if jobs > keptJobs || jobs > 1 && targets > keptTargets {
			s.removeJob(j)
		}
	}
}

func (s *State) removeJob(j *Job) {
	s.Jobs.remove(j.ID)
	for _, node := range j.Targets {
		s.JobNodes.remove(JobKey{j.ID, node})
	}
}

// jobRecord is a job at rest.
type jobRecord struct {
	*Job
	Nodes map[string]JobNode `json:"nodes,omitempty"` // of which anything is on record
}

func (s *State) jobRecords() []jobRecord {
	var records []jobRecord
	for _, j := range s.AllJobs() {
		r := jobRecord{Job: j, Nodes: map[string]JobNode{}}
		for _, node := range j.Targets {
			if n, _ := s.JobNodes.Get(JobKey{j.ID, node}); n.Done || len(n.Issued) > 0 || n.Attempt > 0 {
				r.Nodes[node] = n
			}
		}
		records = append(records, r)
	}
	return records
}

func (s *State) restoreJobs(records []jobRecord) error {
	for i, r := range records {
		if r.Job == nil {
			return fmt.Errorf("reading the snapshot: job %d is none", i+1)
		}
		s.Jobs.set(r.ID, r.Job)
		for _, node := range r.Targets {
			s.JobNodes.set(JobKey{r.ID, node}, r.Nodes[node])
		}
	}
	return nil
}
