package boot

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

func start() time.Time { return time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC) }

func fold(t interface{ Fatal(...any) }, s *site.State, at time.Time, bodies ...site.Body) *site.State {
	s = s.Fork()
	for _, b := range bodies {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: at, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func planned() []site.Body {
	return []site.Body{
		site.PlanApplied{Settings: site.Settings{Roles: map[string]site.Role{"base": {Profile: "base", Image: "rocky9"}}}},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "d1"}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{{2, 0, 0, 0, 0, 1}}, Serial: "S1", UUID: site.UUID{1}}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{{2, 0, 0, 0, 0, 2}}, Serial: "S2", UUID: site.UUID{2}}},
	}
}

func TestFor(t *testing.T) {
	armed := site.Armed{Node: "n1", By: "ops", Until: start().Add(time.Hour)}
	started := site.InstallStarted{Node: "n1", Attempt: 1, Token: "h", Image: "d1"}
	progress := func(stage install.Stage) site.Body {
		return site.InstallProgress{Node: "n1", Attempt: 1, Stage: string(stage)}
	}
	again := site.InstallResumed{Node: "n1", Attempt: 1}
	done := site.InstallDone{Node: "n1", Attempt: 1}
	failed := func(wiped bool) site.Body {
		return site.InstallFailed{Node: "n1", Attempt: 1, Stage: "packages", Reason: "r", Wiped: wiped}
	}
	tests := []struct {
		name   string
		events []site.Body
		after  time.Duration
		want   Action
	}{
		{"planned", nil, 0, Local},
		{"armed", []site.Body{armed}, 0, Install},
		{"armed too long ago", []site.Body{armed}, time.Hour, Local},
		{"armed without its image", []site.Body{armed, site.ImageRemoved{Name: "rocky9"}}, 0, Hold},
		{"disarmed", []site.Body{armed, site.Disarmed{Node: "n1"}}, 0, Local},
		{"planned anew while armed", []site.Body{armed, site.NodePlanned{Node: site.Node{Name: "n1", Role: "base"}}}, 0, Local},
		{"booting", []site.Body{armed, started}, 0, Install},
		{"booting, long after the arming", []site.Body{armed, started}, 2 * time.Hour, Install},
		{"installing", []site.Body{armed, started, progress(install.StagePackages)}, 0, Install},
		{"installing, back too often", []site.Body{armed, started, progress(install.StagePackages), again, again}, 0, Hold},
		{"at the last stage", []site.Body{armed, started, progress(install.StagePost)}, 0, Local},
		{"at the last stage, back too often", []site.Body{armed, started, progress(install.StagePost), again, again}, 0, Local},
		{"installing, image gone", []site.Body{armed, started, site.ImageRemoved{Name: "rocky9"}}, 0, Hold},
		{"installed", []site.Body{armed, started, done}, 0, Local},
		{"ready", []site.Body{armed, started, done, site.NodeVerified{Node: "n1", Attempt: 1}}, 0, Local},
		{"armed again after ready", []site.Body{armed, started, done, armed}, 0, Install},
		{"failed with the old system", []site.Body{armed, started, failed(false)}, 0, Local},
		{"failed with a wiped disk", []site.Body{armed, started, failed(true)}, 0, Hold},
		{"installed, first boot lost", []site.Body{armed, started, done, failed(false)}, 0, Local},
		{"held", []site.Body{site.NodeHeld{Node: "n1", Reason: "two claims"}}, 0, Hold},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fold(t, site.NewState(), start(), append(planned(), tt.events...)...)
			m, _ := s.Machine("n1")
			d := For(s, m, start().Add(tt.after))
			if d.Action != tt.want {
				t.Errorf("got %s (%s), want %s", d.Action, d.Why, tt.want)
			}
			if d.Why == "" {
				t.Error("the decision has no reason")
			}
		})
	}
	if d := For(site.NewState(), nil, start()); d.Action != Ignore {
		t.Errorf("a stranger is told to %s", d.Action)
	}
}

// TestInstallerOnlyForTheArmed walks machines through random lives, and asks
// after every step.
func TestInstallerOnlyForTheArmed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := fold(t, site.NewState(), start(), planned()...), start()
		consent := map[string]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			name := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
			m, _ := s.Machine(name)
			bodies := step(t, s, m, now)
			s = fold(t, s, now, bodies...)
			for _, b := range bodies {
				switch b := b.(type) {
				case site.Armed:
					consent[b.Node] = true
				case site.Disarmed, site.InstallDone, site.InstallFailed, site.NodeHeld:
					consent[b.Subject()] = false
				}
			}
			for _, m := range s.Machines() {
				if For(s, m, now).Action == Install && !consent[m.Node.Name] {
					t.Fatalf("%s is %s and was handed an installer without an arming", m.Node.Name, m.Phase)
				}
			}
		}
	})
}

