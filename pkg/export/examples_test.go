package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/export"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/profiles"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// example reads a plan of examples/ with the Intents of its nodes.
func example(t testing.TB, name string) *export.Site {
	t.Helper()
	data, err := os.ReadFile("../../examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := planfile.Parse(name+".yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	plan := doc.Plan
	s := &export.Site{Settings: &plan.Settings}
	resolver := profile.NewResolver(profiles.Files, &plan.Settings, profile.NodesOf(plan.Nodes))
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		intent, err := resolver.Resolve(n)
		if err != nil {
			t.Fatal(err)
		}
		s.Nodes = append(s.Nodes, export.Node{Node: n, Intent: intent, System: plan.SystemOf(plan.ImageOf(n))})
	}
	return s
}

// TestExamplesWhole compares whole exports with testdata/; -update rewrites
// them.
func TestExamplesWhole(t *testing.T) {
	for _, name := range []string{"three-node", "hyperconverged"} {
		s := example(t, name)
		for _, kind := range export.Kinds() {
			t.Run(name+" "+kind, func(t *testing.T) {
				e, err := export.Write(kind, s)
				if err != nil {
					t.Fatal(err)
				}
				if again, _ := export.Write(kind, s); cmp.Diff(e, again) != "" {
					t.Error("two exports of one plan differ")
				}
				for _, f := range e.Files {
					golden(t, filepath.Join("testdata", name, kind, filepath.FromSlash(f.Name)), f.Text)
				}
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// inventory is what Ansible makes of a file.
type inventory struct {
	Meta struct {
		Hosts map[string]map[string]any `json:"hostvars"`
	} `json:"_meta"`
	groups map[string]struct{ Hosts, Children []string }
}

// readByAnsible has Ansible itself read a file of an export.
func readByAnsible(t *testing.T, kind, file string, s *export.Site) inventory {
	t.Helper()
	program, err := exec.LookPath("ansible-inventory")
	if err != nil {
		t.Skip("needs ansible-inventory: apt install ansible-core")
	}
	e, err := export.Write(kind, s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), file)
	for _, f := range e.Files {
		if f.Name == file {
			if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "--list", "-i", path)
	// Without these, a file that no plugin can read is an empty inventory.
	cmd.Env = append(os.Environ(), "ANSIBLE_INVENTORY_UNPARSED_FAILED=1", "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1", "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOME="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	// Kolla's own group names have hyphens, of which Ansible warns.
	if kind != "kolla" && strings.Contains(stderr.String(), "WARNING") {
		t.Errorf("Ansible warns:\n%s", stderr.String())
	}
	var in inventory
	if err := json.Unmarshal(stdout.Bytes(), &in); err != nil {
		t.Fatal(err)
	}
	rest := map[string]json.RawMessage{}
	_ = json.Unmarshal(stdout.Bytes(), &rest)
	delete(rest, "_meta")
	data, _ := json.Marshal(rest)
	if err := json.Unmarshal(data, &in.groups); err != nil {
		t.Fatal(err)
	}
	return in
}

// hosts are the machines of a group and of all groups below it.
func (in inventory) hosts(group string) []string {
	out := slices.Clone(in.groups[group].Hosts)
	for _, child := range in.groups[group].Children {
		out = append(out, in.hosts(child)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestAnsibleReadsGuangzhou(t *testing.T) {
	s := example(t, "guangzhou")
	in := readByAnsible(t, "kolla", "multinode", s)
	for group, want := range map[string]int{
		"control": 5, "network": 5, "compute": 512, "storage": 512, "monitoring": 1, "mariadb": 5, "rabbitmq": 3, "baremetal": 526, "deployment": 1,
		"nova-api": 5, "kolla-toolbox": 526, "cinder-volume": 5, "neutron-ovn-metadata-agent": 517, "ovn-nb-db": 5, "memcached": 5,
	} {
		if got := in.hosts(group); len(got) != want {
			t.Errorf("group %s has %d hosts, not %d", group, len(got), want)
		}
	}
	same(t, "rabbitmq", in.hosts("rabbitmq"), "cs-mq-01", "cs-mq-02", "cs-mq-03")
	if h := in.Meta.Hosts["cs-computer-0512"]; h["ansible_host"] != "10.22.3.0" || h["ansible_user"] != "root" {
		t.Errorf("cs-computer-0512: %v", h)
	}

	in = readByAnsible(t, "ansible", "inventory.yml", s)
	for group, want := range map[string]int{"compute": 512, "message_queue": 3, "rack_A01": 16, "profile_storage_hyperconverged": 512, "rack_B04": 3} {
		if got := in.hosts(group); len(got) != want {
			t.Errorf("group %s has %d hosts, not %d", group, len(got), want)
		}
	}
	if h := in.Meta.Hosts["cs-mq-02"]; h["ansible_host"] != "10.22.0.52" || h["rack"] != "B02" || h["rackseed_role"] != "message-queue" {
		t.Errorf("cs-mq-02: %v", h)
	}
}

// TestSpecificationsAreYAML reads back what cephadm will: documents of the
// fields that a service specification has.
func TestSpecificationsAreYAML(t *testing.T) {
	e, err := export.Write("cephadm", example(t, "guangzhou"))
	if err != nil {
		t.Fatal(err)
	}
	type spec struct {
		Type      string            `yaml:"service_type"`
		ID        string            `yaml:"service_id"`
		Host      string            `yaml:"hostname"`
		Addr      string            `yaml:"addr"`
		Location  map[string]string `yaml:"location"`
		Labels    []string          `yaml:"labels"`
		Placement struct {
			Label string   `yaml:"label"`
			Hosts []string `yaml:"hosts"`
		} `yaml:"placement"`
		Spec struct {
			Data map[string]any `yaml:"data_devices"`
			DB   map[string]any `yaml:"db_devices"`
		} `yaml:"spec"`
	}
	count := map[string]int{}
	labels := map[string]int{}
	d := yaml.NewDecoder(strings.NewReader(e.Files[0].Text), yaml.Strict())
	for {
		doc := spec{}
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		count[doc.Type]++
		for _, l := range doc.Labels {
			labels[l]++
		}
		if doc.Host == "cs-computer-0512" && fmt.Sprint(doc.Addr, doc.Location, doc.Labels) != "10.22.3.0map[rack:A32] [osd]" {
			t.Errorf("cs-computer-0512: %+v", doc)
		}
		if doc.Type == "osd" && fmt.Sprint(doc.Placement.Label, doc.Spec.Data) != "osdmap[model:INTEL SSDPE2KX040T8 rotational:0 size:3TB:]" {
			t.Errorf("osd: %+v", doc)
		}
	}
	if diff := cmp.Diff(map[string]int{"host": 517, "mon": 1, "mgr": 1, "osd": 1}, count); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"_admin": 5, "mon": 5, "mgr": 5, "osd": 512}, labels); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkKollaGuangzhou(b *testing.B) {
	s := example(b, "guangzhou")
	for b.Loop() {
		if _, err := export.Write("kolla", s); err != nil {
			b.Fatal(err)
		}
	}
}
