package answer

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

var digits = regexp.MustCompile(`[0-9]+`)

// parse has every script read by the shells that may run it, and by
// shellcheck. A process for each of hundreds of scripts takes minutes, so a
// shell reads all of them as the functions of one file; and shellcheck reads
// so many that every command of all of them is among what it reads.
func parse(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var functions strings.Builder
	names := slices.Sorted(maps.Keys(scripts))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(len(scripts[b]), len(scripts[a])) })
	seen := map[string]bool{}
	var chosen []string
	for n, name := range names {
		text := scripts[name]
		fmt.Fprintf(&functions, "# %s\nscript_%d() {\n%s\n}\n", name, n, text)
		before := len(seen)
		for line := range strings.Lines(shellShape(text)) {
			seen[digits.ReplaceAllString(line, "0")] = true
		}
		if len(seen) > before {
			file := filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_", "%", "").Replace(name))
			chosen = append(chosen, file)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := filepath.Join(dir, "all")
	if err := os.WriteFile(all, []byte(functions.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	checks := [][]string{{"bash", "-n", all}, {"dash", "-n", all}, {"busybox", "sh", "-n", all}}
	for chunk := range slices.Chunk(chosen, 4) {
		checks = append(checks, append([]string{"shellcheck", "-S", "warning", "-s", "sh"}, chunk...))
	}
	t.Logf("%d scripts, %d of them with commands that no larger one has", len(scripts), len(chosen))
	for n, check := range checks {
		t.Run(fmt.Sprintf("%s %d", check[0], n), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(check[0]); err != nil {
				t.Skipf("needs %s: apt install %[1]s", check[0])
			}
			if out, err := exec.Command(check[0], check[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// scriptsIn gives every script of an answer.
func scriptsIn(t *testing.T, a Answers) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range a.Files {
		switch {
		case strings.HasSuffix(f.Name, ".sh"):
			all[f.Name] = string(f.Data)
		case f.Name == "ks.cfg":
			d, err := readKickstart(string(f.Data))
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range d.sections {
				if s.name != "%packages" {
					all[fmt.Sprintf("ks %d %s", i, s.name)] = s.body
				}
			}
		case f.Name == "user-data":
			for _, w := range readSeed(t, a).WriteFiles {
				all[filepath.Base(w.Path)] = w.Content
			}
		}
	}
	return all
}

// TestScriptsOfRolesParse: every script of every role in every delivery.
func TestScriptsOfRolesParse(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for role, intent := range cast(t) {
		for family, image := range families() {
			target := target(t, image)
			target.Intent = intent
			for name, text := range scriptsIn(t, render(t, target)) {
				all[role+"/"+family+"/"+name] = text
			}
			verify, err := verifyScript(target)
			if err != nil {
				t.Fatal(err)
			}
			all[role+"/"+family+"/verify"] = verify
			all[role+"/"+family+"/bundle"] = bundle(t, target)
		}
	}
	for _, hook := range []string{"live-hook"} {
		text, err := pieces.ReadFile("scripts/" + hook + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		all[hook] = string(text)
	}
	parse(t, all)
}

func TestScriptsParse(t *testing.T) {
	t.Parallel()
	all := scripts(t)
	for _, image := range []site.Image{anacondas()[8], debian("12"), onUbuntu(t, "24.04", 2).Image} {
		target := target(t, image)
		target.Intent.Disks = site.Disks{System: named(1, 2), OSD: named(3), OSDPolicy: site.OSDZap}
		target.Intent.Layout = volumes()
		for name, text := range scriptsIn(t, render(t, target)) {
			all["disks/"+image.Family+"/"+name] = text
		}
	}
	for _, f := range readSeed(t, render(t, onUbuntu(t, "24.04", 2))).WriteFiles {
		all["seed/"+filepath.Base(f.Path)] = f.Content
	}
	for _, image := range []site.Image{image("rhel", "9"), image("debian", "13"), image("ubuntu", "24.04"), image("kylin", "V10")} {
		target := target(t, image)
		target.Intent.Network = hyperconverged()
		check, err := verifyScript(target)
		if err != nil {
			t.Fatal(err)
		}
		bundle := newScript("test")
		bundle.piece("tune")
		changeNetwork(bundle, target)
		bundle.say("network_all")
		_, rollback, _ := strings.Cut(bundle.b.String(), "#!/bin/sh\n\n# Puts back")
		rollback, _, _ = strings.Cut("#!/bin/sh\n# Puts back"+rollback, endOfText)
		for name, text := range map[string]string{"tune": netScript(t, image), "verify": check, "bundle": bundle.b.String(), "rollback": rollback} {
			all["network/"+image.Family+"/"+name] = text
		}
	}
	parse(t, all)
}
