package site

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// identities finds what two nodes both claim to be.
type identities struct {
	names   map[string]*Node
	macs    map[MAC]*Node
	serials map[string]*Node
	uuids   map[UUID]*Node
	bmcs    map[string]*Node
	wwns    map[string]*Node
	units   map[rackUnit]*Node
}

type rackUnit struct {
	rack string
	u    int
}

func newIdentities(nodes int) identities {
	return identities{
		names: make(map[string]*Node, nodes), macs: make(map[MAC]*Node, nodes), serials: make(map[string]*Node, nodes), uuids: make(map[UUID]*Node, nodes),
		bmcs: map[string]*Node{}, wwns: make(map[string]*Node, nodes), units: make(map[rackUnit]*Node, nodes),
	}
}

func (c *checker) checkNodes() {
	ids := newIdentities(len(c.plan.Nodes))
	unaddressed := 0
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		path := n.path()
		c.checkName(path, n, ids.names)
		c.checkRole(path, n)
		c.checkIdentity(path, n, ids)
		c.checkRack(path, n, ids.units)
		c.checkLocalBoot(path+".local_boot", n.LocalBoot)
		c.checkAddresses(path, n)
		c.checkBMC(path+".bmc", n.BMC)
		c.checkBMCAddress(path+".bmc.address", n, ids.bmcs)
		c.checkDisks(path+".disks", n.Name, n.Disks)
		c.checkWWNs(path+".disks", n, ids.wwns)
		c.checkHardware(path+".hardware", n.Name, n.Hardware)
		c.checkNICs(path+".nics", n.NICs, n.Name)
		c.checkPorts(path, n)
		if r, ok := c.plan.Roles[n.Role]; ok {
			c.checkWiring(n, r)
			c.checkDefaultRoute(n, r)
			c.wholeDisks(path, n)
			c.checkSystem(path, n)
		}
		if _, ok := c.plan.Address(n); !ok {
			unaddressed++
			c.checkUnaddressed(path, n)
		}
	}
	c.checkOSDHosts()
	c.checkRootHash()
	if size := c.plan.Provision.Pool.Size(); size > 0 && size < unaddressed {
		c.warn("pool-too-small", "provision.pool", "widen the pool, or give nodes an address", "the pool has %d addresses for %d nodes that have none", size, unaddressed)
	}
}

// path leads a finding about n to its entry in the plan file.
func (n *Node) path() string {
	if n.Place != "" {
		return n.Place
	}
	return "nodes." + n.Name
}

func (c *checker) checkName(path string, n *Node, names map[string]*Node) {
	at := path + ".name"
	switch {
	case n.Name == "":
		c.fail("hostname-missing", path, "add name: HOSTNAME", "a node has no name")
		return
	case n.Name == "all":
		c.fail("hostname-reserved", at, "choose another name", "a node cannot be called all: in a selector that means every node")
	case len(n.Name) > 63:
		c.fail("hostname-too-long", at, "use at most 63 characters", "the name %.20s… has %d characters", n.Name, len(n.Name))
	case !validLabel(n.Name):
		c.fail("hostname-malformed", at, hostnameFix(n.Name), "%q is not a host name (RFC 1123, lower case)", n.Name)
	case c.plan.Domain != "" && len(n.Name)+1+len(c.plan.Domain) > 64:
		c.fail("fqdn-too-long", at, "shorten the name or the domain", "%s.%s has more than the 64 characters that Linux allows", n.Name, c.plan.Domain)
	}
	if other, taken := names[n.Name]; taken {
		c.fail("hostname-duplicate", at, "give each node a name of its own", "two nodes are called %s: %s and %s", n.Name, other.path(), path)
		return
	}
	names[n.Name] = n
}

func hostnameFix(name string) string {
	if strings.Contains(name, ".") {
		return "leave the domain out of the name: it is the plan's domain"
	}
	if fixed := strings.ReplaceAll(strings.ToLower(name), "_", "-"); validLabel(fixed) {
		return "write " + fixed
	}
	return "use lower-case letters, digits and hyphens"
}

