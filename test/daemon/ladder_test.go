package daemon

import (
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestInstallMeetsBMCsThatLie: a BMC that stores nothing gets no machine
// switched; one that forgets, and one that keeps for ever what was for once,
// get theirs installed, and started from its disk afterwards.
func TestInstallMeetsBMCsThatLie(t *testing.T) {
	p := newPlace(t)
	rack := p.behind(bmcsim.FaultLies, bmcsim.FaultReverts, bmcsim.FaultNoOnce)
	p.must("plan", "apply", p.plan)
	p.medium()
	if d := p.serve("--pace", "60"); strings.Contains(d.String(), "some boot loaders are missing") {
		t.Skip("needs boot loaders: make loaders")
	}
	out, status := p.cli("install", "all", "--canary", "0")
	if status != 3 || !strings.Contains(out, "n1  failed       setting the boot device: ") && !strings.Contains(out, "did not keep it") {
		t.Errorf("status %d\n%s", status, out)
	}
	for i, want := range []site.Phase{site.PhasePlanned, site.PhaseReady, site.PhaseReady} {
		if n := p.node([]string{"n1", "n2", "n3"}[i]); n.State != want || n.Attempt > 1 {
			t.Errorf("%s is %s at attempt %d, want %s", n.Name, n.State, n.Attempt, want)
		}
	}
	if did := rack[0].Actions(); len(did) > 0 {
		t.Errorf("the machine of a BMC that lies was told %v", did)
	}
	if k := rack[2].Kept(); k.Enabled != "Disabled" && k.Target == "Pxe" {
		t.Errorf("the BMC that keeps for ever has %s %s", k.Target, k.Enabled)
	}
}

// TestInstallTellsItOtherwise: the BMC of n1 keeps what it is told, and n1
// never asks the network. It is told in three ways, power-cycled as often, and
// disarmed.
func TestInstallTellsItOtherwise(t *testing.T) {
	p := newPlace(t)
	rack := p.behind(sim.NoPXE)
	p.must("plan", "apply", p.plan)
	p.medium()
	if d := p.serve("--pace", "400"); strings.Contains(d.String(), "some boot loaders are missing") {
		t.Skip("needs boot loaders: make loaders")
	}
	out, status := p.cli("install", "n1")
	const words = "nothing of it arrived that may be installed; told by redfish, then by redfish, minimal body, then by redfish, with mode: nothing came from it on the wire within"
	if status != 1 || !strings.Contains(out, words) || p.node("n1").State != site.PhasePlanned {
		t.Errorf("status %d, want %q in\n%s", status, words, out)
	}
	var told []string
	for _, step := range notes(t, p) {
		if strings.HasPrefix(step, "n1 told") {
			told = append(told, strings.TrimPrefix(step, "n1 "))
		}
	}
	if !slices.Equal(told, []string{
		"told pxe once by redfish; power cycle 1 of at most 3",
		"told pxe once by redfish, minimal body; power cycle 2 of at most 3",
		"told pxe once by redfish, with mode; power cycle 3 of at most 3",
	}) {
		t.Errorf("on record is\n%s", strings.Join(told, "\n"))
	}
	if did := rack[0].Actions(); !slices.Equal(did, []string{"On", "ForceOff", "On", "ForceOff", "On"}) {
		t.Errorf("its BMC did %v", did)
	}
}
