package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// MaxClients bounds the machines of one rehearsal.
const MaxClients = 1 << clientBits

// DHCPConfig says who asks whom for addresses, and how fast. The simulated
// machines sit behind one relay agent, which is this host: answers go to the
// relay's address, so no other machine hears them.
type DHCPConfig struct {
	Server  netip.AddrPort // port 0 means 67
	Relay   netip.Addr     // giaddr; the zero Addr means this host's address toward Server
	Port    uint16         // source port; 0 means 67 if this process may bind it, else any, with RFC 8357
	Clients int            // default 1
	MAC     *MAC           // of the first client; default DefaultMAC
	Arch    uint16         // option 93 (RFC 4578, IANA); 0 is BIOS, 7 UEFI x64
	Repeat  int            // exchanges by each client, default 1: the first is cold, the others warm

	InFlight int     // closed loop: exchanges under way at once, default 32
	Rate     float64 // open loop: exchanges begun per second, however slow the server; 0 means closed loop

	Timeout time.Duration // before the first retransmission, then doubled; default 1 s
	Tries   int           // messages sent before an exchange has failed, default 4
	Limit   time.Duration // of the whole rehearsal, default 60 s

	PIDs        []int // server processes on this host whose CPU and memory to report
	AllowPublic bool
	Progress    func(Progress) `json:"-"`
}

// DHCPResult is what one DHCP rehearsal found.
type DHCPResult struct {
	Server         netip.AddrPort `json:"server"`
	Relay          netip.Addr     `json:"relay"`
	SourcePort     bool           `json:"relay_source_port"` // RFC 8357 was asked for
	Clients        int            `json:"clients"`
	Cold           DHCPPhase      `json:"cold"`
	Warm           *DHCPPhase     `json:"warm,omitempty"`
	GeneratorDrops uint64         `json:"generator_drops"` // answers this process was too slow to read
}

// DHCPPhase counts the first exchange of every client, or all later ones.
type DHCPPhase struct {
	Exchanges     int           `json:"exchanges"` // asked for
	Finished      int           `json:"finished"`
	Failed        int           `json:"failed"` // no answer to any try, or NAK to every one
	Sent          int           `json:"sent"`
	Received      int           `json:"received"`
	Retransmitted int           `json:"retransmitted"`
	NAKs          int           `json:"naks"`
	Strays        int           `json:"strays"`    // answers nobody waited for any more
	Conflicts     int           `json:"conflicts"` // ACKs for an address another client holds
	Elapsed       time.Duration `json:"elapsed_ns"`
	PerSecond     float64       `json:"per_second"` // finished, while there were more to begin
	Latency       Latency       `json:"latency"`    // from the intended start to the ACK
	Process       *Process      `json:"process,omitempty"`
}

// OK tells whether every exchange ended with an ACK of an address of its own.
func (r DHCPResult) OK() bool { return r.Cold.ok() && (r.Warm == nil || r.Warm.ok()) }

func (p DHCPPhase) ok() bool { return p.Finished == p.Exchanges && p.Conflicts == 0 }

// withDefaults fills what the caller left zero and refuses what cannot be run.
func (c DHCPConfig) withDefaults() (DHCPConfig, error) {
	if c.Server.Port() == 0 {
		c.Server = netip.AddrPortFrom(c.Server.Addr(), dhcpPort)
	}
	if err := checkTarget(c.Server.Addr(), c.AllowPublic); err != nil {
		return c, err
	}
	if !c.Server.Addr().Is4() {
		return c, fmt.Errorf("DHCP server %s: want an IPv4 address", c.Server)
	}
	if c.MAC == nil {
		m := DefaultMAC()
		c.MAC = &m
	}
	c.Clients = orDefault(c.Clients, 1)
	c.Repeat = orDefault(c.Repeat, 1)
	c.InFlight = orDefault(c.InFlight, 32)
	c.Tries = orDefault(c.Tries, 4)
	c.Timeout = orDefault(c.Timeout, time.Second)
	c.Limit = orDefault(c.Limit, time.Minute)
	switch {
	case c.Clients < 1 || c.Clients > MaxClients:
		return c, fmt.Errorf("clients: %d, want 1 to %d", c.Clients, MaxClients)
	case c.Repeat < 1 || c.InFlight < 1 || c.Rate < 0:
		return c, errors.New("repeat, in flight and rate must not be negative")
	case c.Tries < 1 || c.Tries > 16:
		return c, fmt.Errorf("tries: %d, want 1 to 16", c.Tries)
	}
	if !c.Relay.IsValid() {
		relay, err := localAddr(c.Server)
		if err != nil {
			return c, err
		}
		c.Relay = relay
	}
	return c, nil
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// localAddr is the source address the kernel would choose toward server.
func localAddr(server netip.AddrPort) (netip.Addr, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding this host's address toward %s: %w", server, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// DHCP runs full exchanges and returns what it counted. An error means that the
// rehearsal could not be run; exchanges that failed are in the result.
func DHCP(ctx context.Context, c DHCPConfig) (DHCPResult, error) {
	c, err := c.withDefaults()
	if err != nil {
		return DHCPResult{}, err
	}
	return dhcp(ctx, c, nil, nil)
}

// dhcp runs a checked config; bound and failed hear of every client's end.
func dhcp(ctx context.Context, c DHCPConfig, bound func(int, [4]byte), failed func(int)) (DHCPResult, error) {
	w, err := openWire(c.Relay, c.Port, c.Server)
	if err != nil {
		return DHCPResult{}, err
	}
	defer w.close()
	r := DHCPResult{Server: c.Server, Relay: c.Relay, SourcePort: w.ownPort, Clients: c.Clients}
	discover := newTemplate(msgDiscover, c.Relay, c.Arch, w.ownPort)
	request := newTemplate(msgRequest, c.Relay, c.Arch, w.ownPort)
	xid := rand.Uint32()
	begin := time.Now()
	phase := func(name string, exchanges int) (DHCPPhase, error) {
		x := newExchanger(c, discover, request, exchanges, xid)
		x.bound, x.failed = bound, failed
		xid += 1 << (clientBits + 8) // answers to the phase before are strays
		return runPhase(ctx, w, x, c, name, c.Limit-time.Since(begin))
	}
	if r.Cold, err = phase("cold", c.Clients); err == nil && c.Repeat > 1 {
		var warm DHCPPhase
		warm, err = phase("warm", c.Clients*(c.Repeat-1))
		r.Warm = &warm
	}
	if err != nil {
		return r, err
	}
	r.GeneratorDrops, err = socketDrops(w.inode)
	return r, err
}

func runPhase(ctx context.Context, w *wire, x *exchanger, c DHCPConfig, name string, limit time.Duration) (DHCPPhase, error) {
	m, err := newMeter(c.PIDs)
	if err != nil {
		return DHCPPhase{}, err
	}
	tick := newTicker(c.Progress)
	err = w.run(ctx, x, limit, func(now time.Duration) {
		tick.at(now, func() Progress {
			return Progress{Phase: name, Elapsed: now, Done: x.stats.Finished, Failed: x.stats.Failed, Total: x.total}
		})
	})
	p := x.stats
	p.Exchanges = x.total
	p.Elapsed = x.last
	if !x.done() {
		p.Elapsed = w.now()
	}
	p.PerSecond = x.rate(p.Elapsed)
	p.Latency = x.latency.Summary()
	if err != nil {
		return p, err
	}
	p.Process, err = m.stop()
	return p, err
}
