package profile

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
)

var updateNetwork = flag.Bool("update-network", false, "rewrite the golden network")

// hyperconverged is a node with four ports: two carry the management side and
// the firmware's network, two the storage and tenant traffic.
func hyperconverged() (*site.Settings, *site.Node) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	s := &site.Settings{
		Provision: site.Provision{Network: "provision"},
		Networks: map[string]site.Network{
			"provision":       {Subnet: prefix("10.20.0.0/16"), Gateway: addr("10.20.0.1"), DNS: []netip.Addr{addr("10.20.0.1")}},
			"management":      {Subnet: prefix("10.22.0.0/16"), VLAN: 122, Gateway: addr("10.22.0.1"), DNS: []netip.Addr{addr("10.22.0.53")}},
			"storage":         {Subnet: prefix("10.23.0.0/16"), VLAN: 123, MTU: 9000, Routes: []site.Route{{To: prefix("10.33.0.0/16"), Via: addr("10.23.0.1")}}},
			"storage-cluster": {Subnet: prefix("10.25.0.0/16"), VLAN: 125, MTU: 9000},
			"tenant":          {Subnet: prefix("10.24.0.0/16"), VLAN: 1124, MTU: 8900},
			"external":        {},
		},
		Roles: map[string]site.Role{"hci": {
			Networks: map[string]string{"management": "bond0", "storage": "bond1", "storage-cluster": "bond1", "tenant": "bond1", "external": "bond1"},
			NICs:     map[string]site.NIC{"p1": {Path: "0000:3b:00.0"}, "p2": {Path: "0000:3b:00.1"}},
			Bonds: map[string]site.Bond{
				"bond0": {NICs: []string{"nic1", "nic2"}},
				"bond1": {NICs: []string{"p1", "p2"}, Mode: "802.3ad", Options: map[string]string{"lacp_rate": "slow"}},
			},
		}},
	}
	n := &site.Node{
		Name: "cs-hci-01", Role: "hci",
		MACs: []site.MAC{{0x52, 0x54, 0, 0, 0, 1}, {0x52, 0x54, 0, 0, 0, 2}},
		Addresses: map[string]netip.Addr{
			"provision": addr("10.20.1.1"), "management": addr("10.22.1.1"), "storage": addr("10.23.1.1"), "storage-cluster": addr("10.25.1.1"), "tenant": addr("10.24.1.1"),
		},
	}
	return s, n
}

