package dhcp

import (
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// maxHostname is the longest label of a name (RFC 1035 section 2.3.4).
const maxHostname = 63

// offerPool offers an address of the pool.
func (d *decision) offerPool() {
	if d.pool.IsZero() {
		d.silent("the plan gives it no address on the provisioning network, and has no pool")
		return
	}
	a, ok := d.choose()
	if !ok {
		d.a.Exhausted = d.pool
		d.silent("the pool has no free address")
		return
	}
	if d.mustProbe(a) {
		return
	}
	d.a.Hold, d.a.Why = a, "from the pool"
	t := d.s.Settings.LeaseTime()
	rest, has := d.rest(a)
	if has && rest > t/2 {
		t = rest
	}
	d.a.NewOwner = !has
	d.lease(TypeOffer, a, t)
}

// choose prefers what the client had, then what it was offered, then what it
// wishes for (RFC 2131 section 4.3.1), then a free address at a place that
// follows from its MAC, so that it meets the same one again.
func (d *decision) choose() (netip.Addr, bool) {
	if l, ok := d.s.LeaseOf(d.req.MAC); ok && d.free(l.Addr) {
		return l.Addr, true
	}
	if a, ok := d.cfg.Book.heldFor(d.req.MAC, d.now); ok && d.free(a) {
		return a, true
	}
	if d.free(d.req.Requested) {
		return d.req.Requested, true
	}
	if d.own.IsValid() && d.free(d.own) {
		return d.own, true
	}
	pool := d.pool
	size := pool.Size()
	start := int(spread(d.req.MAC) % uint64(size))
	if a, ok := d.ready(pool, start); ok {
		return a, true
	}
	if !d.bmcs && d.cfg.Book.exhausted(d.now) {
		return netip.Addr{}, false
	}
	for i := range size {
		if a, ok := pool.At((start + i) % size); ok && d.free(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// readyTries is how many addresses that were probed ahead are looked at: one
// is enough unless the plan or the clock just moved.
const readyTries = 8

// ready prefers, of the addresses that were already found silent, the one at
// the client's place: its offer need not wait for a probe.
func (d *decision) ready(pool site.Range, start int) (netip.Addr, bool) {
	if !d.cfg.Probe {
		return netip.Addr{}, false
	}
	if a, ok := pool.At(start); ok && d.cfg.Book.isReady(a, d.now) && d.free(a) {
		return a, true
	}
	for i := range readyTries {
		if a, ok := d.cfg.Book.readyAt(start+i, d.now); ok && d.free(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// spread is FNV-1a: the same in every process.
func spread(m site.MAC) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range m {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// free reports whether the client may be given a pool address.
func (d *decision) free(a netip.Addr) bool {
	if !d.pool.Contains(a) && a != d.own || !d.usable(a) {
		return false
	}
	if l, ok := d.s.Leases.Get(a); ok && l.MAC != d.req.MAC && d.now.Before(l.Until) {
		return false
	}
	if until, ok := d.s.Declined.Get(a); ok && d.now.Before(until) {
		return false
	}
	if _, ok := d.s.MachineByAddr(a); ok {
		return false
	}
	if m, waits, _ := d.cfg.Book.heldBy(a, d.now); waits && m != d.req.MAC {
		return false
	}
	p, ok := d.cfg.Book.probed(a, d.now)
	return !ok || !p.busy || p.occupant == d.req.MAC
}

// usable excludes what no client may have.
func (d *decision) usable(a netip.Addr) bool {
	subnet := d.net.Subnet.Masked()
	if !subnet.Contains(a) || a == d.cfg.ServerID || a == d.net.Gateway || a == d.req.GIAddr {
		return false
	}
	if subnet.Bits() >= 31 {
		return true
	}
	return a != subnet.Addr() && subnet.Contains(a.Next())
}

// mustProbe asks for a conflict probe when the address gets a new owner or
// its lease is stale.
func (d *decision) mustProbe(a netip.Addr) bool {
	if !d.cfg.Probe {
		return false
	}
	if l, ok := d.s.LeaseOf(d.req.MAC); ok && l.Addr == a && d.now.Before(l.Until) {
		return false
	}
	if _, ok := d.cfg.Book.probed(a, d.now); ok {
		return false
	}
	d.a.Probe, d.a.Hold = a, a
	d.silent("probing whether the address is in use")
	return true
}

// rest is how long the client's lease on a still runs.
func (d *decision) rest(a netip.Addr) (time.Duration, bool) {
	l, ok := d.s.LeaseOf(d.req.MAC)
	if !ok || l.Addr != a || !d.now.Before(l.Until) {
		return 0, false
	}
	return l.Until.Sub(d.now), true
}

// confirmPool answers a REQUEST for an address that is not a reservation.
// The NAKs are those that RFC 2131 section 4.3.2 and caution both allow: to
// a client that names us as its server, or whose lease we hold.
func (d *decision) confirmPool(want netip.Addr, state clientState) {
	l, has := d.s.LeaseOf(d.req.MAC)
	running := has && d.now.Before(l.Until)
	switch {
	case running && l.Addr == want:
		d.renew(l)
	case running:
		d.nak("its lease is on another address")
	case state != selecting && (!has || l.Addr != want):
		d.silent("no record of it")
	case !d.free(want):
		d.nak("the address is not free")
	case d.cfg.RenewOnly:
		d.silent("another DHCP server was seen: nothing new is given")
	case !d.mustProbe(want):
		d.grant(want)
	}
}

// renew stays within what is on disk while more than half of the lease is
// left; then it extends the lease, which is an event.
func (d *decision) renew(l site.Lease) {
	rest := l.Until.Sub(d.now)
	if rest > d.s.Settings.LeaseTime()/2 || !d.free(l.Addr) {
		d.a.Why = "the lease still runs"
		d.lease(TypeACK, l.Addr, rest)
		return
	}
	d.grant(l.Addr)
}

func (d *decision) grant(a netip.Addr) {
	t := d.s.Settings.LeaseTime()
	d.a.Events = append(d.a.Events, site.LeaseGranted{Lease: site.Lease{
		MAC: d.req.MAC, Addr: a, Until: d.now.Add(t), Hostname: site.Printable(string(d.req.Hostname), maxHostname),
	}})
	d.a.Hold, d.a.Why = a, "from the pool"
	d.lease(TypeACK, a, t)
}
