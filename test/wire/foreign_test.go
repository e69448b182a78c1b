package wire_test

import (
	"bytes"
	"context"
	endian "encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/internal/lab"
)

// plannedMAC is that of the plan's only node.
var plannedMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

// askers are clients of one port that ask for an address again and again,
// each time with another transaction: the planned node, and as many strangers
// as there is time for, each of which is new to the pool.
type askers struct {
	conn  net.PacketConn
	mu    sync.Mutex
	asked uint32
}

func startAskers(t *testing.T, port *lab.Port) *askers {
	t.Helper()
	a := &askers{conn: firmwarePort(t, port)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.ask()
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return a
}

// firmwarePort is where a client without an address asks from.
func firmwarePort(t *testing.T, port *lab.Port) (conn net.PacketConn) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), lab.Interface) })
		return errors.Join(failed, err)
	}}
	if err := port.Do(func() (err error) {
		conn, err = config.ListenPacket(t.Context(), "udp4", ":68")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (a *askers) ask() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	stranger := net.HardwareAddr{2, 0, 0, 0, 0, 0}
	endian.BigEndian.PutUint32(stranger[2:], a.asked)
	discover := dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover)
	a.send(stranger, discover)
	a.send(plannedMAC, discover)
	// And the node comes back with the address that it had: a renewal.
	a.send(plannedMAC, dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest), dhcpv4.OptRequestedIPAddress(net.IPv4(10, 20, 1, 1)))
	// And with one that the other server may have given it.
	a.send(plannedMAC, dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest), dhcpv4.OptRequestedIPAddress(net.IPv4(10, 20, 5, 7)))
}

func (a *askers) send(mac net.HardwareAddr, options ...dhcpv4.Option) {
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: mac, Options: dhcpv4.Options{}}
	endian.BigEndian.PutUint32(m.TransactionID[:], a.asked)
	m.SetBroadcast()
	for _, o := range options {
		m.UpdateOption(o)
	}
	// A lost question is asked again.
	_, _ = a.conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67})
}

// count is how often everybody has asked.
func (a *askers) count() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// word is one message of a DHCP server on the wire.
type word struct {
	at   time.Time
	kind dhcpv4.MessageType
	to   net.HardwareAddr
	addr netip.Addr
}

// words are what a port said as a DHCP server, in order, and what else of it
// left under its own address but the kernel's ARP.
func words(t *testing.T, frames []lab.Frame, from net.HardwareAddr) (said []word, rest []lab.Frame) {
	t.Helper()
	for _, f := range frames {
		if !bytes.Equal(f.Src(), from) || f.EtherType() == 0x0806 {
			continue
		}
		addr, ok := lab.OfferedAddress(f)
		if !ok {
			rest = append(rest, f)
			continue
		}
		m, err := dhcpv4.FromBytes(f.Data[14+20+8:])
		if err != nil {
			t.Fatalf("a DHCP server said what does not parse: %v", err)
		}
		said = append(said, word{f.At, m.MessageType(), m.ClientHWAddr, addr})
	}
	return said, rest
}

// TestNothingNewLeavesOnceAnotherServerSpeaks looks at the wire while new
// clients ask fifty times a second and another server is switched on: from
// the moment that the daemon has heard it nothing new leaves, no pool address
// is looked for, and nobody is told no; what was given is still renewed.
func TestNothingNewLeavesOnceAnotherServerSpeaks(t *testing.T) {
	p := newPlace(t)
	daemon := p.serve()
	if _, err := daemon.Log.Wait(within(t), "DHCP answers now"); err != nil {
		t.Fatal(err)
	}
	record := p.lab.Capture("wire")
	ask := startAskers(t, p.client)
	said := func(from net.HardwareAddr, kind dhcpv4.MessageType, to net.HardwareAddr) func(lab.Frame) bool {
		return func(f lab.Frame) bool {
			if !bytes.Equal(f.Src(), from) {
				return false
			}
			if _, ok := lab.OfferedAddress(f); !ok {
				return false
			}
			m, err := dhcpv4.FromBytes(f.Data[14+20+8:])
			return err == nil && m.MessageType() == kind && (to == nil || bytes.Equal(m.ClientHWAddr, to))
		}
	}
	stranger := func(f lab.Frame) bool {
		return said(p.us.MAC, dhcpv4.MessageTypeOffer, nil)(f) && !said(p.us.MAC, dhcpv4.MessageTypeOffer, plannedMAC)(f)
	}
	// Alone, it gives new addresses to both, and says no: the silence that
	// follows is not that of a daemon that never spoke.
	for what, seen := range map[string]func(lab.Frame) bool{
		"an offer to a stranger": stranger, "an offer to the node": said(p.us.MAC, dhcpv4.MessageTypeOffer, plannedMAC), "a NAK": said(p.us.MAC, dhcpv4.MessageTypeNak, plannedMAC),
	} {
		if _, err := record.Wait(within(t), seen); err != nil {
			t.Fatalf("alone on the wire: no %s: %v", what, err)
		}
	}
	p.foreign()
	first, err := record.Wait(within(t), said(p.them.MAC, dhcpv4.MessageTypeOffer, nil))
	if err != nil {
		t.Fatalf("the other server offers nothing: %v", err)
	}
	if _, err := daemon.Log.Wait(within(t), "another DHCP server, "+theirs.String()); err != nil {
		t.Fatal(err)
	}
	heard, asked := len(record.Frames(t, nil)), ask.count()
	// From here on everybody asks a hundred times more, and the other server
	// answers: the wire works, and somebody listens.
	renewed := said(p.us.MAC, dhcpv4.MessageTypeAck, plannedMAC)
	for until := time.Now().Add(patience); ask.count() < asked+100; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the clients do not get to ask")
		}
	}
	looked := len(record.Frames(t, nil)) // a look at addresses that had begun is over by now
	for until := time.Now().Add(patience); ask.count() < asked+150; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the clients do not get to ask")
		}
	}
	frames := record.Frames(t, nil)
	answered := 0
	for i, f := range frames[heard:] {
		switch {
		case said(p.them.MAC, dhcpv4.MessageTypeOffer, nil)(f):
			answered++
		case heard+i >= looked && bytes.Equal(f.Src(), p.us.MAC) && f.EtherType() == 0x0806 && endian.BigEndian.Uint32(f.Data[28:]) == 0:
			t.Errorf("an address is still looked for: % x", f.Data[:42])
		}
	}
	if answered == 0 {
		t.Error("the other server fell silent: that ours said nothing proves nothing")
	}
	after, rest := words(t, frames[heard:], p.us.MAC)
	for _, w := range after {
		if w.kind != dhcpv4.MessageTypeAck || !bytes.Equal(w.to, plannedMAC) {
			t.Errorf("left %s after the other server was first seen: %s of %s to %s", w.at.Sub(first.At), w.kind, w.addr, w.to)
		}
	}
	for _, f := range rest {
		t.Errorf("left: % x", f.Data[:min(len(f.Data), 64)])
	}
	if len(after) == 0 {
		if _, err := record.Wait(within(t), renewed); err != nil {
			t.Error("what was given is not renewed")
		}
	}
	before, _ := words(t, frames[:heard], p.us.MAC)
	last := first.At
	for _, w := range before {
		if w.kind == dhcpv4.MessageTypeOffer && w.at.After(last) {
			last = w.at
		}
	}
	t.Logf("our last offer left %s after the first of the other server was on the wire; %d offers before, %d renewals after", last.Sub(first.At), len(before), len(after))
	if late := last.Sub(first.At); late > patience/10 {
		t.Errorf("our offers went on for %s: one second is the promise", late)
	}
}
