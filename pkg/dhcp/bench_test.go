package dhcp

import (
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func relayedDiscover() wire {
	return ask(TypeDiscover, mac1).firmware(7).uuid(uuid2).giaddr("10.20.0.254").opt(optRelayInfo, 1, 5, 's', 't', 'o', 'r', 'm').end()
}

func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name  string
		armed bool
	}{{"planned", false}, {"armed", true}} {
		b.Run(c.name, func(b *testing.B) {
			h := world(b)
			if c.armed {
				h.arm("n1")
			}
			cfg := config()
			raw := ask(TypeDiscover, mac1).firmware(7).giaddr("10.20.0.254").opt(optRelayInfo, 1, 5, 's', 't', 'o', 'r', 'm').end()
			var r Request
			out := make([]byte, 0, 1500)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Parse(raw); err != nil {
					b.Fatal(err)
				}
				a := Decide(h.state, cfg, &r, epoch)
				if a.Reply == nil {
					b.Fatal(a.Why)
				}
				cfg.Book.Hold(a.Hold, r.MAC, epoch)
				out = a.Reply.Append(out[:0])
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	raw := relayedDiscover()
	b.Run("own", func(b *testing.B) {
		var r Request
		b.ReportAllocs()
		for b.Loop() {
			if err := r.Parse(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("insomniacslk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := dhcpv4.FromBytes(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
