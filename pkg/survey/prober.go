package survey

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	probeTime  = 500 * time.Millisecond
	probeEvery = 150 * time.Millisecond
)

// Prober finds out whether somebody uses an address. Many probes may run at
// once; they share two sockets.
type Prober struct {
	mac  site.MAC
	arp  *packet.Conn
	icmp net.PacketConn

	readers sync.WaitGroup
	closed  chan struct{}
	mu      sync.Mutex
	waiting map[netip.Addr][]chan site.MAC
	batches []*batch
}

// OpenProber opens the sockets of a Prober on an interface, which needs root
// or CAP_NET_RAW. Close ends it.
func OpenProber(ctx context.Context, iface string) (*Prober, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("probing on %s: finding the interface: %w", iface, err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, fmt.Errorf("probing on %s: it has no Ethernet address", iface)
	}
	arp, err := listen(iface, typeARP, nil)
	if err != nil {
		return nil, fmt.Errorf("probing on %s: %w", iface, err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), iface) })
		return errors.Join(err, failed)
	}}
	echo, err := lc.ListenPacket(ctx, "ip4:icmp", "0.0.0.0")
	if err != nil {
		arp.Close()
		return nil, fmt.Errorf("probing on %s: opening an ICMP socket: %w", iface, err)
	}
	p := &Prober{mac: site.MAC(ifi.HardwareAddr), arp: arp, icmp: echo, closed: make(chan struct{}), waiting: map[netip.Addr][]chan site.MAC{}}
	p.readers.Go(p.readARP)
	p.readers.Go(p.readICMP)
	return p, nil
}

// Close closes the sockets and waits for their readers.
func (p *Prober) Close() {
	close(p.closed)
	p.arp.Close()
	p.icmp.Close()
	p.readers.Wait()
}

// Probe asks by ARP (when the address is on the interface's own wire) and by
// ICMP echo, at once, for half a second. The MAC is zero when only ICMP was
// answered.
func (p *Prober) Probe(ctx context.Context, a netip.Addr, onLink bool) (inUse bool, by site.MAC, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	answers := p.wait(a)
	defer p.forget(a, answers)
	if err := p.ask(a, onLink); err != nil {
		return false, site.MAC{}, err
	}
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		select {
		case mac := <-answers:
			inUse = true
			// An echo reply does not tell whose it is: the ARP reply will.
			if !onLink || mac != (site.MAC{}) {
				return true, mac, nil
			}
		case <-again.C:
			if onLink {
				if err := p.askARP(a); err != nil {
					return false, site.MAC{}, err
				}
			}
		case <-ctx.Done():
			return inUse, site.MAC{}, nil
		}
	}
}

func (p *Prober) ask(a netip.Addr, onLink bool) error {
	if onLink {
		if err := p.askARP(a); err != nil {
			return err
		}
	}
	// Without a route there is nobody to ask by ICMP; ARP has been asked.
	if err := p.askICMP(a); err != nil && !onLink {
		return err
	}
	return nil
}

func (p *Prober) askICMP(a netip.Addr) error {
	echo, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(binary.BigEndian.Uint16(p.mac[4:])), Seq: 1, Data: []byte("is anybody there?")}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("probing %s: %w", a, err)
	}
	if _, err := p.icmp.WriteTo(echo, &net.IPAddr{IP: a.AsSlice()}); err != nil {
		return fmt.Errorf("probing %s: %w", a, err)
	}
	return nil
}

func (p *Prober) askARP(a netip.Addr) error {
	if _, err := p.arp.WriteTo(arpProbe(p.mac, a), &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}); err != nil {
		return fmt.Errorf("probing %s: %w", a, err)
	}
	return nil
}

func (p *Prober) wait(a netip.Addr) chan site.MAC {
	c := make(chan site.MAC, 2)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[a] = append(p.waiting[a], c)
	return c
}

func (p *Prober) forget(a netip.Addr, c chan site.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []chan site.MAC
	for _, other := range p.waiting[a] {
		if other != c {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(p.waiting, a)
		return
	}
	p.waiting[a] = rest
}

func (p *Prober) tell(a netip.Addr, mac site.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.batches {
		b.heard(a, mac)
	}
	for _, c := range p.waiting[a] {
		select {
		case c <- mac:
		default:
		}
	}
}

// ended waits a little after a failed read, and tells whether Close was why:
// an interface that goes down fails reads that succeed again later.
func (p *Prober) ended() bool {
	t := time.NewTimer(probeEvery)
	defer t.Stop()
	select {
	case <-p.closed:
		return true
	case <-t.C:
		return false
	}
}

func (p *Prober) readARP() {
	buf := make([]byte, 256)
	for {
		n, _, err := p.arp.ReadFrom(buf)
		if err != nil {
			if p.ended() {
				return
			}
			continue
		}
		if owner, mac, ok := parseARP(buf[:n]); ok && mac != p.mac {
			p.tell(owner, mac)
		}
	}
}

func (p *Prober) readICMP() {
	buf := make([]byte, 1500)
	for {
		n, from, err := p.icmp.ReadFrom(buf)
		if err != nil {
			if p.ended() {
				return
			}
			continue
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
			continue
		}
		if ip, ok := from.(*net.IPAddr); ok {
			p.tell(addr(ip.IP), site.MAC{})
		}
	}
}
