package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
	"github.com/rackseed/rackseed/pkg/view"
)

// askForInterface is the value of --interface that leaves the choice to the
// page.
const askForInterface = "ask"

// wireChosen ends a daemon that waits on its page for a network interface, so
// that serve starts it again on that one, with the page where it was.
type wireChosen struct{ name, operator string }

func (c wireChosen) Error() string { return "the interface " + c.name + " was chosen" }

// waiting gives the options of a daemon whose operator has not said which
// network it is to serve: its page says so, and nothing is on any wire.
func (o serveOptions) waiting() serveOptions {
	o.interfaces, o.dhcp, o.syslog = []string{"lo"}, string(site.DHCPOff), syslogOff
	o.httpPort, o.tftpPort = 0, 0
	o.ownLAN = ""
	return o
}

// serveChosen serves, and first waits on the page for an interface to be
// chosen if it is asked to.
func serveChosen(ctx context.Context, o serveOptions, run func(context.Context, serveOptions, chan string) error) error {
	if !slices.Equal(o.interfaces, []string{askForInterface}) {
		return run(ctx, o, nil)
	}
	if o.operator == "" {
		return usageError("--interface %s needs the page, on which it is chosen: leave out --operator ''", askForInterface)
	}
	err := run(ctx, o.waiting(), make(chan string))
	var chosen wireChosen
	if !errors.As(err, &chosen) || ctx.Err() != nil {
		return err
	}
	o.interfaces, o.operator = []string{chosen.name}, chosen.operator
	return run(ctx, o, nil)
}

// waitForWire ends the daemon with the interface that is chosen.
func (d *daemon) waitForWire(ctx context.Context) error {
	if d.choose == nil {
		return nil
	}
	d.note.Store("no network interface is chosen yet: choose one under First steps, or start again with --interface NAME")
	select {
	case name := <-d.choose:
		return wireChosen{name, d.operator[len(d.operator)-1].Addr().String()}
	case <-ctx.Done():
		return nil
	}
}

// chooseWire takes the choice of the page.
func (d *daemon) chooseWire(ctx context.Context, req view.WireRequest) error {
	if d.choose == nil {
		return errors.New("this daemon serves already: start it again with --interface to serve another network")
	}
	i, err := survey.Facts(req.Interface)
	if err != nil {
		return err
	}
	if i.Loopback || len(i.Addrs) == 0 {
		return fmt.Errorf("%s has no IPv4 address to serve from: `ip addr add 10.20.0.1/16 dev %s`", i.Name, i.Name)
	}
	select {
	case d.choose <- i.Name:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
