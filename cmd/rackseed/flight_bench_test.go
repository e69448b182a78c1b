package main

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/site"
)

// BenchmarkObserveDHCP is what recording costs a message and its answer: two
// entries and two packets. It reports the time of the processor, too, which
// a busy machine does not spoil; the writer's share is in it.
func BenchmarkObserveDHCP(b *testing.B) {
	for _, recording := range []bool{false, true} {
		b.Run(map[bool]string{false: "decide", true: "decide and record"}[recording], func(b *testing.B) {
			w := watch(b, site.DHCPServer)
			m, err := dhcpv4.New(dhcpv4.WithHwAddr([]byte{0x52, 0x54, 0, 0, 0, 1}), dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), pxe)
			if err != nil {
				b.Fatal(err)
			}
			raw := m.ToBytes()
			cfg := dhcp.Config{ServerID: netip.MustParseAddr("10.20.0.1"), HTTP: "http://10.20.0.1", Mode: w.mode, Book: dhcp.NewBook()}
			from, local := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("10.20.0.1:67")
			out := make([]byte, 0, 1500)
			start := w.now() // a machine at the pace of a boot, so that no entry is one too many
			began := processorTime(b)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				var q dhcp.Request
				if err := q.Parse(raw); err != nil {
					b.Fatal(err)
				}
				a := dhcp.Decide(w.state(), cfg, &q, w.now())
				out = a.Reply.Append(out[:0])
				if recording {
					w.dhcp(dhcp.Observation{At: start.Add(time.Duration(n) * time.Second), Request: &q, Answer: &a, Raw: raw, Sent: out, From: from, Local: local})
				}
			}
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(n), "cpu-ns/op")
			b.ReportMetric(float64(w.core.flight.Dropped())/float64(n), "dropped/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
