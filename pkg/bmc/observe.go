package bmc

import (
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// What a BMC can make a log grow by.
const (
	maxText  = 128
	maxNICs  = 64
	maxDisks = 128
	maxWoes  = 32
)

// Observed is an inventory as the site keeps it: bounded, printable, without
// what is not an address.
func Observed(i Inventory) site.Inventory {
	out := site.Inventory{
		Source: site.FromBMC, Manufacturer: clean(i.Manufacturer), Model: clean(i.Model), Serial: clean(i.Serial),
		Firmware: clean(i.BIOS), Health: clean(i.Health), BMC: site.InventoryBMC{Firmware: clean(i.BMC)},
	}
	if u, err := site.ParseUUID(i.UUID); err == nil && !u.Junk() {
		out.UUID = u
	}
	out.Hardware = hardware(i)
	for _, n := range head(i.NICs, maxNICs) {
		nic := site.InventoryNIC{Name: clean(n.Name), Link: clean(n.Link), Speed: n.Speed}
		if mac, err := site.ParseMAC(n.MAC); err == nil {
			nic.MAC = mac
		}
		out.NICs = append(out.NICs, nic)
	}
	for _, p := range head(i.Problems, maxWoes) {
		out.Problems = append(out.Problems, clean(p))
	}
	return out
}

func hardware(i Inventory) site.Hardware {
	h := site.Hardware{Memory: i.Memory, Sockets: len(i.CPUs)}
	if len(i.CPUs) > 0 {
		c := i.CPUs[0]
		h.Cores = c.Cores
		if c.Cores > 0 && c.Threads >= c.Cores {
			h.Threads = c.Threads / c.Cores
		}
	}
	for _, d := range head(i.Disks, maxDisks) {
		h.Disks = append(h.Disks, site.InventoryDisk{Serial: clean(d.Serial), Model: clean(d.Model), Size: d.Size, Rotational: strings.EqualFold(d.Media, "HDD")})
	}
	return h
}

func clean(text string) string { return strings.TrimSpace(site.Printable(text, maxText)) }

func head[T any](list []T, n int) []T { return list[:min(len(list), n)] }
