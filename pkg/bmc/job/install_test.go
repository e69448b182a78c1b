package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// hall is a world whose machines install themselves when they are switched
// on, armed, and told to boot from the network.
type hall struct {
	*world
	ends map[string]string // how the install of a node ends, if not well
}

// server is a machine behind its BMC.
type server struct {
	*fake
	h    *hall
	boot bmc.Boot
}

func newHall(t *testing.T, ends map[string]string) *hall {
	h := &hall{world: newWorld(t), ends: ends}
	h.apply(
		site.PlanApplied{Settings: site.Settings{Roles: map[string]site.Role{"base": {Image: "rocky9"}}}},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "d1"}},
	)
	for _, name := range []string{"a", "b", "c"} {
		h.apply(site.NodePlanned{Node: site.Node{Name: name, Role: "base", Serial: "S-" + name, BMC: site.BMC{Address: name}}})
	}
	return h
}

func (h *hall) dial(_ context.Context, t bmc.Target) (bmc.Driver, error) {
	if h.ends[t.Name] == "dead" {
		return nil, fmt.Errorf("%s: %w", t.Name, bmc.ErrUnreachable)
	}
	return &server{fake: h.bmcs[t.Address], h: h}, nil
}

func (h *hall) runner() (*Runner, func()) { return h.world.runner(func(c *Config) { c.Dial = h.dial }) }

func (s *server) Ways() []bmc.Way { return []bmc.Way{{Name: "the standard's"}} }

func (s *server) Boot(context.Context) (bmc.Boot, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return s.boot, nil
}

func (s *server) SetBoot(_ context.Context, want bmc.Boot, _ bmc.Way) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if s.h.ends[s.name] != "lies" {
		s.boot = want
	}
	s.h.sent = append(s.h.sent, fmt.Sprintf("%s boots %s", s.name, want.Device))
	return nil
}

func (s *server) Inventory(context.Context) (bmc.Inventory, error) {
	serial := "S-" + s.name
	if s.h.ends[s.name] == "stray" {
		serial = "S-other"
	}
	return bmc.Inventory{Serial: serial}, nil
}

func (s *server) SetPower(ctx context.Context, a bmc.PowerAction) error {
	if err := s.fake.SetPower(ctx, a); err != nil {
		return err
	}
	if a == bmc.ActionOn && s.h.ends[s.name] != "absent" {
		s.h.install(s.name)
	}
	return nil
}

// install lets a machine come five minutes later, and be done in twenty.
func (h *hall) install(name string) {
	at := func(after time.Duration, b func(m *site.Machine) site.Body) {
		time.AfterFunc(after, func() {
			_, err := h.do(context.Background(), func(s *site.State, _ time.Time) ([]site.Body, error) {
				m, ok := s.Machine(name)
				if body := b(m); ok && body != nil {
					return []site.Body{body}, nil
				}
				return nil, nil
			})
			if err != nil {
				h.t.Errorf("%s: %v", name, err)
			}
		})
	}
	at(5*time.Minute, func(m *site.Machine) site.Body {
		if m.Phase != site.PhaseArmed {
			return nil
		}
		return site.InstallStarted{Node: name, Attempt: m.Attempt.Number + 1, Image: "d1"}
	})
	at(20*time.Minute, func(m *site.Machine) site.Body {
		switch {
		case !m.Running():
			return nil
		case h.ends[name] == "fails":
			return site.InstallFailed{Node: name, Attempt: m.Attempt.Number, Stage: "packages", Reason: "no space", Wiped: true}
		case h.ends[name] == "held":
			return site.NodeHeld{Node: name, Reason: "was a board exchanged?"}
		}
		return site.InstallDone{Node: name, Attempt: m.Attempt.Number}
	})
	at(25*time.Minute, func(m *site.Machine) site.Body {
		if m.Phase != site.PhaseInstalled {
			return nil
		}
		v := site.NodeVerified{Node: name, Attempt: m.Attempt.Number}
		if h.ends[name] == "deviates" {
			v.Deviations = []string{"vm.swappiness is 60"}
		}
		return v
	})
}

