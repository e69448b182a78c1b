package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fataler is what a test and a rapid check have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// seen is what the server made of one message.
type seen struct {
	answer         Answer
	stranger, loop bool
	err            error
}

// rig is a server on loopback with a real ledger, and a relay before it.
type rig struct {
	t      fataler
	clock  *clock
	ledger *ledger.Ledger
	server *Server
	relay  *net.UDPConn
	seen   chan seen
	stop   func()
}

// onLoopback puts the provisioning network where every address is ours.
func onLoopback(s *site.Settings) {
	s.Networks["provision"] = site.Network{Subnet: netip.MustParsePrefix("127.20.0.0/16"), Gateway: netip.MustParseAddr("127.20.0.254")}
	s.Provision.Pool = site.Range{First: netip.MustParseAddr("127.20.255.10"), Last: netip.MustParseAddr("127.20.255.13")}
}

func newRig(t fataler, edit func(*rig), bodies ...site.Body) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{now: epoch}, seen: make(chan seen, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if r.ledger, err = ledger.Open(ctx, mem.New(), ledger.Options{Clock: r.clock.Now}); err != nil {
		t.Fatalf("opening the ledger: %v", err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = r.ledger.Run(ctx) })
	r.do(bodies...)
	r.server = &Server{
		Ledger: r.ledger, Links: []Link{{Addr: netip.MustParseAddr("127.20.0.1")}}, Port: AnyPort, ProxyPort: AnyPort,
		Clock: r.clock.Now,
		Observe: func(o Observation) {
			s := seen{err: o.Err, stranger: o.Stranger, loop: o.Loop}
			if o.Answer != nil {
				s.answer = *o.Answer
			}
			r.seen <- s
		},
	}
	if edit != nil {
		edit(r)
	}
	if err := r.server.Listen(ctx); err != nil {
		t.Fatalf("listening: %v", err)
	}
	running.Go(func() { _ = r.server.Serve(ctx) })
	if r.relay, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 20, 0, 254)}); err != nil {
		t.Fatalf("opening the relay: %v", err)
	}
	r.stop = func() {
		cancel()
		running.Wait()
		r.relay.Close()
	}
	return r
}

func (r *rig) do(bodies ...site.Body) {
	r.t.Helper()
	if _, err := r.ledger.Do(context.Background(), func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil }); err != nil {
		r.t.Fatalf("applying events: %v", err)
	}
}

// relayed asks for the reply at the port that the relay sends from.
func relayed(w wire) wire {
	return w.giaddr("127.20.0.254").opt(optRelayInfo, relaySourcePort, 0).end()
}

// ask sends one message and returns what became of it, and the reply.
func (r *rig) ask(w wire) (seen, *dhcpv4.DHCPv4) {
	r.t.Helper()
	return r.askAt(0, relayed(w))
}

func (r *rig) askAt(socket int, w wire) (seen, *dhcpv4.DHCPv4) {
	r.t.Helper()
	if _, err := r.relay.WriteToUDPAddrPort(w, r.server.Addrs()[socket]); err != nil {
		r.t.Fatalf("sending: %v", err)
	}
	var s seen
	select {
	case s = <-r.seen:
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the server made nothing of the message")
	}
	if s.answer.Reply == nil {
		return s, nil
	}
	_ = r.relay.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 1500)
	n, err := r.relay.Read(buf)
	if err != nil {
		r.t.Fatalf("no reply came, but %s was answered: %v", s.answer.Why, err)
	}
	m, err := dhcpv4.FromBytes(buf[:n])
	if err != nil {
		r.t.Fatalf("reading the reply: %v", err)
	}
	return s, m
}

func loopbackWorld() []site.Body {
	a := func(s string) map[string]netip.Addr {
		return map[string]netip.Addr{"provision": netip.MustParseAddr(s)}
	}
	return []site.Body{
		site.PlanApplied{Settings: settings(onLoopback), Digest: "d"},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "feed", Family: "rhel"}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{mac1, macB}, Addresses: a("127.20.1.1")}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{mac2}, UUID: uuid2, Addresses: a("127.20.1.2")}},
	}
}

