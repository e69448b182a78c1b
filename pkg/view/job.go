package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// JobRequest asks for one thing to be done to many BMCs, or for a job that
// ended early to go on.
type JobRequest struct {
	Verb     string     `json:"verb"` // power, bootdev, bios, media, inventory, install
	Args     []string   `json:"args,omitempty"`
	Selector string     `json:"selector,omitempty"`
	Options  JobOptions `json:"options,omitzero"`
	By       string     `json:"by,omitempty"`
	Resume   string     `json:"resume,omitempty"` // ID; then there is no selector
	Given    []string   `json:"given,omitempty"`  // with Resume: the names of the options that hold from now on, instead of the job's own
	Pin      string     `json:"pin,omitempty"`    // SHA-256 of the certificate that the BMC now has
	Force    bool       `json:"force,omitempty"`  // even while a machine is being installed
	DryRun   bool       `json:"dry_run,omitempty"`
	// Password is what `bmc password given` sets; sealed with the key of the
	// state directory, or bare over a connection that nobody reads.
	Password site.Secret `json:"password,omitempty"`
}

// JobOptions say how a job goes about its machines; zero is the default.
type JobOptions struct {
	Parallel    int           `json:"parallel,omitempty"`
	PerRack     int           `json:"per_rack,omitempty"`
	Stagger     time.Duration `json:"stagger,omitempty"` // nanoseconds, between two power-ons
	Canary      int           `json:"canary,omitempty"`
	MaxFailures int           `json:"max_failures,omitempty"`
	Deadline    time.Duration `json:"deadline,omitempty"` // nanoseconds, of one machine

	// Of installs alone.
	NoPower bool          `json:"no_power,omitempty"` // somebody else switches the machines on
	Window  time.Duration `json:"window,omitempty"`   // nanoseconds that an arming waits; zero means install.DefaultArming
	Why     string        `json:"why,omitempty"`      // recorded beside each arming
	Console bool          `json:"console,omitempty"`  // the machines' consoles are recorded meanwhile
}

// With gives the options with some of them taken from another.
func (o JobOptions) With(given JobOptions, names []string) (JobOptions, error) {
	for _, name := range names {
		switch name {
		case "parallel":
			o.Parallel = given.Parallel
		case "per_rack":
			o.PerRack = given.PerRack
		case "stagger":
			o.Stagger = given.Stagger
		case "canary":
			o.Canary = given.Canary
		case "max_failures":
			o.MaxFailures = given.MaxFailures
		case "deadline":
			o.Deadline = given.Deadline
		case "window":
			o.Window = given.Window
		case "why":
			o.Why = given.Why
		case "console":
			o.Console = given.Console
		case "no_power":
			if given.NoPower != o.NoPower {
				return o, errors.New("a job that goes on keeps its --no-power: begin another one")
			}
		default:
			return o, fmt.Errorf("a job that goes on cannot change its %s: begin another one", strings.ReplaceAll(name, "_", "-"))
		}
	}
	return o, nil
}

// Job is one thing that is done to many BMCs.
type Job struct {
	ID         string      `json:"id,omitempty"` // empty where no log is kept
	Verb       string      `json:"verb"`
	Args       []string    `json:"args,omitempty"`
	By         string      `json:"by,omitempty"`
	State      string      `json:"state"`            // running or ended
	Reason     string      `json:"reason,omitempty"` // why it ended before its time
	Queued     time.Time   `json:"queued,omitzero"`
	Ended      time.Time   `json:"ended,omitzero"`
	Total      int         `json:"total"`
	OK         int         `json:"ok"`
	Failed     int         `json:"failed"`
	NotStarted int         `json:"not_started"`
	Results    []JobResult `json:"results,omitempty"` // in the order of the machines
}

// JobResult is what became of one machine.
type JobResult struct {
	Target   string          `json:"target"`
	Address  string          `json:"address,omitempty"`
	Rack     string          `json:"rack,omitempty"`
	OK       bool            `json:"ok"`
	Phase    string          `json:"phase"` // waiting, running, retrying, done, failed, not started
	Message  string          `json:"message,omitempty"`
	Fix      string          `json:"fix,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"` // what was read; gone once the daemon was restarted
	Steps    []JobStep       `json:"steps,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
	Seconds  float64         `json:"seconds,omitempty"`
}

// JobStep is one thing that was tried.
type JobStep struct {
	What  string `json:"what"`
	Error string `json:"error,omitempty"`
}

// JobChange is one line of a job that is followed; the last one has the job.
type JobChange struct {
	Target string     `json:"target,omitempty"`
	Phase  string     `json:"phase,omitempty"`
	What   string     `json:"what,omitempty"`
	Result *JobResult `json:"result,omitempty"`
	Job    *Job       `json:"job,omitempty"`
}

// Count sums the results up.
func (j *Job) Count() {
	j.Total, j.OK, j.Failed, j.NotStarted = len(j.Results), 0, 0, 0
	for _, r := range j.Results {
		switch {
		case r.OK:
			j.OK++
		case r.Phase == "failed":
			j.Failed++
		case r.Phase == "not started":
			j.NotStarted++
		}
	}
}

// Misuse is a request that cannot be met as it was put.
type Misuse string

func (m Misuse) Error() string { return string(m) }
