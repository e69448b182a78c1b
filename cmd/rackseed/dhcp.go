package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
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

func (d *daemon) observeDHCP(o dhcp.Observation) {
	d.countDHCP(o)
	if o.Err != nil {
		d.log.Debug("dhcp", "interface", o.Link, "client", o.From, "error", o.Err)
	}
	if o.Request == nil || o.Answer == nil {
		return
	}
	d.observer.dhcp(o)
	q, a := o.Request, o.Answer
	d.log.Debug("dhcp", "mac", q.MAC, "node", a.Node, "type", q.Type, "why", a.Why, "boot", a.BootWhy)
	if o.Loop {
		d.log.Warn("a machine asks for its first loader again and again: does its firmware reject it, as Secure Boot does with an unsigned one?", "mac", q.MAC, "node", a.Node)
	}
	d.sight(o)
}

// holderOf adds who has a port that is taken.
func holderOf(err error, proto string, port int) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	holder, found, lookErr := survey.PortHolder(proto, port)
	if lookErr != nil || !found {
		return err
	}
	advice := "stop it, or choose another port"
	if proto == "udp" {
		advice = "stop it: machines know no other port, and `rackseed doctor` says how"
	}
	return fmt.Errorf("%w (%s port %d is held by %s: %s)", err, proto, port, holder, advice)
}

// openProbers opens a prober for each interface with addresses to give from
// a pool. Without the right to open raw sockets nothing is probed, and that
// is said.
func (d *daemon) openProbers(ctx context.Context) (closeAll func()) {
	probers := map[string]*survey.Prober{}
	for _, l := range d.links {
		if l.name == "" || d.dhcp == nil {
			continue
		}
		p, err := survey.OpenProber(ctx, l.name)
		if err != nil {
			d.log.Warn("pool addresses are given without a probe whether somebody uses them", "interface", l.name, "error", err)
			continue
		}
		probers[l.name] = p
	}
	if len(probers) > 0 {
		d.dhcp.Probe = func(ctx context.Context, iface string, a netip.Addr, onLink bool) (bool, site.MAC, error) {
			p, ok := probers[iface]
			if !ok {
				return false, site.MAC{}, nil
			}
			return p.Probe(ctx, a, onLink)
		}
		d.dhcp.ProbeMany = func(ctx context.Context, iface string, addrs []netip.Addr, onLink bool) (map[netip.Addr]site.MAC, error) {
			p, ok := probers[iface]
			if !ok {
				return nil, nil
			}
			return p.ProbeMany(ctx, addrs, onLink)
		}
	}
	return func() {
		for _, p := range probers {
			p.Close()
		}
	}
}
