// Package cabling compares what a machine sees at the end of its cables with
// what the plan says, and names the wrong one. It is pure.
package cabling

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Finding is one thing that is not as the plan has it.
type Finding struct {
	NIC    string `json:"nic"`              // its name in the plan
	Unseen bool   `json:"unseen,omitempty"` // nobody could tell; not known to be wrong
	Text   string `json:"text"`             // what, and what to do
}

func (f Finding) String() string { return f.Text }

// Planned reports whether the plan says anything of the node's cables that
// can be compared.
func Planned(s *site.Settings, n *site.Node) bool {
	for _, nic := range s.NICsOf(n) {
		if nic.Switch != "" || nic.Port != "" || nic.Speed != 0 {
			return true
		}
	}
	return false
}

// Check compares an inventory of a node with the plan in force.
func Check(s *site.State, n *site.Node, i site.Inventory) []Finding {
	c := &checker{s: s, node: n, found: i, nics: s.Settings.NICsOf(n), seen: map[string]site.InventoryNIC{}}
	names := slices.Sorted(maps.Keys(c.nics))
	for _, name := range names {
		if nic, ok := find(c.nics[name], i.NICs); ok {
			c.seen[name] = nic
		}
	}
	for _, name := range names {
		c.check(name)
	}
	c.reached()
	return c.findings
}

// Of gives the findings of the newest look at a machine from inside, and when
// that was; ok is false if nobody looked.
func Of(s *site.State, m *site.Machine) (findings []Finding, from site.Inventory, ok bool) {
	for _, source := range []site.InventorySource{site.FromDiscovery, site.FromInstaller} {
		if i, have := m.InventoryFrom(source); have && (!ok || i.At.After(from.At)) {
			from, ok = i, true
		}
	}
	if !ok {
		return nil, from, false
	}
	return Check(s, m.Node, from), from, true
}

type checker struct {
	s        *site.State
	node     *site.Node
	found    site.Inventory
	nics     map[string]site.NIC
	seen     map[string]site.InventoryNIC
	findings []Finding
}

