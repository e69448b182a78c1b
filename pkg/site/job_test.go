package site

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// foldAll folds bodies one after the other; the last one may be refused.
func foldAll(t *testing.T, bodies ...Body) (*State, error) {
	t.Helper()
	s := NewState()
	for i, b := range bodies {
		next := s.Fork()
		if err := next.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq + 1), Body: b}); err != nil {
			if i != len(bodies)-1 {
				t.Fatal(err)
			}
			return s, err
		}
		s = next
	}
	return s, nil
}

func TestJobs(t *testing.T) {
	queued := JobQueued{ID: "j", Verb: "power", Args: []string{"cycle"}, Targets: []string{"a", "b"}}
	off, on := JobStep{ID: "j", Node: "a", What: "power off issued", Power: "off"}, JobStep{ID: "j", Node: "a", What: "power on issued", Power: "on"}
	armed, disarmed := JobStep{ID: "j", Node: "a", What: "armed", Attempt: 2}, JobStep{ID: "j", Node: "a", What: "disarmed", Disarmed: true}
	told, toldElse := JobStep{ID: "j", Node: "a", What: "told pxe", Way: "redfish"}, JobStep{ID: "j", Node: "a", What: "told pxe", Way: "ipmi"}
	done := JobNodeDone{ID: "j", Node: "a", OK: true, Message: "on"}
	failed := JobNodeDone{ID: "j", Node: "a", Message: "it says off"}
	for _, tt := range []struct {
		name   string
		events []Body
		a      JobNode
		ended  string
		err    string
	}{
		{name: "queued", events: []Body{queued}},
		{name: "what is issued is in order", events: []Body{queued, off, on}, a: JobNode{Issued: []string{"off", "on"}}},
		{name: "a step in words alone", events: []Body{queued, JobStep{ID: "j", Node: "a", What: "waiting"}}},
		{name: "done", events: []Body{queued, off, on, done}, a: JobNode{Issued: []string{"off", "on"}, Done: true, OK: true, Message: "on"}},
		{name: "ended", events: []Body{queued, failed, JobEnded{ID: "j", Reason: "1 failed"}}, a: JobNode{Done: true, Message: "it says off"}, ended: "1 failed"},
		{name: "resumed, what is done stays done", events: []Body{queued, off, on, done, JobEnded{ID: "j", Reason: "r"}, JobResumed{ID: "j"}}, a: JobNode{Issued: []string{"off", "on"}, Done: true, OK: true, Message: "on"}},
		{name: "resumed, what failed remembers what it was sent", events: []Body{queued, off, failed, JobEnded{ID: "j"}, JobResumed{ID: "j"}}, a: JobNode{Issued: []string{"off"}}},
		{name: "armed", events: []Body{queued, off, armed}, a: JobNode{Attempt: 2}},
		{name: "armed, then switched", events: []Body{queued, armed, off, on}, a: JobNode{Attempt: 2, Issued: []string{"off", "on"}}},
		{name: "told, then switched", events: []Body{queued, armed, told, off, on}, a: JobNode{Attempt: 2, Told: []string{"redfish"}, Issued: []string{"off", "on"}}},
		{name: "told in another way, what was issued was for the first", events: []Body{queued, armed, told, off, on, toldElse, off}, a: JobNode{Attempt: 2, Told: []string{"redfish", "ipmi"}, Issued: []string{"off"}}},
		{name: "told the same way again", events: []Body{queued, armed, told, told}, a: JobNode{Attempt: 2, Told: []string{"redfish"}}},
		{name: "armed anew, told nothing", events: []Body{queued, armed, told, off, armed}, a: JobNode{Attempt: 2}},
		{name: "disarmed", events: []Body{queued, armed, off, disarmed}},
		{name: "resumed, what failed is to be armed again", events: []Body{queued, armed, off, failed, JobEnded{ID: "j"}, JobResumed{ID: "j"}}, a: JobNode{Issued: []string{"off"}, Attempt: 2, Again: true}},
		{name: "twice the same job", events: []Body{queued, queued}, err: "there is a job j already"},
		{name: "no such job", events: []Body{off}, err: "there is no job j"},
		{name: "no such node", events: []Body{queued, JobNodeDone{ID: "j", Node: "c"}}, err: "job j is not about c"},
		{name: "over is over", events: []Body{queued, JobEnded{ID: "j"}, off}, err: "job j has ended"},
		{name: "ended twice", events: []Body{queued, JobEnded{ID: "j"}, JobEnded{ID: "j"}}, err: "job j has ended"},
		{name: "resumed while it runs", events: []Body{queued, JobResumed{ID: "j"}}, err: "job j is running"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := foldAll(t, tt.events...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			j, _ := s.Jobs.Get("j")
			a, ok := s.JobNodes.Get(JobKey{"j", "a"})
			if a.Switched.IsZero() != (len(a.Issued) == 0) {
				t.Errorf("%v was issued, the last at %s", a.Issued, a.Switched)
			}
			a.Switched = time.Time{}
			if diff := cmp.Diff(tt.a, a); diff != "" || !ok {
				t.Errorf("%v %s", ok, diff)
			}
			if j.Reason != tt.ended || j.Running() == (tt.ended != "") {
				t.Errorf("%+v", j)
			}
		})
	}
}

func TestOldJobsAreForgotten(t *testing.T) {
	var events []Body
	for i := range keptJobs + 5 {
		id := fmt.Sprintf("j%03d", i)
		events = append(events, JobQueued{ID: id, Targets: []string{"a"}})
		if i != 2 { // which runs on
			events = append(events, JobEnded{ID: id})
		}
	}
	s, err := foldAll(t, events...)
	if err != nil {
		t.Fatal(err)
	}
	jobs := s.AllJobs()
	if len(jobs) != keptJobs+1 || jobs[0].ID != "j002" || jobs[1].ID != "j005" || s.JobNodes.Len() != len(jobs) {
		t.Errorf("%d jobs from %s, %s on, with %d nodes", len(jobs), jobs[0].ID, jobs[1].ID, s.JobNodes.Len())
	}
}

// TestKnownIsOfOneBMC: what was learned of a BMC is not held against another.
func TestKnownIsOfOneBMC(t *testing.T) {
	known := BMCKnown{Certificate: "aa"}
	node := Node{Name: "a", BMC: BMC{Address: "10.21.0.1"}}
	moved := node
	moved.BMC.Address = "10.21.0.2"
	same := node
	same.Rack = "A02"
	for _, c := range []struct {
		change Node
		want   BMCKnown
	}{{same, known}, {moved, BMCKnown{}}} {
		s, err := foldAll(t, NodePlanned{Node: node}, BMCLearned{Node: "a", Known: known}, NodePlanned{Node: c.change})
		if err != nil {
			t.Fatal(err)
		}
		if m, _ := s.Machine("a"); m.BMC != c.want {
			t.Errorf("%+v leaves %+v", c.change.BMC, m.BMC)
		}
	}
}
