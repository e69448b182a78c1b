package dhcp

import (
	"errors"
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// Config is what Decide must know besides the plan: the link that the
// message came from, and what was said there without being promised.
type Config struct {
	ServerID   netip.Addr    // our address on the link: server identifier and TFTP server
	HTTP       string        // base URL of the machine side, without a trailing slash
	Mode       site.DHCPMode // empty means what the plan says
	RenewOnly  bool          // renew what was given, give nothing new (another server was seen)
	Probe      bool          // a pool address is probed before a new owner gets it
	ClientPort uint16        // zero means 68
	Book       *Book         // nil means empty
}

// Via is how a reply reaches its client.
type Via string

// The ways of RFC 2131 section 4.1, and of PXE 2.1.
const (
	ViaRelay     Via = "relay"     // to the relay agent
	ViaUnicast   Via = "unicast"   // to ciaddr
	ViaBroadcast Via = "broadcast" // to 255.255.255.255
	ViaRaw       Via = "raw"       // to yiaddr at chaddr: the client cannot answer ARP yet
	ViaBoot      Via = "boot"      // to where the question to port 4011 came from
)

// Answer is what to do about one message, and why.
type Answer struct {
	Reply *Reply // nil means silence
	Via   Via
	To    netip.AddrPort

	// Events must be committed before the reply leaves.
	Events []site.Body
	// Hold must be noted in the book before the reply leaves.
	Hold netip.Addr
	// Probe must be found silent, and the question be decided again, before
	// anything is said.
	Probe netip.Addr
	// NewOwner says that the pool loses an address by this offer.
	NewOwner bool
	// Drop says that the client gave up its offer.
	Drop bool
	// Exhausted is the pool that had nothing left.
	Exhausted site.Range
	// Learned says that the node was recognised by its UUID, not by its MAC.
	Learned bool

	// Rung is how firmware was told of its file beside another server; empty
	// where that was not the question.
	Rung    site.BootRung
	RungWhy string

	Node       string      // empty for a stranger
	Action     boot.Action // empty when the client did not ask for a boot file
	FirstStage bool        // the reply names a loader, not a script
	Foreign    netip.Addr  // another server that the client speaks with
	Why        string      // the reason for the reply or the silence
	BootWhy    string      // the reason for the boot file or its absence
}

// Decide answers one message. It opens nothing, and writes nothing: what it
// wants done is in the Answer.
func Decide(s *site.State, cfg Config, req *Request, now time.Time) Answer {
	d := decision{s: s, cfg: &cfg, req: req, now: now}
	d.decide()
	if d.claim != "" {
		d.a.Why += "; " + d.claim
	}
	return d.a
}

type decision struct {
	s   *site.State
	cfg *Config
	req *Request
	now time.Time

	net  site.Network
	pool site.Range    // for those who have no reservation
	bmcs bool          // the network is one that only BMCs are served on
	own  netip.Addr    // the address that the plan has for this BMC
	m    *site.Machine // nil for a stranger
	a    Answer

	claim string // why it was not taken for the node that it claims to be
}

func (d *decision) decide() {
	mode := d.cfg.Mode
	if mode == "" {
		mode = d.s.Settings.Provision.DHCP
	}
	if mode != site.DHCPServer && mode != site.DHCPProxy {
		d.silent("DHCP is off")
		return
	}
	if network, ok := d.bmcNetwork(mode); ok {
		if d.controller(network) {
			d.server()
		}
		return
	}
	if !d.place(mode) || !d.identify() {
		return
	}
	switch {
	case d.req.BootServer:
		d.bootServer()
	case mode == site.DHCPProxy:
		d.proxy()
	default:
		d.server()
	}
}

// place finds out whether the client sits on the provisioning network.
func (d *decision) place(mode site.DHCPMode) bool {
	var ok bool
	if d.net, ok = d.s.Settings.ProvisionNetwork(); !ok {
		return d.silent("the plan has no provisioning network")
	}
	d.pool = d.s.Settings.Provision.Pool
	subnet, relay := d.net.Subnet, d.req.GIAddr
	switch {
	case d.req.BootServer:
		return true
	case relay.IsValid() && d.req.LinkAddr.IsValid():
		// RFC 3527: the relay speaks from one subnet for clients in another.
		if !subnet.Contains(d.req.LinkAddr) || !d.planned(relay) {
			return d.silent("the relay asks for a subnet that is not the provisioning network")
		}
	case relay.IsValid():
		if !subnet.Contains(relay) {
			return d.silent("the relay is not on the provisioning network")
		}
	case mode == site.DHCPServer && !subnet.Contains(d.cfg.ServerID) && !subnet.Contains(d.req.CIAddr):
		return d.silent("this interface has no address on the provisioning network")
	}
	return true
}

func (d *decision) planned(a netip.Addr) bool {
	for _, n := range d.s.Settings.Networks {
		if n.Subnet.Contains(a) {
			return true
		}
	}
	return false
}

// identify finds the machine that the plan names by MAC or by UUID. Two keys
// that point to different machines open neither.
func (d *decision) identify() bool {
	byMAC, ok := d.s.MachineByMAC(d.req.MAC)
	if !ok {
		byMAC = d.remembered()
	}
	byUUID, uuidKnown := d.byUUID()
	switch {
	case byMAC != nil && byUUID != nil && byMAC.Node.Name != byUUID.Node.Name:
		return d.silent("its MAC is " + byMAC.Node.Name + " in the plan and its UUID is " + byUUID.Node.Name)
	case byMAC != nil && byUUID == nil && uuidKnown && !byMAC.Node.UUID.IsZero():
		return d.silent("its MAC is " + byMAC.Node.Name + " in the plan, but its UUID is not that machine's: was the NIC moved?")
	case byMAC != nil:
		d.m = byMAC
	case byUUID != nil:
		d.m, d.a.Learned = byUUID, true
	}
	d.doubt()
	if d.m != nil {
		d.a.Node = d.m.Node.Name
	}
	return true
}

// doubt takes a machine for a stranger that claims to be a node which is
// another machine, and puts the claim on record, once.
func (d *decision) doubt() {
	if d.m == nil || d.s.Owns(d.m, d.req.MAC) {
		return
	}
	rival := (*boot.ConflictError)(nil)
	_, err := boot.Identify(d.s, boot.Identity{MAC: d.req.MAC, UUID: d.m.Node.UUID})
	if !errors.As(err, &rival) || rival.Rival == (site.MAC{}) {
		return
	}
	d.claim = rival.Reason
	if !d.m.Claimed(d.req.MAC, d.m.Attempt.Number) {
		d.a.Events = append(d.a.Events, site.ClaimRefused{Node: rival.Node, Attempt: d.m.Attempt.Number, MAC: d.req.MAC, Rival: rival.Rival, Reason: rival.Reason})
	}
	d.m, d.a.Learned = nil, false
}

func (d *decision) byUUID() (m *site.Machine, claimed bool) {
	little, big, ok := d.req.UUID()
	if !ok {
		return nil, false
	}
	if m, ok := d.s.MachineByUUID(little); ok {
		return m, true
	}
	m, _ = d.s.MachineByUUID(big)
	return m, true
}

// remembered is the node that showed its UUID from this MAC before, or whose
// running attempt began from it.
func (d *decision) remembered() *site.Machine {
	if m, ok := d.s.Machine(d.cfg.Book.nodeOf(d.req.MAC)); ok {
		return m
	}
	want := d.req.Requested
	if !want.IsValid() {
		want = d.req.CIAddr
	}
	if !want.IsValid() {
		return nil
	}
	if m, ok := d.s.MachineByAddr(want); ok && m.Running() && m.Attempt.MAC == d.req.MAC && !m.Node.UUID.IsZero() {
		return m
	}
	return nil
}

// ours reports whether a server identifier means us. A relay may have put
// its own address in our place (RFC 5107).
func (d *decision) ours(id netip.Addr) bool {
	return id == d.cfg.ServerID || d.req.Override.IsValid() && id == d.req.Override
}

func (d *decision) serverID() netip.Addr {
	if d.req.Override.IsValid() && d.req.GIAddr.IsValid() {
		return d.req.Override
	}
	return d.cfg.ServerID
}

// silent always gives false.
func (d *decision) silent(why string) bool {
	d.a.Reply, d.a.Why = nil, why
	return false
}

// reply begins a reply with what every reply carries, and addresses it.
func (d *decision) reply(kind MessageType, yiaddr netip.Addr) *Reply {
	q := d.req
	r := &Reply{
		Type: kind, XID: q.XID, Broadcast: q.Broadcast, HType: q.HType, MAC: q.MAC, GIAddr: q.GIAddr, YIAddr: yiaddr,
		ServerID: d.serverID(), MaxSize: q.MaxSize,
		ClientID: q.ClientID, RelayInfo: q.RelayInfo,
	}
	r.CIAddr = d.ciaddr(kind, yiaddr)
	d.a.Reply = r
	d.address(r)
	return r
}

// ciaddr is the address that the client uses already, and that its reply goes
// to. One that it cannot have is somebody else's, who would get the reply.
func (d *decision) ciaddr(kind MessageType, yiaddr netip.Addr) netip.Addr {
	q := d.req
	switch {
	case kind == TypeNAK, q.Type == TypeDiscover, yiaddr.IsValid() && q.CIAddr != yiaddr:
		return netip.Addr{} // RFC 2131 section 4.3.1, table 3
	case q.BootServer, d.net.Subnet.Contains(q.CIAddr):
		return q.CIAddr
	default:
		return netip.Addr{}
	}
}

func (d *decision) address(r *Reply) {
	q, port := d.req, d.cfg.ClientPort
	if port == 0 {
		port = clientPort
	}
	switch {
	case q.BootServer:
		d.a.Via, d.a.To = ViaBoot, q.From
	case q.GIAddr.IsValid():
		d.a.Via, d.a.To = ViaRelay, netip.AddrPortFrom(q.GIAddr, serverPort)
		if q.RelayPort {
			d.a.To = netip.AddrPortFrom(q.GIAddr, q.From.Port())
		}
		if r.Type == TypeNAK {
			r.Broadcast = true // RFC 2131 section 4.3.2
		}
	case r.Type != TypeNAK && r.CIAddr.IsValid():
		d.a.Via, d.a.To = ViaUnicast, netip.AddrPortFrom(r.CIAddr, port)
	case r.Type == TypeNAK || q.Broadcast || !r.YIAddr.IsValid():
		d.a.Via, d.a.To = ViaBroadcast, netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), port)
	default:
		d.a.Via, d.a.To = ViaRaw, netip.AddrPortFrom(r.YIAddr, port)
	}
}

// nak refuses an address. Beside another server it refuses none that this one
// may have given.
func (d *decision) nak(why string) {
	if d.cfg.RenewOnly {
		d.silent(why + "; but another DHCP server was seen, which may have given it this one")
		return
	}
	r := d.reply(TypeNAK, netip.Addr{})
	r.Message = why
	d.a.Why = why
}

// network adds what the client needs to know about the network.
func (d *decision) network(r *Reply) {
	q := d.req
	r.Mask, r.WithBcast = d.net.Subnet, q.asks(optBroadcast)
	if q.asks(optRouter) {
		r.Router = d.net.Gateway
	}
	if q.asks(optDNS) {
		r.DNS = d.net.DNS
	}
	if q.asks(optNTP) {
		r.NTP = d.net.NTP
	}
	if q.asks(optDomain) {
		r.Domain = d.s.Settings.Domain
	}
	if d.m != nil && q.asks(optHostname) {
		r.Hostname = d.m.Node.Name
	}
	if d.net.MTU != 0 && d.net.MTU != 1500 && q.asks(optMTU) {
		r.MTU = d.net.MTU
	}
	// RFC 4578 section 2.3 has the server echo it.
	r.MachineID = q.MachineID
}
