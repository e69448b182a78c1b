package wire_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/rackseed/rackseed/internal/lab"
)

// rom is UEFI firmware that understands boot files only where option 43 says
// that they are to be taken, as some ROMs do. It speaks from the port's own
// NIC in the name of the planned one.
type rom struct {
	p      *place
	conn   net.PacketConn
	record *lab.Capture
	xid    byte
}

// asks sends one DISCOVER, and gives the offer of a boot file that follows on
// the wire.
func (r *rom) asks(more ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	r.p.t.Helper()
	r.xid++
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: plannedMAC, TransactionID: dhcpv4.TransactionID{9, 9, 9, r.xid}, Options: dhcpv4.Options{}}
	m.SetBroadcast()
	for _, o := range append([]dhcpv4.Option{
		dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016"),
		dhcpv4.OptClientArch(iana.EFI_X86_64), dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 3, 16}),
	}, more...) {
		m.UpdateOption(o)
	}
	if _, err := r.conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
		r.p.t.Fatal(err)
	}
	var offer *dhcpv4.DHCPv4
	_, err := r.record.Wait(within(r.p.t), func(f lab.Frame) bool {
		if _, ok := lab.OfferedAddress(f); !ok || !bytes.Equal(f.Src(), r.p.us.MAC) {
			return false
		}
		var err error
		offer, err = dhcpv4.FromBytes(f.Data[14+20+8:])
		return err == nil && offer.TransactionID == m.TransactionID
	})
	if err != nil {
		r.p.t.Fatalf("question %d has no answer: %v", r.xid, err)
	}
	if address, _ := netip.AddrFromSlice(offer.YourIPAddr.To4()); !address.IsUnspecified() {
		r.p.t.Errorf("in proxy mode it was given %s", address)
	}
	return offer
}

// understands reports whether this ROM goes on with an offer.
func understands(offer *dhcpv4.DHCPv4) bool {
	return bytes.HasPrefix(offer.Options.Get(dhcpv4.OptionVendorSpecificInformation), []byte{6, 1, 8}) && offer.BootFileName != ""
}

// TestFirmwareClimbsTheLadder: firmware that does not understand the first way
// of being told its boot file asks until it is told in the next one, on the
// wire; what it came for is remembered, also by the next daemon.
func TestFirmwareClimbsTheLadder(t *testing.T) {
	p := newPlace(t)
	p.foreign()
	daemon := p.serve("--dhcp", "proxy")
	if _, err := daemon.Log.Wait(within(t), "DHCP answers now"); err != nil {
		t.Fatal(err)
	}
	r := &rom{p: p, conn: firmwarePort(t, p.client), record: p.lab.Capture("wire")}
	asked := 0
	for began := time.Now(); ; asked++ {
		offer := r.asks()
		if understands(offer) {
			break
		}
		if offer.BootFileName == "" || len(offer.Options.Get(dhcpv4.OptionVendorSpecificInformation)) > 0 {
			t.Fatalf("question %d: the first way is the file alone, not %s", asked, offer.Summary())
		}
		if time.Since(began) > patience {
			t.Fatalf("it asked %d times and is still told in the first way", asked)
		}
		time.Sleep(4 * time.Second) // as PXE 2.1 has a ROM wait
	}
	if asked < 3 {
		t.Errorf("another way was tried after %d questions: a lost packet is no reason", asked)
	}
	if offer := r.asks(); !understands(offer) {
		t.Errorf("it is told in yet another way, though it had no time to come: %s", offer.Summary())
	}
	// It loads the file, and iPXE asks.
	r.asks(dhcpv4.OptUserClass("iPXE"))
	if out, err := p.cli("events", "--kind", "boot-ladder-stepped,boot-ladder-worked"); err != nil || strings.Count(out, "n1") != 2 || !strings.Contains(out, "n1 came for its boot file by bypass") {
		t.Errorf("the log: %v\n%s", err, out)
	}
	if out, err := p.cli("explain", "n1"); err != nil || !strings.Contains(out, "bypass, as it took it before") {
		t.Errorf("explain: %v\n%s", err, out)
	}
	daemon.Stop(t)
	again := p.serve("--dhcp", "proxy")
	if _, err := again.Log.Wait(within(t), "DHCP answers now"); err != nil {
		t.Fatal(err)
	}
	if offer := r.asks(); !understands(offer) {
		t.Errorf("the next daemon has forgotten: %s", offer.Summary())
	}
}
