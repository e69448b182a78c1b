package profile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// defaultMTU is that of Ethernet, in bytes.
const defaultMTU = 1500

// network decides the final network of a node. It is nil if the plan does not
// describe one: then what the installer set up stays.
func network(s *site.Settings, n *site.Node) (*Network, error) {
	if !s.Wired(n) {
		return nil, nil
	}
	role := s.Roles[n.Role]
	w := &wiring{s: s, n: n, role: role, nics: s.NICsOf(n), interfaces: map[string]*Interface{}}
	for _, step := range []func() error{w.bonds, w.networks, w.largestMTU, w.defaultRoute} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &Network{Interfaces: w.sorted()}, nil
}

// wiring is a network being decided.
type wiring struct {
	s          *site.Settings
	n          *site.Node
	role       site.Role
	nics       map[string]site.NIC
	interfaces map[string]*Interface
}

// ethernet gives the interface of a NIC, and makes it when it is first asked
// for; nil if the node has no such NIC.
func (w *wiring) ethernet(name string) *Interface {
	nic, ok := w.nics[name]
	if !ok {
		return nil
	}
	if w.interfaces[name] == nil {
		w.interfaces[name] = &Interface{Name: name, Kind: Ethernet, NIC: nic}
	}
	return w.interfaces[name]
}

// bonds takes all that the role has, also those that carry no network yet.
func (w *wiring) bonds() error {
	for _, name := range slices.Sorted(maps.Keys(w.role.Bonds)) {
		if err := interfaceName(name); err != nil {
			return fmt.Errorf("role %s, bond %q: %w", w.n.Role, name, err)
		}
		if _, taken := w.nics[name]; taken {
			return fmt.Errorf("role %s, bond %s: node %s has a NIC of the same name: rename one of them", w.n.Role, name, w.n.Name)
		}
		bond, err := decideBond(w.role.Bonds[name])
		if err != nil {
			return fmt.Errorf("role %s, bond %s: %w", w.n.Role, name, err)
		}
		for _, member := range bond.NICs {
			port := w.ethernet(member)
			switch {
			case port == nil:
				return fmt.Errorf("role %s, bond %s: node %s has no NIC %q (%s): add it under mac or nics of the node, or under nics of the role", w.n.Role, name, w.n.Name, member, w.has())
			case port.Master == name:
				return fmt.Errorf("role %s, bond %s names NIC %s twice: name each NIC once", w.n.Role, name, member)
			case port.Master != "":
				return fmt.Errorf("role %s: NIC %s is in the bonds %s and %s: leave it in one", w.n.Role, member, port.Master, name)
			}
			if err := w.usable(port); err != nil {
				return err
			}
			port.Master = name
		}
		w.interfaces[name] = &Interface{Name: name, Kind: BondKind, Bond: bond}
	}
	return nil
}

// usable tells whether a port can be named in files, and found.
func (w *wiring) usable(port *Interface) error {
	if err := interfaceName(port.Name); err != nil {
		return fmt.Errorf("node %s, NIC %q: %w", w.n.Name, port.Name, err)
	}
	if port.NIC.MAC == (site.MAC{}) && port.NIC.Path == "" && port.NIC.Name == "" {
		return fmt.Errorf("node %s, NIC %s: nothing says which port it is: add mac, path or name", w.n.Name, port.Name)
	}
	return nil
}

func (w *wiring) has() string {
	if len(w.nics) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(w.nics)), ", ")
}

// networks puts each network on the interface that carries it.
func (w *wiring) networks() error {
	on := maps.Clone(w.role.Networks)
	if _, ok := w.s.ProvisionNetwork(); ok && w.provisionDevice() != "" {
		on[w.s.Provision.Network] = w.provisionDevice()
	}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		net, ok := w.s.Networks[name]
		if !ok {
			return fmt.Errorf("role %s: there is no network %q: add it under networks, or take it out of the role", w.n.Role, name)
		}
		carrier, err := w.carrier(name, net, on[name])
		if err != nil {
			return err
		}
		if err := w.join(carrier, name, net); err != nil {
			return err
		}
	}
	return nil
}

// provisionDevice is where the plan puts the provisioning network, or else
// the device that the firmware finds it on.
func (w *wiring) provisionDevice() string {
	return cmp.Or(w.role.Networks[w.s.Provision.Network], w.bootDevice())
}