func (h *hall) start(r *Runner, o view.JobOptions) view.Job {
	h.t.Helper()
	j, err := r.Start(h.t.Context(), view.JobRequest{Verb: Install, Selector: "all", By: "ops", Options: o})
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

func (h *hall) phases() string {
	var words []string
	for _, m := range h.now().Machines() {
		words = append(words, fmt.Sprintf("%s %s", m.Node.Name, m.Phase))
	}
	return strings.Join(words, ", ")
}

// TestInstall: each machine ends as it should, for a reason, and costs the
// others nothing but what the operator asked for.
func TestInstall(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ends    map[string]string
		options view.JobOptions
		want    string
		phases  string
		says    string // of the first that is not done
	}{
		{"all become ready", nil, view.JobOptions{Canary: 1}, "ended: a done, b done, c done", "a ready, b ready, c ready", ""},
		{"one fails", map[string]string{"b": "fails"}, view.JobOptions{Canary: 1}, "ended: a done, b failed, c done", "a ready, b failed, c ready", "at packages: no space"},
		{"the canary fails", map[string]string{"a": "fails"}, view.JobOptions{Canary: 1}, "ended: a failed, b not started, c not started", "a failed, b planned, c planned", "at packages: no space"},
		{"a dead BMC is never armed", map[string]string{"b": "dead"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b planned, c ready", "the BMC does not answer"},
		{"a BMC that lies", map[string]string{"b": "lies"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b planned, c ready", "did not keep it"},
		{"the BMC of another machine", map[string]string{"b": "stray"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b planned, c ready", "its serial is S-other, and the plan says S-b"},
		{"nothing of it arrives", map[string]string{"b": "absent"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b planned, c ready", "within 30m0s nothing of it arrived"},
		{"a first boot that differs", map[string]string{"b": "deviates"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b installed, c ready", "1 values are not as intended: vm.swappiness is 60"},
		{"one is held", map[string]string{"b": "held"}, view.JobOptions{}, "ended: a done, b failed, c done", "a ready, b held, c ready", "held: was a board exchanged?"},
		{"too long for the operator", nil, view.JobOptions{Deadline: 10 * time.Minute, Parallel: 1}, "ended: a failed, b failed, c failed", "a ready, b ready, c ready", "it took longer than the job's deadline for one machine; its install goes on by itself"},
		{"too long before it comes", nil, view.JobOptions{Deadline: 2 * time.Minute}, "ended: a failed, b failed, c failed", "a planned, b planned, c planned", "it took longer than the job's deadline"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, tt.ends)
				r, stop := h.runner()
				defer stop()
				got := finished(t, r, h.start(r, tt.options).ID)
				time.Sleep(30 * time.Minute) // of the bubble's clock: what goes on by itself
				if outcome(got) != tt.want || h.phases() != tt.phases {
					t.Errorf("%s; %s\nwant %s; %s", outcome(got), h.phases(), tt.want, tt.phases)
				}
				i := slices.IndexFunc(got.Results, func(r view.JobResult) bool { return !r.OK })
				if i >= 0 && !strings.Contains(got.Results[i].Message, tt.says) {
					t.Errorf("it says %q, not %q", got.Results[i].Message, tt.says)
				}
				if i >= 0 && got.Results[i].Phase == "failed" && got.Results[i].Fix == "" && tt.ends[got.Results[i].Target] != "stray" {
					t.Errorf("%s has no next step", got.Results[i].Message)
				}
				for _, m := range h.now().Machines() {
					if m.Attempt.Number > 1 {
						t.Errorf("%s is at attempt %d", m.Node.Name, m.Attempt.Number)
					}
				}
			})
		})
	}
}

// TestTooManyFailed: no new machine begins, and what was armed and has not
// begun is disarmed; what is being installed goes on.
func TestTooManyFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, map[string]string{"a": "lies", "b": "absent"})
		r, stop := h.runner()
		defer stop()
		got := finished(t, r, h.start(r, view.JobOptions{MaxFailures: 1, Parallel: 2}).ID)
		if outcome(got) != "ended: a failed, b not started, c not started" || h.phases() != "a planned, b planned, c planned" {
			t.Errorf("%s; %s", outcome(got), h.phases())
		}
		if m := got.Results[1].Message; !strings.Contains(m, "1 failed (its arming was taken back before its installer came)") || got.Reason != "1 failed" {
			t.Errorf("it says %q, and of the job %q", m, got.Reason)
		}
		// Asked to go on, it arms anew what it had disarmed.
		h.ends = nil
		if _, err := r.Start(t.Context(), view.JobRequest{Resume: got.ID}); err != nil {
			t.Fatal(err)
		}
		if got := finished(t, r, got.ID); outcome(got) != "ended: a done, b done, c done" {
			t.Errorf("resumed: %s", outcome(got))
		}
	})
}

// TestInstallOutlivesTheDaemon: whenever daemons die, the next one goes on,
// and no machine is switched on, armed or installed twice.
func TestInstallOutlivesTheDaemon(t *testing.T) {
	for _, lives := range [][]time.Duration{
		{500 * time.Millisecond},
		{1500 * time.Millisecond},
		{3 * time.Second},
		{5 * time.Second},
		{time.Minute},
		{6 * time.Minute},
		{19 * time.Minute},
		{22 * time.Minute},
		{26 * time.Minute},
		{3 * time.Second, 10 * time.Second, time.Minute},
		{time.Minute, time.Minute, time.Minute, 25 * time.Minute, time.Minute},
	} {
		t.Run(fmt.Sprint(lives), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, nil)
				r, stop := h.runner()
				h.start(r, view.JobOptions{Canary: 1})
				for _, life := range lives {
					time.Sleep(life) // of the bubble's clock
					stop()
					time.Sleep(time.Second)
					r, stop = h.runner()
					synctest.Wait()
				}
				defer stop()
				if got := outcome(finished(t, r, "j1")); got != "ended: a done, b done, c done" || h.phases() != "a ready, b ready, c ready" {
					t.Errorf("%s; %s", got, h.phases())
				}
				for _, name := range []string{"a", "b", "c"} {
					if n := len(slices.DeleteFunc(slices.Clone(h.sent), func(s string) bool { return s != name+" on" })); n != 1 {
						t.Errorf("%s was switched on %d times: %v", name, n, h.sent)
					}
					if m, _ := h.now().Machine(name); m.Attempt.Number != 1 {
						t.Errorf("%s is at attempt %d", name, m.Attempt.Number)
					}
					if n, _ := h.now().JobNodes.Get(site.JobKey{ID: "j1", Node: name}); !slices.Equal(n.Issued, []string{"off", "on"}) {
						t.Errorf("of %s it is on record that %v was sent", name, n.Issued)
					}
				}
			})
		})
	}
}

