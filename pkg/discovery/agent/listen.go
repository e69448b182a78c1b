package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/packet"

	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/lldp"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	frameSize = 2048
	everyType = 0x0003 // ETH_P_ALL
	typeARP   = 0x0806
	typeVLAN  = 0x8100
)

// neighbours listens at ports until each has heard its switch, for d at most,
// and gives what was heard by interface name.
func neighbours(ctx context.Context, ports []string, d time.Duration) map[string]site.Neighbour {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	heard := map[string]site.Neighbour{}
	for _, name := range ports {
		all.Go(func() {
			if n, ok := hear(ctx, name); ok {
				mu.Lock()
				heard[name] = n
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return heard
}

// hear waits for one LLDP frame.
func hear(ctx context.Context, name string) (n site.Neighbour, ok bool) {
	err := frames(ctx, name, lldp.EtherType, nil, func(f []byte) bool {
		n, ok = lldp.Parse(f)
		return ok
	})
	return n, err == nil && ok
}

// frames sends a frame, if there is one, every second, and hands every frame
// that comes in to done, until it says yes or the time is over.
func frames(ctx context.Context, name string, kind int, send []byte, done func([]byte) bool) error {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	c, err := packet.Listen(ifi, packet.Raw, kind, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	// LLDP goes to a group address, and cards filter VLANs that nobody uses.
	_ = c.SetPromiscuous(true)
	b := make([]byte, frameSize)
	for ctx.Err() == nil {
		if send != nil {
			_, _ = c.WriteTo(send, &packet.Addr{HardwareAddr: net.HardwareAddr(send[:6])}) // an answer shows whether it left
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, _, err := c.ReadFrom(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				pause(ctx, time.Second) // the link is down; it may come
				break
			}
			if done(b[:n]) {
				return nil
			}
		}
	}
	return ctx.Err()
}

// reach asks gateways for their hardware addresses, each over its own port.
func reach(ctx context.Context, nics []site.InventoryNIC, probes []cabling.Probe, d time.Duration) []site.Reached {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	out := make([]site.Reached, len(probes))
	var all sync.WaitGroup
	for i, p := range probes {
		out[i] = site.Reached{NIC: p.NIC, Network: p.Network}
		nic, ok := portOf(nics, p.NIC)
		if !ok || nic.Link != "up" || !p.Gateway.Is4() || !p.Source.Is4() {
			continue
		}
		all.Go(func() {
			err := frames(ctx, nic.Name, everyType, question(p), func(f []byte) bool { return answers(f, p) })
			out[i].OK = err == nil
		})
	}
	all.Wait()
	return out
}

// question is an ARP request (RFC 826), tagged where its network is.
func question(p cabling.Probe) []byte {
	b := append([]byte{255, 255, 255, 255, 255, 255}, p.NIC[:]...)
	if p.VLAN != 0 {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, typeVLAN), uint16(p.VLAN))
	}
	b = binary.BigEndian.AppendUint16(b, typeARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
	source, gateway := p.Source.As4(), p.Gateway.As4()
	b = append(append(b, p.NIC[:]...), source[:]...)
	b = append(append(b, 0, 0, 0, 0, 0, 0), gateway[:]...)
	return append(b, make([]byte, max(60-len(b), 0))...)
}

// answers reads an ARP reply of the gateway to us. Whether the card or the
// kernel took the tag off does not matter: untagged, nobody there would have
// been asked.
func answers(f []byte, p cabling.Probe) bool {
	if len(f) < 14 {
		return false
	}
	kind, rest := binary.BigEndian.Uint16(f[12:]), f[14:]
	if kind == typeVLAN && len(rest) >= 4 {
		if int(binary.BigEndian.Uint16(rest)&0xfff) != p.VLAN {
			return false
		}
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	if kind != typeARP || len(rest) < 28 || binary.BigEndian.Uint16(rest[6:]) != 2 {
		return false
	}
	return netip.AddrFrom4([4]byte(rest[14:18])) == p.Gateway && site.MAC(rest[18:24]) == p.NIC
}
