package dhcp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

var (
	epoch   = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	server1 = netip.MustParseAddr("10.20.0.1")
	node1   = netip.MustParseAddr("10.20.1.1")
	mac1    = site.MAC{0x52, 0x54, 0, 0, 0, 1}
	macB    = site.MAC{0x52, 0x54, 0, 0, 0, 0xb1}
	mac2    = site.MAC{0x52, 0x54, 0, 0, 0, 2}
	alien   = site.MAC{0x52, 0x54, 0, 0xff, 0, 1}
	uuid2   = site.UUID{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8}
)

// history builds a state out of events.
type history struct {
	tb    testing.TB
	state *site.State
}

func (h *history) add(bodies ...site.Body) *history {
	h.tb.Helper()
	next := h.state.Fork()
	for _, b := range bodies {
		if err := next.Apply(site.Event{Seq: next.Seq + 1, At: epoch, Body: b}); err != nil {
			h.tb.Fatalf("folding %s: %v", b.Kind(), err)
		}
	}
	h.state = next
	return h
}

func (h *history) arm(node string) *history {
	return h.add(site.Armed{Node: node, By: "ops", Until: epoch.Add(24 * time.Hour)})
}

func settings(edit func(*site.Settings)) site.Settings {
	s := site.Settings{
		Site: "test", Domain: "gz.example.net",
		Provision: site.Provision{Network: "provision", DHCP: site.DHCPServer, LocalBoot: site.LocalFirmware},
		Networks: map[string]site.Network{
			"provision": {
				Subnet: netip.MustParsePrefix("10.20.0.0/16"), Gateway: netip.MustParseAddr("10.20.0.254"),
				DNS: []netip.Addr{netip.MustParseAddr("10.20.0.53")}, NTP: []netip.Addr{netip.MustParseAddr("10.20.0.123")},
			},
			"management": {Subnet: netip.MustParsePrefix("10.22.0.0/16")},
		},
		Roles: map[string]site.Role{"base": {Profile: "base", Image: "rocky9"}},
	}
	if edit != nil {
		edit(&s)
	}
	return s
}

func withPool(s *site.Settings) {
	s.Provision.Pool = site.Range{First: netip.MustParseAddr("10.20.255.10"), Last: netip.MustParseAddr("10.20.255.13")}
}

func withProxy(s *site.Settings) { s.Provision.DHCP = site.DHCPProxy }

// world has n1 with two NICs and n2 known by its UUID as well.
func world(tb testing.TB, edits ...func(*site.Settings)) *history {
	set := settings(func(s *site.Settings) {
		for _, e := range edits {
			e(s)
		}
	})
	h := &history{tb: tb, state: site.NewState()}
	return h.add(
		site.PlanApplied{Settings: set, Digest: "d", Nodes: 2},
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "feed", Family: "rhel"}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{mac1, macB}, Addresses: map[string]netip.Addr{"provision": node1}}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{mac2}, UUID: uuid2, Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.1.2")}}},
	)
}

func config() Config {
	return Config{ServerID: server1, HTTP: "http://10.20.0.1:8080", Book: NewBook()}
}

// wire builds a client's message by hand, so that tests say bytes.
type wire []byte

func ask(kind MessageType, mac site.MAC) wire {
	p := make(wire, offOptions, 600)
	p[offOp], p[offHType], p[offHLen] = opRequest, 1, 6
	binary.BigEndian.PutUint32(p[offXID:], 0xcafe0001)
	copy(p[offCHAddr:], mac[:])
	binary.BigEndian.PutUint32(p[offCookie:], magicCookie)
	return p.opt(optType, byte(kind))
}

func (p wire) opt(code byte, v ...byte) wire {
	return append(append(p, code, byte(len(v))), v...)
}

func (p wire) text(code byte, s string) wire { return p.opt(code, []byte(s)...) }

func (p wire) addr(code byte, a string) wire {
	v := netip.MustParseAddr(a).As4()
	return p.opt(code, v[:]...)
}

func (p wire) at(offset int, v ...byte) wire {
	copy(p[offset:], v)
	return p
}

func (p wire) ciaddr(a string) wire {
	v := netip.MustParseAddr(a).As4()
	return p.at(offCIAddr, v[:]...)
}

func (p wire) giaddr(a string) wire {
	v := netip.MustParseAddr(a).As4()
	return p.at(offGIAddr, v[:]...)
}

func (p wire) broadcast() wire { return p.at(offFlags, 0x80) }

// firmware adds what PXE 2.1 table 2-1 has every PXE client send.
func (p wire) firmware(arch byte) wire {
	return p.params().text(optClass, "PXEClient:Arch:000"+string('0'+arch/10)+string('0'+arch%10)+":UNDI:003016").opt(optArch, 0, arch).opt(94, 1, 3, 16)
}

func (p wire) params() wire {
	return p.opt(optParams, 1, 2, 3, 6, 12, 15, 26, 28, 42, 43, 51, 54, 60, 66, 67, 97)
}

func (p wire) uuid(u site.UUID) wire {
	v := append([]byte{0}, u[:]...)
	v[1], v[2], v[3], v[4] = v[4], v[3], v[2], v[1]
	v[5], v[6] = v[6], v[5]
	v[7], v[8] = v[8], v[7]
	return p.opt(optMachineID, v...)
}

func (p wire) end() wire { return append(p, optEnd) }

func (p wire) request(tb testing.TB) *Request {
	tb.Helper()
	var r Request
	if err := r.Parse(p.end()); err != nil {
		tb.Fatalf("parsing: %v", err)
	}
	r.From = netip.MustParseAddrPort("10.20.0.77:68")
	return &r
}
