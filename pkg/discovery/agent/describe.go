package agent

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Describe puts an inventory into words for a console.
func Describe(i site.Inventory) []string {
	h := i.Hardware
	out := []string{
		fmt.Sprintf("%s %s, serial %s, firmware %s (%s)", orUnknown(i.Manufacturer), orUnknown(i.Model), orUnknown(i.Serial), orUnknown(i.Firmware), h.Boot),
		fmt.Sprintf("%d sockets, %d cores each, %d threads each, %d NUMA nodes, %d GiB of memory", h.Sockets, h.Cores, h.Threads, len(h.NUMA), h.Memory>>30),
	}
	for _, d := range h.Disks {
		kind := "solid state"
		if d.Rotational {
			kind = "rotating"
		}
		out = append(out, fmt.Sprintf("disk %d GB, %s, model %s, serial %s, wwn %s, path %s", d.Size/1_000_000_000, kind, orUnknown(d.Model), orUnknown(d.Serial), orUnknown(d.WWN), orUnknown(d.ByPath)))
	}
	if len(h.Disks) == 0 {
		out = append(out, "no disk is seen")
	}
	for _, n := range i.NICs {
		words := []string{fmt.Sprintf("port %s %s, %s, driver %s, link %s", n.Name, n.MAC, orUnknown(n.Path), orUnknown(n.Driver), orUnknown(n.Link))}
		if n.Speed > 0 {
			words = append(words, fmt.Sprintf("%d Mbit/s", n.Speed))
		}
		if at := n.Neighbour; at.Switch != "" {
			words = append(words, fmt.Sprintf("in %s port %s", at.Switch, at.Port))
		}
		out = append(out, strings.Join(words, ", "))
	}
	if b := i.BMC; b != (site.InventoryBMC{}) {
		address := "unknown"
		if b.Address.IsValid() {
			address = b.Address.String()
		}
		out = append(out, fmt.Sprintf("BMC %s, address %s, firmware %s", b.MAC, address, orUnknown(b.Firmware)))
	}
	return out
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
