package lint_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/lint"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

func parse(t testing.TB, name, text string) *planfile.Document {
	t.Helper()
	doc, err := planfile.Parse(name, []byte(text))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return doc
}

// TestDebianMedia: a DVD needs the netboot pair beside it.
func TestDebianMedia(t *testing.T) {
	plan := parse(t, "plan.yaml", "site: a\naccess: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}\n"+
		"networks: {p: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}}\nprovision: {network: p, dhcp: server}\n"+
		"images: {d: {file: d.iso}}\nroles: {base: {profile: base, image: d}}\nnodes: [{name: n1, role: base, mac: 525400000001, addresses: {p: 10.20.1.1}}]\n")
	dvd := site.Image{Name: "d", Family: "debian", Distro: "debian", Version: "13.0.0", Arch: "x86_64", Kernel: "install.amd/vmlinuz", Initrd: "install.amd/initrd.gz", Repos: []string{"."}}
	netboot := dvd
	netboot.Kernel, netboot.Initrd = ".rackseed/0/kernel", ".rackseed/0/initrd"
	empty := netboot
	empty.Repos = nil
	for name, c := range map[string]struct {
		image site.Image
		want  string
	}{
		"DVD alone": {dvd, "image-needs-cd"}, "DVD and netboot": {netboot, ""}, "netboot alone": {empty, "image-without-dists"},
	} {
		var found []string
		for _, f := range plan.Locate(lint.Checker{Profiles: profiles.Files, Images: []site.Image{c.image}}.Check(plan.Plan)) {
			found = append(found, f.ID)
		}
		if got := strings.Join(found, " "); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

func good(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func check(t testing.TB, text string, library ...site.Image) (*planfile.Document, []planfile.Finding) {
	t.Helper()
	doc := parse(t, "plan.yaml", text)
	return checked(doc, library)
}

func checked(doc *planfile.Document, library []site.Image) (*planfile.Document, []planfile.Finding) {
	return doc, doc.Locate(lint.Checker{Profiles: profiles.Files, Images: library}.Check(doc.Plan))
}

func TestGoodPlanHasNoFindings(t *testing.T) {
	doc, found := check(t, good(t), rocky9())
	for _, f := range found {
		t.Error(doc.Render(f))
	}
}

func rocky9() site.Image {
	return site.Image{
		Name: "rocky9", Digest: "d1", Family: "rhel", Distro: "rocky", Version: "9.6", Arch: "x86_64",
		Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img", Repos: []string{"BaseOS", "AppStream"},
	}
}

// position is where a piece of text stands, from one.
func position(t testing.TB, text, piece string) (line, column int) {
	t.Helper()
	if strings.Count(text, piece) != 1 {
		t.Fatalf("%q is in the plan %d times", piece, strings.Count(text, piece))
	}
	before := text[:strings.Index(text, piece)]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndex(before, "\n")
}

// example is a mistake: an edit of the good plan, what is found, and the text
// that the finding points at.
type example struct {
	lint    int
	id      string
	error   bool
	edits   []string // old, new, old, new…
	at      string
	library []site.Image
	server  string // where the daemon is
	served  site.DHCPMode
	profile string // of the site's own, called own, below its head
	also    string // the id of a finding that comes with it
}

func (e example) text(t testing.TB) string {
	t.Helper()
	text := good(t)
	for i := 0; i < len(e.edits); i += 2 {
		if strings.Count(text, e.edits[i]) != 1 {
			t.Fatalf("%q is in the good plan %d times", e.edits[i], strings.Count(text, e.edits[i]))
		}
		text = strings.Replace(text, e.edits[i], e.edits[i+1], 1)
	}
	return text
}

// run expects the mistake to be found, at its place, and nothing else.
func (e example) run(t *testing.T) {
	text := e.text(t)
	line, column := position(t, text, e.at)
	doc := parse(t, "plan.yaml", text)
	if e.profile != "" {
		doc.Plan.Profiles = map[string]string{"own": "name: own\nextends: compute\nsummary: A site's own.\n" + e.profile}
	}
	checker := lint.Checker{Profiles: profiles.Files, Images: e.library, DHCP: e.served}
	if e.server != "" {
		checker.Server = netip.MustParseAddr(e.server)
	}
	at, found := false, doc.Locate(checker.Check(doc.Plan))
	for _, f := range found {
		if f.ID == e.also {
			continue
		}
		if f.ID != e.id {
			t.Errorf("also found: %s", doc.Render(f))
			continue
		}
		at = at || f.Line == line && f.Column == column
		if f.Fix == "" || (f.Severity == site.SeverityError) != e.error || strings.Contains(f.Message+f.Fix, "hunter2") {
			t.Errorf("%+v", f)
		}
	}
	if !at {
		t.Errorf("not found at %d:%d: %+v", line, column, found)
	}
}

// TestFortyEightLints has an example of each lint of the list that the
// project started from, by its number there.
func TestFortyEightLints(t *testing.T) {
	for _, e := range examples() {
		t.Run(fmt.Sprintf("%02d %s", e.lint, e.id), e.run)
	}
}

func TestOtherLints(t *testing.T) {
	for _, e := range others() {
		t.Run(e.id, e.run)
	}
}

func BenchmarkCheck(b *testing.B) {
	data, err := os.ReadFile("../../examples/guangzhou.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("guangzhou, parse and check", func(b *testing.B) {
		for b.Loop() {
			doc := parse(b, "guangzhou.yaml", string(data))
			doc.Locate(lint.Checker{Profiles: profiles.Files}.Check(doc.Plan))
		}
	})
	for _, n := range []int{526, 4000, 16000} {
		doc := parse(b, "plan.yaml", ranged(n))
		b.Run(fmt.Sprintf("%d nodes, check", n), func(b *testing.B) {
			for b.Loop() {
				lint.Checker{Profiles: profiles.Files}.Check(doc.Plan)
			}
		})
	}
}

// ranged is the good plan with n compute nodes instead of one.
func ranged(n int) string {
	data, _ := os.ReadFile("testdata/good.yaml")
	text := string(data)
	for _, name := range []string{"provision:  {subnet: 10.20.0.0/24", "ipmi:       {subnet: 10.21.0.0/24", "management: {subnet: 10.22.0.0/24", "tenant:     {subnet: 10.23.0.0/24", "storage:    {subnet: 10.24.0.0/24"} {
		text = strings.Replace(text, name, strings.Replace(name, "/24", "/16", 1), 1)
	}
	head, tail, _ := strings.Cut(text, "  - name: cs-computer-0001")
	_, tail, _ = strings.Cut(tail, "  - name: cs-storage")
	var macs strings.Builder
	for i := range n {
		fmt.Fprintf(&macs, "      - [52:54:01:00:%02x:%02x, 52:54:02:00:%02x:%02x]\n", i>>8, i&255, i>>8, i&255)
	}
	return fmt.Sprintf("%s  - name: cs-computer-[00001-%05d]\n    role: compute\n    mac:\n%s    addresses: {provision: 10.20.1.1+, management: 10.22.1.1+, storage: 10.24.1.1+, tenant: 10.23.1.1+}\n    bmc: {address: 10.21.1.1+}\n  - name: cs-storage%s",
		head, n, macs.String(), tail)
}

var update = flag.Bool("update", false, "write golden files anew")

// TestBadSheet is what a customer's sheet looks like: many mistakes at once,
// none of which hides another.
func TestBadSheet(t *testing.T) {
	data, err := os.ReadFile("testdata/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, found := checked(parse(t, "bad.yaml", string(data)), nil)
	var b strings.Builder
	for _, f := range found {
		b.WriteString(doc.Render(f) + "\n")
	}
	if *update {
		if err := os.WriteFile("testdata/bad.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzCheck: a plan that parses can be checked in full, twice alike, and each
// finding has a place and can be shown.
func FuzzCheck(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	shipped, _ := filepath.Glob("../../examples/*.yaml")
	for _, file := range append(files, shipped...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 8<<10 {
			f.Add(data)
		}
	}
	for _, e := range examples() {
		f.Add([]byte(e.text(f)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := planfile.Parse("plan.yaml", data)
		if err != nil || len(doc.Plan.Nodes) > 200 {
			return
		}
		_, found := checked(doc, []site.Image{rocky9()})
		if _, again := checked(doc, []site.Image{rocky9()}); !reflect.DeepEqual(found, again) {
			t.Fatalf("two checks differ: %s", cmp.Diff(found, again))
		}
		for _, finding := range found {
			if finding.Line < 1 || finding.Column < 1 || finding.ID == "" || finding.Message == "" {
				t.Fatalf("%+v has no place", finding)
			}
			_ = doc.Render(finding)
		}
	})
}
