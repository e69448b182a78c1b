package profile

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestAfterTheLaptopLeft: what a node uses in its life is at the site, not on
// the provisioning network.
func TestAfterTheLaptopLeft(t *testing.T) {
	addr := netip.MustParseAddr
	s := &site.Settings{
		Domain: "example.net", Provision: site.Provision{Network: "pxe"},
		Networks: map[string]site.Network{
			"pxe":  {DNS: []netip.Addr{addr("10.0.0.1")}, NTP: []netip.Addr{addr("10.0.0.2")}},
			"mgmt": {Roles: []site.NetworkRole{site.NetManagement}, NTP: []netip.Addr{addr("10.1.0.2")}},
		},
		Images: map[string]site.Medium{"rocky9": {Mirror: "http://mirror/rocky9"}, "debian13": {}},
		Repositories: map[string]site.Repository{
			"epel": {URL: "http://mirror/epel", Key: "http://mirror/epel.key", Images: []string{"rocky9"}},
			"ceph": {URL: "http://mirror/ceph", Suite: "trixie main", Images: []string{"debian13"}},
			"own":  {URL: "http://mirror/own"},
		},
		OpenStack: site.OpenStack{InternalVIP: addr("10.1.0.10"), ExternalVIP: addr("10.2.0.10")},
		Roles:     map[string]site.Role{"a": {Profile: "p", Image: "rocky9"}},
	}
	nodes := []site.Node{
		{Name: "n2", Role: "a", Addresses: map[string]netip.Addr{"pxe": addr("10.0.0.12"), "mgmt": addr("10.1.0.12")}},
		{Name: "n1", Role: "a", Addresses: map[string]netip.Addr{"pxe": addr("10.0.0.11")}},
		{Name: "n3", Role: "a", Image: "debian13"},
	}
	r := NewResolver(folder("name: p\n"), s, NodesOf(nodes))
	got := settled(t)(r.Resolve(&nodes[0]))
	want := &Intent{
		DNS: []netip.Addr{addr("10.0.0.1")}, NTP: []netip.Addr{addr("10.1.0.2")},
		Hosts: []Host{
			{addr("10.0.0.11"), []string{"n1.example.net", "n1"}}, {addr("10.1.0.12"), []string{"n2.example.net", "n2"}},
			{addr("10.1.0.10"), []string{"internal.example.net", "internal"}}, {addr("10.2.0.10"), []string{"external.example.net", "external"}},
		},
		Repositories: []Repository{
			{Name: "rocky9", URL: "http://mirror/rocky9", Mirror: true}, {Name: "epel", URL: "http://mirror/epel", Key: "http://mirror/epel.key"}, {Name: "own", URL: "http://mirror/own"},
		},
	}
	have := &Intent{DNS: got.DNS, NTP: got.NTP, Hosts: got.Hosts, Repositories: got.Repositories}
	if diff := cmp.Diff(want, have, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	debian := settled(t)(r.Resolve(&nodes[2]))
	if diff := cmp.Diff([]Repository{{Name: "ceph", URL: "http://mirror/ceph", Suite: "trixie main"}, {Name: "own", URL: "http://mirror/own"}}, debian.Repositories); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
