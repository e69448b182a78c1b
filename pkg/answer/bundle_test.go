package answer

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bundle(t testing.TB, target *Target) string {
	t.Helper()
	data, err := Bundle(target)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// debianRoot is a folder that looks like an installed Debian to a bundle.
func debianRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/os-release":                      "ID=debian\nVERSION_ID=13\n",
		"etc/debian_version":                  "13.1\n",
		"etc/hosts":                           "127.0.0.1 localhost\n127.0.1.1 old\n",
		"etc/hostname":                        "old\n",
		"etc/chrony/chrony.conf":              "pool 2.debian.pool.ntp.org iburst\n",
		"lib/systemd/system/ssh.service":      "",
		"lib/systemd/system/chrony.service":   "",
		"lib/systemd/system/tuned.service":    "",
		"etc/sysctl.d/60-rackseed.conf":       "vm.swappiness = 60\n",
		"boot/grub/grub.cfg":                  "\tlinux /vmlinuz root=UUID=1 ro\n",
		"etc/modules-load.d/99-customer.conf": "dummy\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// debianPrograms fakes the programs of a Debian that has every package but chrony.
func debianPrograms(t *testing.T) string {
	return commands(t, map[string]string{
		"systemctl":   `for last; do :; done; case $* in *is-enabled*) [ ! -f "$ROOT/enabled/$last" ] || echo enabled;; *disable*) rm -f "$ROOT/enabled/$last";; *enable*) mkdir -p "$ROOT/enabled" && : >"$ROOT/enabled/$last";; esac`,
		"dpkg-query":  `for last; do :; done; if [ "$last" != chrony ] || [ -f "$ROOT/installed" ]; then printf installed; fi`,
		"apt-get":     `case $* in *" install chrony") : >"$ROOT/installed";; *) echo "unexpected: $*"; exit 1;; esac`,
		"id":          "echo 0",
		"chroot":      "shift; \"$@\"",
		"update-grub": `. "$ROOT/etc/default/grub.d/60-rackseed.cfg"; echo "	linux /vmlinuz root=UUID=1 ro$GRUB_CMDLINE_LINUX" >"$ROOT/boot/grub/grub.cfg"`,
	})
}

var backupPath = regexp.MustCompile(`/var/lib/rackseed/backup/[0-9TZ+]+`)

func withoutBackups(files map[string]string) map[string]string {
	kept := map[string]string{}
	for name, text := range files {
		if !strings.HasPrefix(name, "/var") {
			kept[name] = text
		}
	}
	return kept
}

func TestBundle(t *testing.T) {
	for _, shell := range shells(t) {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			root, path := debianRoot(t), debianPrograms(t)+":"+os.Getenv("PATH")
			script := bundle(t, everything(t, debian("13")))
			run := func(args ...string) (string, error) {
				cmd := within(t, shell[0], append(append(shell[1:len(shell):len(shell)], scriptFile(t, script)), args...)...)
				cmd.Env = []string{"ROOT=" + root, "PATH=" + path, "TMPDIR=" + t.TempDir()}
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			must := func(args ...string) string {
				t.Helper()
				out, err := run(args...)
				if err != nil {
					t.Fatalf("%s: %v\n%s", args, err, out)
				}
				return out
			}
			untouched := tree(t, root)
			same := func(what string, before map[string]string) {
				t.Helper()
				if diff := cmp.Diff(before, tree(t, root)); diff != "" {
					t.Errorf("%s changed something (-before +after):\n%s", what, diff)
				}
			}
			for _, flag := range []string{"--dry-run", "--diff", "--help"} {
				out := must(flag)
				same(flag, untouched)
				if flag != "--help" && !strings.Contains(out, "would change: packages installed: chrony") {
					t.Errorf("%s says nothing of the missing package:\n%s", flag, out)
				}
				if flag == "--diff" && !strings.Contains(out, "-vm.swappiness = 60\n") {
					t.Errorf("the diff has no old line:\n%s", out)
				}
			}
			out := must()
			if !strings.Contains(out, "changed: /etc/hosts\n") || !strings.Contains(out, "changed: boot loader: kernel arguments intel_iommu=on") {
				t.Errorf("got:\n%s", out)
			}
			first := backupPath.FindString(out)
			if _, err := os.Stat(filepath.Join(root, first, "changes")); first == "" || err != nil {
				t.Fatalf("no backup is named, or it has no log (%v):\n%s", err, out)
			}
			applied := tree(t, root)
			for _, args := range [][]string{nil, {"--dry-run"}, {"--diff"}} {
				if out := must(args...); !strings.Contains(out, "Nothing to change: this system is what cs-controller-01 must be.") {
					t.Errorf("a further run says:\n%s", out)
				}
				same("a further run", applied)
			}
			must("--restore", "latest", "--dry-run")
			same("a dry run of --restore", applied)
			out = must("--restore", filepath.Base(first))
			if !strings.Contains(out, "Packages stay: chrony") {
				t.Errorf("nothing is said of packages:\n%s", out)
			}
			want, got := onlyFiles(untouched), onlyFiles(withoutBackups(tree(t, root)))
			delete(got, "/installed")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("not as before (-want +got):\n%s", diff)
			}
			if out := must("--restore", filepath.Base(first)); !strings.Contains(out, "Nothing to bring back") {
				t.Errorf("a second time:\n%s", out)
			}
		})
	}
}

