package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestDemo is the whole product in one process: real packets through the real
// servers, from power-off to ready.
func TestDemo(t *testing.T) {
	status, out, errOut := runCLI(t, "demo", "--exit", "--nodes", "4", "--speed", "200")
	if status != 0 || errOut != "" {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	if !strings.Contains(out, "4 of 4 machines are ready after") || strings.Contains(out, "\x1b") {
		t.Errorf("it said:\n%s", out)
	}
	for kind, want := range map[string]int{"install-started": 4, "install-done": 4, "node-verified": 4, "install-failed": 0, "node-held": 0, "stranger-seen": 0} {
		if n := countEvents(out, kind); n != want {
			t.Errorf("%d events are %s, want %d:\n%s", n, kind, want, out)
		}
	}
}

// TestDemoFaults: what recovers becomes ready, what does not ends where its
// fault says, and the demo is right about both.
func TestDemoFaults(t *testing.T) {
	status, out, errOut := runCLI(t, "demo", "--exit", "--nodes", "6", "--speed", "200",
		"--fault", "crash", "--fault", "ambiguous-disk", "--fault", "power-cut", "--fault", "deviation", "--fault", "late-link")
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	for _, want := range []string{
		"install-failed +node-01 attempt 1 at packages: package chrony",
		"install-failed +node-02 attempt 1 at early: 2 disks match",
		"install-resumed +node-03",
		"node-verified +node-03 attempt 1: 0 deviations",
		"node-verified +node-04 attempt 1: 1 deviations",
		"node-verified +node-05 attempt 1: 0 deviations",
		"3 of 6 machines are ready",
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it did not say %q:\n%s", want, out)
		}
	}
}

func countEvents(out, kind string) int {
	return len(regexp.MustCompile(`(?m)^ +\d+  [-0-9]+ [:0-9]+  `+kind+` `).FindAllString(out, -1))
}

// TestDemoVerdict: a machine that ends otherwise than its fault lets it is a
// failure of the demo.
func TestDemoVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		row  demoRow
		want int
	}{
		"ready":                        {demoRow{phase: site.PhaseReady}, 0},
		"failed without a fault":       {demoRow{phase: site.PhaseFailed}, 1},
		"failed with one":              {demoRow{phase: site.PhaseFailed, fault: "crash"}, 0},
		"ready in spite of one":        {demoRow{phase: site.PhaseReady, fault: "crash"}, 1},
		"recovered":                    {demoRow{phase: site.PhaseReady, fault: "power-cut"}, 0},
		"still installing":             {demoRow{phase: site.PhaseInstalling}, 1},
		"installed with its deviation": {demoRow{phase: site.PhaseInstalled, fault: "deviation", note: "x"}, 0},
	} {
		b := &demoBoard{rows: []*demoRow{&c.row}}
		got := 0
		if err := b.verdict(); err != nil {
			got = statusOf(err)
		}
		if got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}
