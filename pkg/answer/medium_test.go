package answer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

func candidate(t *testing.T, name, serial string, macs ...string) Candidate {
	t.Helper()
	c := Candidate{Target: target(t, rocky9()), Serial: serial}
	c.Target.Intent.Node, c.Target.Base, c.Target.Token = name, "", ""
	for _, m := range macs {
		mac, err := site.ParseMAC(m)
		if err != nil {
			t.Fatal(err)
		}
		c.MACs = append(c.MACs, mac)
	}
	return c
}

// onMedium writes the files of a medium below a folder.
func onMedium(t *testing.T, files []File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMediumOfOneNode(t *testing.T) {
	label, files, err := Medium([]Candidate{candidate(t, "cs-controller-01", "")})
	if err != nil {
		t.Fatal(err)
	}
	if label != "OEMDRV" || len(files) != 1 || files[0].Name != "ks.cfg" {
		t.Fatalf("label %s, %d files", label, len(files))
	}
	text := string(files[0].Data)
	d, err := readKickstart(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.all("cdrom")) != 1 || len(d.all("url"))+len(d.all("repo")) != 0 {
		t.Error("packages do not come from the medium that was booted")
	}
	for _, never := range []string{"http://", "report_url='h"} {
		if strings.Contains(text, never) {
			t.Errorf("%q in an answer that must work alone", never)
		}
	}
	seed := Candidate{Target: onUbuntu(t, "24.04", 1)}
	label, files, err = Medium([]Candidate{seed})
	if err != nil || label != "CIDATA" || len(files) != 3 || files[0].Name != "user-data" || files[1].Name != "meta-data" {
		t.Errorf("Ubuntu: %s, %d files, %v", label, len(files), err)
	}
	if strings.Contains(string(files[0].Data), "http://10.20.0.1:8080") {
		t.Error("a seed on a volume refers to the daemon")
	}
}

func TestMediumRefusals(t *testing.T) {
	deb := Candidate{Target: target(t, debian("13"))}
	a, b := Candidate{Target: onUbuntu(t, "24.04", 1)}, Candidate{Target: onUbuntu(t, "24.04", 1)}
	for name, tt := range map[string]struct {
		nodes []Candidate
		want  string
	}{
		"nobody":       {nil, "no node"},
		"Debian":       {[]Candidate{deb}, "install over the network"},
		"two Ubuntus":  {[]Candidate{a, b}, "one for each"},
		"two families": {[]Candidate{candidate(t, "n1", "S1"), a}, "not installed by kickstart"},
		"no identity":  {[]Candidate{candidate(t, "n1", "S1"), candidate(t, "n2", "To be filled by O.E.M.")}, "neither mac nor serial"},
	} {
		if _, _, err := Medium(tt.nodes); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// TestMediumFindsItsMachine runs the first script of a medium for several
// nodes on machines made up for it.
func TestMediumFindsItsMachine(t *testing.T) {
	_, files, err := Medium([]Candidate{
		candidate(t, "node-1", "SN1", "52:54:00:00:00:01", "52:54:00:00:00:11"),
		candidate(t, "node-2", "SN2", "52:54:00:00:00:02"),
		candidate(t, "node-3", "", "52:54:00:00:00:03"),
		candidate(t, "node-4", "it's $(reboot)", "52:54:00:00:00:02"),
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := readKickstart(string(files[0].Data))
	if err != nil || len(d.sections) != 1 || len(d.all("%include")) != 1 {
		t.Fatalf("%v: %d sections", err, len(d.sections))
	}
	medium := onMedium(t, files)
	for _, f := range files[1:] {
		if strings.HasSuffix(f.Name, ".cfg") {
			node, err := readKickstart(string(f.Data))
			if err != nil || len(node.section("%pre")) != 0 || len(node.section("%post")) == 0 {
				t.Errorf("%s: %v, its %%pre would not run from there", f.Name, err)
			}
		}
	}
	sda := disk{name: "sda", links: []string{"by-id/wwn-0x5000c500a1b2c3d4"}}
	other := disk{name: "sda", links: []string{"by-id/wwn-0x5000c500ffffffff"}}
	for _, tt := range []struct {
		name, serial string
		macs         []string
		disk         disk
		node, says   string // an empty node means that the install stops
	}{
		{"by MAC", "", []string{"00:00:00:00:00:00", "52:54:00:00:00:11"}, sda, "node-1", ""},
		{"by serial", " sn2 ", nil, sda, "node-2", ""},
		{"by both", "SN1", []string{"52:54:00:00:00:01"}, sda, "node-1", ""},
		{"by MAC in capitals", "", []string{"52:54:00:00:00:0A", "52:54:00:00:00:03"}, sda, "node-3", ""},
		{"a stranger", "SN9", []string{"52:54:00:00:00:99"}, sda, "", "for none of its MACs"},
		{"nothing known", "", nil, sda, "", "for none of its MACs"},
		{"two have its MAC", "", []string{"52:54:00:00:00:02"}, sda, "", "any of node-2, node-4"},
		{"serial of one, MAC of another", "SN1", []string{"52:54:00:00:00:03"}, sda, "", "any of node-1, node-3"},
		{"its disk is missing", "SN1", nil, other, "", "no disk fits"},
	} {
		for _, shell := range shells(t) {
			sys, dev := sysfs(t, true, tt.disk)
			for i, mac := range tt.macs {
				writeText(t, filepath.Join(sys, "class/net", "eth"+string(rune('0'+i)), "address"), mac+"\n")
			}
			writeText(t, filepath.Join(sys, "class/dmi/id/product_serial"), tt.serial+"\n")
			out := t.TempDir()
			env := []string{
				"RACKSEED_SYS=" + sys, "RACKSEED_DEV=" + dev, "RACKSEED_MEDIUM=" + medium, "RACKSEED_CONSOLE=/dev/null", "RACKSEED_MOUNTS=/dev/null",
				"RACKSEED_NODE_LOG=" + filepath.Join(out, "told"), "RACKSEED_NODE_INCLUDE=" + filepath.Join(out, "node.ks"), "RACKSEED_INCLUDE=" + filepath.Join(out, "disk.ks"), diskLog(t),
				"PATH=" + commands(t, map[string]string{"udevadm": "exit 0", "lvm": "exit 0", "mdadm": "exit 0", "curl": "echo a report >&2; exit 1"}) + ":" + os.Getenv("PATH"),
			}
			text, err := runScript(t, shell, d.sections[0].body, env...)
			if strings.Contains(text, "a report") {
				t.Errorf("%s: reports:\n%s", tt.name, text)
			}
			if tt.node == "" {
				if err == nil || !strings.Contains(text, tt.says) {
					t.Errorf("%s %v: %v, no %q in\n%s", tt.name, shell, err, tt.says, text)
				}
				continue
			}
			if err != nil || !strings.Contains(text, "  "+tt.node+": ") {
				t.Errorf("%s %v: %v\n%s", tt.name, shell, err, text)
				continue
			}
			if !strings.Contains(read(t, filepath.Join(out, "node.ks")), "--hostname="+tt.node+".") {
				t.Errorf("%s: another node's kickstart", tt.name)
			}
		}
	}
	t.Run("shellcheck", func(t *testing.T) {
		if _, err := exec.LookPath("shellcheck"); err != nil {
			t.Skip("needs shellcheck: apt install shellcheck")
		}
		cmd := exec.Command("shellcheck", "-S", "warning", "-s", "sh", "-")
		cmd.Stdin = strings.NewReader(d.sections[0].body)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func writeText(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
