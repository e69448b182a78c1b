package sheet

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/site"
)

func mac(t testing.TB, s string) site.MAC {
	t.Helper()
	m, err := site.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMerge: other hardware under a known name is asked about, and so is
// known hardware under another name.
func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name, row string
		replace   string
		change    string // kind and fields
		id        string
	}{
		{"the same", "n1,S1,5254-0012-3401,A01,", "", "", ""},
		{"empty cells", "n1,,,,", "", "", ""},
		{"another rack", "n1,S1,525400123401,A02,", "", "change rack:A01>A02", ""},
		{"a second NIC", "n1,S1,525400123401 525400123499,A01,", "", "change mac:52:54:00:12:34:01>52:54:00:12:34:01 52:54:00:12:34:99", ""},
		{"a new machine", "n3,S3,525400123403,A03,", "", "add rack:>A03 serial:>S3 mac:>52:54:00:12:34:03", ""},
		{"another serial number", "n1,S9,525400123401,A01,", "", "", "hardware-replaced"},
		{"another MAC", "n1,S1,525400123409,A01,", "", "", "hardware-replaced"},
		{"another machine, as told", "n1,S9,525400123409,A01,", "n1", "replace serial:S1>S9 uuid:4c4c4544-0042-3510-8054-b4c04f4d5032> mac:52:54:00:12:34:01>52:54:00:12:34:09", ""},
		{"known under another name", "n3,S1,,A01,", "", "", "hardware-elsewhere"},
		{"moved, and the other not told of", "n1,S2,525400123402,A01,", "n1", "", "hardware-elsewhere"},
		{"a password", "n1,S1,525400123401,A01,secret", "", "change bmc.password:>file /p/n1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testPlan()
			uuid, err := site.ParseUUID("4c4c4544-0042-3510-8054-b4c04f4d5032")
			if err != nil {
				t.Fatal(err)
			}
			p.Nodes = []site.Node{
				{Name: "n1", Serial: "S1", MACs: []site.MAC{mac(t, "525400123401")}, Rack: "A01", UUID: uuid},
				{Name: "n2", Serial: "S2", MACs: []site.MAC{mac(t, "525400123402")}, Rack: "A01"},
			}
			table := readText(t, "hostname,serial,mac,rack,bmc_password\n"+tt.row+"\n", Options{Plan: p})
			m := MergeInto(p, table, MergeOptions{Replace: func(n string) bool { return n == tt.replace }, PasswordFile: func(n string) string { return "/p/" + n }})
			got := ""
			for _, c := range m.Changes {
				got += c.Kind
				for _, f := range c.Fields {
					got += fmt.Sprintf(" %s:%s>%s", f.Field, f.Old, f.New)
				}
			}
			if got != tt.change {
				t.Errorf("changes %q, want %q", got, tt.change)
			}
			id := ""
			for _, f := range m.Findings {
				id += f.ID
				if f.Row != 2 || f.Fix == "" {
					t.Errorf("no place or no fix: %v", f)
				}
			}
			if id != tt.id {
				t.Errorf("findings %v, want %q", m.Findings, tt.id)
			}
			if p.Nodes[0].Rack != "A01" || p.Nodes[0].Serial != "S1" {
				t.Errorf("the plan that was given has changed: %+v", p.Nodes[0])
			}
		})
	}
}

// TestSwap: two machines that changed names, both told.
func TestSwap(t *testing.T) {
	p := testPlan()
	p.Nodes = []site.Node{{Name: "n1", Serial: "S1"}, {Name: "n2", Serial: "S2"}}
	both := func(string) bool { return true }
	m := MergeInto(p, readText(t, "hostname,serial\nn1,S2\nn2,S1\n", Options{Plan: p}), MergeOptions{Replace: both})
	if len(m.Findings) > 0 || len(m.Changes) != 2 || m.Nodes[0].Serial != "S2" {
		t.Errorf("a swap gives %v, %v", m.Changes, m.Findings)
	}
	m = MergeInto(p, readText(t, "hostname,serial\nn1,S2\n", Options{Plan: p}), MergeOptions{Replace: both})
	if len(m.Findings) != 1 || m.Findings[0].ID != "hardware-twice" {
		t.Errorf("half a swap gives %v", m.Findings)
	}
}

