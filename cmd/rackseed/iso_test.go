package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/image/iso"
	"github.com/rackseed/rackseed/pkg/site"
)

func manyFiles() []answer.File {
	files := []answer.File{{Name: "ks.cfg", Data: []byte("reboot\n")}, {Name: "user-data", Data: []byte("#cloud-config\n")}, {Name: "meta-data"}}
	for n := range 300 { // more than a sector of a directory holds
		files = append(files, answer.File{Name: fmt.Sprintf("nodes/%04d.cfg", n), Data: bytes.Repeat([]byte{'a' + byte(n%26)}, n*17)})
	}
	return files
}

func readMedium(t *testing.T, name string) (*iso.Index, fs.FS) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	index, err := iso.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return index, index.FS(f)
}

// TestMediumReadsBack compares what is on a medium with what was put there,
// by our own reader and by Debian's.
func TestMediumReadsBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "answers.iso")
	files := manyFiles()
	if err := writeMedium(name, "OEMDRV", files); err != nil {
		t.Fatal(err)
	}
	index, tree := readMedium(t, name)
	if index.Label != "OEMDRV" {
		t.Errorf("label %q", index.Label)
	}
	for _, f := range files {
		if got, err := fs.ReadFile(tree, f.Name); err != nil || !bytes.Equal(got, f.Data) {
			t.Errorf("%s: %d bytes, not %d: %v", f.Name, len(got), len(f.Data), err)
		}
	}
	t.Run("xorriso", func(t *testing.T) {
		if _, err := exec.LookPath("xorriso"); err != nil {
			t.Skip("needs xorriso: apt install xorriso")
		}
		out := t.TempDir()
		if text, err := exec.Command("xorriso", "-no_rc", "-osirrox", "on", "-indev", name, "-extract", "/", out).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, f := range files {
			if got, err := os.ReadFile(filepath.Join(out, f.Name)); err != nil || !bytes.Equal(got, f.Data) {
				t.Errorf("%s: %d bytes, not %d: %v", f.Name, len(got), len(f.Data), err)
			}
		}
	})
	t.Run("isoinfo", func(t *testing.T) {
		if _, err := exec.LookPath("isoinfo"); err != nil {
			t.Skip("needs isoinfo: apt install genisoimage")
		}
		text, err := exec.Command("isoinfo", "-d", "-i", name).Output()
		if err != nil || !strings.Contains(string(text), "Volume id: OEMDRV") {
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func TestMenusAreToldOfTheAnswers(t *testing.T) {
	for menu, want := range map[string]string{
		"\tlinuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=R rd.live.check quiet\n\tinitrdefi /i\n": "\tlinuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=R quiet inst.ks=K\n\tinitrdefi /i\n",
		"  append initrd=initrd.img quiet\n  menu label linux\n":                                          "  append initrd=initrd.img quiet inst.ks=K\n  menu label linux\n",
		"\tlinux\t/casper/vmlinuz  ---\n":                                                                 "\tlinux /casper/vmlinuz inst.ks=K ---\n",
		"set timeout=60\n# linux x\n":                                                                     "set timeout=60\n# linux x\n",
	} {
		if got := withArguments(menu, "inst.ks=K"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// TestRemaster writes a small medium of the RHEL family again, and reads it:
// its menus, the one inside the image that firmware starts from, and what
// was there before.
func TestRemaster(t *testing.T) {
	for _, program := range []string{"xorriso", "mformat", "mcopy"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: apt install xorriso mtools", program)
		}
	}
	dir := t.TempDir()
	const menu = "menuentry 'Install' {\n\tlinuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=Rocky-9-6-x86_64-dvd rd.live.check quiet\n}\n"
	tree := filepath.Join(dir, "tree")
	for name, text := range map[string]string{"EFI/BOOT/grub.cfg": menu, "images/pxeboot/vmlinuz": "kernel", "images/install.img": "stage 2", ".treeinfo": "[general]\n"} {
		if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fat := filepath.Join(tree, "images/efiboot.img")
	if err := os.WriteFile(fat, make([]byte, 1440<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "mformat", "-i", fat, "-f", "1440", "::")
	must(t, "mmd", "-i", fat, "::/EFI", "::/EFI/BOOT")
	must(t, "mcopy", "-i", fat, filepath.Join(tree, "EFI/BOOT/grub.cfg"), "::/EFI/BOOT/grub.cfg")
	in, out := filepath.Join(dir, "in.iso"), filepath.Join(dir, "out.iso")
	must(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "Rocky-9-6-x86_64-dvd", "-e", "images/efiboot.img", "-no-emul-boot", "-o", in, tree)

	media := site.Image{Family: "rhel", Label: "Rocky-9-6-x86_64-dvd"}
	files := []answer.File{{Name: "ks.cfg", Data: []byte("cdrom\n")}, {Name: "nodes/0001.cfg", Data: []byte("x\n")}}
	if err := remaster(context.Background(), in, out, media, files); err != nil {
		t.Fatal(err)
	}
	index, written := readMedium(t, out)
	if index.Label != media.Label {
		t.Errorf("label %q: the installer would not find its own", index.Label)
	}
	wanted := "inst.stage2=hd:LABEL=Rocky-9-6-x86_64-dvd quiet inst.ks=hd:LABEL=Rocky-9-6-x86_64-dvd:/ks.cfg inst.text"
	inFAT := filepath.Join(dir, "written.img")
	for name, want := range map[string]string{"ks.cfg": "cdrom\n", "nodes/0001.cfg": "x\n", "images/install.img": "stage 2", ".treeinfo": "[general]\n", "EFI/BOOT/grub.cfg": wanted} {
		if got, err := fs.ReadFile(written, name); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	data, err := fs.ReadFile(written, "images/efiboot.img")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inFAT, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("mtype", "-i", inFAT, "::/EFI/BOOT/grub.cfg").Output(); err != nil || !strings.Contains(string(text), wanted) {
		t.Errorf("the menu that firmware starts: %v\n%s", err, text)
	}
	report, err := exec.Command("xorriso", "-no_rc", "-indev", out, "-report_el_torito", "plain").Output()
	if err != nil || !strings.Contains(string(report), "/images/efiboot.img") {
		t.Errorf("it does not boot: %v\n%s", err, report)
	}
	media.Label = "RHEL 9 Server"
	if err := remaster(context.Background(), in, filepath.Join(dir, "no.iso"), media, files); err == nil || !strings.Contains(err.Error(), "leave out --remaster") {
		t.Errorf("a label with blanks: %v", err)
	}
}
