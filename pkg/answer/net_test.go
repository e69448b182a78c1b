package answer

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// hyperconverged is a network with all there is: ports by MAC, PCI address
// and name, both kinds of bond, VLANs on a bond and on a port, a trunk
// without IP, and a provisioning network by DHCP.
func hyperconverged() *profile.Network {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return &profile.Network{Interfaces: []profile.Interface{
		{Name: "nic1", Kind: profile.Ethernet, NIC: site.NIC{MAC: site.MAC{0x52, 0x54, 0, 0, 0, 1}}, Master: "bond0", MTU: 1500},
		{Name: "nic2", Kind: profile.Ethernet, NIC: site.NIC{MAC: site.MAC{0x52, 0x54, 0, 0, 0, 2}}, Master: "bond0", MTU: 1500},
		{Name: "p1", Kind: profile.Ethernet, NIC: site.NIC{Path: "0000:3B:00.0"}, Master: "bond1", MTU: 9000},
		{Name: "p2", Kind: profile.Ethernet, NIC: site.NIC{Path: "0000:3B:00.1"}, Master: "bond1", MTU: 9000},
		{Name: "p3", Kind: profile.Ethernet, NIC: site.NIC{Name: "ens9f0"}, MTU: 1500, Networks: []string{"external"}},
		{Name: "bond0", Kind: profile.BondKind, MTU: 1500, DHCP: true, DNS: []netip.Addr{addr("10.20.0.1")}, Networks: []string{"provision"},
			Bond: site.Bond{NICs: []string{"nic1", "nic2"}, Mode: "active-backup", MTU: 1500, Options: map[string]string{"miimon": "100", "primary": "nic1"}}},
		{Name: "bond1", Kind: profile.BondKind, MTU: 9000,
			Bond: site.Bond{NICs: []string{"p1", "p2"}, Mode: "802.3ad", MTU: 9000, Options: map[string]string{"miimon": "100", "lacp_rate": "fast", "xmit_hash_policy": "layer3+4", "updelay": "200"}}},
		{Name: "bond0.122", Kind: profile.VLAN, Parent: "bond0", VLAN: 122, MTU: 1500, Address: prefix("10.22.1.1/16"), Gateway: addr("10.22.0.1"), DNS: []netip.Addr{addr("10.22.0.53"), addr("10.22.0.54")}, Networks: []string{"management"}},
		{Name: "bond1.123", Kind: profile.VLAN, Parent: "bond1", VLAN: 123, MTU: 9000, Address: prefix("10.23.1.1/16"), Networks: []string{"storage"},
			Routes: []site.Route{{To: prefix("10.33.0.0/16"), Via: addr("10.23.0.1")}}},
		{Name: "p3.126", Kind: profile.VLAN, Parent: "p3", VLAN: 126, MTU: 1500, Address: prefix("10.26.1.1/24"), Networks: []string{"business"}},
	}}
}

var netStyles = []netStyle{keyfileStyle, ifcfgStyle, netplanStyle, networkdStyle}

func TestNetworkGolden(t *testing.T) {
	for _, style := range netStyles {
		t.Run(string(style), func(t *testing.T) {
			files, err := networkFiles(style, "cs-hci-01", hyperconverged())
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, f := range files {
				b.WriteString("== " + f.mode + " " + f.path + "\n" + f.text)
			}
			golden(t, filepath.Join("net", string(style)), b.String())
		})
	}
}

