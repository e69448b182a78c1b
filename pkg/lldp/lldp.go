// Package lldp reads what a switch says of itself on a port: IEEE Std
// 802.1AB-2016, with the port VLAN of 802.1Q annex D and the maximum frame
// size of 802.3 clause 79. It is pure.
package lldp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// EtherType is that of LLDP frames.
const EtherType = 0x88cc

// Group is the address that LLDP frames are sent to and that no bridge
// forwards.
var Group = site.MAC{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// The types of TLVs that tell of the neighbour.
const (
	typeEnd             = 0
	typeChassis         = 1
	typePort            = 2
	typePortDescription = 4
	typeSystemName      = 5
	typeOrganisation    = 127
)

const (
	etherHeader = 14
	typeVLAN    = 0x8100
	maxText     = 128
)

// Parse reads an Ethernet frame. Ok is false for whatever is not LLDP, is cut
// short, or lacks what every LLDP frame begins with.
func Parse(frame []byte) (n site.Neighbour, ok bool) {
	if len(frame) < etherHeader {
		return n, false
	}
	kind, rest := binary.BigEndian.Uint16(frame[12:]), frame[etherHeader:]
	if kind == typeVLAN && len(rest) >= 4 {
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	if kind != EtherType {
		return n, false
	}
	var r reader
	if !r.read(rest) {
		return n, false
	}
	return r.neighbour(), true
}

type reader struct {
	chassis, port, description, name string
	portIsMAC                        bool
	vlan, mtu                        int
}

// read goes through the TLVs: chassis and port must come first.
func (r *reader) read(b []byte) bool {
	for i := 0; ; i++ {
		if len(b) < 2 {
			return i >= 3 // some switches leave out the end
		}
		head := binary.BigEndian.Uint16(b)
		kind, length := int(head>>9), int(head&0x1ff)
		if len(b) < 2+length {
			return false
		}
		value := b[2 : 2+length]
		b = b[2+length:]
		switch {
		case i == 0 && kind != typeChassis, i == 1 && kind != typePort:
			return false
		case kind == typeEnd:
			return i >= 2
		}
		if !r.tlv(kind, value) {
			return false
		}
	}
}

func (r *reader) tlv(kind int, v []byte) bool {
	switch kind {
	case typeChassis:
		if len(v) < 2 {
			return false
		}
		r.chassis = id(v[0] == 4, v[0] == 5, v[1:])
	case typePort:
		if len(v) < 2 {
			return false
		}
		r.portIsMAC = v[0] == 3
		r.port = id(r.portIsMAC, v[0] == 4, v[1:])
	case typePortDescription:
		r.description = text(v)
	case typeSystemName:
		r.name = text(v)
	case typeOrganisation:
		r.organisation(v)
	}
	return true
}

// id is a chassis or a port: a MAC address, a network address with its family
// (IANA address family numbers) in front, or a text.
func id(mac, network bool, v []byte) string {
	switch {
	case mac && len(v) == 6:
		return site.MAC(v).String()
	case network && len(v) == 5 && v[0] == 1:
		return netip.AddrFrom4([4]byte(v[1:])).String()
	}
	if t := text(v); t != "" {
		return t
	}
	return hex.EncodeToString(v)
}

func text(v []byte) string { return strings.TrimSpace(site.Printable(string(v), maxText)) }

func (r *reader) organisation(v []byte) {
	if len(v) < 6 {
		return
	}
	number := int(binary.BigEndian.Uint16(v[4:]))
	switch [4]byte(v) {
	case [4]byte{0x00, 0x80, 0xc2, 1}: // IEEE 802.1, port VLAN ID
		r.vlan = number & 0xfff
	case [4]byte{0x00, 0x12, 0x0f, 4}: // IEEE 802.3, maximum frame size
		r.mtu = number
	}
}

// neighbour prefers what people call switch and port.
func (r *reader) neighbour() site.Neighbour {
	n := site.Neighbour{Switch: r.name, Port: r.port, VLAN: r.vlan, MTU: r.mtu}
	if n.Switch == "" {
		n.Switch = r.chassis
	}
	if r.portIsMAC && r.description != "" || n.Port == "" {
		n.Port = r.description
	}
	return n
}
