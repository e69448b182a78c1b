package profile_test

import (
	"os"
	"testing"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/profiles"
)

func guangzhou(tb testing.TB) *planfile.Document {
	tb.Helper()
	const name = "../../examples/guangzhou.yaml"
	data, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	doc, err := planfile.Parse(name, data)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// TestHostsOfALargeSite: every node is in the list once, by the address that
// it is managed by.
func TestHostsOfALargeSite(t *testing.T) {
	doc := guangzhou(t)
	r := profile.NewResolver(profiles.Files, &doc.Plan.Settings, profile.NodesOf(doc.Plan.Nodes))
	i, err := r.Resolve(&doc.Plan.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, h := range i.Hosts {
		for _, name := range h.Names {
			if lines[name] != "" {
				t.Errorf("%s is there twice", name)
			}
			lines[name] = h.Addr.String()
		}
	}
	for _, n := range doc.Plan.Nodes {
		want := n.Addresses["management"].String()
		if lines[n.Name] != want || lines[n.Name+".gz.example.net"] != want {
			t.Errorf("%s is at %q and %q, want %s", n.Name, lines[n.Name], lines[n.Name+".gz.example.net"], want)
		}
	}
	vip := doc.Plan.OpenStack.InternalVIP
	if vip.IsValid() && lines["internal"] != vip.String() {
		t.Errorf("the internal VIP is at %q, want %s", lines["internal"], vip)
	}
}

// BenchmarkResolve resolves the 526 nodes of a large site, profiles read anew
// each time.
func BenchmarkResolve(b *testing.B) {
	doc := guangzhou(b)
	for b.Loop() {
		r := profile.NewResolver(profiles.Files, &doc.Plan.Settings, profile.NodesOf(doc.Plan.Nodes))
		for i := range doc.Plan.Nodes {
			if _, err := r.Resolve(&doc.Plan.Nodes[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
