package tftp

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// relay stands between clients and a server and spoils what passes, by a seed.
type relay struct {
	server netip.AddrPort
	front  *net.UDPConn
	loss   float64 // probability for each packet, either way
	double bool    // every ACK is passed on twice

	mu   sync.Mutex
	rng  *rand.Rand
	legs map[netip.AddrPort]*leg
	wg   sync.WaitGroup

	data, acks atomic.Int64 // packets that reached the relay
}

// leg is one client's path: down faces the client, up faces the server.
type leg struct {
	down, up *net.UDPConn
	mu       sync.Mutex
	server   netip.AddrPort
}

func newRelay(t *testing.T, server netip.AddrPort, loss float64, double bool) *relay {
	t.Helper()
	r := &relay{
		server: server, loss: loss, double: double, front: loopbackSocket(t),
		rng: rand.New(rand.NewPCG(1, 2)), legs: make(map[netip.AddrPort]*leg),
	}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		for _, l := range r.legs {
			l.down.Close()
			l.up.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func loopbackSocket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := listenLoopback()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func listenLoopback() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
}

func (r *relay) addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *relay) drop() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rng.Float64() < r.loss
}

func (r *relay) accept() {
	buf := make([]byte, 2048)
	for {
		n, client, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if r.drop() {
			continue
		}
		if l := r.leg(client); l != nil {
			_, _ = l.up.WriteToUDPAddrPort(buf[:n], r.server)
		}
	}
}

func (r *relay) leg(client netip.AddrPort) *leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.legs[client]; l != nil {
		return l
	}
	down, err := listenLoopback()
	if err != nil {
		return nil
	}
	up, err := listenLoopback()
	if err != nil {
		down.Close()
		return nil
	}
	l := &leg{down: down, up: up}
	r.legs[client] = l
	r.wg.Go(func() { r.toClient(l, client) })
	r.wg.Go(func() { r.toServer(l) })
	return l
}

func (r *relay) toClient(l *leg, client netip.AddrPort) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := l.up.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.server = from
		l.mu.Unlock()
		if n > 1 && binary.BigEndian.Uint16(buf) == opDATA {
			r.data.Add(1)
		}
		if !r.drop() {
			_, _ = l.down.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}

func (r *relay) toServer(l *leg) {
	buf := make([]byte, 2048)
	for {
		n, _, err := l.down.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		r.acks.Add(1)
		l.mu.Lock()
		to := l.server
		l.mu.Unlock()
		for range map[bool]int{false: 1, true: 2}[r.double] {
			if !r.drop() {
				_, _ = l.up.WriteToUDPAddrPort(buf[:n], to)
			}
		}
	}
}
