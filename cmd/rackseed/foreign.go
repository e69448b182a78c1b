package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

const (
	// foreignQuiet is how long nothing may be heard of another server before
	// it is looked for again. A server that serves is heard more often.
	foreignQuiet = 5 * time.Minute
	// foreignTick is how often that is thought of.
	foreignTick = 10 * time.Second
)

// wire is what was heard of other DHCP servers while ours serves.
type wire struct {
	mu   sync.Mutex
	last time.Time // zero while nobody else was heard
	id   netip.Addr
	who  string
}

func (w *wire) heard(id netip.Addr, who string, now time.Time) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = w.last.IsZero() || w.id != id
	w.last = now
	if news {
		w.id, w.who = id, who
	}
	return news
}

// still notes that the other server was heard again.
func (w *wire) still(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = now
}

// since is when the other server was last heard; zero when there is none.
func (w *wire) since() (time.Time, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.who
}

// clear forgets the other server, unless it was heard after the moment.
func (w *wire) clear(after time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.After(after) {
		return false
	}
	w.last, w.id, w.who = time.Time{}, netip.Addr{}, ""
	return true
}

// ownsLAN reports that the operator said in so many words that every address
// of the provisioning network is this daemon's to give.
func (d *daemon) ownsLAN() bool {
	network, ok := d.core.ledger.State().Settings.ProvisionNetwork()
	return ok && d.opts.ownLAN == network.Subnet.Masked().String()
}

// checkOwnLAN keeps the words from meaning another network than the one that
// is served.
func (d *daemon) checkOwnLAN() error {
	if d.opts.ownLAN == "" || d.ownsLAN() {
		return nil
	}
	network, _ := d.core.ledger.State().Settings.ProvisionNetwork()
	return usageError("--i-own-this-lan %s is not the provisioning network of the plan: if every address there is yours to give, write --i-own-this-lan %s", d.opts.ownLAN, network.Subnet.Masked())
}

func (d *daemon) lookFirst(ctx context.Context) error {
	if d.mode != site.DHCPServer || d.ownsLAN() || d.look == nil {
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
			return cannotListen(l.name, err)
		}
		if len(found) > 0 {
			return &exitError{exitRefused, d.refusal(l.name, found)}
		}
	}
	return nil
}

// cannotListen ends a start: nobody knows who else serves there.
func cannotListen(name string, err error) error {
	if errors.Is(err, syscall.ENETDOWN) {
		return fmt.Errorf("listening for other DHCP servers: %s is down: `ip link set %[1]s up`, and keep NetworkManager from taking it down: %[2]w", name, err)
	}
	return fmt.Errorf("listening for other DHCP servers on %s: %w", name, err)
}

// refusal says what to do in place of giving addresses beside somebody else.
func (d *daemon) refusal(iface string, found []string) error {
	network, _ := d.core.ledger.State().Settings.ProvisionNetwork()
	return fmt.Errorf(`%w, on %s: %s. No packet of DHCP was sent but three questions, and no address was given.
  Give boot files beside it:  %s
  Or move the cable to a network of your own.
  Or, if every address of %s is yours to give, say so:  --i-own-this-lan %s`,
		errForeign, iface, strings.Join(found, "; "), d.proxyCommand(), network.Subnet.Masked(), network.Subnet.Masked())
}

// proxyCommand is the command line that was given, with proxy mode.
func (d *daemon) proxyCommand() string {
	words := []string{"rackseed serve"}
	if d.opts.plan != "" {
		words = append(words, "--plan", shellWord(d.opts.plan))
	}
	for _, name := range d.opts.interfaces {
		words = append(words, "--interface", shellWord(name))
	}
	if d.opts.state != defaultState() {
		words = append(words, "--state", shellWord(d.opts.state))
	}
	return strings.Join(append(words, "--dhcp proxy"), " ")
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// lookForServers lists the DHCP servers on a wire, in words.
func lookForServers(ctx context.Context, iface string) ([]string, error) {
	servers, err := survey.Foreign(ctx, iface)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, s := range servers {
		if s.Proxy {
			continue // it gives no addresses: ours do not collide with it
		}
		found = append(found, fmt.Sprintf("%s (MAC %s) offers %s", s.ServerID, s.MAC, s.Offered))
	}
	return found, nil
}

// watchForServers stops giving new addresses as soon as another server
// speaks: somebody moved a cable, or switched something on. It goes on by
// itself once that server is gone.
func (d *daemon) watchForServers(ctx context.Context) error {
	if d.mode != site.DHCPServer || d.ownsLAN() || d.dhcp == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range d.links {
		if l.name == "" {
			continue
		}
		w, err := survey.Listen(l.name)
		if err != nil {
			d.log.Warn("nobody watches for other DHCP servers", "interface", l.name, "error", err)
			continue
		}
		group.Go(func() error { return w.Run(ctx, d.heardServer) })
	}
	group.Go(func() error { return d.resumeWhenQuiet(ctx) })
	return group.Wait()
}

func (d *daemon) heardServer(s survey.DHCPServer) {
	ours := slices.ContainsFunc(d.links, func(l link) bool { return l.addr == s.ServerID })
	if s.Proxy || ours {
		return
	}
	d.dhcp.RenewOnly(true)
	who := fmt.Sprintf("%s (MAC %s)", s.ServerID, s.MAC)
	if s.Client != (site.MAC{}) {
		who = fmt.Sprintf("%s (whose offer %s took)", s.ServerID, s.Client)
	}
	note := "another DHCP server, " + who + ", speaks on this network: nothing new is given, what was given is renewed. " +
		"It is looked for again once it was silent for five minutes, or at once by `rackseed dhcp resume`"
	d.note.Store(note)
	if d.wire.heard(s.ServerID, who, d.core.ledger.Now()) {
		d.log.Error(note)
	}
}

// resumeWhenQuiet gives addresses again when the other server is gone.
func (d *daemon) resumeWhenQuiet(ctx context.Context) error {
	tick := time.NewTicker(foreignTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		last, _ := d.wire.since()
		if last.IsZero() || d.core.ledger.Now().Sub(last) < foreignQuiet {
			continue
		}
		if err := d.resume(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("no new addresses are given yet", "error", err)
		}
	}
}

// resume looks for other servers, and gives new addresses again if there is
// none. It takes as long as the look before the first answer.
func (d *daemon) resume(ctx context.Context) error {
	last, who := d.wire.since()
	switch {
	case d.dhcp == nil || d.mode != site.DHCPServer:
		return install.Refusal("this daemon gives no addresses: it was started with --dhcp " + string(d.mode))
	case last.IsZero():
		return nil
	}
	began := d.core.ledger.Now()
	for _, l := range d.links {
		if l.name == "" || d.look == nil {
			continue
		}
		found, err := d.look(ctx, l.name)
		if err != nil {
			return cannotListen(l.name, err)
		}
		if len(found) > 0 {
			d.wire.still(d.core.ledger.Now())
			return install.Refusal(fmt.Sprintf("%s still answers on %s: switch it off, or move the cable", strings.Join(found, "; "), l.name))
		}
	}
	if !d.wire.clear(began) {
		return install.Refusal(who + " spoke while it was looked for")
	}
	d.dhcp.RenewOnly(false)
	d.note.Store("")
	d.log.Info("the other DHCP server is gone: addresses are given again", "server", who)
	return nil
}
