package site

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *checker) checkRoles() {
	used := map[string]bool{}
	for i := range c.plan.Nodes {
		used[c.plan.Nodes[i].Role] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.plan.Roles)) {
		r, path := c.plan.Roles[name], "roles."+name
		if !validLabel(name) {
			c.fail("role-name-malformed", path, "use lower-case letters, digits and hyphens", "%q is not usable as the name of a role", name)
		}
		if r.Profile == "" {
			c.fail("role-without-profile", path, "add profile: base", "role %s has no profile: nothing says what its nodes become", name)
		}
		if !used[name] {
			c.warn("role-without-nodes", path, "give the role to a node, or remove it", "no node has role %s", name)
		}
		c.checkImageName(path+".image", r.Image)
		c.checkNICs(path+".nics", r.NICs, "role "+name)
		c.checkBonds(path+".bonds", name, r)
		c.checkRoleNetworks(path+".networks", name, r)
		c.checkDisks(path+".disks", "role "+name, r.Disks)
		c.checkHardware(path+".hardware", "role "+name, r.Hardware)
	}
	c.checkUntaggedMTU()
}

func (c *checker) checkRoleNetworks(path, role string, r Role) {
	for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
		device := r.Networks[network]
		c.checkDeviceName(path+"."+network, device, "for network "+network+" of role "+role)
		n, ok := c.plan.Networks[network]
		if !ok {
			c.fail("role-network-unknown", path+"."+network, c.networkFix(), "role %s uses network %q, which is not under networks", role, network)
			continue
		}
		if c.onlyIPMI(network) {
			c.fail("host-in-bmc-network", path+"."+network, "leave it to the BMC, or give the network another role as well", "role %s puts its hosts on network %s, which is for BMCs", role, network)
		}
		if tagged := fmt.Sprintf("%s.%d", device, n.VLAN); validInterface(device) && !c.untagged(network) && !validInterface(tagged) {
			c.fail("interface-name-malformed", path+"."+network, "give "+device+" a shorter name", "network %s of role %s is on interface %s, and the kernel takes 15 characters", network, role, tagged)
		}
		if bond, ok := r.Bonds[device]; ok && bond.MTU > 0 && mtuOf(n) > bond.MTU {
			c.fail("mtu-order", "roles."+role+".bonds."+device+".mtu", "raise the MTU of the bond, or leave it out: it follows its networks", "bond %s of role %s has MTU %d, and network %s on it has %d", device, role, bond.MTU, network, mtuOf(n))
		}
	}
	c.checkDevices(path, role, r)
}

// checkDevices looks at networks that share a device.
func (c *checker) checkDevices(path, role string, r Role) {
	untagged := map[string]string{}
	for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
		if !c.untagged(network) {
			continue
		}
		device := r.Networks[network]
		if other, taken := untagged[device]; taken {
			c.fail("untagged-twice", path+"."+network, "give one of them a vlan, or another device", "networks %s and %s are both untagged on %s of role %s", other, network, device, role)
			continue
		}
		untagged[device] = network
	}
	for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
		base, found := untagged[r.Networks[network]]
		if !found || c.untagged(network) {
			continue
		}
		n, below := c.plan.Networks[network], c.plan.Networks[base]
		if below.MTU != 0 && mtuOf(n) > mtuOf(below) {
			c.fail("mtu-order", "networks."+network+".mtu", "raise the MTU of the untagged network, or lower this one",
				"network %s has MTU %d but is a VLAN on %s, which has MTU %d in role %s", network, mtuOf(n), r.Networks[network], mtuOf(below), role)
		}
	}
}

// untagged reports a network that has no tag on the wire of a host. The
// provisioning network never has one, because firmware knows no VLAN.
func (c *checker) untagged(network string) bool {
	n, ok := c.plan.Networks[network]
	return ok && (n.VLAN == 0 || network == c.plan.Provision.Network)
}

// checkUntaggedMTU finds an untagged network that is on a device of larger
// frames in one role and not in another: a device has the largest MTU of the
// networks on it.
func (c *checker) checkUntaggedMTU() {
	type use struct {
		mtu  int
		role string
	}
	first := map[string]use{}
	for _, role := range slices.Sorted(maps.Keys(c.plan.Roles)) {
		r := c.plan.Roles[role]
		for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
			if !c.untagged(network) {
				continue
			}
			here := use{c.deviceMTU(r, r.Networks[network]), role}
			there, seen := first[network]
			if !seen {
				first[network] = here
			} else if there.mtu != here.mtu {
				c.warn("mtu-differs", "roles."+role+".networks."+network, "give the network a device of its own, or the same MTU everywhere", "hosts on network %s have MTU %d in role %s and %d in role %s", network, there.mtu, there.role, here.mtu, role)
			}
		}
	}
}

func (c *checker) deviceMTU(r Role, device string) int {
	if mtu := r.Bonds[device].MTU; mtu > 0 {
		return mtu
	}
	largest := 0
	for network, on := range r.Networks {
		if on == device {
			largest = max(largest, mtuOf(c.plan.Networks[network]))
		}
	}
	return largest
}

func mtuOf(n Network) int { return cmp.Or(n.MTU, 1500) }

// checkDefaultRoute expects exactly one way out of a node whose final network
// is planned: the network that says so, else management, else provision.
func (c *checker) checkDefaultRoute(n *Node, r Role) {
	if len(r.Networks) == 0 || len(c.plan.Networks) == 0 {
		return
	}
	path := "roles." + n.Role + ".networks"
	asked, management := 0, 0
	out := func(network string) {
		v := c.plan.Networks[network]
		_, addressed := n.Addresses[network]
		addressed = addressed || network == c.plan.Provision.Network
		switch {
		case v.DefaultRoute != nil && *v.DefaultRoute:
			asked++
		case v.DefaultRoute == nil && v.Gateway.IsValid() && addressed && c.hasRole(network, NetManagement):
			management++
		}
	}
	for network := range r.Networks {
		out(network)
	}
	if _, mapped := r.Networks[c.plan.Provision.Network]; !mapped {
		out(c.plan.Provision.Network)
	}
	provision, _ := c.plan.ProvisionNetwork()
	provides := provision.Gateway.IsValid() && provision.DefaultRoute == nil
	const fix = "set default_route: true on one network"
	switch {
	case asked > 1 || asked == 0 && management > 1:
		c.fail("default-route-ambiguous", path, fix, "%s has %d default routes", n.Name, max(asked, management))
	case asked+management == 0 && !provides:
		c.fail("default-route-missing", path, "give the management or the provisioning network a gateway, or another network a gateway and default_route: true", "%s has no default route", n.Name)
	}
}

func (c *checker) hasRole(network string, role NetworkRole) bool {
	return slices.Contains(c.plan.RolesOf(network), role)
}

func (c *checker) onlyIPMI(network string) bool {
	roles := c.plan.RolesOf(network)
	return len(roles) == 1 && roles[0] == NetIPMI
}

func (c *checker) checkImageName(path, image string) {
	if image == "" {
		return
	}
	if _, ok := c.plan.Images[image]; !ok {
		fix := "add it under images"
		if len(c.plan.Images) > 0 {
			fix = "use one of: " + strings.Join(slices.Sorted(maps.Keys(c.plan.Images)), ", ")
		}
		c.fail("image-unknown", path, fix, "image %q is not under images", image)
	}
}
