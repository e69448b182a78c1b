package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// runCLI runs one command in this process.
func runCLI(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// TestEveryHelpShowsAnExample walks the command tree, so that a command that
// is added later has one, too.
func TestEveryHelpShowsAnExample(t *testing.T) {
	var walk func(c *cobra.Command, path []string)
	n := 0
	walk = func(c *cobra.Command, path []string) {
		n++
		status, out, errOut := runCLI(t, append(path, "--help")...)
		name := strings.Join(append([]string{"rackseed"}, path...), " ")
		if status != 0 || errOut != "" {
			t.Errorf("%s --help: status %d, %s", name, status, errOut)
		}
		if !strings.Contains(out, "  "+strings.TrimSuffix(name, " help")+" ") && !strings.Contains(out, "("+name+" ") {
			t.Errorf("%s --help shows no command line to copy:\n%s", name, out)
		}
		if len(path) > 0 && c.Example == "" {
			t.Errorf("%s has no example", name)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s is summed up as %q", name, c.Short)
		}
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(newRootCommand(), nil)
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}

// TestUserState: where root serves, others are not shown an empty site.
func TestUserState(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	root, own := filepath.Join(dir, "root"), filepath.Join(dir, "rackseed")
	for _, step := range []struct{ folder, want string }{{"", own}, {root, root}, {own, own}} {
		if step.folder != "" {
			if err := os.Mkdir(step.folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if got := userState(root); got != step.want {
			t.Errorf("with %q there, the state is %s, want %s", step.folder, got, step.want)
		}
	}
}

// TestContract: people script these names.
func TestContract(t *testing.T) {
	root := newRootCommand()
	bmc := []string{"bmc", "protocol", "user", "password-file", "json"}
	batch := append([]string{"parallel", "stagger", "per-rack", "canary", "max-failures", "resume"}, bmc...)
	for path, flags := range map[string][]string{
		"serve": {"plan", "interface", "state", "dhcp", "store"}, "demo": {"nodes", "speed", "fault", "exit"}, "doctor": {"json"},
		"plan check": {"plan", "json"}, "plan diff": {"plan", "json"}, "plan apply": {"json"}, "plan import": {"json"}, "plan export": {"json"},
		"image add": {"json"}, "image list": {"json"}, "image show": {"json"}, "image verify": {"json"}, "image remove": nil,
		"node list": {"json"}, "node show": {"json"}, "node set": {"json"}, "node adopt": {"json"}, "node remove": {"json"},
		"explain": {"plan", "json"}, "render": {"plan", "as", "secrets"}, "bundle": {"plan"}, "iso build": nil,
		"export kolla": {"plan", "json"}, "export cephadm": {"plan", "json"}, "export hosts": {"plan", "json"}, "export ansible": {"plan", "json"},
		"install": {"no-power", "dry-run", "canary", "parallel", "max-failures", "resume", "json"}, "disarm": {"json"},
		"power status": batch, "power on": batch, "power off": batch, "power soft": batch, "power cycle": batch, "power reset": batch,
		"bootdev get": bmc, "bootdev set": append([]string{"once", "persistent"}, bmc...), "bios get": bmc, "bios set": bmc, "bios diff": bmc,
		"media insert": bmc, "media eject": bmc, "inventory": bmc, "console": {"bmc"},
		"events": {"follow", "since", "json"}, "report": {"json"}, "storm": nil, "backup": nil, "restore": nil, "version": {"json"}, "completion bash": nil,
	} {
		c, rest, err := root.Find(strings.Fields(path))
		if err != nil || len(rest) > 0 {
			t.Errorf("there is no command %s", path)
			continue
		}
		for _, f := range flags {
			if c.Flag(f) == nil && c.InheritedFlags().Lookup(f) == nil {
				t.Errorf("%s has no flag --%s", path, f)
			}
		}
	}
}

func TestExitStatus(t *testing.T) {
	problem := func(code string) error { return &client.Error{Problem: view.Problem{Code: code, Detail: "x"}} }
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("anything"), 1},
		{usageError("wrong"), 2},
		{fmt.Errorf("in a wrapper: %w", usageError("wrong")), 2},
		{&exitError{status: exitSome}, 3},
		{problem("usage"), 2},
		{problem("not-found"), 2},
		{problem("refused"), 4},
		{problem("failed"), 1},
		{problem("method"), 1},
		{fmt.Errorf("arming: %w", install.Refusal("held")), 4},
		{client.ErrNoDaemon, 1},
		{verdictOf(view.Job{Total: 4, OK: 4}), 0},
		{verdictOf(view.Job{Total: 4, OK: 3, Failed: 1}), 3},
		{verdictOf(view.Job{Total: 4, Failed: 4}), 1},
		{verdictOf(view.Job{Total: 1, Failed: 1}), 1},
	} {
		got := 0
		if c.err != nil {
			got = statusOf(c.err)
		}
		if got != c.want {
			t.Errorf("%v is status %d, want %d", c.err, got, c.want)
		}
	}
}

func TestLoopbackAddr(t *testing.T) {
	for name, c := range map[string]struct {
		network site.Network
		want    string
	}{
		"no plan":         {site.Network{}, "127.0.0.1"},
		"a real network":  {site.Network{Subnet: netip.MustParsePrefix("10.20.0.0/16"), Gateway: netip.MustParseAddr("10.20.0.1")}, "127.0.0.1"},
		"with gateway":    {site.Network{Subnet: netip.MustParsePrefix("127.20.0.0/16"), Gateway: netip.MustParseAddr("127.20.0.9")}, "127.20.0.9"},
		"without gateway": {site.Network{Subnet: netip.MustParsePrefix("127.20.0.0/16")}, "127.20.0.1"},
	} {
		if got := loopbackAddr(c.network); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestEventsHaveWords: every kind of event says more than its subject, or its
// subject is all there is to say.
func TestEventsHaveWords(t *testing.T) {
	for _, b := range []site.Body{
		site.PlanApplied{By: "ops"}, site.ImageAdded{}, site.StrangerSeen{}, site.LeaseGranted{}, site.Armed{Node: "n1"}, site.Disarmed{Node: "n1"},
		site.InstallStarted{Node: "n1"}, site.AnswerServed{Node: "n1"}, site.InstallProgress{Node: "n1"}, site.InstallFailed{Node: "n1"},
		site.NodeVerified{Node: "n1"}, site.EvidenceStored{Node: "n1"}, site.NodeHeld{Node: "n1", Reason: "doubt"},
		site.InstallDone{Node: "n1"}, site.InstallResumed{Node: "n1"}, site.NodePlanned{Node: site.Node{Name: "n1"}}, site.NodeUnplanned{Name: "n1"},
		site.JobQueued{ID: "j1"}, site.JobStep{ID: "j1", Node: "n1"}, site.JobNodeDone{ID: "j1", Node: "n1"}, site.JobNodeDone{ID: "j1", Node: "n1", OK: true}, site.JobEnded{ID: "j1"}, site.JobResumed{ID: "j1"}, site.BMCLearned{Node: "n1"},
	} {
		if got := sentence(b); got == "" || strings.Contains(got, "\n") {
			t.Errorf("%s is told as %q", b.Kind(), got)
		}
	}
}
