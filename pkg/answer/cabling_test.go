package answer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestCablesBeforeDisks runs the script that finds disks with a laptop that
// hands out an agent of the test's: what it says of the cables decides whether
// a disk is looked at.
func TestCablesBeforeDisks(t *testing.T) {
	const wrong = "nic2 is in leaf-2 port Eth1/8, the plan says leaf-2 Eth1/7"
	for _, tt := range []struct {
		name   string
		wiring site.Wiring
		agent  string // of the laptop; empty means that it has none
		goesOn bool
		says   string
	}{
		{"nothing wrong", site.WiringEnforce, "exit 0", true, ""},
		{"a wrong cable, which the plan warns of", site.WiringWarn, "echo '" + wrong + "'; exit 0", true, wrong},
		{"a wrong cable, over which the plan stops", site.WiringEnforce, "echo '" + wrong + "'; exit 3", false, wrong},
		{"nobody can tell, and the plan warns", site.WiringWarn, "echo broken; exit 1", true, "the cables cannot be checked: broken"},
		{"nobody can tell, and the plan stops", site.WiringEnforce, "echo broken; exit 1", false, "the cables cannot be checked: broken"},
		{"no agent, and the plan warns", site.WiringWarn, "", true, "does not hand out the program"},
		{"no agent, and the plan stops", site.WiringEnforce, "", false, "does not hand out the program"},
		{"nobody looks", "", "exit 3", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports, output := runCabling(t, tt.wiring, tt.agent)
			if wentOn := strings.Contains(reports, "/early"); wentOn != tt.goesOn {
				t.Errorf("went on: %t, want %t\n%s\n%s", wentOn, tt.goesOn, reports, output)
			}
			if failed := strings.Contains(reports, "/failed cabling: "); failed == tt.goesOn {
				t.Errorf("reports:\n%s", reports)
			}
			if !strings.Contains(output, tt.says) {
				t.Errorf("%q is not said:\n%s", tt.says, output)
			}
		})
	}
}

// runCabling gives what was reported, and what the script printed.
func runCabling(t *testing.T, wiring site.Wiring, agent string) (reports, output string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "reports")
	// The laptop: an agent, and a note of every report.
	curl := "#!/bin/sh\nfor last; do :; done\ncase $last in\n*/boot/discover-x86_64) [ -s " + dir + "/agent ] || exit 22; while [ \"$1\" != -o ]; do shift; done; cp " + dir + "/agent \"$2\" ;;\n" +
		"*) while [ $# -gt 1 ] && [ \"$1\" != --data-raw ]; do shift; done; echo \"$last $2\" >>" + log + " ;;\nesac\n"
	for name, text := range map[string]string{"curl": curl, "agent": agent} {
		if name == "agent" && agent != "" {
			text = "#!/bin/sh\n" + agent + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script, err := diskScript(&Target{
		Intent: &profile.Intent{Node: "n1"}, Image: rocky9(), Base: "http://10.20.0.1:8080", Token: "TOKEN", Wiring: wiring,
	}, "disk-kickstart", variable{"kernel_arguments", ""})
	if err != nil {
		t.Fatal(err)
	}
	sys, dev := sysfs(t, true, disk{name: "sda"})
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev, "RACKSEED_MOUNTS=/dev/null", "RACKSEED_CONSOLE=/dev/null",
		"RACKSEED_DISK_LOG="+filepath.Join(dir, "log"), "RACKSEED_INCLUDE="+filepath.Join(dir, "include"), "RACKSEED_AGENT="+filepath.Join(dir, "fetched"))
	out, _ := cmd.CombinedOutput() // how it ends shows in what it reported
	told, _ := os.ReadFile(log)
	return string(told), string(out)
}
