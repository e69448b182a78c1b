package survey

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	etherHeader = 14
	typeIPv4    = 0x0800
	typeARP     = 0x0806
	protocolUDP = 17
)

func everyone() site.MAC { return site.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// discoverFrame is an Ethernet frame from 0.0.0.0:68 to 255.255.255.255:67.
func discoverFrame(src site.MAC, payload []byte) []byte {
	dst := everyone()
	b := append(append(dst[:], src[:]...), typeIPv4>>8, typeIPv4&0xff)
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocolUDP, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+8+len(payload)))
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	b = append(b, ip...)
	b = binary.BigEndian.AppendUint16(b, 68)
	b = binary.BigEndian.AppendUint16(b, 67)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	// RFC 768: zero means that there is no checksum.
	return append(append(b, 0, 0), payload...)
}

// dhcpFilter has the kernel pass what goes to DHCP servers and what comes from
// them and from PXE boot servers, all of UDP over IPv4: a socket that is also
// handed the images that are served loses, in a storm, what it waits for.
func dhcpFilter() []bpf.RawInstruction {
	const whole = 65535
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: etherHeader + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolUDP, SkipTrue: 9},
		bpf.LoadAbsolute{Off: etherHeader + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 7}, // a later fragment has no ports
		bpf.LoadMemShift{Off: etherHeader},
		bpf.LoadIndirect{Off: etherHeader, Size: 2}, // source port
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 67, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4011, SkipTrue: 2},
		bpf.LoadIndirect{Off: etherHeader + 2, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 67, SkipTrue: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil // every frame is then read here
	}
	return filter
}

func checksum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// datagram is a UDP datagram over IPv4 found in a frame.
type datagram struct {
	mac      site.MAC // who sent the frame
	src, dst netip.AddrPort
	payload  []byte
}

// parseDatagram reads an Ethernet frame. Fragments and what is cut short are
// not for us.
func parseDatagram(f []byte) (d datagram, ok bool) {
	if len(f) < etherHeader+20 || binary.BigEndian.Uint16(f[12:]) != typeIPv4 {
		return d, false
	}
	ip := f[etherHeader:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	fragment := binary.BigEndian.Uint16(ip[6:]) & 0x3fff
	if ip[0]>>4 != 4 || header < 20 || total < header+8 || total > len(ip) || ip[9] != protocolUDP || fragment != 0 {
		return d, false
	}
	udp := ip[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < 8 || length > len(udp) {
		return d, false
	}
	d.mac = site.MAC(f[6:12])
	d.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(udp))
	d.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(udp[2:]))
	d.payload = udp[8:length]
	return d, true
}

// arpProbe asks who has an address without claiming one (RFC 5227 section
// 2.1.1).
func arpProbe(src site.MAC, target netip.Addr) []byte {
	dst, t := everyone(), target.As4()
	b := append(append(dst[:], src[:]...), typeARP>>8, typeARP&0xff)
	b = append(b, 0, 1, typeIPv4>>8, typeIPv4&0xff, 6, 4, 0, 1)
	b = append(append(b, src[:]...), 0, 0, 0, 0)
	b = append(append(b, 0, 0, 0, 0, 0, 0), t[:]...)
	return append(b, make([]byte, 60-len(b))...)
}

// parseARP gives the address that a station shows to be its own.
func parseARP(f []byte) (owner netip.Addr, mac site.MAC, ok bool) {
	if len(f) < etherHeader+28 || binary.BigEndian.Uint16(f[12:]) != typeARP {
		return owner, mac, false
	}
	a := f[etherHeader:]
	if binary.BigEndian.Uint16(a[2:]) != typeIPv4 || a[4] != 6 || a[5] != 4 {
		return owner, mac, false
	}
	owner = netip.AddrFrom4([4]byte(a[14:18]))
	return owner, site.MAC(a[8:14]), !owner.IsUnspecified()
}
