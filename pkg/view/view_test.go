package view_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func state(t *testing.T, bodies ...site.Body) *site.State {
	t.Helper()
	s := site.NewState()
	for _, b := range append([]site.Body{
		site.PlanApplied{Settings: site.Settings{Site: "lab", Roles: map[string]site.Role{"base": {Profile: "base", Image: "rocky9"}}}, Digest: "p"},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "d1"}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{{2, 0, 0, 0, 0, 2}}}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", Rack: "A01", U: 10, MACs: []site.MAC{{2, 0, 0, 0, 0, 1}}, Serial: "S1",
			Addresses: map[string]netip.Addr{"p": netip.MustParseAddr("10.20.1.1")}, Disks: site.Disks{System: []site.DiskSelector{{WWN: "0x5"}}},
			BMC: site.BMC{Username: "admin", Password: site.SecretRef{Sealed: "sealed:CANARY"}}}},
	}, bodies...) {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: epoch, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestNodeTellsItsStory: what an operator sees of a machine, and what it
// would be told, at each turn of an install.
func TestNodeTellsItsStory(t *testing.T) {
	armed := site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)}
	started := site.InstallStarted{Node: "n1", Attempt: 1, Nonce: "n", Token: "h", Image: "d1", Deadline: epoch.Add(time.Minute)}
	progress := site.InstallProgress{Node: "n1", Attempt: 1, Stage: "packages", Detail: "70 of 400"}
	for _, c := range []struct {
		name   string
		bodies []site.Body
		state  site.Phase
		next   string
		check  func(n view.Node) bool
	}{
		{"planned", nil, site.PhasePlanned, "local", func(n view.Node) bool { return n.Attempt == 0 && n.Image == "rocky9" }},
		{"armed", []site.Body{armed}, site.PhaseArmed, "install", func(n view.Node) bool { return n.ArmedBy == "ops" && n.ArmedUntil.Equal(armed.Until) }},
		{"booting", []site.Body{armed, started}, site.PhaseBooting, "install", func(n view.Node) bool { return n.Attempt == 1 && n.ArmedBy == "" && n.Started.Equal(epoch) }},
		{"installing", []site.Body{armed, started, progress}, site.PhaseInstalling, "install", func(n view.Node) bool { return n.Stage == "packages" && n.Detail == "70 of 400" }},
		{"failed", []site.Body{armed, started, site.InstallFailed{Node: "n1", Attempt: 1, Stage: "packages", Reason: "no space", Wiped: true}}, site.PhaseFailed, "hold", func(n view.Node) bool { return n.Reason == "no space" && strings.Contains(n.Why, "no space") }},
		{"installed", []site.Body{armed, started, site.InstallDone{Node: "n1", Attempt: 1}}, site.PhaseInstalled, "local", func(n view.Node) bool { return strings.Contains(n.Why, "attempt 1") }},
		{"deviating", []site.Body{armed, started, site.InstallDone{Node: "n1", Attempt: 1}, site.NodeVerified{Node: "n1", Attempt: 1, Deviations: []string{"x is 1"}}}, site.PhaseInstalled, "local", func(n view.Node) bool { return len(n.Deviations) == 1 }},
		{"ready", []site.Body{armed, started, site.InstallDone{Node: "n1", Attempt: 1}, site.NodeVerified{Node: "n1", Attempt: 1}}, site.PhaseReady, "local", func(n view.Node) bool { return n.Ended.Equal(epoch) && n.Deadline.IsZero() }},
		{"held", []site.Body{site.NodeHeld{Node: "n1", Reason: "doubt"}}, site.PhaseHeld, "hold", func(n view.Node) bool { return n.Reason == "doubt" }},
	} {
		s := state(t, c.bodies...)
		m, _ := s.Machine("n1")
		n := view.NodeOf(s, m, epoch)
		if n.State != c.state || n.Next != c.next || n.Why == "" || !c.check(n) {
			t.Errorf("%s: %+v", c.name, n)
		}
	}
}

// TestNodeKeys are what people's scripts read.
func TestNodeKeys(t *testing.T) {
	s := state(t)
	m, _ := s.Machine("n1")
	data, err := json.Marshal(view.NodeOf(s, m, epoch))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"n1","role":"base","rack":"A01","u":10,"state":"planned","since":"2026-11-22T02:00:00Z","macs":["02:00:00:00:00:01"],` +
		`"serial":"S1","addresses":{"p":"10.20.1.1"},"image":"rocky9","disks":[{"wwn":"0x5"}],"next":"local","why":"planned, but not armed"}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

func TestNodesAndStatus(t *testing.T) {
	s := state(t, site.StrangerSeen{MAC: site.MAC{2, 0, 0, 0, 0, 8}, Arch: "BIOS"}, site.StrangerSeen{MAC: site.MAC{2, 0, 0, 0, 0, 7}})
	all := view.Nodes(s, s.Machines(), true, epoch)
	if len(all) != 4 || all[0].Name != "n1" || all[1].Name != "n2" || all[2].Name != "02:00:00:00:00:07" || all[3].Detail != "BIOS" || all[3].Next != "ignore" || all[3].State != site.PhaseSeen {
		t.Errorf("got %+v", all)
	}
	if list := view.Nodes(s, nil, false, epoch); list == nil || len(list) != 0 {
		t.Errorf("no machines are %#v, not an empty list", list)
	}
	st := view.StatusOf(s, "v1", view.Serving{DHCP: site.DHCPProxy}, epoch)
	if st.Site != "lab" || st.PlanDigest != "p" || st.Seq != s.Seq || st.Images != 1 || st.Nodes[site.PhasePlanned] != 2 || st.Nodes[site.PhaseSeen] != 2 || st.Serving.DHCP != "proxy" {
		t.Errorf("got %+v", st)
	}
}
