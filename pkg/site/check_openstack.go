package site

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (c *checker) checkOpenStack() {
	o := c.plan.OpenStack
	switch o.Deployer {
	case "", "kolla":
	default:
		c.fail("deployer-unknown", "openstack.deployer", "use kolla, or leave it out", "%q is not a deployer that Rackseed writes for", o.Deployer)
	}
	c.checkVIP("openstack.internal_vip", "the internal VIP", o.InternalVIP, NetManagement)
	c.checkVIP("openstack.external_vip", "the external VIP", o.ExternalVIP, NetExternal, NetBusiness, NetManagement)
	if o.VirtualRouterID < 0 || o.VirtualRouterID > 255 {
		c.fail("virtual-router-id-out-of-range", "openstack.virtual_router_id", "use 1 to 255, and one that nobody else on the management network has", "VRRP has no router %d", o.VirtualRouterID)
	}
	if o.Registry != "" {
		c.checkRegistry(o.Registry)
	}
	if o.Deployer != "kolla" {
		return
	}
	if !o.InternalVIP.IsValid() {
		c.warn("vip-missing", "openstack", "add internal_vip: a free address of the management network", "the plan has no internal VIP, which kolla-ansible needs")
	}
	switch {
	case o.Release == "":
		c.warn("openstack-release-missing", "openstack", "add release: "+KollaReleases()[len(KollaReleases())-1], "the plan names no OpenStack release: nothing says which systems it accepts")
	case KollaSystems(o.Release) == nil:
		c.warn("openstack-release-unknown", "openstack.release", suggestion(o.Release, KollaReleases()), "%q is not a release whose systems are known", o.Release)
	default:
		c.checkAccepted(o.Release)
	}
}

// checkVIP wants a floating address that belongs to nobody. It may be on a
// network of any of the roles.
func (c *checker) checkVIP(path, what string, a netip.Addr, roles ...NetworkRole) {
	if !a.IsValid() {
		return
	}
	within, candidates := "", []string{}
	for _, name := range c.networks {
		if !slices.ContainsFunc(roles, func(r NetworkRole) bool { return c.hasRole(name, r) }) {
			continue
		}
		candidates = append(candidates, name)
		if c.plan.Networks[name].Subnet.Contains(a) {
			within = name
		}
	}
	switch subnet := c.plan.Networks[within].Subnet; {
	case within == "" && len(candidates) == 0:
		c.fail("vip-outside-subnet", path, "add a network with roles: ["+string(roles[0])+"]", "%s %s is on no network: none has the role %s", what, a, roles[0])
	case within == "":
		c.fail("vip-outside-subnet", path, "use a free address of network "+strings.Join(candidates, " or "), "%s %s is outside network %s", what, a, strings.Join(candidates, " and "))
	case specialAddress(subnet, a) != "":
		c.fail("vip-is-"+specialAddress(subnet, a), path, "use a host address of the subnet", "%s %s is the %s address of network %s", what, a, specialAddress(subnet, a), within)
	}
	if c.plan.Provision.Pool.Contains(a) {
		c.fail("vip-in-pool", path, "move the VIP or the pool", "%s %s lies in the pool, from which others are given addresses", what, a)
	}
	if other, taken := c.owners[a]; taken && other.fixed && !strings.Contains(other.what, "VIP") {
		c.fail("address-duplicate", path, "give the VIP an address of its own", "%s %s is already %s", what, a, other)
		return
	}
	c.owners[a] = owner{what: what, fixed: true}
}

func (c *checker) checkRegistry(text string) {
	const path = "openstack.registry"
	host, port, err := net.SplitHostPort(text)
	n, err2 := strconv.Atoi(port)
	_, valid := bmcHost(host)
	switch {
	case err != nil || err2 != nil || n < 1 || n > 65535 || !valid || !onlyOf(host, ".-:"):
		c.fail("registry-malformed", path, "write HOST:PORT, as 10.22.0.5:4000", "%q is not the address of a registry", text)
	case loopback(host):
		c.fail("url-is-loopback", path, "write the address that nodes reach it at", "the registry is at %s: that is each node itself", text)
	}
}

// checkAccepted compares what nodes install with what the deployer's prechecks
// let pass.
func (c *checker) checkAccepted(release string) {
	seen := map[string]bool{}
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		image := c.plan.ImageOf(n)
		if seen[image] {
			continue
		}
		seen[image] = true
		s := c.plan.SystemOf(image)
		if ok, known := KollaAccepts(release, s.Distro, s.Version); known && !ok {
			path := "roles." + n.Role + ".image"
			if n.Image != "" {
				path = n.path() + ".image"
			}
			c.fail("system-not-accepted", path, "use one of: "+strings.Join(KollaSystems(release), ", ")+"; or take deployer out, and skip its prechecks at your own risk",
				"kolla-ansible %s does not accept %s", release, strings.TrimSpace(fmt.Sprint(s.Distro, " ", s.Version)))
		}
	}
}
