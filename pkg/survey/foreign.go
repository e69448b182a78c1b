package survey

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	windows = 3
	// window outlasts a dnsmasq that pings for 3 s before it offers, on a wire
	// with relays.
	window = 4 * time.Second
)

// DHCPServer is a DHCP server that was heard on the wire.
type DHCPServer struct {
	ServerID netip.Addr    `json:"server_id"` // option 54, or the source address without it
	MAC      site.MAC      `json:"mac"`       // of the frame: the server, or the relay before it
	Offered  netip.Addr    `json:"offered"`   // invalid from a proxyDHCP server
	Subnet   netip.Prefix  `json:"subnet"`
	Router   netip.Addr    `json:"router"`
	BootFile string        `json:"boot_file,omitempty"`
	Proxy    bool          `json:"proxy,omitempty"`    // offers boot files, no addresses
	Client   site.MAC      `json:"client,omitzero"`    // who took its offer, where only that was heard
	After    time.Duration `json:"after_ns,omitempty"` // from our DISCOVER to its OFFER
}

// Search is a search for DHCP servers; Foreign runs one with its defaults.
type Search struct {
	Interface string
	Windows   int           // zero means 3
	Window    time.Duration // to listen after each DISCOVER; zero means 4 s
	Rand      io.Reader     // nil means crypto/rand
}

// Foreign lists the DHCP servers that answer on an interface. It sends three
// DISCOVERs, the second as PXE firmware, from a random locally administered
// MAC, and listens for 4 s after each. It takes no lease.
func Foreign(ctx context.Context, iface string) ([]DHCPServer, error) {
	return Search{Interface: iface}.Run(ctx)
}

// Run searches until the last window has passed or ctx ends; then it returns
// the error of ctx with what was heard until then.
func (s Search) Run(ctx context.Context) ([]DHCPServer, error) {
	if s.Windows == 0 {
		s.Windows = windows
	}
	if s.Window == 0 {
		s.Window = window
	}
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	conn, err := listen(s.Interface, typeIPv4, dhcpFilter())
	if err != nil {
		return nil, fmt.Errorf("searching for DHCP servers on %s: %w", s.Interface, err)
	}
	defer conn.Close()
	// A server that ignores the broadcast flag answers to the made-up MAC.
	if err := conn.SetPromiscuous(true); err != nil {
		return nil, fmt.Errorf("searching for DHCP servers on %s: %w", s.Interface, err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	return s.search(ctx, conn)
}

func (s Search) search(ctx context.Context, conn *packet.Conn) ([]DHCPServer, error) {
	var random [10]byte
	if _, err := io.ReadFull(s.Rand, random[:]); err != nil {
		return nil, fmt.Errorf("making up a MAC: %w", err)
	}
	mac := site.MAC(random[:6])
	mac[0] = mac[0]&^1 | 2
	xid := binary.BigEndian.Uint32(random[6:])
	found := heard{}
	sent := map[uint32]time.Time{}
	for i := range s.Windows {
		id := xid + uint32(i)
		if _, err := conn.WriteTo(discoverFrame(mac, discover(mac, id, i%2 == 1)), &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}); err != nil {
			return found.list(), fmt.Errorf("sending a DISCOVER on %s: %w", s.Interface, err)
		}
		sent[id] = time.Now()
		if err := conn.SetReadDeadline(sent[id].Add(s.Window)); err != nil {
			return found.list(), err
		}
		if ctx.Err() != nil {
			return found.list(), ctx.Err()
		}
		err := receive(conn, func(d DHCPServer, m *dhcpv4.DHCPv4) {
			at, ours := sent[binary.BigEndian.Uint32(m.TransactionID[:])]
			if ours && m.ClientHWAddr.String() == mac.String() {
				d.After = time.Since(at)
				found.add(d)
			}
		})
		switch {
		case ctx.Err() != nil:
			return found.list(), ctx.Err()
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return found.list(), fmt.Errorf("listening on %s: %w", s.Interface, err)
		}
	}
	return found.list(), nil
}

// listen opens a packet socket for what filter, if there is one, lets pass.
func listen(iface string, protocol int, filter []bpf.RawInstruction) (*packet.Conn, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("finding the interface: %w", err)
	}
	conn, err := packet.Listen(ifi, packet.Raw, protocol, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket (it needs root or CAP_NET_RAW): %w", err)
	}
	return conn, nil
}

func discover(mac site.MAC, xid uint32, pxe bool) []byte {
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: mac[:], Options: dhcpv4.Options{}}
	binary.BigEndian.PutUint32(m.TransactionID[:], xid)
	m.SetBroadcast()
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
	m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionBootfileName))
	if pxe {
		m.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016"))
		m.UpdateOption(dhcpv4.OptClientArch(iana.EFI_X86_64))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 3, 16}))
	}
	return m.ToBytes()
}

