package cabling_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/site"
)

func mac(n byte) site.MAC { return site.MAC{0x52, 0x54, 0, 0, 0, n} }

// rack is two nodes with two ports each, bonded, in two leaves.
func rack(t *testing.T) *site.State {
	t.Helper()
	node := func(name string, first byte, port string) site.NodePlanned {
		return site.NodePlanned{Node: site.Node{
			Name: name, Role: "compute", MACs: []site.MAC{mac(first), mac(first + 1)},
			Addresses: map[string]netip.Addr{"management": netip.MustParseAddr("10.22.1.7")},
			NICs: map[string]site.NIC{
				"nic1": {MAC: mac(first), Switch: "leaf-1", Port: port, Speed: 25000},
				"nic2": {MAC: mac(first + 1), Switch: "leaf-2", Port: port, Speed: 25000},
			},
		}}
	}
	return fold(t, site.NewState(),
		site.PlanApplied{Settings: site.Settings{
			Networks: map[string]site.Network{
				"management": {Subnet: netip.MustParsePrefix("10.22.0.0/16"), VLAN: 122, Gateway: netip.MustParseAddr("10.22.0.1")},
				"storage":    {Subnet: netip.MustParsePrefix("10.23.0.0/16"), VLAN: 123, MTU: 9000},
			},
			Roles: map[string]site.Role{"compute": {
				Profile: "compute", Networks: map[string]string{"management": "bond0", "storage": "bond0"},
				Bonds: map[string]site.Bond{"bond0": {NICs: []string{"nic1", "nic2"}, Mode: "active-backup"}},
			}},
		}},
		node("cs-computer-0007", 0x10, "Eth1/7"), node("cs-computer-0008", 0x20, "Eth1/8"))
}

