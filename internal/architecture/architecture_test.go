// Package architecture keeps the house in shape: it asserts which package may
// import which. HACKING.md draws the picture.
package architecture

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const module = "github.com/rackseed/rackseed/"

type listed struct {
	ImportPath string
	Imports    []string
}

// pure packages open nothing: no sockets, no files, no clock of their own.
func pure() []string {
	return []string{"pkg/site", "pkg/planfile", "pkg/install", "pkg/boot", "pkg/profile", "pkg/answer", "pkg/ipxe", "pkg/bootplan", "pkg/lint", "pkg/export", "pkg/view", "pkg/cabling", "pkg/discovery", "pkg/lldp", "pkg/cpio", "pkg/report"}
}

// edges speak to the outside. They never import each other; cmd wires them.
func edges() []string {
	return []string{"pkg/api", "pkg/dhcp", "pkg/tftp", "pkg/bmc", "pkg/image", "pkg/survey", "pkg/store/bolt", "pkg/store/mem", "pkg/client", "pkg/sim", "pkg/storm", "pkg/syslog", "pkg/webhook", "web", "pkg/discovery/agent"}
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// The picture in HACKING.md has every room of pkg/.
func TestHackingNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../HACKING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, house, _ := strings.Cut(string(text), "\n## The house\n")
	house, _, _ = strings.Cut(house, "\n## ")
	words := strings.FieldsFunc(house, func(r rune) bool { return !unicode.IsLower(r) })
	rooms, err := os.ReadDir("../../pkg")
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range rooms {
		if room.IsDir() && !slices.Contains(words, room.Name()) {
			t.Errorf("HACKING.md does not show pkg/%s", room.Name())
		}
	}
}

func in(list []string, path string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, path := range p.Imports {
			to, ours := strings.CutPrefix(path, module)
			if why := forbidden(from, to, path, ours); why != "" {
				t.Errorf("%s imports %s: %s", from, path, why)
			}
		}
	}
}

func forbidden(from, to, path string, ours bool) string {
	inPure := in(pure(), from) && !strings.HasPrefix(from, "pkg/ipxe/loaders") && !strings.HasPrefix(from, "pkg/discovery/agent")
	switch {
	case from == "pkg/site" && strings.Contains(strings.Split(path, "/")[0], "."):
		return "the nouns import the standard library alone"
	case inPure && (path == "net/http" || path == "os" || path == "os/exec"):
		return "a pure package opens nothing"
	case !ours:
		return ""
	case strings.HasPrefix(to, "cmd/"):
		return "nothing imports the wiring"
	case inPure && !in(pure(), to):
		return "a pure package imports pure packages"
	case in(edges(), from) && in(edges(), to) && !inside(from, to):
		return "edges never import each other"
	case from == "pkg/ledger" && !in([]string{"pkg/site", "pkg/store"}, to):
		return "the write path knows the nouns and the log"
	case from == "pkg/flight" && to != "pkg/site":
		return "what records knows the nouns alone"
	case from == "pkg/store" && to != "":
		return "the log knows nothing of ours"
	}
	return ""
}

// inside reports two packages of one edge, such as pkg/image and pkg/image/iso.
func inside(a, b string) bool {
	for _, edge := range edges() {
		if in([]string{edge}, a) && in([]string{edge}, b) {
			return true
		}
	}
	return false
}
