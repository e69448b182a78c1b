package lint_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

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
	profile string // of the site's own, called own, below its head
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

// TestFortyEightLints has an example of each lint of the list that the
// project started from, by its number there.
func TestFortyEightLints(t *testing.T) {
	covered := map[int]bool{}
	for _, e := range examples() {
		covered[e.lint] = true
		t.Run(fmt.Sprintf("%02d %s", e.lint, e.id), func(t *testing.T) {
			text := e.text(t)
			line, column := position(t, text, e.at)
			doc := parse(t, "plan.yaml", text)
			if e.profile != "" {
				doc.Plan.Profiles = map[string]string{"own": "name: own\nextends: compute\nsummary: A site's own.\n" + e.profile}
			}
			_, found := checked(doc, e.library)
			hit := false
			for _, f := range found {
				if f.ID != e.id {
					t.Errorf("also found: %s", doc.Render(f))
					continue
				}
				hit = true
				if f.Line != line || f.Column != column {
					t.Errorf("found at %d:%d, want %d:%d: %s", f.Line, f.Column, line, column, doc.Render(f))
				}
				if f.Fix == "" || (f.Severity == site.SeverityError) != e.error {
					t.Errorf("%+v", f)
				}
			}
			if !hit {
				t.Error("not found")
			}
		})
	}
	for n := 1; n <= 48; n++ {
		if !covered[n] {
			t.Errorf("lint %d has no example", n)
		}
	}
}
