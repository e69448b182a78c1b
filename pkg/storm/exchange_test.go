package storm

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testExchanger(t testing.TB, c DHCPConfig, total int) *exchanger {
	t.Helper()
	c.Server = netip.MustParseAddrPort("127.0.0.1:67")
	c.Relay = netip.MustParseAddr("127.0.0.1")
	c, err := c.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return newExchanger(c, newTemplate(msgDiscover, c.Relay, 0, false), newTemplate(msgRequest, c.Relay, 0, false), total, 0)
}

// sent empties the outbox.
func sent(x *exchanger) (packets [][]byte) {
	for i := range x.out.n {
		packets = append(packets, append([]byte(nil), x.out.buf[i][:x.out.len[i]]...))
	}
	x.out.n = 0
	return packets
}

func answered(b []byte) []byte { echoReply(b); return b }

func TestClosedLoopKeepsSoManyInFlight(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 100, InFlight: 7}, 100)
	x.tick(0)
	if got := len(sent(x)); got != 7 {
		t.Fatalf("%d DISCOVERs at once, want 7", got)
	}
}

// A server that stalls for a second must not slow an open loop down, and the
// machines that should have begun meanwhile must count their whole wait.
func TestOpenLoopMeasuresFromTheIntendedStart(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 2, Rate: 10, Timeout: time.Minute}, 4)
	x.tick(0)
	x.tick(100 * time.Millisecond)
	discovers := sent(x)
	if len(discovers) != 2 {
		t.Fatalf("%d DISCOVERs after 100 ms at 10/s, want 2", len(discovers))
	}
	// Exchanges 3 and 4 are due at 200 and 300 ms, but both machines wait.
	now := time.Second
	x.tick(now)
	for range 2 {
		for _, p := range discovers {
			x.receive(now, answered(p))
		}
		for _, p := range sent(x) {
			x.receive(now, answered(p))
		}
		x.tick(now)
		discovers = sent(x)
	}
	if !x.done() || x.stats.Finished != 4 {
		t.Fatalf("finished %d of 4", x.stats.Finished)
	}
	got := x.latency.Summary()
	if got.Max != time.Second || got.Mean != 850*time.Millisecond {
		t.Fatalf("latency %+v; want a mean of (1000+900+800+700)/4 ms", got)
	}
}

// One machine that waits out a lost packet must not make a fast server look slow.
func TestRateLeavesTheTailOut(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 10, InFlight: 2, Timeout: 10 * time.Second}, 10)
	now := time.Duration(0)
	for ; !x.done(); now += 100 * time.Millisecond {
		x.tick(now)
		for _, p := range sent(x) {
			if p[offCHAddr+5] != 9 || now > 5*time.Second {
				x.receive(now, answered(p))
			}
		}
	}
	// Two machines every two rounds of 100 ms; the last begins after eight have finished.
	if got := x.rate(now); got < 9 || got > 11 {
		t.Errorf("rate %v, want 10", got)
	}
}

func TestRetransmissionsDoubleAndEnd(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 1, Timeout: time.Second, Tries: 3}, 1)
	var at []time.Duration
	for now := time.Duration(0); !x.done(); now += 500 * time.Millisecond {
		x.tick(now)
		if len(sent(x)) > 0 {
			at = append(at, now)
		}
	}
	if want := []time.Duration{0, time.Second, 3 * time.Second}; len(at) != 3 || at[1] != want[1] || at[2] != want[2] {
		t.Errorf("sent at %v, want %v", at, want)
	}
	if x.stats.Failed != 1 || x.stats.Retransmitted != 2 {
		t.Errorf("%+v", x.stats)
	}
}

func TestAlwaysRefusedEnds(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 1, Tries: 4}, 1)
	for range 100 {
		x.tick(0)
		for _, p := range sent(x) {
			p = answered(p)
			if p[offOptions+2] == msgACK {
				p[offOptions+2] = msgNAK
			}
			x.receive(0, p)
		}
	}
	if !x.done() || x.stats.Failed != 1 || x.stats.NAKs != 4 {
		t.Fatalf("%+v", x.stats)
	}
}

func TestOneAddressForTwoClientsIsAConflict(t *testing.T) {
	x := testExchanger(t, DHCPConfig{Clients: 2}, 2)
	for range 4 {
		x.tick(0)
		for _, p := range sent(x) {
			p = answered(p)
			p[offYIAddr+3] = 9
			x.receive(0, p)
		}
	}
	if x.stats.Finished != 2 || x.stats.Conflicts != 1 {
		t.Fatalf("%+v", x.stats)
	}
}

// Whatever a network loses, repeats or delays, every exchange ends exactly once
// and the books balance.
func TestExchangesAlwaysEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clients := rapid.IntRange(1, 40).Draw(t, "clients")
		total := rapid.IntRange(1, 120).Draw(t, "total")
		c := DHCPConfig{
			Clients: clients, InFlight: rapid.IntRange(1, 64).Draw(t, "in flight"),
			Tries: rapid.IntRange(1, 4).Draw(t, "tries"),
		}
		if rapid.Bool().Draw(t, "open loop") {
			c.Rate = 1000
		}
		c.Server = netip.MustParseAddrPort("127.0.0.1:67")
		c.Relay = netip.MustParseAddr("127.0.0.1")
		c, err := c.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		x := newExchanger(c, newTemplate(msgDiscover, c.Relay, 0, false), newTemplate(msgRequest, c.Relay, 0, false), total, 0xfff00000)
		fate := rapid.IntRange(0, 9)
		now := time.Duration(0)
		for steps := 0; !x.done(); steps++ {
			if steps > 100_000 {
				t.Fatalf("not done: %+v", x.stats)
			}
			x.tick(now)
			for _, p := range sent(x) {
				f := fate.Draw(t, "fate")
				if f == 0 {
					continue
				}
				p = answered(p)
				if f == 1 && p[offOptions+2] == msgACK {
					p[offOptions+2] = msgNAK
				}
				x.receive(now, p)
				if f == 2 {
					x.receive(now, p)
				}
			}
			if x.out.n == 0 {
				now = max(now, min(x.next(), now+time.Second))
			}
		}
		if got := x.stats.Finished + x.stats.Failed; got != total || x.started != total {
			t.Fatalf("%d ended, %d started, want %d", got, x.started, total)
		}
		if x.active != 0 || x.freeLen != clients {
			t.Fatalf("%d active, %d free of %d at the end", x.active, x.freeLen, clients)
		}
		if int(x.latency.n) != x.stats.Finished {
			t.Fatalf("%d latencies for %d exchanges", x.latency.n, x.stats.Finished)
		}
	})
}