func (c *checker) checkRole(path string, n *Node) {
	c.checkImageName(path+".image", n.Image)
	if n.Role == "" {
		c.fail("role-missing", path, "add role: NAME", "%s has no role", n.Name)
		return
	}
	if _, ok := c.plan.Roles[n.Role]; !ok {
		fix := "add it under roles"
		if len(c.plan.Roles) > 0 {
			fix = "use one of: " + strings.Join(slices.Sorted(maps.Keys(c.plan.Roles)), ", ")
		}
		c.fail("role-unknown", path+".role", fix, "%s has role %q, which is not under roles", n.Name, n.Role)
		return
	}
	if c.plan.ImageOf(n) == "" {
		c.warn("node-without-image", "roles."+n.Role, "add image: NAME to the node or to role "+n.Role, "%s has no image: it cannot be installed", n.Name)
	}
}

func (c *checker) checkIdentity(path string, n *Node, ids identities) {
	if len(n.MACs) == 0 && n.Serial == "" && n.UUID.IsZero() {
		c.warn("node-without-identity", path, "add mac, serial or uuid; or adopt it when it is seen on the wire", "nothing tells which machine is %s", n.Name)
	}
	for _, m := range n.MACs {
		if other, taken := ids.macs[m]; taken && other == n {
			c.fail("mac-duplicate", path+".mac", "remove one of them", "%s has MAC %s twice", n.Name, m)
		} else if taken {
			c.fail("mac-duplicate", path+".mac", "read the label of both machines again", "%s and %s both have MAC %s", other.Name, n.Name, m)
		}
		ids.macs[m] = n
	}
	c.checkBMCMAC(path+".bmc.mac", n, ids.macs)
	c.checkSerial(path+".serial", n, ids.serials)
	if n.UUID.IsZero() {
		return
	}
	if n.UUID.Junk() {
		c.fail("uuid-junk", path+".uuid", "identify the node by mac or serial", "the UUID of %s is a placeholder that many boards share", n.Name)
	} else if other, taken := ids.uuids[n.UUID]; taken {
		c.fail("uuid-duplicate", path+".uuid", "read the UUID of both machines again", "%s and %s both have UUID %s", other.Name, n.Name, n.UUID)
	}
	ids.uuids[n.UUID] = n
}

// checkBMCMAC finds a BMC that shares its MAC with a NIC or another BMC: one
// of the two was copied from the wrong line of a label.
func (c *checker) checkBMCMAC(path string, n *Node, macs map[MAC]*Node) {
	m := n.BMC.MAC
	if m == (MAC{}) {
		return
	}
	if other, taken := macs[m]; taken && other == n {
		c.fail("mac-duplicate", path, "read the label again: a BMC has a MAC of its own, also on a port that it shares", "the BMC of %s has MAC %s, as one of its NICs has", n.Name, m)
	} else if taken {
		c.fail("mac-duplicate", path, "read the label of both machines again", "the BMC of %s has MAC %s, which %s has already", n.Name, m, other.Name)
	}
	macs[m] = n
}

func (c *checker) checkSerial(path string, n *Node, serials map[string]*Node) {
	if n.Serial == "" {
		return
	}
	key := strings.ToUpper(strings.TrimSpace(n.Serial))
	switch {
	case !printable(n.Serial) || len(n.Serial) > 64:
		c.fail("serial-malformed", path, "copy it from the label", "the serial number of %s does not print or is too long", n.Name)
	case JunkSerial(n.Serial):
		c.fail("serial-junk", path, "identify the node by mac or uuid", "%q of %s is a placeholder that many boards share, not a serial number", n.Serial, n.Name)
	case roundedBySpreadsheet(n.Serial):
		c.fail("serial-rounded", path, "format the column of the sheet as text and copy the serial again", "a spreadsheet has rounded the serial number of %s to %s", n.Name, n.Serial)
	case serials[key] != nil:
		c.fail("serial-duplicate", path, "read the label of both machines again", "%s and %s both have serial number %s", serials[key].Name, n.Name, n.Serial)
	}
	serials[key] = n
}

