package storm

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

// BurstResult is what became of many DISCOVERs sent at one moment, as when the
// power comes back to a rack.
type BurstResult struct {
	Server         netip.AddrPort `json:"server"`
	Sent           int            `json:"sent"`
	Offered        int            `json:"offered"` // clients that got an offer
	Lost           int            `json:"lost"`    // clients that got none
	Strays         int            `json:"strays"`
	Sending        time.Duration  `json:"sending_ns"` // how long the burst took to leave
	Latency        Latency        `json:"latency"`    // from the start of the burst to the offer
	GeneratorDrops uint64         `json:"generator_drops"`
	Process        *Process       `json:"process,omitempty"`
}

// OK tells whether every client got an offer.
func (r BurstResult) OK() bool { return r.Lost == 0 }

// Burst sends one DISCOVER for each client as fast as the socket takes them, no
// retransmission, and counts the offers until all are there or nothing has come
// for Timeout (default 4 s: a default dnsmasq waits 3 s for a ping first).
// InFlight, Rate, Repeat and Tries are not used.
func Burst(ctx context.Context, c DHCPConfig) (BurstResult, error) {
	c.Timeout = orDefault(c.Timeout, 4*time.Second)
	c, err := c.withDefaults()
	if err != nil {
		return BurstResult{}, err
	}
	w, err := openWire(c.Relay, c.Port, c.Server)
	if err != nil {
		return BurstResult{}, err
	}
	defer w.close()
	m, err := newMeter(c.PIDs)
	if err != nil {
		return BurstResult{}, err
	}
	b := burst{config: c, wire: w, xid: rand.Uint32() &^ clientMask, offered: make([]bool, c.Clients)}
	b.result.Server = c.Server
	w.start = time.Now()
	if err := b.send(); err != nil {
		return b.result, err
	}
	if err := b.collect(ctx); err != nil {
		return b.result, err
	}
	b.result.Lost = b.result.Sent - b.result.Offered
	b.result.Latency = b.latency.Summary()
	if b.result.GeneratorDrops, err = socketDrops(w.inode); err != nil {
		return b.result, err
	}
	b.result.Process, err = m.stop()
	return b.result, err
}

type burst struct {
	config  DHCPConfig
	wire    *wire
	xid     uint32
	offered []bool
	latency Histogram
	result  BurstResult
}

func (b *burst) send() error {
	t := newTemplate(msgDiscover, b.config.Relay, b.config.Arch, b.wire.ownPort)
	out := newOutbox()
	for i := range b.config.Clients {
		out.len[out.n] = t.fill(out.buf[out.n], b.xid|uint32(i), b.config.MAC.Add(i), 0)
		out.n++
		if out.full() || i == b.config.Clients-1 {
			if err := b.wire.flush(&out); err != nil {
				return err
			}
		}
	}
	b.result.Sent = b.config.Clients
	b.result.Sending = b.wire.now()
	return nil
}

func (b *burst) collect(ctx context.Context) error {
	tick := newTicker(b.config.Progress)
	for quiet := b.wire.now() + b.config.Timeout; b.result.Offered < b.result.Sent; {
		now := b.wire.now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if now > quiet || now > b.config.Limit {
			return nil
		}
		tick.at(now, func() Progress {
			return Progress{Phase: "burst", Elapsed: now, Done: b.result.Offered, Total: b.result.Sent}
		})
		if err := b.wire.wait(patience); err != nil {
			return err
		}
		n, err := b.wire.read()
		if err != nil {
			return err
		}
		now = b.wire.now()
		for i := range n {
			if b.take(now, b.wire.in[i].Buffers[0][:b.wire.in[i].N]) {
				quiet = now + b.config.Timeout
			}
		}
	}
	return nil
}

// take tells whether the datagram is the first offer to one of the clients.
func (b *burst) take(now time.Duration, datagram []byte) bool {
	r, ok := parseReply(datagram)
	i := r.xid & clientMask
	if !ok || r.kind != msgOffer || r.xid&^clientMask != b.xid || int(i) >= len(b.offered) || b.offered[i] {
		b.result.Strays++
		return false
	}
	b.offered[i] = true
	b.result.Offered++
	b.latency.Record(now)
	return true
}
