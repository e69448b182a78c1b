package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/syslog"
)

// The values of --syslog that are no address.
const (
	syslogOn  = "on"
	syslogOff = "off"
)

const syslogPort = 514

// openSyslog opens the receiver of installers' logs. What is in its way is a
// warning: an install does not depend on it.
func (d *daemon) openSyslog(ctx context.Context) error {
	addrs, err := d.syslogAddrs()
	if err != nil || len(addrs) == 0 {
		return err
	}
	r := &syslog.Receiver{Observe: d.observer.syslog, Now: d.core.ledger.Now, Log: d.log}
	for _, at := range addrs {
		if err := r.Listen(ctx, at); err != nil {
			err = holderOf(err, "udp", int(at.Port()))
			d.log.Warn("installers' logs are not received; choose another port with --syslog :PORT, or none with --syslog off", "error", err)
			r.Close()
			return nil
		}
	}
	d.syslog, d.core.composer.Syslog = r, r.Addrs()[0].Port()
	return nil
}

// syslogAddrs are where to listen: nowhere, at each link, or at one address.
func (d *daemon) syslogAddrs() ([]netip.AddrPort, error) {
	text := d.opts.syslog
	if text == "" || text == syslogOff {
		return nil, nil
	}
	port := uint16(syslogPort)
	if text != syslogOn {
		host, number, hasPort := strings.Cut(text, ":")
		if hasPort {
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil {
				return nil, usageError("--syslog %s: write ADDRESS, ADDRESS:PORT, :PORT, on or off", text)
			}
			port = uint16(n)
		}
		if host != "" {
			addr, err := netip.ParseAddr(host)
			if err != nil {
				return nil, usageError("--syslog %s: write ADDRESS, ADDRESS:PORT, :PORT, on or off", text)
			}
			return []netip.AddrPort{netip.AddrPortFrom(addr, port)}, nil
		}
	}
	var addrs []netip.AddrPort
	for _, l := range d.links {
		addrs = append(addrs, netip.AddrPortFrom(l.addr, port))
	}
	return addrs, nil
}

// serveSyslog receives until ctx ends.
func (d *daemon) serveSyslog(ctx context.Context) error {
	if d.syslog == nil {
		return nil
	}
	if err := d.syslog.Serve(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("receiving installers' logs: %w", err)
	}
	return nil
}

// syslog records what a machine logs. Whoever sends it is told by the address
// alone, so it decides nothing.
func (o *observer) syslog(from netip.Addr, m syslog.Message, suppressed int) {
	e, ok := o.entry(flight.Syslog, m.Severity.String(), from)
	if !ok {
		return
	}
	if suppressed > 0 {
		lost := e
		lost.What, lost.Detail = "suppressed", fmt.Sprintf("%d lines were passed over: it wrote more than can be kept", suppressed)
		o.flight.Record(lost)
	}
	e.Name, e.Detail = m.App, m.Text
	o.flight.Record(e)
}
