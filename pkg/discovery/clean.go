package discovery

import (
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// What of an inventory is kept: more than any machine has.
const (
	maxText  = 128 // bytes
	maxParts = 256 // disks, ports, NUMA nodes
	maxFlags = 512
)

// Clean makes what a system on the wire sent fit to be kept and shown: its
// texts print, its lists are bounded, and it is not taken for another source.
func Clean(i site.Inventory, source site.InventorySource) site.Inventory {
	out := site.Inventory{
		Source: source, Manufacturer: text(i.Manufacturer), Model: text(i.Model), Serial: text(i.Serial), UUID: i.UUID, Firmware: text(i.Firmware),
		BMC: site.InventoryBMC{Address: i.BMC.Address, MAC: i.BMC.MAC, Firmware: text(i.BMC.Firmware)},
	}
	h := i.Hardware
	out.Hardware = site.Hardware{
		Arch: text(h.Arch), Boot: text(h.Boot), Sockets: count(h.Sockets), Cores: count(h.Cores), Threads: count(h.Threads),
		NUMA: texts(h.NUMA, maxParts), CPULevel: count(h.CPULevel), CPUFlags: texts(h.CPUFlags, maxFlags), Memory: max(h.Memory, 0),
	}
	for _, d := range h.Disks[:min(len(h.Disks), maxParts)] {
		out.Hardware.Disks = append(out.Hardware.Disks, site.InventoryDisk{
			WWN: text(d.WWN), Serial: text(d.Serial), ByPath: text(d.ByPath), Model: text(d.Model), Size: max(d.Size, 0), Rotational: d.Rotational,
		})
	}
	for _, n := range i.NICs[:min(len(i.NICs), maxParts)] {
		out.NICs = append(out.NICs, site.InventoryNIC{
			Name: text(n.Name), MAC: n.MAC, Path: text(n.Path), Driver: text(n.Driver), Link: text(n.Link), Speed: count(n.Speed), MTU: count(n.MTU),
			Neighbour: site.Neighbour{Switch: text(n.Neighbour.Switch), Port: text(n.Neighbour.Port), VLAN: count(n.Neighbour.VLAN), MTU: count(n.Neighbour.MTU)},
		})
	}
	for _, r := range i.Reached[:min(len(i.Reached), maxParts)] {
		out.Reached = append(out.Reached, site.Reached{NIC: r.NIC, Network: text(r.Network), OK: r.OK})
	}
	return out
}

func text(s string) string { return strings.TrimSpace(site.Printable(s, maxText)) }

func texts(list []string, most int) []string {
	var out []string
	for _, s := range list[:min(len(list), most)] {
		out = append(out, text(s))
	}
	return out
}

func count(n int) int { return min(max(n, 0), 10_000_000) }
