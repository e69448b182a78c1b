package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// world is a log and the BMCs of three nodes, a to c.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	state *site.State
	fills bool // the disk takes nothing more, from the first power action on
	full  bool
	bmcs  map[string]*fake
	sent  []string
	ids   int

	changed chan struct{} // closed at the next commit
}

// fake is a BMC; a session is the BMC itself.
type fake struct {
	bmc.Driver
	w     *world
	name  string
	power bmc.PowerState
	slow  time.Duration
	seen  bmc.Known // when it was dialled last
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, state: site.NewState(), bmcs: map[string]*fake{}, changed: make(chan struct{})}
	for _, name := range []string{"a", "b", "c"} {
		w.bmcs[name] = &fake{w: w, name: name, power: bmc.PowerOn, slow: time.Second}
		w.apply(site.NodePlanned{Node: site.Node{Name: name, Rack: "R-" + name, BMC: site.BMC{Address: name}}})
	}
	return w
}

func (w *world) apply(bodies ...site.Body) {
	w.t.Helper()
	if _, err := w.do(w.t.Context(), func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) do(_ context.Context, decide func(*site.State, time.Time) ([]site.Body, error)) (*site.State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.state.Fork()
	bodies, err := decide(next, time.Now())
	if err != nil {
		return nil, err
	}
	w.full = w.full || w.fills && slices.ContainsFunc(bodies, func(b site.Body) bool {
		step, ok := b.(site.JobStep)
		return ok && step.Power != ""
	})
	if w.full {
		return nil, errors.New("the disk is full")
	}
	for _, b := range bodies {
		if err := next.Apply(site.Event{Seq: next.Seq + 1, At: time.Now(), Body: b}); err != nil {
			return nil, err
		}
	}
	w.state = next
	if w.changed != nil {
		close(w.changed)
	}
	w.changed = make(chan struct{})
	return next, nil
}

func (w *world) nextChange() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *world) now() *site.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// runner is a daemon's; stop ends it.
func (w *world) runner(edits ...func(*Config)) (r *Runner, stop func()) {
	c := Config{
		State: w.now, Do: w.do, Changed: w.nextChange, Now: time.Now, Log: slog.New(slog.DiscardHandler), Owner: true,
		NewID: func() string { w.ids++; return fmt.Sprint("j", w.ids) },
		Target: func(_ *site.State, m *site.Machine) (bmc.Target, error) {
			return bmc.Target{Name: m.Node.Name, Address: m.Node.BMC.Address, Rack: m.Node.Rack}, nil
		},
		Dial: func(_ context.Context, t bmc.Target) (bmc.Driver, error) {
			w.bmcs[t.Address].seen = t.Known
			return w.bmcs[t.Address], nil
		},
	}
	for _, edit := range edits {
		edit(&c)
	}
	r = New(c)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

func (f *fake) Known() bmc.Known {
	return bmc.Known{Protocol: bmc.Redfish, Certificate: "cert of " + f.name}
}
func (f *fake) Close(context.Context) error { return nil }

func (f *fake) Power(ctx context.Context) (bmc.PowerState, error) {
	select {
	case <-ctx.Done():
		return bmc.PowerUnknown, ctx.Err()
	case <-time.After(f.slow):
		return f.power, nil
	}
}

// noted is what the newest job about a node has on record.
func (w *world) noted(node string) (n site.JobNode) {
	for _, j := range w.state.AllJobs() {
		if slices.Contains(j.Targets, node) {
			n, _ = w.state.JobNodes.Get(site.JobKey{ID: j.ID, Node: node})
		}
	}
	return n
}

func (f *fake) SetPower(_ context.Context, a bmc.PowerAction) error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	n := f.w.noted(f.name)
	if len(n.Issued) == 0 || n.Issued[len(n.Issued)-1] != string(a) {
		f.w.t.Errorf("power %s was sent to %s, and %v is on record", a, f.name, n.Issued)
	}
	f.w.sent = append(f.w.sent, f.name+" "+string(a))
	f.power = bmc.PowerOn
	if a == bmc.ActionOff {
		f.power = bmc.PowerOff
	}
	return nil
}

func outcome(j view.Job) string {
	var words []string
	for _, r := range j.Results {
		words = append(words, r.Target+" "+r.Phase)
	}
	return j.State + ": " + strings.Join(words, ", ")
}

