package site

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func (c *checker) checkNetworks() {
	vlans := map[int]string{}
	var dns, ntp bool
	for _, name := range c.networks {
		n, path := c.plan.Networks[name], "networks."+name
		dns, ntp = dns || len(n.DNS) > 0, ntp || len(n.NTP) > 0
		if !validLabel(name) {
			c.fail("network-name-malformed", path, "use lower-case letters, digits and hyphens", "%q is not usable as the name of a network", name)
		}
		c.checkSubnet(path, name, n)
		c.checkPurpose(path, name, n)
		c.checkRoutes(path, name, n)
		switch other := vlans[n.VLAN]; {
		case n.VLAN < 0 || n.VLAN > 4094:
			c.fail("vlan-out-of-range", path+".vlan", "use 1 to 4094, or leave vlan out for untagged", "network %s has VLAN %d", name, n.VLAN)
		case n.VLAN > 0 && other != "" && (name == c.plan.Provision.Network || other == c.plan.Provision.Network):
			c.fail("vlan-native-tagged", path+".vlan", "give each network a VLAN of its own", "networks %s and %s both have VLAN %d, which the switch leaves untagged for provisioning and cannot tag as well", other, name, n.VLAN)
		case n.VLAN > 0 && other != "":
			c.fail("vlan-duplicate", path+".vlan", "give each network a VLAN of its own", "networks %s and %s both have VLAN %d", other, name, n.VLAN)
		default:
			vlans[n.VLAN] = name
		}
		if n.MTU != 0 && (n.MTU < 576 || n.MTU > 9216) {
			c.fail("mtu-out-of-range", path+".mtu", "use 1500, or 9000 where every switch port carries jumbo frames", "network %s has MTU %d", name, n.MTU)
		}
	}
	c.checkOverlaps()
	if len(c.networks) == 0 {
		return
	}
	if !dns {
		c.warn("dns-missing", c.provisionPath()+".dns", "add dns: [ADDRESS] to the provisioning network", "no network has a DNS server")
	}
	if !ntp {
		c.warn("ntp-missing", c.provisionPath()+".ntp", "add ntp: [ADDRESS] to the provisioning network", "no network has an NTP server: clocks will drift apart, and clusters with them")
	}
}

func (c *checker) checkSubnet(path, name string, n Network) {
	if !n.Subnet.IsValid() {
		c.fail("subnet-missing", path, "add subnet: 10.20.0.0/16", "network %s has no subnet", name)
		return
	}
	if n.Subnet != n.Subnet.Masked() {
		c.fail("subnet-host-bits", path+".subnet", fmt.Sprintf("write %s", n.Subnet.Masked()), "%s is an address in a subnet, not a subnet", n.Subnet)
	}
	if n.Gateway.IsValid() {
		if !n.Subnet.Contains(n.Gateway) {
			c.fail("gateway-outside-subnet", path+".gateway", "correct the gateway or the subnet", "gateway %s of network %s is outside %s", n.Gateway, name, n.Subnet)
		} else if kind := specialAddress(n.Subnet, n.Gateway); kind != "" {
			c.fail("gateway-is-"+kind, path+".gateway", "use a host address of the subnet", "gateway %s of network %s is its %s address", n.Gateway, name, kind)
		}
		c.owners[n.Gateway] = owner{what: "the gateway of network " + name, fixed: true}
	}
	for _, servers := range []struct {
		kind  string
		addrs []netip.Addr
	}{{"DNS", n.DNS}, {"NTP", n.NTP}} {
		for _, a := range servers.addrs {
			if _, taken := c.owners[a]; !taken {
				c.owners[a] = owner{what: fmt.Sprintf("the %s server of network %s", servers.kind, name)}
			}
		}
	}
}

