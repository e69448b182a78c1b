package dhcp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// want is what a case checks; empty fields are not checked, except that no
// kind means silence.
type want struct {
	kind   MessageType
	yiaddr string
	via    Via
	to     string
	file   string
	class  string
	events int
	why    string // a part of it
}

func (w want) check(t *testing.T, a Answer) {
	t.Helper()
	if !strings.Contains(a.Why, w.why) {
		t.Errorf("Why = %q, want a mention of %q", a.Why, w.why)
	}
	if len(a.Events) != w.events {
		t.Errorf("%d events, want %d: %v", len(a.Events), w.events, a.Events)
	}
	if w.kind == 0 {
		if a.Reply != nil {
			t.Fatalf("answered %s (%s), want silence", a.Reply.Type, a.Why)
		}
		return
	}
	if a.Reply == nil {
		t.Fatalf("silent (%s), want %s", a.Why, w.kind)
	}
	if a.Reply.Type != w.kind {
		t.Errorf("answered %s (%s), want %s", a.Reply.Type, a.Why, w.kind)
	}
	if got := a.Reply.YIAddr; w.yiaddr != "" && got != netip.MustParseAddr(w.yiaddr) || w.yiaddr == "" && got.IsValid() {
		t.Errorf("yiaddr = %s, want %q", got, w.yiaddr)
	}
	if w.via != "" && a.Via != w.via {
		t.Errorf("via %s, want %s", a.Via, w.via)
	}
	if w.to != "" && a.To.String() != w.to {
		t.Errorf("to %s, want %s", a.To, w.to)
	}
	if a.Reply.BootFile != w.file {
		t.Errorf("boot file %q, want %q", a.Reply.BootFile, w.file)
	}
	if a.Reply.Class != w.class {
		t.Errorf("class %q, want %q", a.Reply.Class, w.class)
	}
}

type decideCase struct {
	name  string
	plan  func(*site.Settings)
	state func(*history)
	cfg   func(*Config)
	msg   wire
	tweak func(*Request)
	want  want
}

func runCases(t *testing.T, cases []decideCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plan := c.plan
			if plan == nil {
				plan = func(*site.Settings) {}
			}
			h := world(t, plan)
			if c.state != nil {
				c.state(h)
			}
			cfg := config()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			req := c.msg.request(t)
			if c.tweak != nil {
				c.tweak(req)
			}
			c.want.check(t, Decide(h.state, cfg, req, epoch))
		})
	}
}

func leased(mac site.MAC, a string, left time.Duration) func(*history) {
	return func(h *history) {
		h.add(site.LeaseGranted{Lease: site.Lease{MAC: mac, Addr: netip.MustParseAddr(a), Until: epoch.Add(left)}})
	}
}