// bootDevice is the device that carries the NIC that firmware boots from: the
// first under mac, or nic1; of a node that names neither, the first NIC of
// the first bond.
func (w *wiring) bootDevice() string {
	nic := "nic1"
	for _, name := range slices.Sorted(maps.Keys(w.nics)) {
		if len(w.n.MACs) > 0 && w.nics[name].MAC == w.n.MACs[0] {
			nic = name
			break
		}
	}
	if port := w.interfaces[nic]; port != nil && port.Master != "" {
		return port.Master
	}
	if _, ok := w.nics[nic]; ok {
		return nic
	}
	if len(w.role.Bonds) > 0 {
		return slices.Min(slices.Collect(maps.Keys(w.role.Bonds)))
	}
	if len(w.nics) > 0 {
		return slices.Min(slices.Collect(maps.Keys(w.nics)))
	}
	return ""
}

// carrier gives the interface for a network on a device: the device, or the
// VLAN on it.
func (w *wiring) carrier(name string, net site.Network, device string) (*Interface, error) {
	parent := w.interfaces[device]
	if parent == nil {
		parent = w.ethernet(device)
	}
	switch {
	case parent == nil:
		return nil, fmt.Errorf("role %s puts network %s on %q, which is neither a bond of the role nor a NIC of node %s (%s): add bonds.%s to the role, or name a NIC", w.n.Role, name, device, w.n.Name, w.has(), device)
	case parent.Master != "":
		return nil, fmt.Errorf("role %s puts network %s on NIC %s, which belongs to %s: put the network on %s", w.n.Role, name, device, parent.Master, parent.Master)
	}
	if parent.Kind == Ethernet {
		if err := w.usable(parent); err != nil {
			return nil, err
		}
	}
	switch {
	// Firmware knows no VLAN: whatever id the switch gives the provisioning
	// network, it leaves the port untagged.
	case net.VLAN == 0 || name == w.s.Provision.Network:
		return parent, nil
	case net.VLAN < 1 || net.VLAN > 4094:
		return nil, fmt.Errorf("networks.%s.vlan: %d is not a VLAN: they go from 1 to 4094", name, net.VLAN)
	}
	if provision, ok := w.s.ProvisionNetwork(); ok && provision.VLAN == net.VLAN && device == w.provisionDevice() {
		return nil, fmt.Errorf("role %s: VLAN %d of network %s is untagged on %s for the provisioning network and cannot be tagged there too: give one of them another VLAN or device", w.n.Role, net.VLAN, name, device)
	}
	tagged := fmt.Sprintf("%s.%d", device, net.VLAN)
	if twin := w.interfaces[tagged]; twin != nil {
		return nil, fmt.Errorf("role %s: networks %s and %s both have VLAN %d on %s: give one of them another VLAN or device", w.n.Role, strings.Join(twin.Networks, ", "), name, net.VLAN, device)
	}
	if err := interfaceName(tagged); err != nil {
		return nil, fmt.Errorf("role %s, network %s: %q: %w", w.n.Role, name, tagged, err)
	}
	w.interfaces[tagged] = &Interface{Name: tagged, Kind: VLAN, Parent: device, VLAN: net.VLAN}
	return w.interfaces[tagged], nil
}

// join gives an interface what a network asks of it.
func (w *wiring) join(i *Interface, name string, net site.Network) error {
	i.MTU = max(i.MTU, cmp.Or(net.MTU, defaultMTU))
	address, planned := w.n.Addresses[name]
	dhcp := !planned && name == w.s.Provision.Network
	if (planned || dhcp) && (i.DHCP || i.Address.IsValid()) {
		return fmt.Errorf("role %s: networks %s and %s are both untagged on %s, and node %s has an address on each: give one of them a vlan or another device", w.n.Role, strings.Join(i.Networks, ", "), name, i.Name, w.n.Name)
	}
	i.Networks = append(i.Networks, name)
	switch {
	case dhcp:
		i.DHCP = true
	case !planned:
		return nil
	case !net.Subnet.Contains(address):
		return fmt.Errorf("node %s: address %s on network %s is outside its subnet %s: correct one of them", w.n.Name, address, name, net.Subnet)
	default:
		i.Address = netip.PrefixFrom(address, net.Subnet.Bits())
	}
	i.Routes, i.DNS = net.Routes, net.DNS
	return onlyIPv4(name, net)
}

