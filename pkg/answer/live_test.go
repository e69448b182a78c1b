package answer

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/cpio"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

func overlay(t *testing.T, target *Target) []byte {
	t.Helper()
	data, err := Overlay(target)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// unpack has cpio make the files, as the kernel does.
func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("needs cpio: apt install cpio")
	}
	dir := t.TempDir()
	cmd := exec.Command("cpio", "-i", "-d", "-m", "--no-absolute-filenames", "--quiet")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v %s", err, out)
	}
	return dir
}

func TestOverlayUnpacks(t *testing.T) {
	target := target(t, rocky9())
	archive := overlay(t, target)
	if len(archive)%cpio.Block != 0 {
		t.Errorf("%d bytes: another archive cannot follow", len(archive))
	}
	if !bytes.Equal(archive, overlay(t, target)) {
		t.Error("two overlays of one target differ")
	}
	// Two archives in a row are one to the kernel, and to cpio the first ends the second.
	root := unpack(t, archive)
	wantTune, err := tuneScript(&Target{Intent: target.Intent, Image: target.Image, Root: target.Root})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		mode os.FileMode
		text string
	}{
		"rackseed/tune.sh":                            {0o700, wantTune},
		"rackseed/root/etc/rackseed/node":             {0o644, "cs-controller-01\n"},
		"rackseed/root/etc/iscsi/initiatorname.iscsi": {0o600, "InitiatorName=iqn.2026-01.net.example.gz:cs-controller-01\n"},
		"lib/dracut/hooks/pre-pivot/50-rackseed.sh":   {0o755, ""},
		"rackseed/root/etc/machine-id":                {0o444, ""},
		"rackseed/root/etc/nvme/hostnqn":              {0o644, ""},
	} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm() != want.mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want.mode)
		}
		if got := read(t, filepath.Join(root, name)); want.text != "" && got != want.text {
			t.Errorf("%s: got %q, want %q", name, got, want.text)
		}
	}
	if strings.Contains(string(archive), target.Token) {
		t.Error("the overlay has the token of an attempt")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestIdentityDiffersByNodeAndSite, and not by boot.
func TestIdentityDiffersByNodeAndSite(t *testing.T) {
	seen := map[string]string{}
	for _, place := range []string{"guangzhou-a", "guangzhou-b"} {
		for _, node := range []string{"cs-computer-0001", "cs-computer-0002"} {
			target := target(t, rocky9())
			target.Site, target.Intent.Node = place, node
			for _, f := range identity(&words{}, target) {
				switch f.path {
				case "/etc/machine-id", "/etc/nvme/hostid", "/etc/nvme/hostnqn":
					if who := place + " " + node; seen[f.text] != "" {
						t.Errorf("%s: %s and %s have the same", f.path, seen[f.text], who)
					}
					seen[f.text] = place + " " + node
				}
			}
		}
	}
}

func TestStatelessRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*profile.Intent)
		want string // empty means allowed
	}{
		{"compute", func(i *profile.Intent) { i.Profile, i.Chain = "compute", []string{"base", "compute"} }, ""},
		{"a child of controller", func(i *profile.Intent) { i.Profile, i.Chain = "ours", []string{"base", "controller", "ours"} }, "profile controller"},
		{"database", func(i *profile.Intent) { i.Profile, i.Chain = "database", []string{"base", "database"} }, "profile database"},
		{"hyperconverged", func(i *profile.Intent) { i.Chain = []string{"base", "compute", "storage-hyperconverged"} }, "profile storage-hyperconverged"},
		{"OSD disks", func(i *profile.Intent) { i.Disks.OSD = []site.DiskSelector{{Model: "x"}} }, "disks for Ceph"},
	} {
		target := target(t, rocky9())
		tt.set(target.Intent)
		_, err := Overlay(target)
		_, argsErr := LiveArgs(target, "http://10.20.0.1:8080/live.squashfs")
		if (err == nil) != (argsErr == nil) || (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", tt.name, err, argsErr, tt.want)
		}
	}
}

func TestLiveArguments(t *testing.T) {
	target := target(t, rocky9())
	target.Intent.KernelArgs = []profile.KernelArg{{Arg: "hugepages=16"}}
	args, err := LiveArgs(target, "http://10.20.0.1:8080/live.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"root=live:http://10.20.0.1:8080/live.squashfs", "rd.neednet=1", "BOOTIF=01-52-54-00-12-34-56", "hugepages=16", "enforcing=0"} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %v", want, args)
		}
	}
}

// TestHookMakesTheNode sources the hook as dracut does. The new root is this
// very system with a layer over it that takes the changes.
func TestHookMakesTheNode(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts and changes its root")
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		t.Skip("needs systemctl: apt install systemd")
	}
	target := target(t, debian("12"))
	target.Intent.Services, target.Intent.Access.Root = nil, site.RootLocked
	initramfs := unpack(t, overlay(t, target))
	for _, works := range []bool{true, false} {
		base := t.TempDir()
		script := fmt.Sprintf(`set -e
mount -t tmpfs none %[1]s
mkdir %[1]s/upper %[1]s/work %[1]s/new
mount -t overlay overlay -o lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work %[1]s/new || exit 77
set +e
NEWROOT=%[1]s/new
RACKSEED_OVERLAY=%[2]s/rackseed
RACKSEED_LOG=%[1]s/log
die() { echo "died: $*"; }
. %[2]s/lib/dracut/hooks/pre-pivot/50-rackseed.sh
echo "mounts left: $(grep -c " %[1]s/new/" /proc/mounts)"
cat %[1]s/new/etc/hostname %[1]s/new/etc/machine-id
ls %[1]s/new/rackseed-tune.sh 2>/dev/null
cat %[1]s/new/etc/sysctl.d/60-rackseed.conf | head -n 1
cat %[1]s/new/root/.ssh/authorized_keys
`, base, initramfs)
		if !works {
			if err := os.WriteFile(filepath.Join(initramfs, "rackseed/tune.sh"), []byte("echo no\nexit 1\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script).CombinedOutput()
		if err != nil && strings.Contains(string(out), "mount") && !strings.Contains(string(out), "mounts left") {
			t.Skipf("needs overlayfs: %v %s", err, out)
		}
		text := string(out)
		if !strings.Contains(text, "mounts left: 0\n") {
			t.Errorf("the hook leaves mounts:\n%s", text)
		}
		if !works {
			if !strings.Contains(text, "died: Rackseed") {
				t.Errorf("a node that was not tuned goes on:\n%s", text)
			}
			continue
		}
		id := fmt.Sprint(read(t, filepath.Join(initramfs, "rackseed/root/etc/machine-id")))
		for _, want := range []string{"\ncs-controller-01\n", id, keyAnna} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		if strings.Contains(text, "died") || strings.Contains(text, "rackseed-tune.sh") {
			t.Errorf("the hook fails:\n%s", text)
		}
	}
}
