package main

import (
	"context"
	"time"

	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// maxStrangers bounds what the wire can make the log grow by.
const maxStrangers = 4096

// sight notes what was seen for the first time. What finds no room is seen
// again.
func (d *daemon) sight(o dhcp.Observation) {
	q, a := o.Request, o.Answer
	switch {
	case o.Stranger:
		seen := site.StrangerSeen{MAC: q.MAC, Class: site.Printable(string(q.Class), 64), Hostname: site.Printable(string(q.Hostname), 63)}
		if q.HasArch {
			seen.Arch = ipxe.ArchName(q.Client().Arch)
		}
		d.noteSight(seen)
	case a.Node != "":
		s := d.core.ledger.State()
		if m, ok := s.Machine(a.Node); ok && !m.Saw(q.MAC) && s.Owns(m, q.MAC) {
			d.noteSight(site.NodeSeen{Node: a.Node, MAC: q.MAC})
		}
	}
}

func (d *daemon) noteSight(seen site.Body) {
	select {
	case d.sightings <- seen:
	default:
	}
}

// recordSightings puts on record who was seen, all that waits in one commit:
// a site that gets its power back is seen at one moment.
func (d *daemon) recordSightings(ctx context.Context) error {
	for {
		var seen []site.Body
		select {
		case <-ctx.Done():
			return nil
		case first := <-d.sightings:
			seen = append(seen, first)
		}
		for more := true; more && len(seen) < cap(d.sightings); {
			select {
			case next := <-d.sightings:
				seen = append(seen, next)
			default:
				more = false
			}
		}
		_, err := d.core.ledger.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) { return news(s, seen), nil })
		if err != nil && ctx.Err() == nil {
			d.log.Warn("who was seen for the first time was not recorded", "sightings", len(seen), "error", err)
		}
	}
}

// news leaves out what the log knows, or has no room for.
func news(s *site.State, seen []site.Body) []site.Body {
	var fresh []site.Body
	told := map[site.MAC]bool{}
	strangers := s.Strangers.Len()
	for _, b := range seen {
		switch b := b.(type) {
		case site.StrangerSeen:
			_, known := s.Strangers.Get(b.MAC)
			_, planned := s.MachineByMAC(b.MAC)
			if known || planned || told[b.MAC] || strangers >= maxStrangers {
				continue
			}
			told[b.MAC] = true
			strangers++
			fresh = append(fresh, b)
		case site.NodeSeen:
			m, ok := s.Machine(b.Node)
			if !ok || m.Saw(b.MAC) || told[b.MAC] || !s.Owns(m, b.MAC) {
				continue
			}
			told[b.MAC] = true
			fresh = append(fresh, b)
		}
	}
	return fresh
}