// checkOverlaps compares each subnet with the one that starts before it and
// reaches furthest, so that every overlapping network is named once.
func (c *checker) checkOverlaps() {
	var names []string
	for _, n := range c.networks {
		if c.plan.Networks[n].Subnet.IsValid() {
			names = append(names, n)
		}
	}
	subnet := func(name string) netip.Prefix { return c.plan.Networks[name].Subnet.Masked() }
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Or(subnet(a).Addr().Compare(subnet(b).Addr()), cmp.Compare(subnet(a).Bits(), subnet(b).Bits()))
	})
	for i := 1; i < len(names); i++ {
		wide, name := names[i-1], names[i]
		if !subnet(wide).Overlaps(subnet(name)) {
			continue
		}
		const fix = "give each network a subnet of its own"
		path := "networks." + name + ".subnet"
		if c.onOneNode(wide, name) {
			c.fail("subnets-overlap", path, fix, "%s of network %s overlaps %s of network %s, and a node is on both", subnet(name), name, subnet(wide), wide)
		} else {
			c.warn("subnets-overlap", path, fix, "%s of network %s overlaps %s of network %s", subnet(name), name, subnet(wide), wide)
		}
		names[i] = wide
		if subnet(name).Bits() < subnet(wide).Bits() {
			names[i] = name
		}
	}
}

func (c *checker) onOneNode(a, b string) bool {
	on := func(n *Node, network string) bool {
		_, address := n.Addresses[network]
		_, role := c.plan.Roles[n.Role].Networks[network]
		return address || role
	}
	for i := range c.plan.Nodes {
		if n := &c.plan.Nodes[i]; on(n, a) && on(n, b) {
			return true
		}
	}
	return false
}

func (c *checker) provisionPath() string {
	if _, ok := c.plan.ProvisionNetwork(); ok {
		return "networks." + c.plan.Provision.Network
	}
	return "networks"
}

func (c *checker) networkFix() string {
	if len(c.networks) == 0 {
		return "add the network under networks"
	}
	return "use one of: " + strings.Join(c.networks, ", ")
}

func (c *checker) checkPurpose(path, name string, n Network) {
	known := NetworkRoles()
	for i, role := range n.Roles {
		if !slices.Contains(known, role) {
			words := make([]string, len(known))
			for i, k := range known {
				words[i] = string(k)
			}
			c.fail("network-role-unknown", fmt.Sprintf("%s.roles[%d]", path, i), suggestion(string(role), words), "%q, for network %s, is not a role of a network", role, name)
		}
	}
	if n.DefaultRoute != nil && *n.DefaultRoute && !n.Gateway.IsValid() {
		c.fail("default-route-without-gateway", path+".default_route", "add gateway: ADDRESS to the network", "network %s has the default route and no gateway", name)
	}
	if c.hasRole(name, NetTenant) && mtuOf(n) < 1500+geneveOverhead {
		c.warn("tenant-mtu-low", path, fmt.Sprintf("set mtu: 9000, or at least %d, where every switch port carries it", 1500+geneveOverhead),
			"network %s has MTU %d: with Geneve around them guests have %d, and images that expect 1500 lose large packets", name, mtuOf(n), mtuOf(n)-geneveOverhead)
	}
}

// geneveOverhead is what OVN puts around a guest's packet on IPv4, in bytes;
// VXLAN takes 50.
const geneveOverhead = 58

func (c *checker) checkRoutes(path, name string, n Network) {
	for i, r := range n.Routes {
		at := fmt.Sprintf("%s.routes[%d]", path, i)
		switch {
		case !r.To.IsValid() || !r.Via.IsValid() || r.To.Addr().Is4() != r.Via.Is4():
			c.fail("route-malformed", at, "write {to: 10.30.0.0/16, via: 10.22.0.1}", "route %d of network %s lacks a destination or a gateway", i+1, name)
		case r.To.Bits() == 0:
			c.fail("route-is-default", at+".to", "write gateway: "+r.Via.String()+" and default_route: true instead", "route %d of network %s leads everywhere", i+1, name)
		case r.To != r.To.Masked():
			c.fail("subnet-host-bits", at+".to", fmt.Sprintf("write %s", r.To.Masked()), "%s is an address in a subnet, not a subnet", r.To)
		case n.Subnet.IsValid() && !n.Subnet.Contains(r.Via):
			c.fail("route-via-outside-subnet", at+".via", fmt.Sprintf("use a router on %s", n.Subnet), "the gateway %s of route %d of network %s is outside %s", r.Via, i+1, name, n.Subnet)
		case n.Subnet.IsValid() && n.Subnet.Overlaps(r.To):
			c.warn("route-overlaps-subnet", at+".to", "remove the route: the network reaches its own addresses", "route %d of network %s leads to %s, which overlaps its subnet %s", i+1, name, r.To, n.Subnet)
		}
	}
}