// planOf draws a plan with what labels and networks have.
func planOf(t *rapid.T) *site.Plan {
	p := &site.Plan{Settings: site.Settings{Networks: map[string]site.Network{}, Roles: map[string]site.Role{"compute": {Profile: "compute"}, "db-x": {Profile: "base"}, "计算": {Profile: "compute"}}}}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"provision", "management", "business", "data", "bmc", "mac", "storage", "storage-cluster", "host", "ip"}), 0, 6, rapid.ID).Draw(t, "networks")
	for i, name := range names {
		n := site.Network{Subnet: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i))}
		if rapid.Bool().Draw(t, "also management") {
			n.Roles = []site.NetworkRole{site.NetManagement}
		}
		p.Networks[name] = n
	}
	count := rapid.IntRange(0, 6).Draw(t, "nodes")
	for i := range count {
		n := site.Node{
			Name:   fmt.Sprintf("%s-%d", rapid.StringMatching(`[a-z][a-z0-9-]{0,5}`).Draw(t, "name"), i),
			Role:   rapid.SampledFrom([]string{"", "compute", "db-x", "计算"}).Draw(t, "role"),
			Rack:   rapid.SampledFrom([]string{"A01", "机柜 1", "'A", "Ａ２", "3", "=1+1", ""}).Draw(t, "rack"),
			U:      rapid.IntRange(0, 48).Draw(t, "u"),
			Serial: rapid.StringMatching(`[0-9A-Z'][0-9A-Z./-]{0,22}`).Draw(t, "serial") + fmt.Sprintf("X%d", i),
			BMC:    site.BMC{Address: rapid.SampledFrom([]string{"", fmt.Sprintf("10.99.0.%d", i), fmt.Sprintf("10.99.0.%d:623", i), fmt.Sprintf("https://bmc-%d.example.net/", i)}).Draw(t, "bmc"), Username: rapid.SampledFrom([]string{"", "admin", "O'Neil", "a b"}).Draw(t, "user")},
		}
		for j := range rapid.IntRange(0, 3).Draw(t, "macs") {
			n.MACs = append(n.MACs, site.MAC{0x52, 0x54, rapid.Byte().Draw(t, "mac"), 0, byte(i), byte(j)})
		}
		if rapid.Bool().Draw(t, "BMC has a MAC") {
			n.BMC.MAC = site.MAC{0x52, 0x54, 1, 1, byte(i), 0xff}
		}
		if rapid.Bool().Draw(t, "has memory") {
			n.Hardware.Memory = rapid.Int64Range(1, 4<<20).Draw(t, "MiB") << 20
		}
		for k, name := range names {
			if rapid.Bool().Draw(t, "has address") {
				if n.Addresses == nil {
					n.Addresses = map[string]netip.Addr{}
				}
				n.Addresses[name] = netip.AddrFrom4([4]byte{10, byte(k), 1, byte(i)})
			}
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}

// TestSheetOfALargeSite: a plan that lost its machines gets them back from the
// sheet that was written of it, as far as a sheet can say.
func TestSheetOfALargeSite(t *testing.T) {
	text, err := os.ReadFile("../../../examples/guangzhou.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := planfile.Parse("guangzhou.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := XLSX("machines", Sheet(doc.Plan, Chinese))
	if err != nil {
		t.Fatal(err)
	}
	grids, err := Grids(data)
	if err != nil {
		t.Fatal(err)
	}
	empty := &site.Plan{Settings: doc.Plan.Settings}
	table := Read(grids, Options{Plan: empty})
	m := MergeInto(empty, table, MergeOptions{})
	if HasErrors(table.Findings) || len(m.Findings) > 0 || len(m.Nodes) != 526 {
		t.Fatalf("%d machines, %v %v", len(m.Nodes), table.Findings, m.Findings)
	}
	for i := range m.Nodes {
		if diff := fieldChanges(&doc.Plan.Nodes[i], &m.Nodes[i]); len(diff) > 0 || m.Nodes[i].Name != doc.Plan.Nodes[i].Name {
			t.Fatalf("%s became %s: %v", doc.Plan.Nodes[i].Name, m.Nodes[i].Name, diff)
		}
	}
}

// TestRoundTrip: whatever the plan, the sheet that is written of it changes
// nothing.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := planOf(t)
		rows := Sheet(p, rapid.SampledFrom([]Lang{Chinese, English}).Draw(t, "language"))
		data, err := CSV(rows)
		if rapid.Bool().Draw(t, ".xlsx") {
			data, err = XLSX("machines", rows)
		}
		if err != nil {
			t.Fatal(err)
		}
		grids, err := Grids(data)
		if err != nil {
			t.Fatal(err)
		}
		table := Read(grids, Options{Plan: p})
		m := MergeInto(p, table, MergeOptions{})
		if HasErrors(table.Findings) || len(m.Findings)+len(m.Changes)+len(m.Missing) > 0 || m.Unchanged != len(p.Nodes) {
			t.Fatalf("%v\n%v\n%v\nmissing %v of %d", table.Findings, m.Findings, m.Changes, m.Missing, len(p.Nodes))
		}
	})
}