func (c *checker) checkRack(path string, n *Node, units map[rackUnit]*Node) {
	if !printable(n.Rack) {
		c.fail("rack-malformed", path+".rack", "use the name on the rack's label", "the rack of %s does not print", n.Name)
	}
	if n.U == 0 {
		return
	}
	if n.U < 0 || n.U > 60 {
		c.fail("rack-unit-out-of-range", path+".u", "count from 1 at the bottom", "%s is at unit %d", n.Name, n.U)
	}
	if n.Rack == "" {
		return
	}
	at := rackUnit{n.Rack, n.U}
	if other, taken := units[at]; taken {
		c.warn("rack-unit-taken", path+".u", "correct rack or u of one of them", "%s and %s are both in rack %s at unit %d", other.Name, n.Name, n.Rack, n.U)
	}
	units[at] = n
}

func (c *checker) checkAddresses(path string, n *Node) {
	known := 0
	for _, network := range c.networks {
		if a, ok := n.Addresses[network]; ok {
			known++
			c.checkAddress(path, n, network, a)
		}
	}
	if known == len(n.Addresses) {
		return
	}
	for _, network := range slices.Sorted(maps.Keys(n.Addresses)) {
		if _, ok := c.plan.Networks[network]; !ok {
			c.fail("address-network-unknown", path+".addresses."+network, c.networkFix(), "%s has an address on network %q, which is not under networks", n.Name, network)
		}
	}
}

func (c *checker) checkAddress(path string, n *Node, network string, a netip.Addr) {
	subnet := c.plan.Networks[network].Subnet
	at := path + ".addresses." + network
	if subnet.IsValid() && !subnet.Contains(a) {
		c.fail("address-outside-subnet", at, fmt.Sprintf("use an address of %s", subnet), "%s of %s is outside %s of network %s", a, n.Name, subnet, network)
	} else if kind := specialAddress(subnet, a); kind != "" {
		c.fail("address-is-"+kind, at, "use a host address of the subnet", "%s of %s is the %s address of network %s", a, n.Name, kind, network)
	}
	c.claim(at, n, a, network+" address")
	if c.onlyIPMI(network) {
		c.fail("host-in-bmc-network", at, "write it as bmc: {address: ADDRESS}", "%s has a host address on network %s, which is for BMCs", n.Name, network)
		return
	}
	if r := c.plan.Roles[n.Role]; len(r.Networks) > 0 && r.Networks[network] == "" && network != c.plan.Provision.Network {
		c.warn("address-without-interface", at, "add "+network+": DEVICE to networks of role "+n.Role, "%s has an address on network %s, and its role puts that network on no device", n.Name, network)
	}
}

// checkPorts finds one MAC on two ports of a node.
func (c *checker) checkPorts(path string, n *Node) {
	if len(n.NICs) < 2 {
		return
	}
	seen := map[MAC]string{}
	for _, name := range slices.Sorted(maps.Keys(n.NICs)) {
		mac := n.NICs[name].MAC
		if other, taken := seen[mac]; taken && mac != (MAC{}) {
			c.fail("mac-duplicate", path+".nics."+name, "read the label again", "%s has MAC %s on %s and on %s", n.Name, mac, other, name)
		}
		seen[mac] = name
	}
}

// claim records who has an address, and reports a second owner.
func (c *checker) claim(path string, n *Node, a netip.Addr, what string) {
	if c.plan.Provision.Pool.Contains(a) {
		c.fail("address-in-pool", path, "move the address or the pool", "%s of %s lies in the pool, from which others are given addresses", a, n.Name)
	}
	for _, network := range c.networks {
		if c.plan.Networks[network].BMCPool.Contains(a) {
			c.fail("address-in-pool", path, "move the address or the pool", "%s of %s lies in the pool for BMCs of network %s, from which others are given addresses", a, n.Name, network)
		}
	}
	other, taken := c.owners[a]
	switch {
	case !taken:
		c.owners[a] = owner{node: n, what: what}
	case other.node == nil && !other.fixed:
		c.warn("address-is-server", path, "right only if this node is to be that server", "%s of %s is also %s", a, n.Name, other)
	default:
		c.fail("address-duplicate", path, "give each machine an address of its own", "%s of %s is already the %s", a, n.Name, strings.TrimPrefix(other.String(), "the "))
	}
}

func (c *checker) checkUnaddressed(path string, n *Node) {
	if c.plan.Provision.DHCP != DHCPServer || c.plan.Provision.Network == "" || !c.plan.Provision.Pool.IsZero() {
		return
	}
	c.warn("address-missing", path, "add addresses: {"+c.plan.Provision.Network+": ADDRESS}, or a pool under provision",
		"%s has no address on network %s and there is no pool: it cannot boot from the network", n.Name, c.plan.Provision.Network)
}

