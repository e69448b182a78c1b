package lab

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// advertiseEvery is shorter than any client's wait for a router.
const advertiseEvery = time.Second

// AdvertiseRouter announces an IPv6 prefix and no default route, once a second until the test ends.
// Without any announcement each iPXE waits 13 s for one, and Debian's installer another 9.
func (l *Lab) AdvertiseRouter() {
	l.t.Helper()
	var conn *packet.Conn
	err := l.sw.do(func() error {
		ifi, err := net.InterfaceByName(bridge)
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_LOOP, nil)
		}
		return err
	})
	if err != nil {
		l.t.Fatalf("advertising a router: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { advertise(ctx, conn, routerAdvertisement()) })
	l.t.Cleanup(func() {
		cancel()
		running.Wait()
		conn.Close()
	})
}

func advertise(ctx context.Context, conn *packet.Conn, frame []byte) {
	tick := time.NewTicker(advertiseEvery)
	defer tick.Stop()
	for {
		// A lost announcement is followed by the next.
		_, _ = conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[0:6]})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// routerAdvertisement is an Ethernet frame to all nodes (RFC 4861 section 4.2) with one prefix for
// address autoconfiguration and a router lifetime of zero.
func routerAdvertisement() []byte {
	mac := net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
	src, dst := net.ParseIP("fe80::1"), net.ParseIP("ff02::1")

	icmp := []byte{134, 0, 0, 0, 64, 0, 0, 0}
	icmp = append(icmp, make([]byte, 8)...) // reachable time, retransmission timer
	icmp = append(icmp, 1, 1)               // option: source link-layer address
	icmp = append(icmp, mac...)
	icmp = append(icmp, 3, 4, 64, 0xc0)              // option: prefix /64, on link, autonomous
	icmp = binary.BigEndian.AppendUint32(icmp, 3600) // valid, seconds
	icmp = binary.BigEndian.AppendUint32(icmp, 3600) // preferred, seconds
	icmp = append(icmp, 0, 0, 0, 0)                  // reserved
	icmp = append(icmp, net.ParseIP("fd00:1ab::").To16()...)
	binary.BigEndian.PutUint16(icmp[2:], sum6(src, dst, icmp))
	ip := []byte{0x60, 0, 0, 0, 0, byte(len(icmp)), 58, 255} // hop limit 255: RFC 4861 section 6.1.2
	ip = append(append(ip, src.To16()...), dst.To16()...)
	frame := append([]byte{0x33, 0x33, 0, 0, 0, 0x01}, mac...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_IPV6)
	return append(append(frame, ip...), icmp...)
}

// sum6 is the ICMPv6 checksum over the pseudo-header of RFC 8200 section 8.1 and the message.
func sum6(src, dst net.IP, icmp []byte) uint16 {
	data := append(append([]byte{}, src.To16()...), dst.To16()...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(icmp)))
	data = append(append(data, 0, 0, 0, 58), icmp...)
	var sum uint32
	for i := 0; i < len(data)-1; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
