package dhcp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/site"
)

func seeds(f *testing.F) {
	f.Add([]byte(ask(TypeDiscover, mac1).firmware(0).uuid(uuid2).end()), false)
	f.Add([]byte(ask(TypeRequest, mac1).firmware(7).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1").end()), false)
	f.Add([]byte(ask(TypeRequest, alien).ciaddr("10.20.255.11").opt(optOverload, 3).end()), false)
	f.Add([]byte(ask(TypeRequest, mac1).firmware(7).opt(optVendor, pxeBootItem, 4, 0, 0, 0, 0, optEnd).end()), true)
	f.Add([]byte(relayedDiscover().opt(optRelayInfo, relayLink, 4, 10, 20, 0, 0, relayServerID, 4, 1, 2, 3, 4, relaySourcePort, 0).end()), false)
	f.Add([]byte(ask(TypeDecline, mac1).addr(optRequestedIP, "10.20.1.1").addr(optServerID, "10.20.0.1").text(optHostname, "x").text(optHostname, "y").end()), false)
	f.Add([]byte(ask(TypeInform, mac2).ciaddr("10.20.1.2").opt(optMaxSize, 2, 64).opt(optClientID, make([]byte, 255)...)), false)
	f.Add([]byte(relayedDiscover()[:offOptions].opt(optType, 1).opt(optClientID, make([]byte, 255)...).opt(optRelayInfo, make([]byte, 255)...).end()), false)
	f.Add([]byte(ask(TypeDiscover, mac1).ciaddr("192.0.2.1").firmware(7).opt(optRelayInfo, relayLink, 4, 10, 22, 0, 0, relayServerID, 4, 1, 2, 3, 4).end()), false)
	f.Add([]byte(ask(TypeRequest, mac1).at(offFile, optRequestedIP, 4, 10, 20, 1, 1, optEnd).at(offSName, optServerID, 4, 10, 20, 0, 1).opt(optOverload, 3).end()), false)
}

// FuzzParse checks the scanner against the library: what the library reads,
// the scanner reads alike.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, _ bool) {
		var r Request
		err := r.Parse(bytes.Clone(b))
		m, libErr := dhcpv4.FromBytes(b)
		if libErr != nil || m.OpCode != dhcpv4.OpcodeBootRequest || m.Options.Has(dhcpv4.OptionOptionOverload) {
			return
		}
		mac, hwOK := site.MACFrom(m.ClientHWAddr)
		kind := m.Options.Get(dhcpv4.OptionDHCPMessageType)
		if !hwOK || len(kind) != 1 {
			if err == nil {
				t.Fatalf("accepted hardware address %v, type %v", m.ClientHWAddr, kind)
			}
			return
		}
		if err != nil {
			t.Fatalf("refused what the library reads: %v", err)
		}
		same := func(what string, got, want any) {
			if got != want {
				t.Errorf("%s = %v, the library reads %v", what, got, want)
			}
		}
		same("MAC", r.MAC, mac)
		same("type", byte(r.Type), kind[0])
		same("broadcast", r.Broadcast, m.IsBroadcast())
		for code, got := range map[dhcpv4.OptionCode][]byte{
			dhcpv4.OptionParameterRequestList: r.Params, dhcpv4.OptionClientIdentifier: r.ClientID,
			dhcpv4.OptionClassIdentifier: r.Class, dhcpv4.OptionHostName: r.Hostname,
			dhcpv4.OptionClientMachineIdentifier: r.MachineID, dhcpv4.OptionRelayAgentInformation: r.RelayInfo,
			dhcpv4.OptionRequestedIPAddress: r.requested, dhcpv4.OptionServerIdentifier: r.serverID,
			dhcpv4.OptionVendorSpecificInformation: r.Vendor,
		} {
			same(code.String(), string(got), string(m.Options.Get(code)))
		}
		same("ciaddr", r.CIAddr.IsValid(), !m.ClientIPAddr.IsUnspecified())
		same("giaddr", r.GIAddr.IsValid(), !m.GatewayIPAddr.IsUnspecified())
	})
}