// onlyIPv4 refuses what no writer can express: nodes have IPv4 addresses.
func onlyIPv4(name string, net site.Network) error {
	all := append([]netip.Addr{net.Subnet.Addr()}, net.DNS...)
	if net.Gateway.IsValid() {
		all = append(all, net.Gateway)
	}
	for _, r := range net.Routes {
		all = append(all, r.To.Addr(), r.Via)
	}
	for _, a := range all {
		if !a.Is4() {
			return fmt.Errorf("network %s: %s is not an IPv4 address, and nodes are given no others yet: take it out", name, a)
		}
	}
	return nil
}

// largestMTU lets what is below carry what is above: a VLAN no more than its
// device, a bond no more than its members.
func (w *wiring) largestMTU() error {
	for _, i := range w.interfaces {
		if i.Kind == VLAN {
			parent := w.interfaces[i.Parent]
			parent.MTU = max(parent.MTU, i.MTU)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.role.Bonds)) {
		bond := w.interfaces[name]
		if planned := bond.Bond.MTU; planned != 0 {
			if planned < bond.MTU {
				return fmt.Errorf("role %s, bond %s: its MTU is %d and a network on it has %d: raise the bond's, or leave it out and it follows the networks", w.n.Role, name, planned, bond.MTU)
			}
			bond.MTU = planned
		}
		bond.MTU = cmp.Or(bond.MTU, defaultMTU)
		bond.Bond.MTU = bond.MTU
		for _, member := range bond.Bond.NICs {
			w.interfaces[member].MTU = bond.MTU
		}
	}
	for _, i := range w.interfaces {
		i.MTU = cmp.Or(i.MTU, defaultMTU)
	}
	return nil
}

// defaultRoute chooses the one interface that leads everywhere else.
func (w *wiring) defaultRoute() error {
	var asked, management, provision []string
	for _, i := range w.interfaces {
		for _, name := range i.Networks {
			net := w.s.Networks[name]
			switch {
			case net.DefaultRoute != nil && *net.DefaultRoute:
				asked = append(asked, name)
			case net.DefaultRoute != nil || !w.leadsOut(i, name):
			case slices.Contains(w.s.RolesOf(name), site.NetManagement):
				management = append(management, name)
			case name == w.s.Provision.Network:
				provision = append(provision, name)
			}
		}
	}
	chosen := asked
	for _, next := range [][]string{management, provision} {
		if len(chosen) == 0 {
			chosen = next
		}
	}
	slices.Sort(chosen)
	switch len(chosen) {
	case 0:
		return fmt.Errorf("node %s has no default route: give the management or the provisioning network a gateway, or another of its networks a gateway and default_route: true", w.n.Name)
	case 1:
	default:
		return fmt.Errorf("node %s has more than one default route (networks %s): set default_route: true on one network of a node", w.n.Name, strings.Join(chosen, ", "))
	}
	name := chosen[0]
	for _, i := range w.interfaces {
		if !slices.Contains(i.Networks, name) {
			continue
		}
		if !w.leadsOut(i, name) {
			return fmt.Errorf("network %s has default_route: true and cannot lead out of node %s: give the network a gateway and the node an address on it", name, w.n.Name)
		}
		i.Gateway = w.s.Networks[name].Gateway
	}
	return nil
}

// leadsOut reports that the node can use the network's gateway.
func (w *wiring) leadsOut(i *Interface, name string) bool {
	_, planned := w.n.Addresses[name]
	return w.s.Networks[name].Gateway.IsValid() && (planned || i.DHCP && name == w.s.Provision.Network)
}

// sorted lists NICs, then bonds, then VLANs, each of which needs only what
// comes before it.
func (w *wiring) sorted() []Interface {
	rank := map[InterfaceKind]int{Ethernet: 0, BondKind: 1, VLAN: 2}
	var all []Interface
	for _, i := range w.interfaces {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b Interface) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.VLAN, b.VLAN), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// interfaceName refuses what the kernel would (dev_valid_name) and what does
// not survive the files that it is written to.
func interfaceName(name string) error {
	plain := name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
	})
	switch {
	case len(name) > 15:
		return errors.New("the kernel takes 15 characters for the name of an interface: choose a shorter one")
	case !plain || name[0] == '.' || name[0] == '-':
		return errors.New("is not the name of an interface: use letters, digits, - and _")
	}
	return nil
}
