package answer

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// families are one image of every release that answers are written for.
func families() map[string]site.Image {
	flat := func(family, version string) site.Image {
		i := rocky9()
		i.Name, i.Family, i.Distro, i.Version, i.Repos = "os", family, family, version, []string{"."}
		return i
	}
	el := func(version string) site.Image {
		i := rocky9()
		i.Version = version
		return i
	}
	all := map[string]site.Image{
		"el8": el("8.10"), "el9": rocky9(), "el10": el("10.0"),
		"openeuler20.03": flat("openeuler", "20.03-LTS-SP4"), "openeuler22.03": flat("openeuler", "22.03-LTS-SP4"), "openeuler24.03": flat("openeuler", "24.03-LTS"),
		"kylinV10": flat("kylin", "V10"), "debian12": debian("12.5.0"), "debian13": debian("13.1"),
		"ubuntu22.04": flat("ubuntu", "22.04.5"), "ubuntu24.04": flat("ubuntu", "24.04.2"),
	}
	for name, image := range all {
		image.Name = "os"
		all[name] = image
	}
	return all
}

// cast resolves the nodes of testdata/site.yaml, by role.
func cast(t testing.TB) map[string]*profile.Intent {
	t.Helper()
	const name = "testdata/site.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := planfile.Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	nodes := doc.Plan.Nodes
	resolver := profile.NewResolver(profiles.Files, &doc.Plan.Settings, func(yield func(*site.Node) bool) {
		for n := range nodes {
			if !yield(&nodes[n]) {
				return
			}
		}
	})
	all := map[string]*profile.Intent{}
	for n := range nodes {
		i, err := resolver.Resolve(&nodes[n])
		if err != nil {
			t.Fatal(err)
		}
		all[nodes[n].Role] = i
	}
	return all
}

// TestRoles shows what every role comes to on every family, and as a bundle.
// Parts that are the same in all stand there by the name of their file: put in
// its place, it gives the answer byte for byte.
func TestRoles(t *testing.T) {
	parts := embedded(t)
	check := func(t *testing.T, name, text string) {
		short := parts.leftOut(text)
		if parts.putBack(short) != text {
			t.Errorf("%s: what is left out does not give the whole", name)
		}
		golden(t, filepath.Join("roles", name), short)
	}
	all := cast(t)
	if shipped := profile.Names(profiles.Files); len(all) != len(shipped) {
		t.Errorf("%d roles for %d profiles", len(all), len(shipped))
	}
	for role, intent := range all {
		for family, image := range families() {
			target := target(t, image)
			target.Intent = intent
			var b strings.Builder
			a := render(t, target)
			b.WriteString("##### arguments #####\n" + strings.Join(a.Args, "\n") + "\n")
			for _, f := range a.Files {
				b.WriteString("\n##### " + f.Name + " #####\n" + string(f.Data))
			}
			check(t, role+"-"+family, b.String())
			if family == "el9" || family == "debian13" {
				check(t, role+"-bundle-"+family, bundle(t, target))
			}
		}
	}
}

// BenchmarkRender526 writes the kickstarts of a large site, each with all its
// hosts in it, beside text/template putting the same bytes together: what a
// folder of templates would cost, without quoting or checks.
func BenchmarkRender526(b *testing.B) {
	intent := *cast(b)["compute"]
	intent.Hosts = make([]profile.Host, 526)
	for n := range intent.Hosts {
		name := fmt.Sprintf("cs-computer-%04d", n)
		intent.Hosts[n] = profile.Host{Addr: netip.AddrFrom4([4]byte{10, 22, byte(n >> 8), byte(n)}), Names: []string{name + ".gz.example.net", name}}
	}
	one := target(b, rocky9())
	one.Intent = &intent
	b.Run("rackseed", func(b *testing.B) {
		for b.Loop() {
			for range 526 {
				render(b, one)
			}
		}
	})
	b.Run("template", func(b *testing.B) {
		text := string(render(b, one).Files[0].Data)
		var hosts strings.Builder
		for _, h := range intent.Hosts {
			fmt.Fprintf(&hosts, "%s %s\n", h.Addr, strings.Join(h.Names, " "))
		}
		text = strings.ReplaceAll(text, "{{", "{{`{{`}}")
		text = strings.Replace(text, hosts.String(), "{{range .Hosts}}{{.Addr}}{{range .Names}} {{.}}{{end}}\n{{end}}", 1)
		text = strings.ReplaceAll(text, intent.Node, "{{.Node}}")
		parsed := template.Must(template.New("ks").Parse(text))
		for b.Loop() {
			for range 526 {
				var out bytes.Buffer
				if err := parsed.Execute(&out, &intent); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
