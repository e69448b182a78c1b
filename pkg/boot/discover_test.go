package boot

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
)

// leave is a plan that lets strangers be discovered.
func leave(mode site.DHCPMode, pool bool) site.PlanApplied {
	p := planned()[0].(site.PlanApplied)
	p.Settings.Discovery = site.Discovery{Strangers: true, Image: "rocky9"}
	p.Settings.Provision.DHCP = mode
	if pool {
		a, _ := site.AddrAfter(netip.MustParseAddr("10.20.255.10"), 9)
		p.Settings.Provision.Pool = site.Range{First: netip.MustParseAddr("10.20.255.10"), Last: a}
	}
	return p
}

func TestStrangersNeedLeave(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []site.Body
		want   Action
		why    string
	}{
		{"no word of them", planned(), Ignore, "does not name"},
		{"leave, beside another server", append(planned(), leave(site.DHCPProxy, false)), Discover, "lets strangers"},
		{"leave, as the server, with a pool", append(planned(), leave(site.DHCPServer, true)), Discover, "lets strangers"},
		{"leave, as the server, without a pool", append(planned(), leave(site.DHCPServer, false)), Ignore, "no pool"},
		{"leave, but no image", append(planned(), leave(site.DHCPProxy, false), site.ImageRemoved{Name: "rocky9"}), Ignore, "not in the library"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := For(fold(t, site.NewState(), start(), tt.events...), nil, start())
			if d.Action != tt.want || !strings.Contains(d.Why, tt.why) || d.Node != nil {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestNodesAreLookedAtOnceByRequest(t *testing.T) {
	asked := site.DiscoveryAsked{Node: "n1", By: "ops", Until: start().Add(time.Hour)}
	looked := site.NodeInventoried{Node: "n1", Inventory: site.Inventory{Source: site.FromDiscovery}}
	armed := site.Armed{Node: "n1", By: "ops", Until: start().Add(time.Hour)}
	started := site.InstallStarted{Node: "n1", Attempt: 1, Token: "h", Image: "d1"}
	done := site.InstallDone{Node: "n1", Attempt: 1}
	for _, tt := range []struct {
		name   string
		events []site.Body
		after  time.Duration
		want   Action
	}{
		{"asked", []site.Body{asked}, 0, Discover},
		{"asked too long ago", []site.Body{asked}, time.Hour, Local},
		{"looked at", []site.Body{asked, looked}, 0, Local},
		{"a BMC's word ends no wish", []site.Body{asked, site.NodeInventoried{Node: "n1", Inventory: site.Inventory{Source: site.FromBMC}}}, 0, Discover},
		{"asked, then armed", []site.Body{asked, armed}, 0, Install},
		{"armed, then asked", []site.Body{armed, asked}, 0, Install},
		{"asked while it installs", []site.Body{armed, started, asked}, 0, Install},
		{"asked when it is installed", []site.Body{armed, started, done, asked}, 0, Discover},
		{"asked while it is held", []site.Body{site.NodeHeld{Node: "n1", Reason: "two claims"}, asked}, 0, Hold},
		{"asked without an image", []site.Body{site.ImageRemoved{Name: "rocky9"}, asked}, 0, Local},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fold(t, site.NewState(), start(), append(planned(), tt.events...)...)
			m, _ := s.Machine("n1")
			if d := For(s, m, start().Add(tt.after)); d.Action != tt.want {
				t.Errorf("got %s (%s), want %s", d.Action, d.Why, tt.want)
			}
		})
	}
}

// TestStrangersNeverInstall: whatever a plan says and whatever happened, a
// machine that it does not name is never handed an installer.
func TestStrangersNeverInstall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := fold(t, site.NewState(), start(), planned()...), start()
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			m, _ := s.Machine(rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				s = fold(t, s, now, leave(rapid.SampledFrom([]site.DHCPMode{site.DHCPServer, site.DHCPProxy, site.DHCPOff}).Draw(t, "mode"), rapid.Bool().Draw(t, "pool")))
			case 1:
				s = fold(t, s, now, site.DiscoveryAsked{Node: m.Node.Name, By: "ops", Until: now.Add(time.Hour)})
			default:
				s = fold(t, s, now, step(t, s, m, now)...)
			}
			d := For(s, nil, now)
			if d.Action != Ignore && d.Action != Discover {
				t.Fatalf("a stranger is told to %s: %s", d.Action, d.Why)
			}
			if d.Action == Discover && !s.Settings.Discovery.Strangers {
				t.Fatal("a stranger is discovered without leave")
			}
			for _, m := range s.Machines() {
				if d := For(s, m, now); d.Action == Discover && (m.Running() || m.Phase == site.PhaseArmed) {
					t.Fatalf("%s is %s and is looked at", m.Node.Name, m.Phase)
				}
			}
		}
	})
}
