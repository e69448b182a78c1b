package planfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

const edited = `site: lab # the laboratory
networks: {p: {subnet: 10.20.0.0/16}}
roles: {r: {profile: base}}
nodes:
  # the first rack
  - name: n1          # by the door
    role: r
    rack: A01         # moved twice
    mac:
      - 52:54:00:12:34:01   # left
      - 52:54:00:12:34:02
    addresses: {p: 10.20.0.1}

  # the run
  - name: c-[01-03]
    role: r
    serial: S[01-03]
    set: {x: "a\":b, \"c", y: [1, 2.5, true]}
    hardware: {cores: 4, memory: 64GiB}

  - {name: n2, role: r}   # short

# what follows
bmc:
  protocol: ipmi
`

func nodesOf(t *testing.T, text string) (*Document, []site.Node) {
	t.Helper()
	doc, err := Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc, slices.Clone(doc.Plan.Nodes)
}

// TestEdit changes a plan and compares the lines that differ.
func TestEdit(t *testing.T) {
	mac, err := site.ParseMAC("525400123409")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(n []site.Node) []site.Node
		want   string // lines taken out and put in
		notes  int
	}{
		{"nothing", func(n []site.Node) []site.Node { return n }, "", 0},
		{"a value", func(n []site.Node) []site.Node { n[0].Rack = "B01"; return n }, "-    rack: A01         # moved twice\n+    rack: B01         # moved twice\n", 0},
		{"a list", func(n []site.Node) []site.Node { n[0].MACs = []site.MAC{mac}; return n },
			"-    mac:\n-      - 52:54:00:12:34:01   # left\n-      - 52:54:00:12:34:02\n+    mac: 52:54:00:12:34:09\n", 0},
		{"what was not there", func(n []site.Node) []site.Node {
			n[0].Serial, n[0].BMC = "0123", site.BMC{Address: "10.21.0.1", Password: site.SecretRef{File: "/p/n 1"}}
			return n
		}, "-    addresses: {p: 10.20.0.1}\n+    serial: \"0123\"\n+    addresses: {p: 10.20.0.1}\n+    bmc: {address: 10.21.0.1, password: {file: \"/p/n 1\"}}\n", 0},
		{"one of a range", func(n []site.Node) []site.Node { n[2].Serial = "T"; return n },
			`-  - name: c-[01-03]
-    role: r
-    serial: S[01-03]
-    set: {x: "a\":b, \"c", y: [1, 2.5, true]}
-    hardware: {cores: 4, memory: 64GiB}
+  - {name: c-01, role: r, serial: S01, hardware: { "cores": 4, "memory": 68719476736 }, set: { "x": "a\":b, \"c", "y": [ 1, 2.5, true ] }}
+  - {name: c-02, role: r, serial: T, hardware: { "cores": 4, "memory": 68719476736 }, set: { "x": "a\":b, \"c", "y": [ 1, 2.5, true ] }}
+  - {name: c-03, role: r, serial: S03, hardware: { "cores": 4, "memory": 68719476736 }, set: { "x": "a\":b, \"c", "y": [ 1, 2.5, true ] }}
`, 1},
		{"a new machine", func(n []site.Node) []site.Node {
			return append(n, site.Node{Name: "n3", Role: "r", U: 4, Addresses: map[string]netip.Addr{"p": netip.MustParseAddr("10.20.0.9")}})
		}, "+  - name: n3\n+    role: r\n+    u: 4\n+    addresses: {p: 10.20.0.9}\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				doc, nodes := nodesOf(t, strings.ReplaceAll(edited, "\n", end))
				text, notes, err := doc.Edit(tt.change(nodes))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Count(string(text), end) != strings.Count(string(text), "\n") {
					t.Errorf("the line ends are mixed: %q", text)
				}
				if got := changedLines(edited, strings.ReplaceAll(string(text), "\r\n", "\n")); got != tt.want {
					t.Errorf("%s", cmp.Diff(tt.want, got))
				}
				if len(notes) != tt.notes {
					t.Errorf("notes %q", notes)
				}
			}
		})
	}
}

// changedLines gives the lines between the common start and the common end.
func changedLines(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	for _, l := range a {
		fmt.Fprintln(&out, "-"+l)
	}
	for _, l := range b {
		fmt.Fprintln(&out, "+"+l)
	}
	return out.String()
}

// TestEditShapes: plans without nodes, and plans that cannot be edited.
func TestEditShapes(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no nodes":      {"site: lab\n", ""},
		"empty nodes":   {"nodes:   # none yet\nsite: lab\n", ""},
		"an empty list": {"site: lab\nnodes: []\nbmc: {protocol: ipmi}\n", ""},
		"no line end":   {"nodes:\n- name: a", ""},
		"a dash alone":  {"nodes:\n  -\n    name: a\n    u: 3\n", ""},
		"name is last":  {"nodes:\n  - u: 3\n    name: a\n", ""},
		"flow nodes":    {"nodes: [{name: a}]\n", "one below the other"},
		"a flow plan":   {"{site: lab, nodes: []}\n", "one below the other"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, nodes := nodesOf(t, tt.text)
			for i := range nodes {
				nodes[i].U, nodes[i].Serial = 7, "yes"
			}
			_, _, err := doc.Edit(append(nodes, site.Node{Name: "b", Rack: "1"}))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzEdit: an edit is right or refused, whatever the plan; Edit itself reads
// its result back.
func FuzzEdit(f *testing.F) {
	f.Add(edited)
	f.Add("nodes:\n  - {name: a, u: 3}\n  -\n    name: b # c\n")
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := Parse("p.yaml", []byte(text))
		if err != nil || len(doc.Plan.Nodes) > 100 {
			return
		}
		nodes := slices.Clone(doc.Plan.Nodes)
		for i := range nodes {
			nodes[i].Serial = fmt.Sprintf("0%d", i)
		}
		_, _, _ = doc.Edit(append(nodes, site.Node{Name: "new-machine"}))
	})
}