// FuzzDecide checks that no message brings Decide down, that every reply
// reads back as it was meant, and that strangers and the unarmed get nothing
// dangerous.
func FuzzDecide(f *testing.F) {
	seeds(f)
	states := map[string]*site.State{
		"server": world(f, withPool).arm("n1").state,
		"proxy":  world(f, withPool, withProxy).arm("n1").state,
		"closed": world(f).state,
	}
	f.Fuzz(func(t *testing.T, b []byte, bootServer bool) {
		var r Request
		if r.Parse(b) != nil {
			return
		}
		r.From, r.BootServer = netip.MustParseAddrPort("10.20.0.77:68"), bootServer
		for name, s := range states {
			for _, probe := range []bool{false, true} {
				cfg := config()
				cfg.Probe = probe
				a := Decide(s, cfg, &r, epoch)
				if a.Why == "" {
					t.Fatalf("%s: no reason given", name)
				}
				if a.Reply == nil {
					continue
				}
				if a.Node == "" && (name != "server" || a.Reply.BootFile != "") {
					t.Fatalf("%s: a stranger was told %+v", name, a.Reply)
				}
				if name == "closed" && a.Reply.BootFile != "" {
					t.Fatalf("boot file %q for a node that is not armed", a.Reply.BootFile)
				}
				expected(t, &r, a)
				readBack(t, a.Reply)
			}
		}
	})
}

// expected checks that a reply goes to nobody but who may be told.
func expected(t *testing.T, r *Request, a Answer) {
	t.Helper()
	to := a.To.Addr()
	ok := map[Via]bool{
		ViaRelay: to == r.GIAddr, ViaBoot: r.BootServer && a.To == r.From, ViaBroadcast: to == netip.AddrFrom4([4]byte{255, 255, 255, 255}),
		ViaRaw: to == a.Reply.YIAddr, ViaUnicast: to == a.Reply.YIAddr || to == r.CIAddr && netip.MustParsePrefix("10.20.0.0/16").Contains(to),
	}[a.Via]
	if !ok {
		t.Fatalf("a reply of %s to %s", a.Via, a.To)
	}
}

// readBack parses a reply with the library and compares every field.
func readBack(t *testing.T, r *Reply) {
	t.Helper()
	raw := r.Append([]byte("before"))[len("before"):]
	m, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatalf("the library cannot read the reply: %v\n% x", err, raw)
	}
	tail := optionSize(r.ClientID) + optionSize(r.RelayInfo)
	if limit := min(max(r.MaxSize, minDatagram), maxDatagram) - ipHeaders; len(raw) > limit && tail < 200 {
		t.Errorf("%d bytes, the client takes %d", len(raw), limit)
	}
	if len(raw) < minMessage {
		t.Errorf("%d bytes, want at least %d", len(raw), minMessage)
	}
	same := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s reads back as %v, want %v", what, got, want)
		}
	}
	addr := func(a netip.Addr) string {
		if !a.IsValid() {
			return "0.0.0.0"
		}
		return a.String()
	}
	same("type", byte(m.MessageType()), byte(r.Type))
	same("xid", m.TransactionID, dhcpv4.TransactionID{byte(r.XID >> 24), byte(r.XID >> 16), byte(r.XID >> 8), byte(r.XID)})
	same("chaddr", m.ClientHWAddr.String(), r.MAC.String())
	same("broadcast", m.IsBroadcast(), r.Broadcast)
	same("yiaddr", m.YourIPAddr.String(), addr(r.YIAddr))
	same("ciaddr", m.ClientIPAddr.String(), addr(r.CIAddr))
	same("siaddr", m.ServerIPAddr.String(), addr(r.SIAddr))
	same("giaddr", m.GatewayIPAddr.String(), addr(r.GIAddr))
	same("server id", m.ServerIdentifier().String(), addr(r.ServerID))
	same("client id", string(m.Options.Get(dhcpv4.OptionClientIdentifier)), string(r.ClientID))
	same("relay info", string(m.Options.Get(dhcpv4.OptionRelayAgentInformation)), string(r.RelayInfo))
	if r.Lease > 0 {
		same("lease", m.IPAddressLeaseTime(0), r.Lease.Truncate(time.Second))
	}
	// The rest gives way when there is no room; these replies have it.
	if len(raw) > 400 || tail > 60 {
		return
	}
	same("class", m.ClassIdentifier(), r.Class)
	same("boot file", m.BootFileNameOption(), r.BootFile)
	same("host name", m.HostName(), r.Hostname)
	same("domain", m.DomainName(), r.Domain)
	same("vendor", string(m.Options.Get(dhcpv4.OptionVendorSpecificInformation)), string(r.Vendor))
	same("machine id", string(m.Options.Get(dhcpv4.OptionClientMachineIdentifier)), string(r.MachineID))
	if r.Mask.IsValid() {
		ones, _ := m.SubnetMask().Size()
		same("mask", ones, r.Mask.Bits())
	}
	if len(r.DNS) > 0 {
		same("DNS", m.DNS()[0].String(), r.DNS[0].String())
	}
	if len(r.NTP) > 0 {
		same("NTP", m.NTPServers()[0].String(), r.NTP[0].String())
	}
}
