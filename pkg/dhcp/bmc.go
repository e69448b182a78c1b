package dhcp

import (
	"net/netip"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// bmcNetwork finds the network whose BMCs the plan has us give addresses to,
// if the client sits on one and not on the provisioning network.
func (d *decision) bmcNetwork(mode site.DHCPMode) (name string, ok bool) {
	at := d.cfg.ServerID
	switch {
	case mode != site.DHCPServer || d.req.BootServer:
		return "", false
	case d.req.LinkAddr.IsValid():
		at = d.req.LinkAddr
	case d.req.GIAddr.IsValid():
		at = d.req.GIAddr
	}
	provision, _ := d.s.Settings.ProvisionNetwork()
	if provision.Subnet.Contains(at) {
		return "", false
	}
	for name, n := range d.s.Settings.Networks {
		if !n.BMCPool.IsZero() && n.Subnet.Contains(at) {
			return name, true
		}
	}
	return "", false
}

// controller reports whether the client is a BMC that may have an address of
// the network's pool for BMCs: machines and whatever else is there get none.
func (d *decision) controller(network string) bool {
	d.net = d.s.Settings.Networks[network]
	d.pool, d.bmcs = d.net.BMCPool, true
	if d.req.NetBoot() {
		return d.silent("it asks for a boot file, and network " + network + " is for BMCs")
	}
	class := string(d.req.Class)
	c, ok := site.RecogniseBMC(class, string(d.req.Hostname), d.req.MAC)
	m, planned := d.s.MachineOfBMC(d.req.MAC, c)
	if planned {
		d.own, _ = netip.ParseAddr(d.s.BMCOf(m).Address)
	}
	// BusyBox is the client of most BMC firmware; here it is at home.
	if !ok && !planned && !strings.HasPrefix(class, "udhcp") {
		return d.silent("it does not look like a BMC, and network " + network + " is for BMCs: give its MAC to a node with bmc: {mac: MAC}")
	}
	return true
}
