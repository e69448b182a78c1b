package answer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// forever is NetworkManager's dhcp-timeout for infinity (nm-settings-nmcli(5)).
const forever = "2147483647"

// keyfiles writes for NetworkManager (nm-settings-keyfile(5)), in words that
// 1.32 to 1.52 understand: openEuler 22.03 to RHEL 10.
func (w *netWriter) keyfiles() []netFile {
	var files []netFile
	for _, i := range w.n.Interfaces {
		files = append(files, netFile{"0600", "/etc/NetworkManager/system-connections/rackseed-" + i.Name + ".nmconnection", w.keyfile(i)})
	}
	return append(files, onlyPlanned())
}

// onlyPlanned keeps NetworkManager from making profiles of its own.
func onlyPlanned() netFile {
	return netFile{"0644", "/etc/NetworkManager/conf.d/60-rackseed.conf",
		netHeader + "# A port that the plan does not use asks nobody for an address, nor for a default route.\n[main]\nno-auto-default=*\n"}
}

func (w *netWriter) keyfile(i profile.Interface) string {
	f := newINI()
	f.section("connection")
	f.set("id", "rackseed-"+i.Name)
	f.set("uuid", w.uuid(i.Name))
	f.set("type", string(i.Kind))
	if i.Kind != profile.Ethernet {
		f.set("interface-name", i.Name)
	}
	f.set("autoconnect-priority", "10")
	f.set("autoconnect-retries", "0")
	if i.Master != "" {
		f.set("master", i.Master)
		f.set("slave-type", "bond")
	}
	f.section("ethernet")
	if i.Kind == profile.Ethernet {
		f.set("mac-address", w.mac(i))
	}
	f.set("mtu", strconv.Itoa(i.MTU))
	switch i.Kind {
	case profile.BondKind:
		w.keyfileBond(f, i)
	case profile.VLAN:
		f.section("vlan")
		f.set("flags", "1")
		f.set("id", strconv.Itoa(i.VLAN))
		f.set("parent", w.keyfileParent(i.Parent))
	}
	if i.Master == "" {
		w.keyfileIP(f, i)
	}
	return f.text()
}

// keyfileParent is the name of a bond, and the profile of a port, whose name
// may change.
func (w *netWriter) keyfileParent(name string) string {
	if w.byName[name].Kind == profile.Ethernet {
		return w.uuid(name)
	}
	return name
}

func (w *netWriter) keyfileBond(f *ini, i profile.Interface) {
	f.section("bond")
	f.set("mode", w.item("bond mode", i.Bond.Mode))
	for _, o := range w.options(i.Bond) {
		if o.name == "primary" {
			o.value = w.device(o.value)
		}
		f.set(o.name, o.value)
	}
}

func (w *netWriter) keyfileIP(f *ini, i profile.Interface) {
	f.section("ipv4")
	switch {
	case i.DHCP:
		f.set("method", "auto")
		f.set("dhcp-client-id", "mac")
		f.set("dhcp-timeout", forever)
	case i.Address.IsValid():
		f.set("method", "manual")
		address := i.Address.String()
		if i.Gateway.IsValid() {
			address += "," + i.Gateway.String()
		}
		f.set("address1", address)
	default:
		f.set("method", "disabled")
	}
	if !i.Gateway.IsValid() && !bare(i) {
		f.set("never-default", "true")
	}
	if len(i.DNS) > 0 {
		var servers strings.Builder
		for _, a := range i.DNS {
			servers.WriteString(a.String() + ";")
		}
		f.set("dns", servers.String())
	}
	for n, r := range i.Routes {
		f.set(fmt.Sprintf("route%d", n+1), fmt.Sprintf("%s,%s", r.To.Masked(), r.Via))
	}
	f.section("ipv6")
	if i.DHCP {
		// With nothing but DHCP, an interface fails as a whole when nobody
		// answers, and takes the VLANs on it down: the laptop leaves.
		f.set("method", "link-local")
		return
	}
	f.set("method", "disabled")
}
