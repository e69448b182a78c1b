package dhcp

import (
	"net/netip"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestBMCsAreServedAlone: on a network with a pool for BMCs, BMCs have
// addresses and nobody else; without one, nobody has.
func TestBMCsAreServedAlone(t *testing.T) {
	bmcMAC := site.MAC{0x52, 0x54, 0, 0xbb, 0, 1}
	withBMCs := func(s *site.Settings) {
		s.Networks["ipmi"] = site.Network{
			Subnet: netip.MustParsePrefix("10.21.0.0/16"), Gateway: netip.MustParseAddr("10.21.0.254"),
			BMCPool: site.Range{First: netip.MustParseAddr("10.21.255.10"), Last: netip.MustParseAddr("10.21.255.10")},
		}
	}
	withoutPool := func(s *site.Settings) {
		s.Networks["ipmi"] = site.Network{Subnet: netip.MustParsePrefix("10.21.0.0/16")}
	}
	here := func(c *Config) { c.ServerID = netip.MustParseAddr("10.21.0.1") }
	planned := func(h *history) {
		h.add(site.NodePlanned{Node: site.Node{Name: "n3", Role: "base", Serial: "CZ2311004G", BMC: site.BMC{Address: "10.21.0.33", MAC: bmcMAC}}})
	}
	ilo := func(kind MessageType) wire {
		return ask(kind, bmcMAC).params().text(optClass, "CPQRIB3").text(optHostname, "ILOCZ2311004G")
	}
	drac := func(kind MessageType) wire { return ask(kind, alien).params().text(optClass, "iDRAC") }
	for _, c := range []struct {
		name  string
		plan  func(*site.Settings)
		state func(*history)
		msg   wire
		want  want
	}{
		{"a BMC", withBMCs, nil, drac(TypeDiscover), want{kind: TypeOffer, yiaddr: "10.21.255.10", why: "from the pool"}},
		{"takes it", withBMCs, nil, drac(TypeRequest).addr(optServerID, "10.21.0.1").addr(optRequestedIP, "10.21.255.10"), want{kind: TypeACK, yiaddr: "10.21.255.10", events: 1}},
		{"not an address of the provisioning network", func(s *site.Settings) { withBMCs(s); withPool(s) }, nil,
			drac(TypeRequest).addr(optServerID, "10.21.0.1").addr(optRequestedIP, "10.20.255.10"), want{kind: TypeNAK}},
		{"the one that the plan gives it, by its MAC", withBMCs, planned, ask(TypeDiscover, bmcMAC).params(), want{kind: TypeOffer, yiaddr: "10.21.0.33"}},
		{"and by the serial number in its name", withBMCs, planned, ask(TypeDiscover, alien).params().text(optHostname, "ILOCZ2311004G"), want{kind: TypeOffer, yiaddr: "10.21.0.33"}},
		{"without a plan for it, from the pool", withBMCs, nil, ilo(TypeDiscover), want{kind: TypeOffer, yiaddr: "10.21.255.10"}},
		{"BusyBox is at home there", withBMCs, nil, ask(TypeDiscover, alien).params().text(optClass, "udhcp 1.23.1"), want{kind: TypeOffer, yiaddr: "10.21.255.10"}},
		{"a pool that has nothing left", withBMCs, func(h *history) {
			h.add(site.LeaseGranted{Lease: site.Lease{MAC: macB, Addr: netip.MustParseAddr("10.21.255.10"), Until: epoch.Add(site.DefaultLeaseTime)}})
		}, drac(TypeDiscover), want{why: "no free address"}},
		{"a machine that asks for a boot file", withBMCs, nil, ask(TypeDiscover, alien).firmware(7), want{why: "network ipmi is for BMCs"}},
		{"a planned machine on the wrong network", withBMCs, nil, ask(TypeDiscover, mac1).firmware(7), want{why: "network ipmi is for BMCs"}},
		{"a laptop", withBMCs, nil, ask(TypeDiscover, alien).params().text(optClass, "MSFT 5.0").text(optHostname, "laptop"), want{why: "does not look like a BMC"}},
		{"no pool, no answer", withoutPool, planned, ilo(TypeDiscover), want{why: "no address on the provisioning network"}},
		{"beside another server nothing", func(s *site.Settings) { withBMCs(s); withProxy(s) }, nil, drac(TypeDiscover), want{why: "does not name this machine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := world(t, c.plan)
			if c.state != nil {
				c.state(h)
			}
			cfg := config()
			here(&cfg)
			c.want.check(t, Decide(h.state, cfg, c.msg.end().request(t), epoch))
		})
	}
	t.Run("through a relay", func(t *testing.T) {
		h := world(t, withBMCs)
		a := Decide(h.state, config(), drac(TypeDiscover).giaddr("10.21.0.254").end().request(t), epoch)
		want{kind: TypeOffer, yiaddr: "10.21.255.10", via: ViaRelay}.check(t, a)
	})
	t.Run("on the provisioning network BMCs are strangers like others", func(t *testing.T) {
		h := world(t, withBMCs)
		want{why: "has no pool"}.check(t, Decide(h.state, config(), drac(TypeDiscover).end().request(t), epoch))
	})
}
