//go:build e2e

package e2e

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rackseed/rackseed/internal/lab"
)

// TestDiscoveryAndWrongCable looks at a node whose disk takes a driver from the
// medium, then has its installer stop over a cable before it touches the disk.
func TestDiscoveryAndWrongCable(t *testing.T) {
	t.Parallel()
	agent := exec.CommandContext(t.Context(), "hack/agent.sh")
	agent.Dir = root
	if out, err := agent.CombinedOutput(); err != nil {
		t.Fatalf("building the discovery agent: %v\n%s", err, out)
	}
	entry := strings.Replace(oneNode(), "role: base,", `role: base, nics: {nic1: {mac: "`+nodeMAC().String()+`", switch: leaf-2, port: Eth1/9}},`, 1)
	s := newSite(t, "discovery: {image: debian13, wiring: enforce}", entry)
	disk := emptyDisk(t, s.Dir(), "disk", 12<<30)
	s.rackseed(t, "node", "discover", node)
	machine := s.PowerOn(lab.Machine{Name: node, MAC: nodeMAC(), Memory: 1536, Disk: disk, Serial: "E2E0001"})
	machine.Announce(leaf2(t))
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	if _, err := machine.WaitSerial(ctx, node+` was looked at`); err != nil {
		t.Fatalf("%v\n%s", err, machine.Serial.Tail(60))
	}
	var seen struct {
		Inventory struct {
			Serial   string
			Hardware struct{ Disks []struct{ Size int64 } }
		}
		Cabling []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(s.rackseed(t, "node", "show", node, "--json")), &seen); err != nil {
		t.Fatal(err)
	}
	if d := seen.Inventory.Hardware.Disks; len(d) != 1 || d[0].Size != 12<<30 || seen.Inventory.Serial != "E2E0001" {
		t.Errorf("found: %+v\n%s", seen, machine.Serial.Tail(60))
	}
	const finding = "nic1 is in leaf-2 port Eth1/7, the plan says leaf-2 Eth1/9"
	if len(seen.Cabling) != 1 || seen.Cabling[0].Text != finding {
		t.Errorf("cables: %+v", seen.Cabling)
	}

	s.rackseed(t, "install", node, "--no-power", "--no-wait")
	if err := machine.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	s.waitState(t, "failed", installTime)
	if shown := s.rackseed(t, "node", "show", node); !strings.Contains(shown, "cabling: "+finding) {
		t.Errorf("node show:\n%s", shown)
	}
	if err := machine.PowerOff(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(disk)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; blocks != 0 {
		t.Errorf("%d blocks of the disk were written", blocks)
	}
}

// leaf2 is what switch leaf-2 says at its port Eth1/7.
func leaf2(t *testing.T) []byte {
	t.Helper()
	frame, err := hex.DecodeString(strings.ReplaceAll("0180c200000e 020000000001 88cc 0207 04020000000001 0407 05457468312f37 0602 0078 0a06 6c6561662d32 0000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}
