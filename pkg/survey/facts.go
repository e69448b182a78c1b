package survey

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/rackseed/rackseed/pkg/site"
)

// Interface is what must be known before Rackseed speaks on an interface.
type Interface struct {
	Name         string         `json:"name"`
	Index        int            `json:"-"` // the kernel's, new each time it appears
	MAC          site.MAC       `json:"mac"`
	MTU          int            `json:"mtu"`
	Up           bool           `json:"up"`
	Carrier      bool           `json:"carrier"` // a cable with something alive at its other end
	Addrs        []netip.Prefix `json:"addrs"`   // IPv4
	Wireless     bool           `json:"wireless"`
	Loopback     bool           `json:"loopback"`
	PointToPoint bool           `json:"point_to_point"` // a VPN tunnel, mostly
	DefaultRoute bool           `json:"default_route"`  // the way to the rest of the world leads here
}

// Facts looks at one interface.
func Facts(name string) (Interface, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return Interface{}, fmt.Errorf("looking at the interface %s: %w", name, err)
	}
	i := Interface{
		Name: ifi.Name, Index: ifi.Index, MTU: ifi.MTU,
		Up:           ifi.Flags&net.FlagUp != 0,
		Carrier:      ifi.Flags&net.FlagRunning != 0,
		Loopback:     ifi.Flags&net.FlagLoopback != 0,
		PointToPoint: ifi.Flags&net.FlagPointToPoint != 0,
	}
	i.MAC, _ = site.MACFrom(ifi.HardwareAddr)
	if _, err := os.Stat(filepath.Join("/sys/class/net", name, "phy80211")); err == nil {
		i.Wireless = true
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return i, fmt.Errorf("reading the addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			i.Addrs = append(i.Addrs, p)
		}
	}
	if i.DefaultRoute, err = hasDefaultRoute(ifi.Index); err != nil {
		return i, fmt.Errorf("reading the routes of %s: %w", name, err)
	}
	return i, nil
}

func hasDefaultRoute(index int) (bool, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return false, err
	}
	for _, r := range routes {
		everything := r.Dst == nil
		if !everything {
			ones, _ := r.Dst.Mask.Size()
			everything = ones == 0
		}
		if everything && r.LinkIndex == index {
			return true, nil
		}
	}
	return false, nil
}

// Interfaces looks at every interface that could serve machines: not the
// loopback.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces: %w", err)
	}
	var found []Interface
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 {
			continue
		}
		i, err := Facts(ifi.Name)
		if err != nil {
			return nil, err
		}
		found = append(found, i)
	}
	return found, nil
}
