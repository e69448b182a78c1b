package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/export"
	"github.com/rackseed/rackseed/pkg/site"
)

// medium makes up the library's entry for an image of a plan, as the name of
// its file tells it.
func medium(t *testing.T, s *site.Settings, name string) site.Image {
	t.Helper()
	system := s.SystemOf(name)
	i := site.Image{
		Name: name, Digest: strings.Repeat("a", 64), Distro: system.Distro, Version: system.Version, Arch: system.Arch, Label: "MEDIUM",
		Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img", Repos: []string{"."},
	}
	switch system.Distro {
	case "rocky", "almalinux", "centos", "rhel":
		i.Family, i.Repos = "rhel", []string{"BaseOS", "AppStream"}
	case "openeuler", "kylin":
		i.Family = system.Distro
	case "debian":
		i.Family, i.Kernel, i.Initrd, i.Stage2 = "debian", "install.amd/vmlinuz", "install.amd/initrd.gz", ""
	case "ubuntu":
		i.Family, i.Kernel, i.Initrd, i.Stage2 = "ubuntu", "casper/vmlinuz", "casper/initrd", ""
	default:
		t.Fatalf("image %s: nobody can tell what %q installs", name, s.Images[name].File)
	}
	return i
}

// TestExamples: every example checks, every node of it renders for its image,
// and every export is written.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, text := checkPlan(file, data); len(text) > 0 {
				t.Errorf("findings:\n%s", strings.Join(text, "\n"))
			}
			s, x, err := offline(file)
			if err != nil {
				t.Fatal(err)
			}
			for name := range s.Settings.Images {
				if err := s.Apply(site.Event{Seq: s.Seq + 1, Body: site.ImageAdded{Image: medium(t, &s.Settings, name)}}); err != nil {
					t.Fatal(err)
				}
			}
			compose := x.compose(false)
			for _, m := range s.Machines() {
				renders(t, s, compose, m.Node)
			}
			for _, kind := range export.Kinds() {
				if e, err := exportState(s, kind); err != nil || len(e.Files) == 0 {
					t.Errorf("export %s: %d files, %v", kind, len(e.Files), err)
				}
			}
		})
	}
}

// renders looks for what is the node's own in what its installer would be
// served: its name, its final network, its disks.
func renders(t *testing.T, s *site.State, compose *bootplan.Composer, n *site.Node) {
	t.Helper()
	image, _ := s.Images.Get(s.Settings.ImageOf(n))
	answers, err := compose.Answers(s, n, image, 1, site.MAC{}, "http://10.20.0.5:8080", tokenMask)
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	var all []byte
	for _, f := range answers.Files {
		all = append(all, f.Data...)
	}
	wanted := []string{n.Name, fmt.Sprint(n.Addresses["management"]), "bond0"}
	for _, d := range s.Settings.DisksOf(n).System {
		wanted = append(wanted, d.Model)
	}
	for _, want := range wanted {
		if !bytes.Contains(all, []byte(want)) {
			t.Fatalf("the answer files of %s do not mention %q", n.Name, want)
		}
	}
}