func TestReservation(t *testing.T) {
	runCases(t, []decideCase{
		{name: "RFC2131-4.3.1 DISCOVER is offered the planned address", msg: ask(TypeDiscover, mac1).params(),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRaw, to: "10.20.1.1:68", why: "reserved"}},
		{name: "RFC2131-4.1 broadcast flag", msg: ask(TypeDiscover, mac1).broadcast(),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaBroadcast, to: "255.255.255.255:68"}},
		{name: "RFC2131-4.3.2 SELECTING", msg: ask(TypeRequest, mac1).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaRaw}},
		{name: "RFC2131-4.3.2 SELECTING another server", msg: ask(TypeRequest, mac1).addr(optServerID, "10.20.0.9").addr(optRequestedIP, "10.20.1.1"),
			want: want{why: "another server"}},
		{name: "RFC2131-4.3.2 SELECTING us with a wrong address", msg: ask(TypeRequest, mac1).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.9.9"),
			want: want{kind: TypeNAK, via: ViaBroadcast}},
		{name: "RFC2131-4.3.2 INIT-REBOOT right", msg: ask(TypeRequest, mac1).addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaRaw}},
		{name: "RFC2131-4.3.2 INIT-REBOOT wrong", msg: ask(TypeRequest, mac1).addr(optRequestedIP, "192.168.7.7"),
			want: want{kind: TypeNAK, via: ViaBroadcast}},
		{name: "RFC2131-4.3.2 INIT-REBOOT wrong behind a relay", msg: ask(TypeRequest, mac1).addr(optRequestedIP, "192.168.7.7").giaddr("10.20.0.254"),
			want: want{kind: TypeNAK, via: ViaRelay, to: "10.20.0.254:67"}},
		{name: "RFC2131-4.3.2 RENEWING", msg: ask(TypeRequest, mac1).ciaddr("10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaUnicast, to: "10.20.1.1:68"}},
		{name: "RFC2131-4.3.2 REBINDING", msg: ask(TypeRequest, mac1).ciaddr("10.20.1.1").broadcast(),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaUnicast, to: "10.20.1.1:68"}},
		{name: "RFC2131-4.3.2 RENEWING an address that the plan took away", msg: ask(TypeRequest, mac1).ciaddr("10.20.9.9"),
			want: want{kind: TypeNAK, via: ViaBroadcast}},
		{name: "RFC2131-4.3.2 REQUEST for nothing", msg: ask(TypeRequest, mac1), want: want{why: "no address"}},
		{name: "RFC2131-4.3.5 INFORM", msg: ask(TypeInform, mac1).ciaddr("10.20.1.1"),
			want: want{kind: TypeACK, via: ViaUnicast, to: "10.20.1.1:68"}},
		{name: "RFC2131-4.3.5 INFORM from another network", msg: ask(TypeInform, mac1).ciaddr("192.168.1.1"), want: want{why: "not on the provisioning network"}},
		{name: "RFC2131-4.3.4 RELEASE writes nothing", msg: ask(TypeRelease, mac1).ciaddr("10.20.1.1").addr(optServerID, "10.20.0.1"), want: want{why: "released"}},
		{name: "RFC2131-4.3.3 DECLINE puts the address aside", msg: ask(TypeDecline, mac1).addr(optRequestedIP, "10.20.1.1").addr(optServerID, "10.20.0.1"),
			want: want{events: 1, why: "put aside"}},
		{name: "RFC2131-4.3.3 DECLINE twice is one event", state: func(h *history) {
			h.add(site.AddressDeclined{Addr: node1, MAC: mac1, Until: epoch.Add(time.Minute)})
		}, msg: ask(TypeDecline, mac1).addr(optRequestedIP, "10.20.1.1").addr(optServerID, "10.20.0.1"), want: want{}},
		{name: "RFC2131-4.3.3 DECLINE of somebody else's address", msg: ask(TypeDecline, mac1).addr(optRequestedIP, "10.20.1.2").addr(optServerID, "10.20.0.1"),
			want: want{why: "not given"}},
		{name: "declined address is not offered again", state: func(h *history) {
			h.add(site.AddressDeclined{Addr: node1, MAC: mac1, Until: epoch.Add(time.Minute)})
		}, msg: ask(TypeDiscover, mac1), want: want{why: "in use by another station"}},
		{name: "an OFFER from a client is nothing", msg: ask(TypeOffer, mac1), want: want{why: "only a client"}},
		{name: "second NIC waits for the first", cfg: func(c *Config) { c.Book.Hold(node1, mac1, epoch.Add(-time.Second)) },
			msg: ask(TypeDiscover, macB), want: want{why: "another NIC"}},
		{name: "second NIC after the first gave up is probed for", cfg: func(c *Config) { c.Probe = true; c.Book.Hold(node1, mac1, epoch.Add(-time.Hour)) },
			msg: ask(TypeDiscover, macB), want: want{why: "probing"}},
		{name: "second NIC while the first answers ARP", cfg: func(c *Config) {
			c.Probe = true
			c.Book.Hold(node1, mac1, epoch.Add(-time.Hour))
			c.Book.Probed(node1, true, mac1, epoch)
		}, msg: ask(TypeDiscover, macB), want: want{why: "in use by another NIC"}},
		{name: "second NIC after the first fell silent", cfg: func(c *Config) {
			c.Probe = true
			c.Book.Hold(node1, mac1, epoch.Add(-time.Hour))
			c.Book.Probed(node1, false, site.MAC{}, epoch)
		}, msg: ask(TypeDiscover, macB), want: want{kind: TypeOffer, yiaddr: "10.20.1.1"}},
		{name: "planned address still leased from the pool", state: leased(alien, "10.20.1.1", time.Hour), msg: ask(TypeDiscover, mac1), want: want{why: "leased to another client"}},
		{name: "no planned address and no pool", state: func(h *history) {
			h.add(site.NodePlanned{Node: site.Node{Name: "n3", Role: "base", MACs: []site.MAC{alien}}})
		}, msg: ask(TypeDiscover, alien), want: want{why: "no address"}},
		{name: "D3 another server was seen: no offer", cfg: func(c *Config) { c.RenewOnly = true }, msg: ask(TypeDiscover, mac1), want: want{why: "another DHCP server"}},
		{name: "D3 another server was seen: renewals go on", cfg: func(c *Config) { c.RenewOnly = true }, msg: ask(TypeRequest, mac1).ciaddr("10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1"}},
		{name: "D3 another server was seen: what it may have given is refused to nobody", cfg: func(c *Config) { c.RenewOnly = true }, msg: ask(TypeRequest, mac1).addr(optRequestedIP, "10.20.5.5"),
			want: want{why: "may have given it"}},
		{name: "D3 another server was seen: nor when it rebinds", cfg: func(c *Config) { c.RenewOnly = true }, msg: ask(TypeRequest, mac1).ciaddr("10.20.5.5").broadcast(),
			want: want{why: "may have given it"}},
		{name: "D3 another server was seen: nor to a lease of the pool", plan: withPool, state: leased(alien, "10.20.255.12", time.Hour), cfg: func(c *Config) { c.RenewOnly = true }, msg: ask(TypeRequest, alien).addr(optRequestedIP, "10.20.5.5"),
			want: want{why: "may have given it"}},
		{name: "D7 an interface that is not on the provisioning network", cfg: func(c *Config) { c.ServerID = netip.MustParseAddr("192.168.1.5") },
			msg: ask(TypeDiscover, mac1), want: want{why: "no address on the provisioning network"}},
		{name: "DHCP off", plan: func(s *site.Settings) { s.Provision.DHCP = site.DHCPOff }, msg: ask(TypeDiscover, mac1), want: want{why: "off"}},
		{name: "DHCP not mentioned is off", plan: func(s *site.Settings) { s.Provision.DHCP = "" }, msg: ask(TypeDiscover, mac1), want: want{why: "off"}},
	})
}

