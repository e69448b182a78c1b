package answer

import (
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// networkdOptions are systemd's words for those of the bonding driver
// (systemd.netdev(5), section [Bond]), and the unit that a number needs.
var networkdOptions = map[string]struct{ key, unit string }{
	"ad_select": {"AdSelect", ""}, "all_slaves_active": {"AllSlavesActive", ""}, "arp_all_targets": {"ARPAllTargets", ""},
	"arp_interval": {"ARPIntervalSec", "ms"}, "arp_ip_target": {"ARPIPTargets", ""}, "arp_validate": {"ARPValidate", ""},
	"downdelay": {"DownDelaySec", "ms"}, "fail_over_mac": {"FailOverMACPolicy", ""}, "lacp_rate": {"LACPTransmitRate", ""},
	"miimon": {"MIIMonitorSec", "ms"}, "min_links": {"MinLinks", ""}, "packets_per_slave": {"PacketsPerSlave", ""},
	"primary_reselect": {"PrimaryReselectPolicy", ""}, "resend_igmp": {"ResendIGMP", ""}, "updelay": {"UpDelaySec", "ms"},
	"xmit_hash_policy": {"TransmitHashPolicy", ""},
}

// networkd writes for systemd-networkd 252 and later: Debian 12 and 13.
func (w *netWriter) networkd() []netFile {
	// Of the files that match a port networkd takes the first by name: this one
	// comes before 00-anything that a customer left.
	const dir = "/etc/systemd/network/0-rackseed-"
	var files []netFile
	for _, i := range w.n.Interfaces {
		if i.Kind != profile.Ethernet {
			files = append(files, netFile{"0644", dir + i.Name + ".netdev", w.netdev(i)})
		}
		files = append(files, netFile{"0644", dir + i.Name + ".network", w.networkdInterface(i)})
	}
	return files
}

func (w *netWriter) netdev(i profile.Interface) string {
	f := newINI()
	f.section("NetDev")
	f.set("Name", i.Name)
	f.set("Kind", string(i.Kind))
	if i.Kind == profile.BondKind {
		f.set("MACAddress", w.bondMAC(i))
	}
	f.set("MTUBytes", strconv.Itoa(i.MTU))
	if i.Kind == profile.VLAN {
		f.section("VLAN")
		f.set("Id", strconv.Itoa(i.VLAN))
		return f.text()
	}
	f.section("Bond")
	f.set("Mode", w.item("bond mode", i.Bond.Mode))
	for _, o := range w.options(i.Bond) {
		if o.name != "primary" { // the port itself says it
			f.set(networkdOptions[o.name].key, strings.ReplaceAll(o.value, ",", " ")+networkdOptions[o.name].unit)
		}
	}
	return f.text()
}

func (w *netWriter) networkdInterface(i profile.Interface) string {
	f := newINI()
	f.section("Match")
	if i.Kind == profile.Ethernet {
		// A bond and the VLANs on it carry the MAC of a port as well; the
		// permanent one is the port's alone.
		f.set("PermanentMACAddress", w.mac(i))
	} else {
		f.set("Name", i.Name)
	}
	f.section("Link")
	f.set("MTUBytes", strconv.Itoa(i.MTU))
	switch {
	case i.DHCP: // the boot does not wait for a server that may have left
		f.set("RequiredForOnline", "no")
	case bare(i) && i.Master == "":
		f.set("RequiredForOnline", "carrier")
	}
	f.section("Network")
	for _, v := range w.vlans(i.Name) {
		f.set("VLAN", v)
	}
	if i.Master != "" {
		f.set("Bond", i.Master)
		if w.byName[i.Master].Bond.Options["primary"] == i.Name {
			f.set("PrimarySlave", "true")
		}
		return f.text()
	}
	f.set("LinkLocalAddressing", "no")
	f.set("IPv6AcceptRA", "no")
	networkdIP(f, i)
	return f.text()
}

func networkdIP(f *ini, i profile.Interface) {
	if i.Address.IsValid() {
		f.set("Address", i.Address.String())
	}
	if i.Gateway.IsValid() && !i.DHCP {
		f.set("Gateway", i.Gateway.String())
	}
	for _, a := range i.DNS {
		f.set("DNS", a.String())
	}
	if i.DHCP {
		f.set("DHCP", "ipv4")
		f.section("DHCPv4")
		f.set("ClientIdentifier", "mac")
		if !i.Gateway.IsValid() {
			f.set("UseGateway", "no")
		}
	}
	for _, r := range i.Routes {
		f.section("Route")
		f.set("Destination", r.To.Masked().String())
		f.set("Gateway", r.Via.String())
	}
}
