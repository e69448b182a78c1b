package answer

import (
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// netplanFile is ours; netplan reads all files of its folder as one.
const netplanFile = "/etc/netplan/60-rackseed.yaml"

// netplanOptions are netplan's words for those of the bonding driver.
var netplanOptions = map[string]string{
	"ad_select": "ad-select", "all_slaves_active": "all-slaves-active", "arp_all_targets": "arp-all-targets", "arp_interval": "arp-interval",
	"arp_ip_target": "arp-ip-targets", "arp_validate": "arp-validate", "downdelay": "down-delay", "fail_over_mac": "fail-over-mac-policy",
	"lacp_rate": "lacp-rate", "miimon": "mii-monitor-interval", "min_links": "min-links", "packets_per_slave": "packets-per-slave",
	"primary": "primary", "primary_reselect": "primary-reselect-policy", "resend_igmp": "resend-igmp", "updelay": "up-delay",
	"xmit_hash_policy": "transmit-hash-policy",
}

// netplan writes one file for all interfaces. It is 0600 since netplan 0.106
// complains about anything else.
func (w *netWriter) netplan() []netFile {
	kinds := yamlMap{}
	for _, k := range []struct {
		kind profile.InterfaceKind
		name string
	}{{profile.Ethernet, "ethernets"}, {profile.BondKind, "bonds"}, {profile.VLAN, "vlans"}} {
		all := yamlMap{}
		for _, i := range w.n.Interfaces {
			if i.Kind == k.kind {
				all = append(all, yamlPair{i.Name, w.netplanInterface(i)})
			}
		}
		if len(all) > 0 {
			kinds = append(kinds, yamlPair{k.name, all})
		}
	}
	doc := yamlMap{{"network", append(yamlMap{{"version", 2}, {"renderer", "networkd"}}, kinds...)}}
	return []netFile{{"0600", netplanFile, netHeader + yamlDocument(doc)}}
}

func (w *netWriter) netplanInterface(i profile.Interface) yamlMap {
	var m yamlMap
	switch i.Kind {
	case profile.Ethernet:
		m = append(m, yamlPair{"match", yamlMap{{"macaddress", w.mac(i)}}})
	case profile.BondKind:
		m = append(m, yamlPair{"interfaces", yamlStrings(i.Bond.NICs)}, yamlPair{"parameters", w.netplanBond(i)}, yamlPair{"macaddress", w.bondMAC(i)})
	case profile.VLAN:
		m = append(m, yamlPair{"id", i.VLAN}, yamlPair{"link", i.Parent})
	}
	m = append(m, yamlPair{"mtu", i.MTU}, yamlPair{"dhcp4", i.DHCP}, yamlPair{"dhcp6", false}, yamlPair{"accept-ra", false}, yamlPair{"link-local", []any{}})
	switch {
	case i.Master != "":
		return m
	case bare(i):
		// Without an address it never gets as far as networkd's wait for the network wants: the boot of
		// 22.04 would stand still for two minutes.
		return append(m, yamlPair{"optional", true})
	}
	if i.DHCP {
		// The boot does not wait for a server that may have left.
		m = append(m, yamlPair{"optional", true}, yamlPair{"dhcp-identifier", "mac"})
		if !i.Gateway.IsValid() {
			m = append(m, yamlPair{"dhcp4-overrides", yamlMap{{"use-routes", false}}})
		}
	} else {
		m = append(m, yamlPair{"addresses", []any{i.Address.String()}})
	}
	return append(m, netplanBeyond(i)...)
}

// netplanBeyond is what lies behind the gateways, and who knows the names.
func netplanBeyond(i profile.Interface) yamlMap {
	var m yamlMap
	var routes []any
	if i.Gateway.IsValid() && !i.DHCP {
		routes = append(routes, yamlMap{{"to", "default"}, {"via", i.Gateway.String()}})
	}
	for _, r := range i.Routes {
		routes = append(routes, yamlMap{{"to", r.To.Masked().String()}, {"via", r.Via.String()}})
	}
	if len(routes) > 0 {
		m = append(m, yamlPair{"routes", routes})
	}
	if len(i.DNS) > 0 {
		var servers []any
		for _, a := range i.DNS {
			servers = append(servers, a.String())
		}
		m = append(m, yamlPair{"nameservers", yamlMap{{"addresses", servers}}})
	}
	return m
}

func (w *netWriter) netplanBond(i profile.Interface) yamlMap {
	m := yamlMap{{"mode", w.item("bond mode", i.Bond.Mode)}}
	for _, o := range w.options(i.Bond) {
		var value any = o.value
		if n, err := strconv.Atoi(o.value); err == nil {
			value = n
		}
		switch o.name {
		case "arp_ip_target":
			value = yamlStrings(strings.Split(o.value, ","))
		case "all_slaves_active":
			value = o.value == "1"
		}
		m = append(m, yamlPair{netplanOptions[o.name], value})
	}
	return m
}
