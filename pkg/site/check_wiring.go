package site

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// lacp is the bond mode that needs the switch to agree (IEEE 802.1AX).
const lacp = "802.3ad"

// bondModes are those of the bonding driver (Linux,
// Documentation/networking/bonding.rst).
var bondModes = []string{"balance-rr", "active-backup", "balance-xor", "broadcast", lacp, "balance-tlb", "balance-alb"}

// bondOptions are the driver's options that NetworkManager, netplan, ifupdown
// and systemd-networkd can all write.
var bondOptions = []string{
	"ad_select", "all_slaves_active", "arp_all_targets", "arp_interval", "arp_ip_target", "arp_validate", "downdelay", "fail_over_mac", "lacp_rate",
	"miimon", "min_links", "packets_per_slave", "primary", "primary_reselect", "resend_igmp", "updelay", "xmit_hash_policy",
}

// kernelNIC is a name that the kernel deals out in the order in which drivers
// find ports; an installer that renames a port to one races with it.
var kernelNIC = regexp.MustCompile(`^eth[0-9]+$`)

var pciAddress = regexp.MustCompile(`^([0-9a-f]{4}:)?([0-9a-f]{2}:[0-9a-f]{2})\.[0-7]$`)

func (c *checker) checkDeviceName(path, name, what string) {
	switch {
	case !validInterface(name):
		c.fail("interface-name-malformed", path, "use a name of 1 to 15 characters such as bond0 or ens1f0", "%q, %s, is not an interface name", name, what)
	case kernelNIC.MatchString(name):
		c.fail("interface-name-reserved", path, "call it nic1, or say which port it is by mac or path", "%s, %s, is a name that the kernel deals out anew at each boot", name, what)
	}
}

func (c *checker) checkNICs(path string, nics map[string]NIC, whose string) {
	if len(nics) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(nics)) {
		nic, at := nics[name], path+"."+name
		c.checkDeviceName(at, name, "a NIC of "+whose)
		switch {
		case nic.MAC == (MAC{}) && nic.Path == "" && nic.Name == "":
			c.fail("nic-without-identity", at, "add mac, path or name", "nothing says which port NIC %s of %s is", name, whose)
		case nic.Path != "" && !pciAddress.MatchString(strings.ToLower(nic.Path)):
			c.fail("nic-path-malformed", at+".path", "write the PCI address as lspci -D does: 0000:3b:00.0", "%q of NIC %s of %s is not a PCI address", nic.Path, name, whose)
		}
		if nic.Name != "" {
			c.checkDeviceName(at+".name", nic.Name, "the name of NIC "+name+" of "+whose)
		}
		if nic.Speed < 0 || nic.Speed > 1_000_000 {
			c.fail("nic-speed-out-of-range", at+".speed", "write Mbit/s: 25000 for 25 GbE", "NIC %s of %s has a speed of %d Mbit/s", name, whose, nic.Speed)
		}
		if !printable(nic.Switch) || !printable(nic.Port) {
			c.fail("nic-switch-malformed", at, "copy switch and port from the output of lldpctl", "switch or port of NIC %s of %s does not print", name, whose)
		}
	}
}

func (c *checker) checkBonds(path, role string, r Role) {
	carried := map[string]bool{}
	for _, device := range r.Networks {
		carried[device] = true
	}
	memberOf := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r.Bonds)) {
		b, at := r.Bonds[name], path+"."+name
		c.checkDeviceName(at, name, "a bond of role "+role)
		c.checkBond(at, name, b)
		if !carried[name] {
			c.warn("bond-unused", at, "put a network on it, or remove it", "bond %s of role %s carries no network", name, role)
		}
		for i, nic := range b.NICs {
			at := fmt.Sprintf("%s.nics[%d]", at, i)
			switch other, taken := memberOf[nic]; {
			case taken && other == name:
				c.fail("bond-member-twice", at, "name each NIC once", "bond %s of role %s has %s twice", name, role, nic)
			case taken:
				c.fail("nic-in-two-bonds", at, "leave it in one of them", "%s is in bonds %s and %s of role %s", nic, other, name, role)
			}
			if carried[nic] {
				c.fail("nic-in-bond-and-alone", at, "put the network on "+name+", or take "+nic+" out of the bond", "%s of role %s is in bond %s and carries a network by itself", nic, role, name)
			}
			memberOf[nic] = name
		}
	}
}

func (c *checker) checkBond(at, name string, b Bond) {
	switch len(b.NICs) {
	case 0:
		c.fail("bond-without-members", at, "add nics: [nic1, nic2]", "bond %s has no NIC", name)
	case 1:
		c.warn("bond-single-member", at+".nics", "add the second NIC", "bond %s has one NIC: nothing takes over when it fails", name)
	}
	if b.Mode != "" && !slices.Contains(bondModes, b.Mode) {
		c.fail("bond-mode-unknown", at+".mode", bondModeFix(b.Mode), "bond %s has mode %q, which the kernel does not know", name, b.Mode)
	}
	if b.MTU != 0 && (b.MTU < 576 || b.MTU > 9216) {
		c.fail("mtu-out-of-range", at+".mtu", "use 1500, or 9000 where every switch port carries jumbo frames", "bond %s has MTU %d", name, b.MTU)
	}
	if !printable(b.Fallback) {
		c.fail("bond-fallback-malformed", at+".fallback", "name the make of the switch: huawei, cisco, arista", "the fallback of bond %s does not print", name)
	}
	for _, option := range slices.Sorted(maps.Keys(b.Options)) {
		c.checkBondOption(at+".options."+option, name, b, option)
	}
}