func TestServeReservationWritesNothing(t *testing.T) {
	r := newRig(t, nil, loopbackWorld()...)
	defer r.stop()
	before := r.ledger.State().Seq
	if s, m := r.ask(ask(TypeDiscover, mac1)); m == nil || m.YourIPAddr.String() != "127.20.1.1" {
		t.Fatalf("DISCOVER: %s", s.answer.Why)
	}
	if s, m := r.ask(ask(TypeRequest, mac1).addr(optServerID, "127.20.0.1").addr(optRequestedIP, "127.20.1.1")); m == nil || m.MessageType() != dhcpv4.MessageTypeAck {
		t.Fatalf("REQUEST: %s", s.answer.Why)
	}
	if got := r.ledger.State().Seq; got != before {
		t.Errorf("a reservation wrote %d events", got-before)
	}
	if got := r.server.Counts(); got.Received != 2 || got.Replied != 2 {
		t.Errorf("counts = %+v", got)
	}
}

func TestServePoolLeaseIsOnDiskBeforeTheACK(t *testing.T) {
	r := newRig(t, nil, loopbackWorld()...)
	defer r.stop()
	_, offer := r.ask(ask(TypeDiscover, alien))
	addr := offer.YourIPAddr.String()
	s, m := r.ask(ask(TypeRequest, alien).addr(optServerID, "127.20.0.1").addr(optRequestedIP, addr).text(optHostname, "lap\x1btop"))
	if m == nil || m.MessageType() != dhcpv4.MessageTypeAck {
		t.Fatalf("REQUEST: %s", s.answer.Why)
	}
	l, ok := r.ledger.State().LeaseOf(alien)
	if !ok || l.Addr.String() != addr || !l.Until.Equal(epoch.Add(site.DefaultLeaseTime)) || l.Hostname != "laptop" {
		t.Fatalf("lease = %+v, %v", l, ok)
	}
	seq := r.ledger.State().Seq
	r.clock.add(time.Hour)
	if _, m := r.ask(ask(TypeRequest, alien).ciaddr(addr)); m == nil || m.IPAddressLeaseTime(0) != site.DefaultLeaseTime-time.Hour {
		t.Fatalf("an early renewal promised %v, on disk is %v", m.IPAddressLeaseTime(0), site.DefaultLeaseTime-time.Hour)
	}
	if r.ledger.State().Seq != seq {
		t.Error("an early renewal wrote an event")
	}
	r.clock.add(5 * time.Hour)
	if _, m := r.ask(ask(TypeRequest, alien).ciaddr(addr)); m == nil || m.IPAddressLeaseTime(0) != site.DefaultLeaseTime {
		t.Fatal("a renewal at T1 did not extend the lease")
	}
	if r.ledger.State().Seq != seq+1 {
		t.Error("a renewal at T1 was not written")
	}
}

// stuckLedger cannot write.
type stuckLedger struct{ Ledger }

var errStuck = errors.New("no space left on device")

func (stuckLedger) Do(context.Context, ledger.Decide) (*site.State, error) { return nil, errStuck }

func (l stuckLedger) Try(decide ledger.Decide, done func(*site.State, error)) bool {
	go func() {
		_, _ = decide(l.State().Fork(), epoch)
		done(nil, errStuck)
	}()
	return true
}

func TestServeWithoutALedgerPromisesNothing(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.Ledger = stuckLedger{r.ledger} }, loopbackWorld()...)
	defer r.stop()
	_, offer := r.ask(ask(TypeDiscover, alien))
	s, m := r.ask(ask(TypeRequest, alien).addr(optServerID, "127.20.0.1").addr(optRequestedIP, offer.YourIPAddr.String()))
	if m != nil || s.err == nil {
		t.Fatalf("acknowledged what is not on disk: %v", m)
	}
	if _, m := r.ask(ask(TypeDiscover, mac1)); m == nil {
		t.Fatal("a reservation needs no disk, but was refused")
	}
}

func TestServeSkipsAnAddressThatIsInUse(t *testing.T) {
	squatted := netip.MustParseAddr("127.20.255.11")
	var mu sync.Mutex
	probes := map[netip.Addr]int{}
	probe := func(_ context.Context, _ string, a netip.Addr, onLink bool) (bool, site.MAC, error) {
		mu.Lock()
		defer mu.Unlock()
		probes[a]++
		if onLink {
			t.Error("a client behind a relay was said to be on the link")
		}
		return a == squatted, site.MAC{2, 9}, nil
	}
	r := newRig(t, func(r *rig) { r.server.Probe = probe }, loopbackWorld()...)
	defer r.stop()
	s, m := r.ask(ask(TypeDiscover, alien).addr(optRequestedIP, squatted.String()))
	if m == nil || m.YourIPAddr.String() == squatted.String() {
		t.Fatalf("offered %v: %s", m, s.answer.Why)
	}
	if _, ok := r.ledger.State().Declined.Get(squatted); !ok {
		t.Error("the squatted address was not put aside")
	}
	_, ack := r.ask(ask(TypeRequest, alien).addr(optServerID, "127.20.0.1").addr(optRequestedIP, m.YourIPAddr.String()))
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
		t.Fatal("the offer was not kept")
	}
	mu.Lock()
	defer mu.Unlock()
	for a, n := range probes {
		if n != 1 {
			t.Errorf("%s was probed %d times", a, n)
		}
	}
}