func TestStranger(t *testing.T) {
	var cases []decideCase
	for kind := TypeDiscover; kind <= 20; kind++ {
		base := func() wire { return ask(kind, alien).firmware(7) }
		for name, m := range map[string]wire{
			"bare":        base(),
			"init-reboot": base().addr(optRequestedIP, "192.168.7.7"),
			"renewing":    base().ciaddr("10.20.1.1"),
			"selecting":   base().addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"),
		} {
			cases = append(cases,
				decideCase{name: "D5 " + kind.String() + " " + name, msg: m, want: want{}},
				decideCase{name: "D5 proxy " + kind.String() + " " + name, plan: withProxy, msg: m, want: want{}},
				decideCase{name: "D5 4011 " + kind.String() + " " + name, plan: withProxy, msg: m, tweak: func(r *Request) { r.BootServer = true }, want: want{}},
			)
		}
	}
	runCases(t, cases)
}

func TestPool(t *testing.T) {
	lease := site.DefaultLeaseTime
	runCases(t, []decideCase{
		{name: "RFC2131-4.3.1 DISCOVER", plan: withPool, msg: ask(TypeDiscover, alien).addr(optRequestedIP, "10.20.255.11"),
			want: want{kind: TypeOffer, yiaddr: "10.20.255.11", via: ViaRaw}},
		{name: "D6 a new owner is probed for", plan: withPool, cfg: func(c *Config) { c.Probe = true }, msg: ask(TypeDiscover, alien), want: want{why: "probing"}},
		{name: "D6 the owner of a running lease is not", plan: withPool, state: leased(alien, "10.20.255.12", time.Hour), cfg: func(c *Config) { c.Probe = true },
			msg: ask(TypeDiscover, alien), want: want{kind: TypeOffer, yiaddr: "10.20.255.12"}},
		{name: "D6 a stale lease is", plan: withPool, state: leased(alien, "10.20.255.12", -time.Hour), cfg: func(c *Config) { c.Probe = true },
			msg: ask(TypeDiscover, alien), want: want{why: "probing"}},
		{name: "D6 a silent address is offered", plan: withPool, cfg: func(c *Config) {
			c.Probe = true
			c.Book.Probed(netip.MustParseAddr("10.20.255.11"), false, site.MAC{}, epoch)
		}, msg: ask(TypeDiscover, alien).addr(optRequestedIP, "10.20.255.11"), want: want{kind: TypeOffer, yiaddr: "10.20.255.11"}},
		{name: "D6 a silence of 31 s ago is not believed", plan: withPool, cfg: func(c *Config) {
			c.Probe = true
			c.Book.Probed(netip.MustParseAddr("10.20.255.11"), false, site.MAC{}, epoch.Add(-31*time.Second))
		}, msg: ask(TypeDiscover, alien).addr(optRequestedIP, "10.20.255.11"), want: want{why: "probing"}},
		{name: "RFC2131-4.3.2 SELECTING commits before the ACK", plan: withPool, msg: ask(TypeRequest, alien).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.255.11"),
			want: want{kind: TypeACK, yiaddr: "10.20.255.11", events: 1}},
		{name: "SELECTING what is offered to another", plan: withPool, cfg: func(c *Config) { c.Book.Hold(netip.MustParseAddr("10.20.255.11"), macB, epoch) },
			msg: ask(TypeRequest, alien).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.255.11"), want: want{kind: TypeNAK}},
		{name: "SELECTING what is outside the pool", plan: withPool, msg: ask(TypeRequest, alien).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeNAK}},
		{name: "RENEWING early stays within the promise and writes nothing", plan: withPool, state: leased(alien, "10.20.255.12", lease*3/4),
			msg: ask(TypeRequest, alien).ciaddr("10.20.255.12"), want: want{kind: TypeACK, yiaddr: "10.20.255.12", via: ViaUnicast, why: "still runs"}},
		{name: "RENEWING at T1 extends", plan: withPool, state: leased(alien, "10.20.255.12", lease/2),
			msg: ask(TypeRequest, alien).ciaddr("10.20.255.12"), want: want{kind: TypeACK, yiaddr: "10.20.255.12", events: 1}},
		{name: "RENEWING after the pool was taken out of the plan keeps the promise", state: leased(alien, "10.20.255.12", lease/4),
			msg: ask(TypeRequest, alien).ciaddr("10.20.255.12"), want: want{kind: TypeACK, yiaddr: "10.20.255.12"}},
		{name: "INIT-REBOOT with a running lease", plan: withPool, state: leased(alien, "10.20.255.12", lease),
			msg: ask(TypeRequest, alien).addr(optRequestedIP, "10.20.255.12"), want: want{kind: TypeACK, yiaddr: "10.20.255.12"}},
		{name: "INIT-REBOOT with a lease elsewhere", plan: withPool, state: leased(alien, "10.20.255.12", lease),
			msg: ask(TypeRequest, alien).addr(optRequestedIP, "10.20.255.13"), want: want{kind: TypeNAK}},
		{name: "RFC2131-4.3.2 INIT-REBOOT without a record is silence", plan: withPool, msg: ask(TypeRequest, alien).addr(optRequestedIP, "10.20.255.12"), want: want{why: "no record"}},
		{name: "REBINDING without a record is silence", plan: withPool, msg: ask(TypeRequest, alien).ciaddr("10.20.255.12").broadcast(), want: want{why: "no record"}},
		{name: "RELEASE", plan: withPool, state: leased(alien, "10.20.255.12", lease), msg: ask(TypeRelease, alien).ciaddr("10.20.255.12").addr(optServerID, "10.20.0.1"),
			want: want{events: 1, why: "released"}},
		{name: "RELEASE of another client's lease", plan: withPool, state: leased(macB, "10.20.255.12", lease), msg: ask(TypeRelease, alien).ciaddr("10.20.255.12").addr(optServerID, "10.20.0.1"),
			want: want{}},
		{name: "DECLINE of what was offered", plan: withPool, cfg: func(c *Config) { c.Book.Hold(netip.MustParseAddr("10.20.255.12"), alien, epoch) },
			msg: ask(TypeDecline, alien).addr(optRequestedIP, "10.20.255.12").addr(optServerID, "10.20.0.1"), want: want{events: 1}},
		{name: "a stranger of the pool gets no boot file", plan: withPool, state: func(h *history) { h.arm("n1") },
			msg: ask(TypeDiscover, alien).firmware(0).addr(optRequestedIP, "10.20.255.11"), want: want{kind: TypeOffer, yiaddr: "10.20.255.11"}},
		{name: "a planned node without an address boots from the pool", plan: withPool, state: func(h *history) {
			h.add(site.NodePlanned{Node: site.Node{Name: "n3", Role: "base", MACs: []site.MAC{alien}}}).arm("n3")
		}, msg: ask(TypeDiscover, alien).firmware(0).addr(optRequestedIP, "10.20.255.11"), want: want{kind: TypeOffer, yiaddr: "10.20.255.11", file: "undionly.kpxe", class: "PXEClient"}},
	})
}

