package discovery_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/discovery"
	"github.com/rackseed/rackseed/pkg/site"
)

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func mac(n byte) site.MAC { return site.MAC{0x52, 0x54, 0, 0, 0, n} }

func settings(rules ...site.DiscoveryRule) site.Settings {
	return site.Settings{
		Provision: site.Provision{Network: "provision", DHCP: site.DHCPProxy},
		Networks:  map[string]site.Network{"provision": {Subnet: netip.MustParsePrefix("10.20.0.0/16")}},
		Roles:     map[string]site.Role{"compute": {Profile: "compute", Image: "rocky9"}},
		Discovery: site.Discovery{Strangers: true, Image: "rocky9", Rules: rules},
	}
}

func state(t *testing.T, bodies ...site.Body) *site.State {
	t.Helper()
	return after(t, site.NewState(), bodies...)
}

func after(t *testing.T, s *site.State, bodies ...site.Body) *site.State {
	t.Helper()
	s = s.Fork()
	for _, b := range bodies {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: epoch.Add(time.Duration(s.Seq) * time.Second), Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func planned(rules ...site.DiscoveryRule) []site.Body {
	return []site.Body{
		site.PlanApplied{Settings: settings(rules...)}, site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "d1"}},
		site.NodePlanned{Node: site.Node{Name: "c-0001", Role: "compute", MACs: []site.MAC{mac(1)}, Serial: "PLANNED1"}},
	}
}

// found is a machine with two ports, of which the second one booted.
func found() site.Inventory {
	return site.Inventory{
		Source: site.FromDiscovery, Model: "RH2288H V5", Serial: "2102311TUF10K8000513", UUID: site.UUID{9},
		BMC:      site.InventoryBMC{Address: netip.MustParseAddr("10.21.2.1")},
		Hardware: site.Hardware{Memory: 1 << 38, Disks: []site.InventoryDisk{{Serial: "D1"}, {Serial: "D2"}}},
		NICs: []site.InventoryNIC{
			{Name: "eth0", MAC: mac(0x10), Neighbour: site.Neighbour{Switch: "oob-1", Port: "ge-0/0/3"}},
			{Name: "eth1", MAC: mac(0x11), Neighbour: site.Neighbour{Switch: "Leaf-3.dc.example", Port: "Eth1/7"}},
		},
	}
}

func TestRules(t *testing.T) {
	ports := site.DiscoveryMatch{Switch: "leaf-*.dc.example", Port: "Eth1/*"}
	for _, tt := range []struct {
		name  string
		rules []site.DiscoveryRule
		node  string // that it becomes; empty means none
		why   string
	}{
		{"none", nil, "", "no rule of the plan fits"},
		{"by switch port, numbers padded", []site.DiscoveryRule{{Match: ports, Name: "c-{1:2}{2:2}", Role: "compute", Rack: "A{1:2}"}}, "c-0307", "rule 1 made it c-0307"},
		{"by the port that booted, not another", []site.DiscoveryRule{{Match: site.DiscoveryMatch{Port: "*"}, Name: "c-x{1}", Role: "compute"}}, "", "not a host name"},
		{"by serial number", []site.DiscoveryRule{{Title: "batch 7", Match: site.DiscoveryMatch{Serial: []string{"X*", "2102311tuf10k8000*"}}, Name: "c-{1:4}", Role: "compute"}}, "c-0513", `rule "batch 7" made it`},
		{"by model and count of disks, the first free name", []site.DiscoveryRule{{Match: site.DiscoveryMatch{Model: "RH2288*", Disks: 2}, Name: "c-[0001-0003]", Role: "compute"}}, "c-0002", ""},
		{"one more disk", []site.DiscoveryRule{{Match: site.DiscoveryMatch{Model: "RH2288*", Disks: 3}, Name: "c-[0001-0003]", Role: "compute"}}, "", "no rule"},
		{"another switch", []site.DiscoveryRule{{Match: site.DiscoveryMatch{Switch: "spine-*"}, Name: "c-9", Role: "compute"}}, "", "no rule"},
		{"the first that fits", []site.DiscoveryRule{{Match: site.DiscoveryMatch{Disks: 5}, Name: "no", Role: "compute"}, {Match: ports, Name: "yes", Role: "compute"}, {Match: ports, Name: "late", Role: "compute"}}, "yes", "rule 2"},
		{"a name that is taken", []site.DiscoveryRule{{Match: ports, Name: "c-0001", Role: "compute"}}, "", "the name c-0001 is taken"},
		{"a range that is used up", []site.DiscoveryRule{{Match: ports, Name: "c-[0001-0001]", Role: "compute"}}, "", "is taken"},
		{"a rule that fits all adopts none", []site.DiscoveryRule{{Name: "c-9", Role: "compute"}}, "", "no rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := state(t, planned(tt.rules...)...)
			bodies, why := discovery.Found(s, mac(0x11), "", found())
			if !strings.Contains(why, tt.why) {
				t.Errorf("it says %q", why)
			}
			s = after(t, s, bodies...)
			if tt.node == "" {
				if st, ok := s.Strangers.Get(mac(0x11)); !ok || st.Inventory == nil || s.Len() != 1 {
					t.Errorf("it is no stranger with an inventory: %+v, %d nodes", st, s.Len())
				}
				return
			}
			m, ok := s.Machine(tt.node)
			if !ok {
				t.Fatalf("there is no %s", tt.node)
			}
			if m.Phase != site.PhasePlanned || !m.Node.Adopted || !strings.HasPrefix(m.AdoptedBy, "rule ") || s.Strangers.Len() != 0 {
				t.Errorf("%+v; %d strangers", m, s.Strangers.Len())
			}
			n := m.Node
			if n.MACs[0] != mac(0x11) || len(n.MACs) != 2 || n.Serial != "2102311TUF10K8000513" || n.UUID != (site.UUID{9}) || n.BMC.Address != "10.21.2.1" || len(n.Hardware.Disks) != 2 {
				t.Errorf("%+v", n)
			}
			if i, ok := m.InventoryFrom(site.FromDiscovery); !ok || i.Model != "RH2288H V5" {
				t.Errorf("its inventory: %+v", i)
			}
		})
	}
}