func fold(t *testing.T, s *site.State, bodies ...site.Body) *site.State {
	t.Helper()
	s = s.Fork()
	for _, b := range bodies {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: time.Unix(int64(s.Seq), 0), Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// seen is what cs-computer-0007 sees when everything is in its place.
func seen(first byte, port string) site.Inventory {
	nic := func(n byte, leaf string) site.InventoryNIC {
		return site.InventoryNIC{Name: "eth0", MAC: mac(n), Link: "up", Speed: 25000, MTU: 9702, Neighbour: site.Neighbour{Switch: leaf, Port: port, MTU: 9216}}
	}
	return site.Inventory{Source: site.FromDiscovery, NICs: []site.InventoryNIC{nic(first, "leaf-1"), nic(first+1, "leaf-2")}}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		other  bool // cs-computer-0008 was looked at, and its nic2 is in 0007's place
		change func(i *site.Inventory)
		want   []string
		unseen bool
	}{
		{"all in its place", false, func(*site.Inventory) {}, nil, false},
		{"other spellings of one place", false, func(i *site.Inventory) {
			i.NICs[0].Neighbour.Switch, i.NICs[0].Neighbour.Port = "LEAF-1.dc.example", "Ethernet1/7"
		}, nil, false},
		{
			"a neighbour's cable, who was seen", true, func(i *site.Inventory) { i.NICs[1].Neighbour.Port = "Eth1/8" },
			[]string{"nic2 is in leaf-2 port Eth1/8, the plan says leaf-2 Eth1/7; Eth1/7 holds cs-computer-0008's nic2: swapped?"}, false,
		},
		{
			"a neighbour's cable, who was not", false, func(i *site.Inventory) { i.NICs[1].Neighbour.Port = "Eth1/8" },
			[]string{"nic2 is in leaf-2 port Eth1/8, the plan says leaf-2 Eth1/7; Eth1/8 is for cs-computer-0008's nic2 in the plan: swapped?"}, false,
		},
		{
			"a port that is nobody's", false, func(i *site.Inventory) { i.NICs[1].Neighbour.Port = "Eth1/40" },
			[]string{"nic2 is in leaf-2 port Eth1/40, the plan says leaf-2 Eth1/7"}, false,
		},
		{
			"two cables of one machine", false, func(i *site.Inventory) {
				i.NICs[0].Neighbour, i.NICs[1].Neighbour = i.NICs[1].Neighbour, i.NICs[0].Neighbour
			},
			[]string{
				"nic1 is in leaf-2 port Eth1/7, the plan says leaf-1 Eth1/7; nic2 is in its place: swap the two cables",
				"nic2 is in leaf-1 port Eth1/7, the plan says leaf-2 Eth1/7; nic1 is in its place: swap the two cables",
			}, false,
		},
		{"no link", false, func(i *site.Inventory) { i.NICs[1].Link, i.NICs[1].Neighbour = "down", site.Neighbour{} }, []string{"nic2 (52:54:00:00:00:11) has no link; the plan has it in leaf-2 Eth1/7: is the cable in, and the switch port up?"}, false},
		{"a slow link", false, func(i *site.Inventory) { i.NICs[1].Speed = 10000 }, []string{"nic2 runs at 10000 Mbit/s, the plan says 25000: check the cable, the transceiver and the speed of leaf-2 Eth1/7"}, false},
		{"a switch that says nothing", false, func(i *site.Inventory) { i.NICs[1].Neighbour = site.Neighbour{} }, []string{"nic2 heard no LLDP, so nobody can tell whether it is in leaf-2 Eth1/7: switch LLDP on at the switch"}, true},
		{"a switch that passes small frames", false, func(i *site.Inventory) { i.NICs[1].Neighbour.MTU = 1518 }, []string{"leaf-2 Eth1/7 passes frames of 1518 bytes at most, storage needs an MTU of 9000: raise the MTU of the switch port"}, false},
		{"a card that takes small frames", false, func(i *site.Inventory) { i.NICs[1].MTU = 1500 }, []string{"nic2 takes frames of 1500 bytes at most, storage needs an MTU of 9000: put the network on another port"}, false},
		{"a card that is missing", false, func(i *site.Inventory) { i.NICs = i.NICs[:1] }, []string{"nic2 (52:54:00:00:00:11) is not in this machine: was a card or a board exchanged, or is its driver missing?"}, false},
		{
			"a VLAN that one port lacks", false, func(i *site.Inventory) {
				i.Reached = []site.Reached{{NIC: mac(0x10), Network: "management", OK: true}, {NIC: mac(0x11), Network: "management"}}
			},
			[]string{"gateway 10.22.0.1 of management (VLAN 122) answers over the other ports, not over nic2: let the VLAN pass at its switch port, leaf-2 Eth1/7"}, false,
		},
		{
			"a gateway that nobody reaches", false, func(i *site.Inventory) { i.Reached = []site.Reached{{NIC: mac(0x10), Network: "management"}} },
			[]string{"gateway 10.22.0.1 of management (VLAN 122) does not answer over nic1: is it there yet, and does the switch port, leaf-1 Eth1/7 let the VLAN pass?"}, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := rack(t)
			if tt.other {
				i := seen(0x20, "Eth1/8")
				i.NICs[1].Neighbour.Port = "Eth1/7"
				s = fold(t, s, site.NodeInventoried{Node: "cs-computer-0008", Inventory: i})
			}
			i := seen(0x10, "Eth1/7")
			tt.change(&i)
			s = fold(t, s, site.NodeInventoried{Node: "cs-computer-0007", Inventory: i})
			m, _ := s.Machine("cs-computer-0007")
			findings, _, ok := cabling.Of(s, m)
			if !ok {
				t.Fatal("nobody has looked")
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.Text)
				if f.Unseen != tt.unseen {
					t.Errorf("%q: nobody could tell is %t", f.Text, f.Unseen)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNewestLookCounts: a machine that was looked at again after its cables
// were put right has nothing wrong any more.
func TestNewestLookCounts(t *testing.T) {
	wrong := seen(0x10, "Eth1/9")
	right := seen(0x10, "Eth1/7")
	right.Source = site.FromInstaller
	s := fold(t, rack(t), site.NodeInventoried{Node: "cs-computer-0007", Inventory: wrong}, site.NodeInventoried{Node: "cs-computer-0007", Inventory: right})
	m, _ := s.Machine("cs-computer-0007")
	if f, from, ok := cabling.Of(s, m); !ok || len(f) != 0 || from.Source != site.FromInstaller {
		t.Errorf("%v from %s", f, from.Source)
	}
	m, _ = s.Machine("cs-computer-0008")
	if _, _, ok := cabling.Of(s, m); ok {
		t.Error("somebody looked at cs-computer-0008")
	}
}

func TestPlanned(t *testing.T) {
	s := site.Settings{Roles: map[string]site.Role{"r": {NICs: map[string]site.NIC{"p1": {Path: "0000:3b:00.0", Switch: "leaf-1"}}}}}
	if !cabling.Planned(&s, &site.Node{Role: "r"}) || cabling.Planned(&s, &site.Node{MACs: []site.MAC{mac(1)}}) {
		t.Error("a plan with a switch counts as one without, or the other way round")
	}
}

func TestTasks(t *testing.T) {
	s := rack(t)
	m, _ := s.Machine("cs-computer-0007")
	own, gateway := netip.MustParseAddr("10.22.1.7"), netip.MustParseAddr("10.22.0.1")
	want := cabling.Tasks{LLDP: 35, Probes: []cabling.Probe{
		{NIC: mac(0x10), Network: "management", VLAN: 122, Source: own, Gateway: gateway},
		{NIC: mac(0x11), Network: "management", VLAN: 122, Source: own, Gateway: gateway},
	}}
	if diff := cmp.Diff(want, cabling.TasksFor(&s.Settings, m.Node), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	bond := s.Settings.Roles["compute"].Bonds["bond0"]
	bond.Mode = "802.3ad"
	s.Settings.Roles["compute"].Bonds["bond0"] = bond
	if got := cabling.TasksFor(&s.Settings, m.Node); len(got.Probes) != 0 {
		t.Errorf("single ports of a bond that the switch must agree to are asked: %v", got.Probes)
	}
	if got := cabling.TasksFor(&s.Settings, nil); got.LLDP == 0 || len(got.Probes) != 0 {
		t.Errorf("a stranger: %v", got)
	}
}

func TestPorts(t *testing.T) {
	for _, tt := range []struct {
		plan, says string
		same       bool
	}{
		{"Eth1/7", "Ethernet1/7", true},
		{"1/7", "Ethernet1/7", true},
		{"ethernet 1/7", "Eth1/7", true},
		{"GE1/0/3", "GigabitEthernet1/0/3", true},
		{"25GE1/0/3", "Twenty-FiveGigE1/0/3", true},
		{"XGE1/0/3", "Ten-GigabitEthernet1/0/3", true},
		{"Eth1/7", "Eth1/17", false},
		{"Eth1/7", "Eth11/7", false},
		{"GE1/0/3", "XGE1/0/3", false},
		{"Eth1/7", "Eth1/7:1", false},
		{"swp7", "swp7", true},
		{"swp7", "Eth7", false},
	} {
		s := fold(t, site.NewState(), site.NodePlanned{Node: site.Node{Name: "n", MACs: []site.MAC{mac(1)}, NICs: map[string]site.NIC{"nic1": {MAC: mac(1), Switch: "s", Port: tt.plan}}}})
		m, _ := s.Machine("n")
		i := site.Inventory{NICs: []site.InventoryNIC{{MAC: mac(1), Link: "up", Neighbour: site.Neighbour{Switch: "s", Port: tt.says}}}}
		if same := len(cabling.Check(s, m.Node, i)) == 0; same != tt.same {
			t.Errorf("%s is %s: %t", tt.plan, tt.says, same)
		}
	}
}

// TestWords: every finding ends in what to look at.
func TestWords(t *testing.T) {
	i := seen(0x10, "Eth1/9")
	s := rack(t)
	m, _ := s.Machine("cs-computer-0007")
	for _, f := range cabling.Check(s, m.Node, i) {
		if !strings.HasPrefix(f.Text, f.NIC) || f.String() != f.Text {
			t.Errorf("%+v", f)
		}
	}
}
