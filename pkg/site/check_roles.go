package site

import (
	"cmp"
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
		c.checkRoleNetworks(path+".networks", name, r)
	}
}

func (c *checker) checkRoleNetworks(path, role string, r Role) {
	untagged := map[string]Network{}
	for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
		device := r.Networks[network]
		if !validInterface(device) {
			c.fail("interface-name-malformed", path+"."+network, "use a name of 1 to 15 characters such as bond0 or ens1f0", "%q, for network %s of role %s, is not an interface name", device, network, role)
		}
		n, ok := c.plan.Networks[network]
		if !ok {
			c.fail("role-network-unknown", path+"."+network, c.networkFix(), "role %s uses network %q, which is not under networks", role, network)
		} else if n.VLAN == 0 {
			untagged[device] = n
		}
	}
	for _, network := range slices.Sorted(maps.Keys(r.Networks)) {
		n, ok := c.plan.Networks[network]
		base, found := untagged[r.Networks[network]]
		if ok && found && n.VLAN > 0 && mtuOf(n) > mtuOf(base) {
			c.fail("mtu-order", "networks."+network+".mtu", "raise the MTU of the untagged network, or lower this one",
				"network %s has MTU %d but is a VLAN on %s, which has MTU %d in role %s", network, mtuOf(n), r.Networks[network], mtuOf(base), role)
		}
	}
}

func mtuOf(n Network) int { return cmp.Or(n.MTU, 1500) }

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
