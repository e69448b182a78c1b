package export_test

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/export"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/profiles"
)

// FuzzWrite: whatever the plan, an export returns, is the same twice, and
// what should be YAML is.
func FuzzWrite(f *testing.F) {
	for _, name := range []string{"three-node", "hyperconverged"} {
		data, err := os.ReadFile("../../examples/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("site: \"a\\nb\"\nopenstack: {release: \"x\\n[evil]\"}\nroles: {r: {profile: storage, disks: {osd: [{model: \"- : #\"}]}}, c: {profile: controller}}\n" +
		"nodes: [{name: n1, role: r, rack: \"[1] #\"}, {name: \"all\", role: c, serial: \"{{ x }}\"}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := planfile.Parse("plan.yaml", data)
		if err != nil || len(doc.Plan.Nodes) > 64 {
			return
		}
		plan := doc.Plan
		s := &export.Site{Settings: &plan.Settings}
		resolver := profile.NewResolver(profiles.Files, &plan.Settings, profile.NodesOf(plan.Nodes))
		for i := range plan.Nodes {
			n := &plan.Nodes[i]
			intent, err := resolver.Resolve(n)
			if err != nil {
				return
			}
			s.Nodes = append(s.Nodes, export.Node{Node: n, Intent: intent, System: plan.SystemOf(plan.ImageOf(n))})
		}
		for _, kind := range export.Kinds() {
			e, err := export.Write(kind, s)
			again, err2 := export.Write(kind, s)
			if (err == nil) != (err2 == nil) || cmp.Diff(e, again) != "" {
				t.Fatalf("%s: two exports differ: %v, %v", kind, err, err2)
			}
			for _, f := range e.Files {
				if kind == "ansible" || f.Name == "globals.yml" {
					var doc map[string]any
					if err := yaml.Unmarshal([]byte(f.Text), &doc); err != nil {
						t.Fatalf("%s: %v\n%s", f.Name, err, f.Text)
					}
				}
			}
		}
	})
}
