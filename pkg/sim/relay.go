package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// relaySourcePort is sub-option 19 of option 82 (RFC 8357): the server
// answers to the port that the relay sent from, not to port 67.
const relaySourcePort = 19

// Relay carries the machines' DHCP to the server, as the relay agent of a
// rack switch would.
type Relay struct {
	conn   *net.UDPConn
	addr   netip.Addr
	server netip.AddrPort

	mu      sync.Mutex
	waiting map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4
}

// NewRelay opens a relay at an address of the machines' network. Run must be
// called before anything is exchanged.
func NewRelay(addr netip.Addr, server netip.AddrPort) (*Relay, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("opening the relay: %w", err)
	}
	return &Relay{conn: conn, addr: addr, server: server, waiting: map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4{}}, nil
}

// Run hands out replies until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	defer stop()
	buf := make([]byte, 2048)
	for {
		n, err := r.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// A refused port is reported by the next call; the server may
			// come back.
			continue
		}
		p, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			continue
		}
		r.mu.Lock()
		reply := r.waiting[p.TransactionID]
		r.mu.Unlock()
		select {
		case reply <- p:
		default:
		}
	}
}

// Exchange sends a message and waits for the first reply to it, until ctx
// ends.
func (r *Relay) Exchange(ctx context.Context, p *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	p.GatewayIPAddr = r.addr.AsSlice()
	p.HopCount = 1
	p.UpdateOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(relaySourcePort), nil)))
	reply := make(chan *dhcpv4.DHCPv4, 1)
	r.mu.Lock()
	r.waiting[p.TransactionID] = reply
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiting, p.TransactionID)
		r.mu.Unlock()
	}()
	if _, err := r.conn.WriteToUDPAddrPort(p.ToBytes(), r.server); err != nil {
		return nil, fmt.Errorf("relaying to %s: %w", r.server, err)
	}
	select {
	case answer := <-reply:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
