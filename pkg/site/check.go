package site

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Severity says what a finding does to a plan.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"   // the plan is not applied
	SeverityWarning Severity = "warning" // the plan is applied; somebody should look
)

// Finding is one thing that is wrong with a plan.
type Finding struct {
	ID       string   `json:"id"` // stable, such as address-outside-subnet
	Severity Severity `json:"severity"`
	Path     string   `json:"path,omitempty"` // into the plan file: nodes[3].addresses.provision
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"`
}

// HasErrors reports whether a finding stops the plan.
func HasErrors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == SeverityError })
}

// Check finds what is wrong with the plan as a whole; it takes time linear in
// the number of nodes. The same mistake of many nodes of one range entry is
// one finding. What a profile asks for is the profile's to check.
func (p *Plan) Check() []Finding {
	c := &checker{
		plan:     p,
		networks: slices.Sorted(maps.Keys(p.Networks)),
		reported: map[reportKey]int{},
		owners:   make(map[netip.Addr]owner, 3*len(p.Nodes)),
	}
	c.checkSite()
	c.checkAccess()
	c.checkNetworks()
	c.checkProvision()
	c.checkImages()
	c.checkRoles()
	c.checkBMC("bmc", p.BMC)
	c.checkNodes()
	return c.finish()
}

type reportKey struct{ id, path string }

type checker struct {
	plan     *Plan
	networks []string // names in order, so that findings come in the same order every time
	findings []Finding
	repeats  []int // of findings, by index
	reported map[reportKey]int
	owners   map[netip.Addr]owner
}

// owner is who has an address; node is nil for servers and gateways.
type owner struct {
	node *Node
	what string
}

func (o owner) String() string {
	if o.node == nil {
		return o.what
	}
	return fmt.Sprintf("%s of %s", o.what, o.node.Name)
}

func (c *checker) fail(id, path, fix, format string, args ...any) {
	c.report(SeverityError, id, path, fix, format, args...)
}

func (c *checker) warn(id, path, fix, format string, args ...any) {
	c.report(SeverityWarning, id, path, fix, format, args...)
}

func (c *checker) report(severity Severity, id, path, fix, format string, args ...any) {
	key := reportKey{id, path}
	if i, ok := c.reported[key]; ok {
		c.repeats[i]++
		return
	}
	c.reported[key] = len(c.findings)
	c.findings = append(c.findings, Finding{ID: id, Severity: severity, Path: path, Message: fmt.Sprintf(format, args...), Fix: fix})
	c.repeats = append(c.repeats, 0)
}

func (c *checker) finish() []Finding {
	for i, n := range c.repeats {
		if n > 0 {
			c.findings[i].Message += fmt.Sprintf(" (and %d more like it)", n)
		}
	}
	return c.findings
}

func (c *checker) checkSite() {
	p := c.plan
	if p.Site == "" {
		c.warn("site-name-missing", "site", "give the site a name: site: guangzhou-a", "the plan does not name its site")
	} else if !printable(p.Site) {
		c.fail("site-name-malformed", "site", "use letters, digits and hyphens", "the site name %q does not print", p.Site)
	}
	if p.Domain != "" && !validDomain(p.Domain) {
		c.fail("domain-malformed", "domain", "use lower-case labels joined by dots: gz.example.net", "%q is not a domain name", p.Domain)
	}
	for _, v := range []struct{ key, value, example string }{
		{"timezone", p.Locale.Timezone, "Asia/Shanghai"},
		{"language", p.Locale.Language, "zh_CN.UTF-8"},
		{"keyboard", p.Locale.Keyboard, "us"},
	} {
		if !onlyOf(v.value, "_+-./@,()") {
			c.fail("locale-malformed", "locale."+v.key, "write it like "+v.example, "the %s %q has a character that no %s has", v.key, v.value, v.key)
		}
	}
	if len(p.Nodes) == 0 {
		c.warn("no-nodes", "nodes", "add the machines under nodes", "the plan names no machine")
	}
}

func (c *checker) checkAccess() {
	a := c.plan.Access
	if !ValidRoot(a.Root) {
		c.fail("root-not-hashed", "access.root", "write locked, or the output of `openssl passwd -6`", "access.root is neither locked nor a crypt hash")
	}
	if len(a.SSHKeys) == 0 && (a.Root == "" || a.Root.Reveal() == RootLocked) {
		c.warn("no-login", "access", "add a public key under access.ssh_keys", "no SSH key is planned and root is locked: nobody can log in to an installed node")
	}
	for i, key := range a.SSHKeys {
		path := fmt.Sprintf("access.ssh_keys[%d]", i)
		if !printable(key) {
			c.fail("ssh-key-malformed", path, "give one key per list item, on one line", "SSH key %d has a line break or another control character", i+1)
		} else if err := checkSSHKey(key); err != nil {
			c.warn("ssh-key-unparsable", path, "paste the whole line of the .pub file", "SSH key %d: %v", i+1, err)
		}
	}
}

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
		switch other := vlans[n.VLAN]; {
		case n.VLAN < 0 || n.VLAN > 4094:
			c.fail("vlan-out-of-range", path+".vlan", "use 1 to 4094, or leave vlan out for untagged", "network %s has VLAN %d", name, n.VLAN)
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
		c.owners[n.Gateway] = owner{what: "the gateway of network " + name}
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
	c.checkPool(n)
}

func (c *checker) networkFix() string {
	if len(c.networks) == 0 {
		return "add the network under networks"
	}
	return "use one of: " + strings.Join(c.networks, ", ")
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

func (c *checker) checkPool(n Network) {
	const path = "provision.pool"
	r := c.plan.Provision.Pool
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

func (c *checker) checkImages() {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Images)) {
		m, path := c.plan.Images[name], "images."+name
		if !onlyOf(name, "._-") || name == "" {
			c.fail("image-name-malformed", path, "use letters, digits, dots, hyphens", "%q is not usable as the name of an image", name)
		}
		if m.File == "" {
			c.fail("image-file-missing", path, "add file: NAME.iso", "image %s names no file", name)
		} else if !printable(m.File) {
			c.fail("image-file-malformed", path+".file", "give the name of the ISO file", "the file name of image %s does not print", name)
		}
		if m.SHA256 != "" && !lowerHex(m.SHA256, 64) {
			c.fail("image-sha256-malformed", path+".sha256", "paste the output of sha256sum: 64 lower-case hex digits", "the sha256 of image %s is not a SHA-256 digest", name)
		}
	}
}

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

func (c *checker) checkLocalBoot(path string, b LocalBoot) {
	switch b {
	case LocalAuto, LocalFirmware, LocalExit, LocalSanboot:
	default:
		c.fail("local-boot-unknown", path, "use firmware, exit or sanboot", "%q is not a way to boot the local disk", b)
	}
}
