package dhcp

import (
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// quarantine is how long a declined address stays out of use.
const quarantine = 10 * time.Minute

// server answers as the network's DHCP server.
func (d *decision) server() {
	if d.m == nil && d.pool.IsZero() && !d.leased() {
		d.silent("the plan does not name this machine, and has no pool")
		return
	}
	switch d.req.Type {
	case TypeDiscover:
		d.discover()
	case TypeRequest:
		d.request()
	case TypeDecline:
		d.decline()
	case TypeRelease:
		d.release()
	case TypeInform:
		d.inform()
	default:
		d.silent("only a client would send this")
	}
}

// leased reports a lease that still runs.
func (d *decision) leased() bool {
	l, ok := d.s.LeaseOf(d.req.MAC)
	return ok && d.now.Before(l.Until)
}

func (d *decision) discover() {
	if d.cfg.RenewOnly {
		d.silent("another DHCP server was seen: nothing new is given")
		return
	}
	if a, ok := d.reserved(); ok {
		if d.mayHave(a) {
			d.grantReserved(TypeOffer, a)
		}
		return
	}
	d.offerPool()
}

// reserved is the plan's address for the client.
func (d *decision) reserved() (netip.Addr, bool) {
	if d.m == nil {
		return netip.Addr{}, false
	}
	a, ok := d.s.Settings.Address(d.m.Node)
	return a, ok && d.net.Subnet.Contains(a)
}

// mayHave keeps one reserved address from being used twice: by two NICs of
// its node, by a pool client from before the plan changed, by whoever the
// client's own check found.
func (d *decision) mayHave(a netip.Addr) bool {
	if a == d.cfg.ServerID {
		return d.silent("the plan gives this node our own address")
	}
	if l, ok := d.s.Leases.Get(a); ok && l.MAC != d.req.MAC && d.now.Before(l.Until) {
		return d.silent("its planned address is leased to another client from the pool until " + stamp(l.Until))
	}
	if until, ok := d.s.Declined.Get(a); ok && d.now.Before(until) {
		return d.silent("its planned address is in use by another station; it is tried again at " + stamp(until))
	}
	holder, waits, known := d.cfg.Book.heldBy(a, d.now)
	if !known && d.m.Running() {
		// The book is empty after a restart, the installer may still run.
		holder, known = d.m.Attempt.MAC, d.m.Attempt.MAC != site.MAC{}
	}
	// A port that is known by its UUID alone may be another machine's, while
	// the node's own uses the address.
	known = known || !d.s.Owns(d.m, d.req.MAC)
	switch {
	case !known || holder == d.req.MAC:
		return true
	case waits:
		return d.silent("its planned address was just offered to another NIC of the node")
	case !d.cfg.Probe:
		return true
	}
	p, ok := d.cfg.Book.probed(a, d.now)
	switch {
	case !ok:
		d.a.Probe = a
		return d.silent("another NIC of the node may have its planned address: probing")
	case p.busy && p.occupant != d.req.MAC:
		return d.silent("its planned address is in use by another NIC of the node")
	default:
		return true
	}
}

func (d *decision) grantReserved(kind MessageType, a netip.Addr) {
	d.a.Why = "reserved by the plan"
	d.a.Hold = a
	d.lease(kind, a, d.s.Settings.LeaseTime())
}

// lease writes an OFFER or ACK with an address.
func (d *decision) lease(kind MessageType, a netip.Addr, t time.Duration) {
	r := d.reply(kind, a)
	r.Lease = t
	d.network(r)
	d.boot(r)
}

// request sorts a REQUEST into the four client states of RFC 2131 section
// 4.3.2, table 4.
func (d *decision) request() {
	q := d.req
	switch {
	case q.ServerID.IsValid() && !d.ours(q.ServerID):
		d.a.Drop, d.a.Foreign = true, q.ServerID
		d.silent("it took the offer of another server")
	case q.ServerID.IsValid():
		d.confirm(q.Requested, selecting)
	case q.Requested.IsValid():
		d.confirm(q.Requested, initReboot)
	case q.CIAddr.IsValid():
		d.confirm(q.CIAddr, renewing) // or rebinding: the same answer
	default:
		d.silent("it requests no address")
	}
}

type clientState int

const (
	selecting clientState = iota
	initReboot
	renewing
)

func (d *decision) confirm(want netip.Addr, state clientState) {
	if !want.IsValid() {
		d.silent("it requests no address")
		return
	}
	a, ok := d.reserved()
	switch {
	case d.cfg.RenewOnly && state == selecting:
		d.silent("another DHCP server was seen: nothing new is given")
	case !ok:
		d.confirmPool(want, state)
	case a != want:
		d.nak("the plan gives it another address")
	case d.mayHave(a):
		d.grantReserved(TypeACK, a)
	}
}

func (d *decision) decline() {
	q := d.req
	if !q.Requested.IsValid() || !d.ours(q.ServerID) {
		d.silent("it declines an address of another server")
		return
	}
	planned, _ := d.reserved()
	if held, _ := d.cfg.Book.heldFor(q.MAC, d.now); q.Requested != held && q.Requested != planned && !d.hasLease(q.Requested) {
		d.silent("it declines an address that it was not given")
		return
	}
	d.a.Drop = true
	if until, ok := d.s.Declined.Get(q.Requested); !ok || !d.now.Before(until) {
		d.a.Events = append(d.a.Events, site.AddressDeclined{Addr: q.Requested, MAC: q.MAC, Until: d.now.Add(quarantine)})
	}
	d.silent("it found its address in use by another station: address put aside")
}

func (d *decision) release() {
	q := d.req
	if !d.ours(q.ServerID) {
		d.silent("it releases an address of another server")
		return
	}
	d.a.Drop = true
	if !d.hasLease(q.CIAddr) {
		d.silent("released; nothing to take back")
		return
	}
	d.a.Events = append(d.a.Events, site.LeaseReleased{MAC: q.MAC, Addr: q.CIAddr})
	d.silent("released")
}

// hasLease reports whether the client's own lease is on a.
func (d *decision) hasLease(a netip.Addr) bool {
	l, ok := d.s.LeaseOf(d.req.MAC)
	return ok && l.Addr == a
}

// inform gives parameters to a client that has an address (RFC 2131 section
// 4.3.5): no address, no lease time.
func (d *decision) inform() {
	switch {
	case !d.net.Subnet.Contains(d.req.CIAddr):
		d.silent("it informs us of an address that is not on the provisioning network")
	case d.m == nil && !d.leased():
		d.silent("the plan does not name this machine, and it has no lease")
	default:
		d.a.Why = "parameters only"
		d.network(d.reply(TypeACK, netip.Addr{}))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