func TestServeReportsStrangersOnce(t *testing.T) {
	set := settings(onLoopback)
	set.Provision.Pool = site.Range{}
	r := newRig(t, nil, site.PlanApplied{Settings: set, Digest: "d"})
	defer r.stop()
	first, _ := r.ask(ask(TypeDiscover, alien))
	second, _ := r.ask(ask(TypeDiscover, alien))
	if !first.stranger || second.stranger {
		t.Fatalf("stranger: first %v, second %v", first.stranger, second.stranger)
	}
	for i := range 2 * sightingsPerMinute {
		s, _ := r.ask(ask(TypeDiscover, site.MAC{2, 1, 1, 1, 1, byte(i)}))
		if want := i < sightingsPerMinute-1; s.stranger != want {
			t.Fatalf("stranger %d in a minute: reported %v", i+2, s.stranger)
		}
	}
	r.clock.add(time.Minute)
	if s, _ := r.ask(ask(TypeDiscover, site.MAC{2, 1, 1, 1, 1, 2*sightingsPerMinute - 1})); !s.stranger {
		t.Error("a stranger that found no room is not reported later")
	}
}

func TestServeReportsABootLoop(t *testing.T) {
	r := newRig(t, nil, append(loopbackWorld(), site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)})...)
	defer r.stop()
	for i := range loopCount {
		for range 2 { // a retransmission is not another boot
			s, _ := r.ask(ask(TypeDiscover, mac1).firmware(0).at(offXID, byte(i+1)))
			if want := i == loopCount-1; s.loop && !want {
				t.Fatalf("boot %d: loop reported", i+1)
			} else if want && !s.loop && s.answer.BootWhy == "" {
				t.Fatalf("boot %d: no loop reported", i+1)
			}
			if s.loop {
				return
			}
		}
		r.clock.add(20 * time.Second)
	}
	t.Fatal("five boots in two minutes were not reported")
}

func TestServePXEBootServer(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.Mode = site.DHCPProxy }, append(loopbackWorld(), site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)})...)
	defer r.stop()
	s, m := r.askAt(1, ask(TypeRequest, mac1).firmware(7).ciaddr("127.20.0.254").end())
	if m == nil || m.BootFileNameOption() != "snponly.efi" || m.ClassIdentifier() != "PXEClient" {
		t.Fatalf("at 4011: %s", s.answer.Why)
	}
}

func TestListenOnABusyPort(t *testing.T) {
	r := newRig(t, nil, loopbackWorld()...)
	defer r.stop()
	second := &Server{Ledger: r.ledger, Links: r.server.Links, Port: int(r.server.Addrs()[0].Port()), ProxyPort: AnyPort}
	err := second.Listen(context.Background())
	if err == nil {
		second.close()
		t.Fatal("two servers share one port")
	}
}

func TestListenOnAMissingInterface(t *testing.T) {
	s := &Server{Links: []Link{{Interface: "nosuch0"}}}
	if err := s.Listen(context.Background()); err == nil {
		t.Fatal("no error")
	}
}

func TestMalformedIsCounted(t *testing.T) {
	r := newRig(t, nil, loopbackWorld()...)
	defer r.stop()
	if s, _ := r.askAt(0, make(wire, 30)); s.err == nil {
		t.Fatal("30 zero bytes were understood")
	}
	if got := r.server.Counts().Malformed; got != 1 {
		t.Fatalf("malformed = %d", got)
	}
}

