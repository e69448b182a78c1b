package answer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// check adds a check to rackseed-verify.
type check func(field, command string, args ...string)

// verifyNetwork compares the network that is in force with the plan's. It
// needs the pieces net-ports and verify-net.
func verifyNetwork(check check, n *profile.Network) {
	if n == nil {
		return
	}
	v := &netVerifier{check: check, ports: map[string][]string{}}
	for _, i := range n.Interfaces {
		if i.Kind == profile.Ethernet {
			v.ports[i.Name] = portWords(i)
		}
	}
	for _, i := range n.Interfaces {
		v.link(i)
		v.addresses(i)
	}
}

// portWords are the arguments that say which port a NIC is.
func portWords(i profile.Interface) []string {
	mac := ""
	if i.NIC.MAC != (site.MAC{}) {
		mac = i.NIC.MAC.String()
	}
	return []string{i.Name, mac, strings.ToLower(i.NIC.Path), i.NIC.Name}
}

type netVerifier struct {
	check check
	ports map[string][]string
}

func (v *netVerifier) link(i profile.Interface) {
	field, mtu := "network "+i.Name, strconv.Itoa(i.MTU)
	switch i.Kind {
	case profile.Ethernet:
		if i.Master == "" {
			v.check(field, "net_port", append(portWords(i), mtu)...)
		} else {
			v.check(field, "net_member", append([]string{i.Master}, portWords(i)...)...)
		}
	case profile.BondKind:
		v.check(field, "net_link", i.Name, mtu)
		v.check(field, "net_bond", i.Name, i.Bond.Mode)
		if i.Bond.Mode == "802.3ad" {
			v.check(field, "net_lacp", i.Name)
		}
	case profile.VLAN:
		parent := i.Parent
		if v.ports[parent] != nil { // the kernel has a name of its own for it
			parent = ""
		}
		v.check(field, "net_link", i.Name, mtu)
		v.check(field, "net_vlan", i.Name, fmt.Sprint(i.VLAN), parent)
	}
}

func (v *netVerifier) addresses(i profile.Interface) {
	if i.Master != "" {
		return
	}
	switch {
	case i.Address.IsValid():
		v.on(i, "net_address", i.Address.String())
	case !i.DHCP:
		v.on(i, "net_bare")
	}
	if i.Gateway.IsValid() {
		gateway := i.Gateway.String()
		if i.DHCP {
			gateway = ""
		}
		v.on(i, "net_default", gateway)
	}
	for _, r := range i.Routes {
		v.check("network "+i.Name, "net_route", r.To.Masked().String(), r.Via.String())
	}
}

// on adds a check of an interface by the name that the kernel has for it.
func (v *netVerifier) on(i profile.Interface, command string, args ...string) {
	if port := v.ports[i.Name]; port != nil {
		v.check("network "+i.Name, "net_on", append(append(port[:len(port):len(port)], command), args...)...)
		return
	}
	v.check("network "+i.Name, command, append([]string{i.Name}, args...)...)
}