func TestPoolRunsOut(t *testing.T) {
	h, cfg := world(t, withPool), config()
	seen := map[netip.Addr]bool{}
	for i := range 4 {
		mac := site.MAC{2, 0, 0, 0, 1, byte(i)}
		a := Decide(h.state, cfg, ask(TypeDiscover, mac).request(t), epoch)
		if a.Reply == nil {
			t.Fatalf("client %d: %s", i, a.Why)
		}
		if seen[a.Hold] {
			t.Fatalf("%s was offered twice", a.Hold)
		}
		seen[a.Hold] = true
		if !cfg.Book.Hold(a.Hold, mac, epoch) {
			t.Fatalf("the book refused %s", a.Hold)
		}
	}
	late := ask(TypeDiscover, site.MAC{2, 0, 0, 0, 1, 9}).request(t)
	if a := Decide(h.state, cfg, late, epoch); a.Reply != nil || a.Exhausted.IsZero() {
		t.Fatalf("the fifth client of four addresses: %+v", a)
	}
	if a := Decide(h.state, cfg, late, epoch.Add(holdTime)); a.Reply == nil {
		t.Fatalf("after the offers ran out: %s", a.Why)
	}
}

func TestRelay(t *testing.T) {
	runCases(t, []decideCase{
		{name: "RFC1542-4.1.2 reply goes to the relay", msg: ask(TypeDiscover, mac1).giaddr("10.20.0.254"),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRelay, to: "10.20.0.254:67"}},
		{name: "RFC8357-4 reply goes to the relay's port", msg: ask(TypeDiscover, mac1).giaddr("10.20.0.254").opt(optRelayInfo, relaySourcePort, 0),
			tweak: func(r *Request) { r.From = netip.MustParseAddrPort("10.20.0.254:40123") }, want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRelay, to: "10.20.0.254:40123"}},
		{name: "D10 unknown relay", msg: ask(TypeDiscover, mac1).giaddr("172.16.0.1"), want: want{why: "relay"}},
		{name: "D10 relay of another planned network", msg: ask(TypeDiscover, mac1).giaddr("10.22.0.1"), want: want{why: "relay"}},
		{name: "RFC3527-3 link selection from another planned network", msg: ask(TypeDiscover, mac1).giaddr("10.22.0.1").opt(optRelayInfo, relayLink, 4, 10, 20, 0, 0),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRelay, to: "10.22.0.1:67"}},
		{name: "RFC3527-3 link selection away from the provisioning network", msg: ask(TypeDiscover, mac1).giaddr("10.20.0.254").opt(optRelayInfo, relayLink, 4, 10, 22, 0, 0),
			want: want{why: "relay"}},
		{name: "RFC3527-3 link selection by an unknown relay", msg: ask(TypeDiscover, mac1).giaddr("172.16.0.1").opt(optRelayInfo, relayLink, 4, 10, 20, 0, 0),
			want: want{why: "relay"}},
		{name: "RFC5107-4 server id override in a REQUEST", msg: ask(TypeRequest, mac1).giaddr("10.20.0.254").addr(optServerID, "10.20.0.254").addr(optRequestedIP, "10.20.1.1").opt(optRelayInfo, relayServerID, 4, 10, 20, 0, 254),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1"}},
		{name: "RFC5107-4 not without the suboption", msg: ask(TypeRequest, mac1).giaddr("10.20.0.254").addr(optServerID, "10.20.0.254").addr(optRequestedIP, "10.20.1.1"),
			want: want{why: "another server"}},
	})
}

