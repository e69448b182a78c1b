package planfile_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReferenceNamesEveryKey compares docs/plan.md with what the reader of
// plans says when it is asked for a key that there is not.
func TestReferenceNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile("../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := tables(string(data))
	const nothing = "qqqqqqqqqqqq: 1"
	for _, c := range []struct{ section, plan string }{
		{"The plan", nothing},
		{"locale", "locale: {" + nothing + "}"},
		{"access", "access: {" + nothing + "}"},
		{"provision", "provision: {" + nothing + "}"},
		{"networks.NAME", "networks: {n: {" + nothing + "}}"},
		{"networks.NAME.routes", "networks: {n: {routes: [{" + nothing + "}]}}"},
		{"images.NAME", "images: {n: {" + nothing + "}}"},
		{"repositories.NAME", "repositories: {n: {" + nothing + "}}"},
		{"webhooks", "webhooks: [{" + nothing + "}]"},
		{"openstack", "openstack: {" + nothing + "}"},
		{"bmc", "bmc: {" + nothing + "}"},
		{"discovery", "discovery: {" + nothing + "}"},
		{"discovery.rules", "discovery: {rules: [{" + nothing + "}]}"},
		{"discovery.rules.match", "discovery: {rules: [{match: {" + nothing + "}}]}"},
		{"roles.NAME", "roles: {n: {" + nothing + "}}"},
		{"bonds.NAME", "roles: {n: {bonds: {b: {" + nothing + "}}}}"},
		{"nics.NAME", "roles: {n: {nics: {b: {" + nothing + "}}}}"},
		{"hardware", "roles: {n: {hardware: {" + nothing + "}}}"},
		{"hardware.disks", "roles: {n: {hardware: {disks: [{" + nothing + "}]}}}"},
		{"disks", "roles: {n: {disks: {" + nothing + "}}}"},
		{"disks.SELECTOR", "roles: {n: {disks: {system: [{" + nothing + "}]}}}"},
		{"nodes", "nodes: [{name: n, " + nothing + "}]"},
		{"nodes.bmc", "nodes: [{name: n, bmc: {" + nothing + "}}]"},
	} {
		known := knownKeys(t, c.plan)
		if diff := cmp.Diff(known, documented[c.section]); diff != "" {
			t.Errorf("docs/plan.md, %s (-the reader's keys +the page's):\n%s", c.section, diff)
		}
		delete(documented, c.section)
	}
	delete(documented, "Ranges")
	for section := range documented {
		t.Errorf("docs/plan.md: nothing compares the table under %s", section)
	}
}

func knownKeys(t *testing.T, plan string) []string {
	t.Helper()
	for _, e := range parseErrors(t, plan+"\n") {
		if list, ok := strings.CutPrefix(e.Fix, "the keys are "); ok {
			return strings.Split(list, ", ")
		}
	}
	t.Fatalf("%s: the reader names no keys", plan)
	return nil
}

// tables gives the first words of the tables of a page, by heading.
func tables(page string) map[string][]string {
	row := regexp.MustCompile("^\\| `([a-z0-9_]+)` \\|")
	out := map[string][]string{}
	section := ""
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		} else if m := row.FindStringSubmatch(line); m != nil {
			out[section] = append(out[section], m[1])
		}
	}
	return out
}

// TestRunsOfManyMachines: each thing that an entry can deal out, over the 526
// machines of a large site.
func TestRunsOfManyMachines(t *testing.T) {
	const many = 512
	var macs, nics, units, uuids []string
	for i := range many {
		macs = append(macs, fmt.Sprintf("[52:54:00:00:%02x:%02x, 52:54:00:01:%02x:%02x]", i>>8, i&255, i>>8, i&255))
		nics = append(nics, fmt.Sprintf(`{p1: {path: "0000:3b:00.0", switch: leaf-%d}}`, i))
		units = append(units, fmt.Sprint(i%40+1))
		uuids = append(uuids, fmt.Sprintf("00000000-0000-4000-8000-%012x", i+1))
	}
	plan := mustParse(t, fmt.Sprintf(`
nodes:
  - name: cs-computer-[0001-0512]
    rack: A[01-32]
    serial: SN[00001-00512]
    mac: [%s]
    nics: [%s]
    u: [%s]
    uuid: [%s]
    addresses: {a: 10.22.1.1+, b: 10.23.0.250+}
    bmc: {address: 10.21.1.1+}
  - name: r[1-2]n[1-7]
    rack: B[1,3]
    addresses: {a: [%s]}
`, strings.Join(macs, ", "), strings.Join(nics, ", "), strings.Join(units, ", "), strings.Join(uuids, ", "), listed14())).Plan
	if len(plan.Nodes) != many+14 {
		t.Fatalf("%d nodes", len(plan.Nodes))
	}
	last := plan.Nodes[many-1]
	got := []string{
		last.Name, last.Rack, fmt.Sprint(last.U), last.Serial, last.MACs[1].String(), last.NICs["p1"].Switch, last.UUID.String(),
		last.Addresses["a"].String(), last.Addresses["b"].String(), last.BMC.Address,
	}
	want := []string{"cs-computer-0512", "A32", "32", "SN00512", "52:54:00:01:01:ff", "leaf-511", "00000000-0000-4000-8000-000000000200", "10.22.3.0", "10.23.2.249", "10.21.3.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var racks []string
	for _, n := range plan.Nodes[many:] {
		racks = append(racks, n.Name+" "+n.Rack)
	}
	if !slices.Contains(racks, "r1n7 B1") || !slices.Contains(racks, "r2n1 B3") {
		t.Errorf("racks: %v", racks)
	}
}

func listed14() string {
	var out []string
	for i := range 14 {
		out = append(out, fmt.Sprintf("10.22.9.%d", 10+3*i))
	}
	return strings.Join(out, ", ")
}
