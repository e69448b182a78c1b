package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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

// TestDemoJSON: the standard output is events and nothing else.
func TestDemoJSON(t *testing.T) {
	status, out, errOut := runCLI(t, "demo", "--exit", "--json", "--nodes", "1", "--speed", "200")
	if status != 0 || !strings.Contains(errOut, "1 of 1 machines are ready after") {
		t.Fatalf("status %d\n%s", status, errOut)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(out) {
		var e site.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		kinds[e.Body.Kind()]++
	}
	if kinds["node-verified"] != 1 {
		t.Errorf("the events are %v", kinds)
	}
}

// TestDemoBoard: what a person sees while it runs, and at its end.
func TestDemoBoard(t *testing.T) {
	canary, next := &demoRow{name: "node-01", firmware: "uefi", phase: site.PhasePlanned}, &demoRow{name: "node-02", firmware: "bios", fault: "crash", phase: site.PhasePlanned}
	b := &demoBoard{page: "http://127.0.0.1:8090/", speed: 24, start: time.Now(), rows: []*demoRow{canary, next}, byName: map[string]*demoRow{"node-01": canary, "node-02": next}}
	long := strings.Repeat("package chrony-4.5 does not install; ", 10)
	for _, step := range []struct {
		body site.Body
		want string
	}{
		{site.Armed{Node: "node-01"}, "node-02    bios      ░░░░░░░░░░░░░░░░░░░░░░░░  planned: waits for the canary"},
		{site.InstallProgress{Node: "node-01", Stage: "packages"}, "node-01    uefi      ████████████████░░░░░░░░  installing, packages"},
		{site.NodeVerified{Node: "node-01"}, "node-01    uefi      ████████████████████████  ready"},
		{site.JobNodeDone{Node: "node-01", OK: true}, "node-02    bios      ░░░░░░░░░░░░░░░░░░░░░░░░  planned\x1b[K"},
		{site.InstallProgress{Node: "node-02", Stage: "packages"}, "1 installing · 1 ready"},
		{site.InstallFailed{Node: "node-02", Reason: "at packages: " + long}, "failed, packages: package chr…"},
		{site.JobNodeDone{Node: "node-02", Message: "at packages: " + long}, "1 ready · 1 failed"},
	} {
		b.apply(site.Event{Body: step.body})
		var out strings.Builder
		if b.draw(&out); !strings.Contains(out.String(), step.want) {
			t.Errorf("after %s the board is\n%s\nwithout %s", step.body.Kind(), out.String(), step.want)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\x1b[K\n")); n > 80 {
				t.Errorf("a line of %d columns: %s", n, line)
			}
		}
	}
	want := "node-02: failed, packages: " + long + " (as wanted: --fault crash)"
	if got := b.summary(); len(got) != 2 || !strings.HasPrefix(got[0], "1 of 2 machines are ready after") || got[1] != want {
		t.Errorf("the summary is\n%s", strings.Join(got, "\n"))
	}
}

// TestDemoFaults: what recovers becomes ready, what does not ends where its
// fault says, and the demo is right about both.
func TestDemoFaults(t *testing.T) {
	status, out, errOut := runCLI(t, "demo", "--exit", "--nodes", "12", "--speed", "200",
		"--fault", "crash", "--fault", "ambiguous-disk", "--fault", "power-cut", "--fault", "deviation", "--fault", "late-link",
		"--fault", "lost-report", "--fault", "wrong-serial", "--fault", "no-pxe", "--fault", "bmc-lies", "--fault", "bmc-401", "--fault", "bmc-no-once")
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	for _, want := range []string{
		"job-node-done +node-01: ready",
		"install-failed +node-02 attempt 1 at packages: package chrony",
		"install-failed +node-03 attempt 1 at early: 2 disks match",
		"node-verified +node-04 attempt 1: 0 deviations",
		"node-verified +node-05 attempt 1: 1 deviations",
		"node-verified +node-06 attempt 1: 0 deviations",
		"node-verified +node-07 attempt 1: 0 deviations",
		"job-node-done +node-08 failed: .*its serial is RS24STRAY0008, and the plan says RS24DEMO00008",
		"job-node-done +node-09 failed: .* nothing of it arrived",
		"job-node-done +node-10 failed: .* did not keep it",
		"job-node-done +node-11 failed: .* refuses user name or password",
		"job-node-done +node-12: ready; its BMC still said pxe persistently .*, and was told disk",
		"5 of 12 machines are ready",
		`(?m)^node-03: failed, early: 2 disks match .* \(as wanted: --fault ambiguous-disk\)$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it did not say %q:\n%s", want, out)
		}
	}
	// Nobody is armed before the canary is ready.
	canary, second := regexp.MustCompile(`job-node-done +node-01: ready`).FindStringIndex(out), regexp.MustCompile(` armed +node-02`).FindStringIndex(out)
	if canary == nil || second == nil || second[0] < canary[0] {
		t.Errorf("the canary was ready at %v, and the next was armed at %v:\n%s", canary, second, out)
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
		"ready":                        {demoRow{ended: true, phase: site.PhaseReady}, 0},
		"ready, and the job goes on":   {demoRow{phase: site.PhaseReady}, 1},
		"failed without a fault":       {demoRow{ended: true, phase: site.PhaseFailed, note: "package chrony-4.5 does not install"}, 1},
		"failed with one":              {demoRow{ended: true, phase: site.PhaseFailed, fault: "crash", note: "package chrony-4.5 does not install"}, 0},
		"failed for another reason":    {demoRow{ended: true, phase: site.PhaseFailed, fault: "crash", note: "no report since stage"}, 1},
		"ready in spite of one":        {demoRow{ended: true, phase: site.PhaseReady, fault: "crash"}, 1},
		"recovered":                    {demoRow{ended: true, phase: site.PhaseReady, fault: "power-cut"}, 0},
		"recovered from its BMC":       {demoRow{ended: true, phase: site.PhaseReady, fault: "bmc-flaky"}, 0},
		"ready, though its BMC lies":   {demoRow{ended: true, phase: site.PhaseReady, fault: "bmc-lies"}, 1},
		"still installing":             {demoRow{phase: site.PhaseInstalling}, 1},
		"installed with its deviation": {demoRow{ended: true, phase: site.PhaseInstalled, fault: "deviation", note: "sysctl vm.swappiness is 60"}, 0},
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
