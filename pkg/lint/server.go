package lint

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/rackseed/rackseed/pkg/site"
)

// checkMode compares how this daemon serves with the plan. A mode is chosen at
// the start, after a look for other DHCP servers; a plan does not change it.
func (r *run) checkMode(served site.DHCPMode) {
	planned := r.plan.Provision.DHCP
	if served == "" || planned == "" || served == planned {
		return
	}
	r.warn("dhcp-mode-served", "provision.dhcp", "start `rackseed serve` again, without --dhcp", "the plan says %s, and the daemon was started as %s: it goes on so", planned, served)
}

// checkServer compares where machines find this daemon with the plan. A
// daemon on the loopback serves simulations, which come to it anyway.
func (r *run) checkServer(server netip.Addr) {
	network, ok := r.plan.ProvisionNetwork()
	if !server.IsValid() || server.IsLoopback() || !ok || !network.Subnet.IsValid() {
		return
	}
	path := "networks." + r.plan.Provision.Network
	if !network.Subnet.Contains(server) && !network.Gateway.IsValid() {
		r.fail("server-outside-network", path, "serve from an address of the network, or give the network a gateway that leads to "+server.String(),
			"this server is at %s, outside %s, and machines have no gateway to it", server, network.Subnet)
	}
	if r.plan.Provision.Pool.Contains(server) {
		r.fail("pool-holds-address", "provision.pool", "move the pool away from fixed addresses", "the pool holds %s, this server", server)
	}
	for i := range r.plan.Nodes {
		n := &r.plan.Nodes[i]
		for _, name := range slices.Sorted(maps.Keys(n.Addresses)) {
			if n.Addresses[name] == server {
				r.fail("address-duplicate", cmp.Or(n.Place, "nodes."+n.Name)+".addresses."+name, "give each machine an address of its own", "%s of %s is already this server's", server, n.Name)
			}
		}
		if n.BMC.Address == server.String() {
			r.fail("address-duplicate", cmp.Or(n.Place, "nodes."+n.Name)+".bmc.address", "give each machine an address of its own", "%s of %s is already this server's", server, n.Name)
		}
	}
}