// bondModeFix knows the numbers of the driver and the words of other systems.
func bondModeFix(mode string) string {
	word := strings.ToLower(mode)
	if len(word) == 1 && word >= "0" && word <= "6" {
		return "write " + bondModes[word[0]-'0']
	}
	switch word {
	case "lacp", "802.1ax", "4ad", "dynamic":
		return "write " + lacp
	case "active_backup", "failover", "backup":
		return "write active-backup"
	}
	return suggestion(word, bondModes)
}

func (c *checker) checkBondOption(at, bond string, b Bond, option string) {
	value := b.Options[option]
	switch {
	case option == "mode":
		c.fail("bond-option-unknown", at, "write mode: beside options", "the mode of bond %s stands under its options", bond)
	case !slices.Contains(bondOptions, option):
		c.fail("bond-option-unknown", at, suggestion(option, bondOptions), "bond %s has option %q, which the bonding driver does not take", bond, option)
	case value == "" || !onlyOf(value, "._-+,:"):
		c.fail("bond-option-malformed", at, "write one word, as the bonding driver takes it", "option %s of bond %s has the value %q", option, bond, value)
	case option == "primary" && !slices.Contains(b.NICs, value):
		c.fail("bond-option-malformed", at, "name one of "+strings.Join(b.NICs, ", "), "the primary %s of bond %s is not one of its NICs", value, bond)
	case (option == "lacp_rate" || option == "ad_select") && b.Mode != lacp:
		c.fail("bond-option-idle", at, "remove it, or set mode: "+lacp, "option %s does nothing in bond %s, which does not speak LACP", option, bond)
	}
}

// checkWiring looks at a role together with the ports of one of its nodes.
func (c *checker) checkWiring(n *Node, r Role) {
	if len(r.Bonds) == 0 && len(r.Networks) == 0 {
		return
	}
	nics, path := c.plan.NICsOf(n), "roles."+n.Role
	if !c.plan.Wired(n) && len(r.Bonds) == 0 {
		c.warn("network-undescribed", path+".networks", "describe the devices under bonds and nics of the role, or under mac or nics of its nodes", "the plan does not say what %s of role %s are made of: its nodes keep the network of the installer", strings.Join(devices(r), ", "), n.Role)
		return
	}
	for _, name := range c.inOrder(n.Role).bonds {
		b, at := r.Bonds[name], path+".bonds."+name
		if _, clash := nics[name]; clash {
			c.fail("interface-name-duplicate", at, "rename one of them", "%s has a NIC and a bond called %s", n.Name, name)
		}
		for i, member := range b.NICs {
			if _, ok := nics[member]; !ok {
				c.fail("bond-member-unknown", fmt.Sprintf("%s.nics[%d]", at, i), "add it under mac or nics of the node, or under nics of the role", "%s has no NIC %s for bond %s: it has %s", n.Name, member, name, nicNames(nics))
			}
		}
		c.checkMembers(at, n, name, b, nics)
	}
	for _, network := range c.inOrder(n.Role).networks {
		device := r.Networks[network]
		_, bond := r.Bonds[device]
		_, nic := nics[device]
		if !bond && !nic && validInterface(device) {
			c.fail("device-unknown", path+".networks."+network, "add it under bonds of the role, or name a NIC of the node", "network %s of role %s is on %s, which is neither a bond of the role nor a NIC of %s: it has %s", network, n.Role, device, n.Name, nicNames(nics))
		}
	}
}

func devices(r Role) []string { return slices.Compact(slices.Sorted(maps.Values(r.Networks))) }

// order holds the names under a role sorted, because all its nodes ask.
type order struct{ bonds, networks []string }

func (c *checker) inOrder(role string) order {
	o, known := c.orders[role]
	if !known {
		r := c.plan.Roles[role]
		o = order{bonds: slices.Sorted(maps.Keys(r.Bonds)), networks: slices.Sorted(maps.Keys(r.Networks))}
		c.orders[role] = o
	}
	return o
}

func nicNames(nics map[string]NIC) string {
	if len(nics) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(nics)), ", ")
}

func (c *checker) checkMembers(at string, n *Node, name string, b Bond, nics map[string]NIC) {
	var first NIC
	cards := map[string]bool{}
	slots := 0
	for i, member := range b.NICs {
		nic := nics[member]
		if b.Mode == lacp && b.Fallback == "" && isBootNIC(n, member, nic) {
			c.fail("lacp-without-fallback", at, "let the switch pass a member that speaks no LACP, and say so: fallback: huawei (lacp force-forward), cisco (no lacp suspend-individual), arista (port-channel lacp fallback individual), or yes",
				"bond %s holds %s, from which firmware boots, and firmware speaks no LACP", name, member)
		}
		if i == 0 {
			first = nic
		} else if nic.Speed != 0 && first.Speed != 0 && nic.Speed != first.Speed {
			c.warn("bond-members-differ", at+".nics", "bond ports of one speed", "bond %s of %s joins %d and %d Mbit/s", name, n.Name, first.Speed, nic.Speed)
		}
		if slot := pciAddress.FindStringSubmatch(strings.ToLower(nic.Path)); slot != nil {
			cards[slot[1]+slot[2]] = true
			slots++
		}
	}
	if slots > 1 && slots == len(b.NICs) && len(cards) == 1 {
		c.warn("bond-on-one-card", at+".nics", "take the second member from another card, if there is one", "bond %s of %s is on one card: both links fail with it", name, n.Name)
	}
}

// isBootNIC tells the port that firmware boots from: the first under mac, else
// nic1.
func isBootNIC(n *Node, name string, nic NIC) bool {
	if len(n.MACs) > 0 {
		return nic.MAC == n.MACs[0]
	}
	return name == "nic1"
}