// TestNobodyIsToldTooMuch plays random machines against the whole server and
// checks the three promises of DHCP here: strangers get no boot file, an
// installer goes only to whom boot.For gives it, and no address is given to
// two machines at a time.
func TestNobodyIsToldTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := map[netip.Addr]promise{}
		var mu sync.Mutex
		r := newRig(t, func(r *rig) {
			r.server.Probe = func(_ context.Context, _ string, a netip.Addr, _ bool) (bool, site.MAC, error) {
				mu.Lock()
				defer mu.Unlock()
				p := given[a]
				return r.clock.Now().Before(p.until) && p.acked, p.mac, nil
			}
			r.server.ProbeMany = func(_ context.Context, _ string, addrs []netip.Addr, _ bool) (map[netip.Addr]site.MAC, error) {
				mu.Lock()
				defer mu.Unlock()
				inUse := map[netip.Addr]site.MAC{}
				for _, a := range addrs {
					if p := given[a]; r.clock.Now().Before(p.until) && p.acked {
						inUse[a] = p.mac
					}
				}
				return inUse, nil
			}
		}, loopbackWorld()...)
		defer r.stop()
		macs := []site.MAC{mac1, macB, mac2, alien, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 4}}
		addrs := []string{"127.20.1.1", "127.20.1.2", "127.20.255.10", "127.20.255.11", "127.20.255.12", "127.20.255.13", "192.168.1.1"}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				r.clock.add(rapid.SampledFrom([]time.Duration{time.Second, 25 * time.Second, time.Minute, 7 * time.Hour, 13 * time.Hour}).Draw(t, "later"))
				continue
			case 1:
				changeNode(t, r)
				continue
			}
			mac := rapid.SampledFrom(macs).Draw(t, "mac")
			kind := rapid.SampledFrom([]MessageType{TypeDiscover, TypeDiscover, TypeRequest, TypeRequest, TypeRequest, TypeDecline, TypeRelease, TypeInform}).Draw(t, "kind")
			w := ask(kind, mac)
			if rapid.Bool().Draw(t, "firmware") {
				w = w.firmware(rapid.SampledFrom([]byte{0, 7, 11}).Draw(t, "arch"))
			}
			if rapid.Bool().Draw(t, "ours") {
				w = w.addr(optServerID, "127.20.0.1")
			}
			if a := rapid.SampledFrom(addrs).Draw(t, "addr"); rapid.Bool().Draw(t, "renews") {
				w = w.ciaddr(a)
			} else {
				w = w.addr(optRequestedIP, a)
			}
			before := r.ledger.State()
			s, m := r.ask(w)
			mu.Lock()
			checkPromises(t, r.clock.Now(), given, before, mac, kind, s, m)
			mu.Unlock()
		}
	})
}

func changeNode(t *rapid.T, r *rig) {
	node := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
	m, _ := r.ledger.State().Machine(node)
	switch {
	case m.Phase == site.PhaseArmed:
		r.do(site.InstallStarted{Node: node, Attempt: m.Attempt.Number + 1, Token: fmt.Sprint(node, m.Attempt.Number), Image: "feed", MAC: m.Node.MACs[0], Deadline: r.clock.Now().Add(time.Hour)})
	case m.Running():
		r.do(site.InstallDone{Node: node, Attempt: m.Attempt.Number})
	default:
		r.do(site.Armed{Node: node, By: "ops", Until: r.clock.Now().Add(24 * time.Hour)})
	}
}

// promise is what a client may believe.
type promise struct {
	mac   site.MAC
	until time.Time
	acked bool
}

func checkPromises(t *rapid.T, now time.Time, given map[netip.Addr]promise, before *site.State, mac site.MAC, kind MessageType, s seen, m *dhcpv4.DHCPv4) {
	if kind == TypeRelease || kind == TypeDecline {
		for a, p := range given {
			if p.mac == mac && s.answer.Drop {
				delete(given, a)
			}
		}
	}
	if m == nil {
		return
	}
	file := m.BootFileNameOption()
	machine, planned := before.MachineByMAC(mac)
	if !planned && (file != "" || m.BootFileName != "") {
		t.Fatalf("a stranger got the boot file %q", file)
	}
	if what := boot.For(before, machine, now); planned && file != "" && what.Action != boot.Install && what.Action != boot.Hold {
		t.Fatalf("%s got the boot file %q, but should %s: %s", machine.Node.Name, file, what.Action, what.Why)
	}
	if !s.answer.Reply.YIAddr.IsValid() {
		return
	}
	a := s.answer.Reply.YIAddr
	if p, ok := given[a]; ok && p.mac != mac && now.Before(p.until) {
		t.Fatalf("%s was promised to %s until %s, and is now given to %s", a, p.mac, p.until, mac)
	}
	acked := m.MessageType() == dhcpv4.MessageTypeAck
	for other, old := range given {
		// Who takes or is offered another address lets go of the former one.
		if old.mac == mac && other != a && (acked || !old.acked) {
			delete(given, other)
		}
	}
	p := promise{mac: mac, until: now.Add(holdTime)}
	if acked {
		p.until, p.acked = now.Add(m.IPAddressLeaseTime(0)), true
	} else if old := given[a]; old.mac == mac && old.until.After(p.until) {
		p = old
	}
	given[a] = p
}
