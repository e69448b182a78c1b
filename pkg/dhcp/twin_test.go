package dhcp

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestTwin: one identity is one machine. Who claims to be a node from a port
// that nobody knows, while the node's own port was seen, gets nothing of it.
func TestTwin(t *testing.T) {
	seen := func(more ...site.Body) func(*history) {
		return func(h *history) { h.add(append([]site.Body{site.NodeSeen{Node: "n2", MAC: mac2}}, more...)...) }
	}
	refused := site.ClaimRefused{Node: "n2", MAC: alien, Rival: mac2, Reason: "r"}
	claims := want{events: 1, why: "52:54:00:ff:00:01 claims to be n2, whose own port 52:54:00:00:00:02 was seen"}
	boots := func(port byte) wire { return ask(TypeDiscover, alien).firmware(port).uuid(uuid2) }
	runCases(t, []decideCase{
		{name: "the node itself", state: seen(), msg: ask(TypeDiscover, mac2).uuid(uuid2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "the node itself, after a claim", state: seen(refused), msg: ask(TypeDiscover, mac2).uuid(uuid2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "a twin", state: seen(), msg: ask(TypeDiscover, alien).uuid(uuid2), want: claims},
		{name: "a twin of an armed node", state: seen(site.Armed{Node: "n2", By: "ops", Until: epoch.Add(time.Hour)}), msg: boots(7), want: claims},
		{name: "a twin in the byte order of old firmware", state: seen(), msg: ask(TypeDiscover, alien).opt(optMachineID, append([]byte{0}, uuid2[:]...)...), want: claims},
		{name: "a twin in proxy mode", plan: withProxy, state: seen(), msg: boots(0), want: claims},
		{name: "a twin at port 4011", plan: withProxy, state: seen(), msg: ask(TypeRequest, alien).firmware(7).uuid(uuid2), tweak: func(r *Request) { r.BootServer = true }, want: claims},
		{name: "a twin that asks for the node's address", state: seen(), msg: ask(TypeRequest, alien).uuid(uuid2).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.2"), want: claims},
		{name: "a twin is a stranger, to whom the pool is open", plan: withPool, state: seen(), msg: ask(TypeDiscover, alien).uuid(uuid2).addr(optRequestedIP, "10.20.255.12"),
			want: want{kind: TypeOffer, yiaddr: "10.20.255.12", events: 1, why: "claims to be n2"}},
		{name: "a claim is put on record once", state: seen(refused), msg: boots(0), want: want{why: "claims to be n2"}},
		{name: "a claim is put on record again in the next attempt", state: seen(site.Armed{Node: "n2", By: "ops", Until: epoch.Add(time.Hour)}, site.InstallStarted{Node: "n2", Attempt: 1, Token: "t", MAC: mac2}, refused),
			msg: boots(0), want: want{events: 1, why: "two machines claim to be n2"}},
		{name: "who was taken for the node before its own port was seen", state: seen(), cfg: func(c *Config) { c.Book.Learn(alien, "n2") }, msg: ask(TypeDiscover, alien), want: claims},
		{name: "a port that nobody lists, while no other was seen", msg: boots(7), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "which is given the address of the node only if that is silent", cfg: func(c *Config) { c.Probe = true }, msg: boots(7), want: want{why: "probing"}},
		{name: "and has it when it is", cfg: func(c *Config) {
			c.Probe = true
			c.Book.Probed(netip.MustParseAddr("10.20.1.2"), false, site.MAC{}, epoch)
		},
			msg: ask(TypeDiscover, alien).uuid(uuid2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "and not when it is in use", cfg: func(c *Config) { c.Probe = true; c.Book.Probed(netip.MustParseAddr("10.20.1.2"), true, mac2, epoch) },
			msg: ask(TypeDiscover, alien).uuid(uuid2), want: want{why: "in use by another NIC"}},
		{name: "an install that began from a port that nobody lists goes on", state: func(h *history) {
			h.add(site.Armed{Node: "n2", By: "ops", Until: epoch.Add(time.Hour)}, site.InstallStarted{Node: "n2", Attempt: 1, Token: "t", MAC: alien}, site.NodeSeen{Node: "n2", MAC: mac2})
		}, msg: ask(TypeRequest, alien).ciaddr("10.20.1.2"), want: want{kind: TypeACK, yiaddr: "10.20.1.2"}},
		{name: "a NIC that was exchanged, once the plan names it", state: func(h *history) {
			seen()(h)
			h.add(site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{alien}, UUID: uuid2, Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.1.2")}}})
		}, msg: ask(TypeDiscover, alien).uuid(uuid2), want: want{kind: TypeOffer, yiaddr: "10.20.1.2"}},
		{name: "the node was seen while it was a stranger", state: func(h *history) {
			h.add(site.NodeUnplanned{Name: "n2"}, site.StrangerSeen{MAC: mac2},
				site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{mac2}, UUID: uuid2, Adopted: true}})
		}, msg: ask(TypeDiscover, alien).uuid(uuid2), want: want{events: 1, why: "`rackseed node set n2 --add-mac 52:54:00:ff:00:01`"}},
	})
}

// TestOneIdentityOneMachine: whatever a machine and its twins say, in any
// order, the address of the node is never in two hands, and once the node's
// own port is on record nobody else is told anything that is the node's.
func TestOneIdentityOneMachine(t *testing.T) {
	address := netip.MustParseAddr("10.20.1.2")
	rapid.Check(t, func(rt *rapid.T) {
		h := world(t, withPool)
		now, cfg := epoch, config()
		cfg.Probe = true
		var user site.MAC // who uses the address
		ports := []site.MAC{mac2, alien, {2, 0, 0, 0, 0, 7}}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			port := rapid.SampledFrom(ports).Draw(rt, "port")
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(1, 120).Draw(rt, "seconds")) * time.Second)
				continue
			case 1:
				if m, _ := h.state.Machine("n2"); m.Phase == site.PhasePlanned {
					h.add(site.Armed{Node: "n2", By: "ops", Until: epoch.Add(1000 * time.Hour)})
				}
				continue
			case 2: // whoever has the address is switched off
				user = site.MAC{}
				continue
			case 3: // the daemon forgets what it offered to whom
				if user == mac2 {
					cfg.Book = NewBook()
				}
				continue
			}
			msg := ask(TypeDiscover, port).uuid(uuid2)
			if rapid.Bool().Draw(rt, "firmware") {
				msg = ask(TypeDiscover, port).firmware(7).uuid(uuid2)
			}
			if rapid.Bool().Draw(rt, "requests") {
				msg = ask(TypeRequest, port).firmware(7).uuid(uuid2).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.2")
			}
			req := msg.request(t)
			a := Decide(h.state, cfg, req, now)
			for a.Probe.IsValid() {
				busy := a.Probe == address && user != site.MAC{}
				cfg.Book.Probed(a.Probe, busy, user, now)
				if a.Hold.IsValid() {
					cfg.Book.Hold(a.Hold, port, now)
				}
				a = Decide(h.state, cfg, req, now)
			}
			m, _ := h.state.Machine("n2")
			_, seen := h.state.SeenPort(m)
			h.add(a.Events...)
			if a.Learned {
				cfg.Book.Learn(port, a.Node)
			}
			if a.Reply == nil || a.Hold.IsValid() && !cfg.Book.Hold(a.Hold, port, now) {
				continue
			}
			mine := a.Reply.YIAddr == address
			if seen && port != mac2 && (mine || a.Node == "n2" || a.Reply.BootFile != "") {
				rt.Fatalf("%s is told what is n2's, whose own port was seen: %s of %s, %q, %s", port, a.Reply.Type, a.Reply.YIAddr, a.Reply.BootFile, a.Why)
			}
			if mine && user != (site.MAC{}) && user != port {
				rt.Fatalf("%s of %s to %s, while %s uses it: %s", a.Reply.Type, address, port, user, a.Why)
			}
			if mine && a.Reply.Type == TypeACK {
				user = port
				cfg.Book.Given(address)
			}
			// The sight of the node's own port comes to the log when it comes.
			if port == mac2 && rapid.Bool().Draw(rt, "recorded") && !m.Saw(mac2) {
				h.add(site.NodeSeen{Node: "n2", MAC: mac2})
			}
		}
		if m, _ := h.state.Machine("n2"); len(m.Claims) > 8 {
			rt.Errorf("the wire made the log grow by %d claims", len(m.Claims))
		}
	})
}
