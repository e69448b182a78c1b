package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// lookFunc lists the DHCP servers that answer on an interface.
type lookFunc func(ctx context.Context, iface string) ([]string, error)

func (d *daemon) newDHCP() *dhcp.Server {
	s := &dhcp.Server{
		Ledger: d.core.ledger, Mode: d.mode, Port: d.opts.dhcpPort, ProxyPort: d.opts.bootPort,
		HTTPPort: int(d.server().Port()), Clock: d.core.ledger.Now, Log: d.log, Observe: d.observeDHCP,
	}
	for _, l := range d.links {
		s.Links = append(s.Links, dhcp.Link{Interface: l.name, Addr: l.addr})
	}
	return s
}

// serveDHCP listens before it speaks: in server mode it says nothing until
// the wire was found to be without another server.
func (d *daemon) serveDHCP(ctx context.Context) error {
	if d.dhcp == nil {
		d.announce()
		return nil
	}
	if err := d.lookFirst(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	d.note.Store("")
	d.log.Info("DHCP answers now", "mode", d.mode)
	d.announce()
	return d.dhcp.Serve(ctx)
}

func (d *daemon) announce() {
	if d.ready != nil {
		d.ready()
	}
}

func (d *daemon) lookFirst(ctx context.Context) error {
	if d.mode != site.DHCPServer || d.opts.ownLAN || d.look == nil {
		return nil
	}
	d.note.Store("listening for other DHCP servers before the first answer")
	for _, l := range d.links {
		if l.name == "" {
			continue
		}
		d.log.Info("listening for other DHCP servers before the first answer", "interface", l.name)
		found, err := d.look(ctx, l.name)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listening for other DHCP servers on %s: %w", l.name, err)
		}
		if len(found) > 0 {
			return &exitError{exitRefused, fmt.Errorf("%w, on %s: %s. Serve beside it with --dhcp proxy, move to a network of your own, or, if this network is yours, add --i-own-this-lan",
				errForeign, l.name, strings.Join(found, "; "))}
		}
	}
	return nil
}

func (d *daemon) observeDHCP(o dhcp.Observation) {
	if o.Err != nil {
		d.log.Debug("dhcp", "interface", o.Link, "client", o.From, "error", o.Err)
	}
	if o.Request == nil || o.Answer == nil {
		return
	}
	q, a := o.Request, o.Answer
	d.log.Debug("dhcp", "mac", q.MAC, "node", a.Node, "type", q.Type, "why", a.Why, "boot", a.BootWhy)
	if o.Loop {
		d.log.Warn("a machine asks for its first loader again and again: does its firmware reject it, as Secure Boot does with an unsigned one?", "mac", q.MAC, "node", a.Node)
	}
	if o.Stranger {
		seen := site.StrangerSeen{MAC: q.MAC, Class: site.Printable(string(q.Class), 64)}
		if q.HasArch {
			seen.Arch = ipxe.ArchName(q.Client().Arch)
		}
		select {
		case d.strangers <- seen:
		default: // it will be seen again
		}
	}
}

// holderOf says who has a port that is taken.
func holderOf(err error, _ string, _ int) error { return err }
