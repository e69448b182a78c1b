package install

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

func start() time.Time { return time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC) }

// world folds events as the ledger does.
type world struct {
	t   *testing.T
	s   *site.State
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, s: site.NewState(), now: start()}
	w.apply(
		site.PlanApplied{Settings: site.Settings{Site: "lab", Roles: map[string]site.Role{"base": {Profile: "base", Image: "rocky9"}}}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{{0x52, 0x54, 0, 0, 0, 1}}}},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "d1"}},
	)
	return w
}

func (w *world) apply(bodies ...site.Body) {
	w.t.Helper()
	w.s = w.s.Fork()
	for _, b := range bodies {
		if err := w.s.Apply(site.Event{Seq: w.s.Seq + 1, At: w.now, Body: b}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) machine() *site.Machine {
	m, ok := w.s.Machine("n1")
	if !ok {
		w.t.Fatal("n1 is gone")
	}
	return m
}

func (w *world) arm() {
	w.t.Helper()
	bodies, err := Arm(w.s, []*site.Machine{w.machine()}, "ops", "", w.now.Add(time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(bodies...)
}

func (w *world) begin() {
	w.t.Helper()
	w.arm()
	w.apply(RealTime.Start(w.machine(), "d1", "nonce", "hash", site.MAC{}, netip.Addr{}, w.now))
}

func (w *world) report(stage Stage, detail string) []site.Body {
	w.t.Helper()
	bodies, err := RealTime.Next(w.machine(), Report{Stage: stage, Detail: detail}, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(bodies...)
	return bodies
}

func TestAnInstallFromArmedToReady(t *testing.T) {
	w := newWorld(t)
	w.begin()
	want := []struct {
		stage Stage
		phase site.Phase
	}{
		{StageAnswer, site.PhaseInstalling},
		{StageEarly, site.PhaseInstalling},
		{StageDisk, site.PhaseInstalling},
		{StagePartitioned, site.PhaseInstalling},
		{StagePackages, site.PhaseInstalling},
		{StagePost, site.PhaseInstalling},
		{StageDone, site.PhaseInstalled},
		{StageVerified, site.PhaseReady},
	}
	for _, step := range want {
		if got := w.report(step.stage, ""); len(got) != 1 {
			t.Fatalf("%s led to %d events, want 1", step.stage, len(got))
		}
		if got := w.machine().Phase; got != step.phase {
			t.Fatalf("after %s the machine is %s, want %s", step.stage, got, step.phase)
		}
	}
	if !w.machine().Installed {
		t.Error("a ready machine is not latched as installed")
	}
}

func TestRepeatedAndLateReportsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.report(StagePackages, "")
	for _, stage := range []Stage{StagePackages, StageDisk, StageAnswer} {
		if got := w.report(stage, ""); len(got) != 0 {
			t.Errorf("%s after packages led to %v", stage, got)
		}
	}
	w.report(StageDone, "")
	for _, stage := range []Stage{StageDone, StagePost, StageFailed} {
		if got := w.report(stage, "late"); len(got) != 0 {
			t.Errorf("%s after done led to %v", stage, got)
		}
	}
	if got := w.machine().Phase; got != site.PhaseInstalled {
		t.Errorf("the machine is %s", got)
	}
}

func TestAFirstBootProvesALostDone(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.report(StagePost, "")
	if got := w.report(StageVerified, ""); len(got) != 2 {
		t.Fatalf("verified led to %d events, want done and verified", len(got))
	}
	if got := w.machine().Phase; got != site.PhaseReady {
		t.Errorf("the machine is %s", got)
	}
}

func TestADeviationKeepsAMachineFromReady(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.report(StageDone, "")
	bodies, err := RealTime.Next(w.machine(), Report{Stage: StageVerified, Deviations: []string{"sysctl vm.swappiness is 60, not 10"}}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(bodies...)
	if m := w.machine(); m.Phase != site.PhaseInstalled || len(m.Deviations) != 1 {
		t.Errorf("the machine is %s with %d deviations", m.Phase, len(m.Deviations))
	}
}

func TestAFailureKnowsWhetherTheDiskWasTouched(t *testing.T) {
	for _, tt := range []struct {
		stage Stage
		wiped bool
	}{{StageEarly, false}, {StageDisk, false}, {StagePartitioned, true}, {StagePackages, true}, {StagePost, true}} {
		w := newWorld(t)
		w.begin()
		w.report(tt.stage, "")
		w.report(StageFailed, "because")
		if m := w.machine(); m.Phase != site.PhaseFailed || m.Wiped != tt.wiped || m.Reason != "because" {
			t.Errorf("failing at %s: phase %s, wiped %v, reason %q", tt.stage, m.Phase, m.Wiped, m.Reason)
		}
	}
}

func TestEveryStageHasADeadline(t *testing.T) {
	for _, r := range Table() {
		if r.Within <= 0 {
			t.Errorf("stage %s may last for ever", r.Stage)
		}
		w := newWorld(t)
		w.begin()
		if r.Stage != StageLoader {
			w.report(r.Stage, "")
		}
		w.now = w.now.Add(r.Within - time.Second)
		if got := RealTime.Expire(w.s, w.now, time.Time{}); len(got) != 0 {
			t.Errorf("stage %s expired early: %v", r.Stage, got)
		}
		w.now = w.now.Add(time.Second)
		got := RealTime.Expire(w.s, w.now, time.Time{})
		if len(got) != 1 {
			t.Fatalf("stage %s did not expire", r.Stage)
		}
		w.apply(got...)
		m := w.machine()
		if m.Phase != site.PhaseFailed || m.Reason == "" {
			t.Errorf("after the deadline of %s the machine is %s, reason %q", r.Stage, m.Phase, m.Reason)
		}
		if got := RealTime.Expire(w.s, w.now.Add(100*time.Hour), time.Time{}); len(got) != 0 {
			t.Errorf("a failed machine expired again: %v", got)
		}
	}
}

func TestAnArmingRunsOut(t *testing.T) {
	w := newWorld(t)
	w.arm()
	w.now = w.now.Add(time.Hour)
	got := RealTime.Expire(w.s, w.now, time.Time{})
	if len(got) != 1 {
		t.Fatalf("the arming led to %v", got)
	}
	if _, ok := got[0].(site.Disarmed); !ok {
		t.Fatalf("the arming led to a %T", got[0])
	}
}

func TestTheInstallerIsNotHandedOutForEver(t *testing.T) {
	w := newWorld(t)
	w.begin()
	if got := RealTime.Again(w.machine(), w.now); len(got) != 0 {
		t.Fatalf("a retry before any progress led to %v", got)
	}
	w.report(StagePackages, "")
	for range maxBoots - 1 {
		w.apply(RealTime.Again(w.machine(), w.now)...)
	}
	if MayResume(w.machine()) {
		t.Fatal("the installer may be handed out a fourth time")
	}
	w.apply(RealTime.Again(w.machine(), w.now)...)
	if m := w.machine(); m.Phase != site.PhaseFailed || !m.Wiped {
		t.Errorf("after too many boots the machine is %s, wiped %v", m.Phase, m.Wiped)
	}
}

func TestArmingIsRefused(t *testing.T) {
	tests := map[string]func(w *world){
		"while an install runs":        func(w *world) { w.begin() },
		"while held":                   func(w *world) { w.apply(site.NodeHeld{Node: "n1", Reason: "two claims"}) },
		"without the image":            func(w *world) { w.apply(site.ImageRemoved{Name: "rocky9"}) },
		"with another medium's digest": func(w *world) { w.wantDigest("d2") },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			_, err := Arm(w.s, []*site.Machine{w.machine()}, "ops", "", w.now.Add(time.Hour))
			if refusal := Refusal(""); !errors.As(err, &refusal) {
				t.Fatalf("arming gave %v, want a refusal", err)
			}
		})
	}
}

func (w *world) wantDigest(digest string) {
	settings := w.s.Settings
	settings.Images = map[string]site.Medium{"rocky9": {SHA256: digest}}
	w.apply(site.PlanApplied{Settings: settings})
}

func TestDisarmPassesOverWhatIsNotArmed(t *testing.T) {
	w := newWorld(t)
	if got := Disarm(w.s.Machines(), "ops", ""); len(got) != 0 {
		t.Errorf("disarming a planned node led to %v", got)
	}
	w.begin()
	got := Disarm(w.s.Machines(), "ops", "wrong rack")
	want := []site.Body{site.Disarmed{Node: "n1", By: "ops", Reason: "wrong rack"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.apply(got...)
	if got := w.report(StagePost, ""); len(got) != 0 {
		t.Errorf("a report of a disarmed attempt led to %v", got)
	}
}

func TestAnUnknownStageIsAnError(t *testing.T) {
	w := newWorld(t)
	w.begin()
	if _, err := RealTime.Next(w.machine(), Report{Stage: "lunch"}, w.now); err == nil {
		t.Error("an unknown stage was taken")
	}
	if _, err := RealTime.Next(newWorld(t).machine(), Report{Stage: StageVerified}, w.now); err == nil {
		t.Error("a planned machine was verified")
	}
}
