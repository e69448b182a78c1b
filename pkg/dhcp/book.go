package dhcp

import (
	"net/netip"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

const (
	// holdTime is how long an offered address waits for its client. Firmware
	// asks for it within the 4 to 8 s that it collects offers.
	holdTime = 20 * time.Second
	// probeTime is how long the result of a conflict probe is believed.
	probeTime = 30 * time.Second
	// maxHolds bounds the book against a flood of made-up clients.
	maxHolds = 1 << 17
)

// Book is what the daemon has said without promising it: which address it
// offered to whom, and which addresses it found silent. It is memory only,
// for an offer is not a lease. The zero Book is not usable; call NewBook.
type Book struct {
	mu     sync.Mutex
	holds  map[netip.Addr]hold
	holder map[site.MAC]netip.Addr
	probes map[netip.Addr]probe
	nodes  map[site.MAC]string
	ready  []netip.Addr       // found silent before anybody asked, held by nobody
	place  map[netip.Addr]int // of each address in ready
	climbs map[site.MAC]climb
	full   time.Time // the pool had nothing left until then
}

type hold struct {
	mac   site.MAC
	until time.Time
}

type probe struct {
	occupant site.MAC // who answered; zero when unknown
	busy     bool
	until    time.Time
}

// NewBook is an empty book.
func NewBook() *Book {
	return &Book{
		holds:  map[netip.Addr]hold{},
		holder: map[site.MAC]netip.Addr{},
		probes: map[netip.Addr]probe{},
		nodes:  map[site.MAC]string{},
		place:  map[netip.Addr]int{},
		climbs: map[site.MAC]climb{},
	}
}

// Hold keeps an address for a client, and lets go of the one that it had
// before. It fails when another client holds the address.
func (b *Book) Hold(a netip.Addr, m site.MAC, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.holds[a]
	if ok && h.mac != m {
		if now.Before(h.until) {
			return false
		}
		delete(b.holder, h.mac)
	}
	if before, has := b.holder[m]; has && before != a {
		delete(b.holds, before)
	}
	if !ok && len(b.holds) >= maxHolds && !b.sweep(now) {
		return false
	}
	b.take(a)
	b.holds[a] = hold{mac: m, until: now.Add(holdTime)}
	b.holder[m] = a
	return true
}

// Given notes that the address was acknowledged: what a probe found before
// that is no longer true.
func (b *Book) Given(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(a)
	delete(b.probes, a)
}

// Drop forgets what a client was offered: it took another server's offer, or
// gave the address back.
func (b *Book) Drop(m site.MAC) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a, ok := b.holder[m]; ok {
		delete(b.holds, a)
		delete(b.holder, m)
	}
}

// Probed records what a conflict probe found.
func (b *Book) Probed(a netip.Addr, busy bool, occupant site.MAC, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.probes) >= maxHolds && !b.sweep(now) {
		return
	}
	b.probes[a] = probe{occupant: occupant, busy: busy, until: now.Add(probeTime)}
}

// scouted records what a probe found that nobody waited for. It reports
// whether a station was found that was not known.
func (b *Book) scouted(a netip.Addr, busy bool, occupant site.MAC, now time.Time) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.probes) >= maxHolds && !b.sweep(now) {
		return false
	}
	news = busy && !b.probes[a].busy
	b.probes[a] = probe{occupant: occupant, busy: busy, until: now.Add(probeTime)}
	h, held := b.holds[a]
	switch _, in := b.place[a]; {
	case busy || held && now.Before(h.until):
		b.take(a)
	case !in:
		b.place[a] = len(b.ready)
		b.ready = append(b.ready, a)
	}
	return news
}

// take removes an address from those that are ready.
func (b *Book) take(a netip.Addr) {
	i, ok := b.place[a]
	if !ok {
		return
	}
	last := b.ready[len(b.ready)-1]
	b.ready[i], b.place[last] = last, i
	b.ready = b.ready[:len(b.ready)-1]
	delete(b.place, a)
}

// unready withdraws an address that was ready.
func (b *Book) unready(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(a)
}

// aging lists what is ready, but not for long any more, and counts all that
// is ready.
func (b *Book) aging(now time.Time) (old []netip.Addr, ready int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.ready {
		if !now.Add(scoutRenew).Before(b.probes[a].until) {
			old = append(old, a)
		}
	}
	return old, len(b.ready)
}

// Learn remembers which node showed its UUID from this MAC, because the
// operating system that it boots will not show it again.
func (b *Book) Learn(m site.MAC, node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.nodes) >= maxHolds {
		clear(b.nodes)
	}
	b.nodes[m] = node
}

func (b *Book) sweep(now time.Time) bool {
	for a, h := range b.holds {
		if !now.Before(h.until) {
			delete(b.holds, a)
			delete(b.holder, h.mac)
		}
	}
	for a, p := range b.probes {
		if !now.Before(p.until) {
			delete(b.probes, a)
		}
	}
	return len(b.holds) < maxHolds && len(b.probes) < maxHolds
}

// The rest is what Decide reads. A nil Book is an empty one.

// heldBy tells who was last offered the address, and whether it still waits
// for that client.
func (b *Book) heldBy(a netip.Addr, now time.Time) (m site.MAC, waits, known bool) {
	if b == nil {
		return site.MAC{}, false, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.holds[a]
	return h.mac, ok && now.Before(h.until), ok
}

func (b *Book) heldFor(m site.MAC, now time.Time) (netip.Addr, bool) {
	if b == nil {
		return netip.Addr{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.holder[m]
	return a, ok && now.Before(b.holds[a].until)
}

func (b *Book) probed(a netip.Addr, now time.Time) (p probe, ok bool) {
	if b == nil {
		return probe{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok = b.probes[a]
	return p, ok && now.Before(p.until)
}

// isReady reports whether an address was found silent before anybody asked,
// and remains so long enough for an offer.
func (b *Book) isReady(a netip.Addr, now time.Time) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.place[a]
	return ok && b.lasts(a, now)
}

// readyAt gives one of the addresses that isReady is true of. Which one
// follows from i until the next change.
func (b *Book) readyAt(i int, now time.Time) (netip.Addr, bool) {
	if b == nil {
		return netip.Addr{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return netip.Addr{}, false
	}
	a := b.ready[i%len(b.ready)]
	return a, b.lasts(a, now)
}

func (b *Book) lasts(a netip.Addr, now time.Time) bool {
	p, ok := b.probes[a]
	return ok && !p.busy && now.Add(scoutMargin).Before(p.until)
}

func (b *Book) nodeOf(m site.MAC) string {
	if b == nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nodes[m]
}

// exhausted and setExhausted spare a full pool from being searched for every
// packet of a flood.
func (b *Book) exhausted(now time.Time) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.full)
}

// SetExhausted notes that the pool had no free address at now.
func (b *Book) SetExhausted(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = now.Add(time.Second)
}