// TestClaimsOfAStranger: what a machine says of itself makes it nobody that
// the plan knows.
func TestClaimsOfAStranger(t *testing.T) {
	for name, claim := range map[string]func(i *site.Inventory){
		"the MAC of a node":           func(i *site.Inventory) { i.NICs[0].MAC = mac(1) },
		"the serial number of a node": func(i *site.Inventory) { i.Serial = "PLANNED1" },
	} {
		t.Run(name, func(t *testing.T) {
			i := found()
			claim(&i)
			s := state(t, planned(site.DiscoveryRule{Match: site.DiscoveryMatch{Disks: 2}, Name: "c-9", Role: "compute"})...)
			bodies, why := discovery.Found(s, mac(0x11), "", i)
			if len(bodies) != 1 || !strings.Contains(why, "this machine is c-0001 already") {
				t.Errorf("%v, %q", bodies, why)
			}
			if _, ok := bodies[0].(site.StrangerInventoried); !ok {
				t.Errorf("it was recorded as %T", bodies[0])
			}
		})
	}
}

func TestAdopt(t *testing.T) {
	i := found()
	st := site.Stranger{MAC: mac(0x11), Inventory: &i}
	for _, tt := range []struct {
		name string
		wish discovery.Wish
		says string
	}{
		{"well", discovery.Wish{Name: "c-0513", Role: "compute", Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.3.1")}}, ""},
		{"a role that there is not", discovery.Wish{Name: "c-0513", Role: "storage"}, `role "storage"`},
		{"a name that is none", discovery.Wish{Name: "C_0513", Role: "compute"}, "not a host name"},
		{"an address elsewhere", discovery.Wish{Name: "c-0513", Role: "compute", Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.99.0.1")}}, "10.99.0.1"},
		{"a name that is taken", discovery.Wish{Name: "c-0001", Role: "compute"}, "taken by the node with serial PLANNED1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bodies, err := discovery.Adopt(state(t, planned()...), st, tt.wish)
			if tt.says == "" && (err != nil || len(bodies) != 2) {
				t.Fatalf("%v, %v", bodies, err)
			}
			if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || bodies != nil) {
				t.Errorf("%v, %v", bodies, err)
			}
		})
	}
}

// TestPlansAndAdoptedNodes: what an apply of a plan does to a node that no
// plan file names.
func TestPlansAndAdoptedNodes(t *testing.T) {
	i := found()
	s := state(t, planned()...)
	bodies, err := discovery.Adopt(s, site.Stranger{MAC: mac(0x11), Inventory: &i}, discovery.Wish{Name: "c-0513", Role: "compute"})
	if err != nil {
		t.Fatal(err)
	}
	s = after(t, s, bodies...)
	first := *mustMachine(t, s, "c-0001").Node
	for _, tt := range []struct {
		name string
		more []site.Node
		want []string
	}{
		{"a plan without it keeps it", nil, []string{"plan-applied "}},
		{"a plan with its serial number under another name", []site.Node{{Name: "c-0002", Role: "compute", Serial: "2102311TUF10K8000513"}}, []string{"plan-applied ", "node-unplanned c-0513", "node-planned c-0002"}},
		{"a plan with one of its MACs", []site.Node{{Name: "c-0002", Role: "compute", MACs: []site.MAC{mac(0x10)}}}, []string{"plan-applied ", "node-unplanned c-0513", "node-planned c-0002"}},
		{"a plan with its UUID", []site.Node{{Name: "c-0002", Role: "compute", UUID: site.UUID{9}}}, []string{"plan-applied ", "node-unplanned c-0513", "node-planned c-0002"}},
		{"a plan with its name", []site.Node{{Name: "c-0513", Role: "compute", MACs: []site.MAC{mac(0x11)}}}, []string{"plan-applied ", "node-planned c-0513"}},
		{"a plan with another machine", []site.Node{{Name: "c-0002", Role: "compute", Serial: "OTHER"}}, []string{"plan-applied ", "node-planned c-0002"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := &site.Plan{Settings: settings(), Nodes: append([]site.Node{first}, tt.more...)}
			var got []string
			changes := site.Diff(s, plan, "new", "ops")
			for _, b := range changes {
				got = append(got, b.Kind()+" "+b.Subject())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			next := after(t, s, changes...)
			if again := site.Diff(next, plan, "new", "ops"); len(again) != 0 {
				t.Errorf("applied again it changes %v", again)
			}
			if m, ok := next.Machine("c-0513"); ok && len(tt.more) > 0 && tt.more[0].Name == "c-0513" && (m.Node.Adopted || m.AdoptedBy != "") {
				t.Error("the plan has it, and it still counts as adopted")
			}
		})
	}
}

func mustMachine(t *testing.T, s *site.State, name string) *site.Machine {
	t.Helper()
	m, ok := s.Machine(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return m
}

func TestNext(t *testing.T) {
	i := found()
	begun := epoch.Add(2500 * time.Millisecond) // between the plan and what follows
	stranger := site.StrangerInventoried{MAC: mac(0x11), Inventory: i}
	adopt := site.NodePlanned{Node: site.Node{Name: "c-0513", Role: "compute", MACs: []site.MAC{mac(0x11)}, Adopted: true}}
	armed := site.Armed{Node: "c-0513", By: "ops", Until: epoch.Add(time.Hour)}
	asked := site.DiscoveryAsked{Node: "c-0001", By: "ops", Until: epoch.Add(time.Hour)}
	looked := site.NodeInventoried{Node: "c-0001", Inventory: i}
	for _, tt := range []struct {
		name   string
		node   string
		mac    site.MAC
		events []site.Body
		want   discovery.Order
		says   string
	}{
		{"a stranger that just booted", "", mac(0x11), nil, discovery.Report, "nothing is known"},
		{"a stranger that has reported", "", mac(0x11), []site.Body{stranger}, discovery.Wait, "rackseed node adopt 52:54:00:00:00:11"},
		{"a stranger that was adopted", "", mac(0x11), []site.Body{stranger, adopt}, discovery.Wait, "this is c-0513 now; waiting to be armed"},
		{"a stranger that was adopted and armed", "", mac(0x11), []site.Body{stranger, adopt, armed}, discovery.Reboot, "armed by ops"},
		{"a node that is to be looked at", "c-0001", mac(1), []site.Body{asked}, discovery.Report, "to be looked at"},
		{"a node that was looked at", "c-0001", mac(1), []site.Body{asked, looked}, discovery.Reboot, "was looked at"},
		{"a node that was taken out", "c-0001", mac(1), []site.Body{site.NodeUnplanned{Name: "c-0001"}}, discovery.Reboot, "no longer names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			order, why := discovery.Next(state(t, append(planned(), tt.events...)...), tt.mac, tt.node, begun, epoch.Add(time.Minute))
			if order != tt.want || !strings.Contains(why, tt.says) {
				t.Errorf("%s: %s", order, why)
			}
		})
	}
}

func TestClean(t *testing.T) {
	i := site.Inventory{Source: site.FromBMC, Serial: "\x1b[2J" + strings.Repeat("S", 500), Problems: []string{"x"}, Hardware: site.Hardware{Memory: -1, Sockets: -4}}
	for n := range 1000 {
		i.NICs = append(i.NICs, site.InventoryNIC{Name: fmt.Sprint(n)})
		i.Hardware.Disks = append(i.Hardware.Disks, site.InventoryDisk{Size: -5})
	}
	c := discovery.Clean(i, site.FromDiscovery)
	if c.Source != site.FromDiscovery || len(c.Serial) != 128 || strings.Contains(c.Serial, "\x1b") || len(c.NICs) != 256 || len(c.Hardware.Disks) != 256 ||
		c.Hardware.Memory != 0 || c.Hardware.Sockets != 0 || c.Hardware.Disks[0].Size != 0 || c.Problems != nil {
		t.Errorf("%+v", c)
	}
}
