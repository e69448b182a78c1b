package dhcp

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	classPXE  = "PXEClient"
	classHTTP = "HTTPClient"

	// A client that does not say more takes 576 bytes of IP datagram
	// (RFC 2131 section 2), of which 28 are headers.
	minDatagram = 576
	maxDatagram = 1500
	ipHeaders   = 28
	// BOOTP relays and old firmware drop less (RFC 1542 section 2.1).
	minMessage = 300
)

// Reply is one message to a client. Zero fields are left out.
type Reply struct {
	Type      MessageType
	XID       uint32
	Broadcast bool
	HType     byte
	MAC       site.MAC
	CIAddr    netip.Addr
	YIAddr    netip.Addr
	SIAddr    netip.Addr // next server
	GIAddr    netip.Addr

	ServerID  netip.Addr
	Lease     time.Duration
	Mask      netip.Prefix // options 1 and 28 follow from it
	WithBcast bool
	Router    netip.Addr
	DNS       []netip.Addr
	NTP       []netip.Addr
	Hostname  string
	Domain    string
	MTU       int
	BootFile  string // option 67, and the file field when it fits
	Class     string
	Vendor    []byte
	Etherboot []byte
	Message   string // option 56, with a NAK

	MachineID []byte // echoes
	ClientID  []byte
	RelayInfo []byte

	MaxSize int // of the IP datagram; zero means 576 bytes
}

// Append writes the message behind b. Options that do not fit into what the
// client takes are left out, the least needed first; what must be echoed is
// always there.
func (r *Reply) Append(b []byte) []byte {
	w := writer{b: b, start: len(b)}
	w.header(r)
	// RFC 3046 section 2.2: the relay's option comes last.
	tail := optionSize(r.ClientID) + optionSize(r.RelayInfo) + 1

	// Without these it would be no reply, however long the echoes are.
	w.limit = math.MaxInt
	w.bytes(optType, byte(r.Type))
	w.addr(optServerID, r.ServerID)
	if r.Lease > 0 {
		w.seconds(optLeaseTime, r.Lease)
	}
	w.limit = w.start + min(max(r.MaxSize, minDatagram), maxDatagram) - ipHeaders - tail
	w.boot(r)
	w.network(r)
	w.text(optMessage, r.Message)

	w.limit = len(w.b) + tail
	w.bytes(optClientID, r.ClientID...)
	w.bytes(optRelayInfo, r.RelayInfo...)
	w.b = append(w.b, optEnd)
	for len(w.b)-w.start < minMessage {
		w.b = append(w.b, optPad)
	}
	return w.b
}

// Text shows the message for people.
func (r *Reply) Text() string {
	m, err := dhcpv4.FromBytes(r.Append(nil))
	if err != nil {
		return err.Error()
	}
	return m.Summary()
}

type writer struct {
	b            []byte
	start, limit int
}

func (w *writer) header(r *Reply) {
	var h [offOptions]byte
	h[offOp], h[offHType], h[offHLen] = opReply, r.HType, 6
	binary.BigEndian.PutUint32(h[offXID:], r.XID)
	if r.Broadcast {
		binary.BigEndian.PutUint16(h[offFlags:], flagBroadcast)
	}
	putAddr(h[offCIAddr:], r.CIAddr)
	putAddr(h[offYIAddr:], r.YIAddr)
	putAddr(h[offSIAddr:], r.SIAddr)
	putAddr(h[offGIAddr:], r.GIAddr)
	copy(h[offCHAddr:], r.MAC[:])
	if len(r.BootFile) < offCookie-offFile {
		copy(h[offFile:], r.BootFile)
	}
	binary.BigEndian.PutUint32(h[offCookie:], magicCookie)
	w.b = append(w.b, h[:]...)
}

func (w *writer) boot(r *Reply) {
	w.text(optClass, r.Class)
	w.bytes(optVendor, r.Vendor...)
	if r.BootFile != "" {
		w.text(optBootFile, r.BootFile)
		w.addrText(optTFTPServer, r.SIAddr)
	}
	w.bytes(optMachineID, r.MachineID...)
	w.bytes(optEtherboot, r.Etherboot...)
}

func (w *writer) network(r *Reply) {
	if r.Mask.IsValid() {
		mask := ^uint32(0) << (32 - r.Mask.Bits())
		w.uint32(optMask, mask)
		w.addr(optRouter, r.Router)
		w.addrs(optDNS, r.DNS)
		if r.Lease > 0 {
			w.seconds(optRenewal, r.Lease/2)
			w.seconds(optRebinding, r.Lease*7/8)
		}
		if r.WithBcast {
			net := r.Mask.Masked().Addr().As4()
			w.uint32(optBroadcast, binary.BigEndian.Uint32(net[:])|^mask)
		}
	}
	w.text(optHostname, r.Hostname)
	w.text(optDomain, r.Domain)
	if r.MTU > 0 {
		w.bytes(optMTU, byte(r.MTU>>8), byte(r.MTU))
	}
	w.addrs(optNTP, r.NTP)
}

// bytes writes an option, in parts when it is longer than one can be
// (RFC 3396), or not at all when it is empty or does not fit.
func (w *writer) bytes(code byte, v ...byte) {
	if len(v) == 0 || len(w.b)+optionSize(v) > w.limit {
		return
	}
	for len(v) > 0 {
		part := v[:min(len(v), 255)]
		w.b = append(append(w.b, code, byte(len(part))), part...)
		v = v[len(part):]
	}
}

func (w *writer) text(code byte, s string) {
	if s == "" || len(s) > 255 || len(w.b)+2+len(s) > w.limit {
		return
	}
	w.b = append(append(w.b, code, byte(len(s))), s...)
}

func (w *writer) addrText(code byte, a netip.Addr) {
	var text [15]byte
	if a.IsValid() {
		w.bytes(code, a.AppendTo(text[:0])...)
	}
}

func (w *writer) addr(code byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		w.bytes(code, v[:]...)
	}
}

// addrs writes as many addresses as fit into a small reply.
func (w *writer) addrs(code byte, list []netip.Addr) {
	var v [8 * 4]byte
	n := 0
	for _, a := range list {
		if a.Is4() && n < len(v) {
			putAddr(v[n:], a)
			n += 4
		}
	}
	w.bytes(code, v[:n]...)
}

func (w *writer) uint32(code byte, v uint32) {
	w.bytes(code, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func (w *writer) seconds(code byte, d time.Duration) {
	w.uint32(code, uint32(min(d/time.Second, 1<<32-2)))
}

func optionSize(v []byte) int { return len(v) + 2*((len(v)+254)/255) }

func putAddr(b []byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		copy(b, v[:])
	}
}
