package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/storm"
)

const (
	rack     = 512 // machines of every DHCP measure
	openRate = 500 // exchanges per second of the open loop
)

// dhcp measures leases: closed loop at 32 and 256 in flight, cold and warm, and
// the wait of machines at a steady rate.
func (b *bench) dhcp(ctx context.Context) error {
	servers := b.servers(kea(), dnsmasq(), dhcpd(), rackseed())
	for _, kind := range []struct {
		title string
		work  work
		goal  float64
	}{
		{"DHCP, reservations: full exchanges with 512 machines through a relay", work{reserved: 2 * rack}, 5},
		{"DHCP, pool leases: full exchanges with 512 machines through a relay", work{pool: true}, 2},
	} {
		m := newDHCPMeasures(kind.goal)
		if kind.work.pool {
			// A new lease is what has to be durable before the ACK.
			m.cold[inFlights[1]].goal = kind.goal
		}
		for _, s := range servers {
			for range b.rounds() {
				if err := b.dhcpRound(ctx, s, kind.work, m); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
		b.print(kind.title, servers, m.rows())
	}
	return nil
}

type dhcpMeasures struct {
	cold, warm, cpu map[int]*measure // by exchanges in flight
	p50, p99        measure
	again, failed   measure
	rss             measure
}

func newDHCPMeasures(goal float64) *dhcpMeasures {
	m := &dhcpMeasures{
		cold: map[int]*measure{}, warm: map[int]*measure{}, cpu: map[int]*measure{},
		p50:    measure{name: fmt.Sprintf("p50 at %d/s", openRate), unit: "ms", against: "Kea", less: true},
		p99:    measure{name: fmt.Sprintf("p99 at %d/s", openRate), unit: "ms", against: "Kea", less: true, goal: 1},
		again:  measure{name: "retransmissions", unit: "all runs", against: "Kea", less: true},
		failed: measure{name: "failed", unit: "exchanges", zero: true},
		rss:    measure{name: "RSS, peak", unit: "MB", against: "Kea", less: true},
	}
	for _, n := range inFlights {
		m.cold[n] = &measure{name: fmt.Sprintf("cold, %d in flight", n), unit: "exchanges/s", against: "Kea"}
		m.warm[n] = &measure{name: fmt.Sprintf("warm, %d in flight", n), unit: "exchanges/s", against: "Kea"}
		m.cpu[n] = &measure{name: fmt.Sprintf("CPU, warm, %d in flight", n), unit: "µs/exchange", against: "Kea", less: true}
	}
	m.warm[inFlights[1]].goal = goal
	return m
}

var inFlights = [2]int{32, 256}

func (m *dhcpMeasures) rows() (rows []*measure) {
	for _, n := range inFlights {
		rows = append(rows, m.cold[n], m.warm[n], m.cpu[n])
	}
	return append(rows, &m.p50, &m.p99, &m.again, &m.failed, &m.rss)
}

// dhcpRound starts the server anew, so that cold is cold.
func (b *bench) dhcpRound(ctx context.Context, s server, w work, m *dhcpMeasures) error {
	// What the one before left unwritten is not this one's to wait for.
	unix.Sync()
	r, err := s.start(ctx, b, w)
	if err != nil {
		return err
	}
	defer r.stop()
	repeat := 60
	if b.quick {
		repeat = 20
	}
	again, failed := 0, 0
	for i, n := range inFlights {
		first, _ := client(i * rack)
		// The second machines are as new to the server as the first.
		var got storm.DHCPResult
		err := order{DHCP: &storm.DHCPConfig{
			Server: dhcpServer(), Clients: rack, MAC: &first, Repeat: repeat, InFlight: n, Limit: 15 * time.Second, PIDs: r.pids(),
		}}.run(ctx, b.lab, &got)
		if err != nil {
			return err
		}
		b.logf("   %-10s %3d in flight: cold %6.0f/s, warm %6.0f/s, %d again", s.name, n, got.Cold.PerSecond, got.Warm.PerSecond, got.Cold.Retransmitted+got.Warm.Retransmitted)
		m.cold[n].add(s.name, got.Cold.PerSecond)
		m.warm[n].add(s.name, got.Warm.PerSecond)
		m.cpu[n].add(s.name, float64(got.Warm.Process.CPU.Microseconds())/float64(max(got.Warm.Finished, 1)))
		again += got.Cold.Retransmitted + got.Warm.Retransmitted
		failed += lost(got.Cold) + lost(*got.Warm)
		if i == len(inFlights)-1 {
			m.rss.add(s.name, float64(got.Warm.Process.PeakRSS)/1e6)
		}
	}
	open, err := b.openLoop(ctx, r)
	if err != nil {
		return err
	}
	b.logf("   %-10s %d/s: p50 %s, p99 %s", s.name, openRate, open.Latency.P50, open.Latency.P99)
	m.p50.add(s.name, open.Latency.P50.Seconds()*1e3)
	m.p99.add(s.name, open.Latency.P99.Seconds()*1e3)
	m.again.add(s.name, float64(again+open.Retransmitted))
	m.failed.add(s.name, float64(failed+lost(open)))
	return nil
}

func lost(p storm.DHCPPhase) int { return p.Exchanges - p.Finished + p.Conflicts }

// openLoop asks at a steady rate; the machines are known to the server.
func (b *bench) openLoop(ctx context.Context, r *rig) (storm.DHCPPhase, error) {
	first, _ := client(0)
	repeat := 1 + 5
	if b.quick {
		repeat = 1 + 2
	}
	var got storm.DHCPResult
	err := order{DHCP: &storm.DHCPConfig{
		Server: dhcpServer(), Clients: rack, MAC: &first, Repeat: repeat, Rate: openRate, Limit: 30 * time.Second, PIDs: r.pids(),
	}}.run(ctx, b.lab, &got)
	if err != nil {
		return storm.DHCPPhase{}, err
	}
	return *got.Warm, nil
}

// burst asks what is left when a rack gets its power back at one moment.
func (b *bench) burst(ctx context.Context) error {
	servers := b.servers(kea(), dnsmasq(), dhcpd(), rackseed())
	lostOnes := measure{name: "no offer", unit: fmt.Sprintf("of %d", rack), against: "Kea", zero: true, less: true}
	last := measure{name: "last offer after", unit: "ms", against: "Kea", less: true}
	for _, s := range servers {
		for range b.rounds() {
			r, err := s.start(ctx, b, work{pool: true})
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			first, _ := client(0)
			var got storm.BurstResult
			err = order{Burst: &storm.DHCPConfig{Server: dhcpServer(), Clients: rack, MAC: &first, Timeout: time.Second}}.run(ctx, b.lab, &got)
			r.stop()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			b.logf("   %-10s %d offers, last after %s", s.name, got.Offered, got.Latency.Max)
			lostOnes.add(s.name, float64(got.Lost))
			last.add(s.name, got.Latency.Max.Seconds()*1e3)
		}
	}
	b.print("DHCP: 512 DISCOVERs in one burst", servers, []*measure{&lostOnes, &last})
	return nil
}
