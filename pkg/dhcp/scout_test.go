package dhcp

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestScoutedAddressIsOfferedAtOnce has a pool of four with a squatter. No
// client may wait for a probe, and nobody may get the squatter's address.
func TestScoutedAddressIsOfferedAtOnce(t *testing.T) {
	squatted := netip.MustParseAddr("127.20.255.11")
	r := newRig(t, func(r *rig) {
		r.server.Probe = func(_ context.Context, _ string, a netip.Addr, _ bool) (bool, site.MAC, error) {
			t.Errorf("a client waits for a probe of %s", a)
			return false, site.MAC{}, nil
		}
		r.server.ProbeMany = func(_ context.Context, _ string, addrs []netip.Addr, _ bool) (map[netip.Addr]site.MAC, error) {
			if slices.Contains(addrs, squatted) {
				return map[netip.Addr]site.MAC{squatted: {2, 9}}, nil
			}
			return nil, nil
		}
	}, loopbackWorld()...)
	defer r.stop()
	waitReady(t, r.server.book, 3, r.clock.Now())
	given := map[string]bool{}
	for i := range 3 {
		mac := site.MAC{2, 0, 0, 0, 1, byte(i)}
		s, offer := r.ask(ask(TypeDiscover, mac))
		if offer == nil {
			t.Fatalf("client %d: %s", i, s.answer.Why)
		}
		a := offer.YourIPAddr.String()
		if a == squatted.String() || given[a] {
			t.Errorf("client %d is offered %s", i, a)
		}
		given[a] = true
		s, ack := r.ask(ask(TypeRequest, mac).addr(optServerID, "127.20.0.1").addr(optRequestedIP, a))
		if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
			t.Errorf("client %d did not get what it was offered: %s", i, s.answer.Why)
		}
	}
	if _, n := r.server.book.aging(r.clock.Now()); n != 0 {
		t.Errorf("%d addresses are ready that have owners", n)
	}
}

// waitReady waits until n addresses may be offered without a probe.
func waitReady(t *testing.T, b *Book, n int, now time.Time) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, ready := b.aging(now); ready == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the pool was not probed ahead")
		}
	}
}

func TestScoutAsksAgainOnlyWhileThereIsDemand(t *testing.T) {
	s := world(t, func(s *site.Settings) {
		s.Provision.Pool = site.Range{First: netip.MustParseAddr("10.20.200.0"), Last: netip.MustParseAddr("10.20.255.255")}
	}).state
	server := &Server{Mode: site.DHCPServer, book: NewBook(), conns: []*conn{{ids: []identity{{addr: server1}}}}}
	server.scout = newScout(server)
	c, now := server.scout, epoch
	found := func(addrs []netip.Addr) {
		for _, a := range addrs {
			server.book.scouted(a, false, site.MAC{}, now)
		}
		clear(c.pending)
	}
	c.want(now)
	if !c.needed(s, now) {
		t.Fatal("nothing is probed right after the start")
	}
	first := c.next(s, now)
	if len(first) != scoutWindow {
		t.Fatalf("the first window has %d addresses", len(first))
	}
	found(first)
	if again := c.next(s, now); len(again) != 0 {
		t.Errorf("%d addresses are probed twice", len(again))
	}

	server.book.Hold(first[0], alien, now)
	if next := c.next(s, now); len(next) != 1 || slices.Contains(first, next[0]) {
		t.Errorf("after one offer, %v is probed", next)
	} else {
		found(next)
	}

	now = now.Add(probeTime - scoutRenew)
	if old := c.next(s, now); len(old) != scoutWindow {
		t.Errorf("%d results are renewed in time", len(old))
	}
	for _, a := range first {
		if server.book.isReady(a, now.Add(scoutRenew-scoutMargin)) {
			t.Fatalf("%s is offered although its REQUEST would find the result too old", a)
		}
	}
	if c.needed(s, epoch.Add(scoutDemand)) {
		t.Error("an idle site is not quiet")
	}
	c.want(epoch.Add(scoutDemand))
	if !c.needed(s, epoch.Add(scoutDemand)) {
		t.Error("a new client does not bring the window back")
	}
	server.renewOnly.Store(true)
	if c.needed(s, epoch.Add(scoutDemand)) {
		t.Error("a server that gives nothing new probes")
	}
}

func TestScoutLeavesOwnersAlone(t *testing.T) {
	var asked atomic.Pointer[[]netip.Addr]
	r := newRig(t, func(r *rig) {
		r.server.Probe = func(context.Context, string, netip.Addr, bool) (bool, site.MAC, error) { return false, site.MAC{}, nil }
		r.server.ProbeMany = func(_ context.Context, _ string, addrs []netip.Addr, _ bool) (map[netip.Addr]site.MAC, error) {
			asked.Store(&addrs)
			return nil, nil
		}
	}, append(loopbackWorld(),
		site.LeaseGranted{Lease: site.Lease{MAC: alien, Addr: netip.MustParseAddr("127.20.255.10"), Until: epoch.Add(time.Hour)}},
		site.AddressDeclined{Addr: netip.MustParseAddr("127.20.255.12"), MAC: mac2, Until: epoch.Add(time.Hour)})...)
	defer r.stop()
	waitReady(t, r.server.book, 2, r.clock.Now())
	if got := *asked.Load(); len(got) != 2 || got[0].String() != "127.20.255.11" || got[1].String() != "127.20.255.13" {
		t.Errorf("probed ahead: %v", got)
	}
}

// TestReadyIsNobodys plays random offers, leases and probes against a book:
// what is ready is held by nobody, and was found silent not long ago.
func TestReadyIsNobodys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := NewBook(), epoch
		silent := map[netip.Addr]time.Time{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			a := netip.AddrFrom4([4]byte{10, 20, 255, rapid.ByteRange(0, 7).Draw(t, "addr")})
			m := site.MAC{2, 0, 0, 0, 0, rapid.ByteRange(0, 3).Draw(t, "mac")}
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			case 1:
				b.Hold(a, m, now)
			case 2:
				b.Given(a)
				delete(silent, a)
			case 3:
				b.Drop(m)
			case 4:
				b.unready(a)
			default:
				busy := rapid.Bool().Draw(t, "busy")
				b.scouted(a, busy, m, now)
				if delete(silent, a); !busy {
					silent[a] = now
				}
			}
			for i := range 8 {
				a, ok := b.readyAt(i, now)
				if !ok {
					continue
				}
				if _, waits, _ := b.heldBy(a, now); waits {
					t.Fatalf("%s is ready and held", a)
				}
				if at, ok := silent[a]; !ok || now.Sub(at) >= probeTime-scoutMargin {
					t.Fatalf("%s is ready: found silent %v, at %v", a, ok, now.Sub(at))
				}
				if !b.isReady(a, now) {
					t.Fatalf("%s is ready by number, not by name", a)
				}
			}
		}
	})
}
