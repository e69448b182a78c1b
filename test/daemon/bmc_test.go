package daemon

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/redfish"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestInstallByBMC closes the loop: machines that boot from disk are told by
// Redfish to boot from the network once, switched on, installed by the
// daemon, and come back from their disks by themselves.
func TestInstallByBMC(t *testing.T) {
	p := newPlace(t)
	p.must("plan", "apply", p.plan)
	p.medium()
	d := p.serve()
	if strings.Contains(d.String(), "some boot loaders are missing") {
		t.Skip("needs boot loaders: make loaders")
	}
	port := netip.MustParseAddrPort(p.server(tftpPort)).Port()
	machines := sim.Rack(&sim.Site{Relay: p.relay(), TFTP: port, Speed: 400, Log: slog.New(slog.DiscardHandler)}, 3, nil)
	bmcs := bmcsim.Behind(machines, bmcsim.Config{})
	front, err := bmcsim.Serve(netip.AddrPortFrom(p.addr(".8.1"), 0), bmcs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	var targets []bmc.Target
	for i := range bmcs {
		targets = append(targets, bmc.Target{Name: machines[i].Serial, Address: front.URL(i), Protocol: bmc.Redfish, Username: bmcs[i].Username(), Password: bmcs[i].Password()})
	}
	do := func(verb string, args ...string) {
		t.Helper()
		task, err := batch.Parse(verb, args)
		if err != nil {
			t.Fatal(err)
		}
		o := batch.Options{Dial: redfish.NewDialer(redfish.Options{}), Patience: bmc.Patience{Poll: 20 * time.Millisecond}}
		for _, r := range batch.Run(t.Context(), o, targets, task, nil) {
			if !r.OK {
				t.Fatalf("%s %q: %s", verb, args, r.Message)
			}
		}
	}

	p.must("install", "all", "--no-power", "--no-wait")
	do("bootdev", "set", "pxe", "once")
	do("power", "on")
	for _, name := range []string{"n1", "n2", "n3"} {
		p.until(t, name, site.PhaseReady)
	}
	for i, b := range bmcs {
		got := b.Booted()
		if len(got) < 2 || got[0].Target != "Pxe" || slices.ContainsFunc(got[1:], func(b bmcsim.Boot) bool { return b.Target != "Hdd" }) {
			t.Errorf("machine %d booted %+v: want the network once and then the disk", i, got)
		}
	}
	do("power", "off")
	for i, b := range bmcs {
		if actions := b.Actions(); !slices.Equal(actions, []string{"On", "ForceOff"}) || b.OpenSessions() != 0 {
			t.Errorf("BMC %d did %q, and has %d sessions", i, actions, b.OpenSessions())
		}
	}
}

// until waits for a node's phase.
func (p *place) until(t *testing.T, name string, want site.Phase) {
	t.Helper()
	end := time.Now().Add(2 * patience)
	for {
		got := p.node(name).State
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is %s, want %s", name, got, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