func TestServerIDOverrideIsEchoed(t *testing.T) {
	req := ask(TypeDiscover, mac1).giaddr("10.20.0.254").opt(optRelayInfo, relayServerID, 4, 10, 20, 0, 254).request(t)
	if a := Decide(world(t).state, config(), req, epoch); a.Reply == nil || a.Reply.ServerID.String() != "10.20.0.254" {
		t.Fatalf("RFC 5107 section 4: reply %+v", a.Reply)
	}
}

func TestIdentity(t *testing.T) {
	other := site.UUID{9, 9, 9}
	runCases(t, []decideCase{
		{name: "by UUID from an unknown MAC", msg: ask(TypeDiscover, alien).uuid(uuid2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "by UUID in the byte order of old firmware", msg: ask(TypeDiscover, alien).opt(optMachineID, append([]byte{0}, uuid2[:]...)...), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "MAC of one node, UUID of another", msg: ask(TypeDiscover, mac1).uuid(uuid2), want: want{why: "its UUID is n2"}},
		{name: "MAC of a node on another board", msg: ask(TypeDiscover, mac2).uuid(other), want: want{why: "NIC moved"}},
		{name: "a UUID that many boards share says nothing", msg: ask(TypeDiscover, mac2).uuid(site.UUID{}), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "no UUID, as any operating system", msg: ask(TypeDiscover, mac2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "the operating system of a node that showed its UUID", cfg: func(c *Config) { c.Book.Learn(alien, "n2") }, msg: ask(TypeDiscover, alien), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "the installer of a node that began from this MAC, after a restart", state: func(h *history) {
			h.arm("n2").add(site.InstallStarted{Node: "n2", Attempt: 1, Nonce: "n", Token: "t", Image: "feed", MAC: alien})
		}, msg: ask(TypeRequest, alien).ciaddr("10.20.1.2"), want: want{kind: TypeACK, yiaddr: "10.20.1.2"}},
	})
}

func TestBootFile(t *testing.T) {
	armed := func(h *history) { h.arm("n1") }
	exit := func(s *site.Settings) { s.Provision.LocalBoot = site.LocalExit }
	auto := func(s *site.Settings) { s.Provision.LocalBoot = site.LocalAuto }
	http := func(arch byte) wire {
		return ask(TypeDiscover, mac1).params().text(optClass, "HTTPClient:Arch:00016:UNDI:003001").opt(optArch, 0, arch)
	}
	const script = "http://10.20.0.1:8080/boot/" + ipxe.BootstrapName
	runCases(t, []decideCase{
		{name: "BIOS", state: armed, msg: ask(TypeDiscover, mac1).firmware(0), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "undionly.kpxe", class: "PXEClient"}},
		{name: "UEFI x64 is 7", state: armed, msg: ask(TypeDiscover, mac1).firmware(7), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "snponly.efi", class: "PXEClient"}},
		{name: "UEFI x64 is also 9", state: armed, msg: ask(TypeDiscover, mac1).firmware(9), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "snponly.efi", class: "PXEClient"}},
		{name: "UEFI HTTP boot", state: armed, msg: http(16), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "http://10.20.0.1:8080/boot/snponly.efi", class: "HTTPClient"}},
		{name: "unknown architecture", state: armed, msg: ask(TypeDiscover, mac1).firmware(27), want: want{kind: TypeOffer, yiaddr: "10.20.1.1"}},
		{name: "iPXE by bare user class", state: armed, msg: ask(TypeDiscover, mac1).firmware(0).text(optUserClass, "iPXE"), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: script, class: "PXEClient"}},
		{name: "RFC3004-4 iPXE by counted user class", state: armed, msg: ask(TypeDiscover, mac1).firmware(0).opt(optUserClass, 4, 'i', 'P', 'X', 'E'), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: script, class: "PXEClient"}},
		{name: "iPXE by option 175", state: armed, msg: ask(TypeDiscover, mac1).firmware(0).opt(optEtherboot, 1, 1, 1), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: script, class: "PXEClient"}},
		{name: "the ACK says the same", state: armed, msg: ask(TypeRequest, mac1).firmware(7).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", file: "snponly.efi", class: "PXEClient"}},
		{name: "not armed: an address and no boot file", msg: ask(TypeDiscover, mac1).firmware(7), want: want{kind: TypeOffer, yiaddr: "10.20.1.1"}},
		{name: "not armed, disk by iPXE exit: the loader", plan: exit, msg: ask(TypeDiscover, mac1).firmware(7), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "snponly.efi", class: "PXEClient"}},
		{name: "not armed, BIOS, nothing chosen: no boot file", plan: auto, msg: ask(TypeDiscover, mac1).firmware(0), want: want{kind: TypeOffer, yiaddr: "10.20.1.1"}},
		{name: "not armed, UEFI, nothing chosen: the loader", plan: auto, msg: ask(TypeDiscover, mac1).firmware(7), want: want{kind: TypeOffer, yiaddr: "10.20.1.1", file: "snponly.efi", class: "PXEClient"}},
		{name: "an operating system gets none", state: armed, msg: ask(TypeDiscover, mac1).params(), want: want{kind: TypeOffer, yiaddr: "10.20.1.1"}},
	})
}