// finished waits for the end of a job.
func finished(t *testing.T, r *Runner, id string) view.Job {
	t.Helper()
	var last view.Job
	if err := r.Follow(t.Context(), id, func(c view.JobChange) error {
		if c.Job != nil {
			last = *c.Job
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return last
}

func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, stop := w.runner()
		defer stop()
		j, err := r.Start(t.Context(), view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "a,b", By: "ops"})
		if err != nil || outcome(j) != "running: a waiting, b waiting" {
			t.Fatal(outcome(j), err)
		}
		if got := outcome(finished(t, r, j.ID)); got != "ended: a done, b done" {
			t.Error(got)
		}
		record, _ := w.now().Jobs.Get("j1")
		a, _ := w.now().JobNodes.Get(site.JobKey{ID: "j1", Node: "a"})
		if record.Running() || record.By != "ops" || !a.OK || a.Message != "off" {
			t.Errorf("%+v %+v", record, a)
		}
		// What was learned is used in the next conversation, and written once.
		seq := w.now().Seq
		look, err := r.Start(t.Context(), view.JobRequest{Verb: "power", Args: []string{"status"}, Selector: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if got := finished(t, r, look.ID); got.OK != 1 || string(got.Results[0].Data) != `{"power":"off"}` {
			t.Errorf("%+v", got)
		}
		if w.bmcs["a"].seen.Certificate != "cert of a" || w.now().Seq != seq {
			t.Errorf("dialled with %+v; %d events were written by a look", w.bmcs["a"].seen, w.now().Seq-seq)
		}
		if list := r.Jobs(); len(list) != 2 || list[0].ID != look.ID || list[0].Results != nil {
			t.Errorf("%+v", list)
		}
	})
}

// TestTakeOver is what a daemon does with the job that another one left.
func TestTakeOver(t *testing.T) {
	queued := site.JobQueued{ID: "j1", Verb: "power", Args: []string{"cycle"}, Targets: []string{"a", "b", "c"}, Options: site.JobOptions{Parallel: 1}}
	step := func(node, action string) site.Body {
		return site.JobStep{ID: "j1", Node: node, What: "power " + action + " issued", Power: action}
	}
	for _, tt := range []struct {
		name  string
		left  []site.Body
		off   string // machine without power
		away  time.Duration
		sent  string
		ended string
	}{
		{name: "nothing was begun", left: []site.Body{queued}, sent: "a off, a on, b off, b on, c off, c on", ended: "ended: a done, b done, c done"},
		{name: "one is done", left: []site.Body{queued, step("a", "off"), step("a", "on"), site.JobNodeDone{ID: "j1", Node: "a", OK: true}}, sent: "b off, b on, c off, c on", ended: "ended: a done, b done, c done"},
		{name: "one was on, not yet recorded as done", left: []site.Body{queued, step("a", "off"), step("a", "on")}, sent: "b off, b on, c off, c on", ended: "ended: a done, b done, c done"},
		{name: "one is off", left: []site.Body{queued, step("a", "off")}, off: "a", sent: "a on, b off, b on, c off, c on", ended: "ended: a done, b done, c done"},
		{name: "one had failed and is left alone", left: []site.Body{queued, site.JobNodeDone{ID: "j1", Node: "a", Message: "it burns"}}, sent: "b off, b on, c off, c on", ended: "ended: a failed, b done, c done"},
		{name: "the daemon was away for too long", left: []site.Body{queued, step("a", "off")}, away: 2 * time.Hour, ended: "ended: a not started, b not started, c not started"},
		{name: "a job that had ended", left: []site.Body{queued, site.JobEnded{ID: "j1"}}, ended: "ended: a not started, b not started, c not started"},
		{name: "a node that the plan lost", left: []site.Body{queued, site.NodeUnplanned{Name: "a"}}, sent: "b off, b on, c off, c on", ended: "ended: a failed, b done, c done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.apply(tt.left...)
				if tt.off != "" {
					w.bmcs[tt.off].power = bmc.PowerOff
				}
				time.Sleep(tt.away) // of the bubble's clock
				r, stop := w.runner()
				defer stop()
				synctest.Wait()
				if got := outcome(finished(t, r, "j1")); got != tt.ended {
					t.Errorf("%s, want %s", got, tt.ended)
				}
				if diff := cmp.Diff(tt.sent, strings.Join(w.sent, ", ")); diff != "" {
					t.Error(diff)
				}
				if j, _ := w.now().Jobs.Get("j1"); j.Running() {
					t.Error("the log says that it runs")
				}
			})
		})
	}
}

