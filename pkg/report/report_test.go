package report_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"github.com/rackseed/rackseed/pkg/report"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

const hostile = `=HYPERLINK("http://evil","x")<script>alert(1)</script>`

// history is two machines: one that failed, was repaired and became ready,
// and one that was installed and deviates, with hostile words in all that a
// machine can say.
func history(t *testing.T) (*site.State, []site.Event) {
	t.Helper()
	mac := site.MAC{2, 0, 0, 0, 0, 1}
	image := site.Image{Name: "rocky9", Digest: strings.Repeat("9", 64), Distro: "rocky", Version: "9.6", Size: 10 << 30}
	start := func(attempt int) site.Body {
		return site.InstallStarted{Node: "n1", Attempt: attempt, Token: "t", Image: image.Digest, MAC: mac, Addr: netip.MustParseAddr("10.20.1.1")}
	}
	bodies := []site.Body{
		site.PlanApplied{Settings: site.Settings{Site: "gz", Roles: map[string]site.Role{"compute": {Image: "rocky9"}}}, Digest: "plan-sum"},
		site.ImageAdded{Image: image},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "compute", Rack: "A01", U: 12, MACs: []site.MAC{mac}, Serial: "SN-PLANNED",
			Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.1.1"), "storage": netip.MustParseAddr("10.23.1.1")}, BMC: site.BMC{Address: "10.21.0.11"}}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "compute", Rack: "A01", U: 13, MACs: []site.MAC{{2, 0, 0, 0, 0, 2}}}},
		site.NodeInventoried{Node: "n1", Inventory: site.Inventory{
			Source: site.FromBMC, Manufacturer: "Huawei", Model: "RH2288H V5", Serial: "SN-FOUND", Firmware: "8.25", BMC: site.InventoryBMC{Firmware: "3.01"},
			Hardware: site.Hardware{Sockets: 2, Cores: 16, Threads: 2, Memory: 256 << 30, Disks: []site.InventoryDisk{{Model: "S480", Serial: "D1", Size: 480e9}}},
			NICs:     []site.InventoryNIC{{Name: "p1", MAC: mac, Link: "up", Speed: 25000, Neighbour: site.Neighbour{Switch: "leaf-1", Port: "Eth1/1"}}},
		}},
		site.Armed{Node: "n1", By: "wei@laptop", Reason: "first batch", Until: epoch.Add(time.Hour)},
		start(1),
		site.AnswerServed{Node: "n1", Attempt: 1, File: "ks.cfg", SHA256: strings.Repeat("a", 64), Addr: netip.MustParseAddr("10.20.1.1")},
		site.InstallFailed{Node: "n1", Attempt: 1, Stage: "disk", Reason: "the disk is too small"},
		site.EvidenceStored{Node: "n1", Attempt: 1, File: "n1-attempt1.tar.gz", SHA256: "e1", Size: 7},
		site.Armed{Node: "n1", By: "mei@laptop", Until: epoch.Add(time.Hour)},
		start(2),
		site.AnswerServed{Node: "n1", Attempt: 2, File: "ks.cfg", SHA256: strings.Repeat("b", 64), Addr: netip.MustParseAddr("10.20.1.1")},
		site.InstallDone{Node: "n1", Attempt: 2},
		site.NodeVerified{Node: "n1", Attempt: 2},
		site.Armed{Node: "n2", By: "wei@laptop", Until: epoch.Add(time.Hour)},
		site.InstallStarted{Node: "n2", Attempt: 1, Token: "u", Image: image.Digest, MAC: site.MAC{2, 0, 0, 0, 0, 2}},
		site.InstallDone{Node: "n2", Attempt: 1},
		site.NodeVerified{Node: "n2", Attempt: 1, Deviations: []string{"MTU of bond0 is 1500, not 9000", hostile}},
		site.ImageRemoved{Name: "rocky9"},
	}
	s := site.NewState()
	var events []site.Event
	for i, b := range bodies {
		e := site.Event{Seq: uint64(i + 1), At: epoch.Add(time.Duration(i) * time.Minute), Body: b}
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return s, events
}

func made(t *testing.T) view.Report {
	t.Helper()
	s, events := history(t)
	r, err := report.Make(report.Source{
		State: s, Machines: s.Machines(), Version: "v1", Now: epoch.Add(time.Hour),
		Events: func(yield func(site.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		},
		Phases: func(node string, attempt int) []view.ReportPhase {
			if node != "n1" || attempt != 2 {
				return nil
			}
			return []view.ReportPhase{{Name: "packages", Seconds: 61.5, Note: "the mirror is slow"}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGolden: the whole of each document.
func TestGolden(t *testing.T) {
	r := made(t)
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(data, '\n'))
	for _, lang := range report.Langs() {
		page, err := report.HTML(r, lang)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "report."+string(lang)+".html", page)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestTheAccountIsTrue: what the log tells of each attempt.
func TestTheAccountIsTrue(t *testing.T) {
	r := made(t)
	n1, n2 := r.Nodes[0], r.Nodes[1]
	if n1.Serial != "SN-FOUND" || n1.State != site.PhaseReady || n1.CPUs != 64 || len(n1.Attempts) != 2 || n1.BMCFirmware != "3.01" {
		t.Errorf("n1 is %+v", n1)
	}
	first, second := n1.Attempts[0], n1.Attempts[1]
	if first.Result != "failed" || first.Stage != "disk" || first.ArmedBy != "wei@laptop" || first.Why != "first batch" || len(first.Kept) != 1 || first.Answers[0].SHA256[0] != 'a' || first.Phases != nil {
		t.Errorf("the first attempt is %+v", first)
	}
	if second.Result != "ready" || second.ArmedBy != "mei@laptop" || second.Answers[0].SHA256[0] != 'b' || len(second.Phases) != 1 || second.Ended.Sub(second.Started) != 3*time.Minute {
		t.Errorf("the second attempt is %+v", second)
	}
	if n2.State != site.PhaseInstalled || len(n2.Deviations) != 2 || n2.Attempts[0].Result != "installed" {
		t.Errorf("n2 is %+v", n2)
	}
	if len(r.Images) != 1 || r.Images[0].Name != "rocky9" {
		t.Errorf("the image was removed since, and is %+v", r.Images)
	}
}

// TestNothingHostileRuns: not in a browser, not in a spreadsheet.
func TestNothingHostileRuns(t *testing.T) {
	r := made(t)
	page, err := report.HTML(r, report.English)
	if err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "link" || n.Data == "img" || n.Data == "iframe" {
			t.Errorf("there is a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "//") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	book, err := report.XLSX(r, report.Chinese)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "xl/worksheets/") {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if formula := regexp.MustCompile(`<f[ >]`); formula.Match(data) {
			t.Errorf("%s holds a formula", f.Name)
		}
		if other := regexp.MustCompile(`<c [^>]*t="(n|b|e|str)"`); other.Match(data) {
			t.Errorf("%s holds a cell that is not text", f.Name)
		}
	}
	f, err := excelize.OpenReader(bytes.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("与规划的偏差")
	if err != nil || len(rows) != 3 || rows[2][1] != hostile {
		t.Errorf("the deviations are %q, %v", rows, err)
	}
}

// TestPrintsWell: each machine begins a page, and headings repeat.
func TestPrintsWell(t *testing.T) {
	page, err := report.HTML(made(t), report.Chinese)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"table-header-group", "break-before: page", "break-inside: avoid", "size: A4", `lang="zh"`, "交付报告"} {
		if !bytes.Contains(page, []byte(rule)) {
			t.Errorf("it lacks %s", rule)
		}
	}
}

// TestBothLanguagesKnowEveryWord of the template and of the workbook.
func TestBothLanguagesKnowEveryWord(t *testing.T) {
	en, zh := report.Words(report.English), report.Words(report.Chinese)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(en)), slices.Sorted(maps.Keys(zh))); diff != "" {
		t.Errorf("-en +zh:\n%s", diff)
	}
	text, err := os.ReadFile("report.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`t "([^"%]+)"`).FindAllStringSubmatch(string(text), -1) {
		if _, ok := en[m[1]]; !ok {
			t.Errorf("the catalogue lacks %q", m[1])
		}
	}
}

func TestEmptySite(t *testing.T) {
	r, err := report.Make(report.Source{State: site.NewState(), Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range report.Langs() {
		if _, err := report.HTML(r, lang); err != nil {
			t.Error(err)
		}
		if _, err := report.XLSX(r, lang); err != nil {
			t.Error(err)
		}
	}
}
