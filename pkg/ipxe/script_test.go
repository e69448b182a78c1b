package ipxe_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func server() ipxe.Server {
	return ipxe.Server{Addr: netip.MustParseAddr("10.20.0.1"), HTTP: "http://10.20.0.1:8080"}
}

func decision(a boot.Action, way site.LocalBoot, why string) boot.Decision {
	return boot.Decision{
		Action: a, LocalBoot: way, Why: why, Node: &site.Node{Name: "cs-controller-01"},
		Attempt: 2, Image: site.Image{Name: "rocky9"},
	}
}

func installing() ipxe.Boot {
	return ipxe.Boot{
		Decision: decision(boot.Install, "", "armed by ops"),
		Kernel:   "http://10.20.0.1:8080/images/d1/images/pxeboot/vmlinuz",
		Initrd:   "http://10.20.0.1:8080/images/d1/images/pxeboot/initrd.img",
		Args:     []string{"inst.ks=http://10.20.0.1:8080/answer/TOKEN/ks.cfg", "ip=dhcp", "console=tty0"},
	}
}

func discovering() ipxe.Boot {
	b := installing()
	b.Action, b.Node = boot.Discover, nil
	b.Agent = "http://10.20.0.1:8080/boot/discover-x86_64.cpio"
	b.Args = []string{"rdinit=/rackseed/discover", "rackseed.url=http://10.20.0.1:8080/discover/52-54-00-00-00-66/-/TOKEN", "rackseed.mac=52:54:00:00:00:66"}
	return b
}

func scripts() map[string]string {
	local := func(way site.LocalBoot) string {
		return ipxe.Script(ipxe.Boot{Decision: decision(boot.Local, way, "planned, but not armed")}, server())
	}
	return map[string]string{
		"bootstrap":      ipxe.Bootstrap(server()),
		"install":        ipxe.Script(installing(), server()),
		"discover":       ipxe.Script(discovering(), server()),
		"hold":           ipxe.Script(ipxe.Boot{Decision: decision(boot.Hold, "", "its disk was wiped and its install failed: no space")}, server()),
		"hold-nameless":  ipxe.Script(ipxe.Boot{Decision: boot.Decision{Action: boot.Hold, Why: "two claims"}}, server()),
		"local-firmware": local(site.LocalFirmware),
		"local-exit":     local(site.LocalExit),
		"local-sanboot":  local(site.LocalSanboot),
	}
}

// TestScripts fixes every script byte by byte: they run where nobody can
// debug them.
func TestScripts(t *testing.T) {
	for name, got := range scripts() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the script changed; go test -update writes it down (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScriptsKeepToTheLanguage: iPXE looks for a label only when it jumps, on
// a machine that failed already.
func TestScriptsKeepToTheLanguage(t *testing.T) {
	for name, text := range scripts() {
		lines := strings.Split(text, "\n")
		if lines[0] != "#!ipxe" {
			t.Errorf("%s begins with %q", name, lines[0])
		}
		labels := map[string]bool{}
		for _, l := range lines {
			if label, ok := strings.CutPrefix(l, ":"); ok {
				labels[label] = true
			}
		}
		for _, l := range lines {
			for _, target := range regexp.MustCompile(`goto (\w+)`).FindAllStringSubmatch(l, -1) {
				if !labels[target[1]] {
					t.Errorf("%s goes to %q, which is not there", name, target[1])
				}
			}
		}
	}
}

// variables lists what a script has iPXE expand, in order.
func variables(script string) []string {
	return regexp.MustCompile(`\$\{?[^}\s]*\}?`).FindAllString(script, -1)
}

// TestTextCannotBecomeCommands is the promise of the product's scripts:
// whatever a node is called and whatever the reason, the script has the lines
// and the variables that it always has.
func TestTextCannotBecomeCommands(t *testing.T) {
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"a\nshell", "a\r\nchain http://evil/", "${net0/mac}", "x || shell", "x && shell", "# x", "tail\\", "\x1b]0;title\x07", "a\u2028b", "\u202egnp", "||", "&&", "$",
	}))
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]boot.Action{boot.Install, boot.Hold, boot.Local}).Draw(t, "action")
		way := rapid.SampledFrom([]site.LocalBoot{site.LocalExit, site.LocalSanboot}).Draw(t, "way")
		b := installing()
		b.Decision = decision(action, way, "why")
		plain := ipxe.Script(b, server())
		b.Decision = decision(action, way, hostile.Draw(t, "why"))
		b.Node = &site.Node{Name: hostile.Draw(t, "name")}
		b.Image.Name = hostile.Draw(t, "image")
		script := ipxe.Script(b, server())
		if got, want := strings.Count(script, "\n"), strings.Count(plain, "\n"); got != want {
			t.Fatalf("%d lines instead of %d:\n%s", got, want, script)
		}
		if got, want := variables(script), variables(plain); !slices.Equal(got, want) {
			t.Fatalf("iPXE expands %q instead of %q:\n%s", got, want, script)
		}
		for i, l := range strings.Split(script, "\n") {
			if strings.HasSuffix(l, "\\") || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("line %d: %q", i+1, l)
			}
			if strings.HasPrefix(l, "echo ") && (strings.Contains(l, "||") || strings.Contains(l, "&&") || strings.Contains(l, " #")) {
				t.Fatalf("line %d is more than an echo: %q", i+1, l)
			}
		}
	})
}