// TestInstallWithoutPower arms all at once and touches no BMC.
func TestInstallWithoutPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, map[string]string{"a": "dead"})
		r, stop := h.runner()
		defer stop()
		j := h.start(r, view.JobOptions{NoPower: true, Window: time.Hour})
		synctest.Wait()
		if h.phases() != "a armed, b armed, c armed" {
			t.Fatal(h.phases())
		}
		h.install("a") // somebody presses the button
		time.Sleep(30 * time.Minute)
		if err := r.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		if got := outcome(finished(t, r, j.ID)); got != "ended: a done, b not started, c not started" || h.phases() != "a ready, b planned, c planned" || len(h.sent) > 0 {
			t.Errorf("%s; %s; sent %v", got, h.phases(), h.sent)
		}
	})
}

// TestInstallNeverCame: of a machine that waited in vain it is said whether
// its time was over or somebody took its arming back, and what to do.
func TestInstallNeverCame(t *testing.T) {
	for _, tt := range []struct {
		name, says, fix string
		disarm          bool
	}{
		{"its time was over", "its arming ran out before its installer came", "is its MAC the plan's? `rackseed explain a` says", false},
		{"somebody disarmed it", "it was disarmed before its installer came", "`rackseed events` says who did that", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, nil)
				r, stop := h.runner()
				defer stop()
				j := h.start(r, view.JobOptions{NoPower: true, Window: time.Hour})
				time.Sleep(30 * time.Minute) // of the bubble's clock, as below
				if tt.disarm {
					h.apply(site.Disarmed{Node: "a", By: "ops"}, site.Disarmed{Node: "b", By: "ops"}, site.Disarmed{Node: "c", By: "ops"})
				} else {
					time.Sleep(30 * time.Minute)
					h.expire()
				}
				got := finished(t, r, j.ID)
				if outcome(got) != "ended: a failed, b failed, c failed" {
					t.Error(outcome(got))
				}
				if a := got.Results[0]; a.Message != tt.says || !strings.Contains(a.Fix, tt.fix) {
					t.Errorf("it says %q, and to do %q", a.Message, a.Fix)
				}
			})
		})
	}
}

