package planfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/planfile"
)

// listed is a plan that names n machines one by one, as an export does.
func listed(n int) string {
	var b strings.Builder
	b.WriteString(contract[:strings.Index(contract, "nodes:")])
	b.WriteString("nodes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: cs-computer-%05d\n    role: compute\n    rack: A%03d\n    u: %d\n    mac: 52:54:00:12:%02x:%02x\n    serial: 2102311TUF10K8%06d\n"+
			"    addresses: {provision: 10.20.%d.%d, management: 10.22.%d.%d}\n    bmc: {address: 10.21.%d.%d}\n",
			i, i/16, i%16*2+1, i>>8, i&255, i, 1+i/250, 1+i%250, 1+i/250, 1+i%250, 1+i/250, 1+i%250)
	}
	return b.String()
}

// FuzzParse: whatever the bytes, Parse returns; an error has a place inside
// the file; a plan can be checked, and every finding has a place.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../../examples/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		contract, listed(3), "", "\x00", "a", "- ", "? ", "&a *a", "nodes:\n -", "nodes: [{name: 'a[1-3]', mac: [[], ~, x]}]",
		"nodes: [{name: 'a[1-3]b[1-3]', u: [1,2], disks: {system: [~, sda, {}]}}]", "access: {root: |\n x}", "x: {<<: *y}", "site: \"a", "\xff", "a:\n\tb", "--- !x\n%y",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := planfile.Parse("plan.yaml", data)
		if err != nil {
			var errs planfile.Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("%v is not Errors", err)
			}
			for _, e := range errs {
				if e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Fatalf("%+v has no place or no message", e)
				}
			}
			_ = err.Error()
			return
		}
		for _, finding := range doc.Check() {
			if finding.Line < 1 || finding.Column < 1 {
				t.Fatalf("%+v has no place", finding)
			}
			_ = doc.Render(finding)
		}
	})
}
