package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/site"
)

// receiveBuffer holds a burst of some 5000 messages. The kernel's default
// holds 125, and a rack that is powered on together sends more.
const receiveBuffer = 8 << 20

// Link is one place to listen: an interface, an address, or both.
type Link struct {
	// Interface takes only what arrives there, also broadcasts. Empty means
	// Addr alone, for relays and for a loopback demo.
	Interface string
	// Addr is our identity there. Zero means the interface's address on the
	// provisioning network.
	Addr netip.Addr
}

func (l Link) String() string {
	if l.Interface == "" {
		return l.Addr.String()
	}
	return l.Interface
}

// identity is one address of a link, and what follows from it.
type identity struct {
	addr    netip.Addr
	http    string
	control []byte // IP_PKTINFO that makes it the source of a reply
}

// conn is one socket of a link.
type conn struct {
	link       Link
	ifi        *net.Interface // nil without an interface
	udp        *net.UDPConn
	raw        *packet.Conn // nil when frames cannot be sent
	bootServer bool
	port       uint16
	ids        []identity
	overflow   atomic.Uint32 // messages that the kernel dropped (SO_RXQ_OVFL)
}

// open binds one port on one link. It shares the port with nobody: a second
// server that got half of the messages would be worse than an error.
func open(ctx context.Context, l Link, port, httpPort int) (*conn, error) {
	c := &conn{link: l}
	host := ""
	if l.Interface == "" {
		host = l.Addr.String()
	} else {
		ifi, err := net.InterfaceByName(l.Interface)
		if err != nil {
			return nil, fmt.Errorf("finding the interface %s: %w: `ip link` lists what there is", l.Interface, err)
		}
		c.ifi = ifi
	}
	if err := c.identify(httpPort); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var failed error
		err := rc.Control(func(fd uintptr) { failed = setOptions(int(fd), l.Interface) })
		return errors.Join(err, failed)
	}}
	pc, err := lc.ListenPacket(ctx, "udp4", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, listenError(err, l, port)
	}
	c.udp = pc.(*net.UDPConn)
	c.port = c.udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return c, nil
}

func listenError(err error, l Link, port int) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening on UDP port %d of %s: another program has it, `rackseed doctor` names it: %w", port, l, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("listening on UDP port %d of %s: run as root or with CAP_NET_BIND_SERVICE and CAP_NET_RAW: %w", port, l, err)
	default:
		return fmt.Errorf("listening on UDP port %d of %s: %w", port, l, err)
	}
}

func setOptions(fd int, iface string) error {
	if iface != "" {
		if err := unix.BindToDevice(fd, iface); err != nil {
			return fmt.Errorf("binding to the interface %s: %w", iface, err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return fmt.Errorf("asking for the interface of each packet: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return fmt.Errorf("asking for the count of dropped packets: %w", err)
	}
	// The limit of an unprivileged process still beats the default.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return nil
}

func (c *conn) identify(httpPort int) error {
	if c.link.Addr.IsValid() {
		c.add(c.link.Addr, httpPort)
		return nil
	}
	addrs, err := c.ifi.Addrs()
	if err != nil {
		return fmt.Errorf("reading the addresses of %s: %w", c.link, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			c.add(p.Addr(), httpPort)
		}
	}
	if len(c.ids) == 0 {
		return fmt.Errorf("interface %s has no IPv4 address: `ip addr add ADDRESS/BITS dev %s` gives it one", c.link, c.link)
	}
	return nil
}

func (c *conn) add(a netip.Addr, httpPort int) {
	id := identity{addr: a, http: "http://" + a.String()}
	if httpPort != 80 {
		id.http = "http://" + netip.AddrPortFrom(a, uint16(httpPort)).String()
	}
	info := unix.Inet4Pktinfo{Spec_dst: a.As4()}
	if c.ifi != nil {
		info.Ifindex = int32(c.ifi.Index)
	}
	id.control = unix.PktInfo4(&info)
	c.ids = append(c.ids, id)
}

// id is our identity on the provisioning network; without an address there,
// the first one.
func (c *conn) id(subnet netip.Prefix) *identity {
	for i := range c.ids {
		if subnet.Contains(c.ids[i].addr) {
			return &c.ids[i]
		}
	}
	return &c.ids[0]
}

// on reports whether ARP on this link reaches the stations of a network.
func (c *conn) on(subnet netip.Prefix) bool {
	return c.ifi != nil && subnet.Contains(c.id(subnet).addr)
}

// openRaw lets c send frames of its own. Without it, replies are broadcast.
func (c *conn) openRaw() error {
	if c.ifi == nil || len(c.ifi.HardwareAddr) != 6 {
		return nil
	}
	// A protocol that never arrives: the socket only sends.
	raw, err := packet.Listen(c.ifi, packet.Raw, unix.ETH_P_LOOP, nil)
	if err != nil {
		return fmt.Errorf("opening a packet socket on %s: %w", c.link, err)
	}
	c.raw = raw
	return nil
}

// read takes one message. It allocates nothing.
func (c *conn) read(buf, oob []byte) (n int, from netip.AddrPort, to netip.Addr, err error) {
	n, oobn, _, from, err := c.udp.ReadMsgUDPAddrPort(buf, oob)
	if err != nil {
		return 0, from, to, err
	}
	for oob = oob[:oobn]; len(oob) >= unix.SizeofCmsghdr; {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			to = netip.AddrFrom4([4]byte(data[8:12]))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.overflow.Store(binary.NativeEndian.Uint32(data))
		}
		oob = rest
	}
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), to, nil
}

// errNoRaw makes a reply that should have gone to one machine a broadcast.
var errNoRaw = errors.New("no packet socket")

// send carries one reply. scratch is for the frame of a raw reply.
func (c *conn) send(id *identity, via Via, to netip.AddrPort, mac site.MAC, msg, scratch []byte) error {
	if via == ViaRaw {
		if err := c.sendRaw(id, to, mac, msg, scratch); !errors.Is(err, errNoRaw) {
			return err
		}
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), to.Port())
	}
	_, _, err := c.udp.WriteMsgUDPAddrPort(msg, id.control, to)
	if err != nil {
		return fmt.Errorf("sending to %s on %s: %w", to, c.link, err)
	}
	return nil
}

func (c *conn) sendRaw(id *identity, to netip.AddrPort, mac site.MAC, msg, scratch []byte) error {
	if c.raw == nil {
		return errNoRaw
	}
	frame := appendFrame(scratch, mac, site.MAC(c.ifi.HardwareAddr), netip.AddrPortFrom(id.addr, c.port), to, msg)
	if _, err := c.raw.WriteTo(frame, &packet.Addr{HardwareAddr: mac[:]}); err != nil {
		return fmt.Errorf("sending a frame to %s on %s: %w", mac, c.link, err)
	}
	return nil
}

func (c *conn) close() {
	c.udp.Close()
	if c.raw != nil {
		c.raw.Close()
	}
}