func step(t *rapid.T, s *site.State, m *site.Machine, now time.Time) []site.Body {
	switch rapid.IntRange(0, 6).Draw(t, "step") {
	case 0:
		bodies, err := install.Arm(s, []*site.Machine{m}, "ops", "", now.Add(time.Hour))
		if err != nil {
			return nil
		}
		return bodies
	case 1:
		return install.Disarm([]*site.Machine{m}, "ops", "")
	case 2:
		return install.RealTime.Expire(s, now, time.Time{})
	case 3:
		return []site.Body{site.NodeHeld{Node: m.Node.Name, Reason: "doubt"}}
	case 4:
		d := For(s, m, now)
		switch {
		case d.Action != Install:
			return nil
		case m.Running():
			return install.RealTime.Again(m, now)
		}
		return []site.Body{install.RealTime.Start(m, d.Image.Digest, "n", m.Node.Name, m.Node.MACs[0], netip.Addr{}, now)}
	default:
		stage := rapid.SampledFrom([]install.Stage{"answer", "early", "disk", "partitioned", "packages", "post", "done", "verified", "failed"}).Draw(t, "stage")
		bodies, err := install.RealTime.Next(m, install.Report{Stage: stage}, now)
		if err != nil {
			return nil
		}
		return bodies
	}
}

