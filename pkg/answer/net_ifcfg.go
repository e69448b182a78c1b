package answer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// ifcfgs writes for NetworkManager's ifcfg-rh (nm-settings-ifcfg-rh(5)). The
// files of ports have no DEVICE: a name that has changed would keep a port
// down whose HWADDR is right.
func (w *netWriter) ifcfgs() []netFile {
	const dir = "/etc/sysconfig/network-scripts/"
	var files []netFile
	for _, i := range w.n.Interfaces {
		files = append(files, netFile{"0644", dir + "ifcfg-rackseed-" + i.Name, w.ifcfg(i)})
		if len(i.Routes) == 0 {
			continue
		}
		var b strings.Builder
		for _, r := range i.Routes {
			fmt.Fprintf(&b, "%s via %s\n", r.To.Masked(), r.Via)
		}
		files = append(files, netFile{"0644", dir + "route-rackseed-" + i.Name, b.String()})
	}
	return append(files, onlyPlanned())
}

func (w *netWriter) ifcfg(i profile.Interface) string {
	var b strings.Builder
	b.WriteString(netHeader)
	set := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, value) }
	set("NAME", "rackseed-"+i.Name)
	set("UUID", w.uuid(i.Name))
	if i.Kind != profile.Ethernet {
		set("DEVICE", i.Name)
	}
	set("ONBOOT", "yes")
	set("MTU", strconv.Itoa(i.MTU))
	switch i.Kind {
	case profile.Ethernet:
		set("TYPE", "Ethernet")
		set("HWADDR", w.mac(i))
	case profile.BondKind:
		set("TYPE", "Bond")
		set("BONDING_MASTER", "yes")
		set("BONDING_OPTS", `"`+w.bondingOpts(i)+`"`)
	case profile.VLAN:
		set("TYPE", "Vlan")
		set("VLAN", "yes")
		set("VLAN_ID", strconv.Itoa(i.VLAN))
		set("REORDER_HDR", "yes")
		set("PHYSDEV", w.keyfileParent(i.Parent))
	}
	if i.Master != "" {
		set("MASTER", i.Master)
		set("SLAVE", "yes")
		set("BOOTPROTO", "none")
		return b.String()
	}
	w.ifcfgIP(set, i)
	return b.String()
}

func (w *netWriter) bondingOpts(i profile.Interface) string {
	opts := []string{"mode=" + w.item("bond mode", i.Bond.Mode)}
	for _, o := range w.options(i.Bond) {
		if o.name == "primary" {
			o.value = w.device(o.value)
		}
		opts = append(opts, o.name+"="+o.value)
	}
	return strings.Join(opts, " ")
}

func (w *netWriter) ifcfgIP(set func(key, value string), i profile.Interface) {
	switch {
	case i.DHCP:
		set("BOOTPROTO", "dhcp")
		// As in a keyfile: what nobody answers must not take the VLANs down.
		set("IPV4_DHCP_TIMEOUT", forever)
		set("IPV6INIT", "yes")
		set("IPV6_AUTOCONF", "no")
	default:
		set("BOOTPROTO", "none")
		set("IPV6INIT", "no")
	}
	if i.Address.IsValid() {
		set("IPADDR", i.Address.Addr().String())
		set("PREFIX", strconv.Itoa(i.Address.Bits()))
	}
	if i.Gateway.IsValid() {
		set("DEFROUTE", "yes")
		if !i.DHCP {
			set("GATEWAY", i.Gateway.String())
		}
	} else {
		set("DEFROUTE", "no")
	}
	for n, a := range i.DNS {
		set(fmt.Sprintf("DNS%d", n+1), a.String())
	}
}
