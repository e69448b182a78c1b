package main

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/tftp"
)

// observer tells the flight recorder what the servers report, in its words.
// Its methods are called on the way of packets: they do not wait.
type observer struct {
	flight *flight.Recorder
	state  func() *site.State
	now    func() time.Time
	mode   site.DHCPMode
	book   addressBook
	tally  tally
}

func newObserver(c *core, mode site.DHCPMode) *observer {
	o := &observer{flight: c.flight, state: c.ledger.State, now: c.ledger.Now, mode: mode}
	o.tally.flush = c.flight.Record
	return o
}

// whom is the machine that an address belongs to.
type whom struct {
	node string
	mac  site.MAC
}

func (w whom) known() bool { return w.node != "" || w.mac != (site.MAC{}) }

// addressBook remembers which machine was last seen to use an address, which
// the plan does not say where another server gives out the addresses.
type addressBook struct {
	mu   sync.Mutex
	seen map[netip.Addr]whom
}

// maxAddresses bounds the book: a laptop network is smaller.
const maxAddresses = 1 << 16

func (b *addressBook) learn(a netip.Addr, w whom) {
	if !a.IsValid() || !w.known() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil || len(b.seen) >= maxAddresses {
		b.seen = map[netip.Addr]whom{}
	}
	b.seen[a] = w
}

func (b *addressBook) find(a netip.Addr) (whom, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w, ok := b.seen[a]
	return w, ok
}

// whose tells a machine by its address: the plan's reservation, a lease, what
// it was seen to use.
func (o *observer) whose(a netip.Addr) whom {
	s := o.state()
	if m, ok := s.MachineByAddr(a); ok {
		return whom{node: m.Node.Name}
	}
	if l, ok := s.Leases.Get(a); ok {
		return named(s, l.MAC)
	}
	w, _ := o.book.find(a)
	if w.node == "" && w.known() {
		return named(s, w.mac)
	}
	return w
}

func named(s *site.State, mac site.MAC) whom {
	if m, ok := s.MachineByMAC(mac); ok {
		return whom{node: m.Node.Name, mac: mac}
	}
	return whom{mac: mac}
}

// attempt is the number of the install that runs on a node; zero when none
// does.
func (o *observer) attempt(node string) int {
	if m, ok := o.state().Machine(node); ok && m.Running() {
		return m.Attempt.Number
	}
	return 0
}

func (o *observer) entry(source flight.Source, what string, a netip.Addr) (flight.Entry, bool) {
	w := o.whose(a)
	return flight.Entry{At: o.now(), Source: source, Node: w.node, MAC: w.mac, Addr: a, Attempt: o.attempt(w.node), What: what}, w.known()
}

// dhcp records a message and what was answered. A stranger is of interest
// when it asks for a boot file: a laptop on the customer's network is not.
func (o *observer) dhcp(ob dhcp.Observation) {
	q, a := ob.Request, ob.Answer
	if q == nil || a == nil || a.Node == "" && !q.NetBoot() {
		return
	}
	if a.Foreign.IsValid() || o.mode == site.DHCPProxy {
		o.elsewhere(q, whom{a.Node, q.MAC})
	}
	if ob.Sent != nil && a.Reply.Type == dhcp.TypeACK {
		o.book.learn(a.Reply.YIAddr, whom{a.Node, q.MAC})
	}
	if o.flight.Full(a.Node, q.MAC, ob.At) {
		return
	}
	e := flight.Entry{
		At: ob.At, Source: o.sourceOf(q), Node: a.Node, MAC: q.MAC, Attempt: o.attempt(a.Node), What: strings.ToLower(q.Type.String()),
		Client: clientOf(q), XID: q.XID, Addr: q.Requested, Detail: firmwareOf(q), Took: searching(q),
	}
	if a.Foreign.IsValid() {
		e.What, e.Addr = "request-elsewhere", a.Foreign
	}
	if ob.Sent == nil {
		e.Detail += "; no answer: " + orElse(errorText(ob.Err), a.Why)
		o.flight.Record(e)
	} else {
		o.flight.Record(e)
		o.flight.Record(answerOf(e, a))
	}
	// A system that renews its lease day after day is no boot.
	if q.NetBoot() || e.Attempt != 0 {
		o.packets(ob)
	}
}