func TestNetStyle(t *testing.T) {
	for _, tt := range []struct {
		family, version string
		want            netStyle
	}{
		{"rhel", "8.10", keyfileStyle}, {"rhel", "9.6", keyfileStyle}, {"rhel", "10.0", keyfileStyle},
		{"openeuler", "20.03-LTS-SP3", ifcfgStyle}, {"openeuler", "22.03-LTS", keyfileStyle}, {"openeuler", "24.03-LTS", keyfileStyle},
		{"kylin", "V10", ifcfgStyle}, {"kylin", "10", ifcfgStyle}, {"kylin", "V11", keyfileStyle},
		{"debian", "13.1", networkdStyle}, {"ubuntu", "24.04", netplanStyle}, {"suse", "15", ""},
	} {
		got, err := netStyleOf(site.Image{Family: tt.family, Version: tt.version})
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s %s: got %q, %v, want %q", tt.family, tt.version, got, err, tt.want)
		}
	}
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestUUIDs: NetworkManager knows profiles by their UUID, so two of one
// would be one, and another in each render would be another profile.
func TestUUIDs(t *testing.T) {
	seen := map[string]string{}
	for _, node := range []string{"a", "b", "a\x00b"} {
		for _, name := range []string{"bond0", "bond0.1", "b\x00bond0"} {
			u := (&netWriter{node: node}).uuid(name)
			if !uuidForm.MatchString(u) {
				t.Errorf("%q is not a UUID of version 8", u)
			}
			if u != (&netWriter{node: node}).uuid(name) {
				t.Error("two renders differ")
			}
			seen[u] += node + "/" + name + " "
		}
	}
	if len(seen) < 8 { // a + b NUL bond0 may equal a NUL b + bond0: no name has a NUL
		t.Errorf("%v", seen)
	}
}

// TestNoNetworkValueBreaksOut: a value of the plan stays within its line, or
// is refused. What is decided from numbers and addresses cannot break out.
func TestNoNetworkValueBreaksOut(t *testing.T) {
	set := map[string]func(*profile.Network, string){
		"port":   func(n *profile.Network, v string) { n.Interfaces[0].Name, n.Interfaces[5].Bond.NICs[0] = v, v },
		"bond":   func(n *profile.Network, v string) { n.Interfaces[5].Name = v },
		"vlan":   func(n *profile.Network, v string) { n.Interfaces[7].Name = v },
		"mode":   func(n *profile.Network, v string) { n.Interfaces[5].Bond.Mode = v },
		"option": func(n *profile.Network, v string) { n.Interfaces[5].Bond.Options["updelay"] = v },
		"path":   func(n *profile.Network, v string) { n.Interfaces[2].NIC.Path = v },
		"name":   func(n *profile.Network, v string) { n.Interfaces[4].NIC.Name = v },
	}
	shape := func(field, value string) (string, error) {
		n := hyperconverged()
		set[field](n, value)
		var all strings.Builder
		for _, style := range netStyles {
			s := newScript("test")
			target := target(t, rocky9())
			target.Intent.Network = n
			target.Image.Family = map[netStyle]string{keyfileStyle: "rhel", ifcfgStyle: "kylin", netplanStyle: "ubuntu", networkdStyle: "debian"}[style]
			target.Image.Version = "10"
			changeNetwork(s, target)
			text, err := s.text()
			if err != nil {
				return "", err
			}
			all.WriteString(shellShape(text))
		}
		return strings.ReplaceAll(all.String(), value, "V"), nil
	}
	for field := range set {
		want, err := shape(field, "valueq")
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		for _, value := range append(hostile(), "@", "x@MAC:nic1@", "a/../b", "s/x/y/") {
			if got, err := shape(field, value); err == nil && len(strings.Split(got, "\n")) != len(strings.Split(want, "\n")) {
				t.Errorf("%s %q changes the structure", field, value)
			}
		}
		rapid.Check(t, func(r *rapid.T) {
			value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{1,12}`)).Draw(r, "value")
			if got, err := shape(field, value); err == nil && value != "" && strings.Count(got, "\n") != strings.Count(want, "\n") {
				r.Fatalf("%s %q changes the structure", field, value)
			}
		})
	}
}

func TestNetplanAndNetworkdKnowEveryOption(t *testing.T) {
	// profile.bondOptions is not exported: what it lets through, by name.
	for _, name := range []string{
		"ad_select", "all_slaves_active", "arp_all_targets", "arp_interval", "arp_ip_target", "arp_validate", "downdelay", "fail_over_mac", "lacp_rate",
		"miimon", "min_links", "packets_per_slave", "primary_reselect", "resend_igmp", "updelay", "xmit_hash_policy",
	} {
		if netplanOptions[name] == "" || networkdOptions[name].key == "" {
			t.Errorf("%s has no word in netplan (%q) or networkd (%q)", name, netplanOptions[name], networkdOptions[name].key)
		}
	}
}

func TestNameServersOfTheWayOutComeFirst(t *testing.T) {
	if got, want := nameServers(hyperconverged()), []string{"10.22.0.53", "10.22.0.54", "10.20.0.1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