func TestNetworkGolden(t *testing.T) {
	got, err := network(hyperconverged())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/network-hyperconverged.golden"
	if *updateNetwork {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test -run TestNetworkGolden -update-network writes it; read it before you commit it", err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// line is an interface as people would say it.
func line(i Interface) string {
	b := fmt.Sprintf("%s %s mtu %d", i.Kind, i.Name, i.MTU)
	for _, v := range []struct {
		name, value string
	}{{"in", i.Master}, {"on", i.Parent}, {"mode", i.Bond.Mode}} {
		if v.value != "" {
			b += " " + v.name + " " + v.value
		}
	}
	if i.DHCP {
		b += " dhcp"
	}
	if i.Address.IsValid() {
		b += " " + i.Address.String()
	}
	if i.Gateway.IsValid() {
		b += " via " + i.Gateway.String()
	}
	if len(i.Networks) > 0 {
		b += " for " + strings.Join(i.Networks, "+")
	}
	return b
}

func TestNetwork(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		name   string
		change func(*site.Settings, *site.Node)
		want   []string
	}{
		{"one port, nothing tagged, address by DHCP", func(s *site.Settings, n *site.Node) {
			s.Roles["hci"] = site.Role{Networks: map[string]string{"management": "nic1"}}
			n.MACs = n.MACs[:1]
			n.Addresses = map[string]netip.Addr{"management": netip.MustParseAddr("10.22.1.1")}
		}, []string{
			"ethernet nic1 mtu 1500 dhcp for provision",
			"vlan nic1.122 mtu 1500 on nic1 10.22.1.1/16 via 10.22.0.1 for management",
		}},
		{"management is the provisioning network", func(s *site.Settings, n *site.Node) {
			s.Roles["hci"] = site.Role{Networks: map[string]string{"provision": "bond0"}, Bonds: map[string]site.Bond{"bond0": {NICs: []string{"nic1"}, MTU: 9000}}}
		}, []string{
			"ethernet nic1 mtu 9000 in bond0",
			"bond bond0 mtu 9000 mode active-backup 10.20.1.1/16 via 10.20.0.1 for provision",
		}},
		{"the boot NIC has a name of its own", func(s *site.Settings, n *site.Node) {
			s.Roles["hci"] = site.Role{Networks: map[string]string{"management": "b"}}
			n.NICs = map[string]site.NIC{"a": {MAC: n.MACs[1]}, "b": {MAC: n.MACs[0]}}
		}, []string{
			"ethernet b mtu 1500 10.20.1.1/16 for provision",
			"vlan b.122 mtu 1500 on b 10.22.1.1/16 via 10.22.0.1 for management",
		}},
		{"a node known by its serial boots from the first bond", func(s *site.Settings, n *site.Node) {
			r := s.Roles["hci"]
			r.Bonds = map[string]site.Bond{"bond1": r.Bonds["bond1"]}
			r.Networks = map[string]string{"management": "bond1"}
			s.Roles["hci"] = r
			n.MACs = nil
		}, []string{
			"ethernet p1 mtu 1500 in bond1",
			"ethernet p2 mtu 1500 in bond1",
			"bond bond1 mtu 1500 mode 802.3ad 10.20.1.1/16 for provision",
			"vlan bond1.122 mtu 1500 on bond1 10.22.1.1/16 via 10.22.0.1 for management",
		}},
		{"the provisioning network on ports that firmware does not use", func(s *site.Settings, n *site.Node) {
			r := s.Roles["hci"]
			r.Bonds = map[string]site.Bond{"bond1": r.Bonds["bond1"]}
			r.Networks = map[string]string{"provision": "bond1"}
			s.Roles["hci"] = r
		}, []string{
			"ethernet p1 mtu 1500 in bond1",
			"ethernet p2 mtu 1500 in bond1",
			"bond bond1 mtu 1500 mode 802.3ad 10.20.1.1/16 via 10.20.0.1 for provision",
		}},
		{"a network that says so leads out", func(s *site.Settings, n *site.Node) {
			s.Roles["hci"] = site.Role{Networks: map[string]string{"management": "nic1", "tenant": "nic1"}}
			tenant := s.Networks["tenant"]
			tenant.DefaultRoute, tenant.Gateway = &yes, netip.MustParseAddr("10.24.0.1")
			s.Networks["tenant"] = tenant
		}, []string{
			"ethernet nic1 mtu 8900 10.20.1.1/16 for provision",
			"vlan nic1.122 mtu 1500 on nic1 10.22.1.1/16 for management",
			"vlan nic1.1124 mtu 8900 on nic1 10.24.1.1/16 via 10.24.0.1 for tenant",
		}},
		{"management that must not lead out", func(s *site.Settings, n *site.Node) {
			s.Roles["hci"] = site.Role{Networks: map[string]string{"management": "nic1"}}
			m := s.Networks["management"]
			m.DefaultRoute = &no
			s.Networks["management"] = m
		}, []string{
			"ethernet nic1 mtu 1500 10.20.1.1/16 via 10.20.0.1 for provision",
			"vlan nic1.122 mtu 1500 on nic1 10.22.1.1/16 for management",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, n := hyperconverged()
			tt.change(s, n)
			got, err := network(s, n)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, i := range got.Interfaces {
				lines = append(lines, line(i))
			}
			if diff := cmp.Diff(tt.want, lines); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoNetworkLeavesTheInstallers(t *testing.T) {
	s, n := hyperconverged()
	s.Roles["hci"] = site.Role{}
	if got, err := network(s, n); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestBondOptions(t *testing.T) {
	for _, tt := range []struct {
		bond site.Bond
		want map[string]string
	}{
		{site.Bond{NICs: []string{"a", "b"}}, map[string]string{"miimon": "100", "primary": "a"}},
		{site.Bond{NICs: []string{"a", "b"}, Options: map[string]string{"primary": "b", "miimon": "50"}}, map[string]string{"miimon": "50", "primary": "b"}},
		{site.Bond{NICs: []string{"a"}, Mode: "802.3ad"}, map[string]string{"miimon": "100", "lacp_rate": "fast", "xmit_hash_policy": "layer3+4"}},
		{site.Bond{NICs: []string{"a"}, Mode: "balance-xor"}, map[string]string{"miimon": "100"}},
		{site.Bond{NICs: []string{"a"}, Options: map[string]string{"arp_interval": "1000", "arp_ip_target": "10.0.0.1"}}, map[string]string{"arp_interval": "1000", "arp_ip_target": "10.0.0.1", "primary": "a"}},
	} {
		got, err := decideBond(tt.bond)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(tt.want, got.Options); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.bond, diff)
		}
	}
}

func TestNetworkErrors(t *testing.T) {
	bond := func(change func(*site.Bond)) func(*site.Settings, *site.Node) {
		return func(s *site.Settings, _ *site.Node) {
			b := s.Roles["hci"].Bonds["bond0"]
			change(&b)
			s.Roles["hci"].Bonds["bond0"] = b
		}
	}
	net := func(name string, change func(*site.Network)) func(*site.Settings, *site.Node) {
		return func(s *site.Settings, _ *site.Node) {
			v := s.Networks[name]
			change(&v)
			s.Networks[name] = v
		}
	}
	on := func(network, device string) func(*site.Settings, *site.Node) {
		return func(s *site.Settings, _ *site.Node) { s.Roles["hci"].Networks[network] = device }
	}
	yes := true
	for _, tt := range []struct {
		name   string
		change func(*site.Settings, *site.Node)
		want   string
	}{
		{"a NIC that is not there", func(_ *site.Settings, n *site.Node) { n.MACs = n.MACs[:1] }, `role hci, bond bond0: node cs-hci-01 has no NIC "nic2" (it has nic1, p1, p2): add it under mac or nics of the node, or under nics of the role`},
		{"a NIC twice", bond(func(b *site.Bond) { b.NICs = []string{"nic1", "nic1"} }), "names NIC nic1 twice"},
		{"a NIC in two bonds", bond(func(b *site.Bond) { b.NICs = []string{"nic1", "p1"} }), "NIC p1 is in the bonds bond0 and bond1: leave it in one"},
		{"a NIC that cannot be found", func(s *site.Settings, _ *site.Node) { s.Roles["hci"].NICs["p1"] = site.NIC{Speed: 1} }, "NIC p1: nothing says which port it is: add mac, path or name"},
		{"no NICs", bond(func(b *site.Bond) { b.NICs = nil }), "it has no NICs"},
		{"a mode that is none", bond(func(b *site.Bond) { b.Mode = "lacp" }), `"lacp" is not a mode: use one of balance-rr`},
		{"an option that is none", bond(func(b *site.Bond) { b.Options = map[string]string{"mii": "1"} }), "options.mii: is not an option that can be set"},
		{"the mode among the options", bond(func(b *site.Bond) { b.Options = map[string]string{"mode": "1"} }), "the mode stands beside options"},
		{"an option that breaks out", bond(func(b *site.Bond) { b.Options = map[string]string{"miimon": "1\n[ipv4]"} }), "is not a number"},
		{"an option of another mode", bond(func(b *site.Bond) { b.Options = map[string]string{"lacp_rate": "fast"} }), "options.lacp_rate: does not go with mode active-backup: take it out, or use mode 802.3ad"},
		{"two ways to watch", bond(func(b *site.Bond) { b.Options = map[string]string{"miimon": "100", "arp_interval": "100"} }), "either by miimon or by arp_interval"},
		{"a value that is none", bond(func(b *site.Bond) { b.Options = map[string]string{"fail_over_mac": "1"} }), `"1" is not one of none, active, follow`},
		{"a target that is none", bond(func(b *site.Bond) { b.Options = map[string]string{"arp_ip_target": "10.0.0.1, 10.0.0.2"} }), `" 10.0.0.2" is not an IPv4 address`},
		{"a primary that is no member", bond(func(b *site.Bond) { b.Options = map[string]string{"primary": "p1"} }), `options.primary: "p1" is not one of its NICs`},
		{"an MTU too small", func(s *site.Settings, _ *site.Node) {
			b := s.Roles["hci"].Bonds["bond1"]
			b.MTU = 1500
			s.Roles["hci"].Bonds["bond1"] = b
		}, "its MTU is 1500 and a network on it has 9000"},
		{"a bond named like a NIC", func(s *site.Settings, n *site.Node) { n.NICs = map[string]site.NIC{"bond0": {Name: "eno1"}} }, "has a NIC of the same name"},
		{"a name too long", func(s *site.Settings, _ *site.Node) { s.Roles["hci"].Bonds["bond-for-storage"] = site.Bond{} }, "the kernel takes 15 characters"},
		{"a name with a slash", func(s *site.Settings, _ *site.Node) { s.Roles["hci"].Bonds["bond/0"] = site.Bond{} }, "is not the name of an interface"},
		{"a VLAN name too long", func(s *site.Settings, n *site.Node) {
			n.NICs = map[string]site.NIC{"front-left-12": {Name: "eno1"}}
			s.Roles["hci"].Networks["management"] = "front-left-12"
		}, `"front-left-12.122": the kernel takes 15 characters`},
		{"an unknown device", on("management", "bond7"), `puts network management on "bond7", which is neither a bond of the role nor a NIC of node cs-hci-01 (it has nic1, nic2, p1, p2)`},
		{"a NIC whose name is none", func(s *site.Settings, n *site.Node) {
			n.NICs = map[string]site.NIC{"port 3": {Name: "eno3"}}
			s.Roles["hci"].Networks["management"] = "port 3"
		}, `node cs-hci-01, NIC "port 3": is not the name of an interface`},
		{"a device that is a member", on("management", "nic1"), "NIC nic1, which belongs to bond0: put the network on bond0"},
		{"an unknown network", on("mgmt", "bond0"), `there is no network "mgmt"`},
		{"two VLANs of one id", net("tenant", func(n *site.Network) { n.VLAN = 123 }), "networks storage and tenant both have VLAN 123 on bond1"},
		{"the native VLAN tagged", net("provision", func(n *site.Network) { n.VLAN = 122 }), "VLAN 122 of network management is untagged on bond0 for the provisioning network"},
		{"a VLAN that is none", net("tenant", func(n *site.Network) { n.VLAN = 5000 }), "5000 is not a VLAN"},
		{"two addresses untagged", net("management", func(n *site.Network) { n.VLAN = 0 }), "networks management and provision are both untagged on bond0"},
		{"outside the subnet", net("tenant", func(n *site.Network) { n.Subnet = netip.MustParsePrefix("10.99.0.0/16") }), "address 10.24.1.1 on network tenant is outside its subnet 10.99.0.0/16"},
		{"IPv6", net("tenant", func(n *site.Network) { n.DNS = []netip.Addr{netip.MustParseAddr("fd00::1")} }), "fd00::1 is not an IPv4 address"},
		{"no way out", func(s *site.Settings, n *site.Node) {
			for _, name := range []string{"provision", "management"} {
				v := s.Networks[name]
				v.Gateway = netip.Addr{}
				s.Networks[name] = v
			}
		}, "node cs-hci-01 has no default route: give the management or the provisioning network a gateway"},
		{"two ways out", func(s *site.Settings, n *site.Node) {
			for _, name := range []string{"provision", "management"} {
				v := s.Networks[name]
				v.DefaultRoute = &yes
				s.Networks[name] = v
			}
		}, "more than one default route (networks management, provision)"},
		{"a way out without a gateway", net("storage", func(n *site.Network) { n.DefaultRoute = &yes }), "network storage has default_route: true and cannot lead out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, n := hyperconverged()
			tt.change(s, n)
			got, err := network(s, n)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// TestNetworkHolds: whatever is planned, what comes out can be built from the
// bottom up, or it is refused.
func TestNetworkHolds(t *testing.T) {
	decided := 0
	rapid.Check(t, func(r *rapid.T) {
		s, n := drawWiring(r)
		got, err := network(s, n)
		if err != nil {
			return
		}
		decided++
		again, _ := network(s, n)
		if diff := cmp.Diff(got, again, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			r.Fatalf("two answers:\n%s", diff)
		}
		seen := map[string]Interface{}
		gateways, member := 0, map[string]string{}
		for _, i := range got.Interfaces {
			if _, twice := seen[i.Name]; twice {
				r.Fatalf("%s twice", i.Name)
			}
			seen[i.Name] = i
			if i.Gateway.IsValid() {
				gateways++
			}
			if i.MTU == 0 || len(i.Name) > 15 {
				r.Fatalf("%+v", i)
			}
			for _, nic := range i.Bond.NICs {
				if member[nic] != "" || seen[nic].Master != i.Name || seen[nic].MTU != i.MTU {
					r.Fatalf("%s is in %q and %s: %+v", nic, member[nic], i.Name, seen[nic])
				}
				member[nic] = i.Name
			}
			if parent, ok := seen[i.Parent]; i.Kind == VLAN && (!ok || parent.MTU < i.MTU || parent.Kind == VLAN || parent.Master != "") {
				r.Fatalf("%+v stands on %+v", i, parent)
			}
			if i.Master != "" && (i.Address.IsValid() || i.DHCP || len(i.Networks) > 0) {
				r.Fatalf("a member with an address: %+v", i)
			}
			for _, name := range i.Networks {
				if i.MTU < s.Networks[name].MTU {
					r.Fatalf("%s carries %s, whose packets are larger: %+v", i.Name, name, i)
				}
			}
		}
		if gateways != 1 {
			r.Fatalf("%d gateways", gateways)
		}
	})
	if decided < 10 {
		t.Errorf("only %d plans were wired: the draw is too wild to show anything", decided)
	}
}

func drawWiring(r *rapid.T) (*site.Settings, *site.Node) {
	s, n := hyperconverged()
	nics := []string{"nic1", "nic2", "p1", "p2", "p3"}
	names := []string{"bond0", "bond1", "bond2"}
	role := s.Roles["hci"]
	role.NICs["p3"] = site.NIC{Name: "ens3"}
	role.Bonds, role.Networks = map[string]site.Bond{}, map[string]string{}
	free := rapid.Permutation(nics).Draw(r, "nics")
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(r, "bonds") {
		k := min(rapid.IntRange(1, 2).Draw(r, "members"), len(free))
		role.Bonds[name] = site.Bond{NICs: free[:k], Mode: rapid.SampledFrom([]string{"", "802.3ad", "balance-xor"}).Draw(r, "mode"), MTU: rapid.SampledFrom([]int{0, 0, 9000}).Draw(r, "bond mtu")}
		free = free[k:]
		if rapid.IntRange(0, 9).Draw(r, "again") == 0 {
			free = append(free, nics[0])
		}
	}
	devices := slices.Clone(free)
	for name := range role.Bonds {
		devices = append(devices, name)
	}
	slices.Sort(devices)
	for name, v := range s.Networks {
		v.VLAN = rapid.SampledFrom([]int{0, v.VLAN, v.VLAN, 7}).Draw(r, "vlan of "+name)
		v.MTU = rapid.SampledFrom([]int{0, 1500, 8900, 9000}).Draw(r, "mtu of "+name)
		s.Networks[name] = v
		if len(devices) > 0 && rapid.Bool().Draw(r, "use "+name) {
			role.Networks[name] = rapid.SampledFrom(devices).Draw(r, "device of "+name)
		}
		if rapid.IntRange(0, 3).Draw(r, "bare "+name) == 0 {
			delete(n.Addresses, name)
		}
	}
	if len(role.Networks) == 0 {
		role.Networks["provision"] = "nic1"
	}
	s.Roles["hci"] = role
	return s, n
}