func (c *checker) wrong(nic, format string, args ...any) {
	c.findings = append(c.findings, Finding{NIC: nic, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) unseen(nic, format string, args ...any) {
	c.findings = append(c.findings, Finding{NIC: nic, Unseen: true, Text: fmt.Sprintf(format, args...)})
}

// find finds a port of the plan among those of a machine.
func find(want site.NIC, nics []site.InventoryNIC) (site.InventoryNIC, bool) {
	at := slices.IndexFunc(nics, func(n site.InventoryNIC) bool {
		switch {
		case want.MAC != (site.MAC{}):
			return n.MAC == want.MAC
		case want.Path != "":
			return samePath(want.Path, n.Path)
		default:
			return want.Name != "" && n.Name == want.Name
		}
	})
	if at < 0 {
		return site.InventoryNIC{}, false
	}
	return nics[at], true
}

// samePath compares PCI addresses, of which the plan may leave out the domain.
func samePath(a, b string) bool {
	long := func(p string) string {
		if p = strings.ToLower(p); strings.Count(p, ":") == 1 {
			p = "0000:" + p
		}
		return p
	}
	return long(a) == long(b)
}

func (c *checker) check(name string) {
	want := c.nics[name]
	nic, ok := c.seen[name]
	if !ok {
		c.missing(name, want)
		return
	}
	if want.Switch == "" && want.Port == "" && want.Speed == 0 {
		return // the plan says nothing of its cable
	}
	if nic.Link == "down" {
		c.wrong(name, "%s (%s) has no link; the plan has it in %s: is the cable in, and the switch port up?", name, nic.MAC, place(want.Switch, want.Port))
		return
	}
	if nic.Speed != 0 && want.Speed != 0 && nic.Speed != want.Speed {
		c.wrong(name, "%s runs at %d Mbit/s, the plan says %d: check the cable, the transceiver and the speed of %s", name, nic.Speed, want.Speed, place(want.Switch, want.Port))
	}
	c.neighbour(name, want, nic)
	c.mtu(name, nic)
}

func (c *checker) missing(name string, want site.NIC) {
	switch {
	case want.MAC != (site.MAC{}) && len(c.found.NICs) > 0:
		c.wrong(name, "%s (%s) is not in this machine: was a card or a board exchanged, or is its driver missing?", name, want.MAC)
	case want.Path != "" && len(c.found.NICs) > 0:
		c.wrong(name, "%s is not at %s in this machine: is the card in another slot, or is its driver missing?", name, want.Path)
	}
	// The discovery does not call ports what the installed system will.
}

func (c *checker) neighbour(name string, want site.NIC, nic site.InventoryNIC) {
	at := nic.Neighbour
	switch {
	case want.Switch == "" && want.Port == "":
	case at.Switch == "" && at.Port == "":
		c.unseen(name, "%s heard no LLDP, so nobody can tell whether it is in %s: switch LLDP on at the switch", name, place(want.Switch, want.Port))
	case !sameSwitch(want.Switch, at.Switch) || !samePort(want.Port, at.Port):
		c.misplaced(name, want, at)
	}
}

// misplaced says where a cable is, where it should be, and who is there.
func (c *checker) misplaced(name string, want site.NIC, at site.Neighbour) {
	text := fmt.Sprintf("%s is in %s, the plan says %s", name, place(at.Switch, "port "+at.Port), place(want.Switch, want.Port))
	if other, ok := c.swapped(want, at); ok {
		c.wrong(name, "%s; %s is in its place: swap the two cables", text, other)
		return
	}
	held := ""
	if node, nic, ok := c.holder(want.Switch, want.Port); ok {
		held = fmt.Sprintf("; %s holds %s's %s: swapped?", cmp.Or(want.Port, "it"), node, nic)
	} else if node, nic, ok := c.owner(at); ok {
		held = fmt.Sprintf("; %s is for %s's %s in the plan: swapped?", at.Port, node, nic)
	}
	c.wrong(name, "%s%s", text, held)
}

// swapped finds a port of the same node that is where this one should be, and
// should be where this one is.
func (c *checker) swapped(want site.NIC, at site.Neighbour) (name string, ok bool) {
	for _, other := range slices.Sorted(maps.Keys(c.seen)) {
		there, wanted := c.seen[other].Neighbour, c.nics[other]
		if isIn(want, there) && isIn(wanted, at) {
			return other, true
		}
	}
	return "", false
}

// isIn reports whether a port of the plan, of which the place is known, is
// meant to be where a neighbour says.
func isIn(want site.NIC, at site.Neighbour) bool {
	return want.Switch != "" && want.Port != "" && at.Switch != "" && sameSwitch(want.Switch, at.Switch) && samePort(want.Port, at.Port)
}

// holder finds who was last seen in a switch port.
func (c *checker) holder(sw, port string) (node, nic string, ok bool) {
	for _, m := range c.s.Machines() {
		if m.Node.Name == c.node.Name {
			continue
		}
		for _, n := range m.Inventory().NICs {
			if isIn(site.NIC{Switch: sw, Port: port}, n.Neighbour) {
				return m.Node.Name, nameOf(&c.s.Settings, m.Node, n), true
			}
		}
	}
	for _, st := range c.s.Strangers.All() {
		if st.Inventory == nil {
			continue
		}
		for _, n := range st.Inventory.NICs {
			if isIn(site.NIC{Switch: sw, Port: port}, n.Neighbour) {
				return "stranger " + st.MAC.String(), cmp.Or(n.Name, n.MAC.String()), true
			}
		}
	}
	return "", "", false
}

// owner finds who a switch port is for in the plan.
func (c *checker) owner(at site.Neighbour) (node, nic string, ok bool) {
	for _, m := range c.s.Machines() {
		nics := c.s.Settings.NICsOf(m.Node)
		for _, name := range slices.Sorted(maps.Keys(nics)) {
			if m.Node.Name != c.node.Name && isIn(nics[name], at) {
				return m.Node.Name, name, true
			}
		}
	}
	return "", "", false
}

// nameOf is what the plan calls a port that was found.
func nameOf(s *site.Settings, n *site.Node, found site.InventoryNIC) string {
	nics := s.NICsOf(n)
	for _, name := range slices.Sorted(maps.Keys(nics)) {
		if nic, ok := find(nics[name], []site.InventoryNIC{found}); ok && nic.MAC == found.MAC {
			return name
		}
	}
	return cmp.Or(found.Name, found.MAC.String())
}

// place names a switch and a port of which one may not be known.
func place(sw, port string) string {
	return cmp.Or(strings.TrimSpace(strings.TrimSuffix(sw+" "+port, " port ")), "any port")
}

// mtu compares what the networks of a port need with what the switch and the
// card let through.
func (c *checker) mtu(name string, nic site.InventoryNIC) {
	need, network := 0, ""
	role := c.s.Settings.Roles[c.node.Role]
	for _, n := range slices.Sorted(maps.Keys(role.Networks)) {
		device := role.Networks[n]
		if device != name && !slices.Contains(role.Bonds[device].NICs, name) {
			continue
		}
		if mtu := c.s.Settings.Networks[n].MTU; mtu > need {
			need, network = mtu, n
		}
	}
	if need == 0 {
		return
	}
	if nic.MTU != 0 && nic.MTU < need {
		c.wrong(name, "%s takes frames of %d bytes at most, %s needs an MTU of %d: put the network on another port", name, nic.MTU, network, need)
	}
	// Most switches count header and checksum in (IEEE 802.3 clause 79.3.4), some do not.
	if most := nic.Neighbour.MTU; most != 0 && most < need {
		c.wrong(name, "%s passes frames of %d bytes at most, %s needs an MTU of %d: raise the MTU of the switch port", place(nic.Neighbour.Switch, nic.Neighbour.Port), most, network, need)
	}
}

// reached judges the gateways that were asked for.
func (c *checker) reached() {
	silent := map[string][]string{}
	answered := map[string]bool{}
	for _, r := range c.found.Reached {
		if r.OK {
			answered[r.Network] = true
			continue
		}
		name := r.NIC.String()
		for _, n := range c.found.NICs {
			if n.MAC == r.NIC {
				name = nameOf(&c.s.Settings, c.node, n)
			}
		}
		silent[r.Network] = append(silent[r.Network], name)
	}
	for _, network := range slices.Sorted(maps.Keys(silent)) {
		n, ok := c.s.Settings.Networks[network]
		if !ok {
			continue
		}
		vlan := "untagged"
		if n.VLAN != 0 {
			vlan = fmt.Sprintf("VLAN %d", n.VLAN)
		}
		for _, nic := range silent[network] {
			if answered[network] {
				c.wrong(nic, "gateway %s of %s (%s) answers over the other ports, not over %s: let the VLAN pass at its switch port%s", n.Gateway, network, vlan, nic, c.where(nic))
			} else {
				c.unseen(nic, "gateway %s of %s (%s) does not answer over %s: is it there yet, and does the switch port%s let the VLAN pass?", n.Gateway, network, vlan, nic, c.where(nic))
			}
		}
	}
}

func (c *checker) where(nic string) string {
	at := c.seen[nic].Neighbour
	if at.Switch == "" {
		return ""
	}
	return ", " + place(at.Switch, at.Port)
}

// Tasks is what an agent is asked to look at.
type Tasks struct {
	LLDP   int     `json:"lldp"` // seconds to listen at each port
	Probes []Probe `json:"probes,omitempty"`
}

// Probe asks a gateway for its hardware address over one port, in the name of
// the node's own address.
type Probe struct {
	NIC     site.MAC   `json:"nic"`
	Network string     `json:"network"`
	VLAN    int        `json:"vlan,omitempty"` // zero means untagged
	Source  netip.Addr `json:"source"`
	Gateway netip.Addr `json:"gateway"`
}

// listen is longer than the 30 s after which a switch speaks again (IEEE
// 802.1AB msgTxInterval).
const listen = 35

// TasksFor is what to look at on a node; nil is a stranger. Where a bond needs
// the switch to agree first, a single port proves nothing and is left out.
func TasksFor(s *site.Settings, n *site.Node) Tasks {
	t := Tasks{LLDP: listen}
	if n == nil {
		return t
	}
	role, nics := s.Roles[n.Role], s.NICsOf(n)
	for _, network := range slices.Sorted(maps.Keys(role.Networks)) {
		net, device := s.Networks[network], role.Networks[network]
		own, ok := n.Addresses[network]
		if !ok || !net.Gateway.Is4() || !own.Is4() || own == net.Gateway {
			continue
		}
		members := []string{device}
		if b, isBond := role.Bonds[device]; isBond {
			members = b.NICs
			if b.Mode == "802.3ad" && b.Fallback == "" {
				continue
			}
		}
		for _, m := range members {
			if mac := nics[m].MAC; mac != (site.MAC{}) {
				t.Probes = append(t.Probes, Probe{NIC: mac, Network: network, VLAN: net.VLAN, Source: own, Gateway: net.Gateway})
			}
		}
	}
	return t
}

// Port is a port of a machine with what the plan calls it, if it does.
type Port struct {
	Name    string
	Planned site.NIC
	Found   site.InventoryNIC
}

// Ports lists the ports of a machine in the order of their inventory.
func Ports(s *site.State, n *site.Node, i site.Inventory) []Port {
	nics := s.Settings.NICsOf(n)
	var out []Port
	for _, found := range i.NICs {
		p := Port{Found: found}
		for _, name := range slices.Sorted(maps.Keys(nics)) {
			if at, ok := find(nics[name], i.NICs); ok && at.MAC == found.MAC {
				p.Name, p.Planned = name, nics[name]
			}
		}
		out = append(out, p)
	}
	return out
}
