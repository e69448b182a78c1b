package agent

import (
	"path"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// ofBMC are the drivers of the network ports that a BMC plugs into its own
// host by USB: they have the same MAC in many machines, and no cable.
var ofBMC = []string{"cdc_ether", "cdc_ncm", "cdc_eem", "cdc_subset", "rndis_host"}

// arphrdEther is the type of Ethernet ports (if_arp.h).
const arphrdEther = "1"

// nics lists the ports by their PCI address.
func (m Machine) nics() []site.InventoryNIC {
	var out []site.InventoryNIC
	for _, name := range m.list("/sys/class/net") {
		dir := "/sys/class/net/" + name + "/"
		if !m.exists(dir+"device") || m.line(dir+"type") != arphrdEther || m.exists(dir+"phy80211") {
			continue
		}
		n := m.nic(name, dir)
		if n.MAC != (site.MAC{}) && !slices.Contains(ofBMC, n.Driver) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b site.InventoryNIC) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func (m Machine) nic(name, dir string) site.InventoryNIC {
	n := site.InventoryNIC{Name: name, Driver: path.Base(m.place(dir + "device/driver")), Speed: max(int(m.number(dir+"speed")), 0), MTU: int(m.number(dir + "mtu"))}
	if n.Driver == "." {
		n.Driver = ""
	}
	if mac, err := site.ParseMAC(m.line(dir + "address")); err == nil {
		n.MAC = mac
	}
	if all := pciPart.FindAllStringSubmatch(m.place(dir+"device"), -1); len(all) > 0 {
		n.Path = all[len(all)-1][1]
	}
	// The kernel refuses to say while a port is switched off.
	switch m.line(dir + "carrier") {
	case "1":
		n.Link = "up"
	case "0":
		n.Link = "down"
	}
	return n
}