// expire takes back what ran out, as the daemon's clock does.
func (h *hall) expire() {
	h.t.Helper()
	_, err := h.do(h.t.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
		return install.RealTime.Expire(s, now, time.Time{}), nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestResumeInstallsNothingTwice: asked to go on, a job arms again what failed,
// and leaves alone what it installed, whatever came after.
func TestResumeInstallsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, map[string]string{"b": "fails", "c": "deviates"})
		r, stop := h.runner()
		defer stop()
		finished(t, r, h.start(r, view.JobOptions{}).ID)
		h.ends = nil
		if _, err := r.Start(t.Context(), view.JobRequest{Resume: "j1"}); err != nil {
			t.Fatal(err)
		}
		if got := outcome(finished(t, r, "j1")); got != "ended: a done, b done, c failed" {
			t.Error(got)
		}
		for name, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
			if m, _ := h.now().Machine(name); m.Attempt.Number != want {
				t.Errorf("%s is at attempt %d, want %d", name, m.Attempt.Number, want)
			}
		}
	})
}

// TestResumeTakesWhatIsSaidAnew: behind a canary that failed and was repaired,
// a job goes on with all machines at once when it is told to, and otherwise as
// it began.
func TestResumeTakesWhatIsSaidAnew(t *testing.T) {
	for _, tt := range []struct {
		given []string
		want  int
	}{{nil, 1}, {[]string{"canary", "why"}, 0}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHall(t, map[string]string{"a": "fails"})
			r, stop := h.runner()
			defer stop()
			finished(t, r, h.start(r, view.JobOptions{Canary: 1, Parallel: 7}).ID)
			h.ends = nil
			if _, err := r.Start(t.Context(), view.JobRequest{Resume: "j1", Given: []string{"no_power"}, Options: view.JobOptions{NoPower: true}}); err == nil {
				t.Error("a job with BMCs goes on without")
			}
			if _, err := r.Start(t.Context(), view.JobRequest{Resume: "j1", Given: tt.given, Options: view.JobOptions{Parallel: 1, Why: "repaired"}}); err != nil {
				t.Fatal(err)
			}
			if got := outcome(finished(t, r, "j1")); got != "ended: a done, b done, c done" {
				t.Error(got)
			}
			if j, _ := h.now().Jobs.Get("j1"); j.Options.Canary != tt.want || j.Options.Parallel != 7 || (j.Options.Why == "repaired") != (tt.want == 0) {
				t.Errorf("it went on with %+v", j.Options)
			}
		})
	}
}

func TestInstallRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, nil)
		h.apply(site.NodePlanned{Node: site.Node{Name: "bare", Role: "base"}}, site.NodePlanned{Node: site.Node{Name: "stray", Role: "base", Serial: "S1", BMC: site.BMC{Address: "s"}}},
			site.NodeInventoried{Node: "stray", Inventory: site.Inventory{Source: site.FromBMC, Serial: "S9"}})
		r, stop := h.world.runner(func(c *Config) {
			c.Dial = h.dial
			c.Vet = func(_ *site.State, machines []*site.Machine) error {
				if machines[0].Node.Name == "c" {
					return errors.New("the plan has an error")
				}
				return nil
			}
		})
		defer stop()
		start := func(selector string, o view.JobOptions) error {
			_, err := r.Start(t.Context(), view.JobRequest{Verb: Install, Selector: selector, Options: o})
			return err
		}
		misuse, refusal := view.Misuse(""), install.Refusal("")
		if err := start("bare", view.JobOptions{}); !errors.As(err, &misuse) || !strings.Contains(err.Error(), "--no-power") {
			t.Errorf("without a BMC: %v", err)
		}
		if err := start("c", view.JobOptions{}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "the plan has an error") {
			t.Errorf("with an error in the plan: %v", err)
		}
		if err := start("stray", view.JobOptions{}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "stray has the BMC of another machine") {
			t.Errorf("with the BMC of another machine: %v", err)
		}
		if err := start("a", view.JobOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := start("a,b", view.JobOptions{}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "a is in install job j") {
			t.Errorf("twice at once: %v", err)
		}
	})
}

// TestInstallRecordsConsoles: from before the power cycle to the end of each
// machine's turn; that it cannot be is no failure.
func TestInstallRecordsConsoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, map[string]string{"b": "fails"})
		begun, ended := map[string]int{}, map[string]int{}
		r, stop := h.world.runner(func(c *Config) {
			c.Dial = h.dial
			c.Record = func(node string) (func(), error) {
				h.mu.Lock()
				defer h.mu.Unlock()
				if slices.Contains(h.sent, node+" off") {
					t.Errorf("%s was switched before", node)
				}
				if node == "c" {
					return nil, errors.New("128 consoles are recorded already")
				}
				begun[node]++
				return func() { ended[node]++ }, nil
			}
		})
		defer stop()
		got := finished(t, r, h.start(r, view.JobOptions{Console: true, Parallel: 1}).ID)
		if outcome(got) != "ended: a done, b failed, c done" || got.Results[2].Message != "ready; its console is not recorded: 128 consoles are recorded already" {
			t.Errorf("%s; %s", outcome(got), got.Results[2].Message)
		}
		if want := map[string]int{"a": 1, "b": 1}; !maps.Equal(begun, want) || !maps.Equal(ended, want) {
			t.Errorf("begun %v, ended %v", begun, ended)
		}
	})
}

// TestArrivalIsCountedFromThePower: a daemon that is started again gives a
// machine no second half hour to come, but time enough to be heard.
func TestArrivalIsCountedFromThePower(t *testing.T) {
	for _, c := range []struct {
		name  string
		lives []time.Duration
		want  time.Duration // from the start of the job to its end
	}{
		{"one daemon", nil, 30 * time.Minute},
		{"two daemons", []time.Duration{15 * time.Minute}, 30 * time.Minute},
		{"a new daemon every eight minutes", []time.Duration{8 * time.Minute, 8 * time.Minute}, 30 * time.Minute},
		{"a daemon that starts at the last moment", []time.Duration{29 * time.Minute}, 39 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, map[string]string{"a": "absent", "b": "absent", "c": "absent"})
				r, stop := h.runner()
				began := time.Now()
				h.start(r, view.JobOptions{Canary: -1})
				for _, life := range c.lives {
					time.Sleep(life) // of the bubble's clock
					stop()
					r, stop = h.runner()
					synctest.Wait() // until it has taken the job over
				}
				defer stop()
				if got := outcome(finished(t, r, "j1")); !strings.Contains(got, "a failed") || h.phases() != "a planned, b planned, c planned" {
					t.Errorf("%s; %s", got, h.phases())
				}
				if took := time.Since(began); took < c.want || took > c.want+2*time.Minute {
					t.Errorf("it took %s, want %s and the BMCs' time", took, c.want)
				}
			})
		})
	}
}
