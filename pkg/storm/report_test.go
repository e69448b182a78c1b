package storm

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReports(t *testing.T) {
	latency := Latency{Count: 512, P50: 290 * time.Microsecond, P90: 1234567, P99: 56 * time.Millisecond, Max: 3 * time.Second}
	process := &Process{CPU: 40 * time.Millisecond, PeakRSS: 12_500_000}
	phase := DHCPPhase{Exchanges: 512, Finished: 510, PerSecond: 13210.4, Retransmitted: 7, Latency: latency, Process: process}
	for _, c := range []struct {
		name, want string
		write      func(*strings.Builder) error
	}{
		{"dhcp", `
DHCP: 512 clients of 10.0.0.1:67 through relay 10.0.0.9
        exchanges/s    p50     p90   p99  max  finished  failed  again  NAK  conflicts  µs CPU  RSS MB
  cold        13210  290µs  1.23ms  56ms   3s       510       2      7    0          0    78.4    12.5
This host dropped 3 answers itself: raise net.core.rmem_max or run as root.
`, func(b *strings.Builder) error {
			return DHCPResult{
				Server: netip.MustParseAddrPort("10.0.0.1:67"), Relay: netip.MustParseAddr("10.0.0.9"),
				Clients: 512, Cold: phase, GeneratorDrops: 3,
			}.WriteText(b)
		}},
		{"boot", `
Boot storm: 511 of 512 machines in 7.3s, 7014 MB/s, 7 DHCP retransmissions, 1 failed
   phase  machines    p50     p90   p99  slowest
   lease       512  290µs  1.23ms  56ms       3s
  loader       512  290µs  1.23ms  56ms       3s
Server: 40ms CPU, 12.5 MB RSS at most
     1 × no answer
`, func(b *strings.Builder) error {
			return BootResult{
				Clients: 512, Finished: 511, Failed: 1, Errors: map[string]int{"no answer": 1}, Elapsed: 7300 * time.Millisecond,
				MBPerSecond: 7014, DHCP: phase, Loader: latency, Process: process,
			}.WriteText(b)
		}},
		{"tftp", `
TFTP: 50 clients, 1048576 octets each, blksize 1468, windowsize 4
  MB/s    p50   p99  slowest  finished  failed  different  asked again  duplicates  CPU s/GB  RSS MB
   312  290µs  56ms       3s        50       0          0            2           1      0.76    12.5
`, func(b *strings.Builder) error {
			return TFTPResult{
				Clients: 50, Finished: 50, Size: 1 << 20, Bytes: 50 << 20, BlockSize: 1468, WindowSize: 4,
				Retransmitted: 2, Duplicates: 1, MBPerSecond: 312, Latency: latency, Process: process,
			}.WriteText(b)
		}},
	} {
		var b strings.Builder
		if err := c.write(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
