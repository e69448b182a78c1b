package tftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenBuffer holds the first requests of a room full of machines that were
// powered on together: 512 requests of one kilobyte of kernel memory, with room.
const listenBuffer = 4 << 20

// Listener is an open TFTP port.
type Listener struct {
	conn   *net.UDPConn
	device string
	v6     bool
}

// Listen opens addr for requests; its port is usually 69. With a device the socket,
// and every transfer that comes of it, sees and uses that network interface alone
// (SO_BINDTODEVICE). An IPv6 address listens to IPv6 only.
func Listen(ctx context.Context, addr netip.AddrPort, device string) (*Listener, error) {
	l := &Listener{device: device, v6: addr.Addr().Is6() && !addr.Addr().Is4In6()}
	network := "udp4"
	if l.v6 {
		network = "udp6"
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = l.prepare(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	conn, err := config.ListenPacket(ctx, network, addr.String())
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("opening the TFTP port: %w; find the holder with: ss -ulnp sport = :%d", err, addr.Port())
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("opening the TFTP port: %w; ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	case err != nil:
		return nil, fmt.Errorf("opening the TFTP port: %w", err)
	}
	l.conn = conn.(*net.UDPConn)
	return l, nil
}

// Addr is the address that Listen bound.
func (l *Listener) Addr() netip.AddrPort {
	a := l.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// at is where a request arrived.
func (l *Listener) at(a arrival) netip.AddrPort {
	return netip.AddrPortFrom(a.local, l.Addr().Port())
}

// localOf is the address of a transfer's socket; without a port where that
// cannot be had.
func localOf(fd int, local netip.Addr) netip.AddrPort {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPortFrom(local, 0)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(local, uint16(name.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(local, uint16(name.Port))
	default:
		return netip.AddrPortFrom(local, 0)
	}
}

// Close closes the port. Serve does so when it returns.
func (l *Listener) Close() error { return l.conn.Close() }

func (l *Listener) prepare(fd int) error {
	level, info := unix.IPPROTO_IP, unix.IP_PKTINFO
	if l.v6 {
		level, info = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	if err := unix.SetsockoptInt(fd, level, info, 1); err != nil {
		return os.NewSyscallError("setsockopt pktinfo", err)
	}
	if err := bindToDevice(fd, l.device); err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, listenBuffer) != nil {
		// Without CAP_NET_ADMIN the system's limit applies, which is only smaller.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, listenBuffer)
	}
	return nil
}

func bindToDevice(fd int, device string) error {
	if device == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return fmt.Errorf("binding to interface %s: %w", device, os.NewSyscallError("setsockopt", err))
	}
	return nil
}

// arrival says between which addresses a request travelled.
type arrival struct {
	client  netip.AddrPort
	local   netip.Addr
	ifindex int
}

// read returns the next packet. A packet that was not sent to one of our own
// addresses comes back empty: RFC 1123 4.2.3.6 wants requests to a broadcast
// address ignored.
func (l *Listener) read(p []byte) (int, arrival, error) {
	var oob [128]byte
	n, oobn, _, client, err := l.conn.ReadMsgUDPAddrPort(p, oob[:])
	if err != nil {
		return 0, arrival{}, err
	}
	a := arrival{client: netip.AddrPortFrom(client.Addr().Unmap(), client.Port())}
	if !a.locate(oob[:oobn]) || a.client.Port() == 0 || !unicast(a.client.Addr()) {
		return 0, a, nil
	}
	return n, a, nil
}

func unicast(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// locate reads the packet information and reports whether the packet was unicast.
func (a *arrival) locate(oob []byte) bool {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return false
		}
		oob = rest
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			a.ifindex = int(int32(binary.NativeEndian.Uint32(data)))
			a.local = netip.AddrFrom4([4]byte(data[4:8]))
			// The header's destination differs from our own when it was broadcast.
			return a.local == netip.AddrFrom4([4]byte(data[8:12]))
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a.local = netip.AddrFrom16([16]byte(data[:16]))
			a.ifindex = int(binary.NativeEndian.Uint32(data[16:20]))
			return unicast(a.local)
		}
	}
	return false
}

// reply sends one packet from the listening port and the address that was asked.
func (l *Listener) reply(a arrival, p []byte) error {
	var oob []byte
	if a.local.Is4() {
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a.local.As4()})
	} else {
		info := &unix.Inet6Pktinfo{Addr: a.local.As16()}
		if a.local.IsLinkLocalUnicast() {
			info.Ifindex = uint32(a.ifindex)
		}
		oob = unix.PktInfo6(info)
	}
	_, _, err := l.conn.WriteMsgUDPAddrPort(p, oob, a.client)
	return err
}

// dial opens the socket of one transfer, connected so that the kernel filters
// strangers and reports a client that is gone. maxBlock is the largest block that
// the path carries in one packet.
func (l *Listener) dial(a arrival) (fd, maxBlock int, err error) {
	family := unix.AF_INET
	if l.v6 {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	if err = l.connect(fd, a); err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	return fd, pathBlock(fd, l.v6), nil
}

func (l *Listener) connect(fd int, a arrival) error {
	if err := bindToDevice(fd, l.device); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(a.local, 0), a.ifindex)); err != nil {
		return fmt.Errorf("binding to %s: %w", a.local, os.NewSyscallError("bind", err))
	}
	return os.NewSyscallError("connect", unix.Connect(fd, sockaddr(a.client, a.ifindex)))
}

func sockaddr(a netip.AddrPort, ifindex int) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	to := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if a.Addr().IsLinkLocalUnicast() {
		to.ZoneId = uint32(ifindex)
	}
	return to
}

// pathBlock asks the kernel for the path MTU and takes off IP, UDP and TFTP headers.
func pathBlock(fd int, v6 bool) int {
	level, name, headers := unix.IPPROTO_IP, unix.IP_MTU, 20+8+4
	if v6 {
		level, name, headers = unix.IPPROTO_IPV6, unix.IPV6_MTU, 40+8+4
	}
	mtu, err := unix.GetsockoptInt(fd, level, name)
	if err != nil {
		return defaultBlksize
	}
	return max(mtu-headers, defaultBlksize)
}

// routesFrom reports whether the kernel by itself would send from a.local to the
// client.
func routesFrom(a arrival) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a.client))
	if err != nil {
		return false
	}
	defer c.Close()
	from := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return from.WithZone("") == a.local.WithZone("")
}

// segment lets one write carry many blocks of size bytes (UDP_SEGMENT, Linux 4.18).
func segment(fd, size int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size)
}
