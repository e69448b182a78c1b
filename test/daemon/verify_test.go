package daemon

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestBootsAreComparedWithTheWire: n1 does what its BMC is told; the BMC of n2
// says the same, and n2 never asks the network.
func TestBootsAreComparedWithTheWire(t *testing.T) {
	p := newPlace(t)
	port := netip.MustParseAddrPort(p.server(tftpPort)).Port()
	machines := sim.Rack(&sim.Site{Relay: p.relay(), TFTP: port, Speed: 400, Log: slog.New(slog.DiscardHandler)}, 3, []sim.Fault{sim.NoFault, sim.NoPXE})
	bmcs := bmcsim.Behind(machines, bmcsim.Config{})
	front, err := bmcsim.Serve(netip.AddrPortFrom(bmcNetwork(), 0), bmcs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	p.name(front.Addresses)
	p.medium()
	p.must("plan", "apply", p.plan)
	d := p.serve()
	if strings.Contains(d.String(), "some boot loaders are missing") {
		t.Skip("needs boot loaders: make loaders")
	}

	says := func(status int, text string, args ...string) {
		t.Helper()
		out, got := p.cli(args...)
		if got != status || !strings.Contains(out, text) {
			t.Errorf("rackseed %s: status %d, want %d and %q in\n%s", strings.Join(args, " "), got, status, text, out)
		}
	}
	says(0, "pxe once (uefi); seen on the wire: DHCP discover of PXE firmware", "bootdev", "set", "n1", "pxe", "--once", "--verify", "--within", "1m")
	says(1, "after 3 power cycles: nothing came from it on the wire within 1s: it went to disk although the BMC said pxe, or it hangs", "bootdev", "set", "n2", "pxe", "--once", "--verify", "--within", "1s")
	if got := notes(t, p); !slices.Equal(got, []string{
		"n1 told pxe once by redfish; power cycle 1 of at most 3 to see what it boots",
		"n2 told pxe once by redfish; power cycle 1 of at most 3 to see what it boots",
		"n2 nothing came from it on the wire within 1s: it went to disk although the BMC said pxe, or it hangs",
		"n2 told pxe once by redfish, minimal body; power cycle 2 of at most 3 to see what it boots",
		"n2 nothing came from it on the wire within 1s: it went to disk although the BMC said pxe, or it hangs",
		"n2 told pxe once by redfish, with mode; power cycle 3 of at most 3 to see what it boots",
		"n2 nothing came from it on the wire within 1s: it went to disk although the BMC said pxe, or it hangs",
	}) {
		t.Errorf("on record is\n%s", strings.Join(got, "\n"))
	}
	says(0, "no boot device was told, so there is nothing to compare", "power", "cycle", "n1", "--verify")

	p.must("power", "off", "n1,n2")

	// An image of the library goes by its name, and the access log knows who came.
	host := front.Addresses[2].Addr().String()
	says(0, "127.0.0.1 came for it", "media", "insert", "n3", "debian13")
	says(0, "2s have passed: ejected", "media", "insert", "n3", "debian13", "--boot", "--keep", "2s")
	says(1, "no such image", "media", "insert", "n3", "nonesuch")
	booted := bmcs[2].Booted()
	if last := booted[len(booted)-1]; last.Target != "Cd" || !strings.HasPrefix(last.Image, "http://"+p.server(httpPort)+"/images/") || bmcs[2].Kept().Image != "" {
		t.Errorf("n3 behind %s booted %+v", host, last)
	}
	for i, b := range bmcs {
		if n := b.OpenSessions(); n != 0 {
			t.Errorf("BMC %d has %d sessions left", i, n)
		}
	}
}

// notes are the steps on record that are no power actions.
func notes(t *testing.T, p *place) []string {
	t.Helper()
	var all []string
	for e, err := range p.client().Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if step, ok := e.Body.(site.JobStep); ok && step.Power == "" {
			all = append(all, step.Node+" "+step.What)
		}
	}
	return all
}