// TestBundleOfRelease: one bundle serves every release of the RHEL family, and
// asks of each the packages that it has.
func TestBundleOfRelease(t *testing.T) {
	t.Parallel()
	path := commands(t, map[string]string{
		"rpm":       `for last; do :; done; [ "$last" != kernel-modules-extra ]`,
		"systemctl": "echo enabled", "id": "echo 0", "chroot": "exit 1",
	}) + ":" + os.Getenv("PATH")
	script := scriptFile(t, bundle(t, everything(t, rocky9())))
	for version, extra := range map[string]bool{"8.10": false, "9.6": false, "10.1": true} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=rocky\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\""+version+"\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := within(t, "sh", script, "--dry-run")
		cmd.Env = []string{"ROOT=" + root, "PATH=" + path, "TMPDIR=" + t.TempDir()}
		out, _ := cmd.CombinedOutput() // services are missing as well
		if got := strings.Contains(string(out), "would change: packages installed: kernel-modules-extra\n"); got != extra {
			t.Errorf("%s: asks for kernel-modules-extra: %v\n%s", version, got, out)
		}
	}
}

// onlyFiles leaves folders out, which --restore does not remove.
func onlyFiles(all map[string]string) map[string]string {
	files := map[string]string{}
	for name, text := range all {
		if strings.HasPrefix(text, "-") {
			files[name] = text
		}
	}
	return files
}

func TestBundleRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, release string
		args          []string
		want          string
	}{
		{"another family", "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n", nil, "made for debian, and this system is rhel"},
		{"a relative", "ID=ubuntu\nID_LIKE=debian\n", nil, "made for debian, and this system is ubuntu"},
		{"an unknown option", "ID=debian\n", []string{"--force"}, "--force is not known"},
		{"a backup that is not there", "ID=debian\n", []string{"--restore", "20000101T000000Z"}, "there is no backup 20000101T000000Z"},
		{"no network in the plan", "ID=debian\n", []string{"--confirm-network"}, "the plan has no network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := debianRoot(t)
			if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte(tt.release), 0o644); err != nil {
				t.Fatal(err)
			}
			before := tree(t, root)
			cmd := within(t, "sh", append([]string{scriptFile(t, bundle(t, everything(t, debian("13"))))}, tt.args...)...)
			cmd.Env = []string{"ROOT=" + root, "PATH=" + debianPrograms(t) + ":" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), tt.want) {
				t.Errorf("got %v, want status 2 and %q:\n%s", err, tt.want, out)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("it changed something (-before +after):\n%s", diff)
			}
		})
	}
}
