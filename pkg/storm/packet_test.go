package storm

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// The independent library has to read what the templates say.
func TestTemplatesAreWellFormed(t *testing.T) {
	relay := netip.MustParseAddr("10.9.0.1")
	mac := DefaultMAC().Add(300)
	buf := make([]byte, maxPacket)

	discover := newTemplate(msgDiscover, relay, 7, true)
	n := discover.fill(buf, 0xdeadbeef, mac, 5)
	p, err := dhcpv4.FromBytes(buf[:n])
	if err != nil {
		t.Fatal(err)
	}
	if n < 300 {
		t.Errorf("DISCOVER has %d octets, less than a BOOTP message", n)
	}
	if p.MessageType() != dhcpv4.MessageTypeDiscover || p.NumSeconds != 5 {
		t.Errorf("type %s, secs %d", p.MessageType(), p.NumSeconds)
	}
	if got := p.ClientHWAddr.String(); got != "02:5e:ed:00:01:2c" {
		t.Errorf("chaddr %s", got)
	}
	if !p.GatewayIPAddr.Equal(net.IP(relay.AsSlice())) || p.HopCount != 1 {
		t.Errorf("giaddr %s, hops %d", p.GatewayIPAddr, p.HopCount)
	}
	if got := p.ClientArch(); !slices.Equal(got, []iana.Arch{iana.EFI_X86_64}) {
		t.Errorf("architecture %v", got)
	}
	if got := p.ClassIdentifier(); got != "PXEClient:Arch:00007:UNDI:003016" {
		t.Errorf("class %q", got)
	}
	if uuid := p.GetOneOption(dhcpv4.OptionClientMachineIdentifier); !slices.Equal(uuid[11:], mac[:]) {
		t.Errorf("machine identifier %x does not differ by client", uuid)
	}
	info := p.RelayAgentInfo()
	if info == nil || !info.Options.Has(dhcpv4.GenericOptionCode(relaySourcePort)) {
		t.Errorf("relay information %v lacks the source port sub-option", info)
	}

	request := newTemplate(msgRequest, relay, 0, false)
	n = request.fill(buf, 1, mac, 0)
	copy(buf[request.offOffered:], []byte{10, 9, 1, 2})
	copy(buf[request.offServerID:], []byte{10, 9, 0, 2})
	p, err = dhcpv4.FromBytes(buf[:n])
	if err != nil {
		t.Fatal(err)
	}
	if p.RequestedIPAddress().String() != "10.9.1.2" || p.ServerIdentifier().String() != "10.9.0.2" {
		t.Errorf("asks %s of %s", p.RequestedIPAddress(), p.ServerIdentifier())
	}
	if p.RelayAgentInfo().Options.Has(dhcpv4.GenericOptionCode(relaySourcePort)) {
		t.Error("a relay on port 67 must not ask for its source port")
	}
}

// FuzzParseReply proves that no datagram stops the generator, and that where
// the independent library reads a reply too, both read the same.
func FuzzParseReply(f *testing.F) {
	offer, err := dhcpv4.New(
		dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
		dhcpv4.WithServerIP(net.IPv4(10, 0, 0, 1)), dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 9)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1))),
		dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1}))
	if err != nil {
		f.Fatal(err)
	}
	offer.OpCode = dhcpv4.OpcodeBootReply
	whole := offer.ToBytes()
	f.Add(whole)
	f.Add(whole[:offOptions+3])
	f.Add(append(slices.Clone(whole[:offOptions]), 53, 200, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseReply(b)
		want, err := dhcpv4.FromBytes(b)
		if !ok || err != nil {
			return
		}
		if v := want.GetOneOption(dhcpv4.OptionDHCPMessageType); len(v) == 1 && v[0] != got.kind {
			t.Errorf("message type %d, library reads %d", got.kind, v[0])
		}
		if !want.YourIPAddr.Equal(net.IP(got.yiaddr[:])) {
			t.Errorf("yiaddr %v, library reads %s", got.yiaddr, want.YourIPAddr)
		}
	})
}

func TestParseMAC(t *testing.T) {
	for in, want := range map[string]string{
		"52:54:00:12:34:56": "52:54:00:12:34:56",
		"5254.0012.3456":    "52:54:00:12:34:56",
		"02-00-00-00-00-ff": "02:00:00:00:00:ff",
	} {
		if got, err := ParseMAC(in); err != nil || got.String() != want {
			t.Errorf("ParseMAC(%q) = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "52:54:00", "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01"} {
		if got, err := ParseMAC(in); err == nil {
			t.Errorf("ParseMAC(%q) = %v, want an error", in, got)
		}
	}
}
