package storm

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// Offsets of the BOOTP header (RFC 951, RFC 2131 section 2).
const (
	offXID     = 4
	offSecs    = 8
	offYIAddr  = 16
	offGIAddr  = 24
	offCHAddr  = 28
	offCookie  = 236
	offOptions = 240
)

// Message types (RFC 2132 section 9.6).
const (
	msgDiscover = 1
	msgOffer    = 2
	msgRequest  = 3
	msgACK      = 5
	msgNAK      = 6
)

const (
	optRequestedIP  = 50
	optMessageType  = 53
	optServerID     = 54
	optParameters   = 55
	optMaxSize      = 57
	optVendorClass  = 60
	optRelayInfo    = 82
	optArch         = 93
	optUNDI         = 94
	optMachineID    = 97
	optEnd          = 255
	relayCircuitID  = 1
	relaySourcePort = 19 // RFC 8357 section 4: no payload; answer to the port I send from
)

const cookie = 0x63825363

// template is a DHCP message of a PXE client behind a relay, complete but for
// the few bytes that differ between clients.
type template struct {
	bytes       []byte
	offUUID     int
	offOffered  int // REQUEST only: option 50 and 54
	offServerID int
}

// newTemplate builds a DISCOVER or REQUEST as PXE firmware sends it (PXE 2.1
// table 2-1: options 93, 94, 97 and the class string), relayed by giaddr.
func newTemplate(kind byte, giaddr netip.Addr, arch uint16, ownPort bool) template {
	var t template
	b := make([]byte, offOptions, 400)
	b[0], b[1], b[2], b[3] = 1, 1, 6, 1
	ip := giaddr.As4()
	copy(b[offGIAddr:], ip[:])
	binary.BigEndian.PutUint32(b[offCookie:], cookie)
	option := func(code byte, v ...byte) int {
		b = append(b, code, byte(len(v)))
		b = append(b, v...)
		return len(b) - len(v)
	}
	option(optMessageType, kind)
	if kind == msgRequest {
		t.offOffered = option(optRequestedIP, 0, 0, 0, 0)
		t.offServerID = option(optServerID, 0, 0, 0, 0)
	}
	option(optMaxSize, 1500>>8, 1500&0xff)
	option(optParameters, 1, 2, 3, 6, 12, 15, 28, 42, 43, 51, 54, 60, 66, 67, 97)
	option(optVendorClass, fmt.Appendf(nil, "PXEClient:Arch:%05d:UNDI:003016", arch)...)
	option(optArch, byte(arch>>8), byte(arch))
	option(optUNDI, 1, 3, 16)
	t.offUUID = option(optMachineID, make([]byte, 17)...) + 1
	relay := []byte{relayCircuitID, 5, 's', 't', 'o', 'r', 'm'}
	if ownPort {
		relay = append(relay, relaySourcePort, 0)
	}
	option(optRelayInfo, relay...)
	t.bytes = append(b, optEnd)
	return t
}

// fill writes the message of one client into buf and returns its length.
func (t *template) fill(buf []byte, xid uint32, mac MAC, secs uint16) int {
	n := copy(buf, t.bytes)
	binary.BigEndian.PutUint32(buf[offXID:], xid)
	binary.BigEndian.PutUint16(buf[offSecs:], secs)
	copy(buf[offCHAddr:], mac[:])
	copy(buf[t.offUUID+10:], mac[:])
	return n
}

// reply is all that the generator reads from a server's answer.
type reply struct {
	xid      uint32
	mac      MAC
	kind     byte
	yiaddr   [4]byte
	serverID [4]byte
}

// parseReply reads a BOOTREPLY; ok is false for anything else. It looks no
// further than it must: the generator has to be cheaper than the server.
func parseReply(b []byte) (r reply, ok bool) {
	if len(b) < offOptions || b[0] != 2 || binary.BigEndian.Uint32(b[offCookie:]) != cookie {
		return reply{}, false
	}
	r.xid = binary.BigEndian.Uint32(b[offXID:])
	r.yiaddr = [4]byte(b[offYIAddr:])
	r.mac = MAC(b[offCHAddr:])
	for o := b[offOptions:]; len(o) > 0 && o[0] != optEnd; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return reply{}, false
		}
		switch v := o[2 : 2+int(o[1])]; {
		case o[0] == optMessageType && len(v) == 1:
			r.kind = v[0]
		case o[0] == optServerID && len(v) == 4:
			r.serverID = [4]byte(v)
		}
		o = o[2+int(o[1]):]
	}
	return r, r.kind != 0
}

// MAC is an Ethernet address.
type MAC [6]byte

// DefaultMAC is the first client's address when a config names none: locally
// administered, so that no real machine has it.
func DefaultMAC() MAC { return MAC{0x02, 0x5e, 0xed} }

// ParseMAC reads six octets in any form net.ParseMAC takes.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, err
	}
	if len(hw) != 6 {
		return MAC{}, fmt.Errorf("MAC address %q has %d octets, want 6", s, len(hw))
	}
	return MAC(hw), nil
}

// Add returns the address n after m, counting in the last four octets.
func (m MAC) Add(n int) MAC {
	binary.BigEndian.PutUint32(m[2:], binary.BigEndian.Uint32(m[2:])+uint32(n))
	return m
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText writes the colon form.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMAC reads.
func (m *MAC) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMAC(string(b))
	return err
}