// TestStopAndCancel: a daemon that stops leaves its job to the next one; a
// job that is cancelled is over. Neither leaves a machine off.
func TestStopAndCancel(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		t.Run(fmt.Sprint("cancelled ", cancelled), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r, stop := w.runner()
				if _, err := r.Start(t.Context(), view.JobRequest{Verb: "power", Args: []string{"cycle"}, Selector: "all", Options: view.JobOptions{Parallel: 1}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1500 * time.Millisecond) // of the bubble's clock: a was told off
				if cancelled {
					if err := r.Cancel(t.Context(), "j1"); err != nil {
						t.Fatal(err)
					}
					finished(t, r, "j1")
				}
				stop()
				if diff := cmp.Diff([]string{"a off", "a on"}, w.sent); diff != "" {
					t.Fatal(diff)
				}
				next, end := w.runner()
				defer end()
				synctest.Wait()
				want := "ended: a done, b done, c done"
				if cancelled {
					want = "ended: a done, b not started, c not started"
				}
				if got := outcome(finished(t, next, "j1")); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				if !cancelled {
					return
				}
				if _, err := next.Start(t.Context(), view.JobRequest{Resume: "j1"}); err != nil {
					t.Fatal(err)
				}
				if got := outcome(finished(t, next, "j1")); got != "ended: a done, b done, c done" || strings.Join(w.sent, ", ") != "a off, a on, b off, b on, c off, c on" {
					t.Errorf("resumed: %s after %v", got, w.sent)
				}
			})
		})
	}
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(
			site.NodePlanned{Node: site.Node{Name: "bare"}},
			site.Armed{Node: "b", By: "ops", Until: time.Now().Add(time.Hour)}, site.InstallStarted{Node: "b", Attempt: 1},
		)
		r, stop := w.runner()
		defer stop()
		for _, c := range []struct {
			req  view.JobRequest
			says string
		}{
			{view.JobRequest{Verb: "power", Args: []string{"explode"}, Selector: "a"}, "power is status, on, off, soft, cycle or reset"},
			{view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "nobody"}, "no node nobody"},
			{view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "rack=Z"}, "selects no node"},
			{view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "bare"}, "bare has no BMC in the plan"},
			{view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "a,b"}, "b is being installed, and power off would break that"},
			{view.JobRequest{Verb: "bootdev", Args: []string{"set", "pxe", "verify"}, Selector: "b"}, "b is being installed, and bootdev set pxe verify would break that"},
			{view.JobRequest{Verb: "bios", Args: []string{"set", "reset"}, Selector: "b"}, "b is being installed, and bios set reset would break that"},
			{view.JobRequest{Verb: "media", Args: []string{"insert", "rocky9", "boot"}, Selector: "b"}, "b is being installed, and media insert rocky9 boot would break that"},
			{view.JobRequest{Verb: "power", Args: []string{"status"}, Selector: "a,c", Pin: "aa"}, "the certificate of one BMC"},
			{view.JobRequest{Resume: "j9"}, "there is no job j9"},
		} {
			_, err := r.Start(t.Context(), c.req)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v, want %q", c.req, err, c.says)
			}
			refusal, misuse := install.Refusal(""), view.Misuse("")
			if errors.As(err, &refusal) == errors.As(err, &misuse) {
				t.Errorf("%v is neither a refusal nor a misuse, or both", err)
			}
		}
		if w.now().Jobs.Len() > 0 || len(w.sent) > 0 {
			t.Errorf("%d jobs, %v sent", w.now().Jobs.Len(), w.sent)
		}
		j, err := r.Start(t.Context(), view.JobRequest{Verb: "power", Args: []string{"off"}, Selector: "b", Force: true, DryRun: true})
		if err != nil || outcome(j) != "dry-run: b waiting" || w.now().Jobs.Len() > 0 {
			t.Error(outcome(j), err)
		}
	})
}

// TestFullDisk: what cannot be recorded is not sent.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fills = true
		r, stop := w.runner()
		defer stop()
		j, err := r.Start(t.Context(), view.JobRequest{Verb: "power", Args: []string{"cycle"}, Selector: "a"})
		if err != nil {
			t.Fatal(err)
		}
		got := finished(t, r, j.ID)
		if len(w.sent) > 0 || !strings.Contains(got.Results[0].Message, "recording power off: the disk is full") {
			t.Errorf("%v %+v", w.sent, got.Results)
		}
	})
}
