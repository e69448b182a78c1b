package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestInstall is the main job by its own commands: arm, switch on, watch; the
// exit status says how the batch went.
func TestInstall(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []sim.Fault
		status int
		states map[string]site.Phase
	}{
		{"all become ready", nil, 0, map[string]site.Phase{"n1": site.PhaseReady, "n2": site.PhaseReady, "n3": site.PhaseReady}},
		{"one fails", []sim.Fault{sim.Crash}, 3, map[string]site.Phase{"n1": site.PhaseFailed, "n2": site.PhaseReady, "n3": site.PhaseReady}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.must("plan", "apply", p.plan)
			p.medium()
			d := p.serve()
			if strings.Contains(d.String(), "some boot loaders are missing") {
				t.Skip("needs boot loaders: make loaders")
			}
			p.power(t, c.faults)
			out, status := p.cli("install", "all", "--no-power")
			if status != c.status {
				t.Errorf("the exit status is %d, not %d:\n%s", status, c.status, out)
			}
			if !strings.Contains(out, "3 armed. Switch them on") || strings.Contains(out, "\x1b") {
				t.Errorf("it said:\n%s", out)
			}
			for name, want := range c.states {
				n := p.node(name)
				if n.State != want || n.Attempt != 1 {
					t.Errorf("%s is %s at attempt %d, want %s", name, n.State, n.Attempt, want)
				}
				if want == site.PhaseFailed {
					p.answersAreKept(t, name)
				}
			}
		})
	}
}

// power switches the place's machines on until the test ends. A machine that
// is not armed yet finds nothing to boot and tries again.
func (p *place) power(t *testing.T, faults []sim.Fault) {
	t.Helper()
	port := netip.MustParseAddrPort(p.server(tftpPort)).Port()
	rack := sim.Rack(&sim.Site{Relay: p.relay(), TFTP: port, Speed: 400, Log: slog.New(slog.DiscardHandler)}, 3, faults)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sim.PowerOn(ctx, rack)
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// answersAreKept: what the installer of a failed attempt was told is evidence,
// without what would let somebody else ask for it.
func (p *place) answersAreKept(t *testing.T, name string) {
	t.Helper()
	file := name + "-attempt1-answers.txt"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for e, err := range p.client().Follow(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if kept, ok := e.Body.(site.EvidenceStored); ok && kept.File == file {
			break
		}
	}
	text, err := os.ReadFile(filepath.Join(p.state, "evidence", file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "# ---- preseed.cfg") || !strings.Contains(string(text), "/report/TOKEN") || answerPath.Match(text) {
		t.Errorf("the answers of %s are kept as\n%s", name, text)
	}
}