func TestIdentify(t *testing.T) {
	s := fold(t, site.NewState(), start(), planned()...)
	mac1, mac2, other := site.MAC{2, 0, 0, 0, 0, 1}, site.MAC{2, 0, 0, 0, 0, 2}, site.MAC{2, 0, 0, 0, 0, 9}
	tests := []struct {
		name string
		id   Identity
		want string // node, "" for a stranger, "!" for a conflict
	}{
		{"by MAC", Identity{MAC: mac1}, "n1"},
		{"by MAC, UUID and serial", Identity{MAC: mac1, UUID: site.UUID{1}, Serial: "S1"}, "n1"},
		{"by another NIC, known by UUID", Identity{MAC: other, UUID: site.UUID{2}}, "n2"},
		{"by another NIC, known by serial", Identity{MAC: other, Serial: "S2"}, "n2"},
		{"a stranger", Identity{MAC: other}, ""},
		{"a stranger with its own serial", Identity{MAC: other, Serial: "S9"}, ""},
		{"the MAC of one, the UUID of another", Identity{MAC: mac1, UUID: site.UUID{2}}, "!"},
		{"the MAC of one, the serial of another", Identity{MAC: mac2, Serial: "S1"}, "!"},
		{"a board that was exchanged", Identity{MAC: mac1, Serial: "S9"}, "!"},
		{"a UUID that the plan does not give it", Identity{MAC: mac1, UUID: site.UUID{9}}, "!"},
		{"UUID and serial of two nodes", Identity{MAC: other, UUID: site.UUID{1}, Serial: "S2"}, "!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Identify(s, tt.id)
			got := ""
			var conflict *ConflictError
			switch {
			case errors.As(err, &conflict):
				got = "!"
			case m != nil:
				got = m.Node.Name
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// TestRivalry: a node is one machine. Any of its ports boots it; a second
// machine with its identity gets nothing, and both are named.
func TestRivalry(t *testing.T) {
	mine, second, strange := site.MAC{2, 0, 0, 0, 0, 1}, site.MAC{2, 0, 0, 0, 0, 0x11}, site.MAC{2, 0, 0, 0, 0, 9}
	listed := site.NodeInventoried{Node: "n1", Inventory: site.Inventory{Source: site.FromBMC, Serial: "S1", NICs: []site.InventoryNIC{{MAC: mine}, {MAC: second}}}}
	armed := site.Armed{Node: "n1", By: "ops", Until: start().Add(time.Hour)}
	started := func(mac site.MAC) site.Body {
		return site.InstallStarted{Node: "n1", Attempt: 1, Token: "h", Image: "d1", MAC: mac}
	}
	for _, tt := range []struct {
		name   string
		events []site.Body
		id     Identity
		rival  site.MAC // who goes on; zero with a question means that the node waits
		asks   string   // empty: it is n1
	}{
		{"a port that the plan names", []site.Body{armed}, Identity{MAC: mine, Serial: "S1"}, site.MAC{}, ""},
		{"a port that the BMC names", []site.Body{listed, armed}, Identity{MAC: second, Serial: "S1"}, site.MAC{}, ""},
		{"a port that the BMC names, after another began", []site.Body{listed, armed, started(mine)}, Identity{MAC: second, Serial: "S1"}, site.MAC{}, ""},
		{"a port that nobody lists", []site.Body{armed}, Identity{MAC: strange, Serial: "S1"}, site.MAC{}, ""},
		{"a port that its BMC does not list", []site.Body{listed, armed}, Identity{MAC: strange, UUID: site.UUID{1}}, site.MAC{}, "was a NIC exchanged"},
		{"a second machine while the first is installed", []site.Body{armed, started(mine)}, Identity{MAC: strange, Serial: "S1"}, mine, "two machines claim to be n1: 02:00:00:00:00:01, which is being installed, and 02:00:00:00:00:09"},
		{"the first machine while the second is installed", []site.Body{armed, started(strange)}, Identity{MAC: mine, Serial: "S1"}, site.MAC{}, "two machines claim to be n1: 02:00:00:00:00:09"},
		{"a second port that the plan does not know, while the first is installed", []site.Body{armed, started(strange)}, Identity{MAC: site.MAC{2, 0, 0, 0, 0, 8}, Serial: "S1"}, strange, "the plan knows neither port"},
		{"a second machine, where the first was seen", []site.Body{site.NodeSeen{Node: "n1", MAC: mine}}, Identity{MAC: strange, UUID: site.UUID{1}}, mine, "whose own port 02:00:00:00:00:01 was seen"},
		{"a second machine, where the first is armed and was seen", []site.Body{site.NodeSeen{Node: "n1", MAC: mine}, armed}, Identity{MAC: strange, Serial: "S1"}, mine, "add 02:00:00:00:00:09 to macs: of n1 and `rackseed plan apply FILE`"},
		{"a second machine, where the first was installed before", []site.Body{armed, started(mine), site.InstallDone{Node: "n1", Attempt: 1}}, Identity{MAC: strange, Serial: "S1"}, mine, "`rackseed node adopt 02:00:00:00:00:09`"},
		{"a second machine, where a port was seen that is not the node's any more", []site.Body{site.NodeSeen{Node: "n1", MAC: site.MAC{2, 0, 0, 0, 0, 7}}}, Identity{MAC: strange, UUID: site.UUID{1}}, site.MAC{}, ""},
		{"the node's own second port", []site.Body{listed, site.NodeSeen{Node: "n1", MAC: mine}}, Identity{MAC: second, UUID: site.UUID{1}}, site.MAC{}, ""},
		{"the machine itself, again", []site.Body{armed, started(strange)}, Identity{MAC: strange, Serial: "S1"}, site.MAC{}, ""},
		{"a board that was exchanged", []site.Body{armed}, Identity{MAC: mine, Serial: "S9"}, site.MAC{}, "was a board or a NIC exchanged"},
		{"another board than the BMC's", []site.Body{listed, armed, site.NodePlanned{Node: site.Node{Name: "n1", MACs: []site.MAC{mine}}}}, Identity{MAC: mine, Serial: "S9"}, site.MAC{}, "the BMC of n1 gives serial number S1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fold(t, site.NewState(), start(), append(planned(), tt.events...)...)
			m, err := Identify(s, tt.id)
			var conflict *ConflictError
			switch {
			case tt.asks == "":
				if err != nil || m == nil || m.Node.Name != "n1" {
					t.Errorf("got %v, %v", m, err)
				}
			case !errors.As(err, &conflict) || conflict.Node != "n1" || conflict.Rival != tt.rival || !strings.Contains(conflict.Reason, tt.asks):
				t.Errorf("got %+v, want rival %s and %q", err, tt.rival, tt.asks)
			case tt.rival == (site.MAC{}) && (!strings.Contains(conflict.Reason, "`rackseed plan apply FILE`") || !strings.Contains(conflict.Reason, "`rackseed disarm n1`")):
				t.Errorf("it asks without the commands that answer: %s", conflict.Reason)
			}
		})
	}
}

// TestThePlanAnswers: a hold ends with an entry of the plan that says who the
// machine is, and with no other.
func TestThePlanAnswers(t *testing.T) {
	held := site.NodeHeld{Node: "n1", Reason: "was a board exchanged?"}
	entry := func(edit func(*site.Node)) site.Body {
		n := site.Node{Name: "n1", Role: "base", MACs: []site.MAC{{2, 0, 0, 0, 0, 1}}, Serial: "S1", UUID: site.UUID{1}}
		edit(&n)
		return site.NodePlanned{Node: n}
	}
	for name, c := range map[string]struct {
		edit func(*site.Node)
		want site.Phase
	}{
		"another serial": {func(n *site.Node) { n.Serial = "S9" }, site.PhasePlanned},
		"another MAC":    {func(n *site.Node) { n.MACs = append(n.MACs, site.MAC{2, 0, 0, 0, 0, 9}) }, site.PhasePlanned},
		"another rack":   {func(n *site.Node) { n.Rack = "A02" }, site.PhaseHeld},
	} {
		s := fold(t, site.NewState(), start(), append(planned(), held, entry(c.edit))...)
		if m, _ := s.Machine("n1"); m.Phase != c.want {
			t.Errorf("%s: it is %s, want %s", name, m.Phase, c.want)
		}
	}
}
