package bmcsim

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/sim"
)

// TestPowerIsReal: a machine of the simulated rack is silent while its BMC
// says off or holds it in the setup, and asks for an address once it is told
// to boot from the network.
func TestPowerIsReal(t *testing.T) {
	server, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	relay, err := sim.NewRelay(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(server.LocalAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = relay.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	m := sim.Rack(&sim.Site{Relay: relay, Speed: 1e5, Log: slog.New(slog.DiscardHandler)}, 1, nil)[0]
	b, url := served(t, Config{Machine: Attach(m)})
	c := client{t: t, url: url, user: b.Username(), password: b.Password().Reveal()}
	heard := func(wait time.Duration) bool {
		_ = server.SetReadDeadline(time.Now().Add(wait))
		buf := make([]byte, 2048)
		n, _, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			return false
		}
		p, err := dhcpv4.FromBytes(buf[:n])
		return err == nil && p.MessageType() == dhcpv4.MessageTypeDiscover && p.ClientHWAddr.String() == m.MAC.String()
	}
	c.override("Once", "BiosSetup")
	c.reset("On", 204)
	if heard(300 * time.Millisecond) {
		t.Error("a machine in its setup boots from the network")
	}
	c.override("Once", "Pxe")
	c.reset("ForceRestart", 204)
	if !heard(10 * time.Second) {
		t.Error("a machine that is told to boot from the network does not")
	}
	c.reset("ForceOff", 204)
	for heard(20 * time.Millisecond) {
		// What was on its way when the power went.
	}
	if heard(300 * time.Millisecond) {
		t.Error("a machine without power is on the network")
	}
	if got := b.Booted(); len(got) < 2 || got[0].Target != "BiosSetup" || got[1].Target != "Pxe" {
		t.Errorf("it booted %v", got)
	}
}
