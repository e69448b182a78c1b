package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/rackseed/rackseed/pkg/site"
)

// up switches a port on and tells whether it was off.
func up(name string) (wasDown bool, err error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", name, err)
	}
	if l.Attrs().Flags&net.FlagUp != 0 {
		return false, nil
	}
	return true, netlink.LinkSetUp(l)
}

// down switches a port off again.
func down(name string) {
	if l, err := netlink.LinkByName(name); err == nil {
		_ = netlink.LinkSetDown(l) // it was off before; the installer does not depend on it
	}
}

// largest is the MTU that a port takes at most, by interface name.
func largest() map[string]int {
	const maxMTU = 51 // IFLA_MAX_MTU, if_link.h
	out := map[string]int{}
	data, err := syscall.NetlinkRIB(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return out
	}
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return out
	}
	for _, m := range messages {
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue
		}
		name, mtu := "", 0
		for _, a := range attributes {
			switch {
			case a.Attr.Type == syscall.IFLA_IFNAME:
				name = string(bytes.TrimRight(a.Value, "\x00"))
			case a.Attr.Type == maxMTU && len(a.Value) == 4:
				mtu = int(binary.NativeEndian.Uint32(a.Value))
			}
		}
		out[name] = mtu
	}
	return out
}

// lease is an address of a port, and when to ask for it again.
type lease struct {
	client string
	got    *nclient4.Lease
	renew  time.Time
}

// address asks DHCP for one and puts it on the port. It asks until it has one:
// a switch port in spanning tree stays silent for up to 50 s.
func address(ctx context.Context, name string, say func(string, ...any)) (*lease, error) {
	for try := 1; ; try++ {
		got, err := ask(ctx, name)
		if err == nil {
			return got, got.apply()
		}
		if ctx.Err() != nil {
			return nil, err
		}
		say("%s has no address yet (try %d): %v", name, try, err)
		pause(ctx, 3*time.Second)
	}
}

func ask(ctx context.Context, name string) (*lease, error) {
	c, err := nclient4.New(name, nclient4.WithTimeout(5*time.Second), nclient4.WithRetry(2))
	if err != nil {
		return nil, fmt.Errorf("opening %s for DHCP: %w", name, err)
	}
	defer c.Close()
	got, err := c.Request(ctx, dhcpv4.WithBroadcast(true), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("rackseed-discovery")))
	if err != nil {
		return nil, fmt.Errorf("asking DHCP on %s: %w", name, err)
	}
	return &lease{client: name, got: got, renew: time.Now().Add(got.ACK.IPAddressLeaseTime(time.Hour) / 2)}, nil
}

// keep asks again for an address whose lease is half over.
func (l *lease) keep(ctx context.Context) {
	if l == nil || time.Now().Before(l.renew) {
		return
	}
	if fresh, err := ask(ctx, l.client); err == nil && fresh.apply() == nil {
		*l = *fresh
		return
	}
	l.renew = time.Now().Add(time.Minute)
}

func (l *lease) apply() error {
	link, err := netlink.LinkByName(l.client)
	if err != nil {
		return fmt.Errorf("looking at %s: %w", l.client, err)
	}
	mask := l.got.ACK.SubnetMask()
	if mask == nil {
		mask = l.got.ACK.YourIPAddr.DefaultMask()
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: l.got.ACK.YourIPAddr, Mask: mask}}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("giving %s the address %s: %w", l.client, addr, err)
	}
	if routers := l.got.ACK.Router(); len(routers) > 0 {
		err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: routers[0]})
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("routing through %s: %w", routers[0], err)
		}
	}
	return nil
}

// portOf finds the port with a MAC.
func portOf(nics []site.InventoryNIC, mac site.MAC) (site.InventoryNIC, bool) {
	for _, n := range nics {
		if n.MAC == mac {
			return n, true
		}
	}
	return site.InventoryNIC{}, false
}
