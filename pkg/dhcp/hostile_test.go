package dhcp

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/site"
)

// Whoever sends the MAC of a planned node may write what he likes into ciaddr:
// a reply that went there would be a packet to a stranger.
func TestAForgedCIAddrSendsNoReplyToAStranger(t *testing.T) {
	const stranger = "192.0.2.1"
	runCases(t, []decideCase{
		{name: "DISCOVER", msg: ask(TypeDiscover, mac1).ciaddr(stranger),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRaw, to: "10.20.1.1:68"}},
		{name: "DISCOVER naming a neighbour", msg: ask(TypeDiscover, mac1).ciaddr("10.20.1.2"),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", via: ViaRaw, to: "10.20.1.1:68"}},
		{name: "selecting", msg: ask(TypeRequest, mac1).ciaddr(stranger).addr(optServerID, "10.20.0.1").addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaRaw, to: "10.20.1.1:68"}},
		{name: "INIT-REBOOT naming a neighbour", msg: ask(TypeRequest, mac1).ciaddr("10.20.1.2").addr(optRequestedIP, "10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaRaw, to: "10.20.1.1:68"}},
		{name: "renewing its own", msg: ask(TypeRequest, mac1).ciaddr("10.20.1.1"),
			want: want{kind: TypeACK, yiaddr: "10.20.1.1", via: ViaUnicast, to: "10.20.1.1:68"}},
		{name: "INFORM", msg: ask(TypeInform, mac1).ciaddr(stranger), want: want{why: "not on the provisioning network"}},
		{name: "beside another server", plan: withProxy, state: func(h *history) { h.arm("n1") }, msg: ask(TypeDiscover, mac1).ciaddr(stranger).firmware(7),
			want: want{kind: TypeOffer, via: ViaBroadcast, to: "255.255.255.255:68", file: "snponly.efi", class: classPXE, why: "beside the other server"}},
	})
}

// A switch that snoops adds option 82 without being a relay (RFC 3046 section
// 2.1.1); so can the client. It is echoed, but it chooses nothing.
func TestOption82WithoutARelayChoosesNothing(t *testing.T) {
	bmcs := func(s *site.Settings) {
		n := s.Networks["management"]
		n.BMCPool = site.Range{First: n.Subnet.Addr().Next(), Last: n.Subnet.Addr().Next().Next()}
		s.Networks["management"] = n
	}
	link := []byte{relayLink, 4, 10, 22, 0, 0}
	override := []byte{relayServerID, 4, 10, 20, 0, 99}
	runCases(t, []decideCase{
		{name: "no address of another network", plan: bmcs, msg: ask(TypeDiscover, alien).text(optClass, "udhcp 1.36").opt(optRelayInfo, link...),
			want: want{why: "the plan does not name this machine"}},
		{name: "no word for another server", msg: ask(TypeRequest, mac1).addr(optServerID, "10.20.0.99").addr(optRequestedIP, "10.20.1.1").opt(optRelayInfo, override...),
			want: want{why: "another server"}},
		{name: "a planned machine is served where it is", msg: ask(TypeDiscover, mac1).opt(optRelayInfo, link...),
			want: want{kind: TypeOffer, yiaddr: "10.20.1.1", why: "reserved"}},
	})
	a := Decide(world(t).state, config(), ask(TypeDiscover, mac1).opt(optRelayInfo, link...).request(t), epoch)
	if a.Reply == nil || !bytes.Equal(a.Reply.RelayInfo, link) {
		t.Errorf("option 82 was not echoed: %+v", a.Reply)
	}
}

// However much must be echoed, what makes a message a DHCP reply is there.
func TestTheLongestEchoesLeaveRoomForTheReplyItself(t *testing.T) {
	full := bytes.Repeat([]byte{7}, 255)
	q := ask(TypeDiscover, mac1).giaddr("10.20.0.254").firmware(7).opt(optClientID, full...).opt(optRelayInfo, full...).opt(optRelayInfo, full...).request(t)
	a := Decide(world(t).arm("n1").state, config(), q, epoch)
	if a.Reply == nil {
		t.Fatalf("silent: %s", a.Why)
	}
	m, err := dhcpv4.FromBytes(a.Reply.Append(nil))
	if err != nil {
		t.Fatalf("the reply cannot be read: %v", err)
	}
	if m.MessageType() != dhcpv4.MessageTypeOffer || m.ServerIdentifier().String() != server1.String() || m.IPAddressLeaseTime(0) == 0 {
		t.Errorf("not an offer any more: %s", m.Summary())
	}
	if got := m.Options.Get(dhcpv4.OptionRelayAgentInformation); len(got) != 510 {
		t.Errorf("%d bytes of option 82 came back, want 510", len(got))
	}
}

// Strangers who take every address, or decline every one, are named; who is
// reserved an address goes on as before.
func TestAnEmptiedPoolIsReportedOnceAMinute(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(r *rig) { r.server.Log = slog.New(slog.NewTextHandler(&log, nil)) }, loopbackWorld()...)
	defer r.stop()
	thief := func(i byte) site.MAC { return site.MAC{2, 9, 9, 9, 9, i} }
	for i := range byte(4) {
		_, offer := r.ask(ask(TypeDiscover, thief(i)))
		if offer == nil {
			t.Fatalf("stranger %d was offered none of four addresses", i)
		}
		address := offer.YourIPAddr.String()
		if i < 2 {
			if _, ack := r.ask(ask(TypeRequest, thief(i)).addr(optServerID, "127.20.0.1").addr(optRequestedIP, address)); ack == nil {
				t.Fatalf("stranger %d was not given %s", i, address)
			}
			continue
		}
		if s, _ := r.ask(ask(TypeDecline, thief(i)).addr(optServerID, "127.20.0.1").addr(optRequestedIP, address)); len(s.answer.Events) != 1 {
			t.Fatalf("a decline was not recorded: %s", s.answer.Why)
		}
	}
	said := func() int { return strings.Count(log.String(), "no free address") }
	for i := range byte(20) {
		if s, m := r.ask(ask(TypeDiscover, thief(100+i))); m != nil {
			t.Fatalf("an address of nobody: %s", s.answer.Why)
		}
	}
	if said() != 1 || !strings.Contains(log.String(), "leased=2 put_aside=2") {
		t.Errorf("twenty strangers in vain; the log says:\n%s", &log)
	}
	if _, m := r.ask(ask(TypeDiscover, mac1)); m == nil || m.YourIPAddr.String() != "127.20.1.1" {
		t.Error("a reservation was not served while the pool was empty")
	}
	r.clock.add(time.Minute)
	r.ask(ask(TypeDiscover, thief(200)))
	if said() != 2 {
		t.Errorf("said %d times in two minutes, want 2", said())
	}
	r.clock.add(quarantine)
	if _, m := r.ask(ask(TypeDiscover, thief(201))); m == nil {
		t.Error("declined addresses do not come back")
	}
}

func TestAMachineThatLoopsForEverIsReportedOnceAMinute(t *testing.T) {
	w, said := newWatch(), 0
	for i := range uint32(10_000) {
		loops, news := w.looping(mac1, i, epoch.Add(time.Duration(i)*12*time.Millisecond)) // for two minutes
		if want := i >= loopCount-1; loops != want {
			t.Fatalf("boot %d: loops = %v", i+1, loops)
		}
		if news {
			said++
		}
	}
	if said != 2 {
		t.Errorf("said %d times in two minutes, want 2", said)
	}
}
