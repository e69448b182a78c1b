package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
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

// behind puts the place's machines behind BMCs, without power.
func (p *place) behind(faults ...sim.Fault) []*bmcsim.BMC {
	p.t.Helper()
	port := netip.MustParseAddrPort(p.server(tftpPort)).Port()
	machines := sim.Rack(&sim.Site{Relay: p.relay(), TFTP: port, Speed: 200, Log: slog.New(slog.DiscardHandler)}, 3, faults)
	rack := bmcsim.Behind(machines, bmcsim.Config{Transition: 20 * time.Millisecond, Sessions: 64})
	front, err := bmcsim.Serve(netip.AddrPortFrom(bmcNetwork(), 0), rack...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(front.Close)
	p.name(front.Addresses)
	return rack
}

// TestInstallByPower is the whole act by its command: the canary first, then
// the others; a watcher that leaves and comes back; a canary that fails.
func TestInstallByPower(t *testing.T) {
	t.Run("to ready", func(t *testing.T) {
		p := newPlace(t)
		rack := p.behind()
		p.must("plan", "apply", p.plan)
		p.medium()
		d := p.serve("--pace", "60")
		if strings.Contains(d.String(), "some boot loaders are missing") {
			t.Skip("needs boot loaders: make loaders")
		}
		if out, status := p.cli("install", "all", "--dry-run"); status != 0 || !strings.Contains(out, "3 machines would be armed") || p.node("n1").State != site.PhasePlanned {
			t.Errorf("dry run: status %d\n%s", status, out)
		}
		watcher := start(t, binary, "--state", p.state, "install", "all")
		watcher.wait("n1  running      armed")
		watcher.kill() // ctrl-C, or a laptop that is shut
		id := regexp.MustCompile(`j-[a-z0-9]+`).FindString(watcher.String())
		if out, status := p.cli("install", "n2"); status != 4 || !strings.Contains(out, "is in install job "+id+" already") {
			t.Errorf("a second job: status %d\n%s", status, out)
		}
		out, status := p.cli("install", "--resume", id)
		if status != 0 || !strings.Contains(out, "n3  done         ready") {
			t.Errorf("watched again: status %d\n%s", status, out)
		}
		canary, second := strings.Index(out, "n1  done         ready"), strings.Index(out, "n2  running")
		if canary < 0 || second < canary {
			t.Errorf("the canary was ready at %d, and the next began at %d:\n%s", canary, second, out)
		}
		for i, b := range rack {
			if got := b.Actions(); !slices.Equal(got, []string{"On"}) {
				t.Errorf("machine %d was told %v", i+1, got)
			}
		}
		if out, status := p.cli("install", "--resume", id, "--json"); status != 0 || !strings.Contains(out, `"ok": 3`) {
			t.Errorf("resumed with nothing left: status %d\n%s", status, out)
		}
	})
	t.Run("the canary fails", func(t *testing.T) {
		p := newPlace(t)
		rack := p.behind(sim.AmbiguousDisk)
		p.must("plan", "apply", p.plan)
		p.medium()
		d := p.serve("--pace", "60")
		if strings.Contains(d.String(), "some boot loaders are missing") {
			t.Skip("needs boot loaders: make loaders")
		}
		out, status := p.cli("install", "all")
		if status != 1 || !strings.Contains(out, "2 disks match the selector") || !strings.Contains(out, "the canary n1 failed") || !strings.Contains(out, "rackseed install --resume j-") {
			t.Errorf("status %d\n%s", status, out)
		}
		for i, b := range rack[1:] {
			if got := b.Actions(); len(got) > 0 || p.node(fmt.Sprintf("n%d", i+2)).State != site.PhasePlanned {
				t.Errorf("machine %d was told %v", i+2, got)
			}
		}
		if n := p.node("n1"); n.Fix == "" || n.State != site.PhaseFailed {
			t.Errorf("%+v", n)
		}
	})
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
