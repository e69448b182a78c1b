package daemon

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlanThatLeavesOutABusyNode: what `plan apply` refuses while a node is
// being installed, a daemon that is started with that plan does not do either.
// It goes on with the plan of the log and says so, with the next step.
func TestPlanThatLeavesOutABusyNode(t *testing.T) {
	p := newPlace(t)
	p.medium()
	d := p.serve()
	p.must("install", "n1", "--no-power", "--no-wait")
	resp, err := http.Get("http://" + p.server(httpPort) + "/boot/node.ipxe?mac=52:54:00:00:00:00&serial=RS24DEMO00001")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	shown := p.must("node", "show", "n1")
	says(t, shown, "booting")
	if strings.Contains(shown, "no daemon") {
		t.Errorf("the daemon runs, and it is said:\n%s", shown)
	}
	text, err := os.ReadFile(p.plan)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "name: n1,") {
			kept = append(kept, line)
		}
	}
	without := filepath.Join(t.TempDir(), "without.yaml")
	if err := os.WriteFile(without, []byte(strings.Join(kept, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	const words = "the plan leaves out n1, which is being installed: wait for it, or `rackseed disarm n1` first"
	if out, status := p.cli("plan", "apply", without); status != 4 || !strings.Contains(out, words) {
		t.Errorf("plan apply ends with status %d:\n%s", status, out)
	}
	d.kill()
	p.plan = without
	again := p.serve()
	says(t, again.String(), "is NOT in force", words, "rackseed plan apply "+without)
	says(t, p.must("node", "show", "n1"), "booting")
	p.must("disarm", "n1")
	p.must("plan", "apply", without)
	if out, status := p.cli("node", "show", "n1"); status != 2 {
		t.Errorf("n1 is there with status %d:\n%s", status, out)
	}
}
