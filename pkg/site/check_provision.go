package site

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

func (c *checker) checkProvision() {
	v := c.plan.Provision
	switch v.DHCP {
	case DHCPServer, DHCPProxy, DHCPOff:
	case "":
		c.warn("dhcp-mode-missing", "provision", "add dhcp: server, proxy or off under provision", "the plan does not say how to speak DHCP")
	default:
		c.fail("dhcp-mode-unknown", "provision.dhcp", "use server, proxy or off", "%q is not a DHCP mode", v.DHCP)
	}
	c.checkLocalBoot("provision.local_boot", v.LocalBoot)
	c.checkLeaseTime(v.LeaseTime)
	n, ok := c.plan.ProvisionNetwork()
	switch {
	case ok && !n.Subnet.Addr().Is4() && n.Subnet.IsValid():
		c.fail("provision-not-ipv4", c.provisionPath()+".subnet", "give the provisioning network an IPv4 subnet", "the provisioning network has subnet %s: network boot here is IPv4", n.Subnet)
	case !ok && v.Network != "":
		c.fail("provision-network-unknown", "provision.network", c.networkFix(), "provision.network names %q, which is not under networks", v.Network)
	case !ok && v.DHCP != DHCPOff:
		c.fail("provision-network-missing", "provision", "add network: NAME under provision", "the plan does not say on which network to provision")
	}
	c.checkPool("provision.pool", v.Pool, n)
	for _, name := range c.networks {
		c.checkPool("networks."+name+".bmc_pool", c.plan.Networks[name].BMCPool, c.plan.Networks[name])
	}
}

func (c *checker) checkLeaseTime(t time.Duration) {
	const path = "provision.lease_time"
	switch {
	case t < 0 || t/time.Second >= 1<<32-1:
		c.fail("lease-time-out-of-range", path, "use a time such as 12h", "a lease of %s cannot be given", t)
	case t > 0 && t < 10*time.Minute:
		c.warn("lease-time-short", path, "use an hour or more", "a lease of %s runs out while an installer is still loading", t)
	}
}

func (c *checker) checkPool(path string, r Range, n Network) {
	if r.IsZero() && !r.Last.IsValid() {
		return
	}
	if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
		c.fail("pool-malformed", path, "write it as FIRST-LAST: 10.20.255.10-10.20.255.200", "the pool %s-%s is not a run of IPv4 addresses", r.First, r.Last)
		return
	}
	if mode := c.plan.Provision.DHCP; mode == DHCPProxy || mode == DHCPOff {
		c.warn("pool-unused", path, "remove the pool, or set dhcp: server", "with dhcp: %s nobody gets an address of the pool", mode)
	}
	if !n.Subnet.IsValid() {
		return
	}
	if !n.Subnet.Contains(r.First) || !n.Subnet.Contains(r.Last) {
		c.fail("pool-outside-subnet", path, "keep the pool inside the subnet", "the pool %s-%s is not inside %s", r.First, r.Last, n.Subnet)
		return
	}
	for _, a := range []netip.Addr{r.First, r.Last} {
		if kind := specialAddress(n.Subnet, a); kind != "" {
			c.fail("pool-holds-"+kind, path, "leave that address out of the pool", "the pool holds %s, the %s address of %s", a, kind, n.Subnet)
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(c.owners), netip.Addr.Compare) {
		if r.Contains(a) {
			c.fail("pool-holds-address", path, "move the pool away from fixed addresses", "the pool holds %s, %s", a, c.owners[a])
		}
	}
}

func (c *checker) checkLocalBoot(path string, b LocalBoot) {
	switch b {
	case LocalAuto, LocalFirmware, LocalExit, LocalSanboot:
	default:
		c.fail("local-boot-unknown", path, "use firmware, exit or sanboot", "%q is not a way to boot the local disk", b)
	}
}
