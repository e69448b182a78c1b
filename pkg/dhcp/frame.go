package dhcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	etherHeader = 14
	ipHeader    = 20
	udpHeader   = 8
	frameHeader = etherHeader + ipHeader + udpHeader
	protocolUDP = 17
	timeToLive  = 64
)

// appendFrame writes an Ethernet frame with one UDP datagram to a client that
// cannot answer ARP yet. The checksum is real: AF_PACKET leaves nothing to
// the card, and clients on raw sockets drop what does not add up.
func appendFrame(b []byte, dst site.MAC, src site.MAC, from, to netip.AddrPort, payload []byte) []byte {
	b = append(append(append(b, dst[:]...), src[:]...), 0x08, 0x00)
	ip, length := len(b), ipHeader+udpHeader+len(payload)
	b = append(b, 0x45, 0x10, byte(length>>8), byte(length), 0, 0, 0x40, 0, timeToLive, protocolUDP, 0, 0)
	source, target := from.Addr().As4(), to.Addr().As4()
	b = append(append(b, source[:]...), target[:]...)
	binary.BigEndian.PutUint16(b[ip+10:], ^sum(0, b[ip:]))

	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpHeader+len(payload)))
	b = append(append(b, 0, 0), payload...)
	pseudo := uint32(protocolUDP) + uint32(udpHeader+len(payload))
	check := ^sum(pseudo+uint32(sum(0, source[:]))+uint32(sum(0, target[:])), b[udp:])
	if check == 0 {
		check = 0xffff // RFC 768: zero would mean "no checksum"
	}
	binary.BigEndian.PutUint16(b[udp+6:], check)
	return b
}

// sum is the Internet checksum's sum (RFC 1071), not inverted.
func sum(start uint32, b []byte) uint16 {
	s := start
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
