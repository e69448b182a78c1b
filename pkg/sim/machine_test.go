package sim

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestFaults: each goes wrong where its name says, and only the machines that
// recover have a system afterwards.
func TestFaults(t *testing.T) {
	install := decided(boot.Install, "")
	tests := []struct {
		fault    Fault
		reports  []string
		bootable bool
	}{
		{AmbiguousDisk, []string{"early", "failed"}, false},
		{Crash, []string{"early", "disk", "partitioned", "packages", "failed"}, false},
		{PowerCut, []string{"early", "disk", "partitioned", "packages"}, false},
		{Deviation, []string{"early", "disk", "partitioned", "packages", "post", "done"}, true},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			d := newDesk(t, install)
			m := fast(UEFI, tt.fault)
			if err := m.ipxe(t.Context(), d.HTTP+"/boot/"+ipxe.BootstrapName); !errors.Is(err, errReboot) {
				t.Errorf("it ended with %v", err)
			}
			if got := d.reports(); !slices.Equal(got, tt.reports) {
				t.Errorf("it reported %q, want %q", got, tt.reports)
			}
			if bootable := m.disk.reports != ""; bootable != tt.bootable {
				t.Errorf("its disk boots: %t", bootable)
			}
			if tt.fault != PowerCut {
				return
			}
			if err := m.ipxe(t.Context(), d.HTTP+"/boot/"+ipxe.BootstrapName); !errors.Is(err, errReboot) || m.disk.reports == "" {
				t.Errorf("power came back, and it ended with %v", err)
			}
		})
	}
}

func TestRack(t *testing.T) {
	faults := []Fault{Crash, PowerCut}
	rack := Rack(&Site{Log: slog.New(slog.DiscardHandler)}, 600, faults)
	macs, uuids, serials, firmwares := map[site.MAC]bool{}, map[site.UUID]bool{}, map[string]bool{}, map[Firmware]int{}
	for i, m := range rack {
		macs[m.MAC], uuids[m.UUID], serials[m.Serial] = true, true, true
		firmwares[m.Firmware]++
		if want := append(slices.Clone(faults), make([]Fault, 598)...)[i]; m.Fault != want {
			t.Errorf("machine %d has fault %q, want %q", i, m.Fault, want)
		}
		if m.UUID.Junk() || site.JunkSerial(m.Serial) {
			t.Errorf("machine %d has a junk identity", i)
		}
	}
	if len(macs) != 600 || len(uuids) != 600 || len(serials) != 600 || len(firmwares) != 3 {
		t.Errorf("%d MACs, %d UUIDs, %d serial numbers, %d firmwares", len(macs), len(uuids), len(serials), len(firmwares))
	}
}

// TestRelay: replies find their machine by the transaction, and the server
// learns which port to answer to (RFC 8357).
func TestRelay(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	relay, err := NewRelay(netip.MustParseAddr("127.0.0.1"), server.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- relay.Run(ctx) }()

	// The server answers the two messages in the other order.
	go func() {
		var waiting []*dhcpv4.DHCPv4
		for range 2 {
			buf := make([]byte, 2048)
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			p, err := dhcpv4.FromBytes(buf[:n])
			if err != nil {
				t.Error(err)
				return
			}
			if info := p.RelayAgentInfo(); info == nil || !info.Options.Has(dhcpv4.GenericOptionCode(relaySourcePort)) {
				t.Error("the relay does not name its source port")
			}
			if waiting = append(waiting, p); len(waiting) < 2 {
				continue
			}
			server.WriteToUDPAddrPort([]byte("noise"), from)
			for _, p := range slices.Backward(waiting) {
				r, err := dhcpv4.NewReplyFromRequest(p, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer))
				if err != nil {
					t.Error(err)
					return
				}
				server.WriteToUDPAddrPort(r.ToBytes(), from)
			}
		}
	}()
	type answered struct {
		mac   net.HardwareAddr
		reply *dhcpv4.DHCPv4
		err   error
	}
	answers := make(chan answered, 2)
	for i := range 2 {
		mac := net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}
		p, err := dhcpv4.NewDiscovery(mac)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			r, err := relay.Exchange(t.Context(), p)
			answers <- answered{mac, r, err}
		}()
	}
	for range 2 {
		a := <-answers
		if a.err != nil || a.reply.ClientHWAddr.String() != a.mac.String() {
			t.Errorf("%s got %v, %v", a.mac, a.reply, a.err)
		}
	}

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	p, _ := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 9})
	if _, err := relay.Exchange(cancelled, p); !errors.Is(err, context.Canceled) {
		t.Errorf("without an answer: %v", err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Errorf("the relay ended with %v", err)
	}
}
