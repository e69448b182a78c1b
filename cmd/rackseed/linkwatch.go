package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

// linkTick is how often the interfaces that are served are looked at.
const linkTick = 2 * time.Second

// watchLinks says when an interface cannot serve, in the log, in `rackseed
// dhcp status` and on the page, and when it can again: a cable that was
// pulled is otherwise nothing but silence. The sockets stay open meanwhile.
func (d *daemon) watchLinks(ctx context.Context) error {
	tick := time.NewTicker(linkTick)
	defer tick.Stop()
	before := map[string]string{}
	for {
		var all []string
		for _, l := range d.links {
			if l.name == "" {
				continue
			}
			now := d.lookAtLink(l)
			if now != before[l.name] {
				d.logLink(l, now)
				before[l.name] = now
			}
			if now != "" {
				all = append(all, now)
			}
		}
		d.linkNote.Store(strings.Join(all, "; "))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *daemon) logLink(l link, trouble string) {
	if trouble == "" {
		d.log.Info("the interface serves again", "interface", l.name, "address", l.addr)
		return
	}
	d.log.Error(trouble, "interface", l.name)
}

func (d *daemon) lookAtLink(l link) (trouble string) {
	i, err := survey.Facts(l.name)
	if err != nil {
		return fmt.Sprintf("%s is gone, nothing is heard or said there: plug it in again, then start the daemon again", l.name)
	}
	return linkTrouble(l, i, d.core.ledger.State().Settings)
}

// linkTrouble says what keeps machines from reaching this daemon through an
// interface, and what to do; empty when nothing does.
func linkTrouble(l link, i survey.Interface, s site.Settings) string {
	switch {
	case i.Index != l.index:
		return fmt.Sprintf("%s was away and is another now, nothing is heard or said there: start the daemon again", l.name)
	case !i.Up:
		return fmt.Sprintf("%s is down, nothing is heard or said there: `ip link set %s up`", l.name, l.name)
	case !i.Carrier:
		return fmt.Sprintf("%s has no carrier, nothing is heard or said there: look at the cable, both its ends, and at the switch", l.name)
	}
	for _, a := range i.Addrs {
		if a.Addr() == l.addr {
			return ""
		}
	}
	return fmt.Sprintf("%s lost the address %s, to which machines are told to come: `ip addr add %s dev %s`; if NetworkManager took it, first `nmcli device set %s managed no`", l.name, l.addr, inSubnet(l.addr, s), l.name, l.name)
}

// inSubnet is an address as `ip addr add` wants it.
func inSubnet(a netip.Addr, s site.Settings) string {
	for _, n := range s.Networks {
		if n.Subnet.Contains(a) {
			return netip.PrefixFrom(a, n.Subnet.Bits()).String()
		}
	}
	return a.String() + "/BITS"
}

// silence joins what keeps machines from being answered.
func (d *daemon) silence() string {
	var all []string
	for _, note := range []string{d.linkNote.Load().(string), d.note.Load().(string)} {
		if note != "" {
			all = append(all, note)
		}
	}
	return strings.Join(all, "; ")
}
