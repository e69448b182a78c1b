package storm

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// libraryServer is a DHCP server that shares no code with the generator. It
// leases 10.0.x.y by order of first sight and answers relays that follow RFC 8357.
type libraryServer struct {
	t      testing.TB
	mu     sync.Mutex
	leases map[string]net.IP
	seen   int
	drop   func(n int) bool
}

// freePort is one that the relay may have without privilege, and that keeps it
// away from the real port 67.
func freePort(t testing.TB) uint16 {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func (s *libraryServer) start() netip.AddrPort {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.leases = map[string]net.IP{}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if reply := s.answer(buf[:n]); reply != nil {
				_, _ = conn.WriteToUDP(reply, from)
			}
		}
	})
	s.t.Cleanup(func() {
		conn.Close()
		done.Wait()
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *libraryServer) answer(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.drop != nil && s.drop(s.seen) {
		return nil
	}
	request, err := dhcpv4.FromBytes(b)
	if err != nil {
		s.t.Errorf("the generator sent what the library cannot read: %v", err)
		return nil
	}
	if info := request.RelayAgentInfo(); info == nil || !info.Options.Has(dhcpv4.GenericOptionCode(relaySourcePort)) {
		s.t.Error("no relay source port from a relay that is not on port 67")
	}
	mac := request.ClientHWAddr.String()
	ip, ok := s.leases[mac]
	if !ok {
		n := len(s.leases) + 1
		ip = net.IPv4(10, 0, byte(n>>8), byte(n))
		s.leases[mac] = ip
	}
	kind := dhcpv4.MessageTypeOffer
	if request.MessageType() == dhcpv4.MessageTypeRequest {
		kind = dhcpv4.MessageTypeAck
		if !request.RequestedIPAddress().Equal(ip) {
			s.t.Errorf("%s requests %s, was offered %s", mac, request.RequestedIPAddress(), ip)
		}
	}
	reply, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(ip),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(127, 0, 0, 1))))
	if err != nil {
		s.t.Error(err)
		return nil
	}
	return reply.ToBytes()
}

func TestDHCPColdAndWarm(t *testing.T) {
	s := &libraryServer{t: t}
	r, err := DHCP(t.Context(), DHCPConfig{
		Server: s.start(), Port: freePort(t), Clients: 300, Repeat: 3, InFlight: 32, PIDs: []int{os.Getpid()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Cold.Finished != 300 || r.Warm.Finished != 600 {
		t.Errorf("result %+v, warm %+v", r, r.Warm)
	}
	if len(s.leases) != 300 {
		t.Errorf("server saw %d machines, want 300", len(s.leases))
	}
	if r.Warm.Latency.Count != 600 || r.Warm.Latency.P50 <= 0 || r.Warm.Latency.P50 > r.Warm.Latency.Max {
		t.Errorf("latency %+v", r.Warm.Latency)
	}
	if r.Warm.Process == nil || r.Warm.Process.PeakRSS == 0 {
		t.Errorf("process %+v", r.Warm.Process)
	}
}

func TestDHCPSurvivesLoss(t *testing.T) {
	s := &libraryServer{t: t, drop: func(n int) bool { return n%5 == 0 }}
	r, err := DHCP(t.Context(), DHCPConfig{Server: s.start(), Port: freePort(t), Clients: 64, Timeout: 20 * time.Millisecond, Tries: 8})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Cold.Retransmitted == 0 {
		t.Errorf("%+v", r.Cold)
	}
}

func TestDHCPSilentServerFails(t *testing.T) {
	s := &libraryServer{t: t, drop: func(int) bool { return true }}
	r, err := DHCP(t.Context(), DHCPConfig{Server: s.start(), Port: freePort(t), Clients: 5, Timeout: 5 * time.Millisecond, Tries: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Cold.Failed != 5 || r.Cold.Sent != 10 {
		t.Errorf("%+v", r.Cold)
	}
}

func TestDHCPEndsAtItsLimit(t *testing.T) {
	s := &libraryServer{t: t, drop: func(int) bool { return true }}
	r, err := DHCP(t.Context(), DHCPConfig{Server: s.start(), Port: freePort(t), Clients: 1, Timeout: time.Hour, Limit: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Cold.Finished != 0 {
		t.Errorf("%+v", r.Cold)
	}
}

func TestDHCPStopsWithItsContext(t *testing.T) {
	s := &libraryServer{t: t, drop: func(int) bool { return true }}
	server := s.start()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := DHCP(ctx, DHCPConfig{Server: server, Port: freePort(t)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestBurstCountsWhoGotNothing(t *testing.T) {
	s := &libraryServer{t: t, drop: func(n int) bool { return n > 150 }}
	r, err := Burst(t.Context(), DHCPConfig{Server: s.start(), Port: freePort(t), Clients: 200, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	// The library server's default socket buffer may lose some of its own.
	if r.Sent != 200 || r.Offered > 150 || r.Offered == 0 || r.Lost != 200-r.Offered || r.OK() {
		t.Errorf("%+v", r)
	}
}

func TestEveryRehearsalRefusesStrangers(t *testing.T) {
	public := netip.MustParseAddr("192.0.2.1")
	refused := map[string]func() error{
		"dhcp": func() error {
			_, err := DHCP(t.Context(), DHCPConfig{Server: netip.AddrPortFrom(public, 67)})
			return err
		},
		"burst": func() error {
			_, err := Burst(t.Context(), DHCPConfig{Server: netip.AddrPortFrom(public, 67)})
			return err
		},
		"tftp": func() error {
			_, err := TFTP(t.Context(), TFTPConfig{Server: netip.AddrPortFrom(public, 69), File: "x"})
			return err
		},
		"http": func() error {
			_, err := HTTP(t.Context(), HTTPConfig{URL: "http://192.0.2.1/x"})
			return err
		},
		"boot": func() error {
			_, err := Boot(t.Context(), BootConfig{Image: "http://192.0.2.1/x"})
			return err
		},
	}
	for name, run := range refused {
		if err := run(); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: error %v, want %v", name, err, ErrRefused)
		}
	}
}