// elsewhere learns the address that another server gave to a machine: what it
// asks that server for, or asks us from.
func (o *observer) elsewhere(q *dhcp.Request, w whom) {
	if q.Type == dhcp.TypeRequest {
		o.book.learn(q.Requested, w)
		o.book.learn(q.CIAddr, w)
	}
	if from := q.From.Addr(); q.BootServer && !from.IsUnspecified() {
		o.book.learn(from, w)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func answerOf(e flight.Entry, a *dhcp.Answer) flight.Entry {
	r := a.Reply
	e.What, e.Took = strings.ToLower(r.Type.String()), 0
	e.Addr, e.Name = r.YIAddr, r.BootFile
	e.Detail = a.Why
	if a.BootWhy != "" {
		e.Detail += "; " + a.BootWhy
	}
	return e
}

func (o *observer) packets(ob dhcp.Observation) {
	q, a := ob.Request, ob.Answer
	to := netip.AddrPortFrom(q.To, ob.Local.Port())
	o.flight.Packet(flight.Packet{At: ob.At, Node: a.Node, MAC: q.MAC, From: ob.From, To: to, Data: ob.Raw})
	if ob.Sent != nil {
		o.flight.Packet(flight.Packet{At: ob.At, Node: a.Node, MAC: q.MAC, From: ob.Local, To: a.To, Answer: true, Data: ob.Sent})
	}
}

func (o *observer) sourceOf(q *dhcp.Request) flight.Source {
	if q.BootServer || o.mode == site.DHCPProxy {
		return flight.ProxyDHCP
	}
	return flight.DHCP
}

func clientOf(q *dhcp.Request) flight.Client {
	switch {
	case q.IPXE:
		return flight.ClientIPXE
	case q.HTTP():
		return flight.ClientHTTP
	case q.PXE() && (!q.HasArch || q.Arch == ipxe.ArchBIOS):
		return flight.ClientBIOS
	case q.PXE():
		return flight.ClientUEFI
	default:
		return flight.ClientOS
	}
}

// firmwareOf is who asks, in words.
func firmwareOf(q *dhcp.Request) string {
	words := "an operating system"
	switch clientOf(q) {
	case flight.ClientIPXE:
		words = "iPXE"
	case flight.ClientBIOS, flight.ClientUEFI:
		words = "PXE"
	case flight.ClientHTTP:
		words = "HTTP boot"
	}
	if q.HasArch {
		words += " of " + ipxe.ArchName(q.Arch)
	}
	if q.BootServer {
		words += ", at port 4011"
	}
	if q.GIAddr.IsValid() {
		words += ", through relay " + q.GIAddr.String()
	}
	if q.Hostname != nil {
		words += ", host name " + string(q.Hostname)
	}
	return words
}

// searching is for how long the client says to have looked for an address.
// Some firmware swaps its bytes, so what is long is not believed.
func searching(q *dhcp.Request) time.Duration {
	const longest = 600
	// iPXE does not count seconds but its messages, times four: it is believed
	// when there were many.
	const several = 20
	if q.Secs > longest || q.IPXE && q.Secs < several {
		return 0
	}
	return time.Duration(q.Secs) * time.Second
}

// tftp records how a transfer ended.
func (o *observer) tftp(t tftp.Transfer) {
	what := map[tftp.Outcome]string{tftp.Done: "sent"}[t.Outcome]
	e, ok := o.entry(flight.TFTP, orElse(what, t.Outcome.String()), t.Client.Addr())
	if !ok {
		return
	}
	e.Name, e.Bytes, e.Took = t.Name, t.Bytes, t.Took
	if t.Outcome == tftp.Done || t.Outcome == tftp.Aborted || t.Outcome == tftp.TimedOut {
		e.Detail = "blksize " + strconv.Itoa(t.Blksize) + ", windowsize " + strconv.Itoa(t.Windowsize)
	}
	if t.Resent > 0 {
		e.Detail += ", " + strconv.Itoa(t.Resent) + " packets sent again"
	}
	if t.Why != "" {
		e.Detail = strings.TrimPrefix(e.Detail+"; "+t.Why, "; ")
	}
	o.flight.Record(e)
}

// tftpPacket keeps a packet, and records a request when it comes: the report
// of a transfer that hangs comes late.
func (o *observer) tftpPacket(p tftp.Packet) {
	machine := p.From
	if p.Sent {
		machine = p.To
	}
	w := o.whose(machine.Addr())
	if !w.known() {
		return
	}
	packet := flight.Packet{At: p.At, Node: w.node, MAC: w.mac, From: p.From, To: p.To, Answer: p.Sent, Data: p.Data}
	if len(p.Data) > 1 && p.Data[1] == tftpData {
		packet.Keep = 4 + 60 // its number, and enough to see whether it is the loader
	}
	o.flight.Packet(packet)
	if name, asked, ok := tftpRequest(p); ok {
		e, _ := o.entry(flight.TFTP, "open", machine.Addr())
		e.Name, e.Detail = name, asked
		o.flight.Record(e)
	}
}

// tftpData is the opcode of a block of the file (RFC 1350 section 5).
const tftpData = 3

// tftpRequest reads the name and the options of a read request (RFC 1350,
// RFC 2347), which the server has found to be one or will refuse.
func tftpRequest(p tftp.Packet) (name, asked string, ok bool) {
	if p.Sent || len(p.Data) < 4 || p.Data[0] != 0 || p.Data[1] != 1 {
		return "", "", false
	}
	fields := strings.Split(string(bytes.TrimSuffix(p.Data[2:], []byte{0})), "\x00")
	var words []string
	for i := 2; i+1 < len(fields); i += 2 {
		words = append(words, fields[i]+" "+fields[i+1])
	}
	return fields[0], strings.Join(words, ", "), true
}

// http records what the machine side answered with a decision behind it.
func (o *observer) http(s api.Served) {
	if s.What == "loader" {
		return // it is recorded when it was sent, with how long that took
	}
	if s.Node != "" {
		o.book.learn(s.Addr, whom{node: s.Node})
	}
	e, ok := o.entry(flight.HTTP, s.What, s.Addr)
	if s.Node != "" {
		e.Node, ok = s.Node, true
		e.Attempt = o.attempt(s.Node)
	}
	if !ok {
		return
	}
	e.Name, e.Detail = s.Name, s.Why
	o.flight.Record(e)
}