func TestProxy(t *testing.T) {
	armed := func(h *history) { h.arm("n1") }
	at4011 := func(r *Request) { r.BootServer = true; r.From = netip.MustParseAddrPort("10.20.1.1:4011") }
	runCases(t, []decideCase{
		{name: "D13 BIOS DISCOVER", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).firmware(0), want: want{kind: TypeOffer, via: ViaBroadcast, file: "undionly.kpxe", class: "PXEClient"}},
		{name: "D13 UEFI DISCOVER", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).firmware(7), want: want{kind: TypeOffer, via: ViaBroadcast, file: "snponly.efi", class: "PXEClient"}},
		{name: "D13 UEFI at 4011 is answered where it asks from", plan: withProxy, state: armed, msg: ask(TypeRequest, mac1).firmware(7).ciaddr("10.20.1.1"), tweak: at4011,
			want: want{kind: TypeACK, via: ViaBoot, to: "10.20.1.1:4011", file: "snponly.efi", class: "PXEClient"}},
		{name: "4011 is answered in server mode too", state: armed, msg: ask(TypeRequest, mac1).firmware(7).ciaddr("10.20.1.1"), tweak: at4011,
			want: want{kind: TypeACK, via: ViaBoot, to: "10.20.1.1:4011", file: "snponly.efi", class: "PXEClient"}},
		{name: "HTTP boot beside another server", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).text(optClass, "HTTPClient:Arch:00016").opt(optArch, 0, 16),
			want: want{kind: TypeOffer, via: ViaBroadcast, file: "http://10.20.0.1:8080/boot/snponly.efi", class: "HTTPClient"}},
		{name: "iPXE gets its script", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).firmware(0).opt(optEtherboot, 1, 1, 1), want: want{kind: TypeOffer, file: "http://10.20.0.1:8080/boot/" + ipxe.BootstrapName, class: "PXEClient"}},
		{name: "addresses are not ours to give", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).params(), want: want{why: "boot file"}},
		{name: "the REQUEST to the other server is not ours", plan: withProxy, state: armed, msg: ask(TypeRequest, mac1).firmware(0).addr(optServerID, "10.20.0.9").addr(optRequestedIP, "10.20.1.1"), want: want{}},
		{name: "INIT-REBOOT is not ours to NAK", plan: withProxy, state: armed, msg: ask(TypeRequest, mac1).firmware(0).addr(optRequestedIP, "192.168.1.1"), want: want{}},
		{name: "not armed: silence", plan: withProxy, msg: ask(TypeDiscover, mac1).firmware(0), want: want{why: "not armed"}},
		{name: "not armed: silence at 4011", plan: withProxy, msg: ask(TypeRequest, mac1).firmware(0), tweak: at4011, want: want{why: "not armed"}},
		{name: "the pool is out of use", plan: func(s *site.Settings) { withPool(s); withProxy(s) }, msg: ask(TypeDiscover, alien).firmware(0), want: want{why: "does not name"}},
	})
}

func TestExplainSaysEachReasonOnce(t *testing.T) {
	for name, c := range map[string]struct {
		with []func(*site.Settings)
		want string
	}{
		"server": {nil, "reserved by the plan; planned, but not armed"},
		"proxy":  {[]func(*site.Settings){withProxy}, "no boot file for it: planned, but not armed"},
	} {
		if _, why := Explain(world(t, c.with...).state, config(), Asker{MAC: mac1}, epoch); why != c.want {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
	}
}

func TestAnswerExplainsItself(t *testing.T) {
	h := world(t).arm("n1")
	a := Decide(h.state, config(), ask(TypeDiscover, mac1).firmware(7).request(t), epoch)
	if a.Node != "n1" || a.Action != boot.Install || !a.FirstStage || !strings.Contains(a.BootWhy, "armed by ops") || a.Why == "" {
		t.Fatalf("answer = %+v", a)
	}
}
