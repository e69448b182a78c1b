package main

import (
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/flight"
)

// booted is what a machine was seen to boot from since a moment: who spoke
// for it first.
func (c *core) booted(node string, since time.Time) (bmc.Sign, bool) {
	entries := c.flight.Timeline(node, since)
	i := slices.IndexFunc(entries, func(e flight.Entry) bool { return !e.At.Before(since) && deviceOf(e) != bmc.DeviceNone })
	if i < 0 {
		return bmc.Sign{}, false
	}
	e := entries[i]
	return bmc.Sign{Device: deviceOf(e), At: e.At, What: wordsOf(e)}, true
}

// deviceOf is what an entry shows of a boot: firmware and loaders come from
// the network, and an operating system that asks for an address as the first
// of all from a disk or a medium.
func deviceOf(e flight.Entry) bmc.Device {
	switch {
	case e.Source == flight.TFTP:
		return bmc.DevicePXE
	case e.Source == flight.HTTP && (e.What == "script" || e.What == "loader"):
		return bmc.DevicePXE
	case e.Source != flight.DHCP && e.Source != flight.ProxyDHCP:
		return bmc.DeviceNone
	case e.Client == flight.ClientHTTP:
		return bmc.DeviceHTTP
	case e.Client.Firmware():
		return bmc.DevicePXE
	case e.Client == flight.ClientOS:
		return bmc.DeviceDisk
	default:
		return bmc.DeviceNone
	}
}

func wordsOf(e flight.Entry) string {
	switch {
	case e.Source == flight.TFTP:
		return "TFTP " + e.Name
	case e.Source == flight.HTTP:
		return "HTTP " + e.What + " " + e.Name
	case e.Client == flight.ClientOS:
		return "DHCP " + e.What + " of an operating system"
	case e.Client == flight.ClientHTTP:
		return "DHCP " + e.What + " of UEFI HTTP boot"
	case e.Client == flight.ClientIPXE:
		return "DHCP " + e.What + " of iPXE"
	default:
		return "DHCP " + e.What + " of PXE firmware"
	}
}
