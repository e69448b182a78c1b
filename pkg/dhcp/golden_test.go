package dhcp

import (
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden fixes whole replies, byte by byte: firmware is picky about what
// it never says.
func TestGolden(t *testing.T) {
	armed := func(h *history) { h.arm("n1") }
	relay := []byte{1, 4, 'e', 't', 'h', '7', 2, 3, 'a', 'b', 'c'}
	for _, c := range []decideCase{
		{name: "server-bios-offer", state: armed, msg: ask(TypeDiscover, mac1).firmware(0).uuid(site.UUID{1, 2, 3, 4})},
		{name: "server-uefi-ack", state: armed, msg: ask(TypeRequest, mac1).firmware(7).uuid(site.UUID{1, 2, 3, 4}).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1")},
		{name: "server-http-offer", state: armed, msg: ask(TypeDiscover, mac1).params().text(optClass, "HTTPClient:Arch:00016:UNDI:003001").opt(optArch, 0, 16)},
		{name: "server-ipxe-ack", state: armed, msg: ask(TypeRequest, mac1).firmware(7).text(optUserClass, "iPXE").addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1")},
		{name: "server-local-offer", msg: ask(TypeDiscover, mac1).firmware(7)},
		{name: "server-os-ack-relayed", msg: ask(TypeRequest, mac1).params().opt(optClientID, 1, 0x52, 0x54, 0, 0, 0, 1).addr(optRequestedIP, "10.20.1.1").giaddr("10.20.0.254").opt(optRelayInfo, relay...)},
		{name: "server-nak-relayed", msg: ask(TypeRequest, mac1).addr(optRequestedIP, "10.20.9.9").giaddr("10.20.0.254").opt(optRelayInfo, relay...)},
		{name: "server-jumbo-offer", plan: func(s *site.Settings) {
			n := s.Networks["provision"]
			n.MTU = 9000
			s.Networks["provision"] = n
		}, msg: ask(TypeDiscover, mac1).params()},
		{name: "pool-ack", plan: withPool, state: func(h *history) { leased(alien, "10.20.255.12", site.DefaultLeaseTime)(h) }, msg: ask(TypeRequest, alien).params().ciaddr("10.20.255.12")},
		{name: "inform-ack", msg: ask(TypeInform, mac1).params().ciaddr("10.20.1.1")},
		{name: "proxy-bios-offer", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).firmware(0).uuid(site.UUID{1, 2, 3, 4})},
		{name: "proxy-uefi-offer", plan: withProxy, state: armed, msg: ask(TypeDiscover, mac1).firmware(7).uuid(site.UUID{1, 2, 3, 4})},
		{name: "proxy-uefi-4011-ack", plan: withProxy, state: armed, msg: ask(TypeRequest, mac1).firmware(7).ciaddr("10.20.1.1").opt(optVendor, pxeBootItem, 4, 0, 0, 0, 0, optEnd),
			tweak: func(r *Request) { r.BootServer = true; r.From = netip.MustParseAddrPort("10.20.1.1:4011") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := c.plan
			if plan == nil {
				plan = func(*site.Settings) {}
			}
			h := world(t, plan)
			if c.state != nil {
				c.state(h)
			}
			req := c.msg.request(t)
			if c.tweak != nil {
				c.tweak(req)
			}
			a := Decide(h.state, config(), req, epoch)
			if a.Reply == nil {
				t.Fatalf("silence: %s", a.Why)
			}
			golden(t, c.name, dump(&a))
		})
	}
}

func dump(a *Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "via %s to %s\nwhy: %s\nboot: %s\n%s\n%s", a.Via, a.To, a.Why, a.BootWhy, a.Reply.Text(), hex.Dump(a.Reply.Append(nil)))
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test -run Golden -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