func (c *checker) checkBMC(path string, b BMC) {
	switch b.Protocol {
	case "", "auto", "redfish", "ipmi":
	default:
		c.fail("bmc-protocol-unknown", path+".protocol", "use auto, redfish or ipmi", "%q is not a BMC protocol", b.Protocol)
	}
	given := 0
	for _, v := range []string{b.Password.Env, b.Password.File, b.Password.Sealed.Reveal()} {
		if v != "" {
			given++
		}
	}
	if given > 1 {
		c.fail("secret-ambiguous", path+".password", "keep one of env, file and sealed", "the BMC password comes from %d places", given)
	}
	if s := b.Password.Sealed; s != "" && !s.Sealed() {
		c.fail("secret-not-sealed", path+".password", "use env or file, or a value that starts with sealed:", "the BMC password under sealed is not sealed")
	}
}

func (c *checker) checkBMCAddress(path string, n *Node, seen map[string]*Node) {
	if n.BMC.Address == "" {
		return
	}
	host, ok := bmcHost(n.BMC.Address)
	if !ok {
		c.fail("bmc-address-malformed", path, "write 10.21.0.11, HOST:PORT or https://HOST:PORT", "the BMC address %q of %s is none", n.BMC.Address, n.Name)
		return
	}
	a, err := netip.ParseAddr(host)
	if err == nil {
		c.checkBMCNetwork(path, n, a)
	}
	if err == nil && a.Is4() && host == n.BMC.Address {
		c.claim(path, n, a, "BMC address")
		return
	}
	if other, taken := seen[n.BMC.Address]; taken {
		c.fail("bmc-address-duplicate", path, "give each BMC an address of its own", "%s and %s both have BMC address %s", other.Name, n.Name, n.BMC.Address)
	}
	seen[n.BMC.Address] = n
}

// checkBMCNetwork keeps BMCs out of the networks of hosts.
func (c *checker) checkBMCNetwork(path string, n *Node, a netip.Addr) {
	data := ""
	for _, network := range c.networks {
		switch {
		case !c.plan.Networks[network].Subnet.Contains(a):
		case c.hasRole(network, NetIPMI):
			return
		default:
			data = network
		}
	}
	if data != "" {
		c.fail("bmc-in-data-network", path, "give it an address of the BMC network, or give network "+data+" the role ipmi as well", "the BMC of %s is at %s, on network %s of the hosts", n.Name, a, data)
	}
}

func bmcHost(address string) (string, bool) {
	host := address
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
			return "", false
		}
		host = u.Hostname()
	} else if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), true
	}
	return host, validDomain(strings.ToLower(host)) && !looksNumeric(host)
}

// looksNumeric tells 10.21.0.300 from a host name.
func looksNumeric(host string) bool { return strings.Trim(host, "0123456789.") == "" }

func (c *checker) checkWWNs(path string, n *Node, wwns map[string]*Node) {
	for i, d := range n.Disks.System {
		if d.WWN == "" {
			continue
		}
		key := strings.ToLower(d.WWN)
		if other, taken := wwns[key]; taken && other != n {
			c.warn("disk-wwn-duplicate", fmt.Sprintf("%s.system[%d]", path, i), "read the WWN of both disks again", "%s and %s both choose the disk with WWN %s", other.Name, n.Name, d.WWN)
		}
		wwns[key] = n
	}
}

// checkOSDHosts counts who holds the data.
func (c *checker) checkOSDHosts() {
	hosts, first := 0, ""
	for i := range c.plan.Nodes {
		n := &c.plan.Nodes[i]
		switch {
		case len(n.Disks.OSD) > 0:
			first = cmp.Or(first, n.path()+".disks.osd")
		case len(c.plan.Roles[n.Role].Disks.OSD) > 0:
			first = cmp.Or(first, "roles."+n.Role+".disks.osd")
		default:
			continue
		}
		hosts++
	}
	if hosts > 0 && hosts < 3 {
		c.warn("osd-hosts-few", first, "plan three hosts with OSDs or more", "%d hosts have OSDs: three copies need three", hosts)
	}
}