// receive hands on every OFFER, ACK and NAK until the read deadline.
func receive(conn *packet.Conn, f func(DHCPServer, *dhcpv4.DHCPv4)) error {
	return receiveFrames(conn, func(frame []byte) {
		if d, m, ok := parseReply(frame); ok {
			f(d, m)
		}
	})
}

func receiveFrames(conn *packet.Conn, f func([]byte)) error {
	buf := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		f(buf[:n])
	}
}

// parseReply reads what a DHCP server says in a frame.
func parseReply(frame []byte) (DHCPServer, *dhcpv4.DHCPv4, bool) {
	d, ok := parseDatagram(frame)
	if !ok || d.src.Port() != 67 && d.src.Port() != 4011 {
		return DHCPServer{}, nil, false
	}
	m, err := dhcpv4.FromBytes(d.payload)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootReply {
		return DHCPServer{}, nil, false
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak:
	default:
		return DHCPServer{}, nil, false
	}
	s := DHCPServer{ServerID: d.src.Addr(), MAC: d.mac, BootFile: site.Printable(m.BootFileName, 128)}
	if id := addr(m.ServerIdentifier()); id.IsValid() {
		s.ServerID = id
	}
	if name := m.BootFileNameOption(); name != "" {
		s.BootFile = site.Printable(name, 128)
	}
	s.Offered = addr(m.YourIPAddr)
	s.Proxy = !s.Offered.IsValid() && m.MessageType() == dhcpv4.MessageTypeOffer
	if ones, bits := m.SubnetMask().Size(); bits == 32 && s.Offered.IsValid() {
		s.Subnet = netip.PrefixFrom(s.Offered, ones).Masked()
	}
	if r := m.Router(); len(r) > 0 {
		s.Router = addr(r[0])
	}
	return s, m, true
}

// parseChoice reads of the server whose offer a client takes. A server that
// answers one client alone is heard by nobody else; the client then tells all
// of them whom it took (RFC 2131 section 3.1, step 3).
func parseChoice(frame []byte) (DHCPServer, bool) {
	d, ok := parseDatagram(frame)
	if !ok || d.dst.Port() != 67 {
		return DHCPServer{}, false
	}
	m, err := dhcpv4.FromBytes(d.payload)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootRequest || m.MessageType() != dhcpv4.MessageTypeRequest || addr(m.GatewayIPAddr).IsValid() {
		return DHCPServer{}, false
	}
	s := DHCPServer{ServerID: addr(m.ServerIdentifier()), Offered: addr(m.RequestedIPAddress()), Client: d.mac}
	return s, s.ServerID.IsValid()
}

func addr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// heard keeps the first word of each server.
type heard map[serverKey]DHCPServer

type serverKey struct {
	id    netip.Addr
	mac   site.MAC
	proxy bool
}

func (h heard) add(d DHCPServer) {
	k := serverKey{d.ServerID, d.MAC, d.Proxy}
	if before, ok := h[k]; ok && (before.BootFile != "" || d.BootFile == "") {
		return
	}
	h[k] = d
}

func (h heard) list() []DHCPServer {
	var all []DHCPServer
	for _, d := range h {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b DHCPServer) int {
		return cmp.Or(a.ServerID.Compare(b.ServerID), slices.Compare(a.MAC[:], b.MAC[:]), cmp.Compare(a.BootFile, b.BootFile))
	})
	return all
}

// Watcher listens for DHCP servers and says nothing.
type Watcher struct{ conn *packet.Conn }

// Listen opens the socket of a Watcher.
func Listen(iface string) (*Watcher, error) {
	conn, err := listen(iface, typeIPv4, dhcpFilter())
	if err != nil {
		return nil, fmt.Errorf("watching for DHCP servers on %s: %w", iface, err)
	}
	return &Watcher{conn: conn}, nil
}

// Run calls found for everything that a DHCP server says on the wire, and for
// every client that takes a server's offer, until ctx ends, and closes the
// socket. What this machine itself sends on a
// packet socket is heard too: the caller knows its own addresses. An interface
// that goes down is listened to again once it is up.
func (w *Watcher) Run(ctx context.Context, found func(DHCPServer)) error {
	defer w.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		err := receiveFrames(w.conn, func(frame []byte) {
			d, _, ok := parseReply(frame)
			if !ok {
				d, ok = parseChoice(frame)
			}
			if ok {
				found(d)
			}
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, syscall.ENETDOWN): // it is said once, packet(7), and the next read waits
			return fmt.Errorf("watching for DHCP servers: %w", err)
		}
	}
}
