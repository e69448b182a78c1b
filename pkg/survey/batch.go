package survey

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	probeRounds = 3 // a lost frame must not make a station look absent
	// Broadcasts wake every station on the wire, so a batch leaves in groups:
	// at most some 13,000 frames a second, 9 Mbit/s.
	groupSize  = 64
	groupEvery = 5 * time.Millisecond
)

// batch is what the readers note for one ProbeMany, under the Prober's lock.
type batch struct {
	asked map[netip.Addr]struct{}
	inUse map[netip.Addr]site.MAC
}

func (b *batch) heard(a netip.Addr, mac site.MAC) {
	if _, ok := b.asked[a]; !ok {
		return
	}
	if b.inUse[a] == (site.MAC{}) {
		b.inUse[a] = mac
	}
}

// ProbeMany asks for many addresses in the time of one, and gives those in
// use. On the interface's own wire it asks by ARP alone: a station that does
// not answer ARP cannot answer an echo either, and asking it by ICMP would
// fill the kernel's neighbour table. The MAC is zero when only ICMP was
// answered.
func (p *Prober) ProbeMany(ctx context.Context, addrs []netip.Addr, onLink bool) (map[netip.Addr]site.MAC, error) {
	b := &batch{asked: make(map[netip.Addr]struct{}, len(addrs)), inUse: map[netip.Addr]site.MAC{}}
	for _, a := range addrs {
		b.asked[a] = struct{}{}
	}
	p.mu.Lock()
	p.batches = append(p.batches, b)
	p.mu.Unlock()
	err := p.askMany(ctx, addrs, onLink)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = slices.DeleteFunc(p.batches, func(other *batch) bool { return other == b })
	return b.inUse, err
}

// askMany returns half a second after every address was asked for once.
func (p *Prober) askMany(ctx context.Context, addrs []netip.Addr, onLink bool) error {
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	end := time.NewTimer(probeTime)
	defer end.Stop()
	for round := range probeRounds {
		if err := p.askRound(ctx, addrs, onLink); err != nil {
			return err
		}
		if round == 0 {
			end.Reset(probeTime)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-end.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Prober) askRound(ctx context.Context, addrs []netip.Addr, onLink bool) error {
	pace := time.NewTicker(groupEvery)
	defer pace.Stop()
	for group := range slices.Chunk(addrs, groupSize) {
		for _, a := range group {
			ask := p.askICMP
			if onLink {
				ask = p.askARP
			}
			if err := ask(a); err != nil {
				return err
			}
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
