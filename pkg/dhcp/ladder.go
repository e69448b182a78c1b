package dhcp

import (
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	// ladderOffers offers in ladderTime without coming for the file make a
	// rung one that the firmware does not understand. PXE 2.1 has ROMs ask at
	// 0, 4, 12 and 28 s, and a slow DHCP server costs them the first of these.
	ladderOffers = 3
	ladderTime   = 20 * time.Second
	// ladderForget begins the count anew.
	ladderForget = time.Hour
)

// rungs are the ways to try, in order. The first is what most firmware of the
// kind takes: a BIOS ROM needs the discovery control, or it looks for boot
// servers; UEFI does best without option 43, for it then asks port 4011, too.
func (d *decision) rungs() []site.BootRung {
	order := []site.BootRung{site.RungBypass, site.RungBootServer, site.RungPlain}
	if d.req.HasArch && d.req.Arch != ipxe.ArchBIOS {
		order = []site.BootRung{site.RungPlain, site.RungBypass, site.RungBootServer}
	}
	if a, ok := d.reserved(); ok && d.s.Settings.Provision.FullAnswer && a != d.cfg.ServerID && d.net.Subnet.Contains(d.cfg.ServerID) {
		order = append(order, site.RungFull)
	}
	return order
}

// climbs reports firmware that the ladder is for: a planned machine's PXE.
func (d *decision) climbs() bool { return d.m != nil && d.req.PXE() && !d.req.IPXE }

// rung is how this firmware is told of its boot file, and why so.
func (d *decision) rung() (rung site.BootRung, why string) {
	order := d.rungs()
	if d.s.Ladders.Len() == 0 {
		return order[0], "as most firmware takes it"
	}
	l, ofModel, ok := d.s.LadderOf(d.req.MAC, d.m.ModelOf())
	switch {
	case !ok || !slices.Contains(order, l.Rung):
		return order[0], "as most firmware takes it"
	case ofModel:
		return l.Rung, "as machines of this model, " + l.Model + ", take it"
	case l.Worked:
		return l.Rung, "as it took it before"
	default:
		return l.Rung, "because it took no other way so far"
	}
}

// climb decides the rung, and goes to the next one when the machine asked
// again and again without coming for its file. After the last one it begins
// anew: what kept it away may have been something else.
func (d *decision) climb() site.BootRung {
	if d.a.Rung != "" {
		return d.a.Rung
	}
	rung, why := d.rung()
	order := d.rungs()
	d.a.RungWhy = why
	if d.req.Type == TypeDiscover && d.cfg.Book.stuck(d.req.MAC, rung, d.now) {
		next := order[(slices.Index(order, rung)+1)%len(order)]
		if next != rung {
			d.a.Events = append(d.a.Events, site.BootLadderStepped{Node: d.m.Node.Name, MAC: d.req.MAC, From: rung, To: next})
			rung, d.a.RungWhy = next, "because it did not come for its file by "+string(rung)
		}
	}
	d.a.Rung = rung
	return rung
}

// came notes that the machine runs what it was told to load: iPXE asks. Only
// what was found out by trying is worth remembering.
func (d *decision) came() {
	if d.m == nil || !d.req.IPXE {
		return
	}
	if l, ok := d.s.Ladders.Get(d.req.MAC); ok && !l.Worked {
		d.a.Events = append(d.a.Events, site.BootLadderWorked{Node: d.m.Node.Name, MAC: d.req.MAC, Rung: l.Rung, Model: d.m.ModelOf()})
	}
}

// climb is what was offered to one machine since it last came for its file.
type climb struct {
	rung        site.BootRung
	offers      int
	first, last time.Time
}

// Offered notes that a machine was told of its boot file.
func (b *Book) Offered(m site.MAC, rung site.BootRung, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.climbs[m]
	if !ok && len(b.climbs) >= maxHolds {
		clear(b.climbs)
	}
	if c.rung != rung || now.Sub(c.last) > ladderForget {
		c = climb{rung: rung, first: now}
	}
	c.offers++
	c.last = now
	b.climbs[m] = c
}

// Came notes that a machine fetched its boot file, or runs it.
func (b *Book) Came(m site.MAC) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.climbs, m)
}

func (b *Book) stuck(m site.MAC, rung site.BootRung, now time.Time) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.climbs[m]
	return ok && c.rung == rung && c.offers >= ladderOffers && now.Sub(c.first) >= ladderTime && now.Sub(c.last) <= ladderForget
}

// Came notes that a machine came for its boot file, so that nothing else is
// tried when it asks again.
func (s *Server) Came(m site.MAC) { s.book.Came(m) }
