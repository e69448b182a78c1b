// Package bundle runs a bundle for real: in an installed Debian, made by
// debootstrap, in namespaces of its own.
package bundle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// The node has every kind of tuning, and packages that the root lacks.
const plan = `
site: bundle
domain: lab.example.net
access:
  root: locked
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops@lab]
provision: {network: provision}
networks:
  provision: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}
repositories:
  site: {url: "http://mirror.lab.example.net/debian"}
roles:
  nfv:
    profile: compute
    set: {nfv: true, hugepages_1g: 8, nofile: 16384} # which needs no privilege to be set
    hardware: {arch: x86_64, sockets: 2, cores: 8, threads: 2, memory: 64GiB, cpu_flags: [pdpe1gb, vmx], boot: uefi}
nodes:
  - name: nfv-[1-3]
    role: nfv
    addresses: {provision: 10.20.1.1+}
    disks: {system: [{serial: S1}]}
`

// other makes the same system a hyperconverged node that Kolla deploys to.
const other = `
site: bundle
domain: lab.example.net
access: {root: locked}
provision: {network: provision}
networks:
  provision: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1], roles: [provision, management, storage]}
openstack: {deployer: kolla, release: "2025.1", internal_vip: 10.20.0.250}
roles:
  hci:
    profile: storage-hyperconverged
    hardware: {arch: x86_64, sockets: 2, cores: 8, threads: 2, memory: 64GiB, cpu_flags: [pdpe1gb, vmx], boot: uefi}
nodes:
  - name: hci-1
    role: hci
    addresses: {provision: 10.20.1.9}
    disks: {system: [{serial: S1}], osd: [{serial: S2}, {serial: S3}]}
`

func intent(t *testing.T, plan string) *profile.Intent {
	t.Helper()
	doc, err := planfile.Parse("plan.yaml", []byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	i, err := profile.NewResolver(profiles.Files, &doc.Plan.Settings, func(yield func(*site.Node) bool) {
		for n := range doc.Plan.Nodes {
			if !yield(&doc.Plan.Nodes[n]) {
				return
			}
		}
	}).Resolve(&doc.Plan.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// host is an installed system that a bundle can be run in.
type host struct{ root string }

func newHost(t *testing.T, bundle []byte) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes namespaces and a Debian root")
	}
	for _, tool := range []struct{ name, pkg string }{{"debootstrap", "debootstrap"}, {"unshare", "util-linux"}, {"setpriv", "util-linux"}, {"ip", "iproute2"}} {
		if _, err := exec.LookPath(tool.name); err != nil {
			t.Skipf("needs %s: apt install %s", tool.name, tool.pkg)
		}
	}
	if testing.Short() {
		t.Skip("needs time: it unpacks a Debian")
	}
	cmd := exec.CommandContext(t.Context(), "./root.sh", "../../.cache/bundle")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("needs a Debian root, which root.sh could not make: %v", err)
	}
	h := &host{root: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "tar", "-C", h.root, "-xf", strings.TrimSpace(string(out))).CombinedOutput(); err != nil {
		t.Fatalf("unpacking the root: %v\n%s", err, out)
	}
	// A test's packages need no flushes, and must not start daemons.
	h.write(t, "etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n", 0o644)
	h.write(t, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
	h.write(t, "root/bundle.sh", string(bundle), 0o644)
	// What somebody else wrote, and Rackseed may change or must leave alone.
	h.write(t, "etc/hostname", "customer\n", 0o644)
	h.write(t, "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 customer\n192.0.2.9 keep\n", 0o644)
	h.write(t, "etc/sysctl.d/99-customer.conf", "net.core.optmem_max = 40960\n", 0o644)
	return h
}

func (h *host) write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// enter runs a command inside, and gives its output and exit status.
func (h *host) enter(t *testing.T, command ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := append([]string{"--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "./inside.sh", h.root}, command...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (h *host) must(t *testing.T, command ...string) string {
	t.Helper()
	out, status := h.enter(t, command...)
	if status != 0 {
		t.Fatalf("%s: status %d\n%s", command, status, out)
	}
	return out
}

// snapshot is everything of the system: kinds, modes, owners, contents,
// targets of links, and when each was changed.
func (h *host) snapshot(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(h.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		about := fmt.Sprintf("%s %d:%d %s", info.Mode(), owner.Uid, owner.Gid, info.ModTime().UTC().Format(time.RFC3339Nano))
		switch {
		case d.Type().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			sum := sha256.New()
			if _, err := io.Copy(sum, f); err != nil {
				return err
			}
			about += fmt.Sprintf(" %x", sum.Sum(nil)[:8])
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			about += " " + link
		}
		all[strings.TrimPrefix(path, h.root)] = about
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (h *host) unchanged(t *testing.T, what string, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, h.snapshot(t)); diff != "" {
		t.Errorf("%s changed the system (-before +after):\n%s", what, diff)
	}
}

func TestBundleInDebian(t *testing.T) {
	i := intent(t, plan)
	image := site.Image{Name: "debian", Family: "debian", Distro: "debian", Version: "12", Arch: "x86_64"}
	data, err := answer.Bundle(&answer.Target{Intent: i, Image: image})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, data)
	bundle := func(args ...string) []string { return append([]string{"sh", "/root/bundle.sh"}, args...) }

	untouched := h.snapshot(t)
	for _, flag := range []string{"--dry-run", "--diff"} {
		out := h.must(t, bundle(flag)...)
		h.unchanged(t, flag, untouched)
		if !strings.Contains(out, "would change: packages installed: chrony tuned\n") || !strings.Contains(out, "would change: /etc/hosts\n") {
			t.Errorf("%s does not say what it would change:\n%s", flag, out)
		}
	}

	out := h.must(t, bundle()...)
	t.Logf("first run:\n%s", out)
	for _, name := range []string{"chrony", "tuned"} {
		if status := h.must(t, "dpkg-query", "-W", "-f", "${db:Status-Status}", name); status != "installed" {
			t.Errorf("package %s is %s", name, status)
		}
	}
	applied := h.snapshot(t)
	for _, args := range [][]string{nil, {"--dry-run"}, {"--diff"}} {
		out := h.must(t, bundle(args...)...)
		if !strings.Contains(out, "Nothing to change: this system is what nfv-1 must be.") {
			t.Errorf("a further run %s says:\n%s", args, out)
		}
		h.unchanged(t, fmt.Sprint("a further run ", args), applied)
	}

	t.Run("systemd reads what was written", func(t *testing.T) { h.readBack(t, i) })
	t.Run("verify", func(t *testing.T) { h.verify(t, i, bundle("--verify")) })
	t.Run("verify sees a change", func(t *testing.T) {
		before, _ := h.enter(t, bundle("--verify")...)
		h.write(t, "etc/modules-load.d/60-rackseed.conf", "changed\n", 0o644)
		after, status := h.enter(t, bundle("--verify")...)
		if want := "/etc/modules-load.d/60-rackseed.conf: was changed since Rackseed wrote it"; status != 1 || !strings.Contains(after, want) || strings.Contains(before, want) {
			t.Errorf("status %d:\n%s", status, after)
		}
		out := h.must(t, bundle()...)
		if !strings.Contains(out, "changed: /etc/modules-load.d/60-rackseed.conf\n") || !strings.Contains(out, "\nChanges made: 1;") {
			t.Errorf("the run that mends it says:\n%s", out)
		}
	})
	t.Run("another role", func(t *testing.T) { h.become(t, other, image) })
}

// become runs the bundle of another role in a system that was something else,
// twice.
func (h *host) become(t *testing.T, plan string, image site.Image) {
	i := intent(t, plan)
	data, err := answer.Bundle(&answer.Target{Intent: i, Image: image})
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "root/other.sh", string(data), 0o644)
	h.write(t, "etc/selinux/config", "# The customer's.\nSELINUX=enforcing\nSELINUXTYPE=targeted\n", 0o644)
	before := h.snapshot(t)
	out := h.must(t, "sh", "/root/other.sh", "--dry-run")
	h.unchanged(t, "--dry-run", before)
	for _, want := range []string{
		"/etc/systemd/system/ceph-.service.d/60-rackseed.conf", "/etc/systemd/system/machine.slice.d/60-rackseed.conf",
		"/etc/systemd/system/ceph-osd@.service.d/60-rackseed.conf", "/etc/selinux/config", "/etc/sysctl.d/60-rackseed.conf",
	} {
		if !strings.Contains(out, "would change: "+want+"\n") {
			t.Errorf("it would not change %s:\n%s", want, out)
		}
	}
	h.must(t, "sh", "/root/other.sh")
	applied := h.snapshot(t)
	if out := h.must(t, "sh", "/root/other.sh"); !strings.Contains(out, "Nothing to change: this system is what hci-1 must be.") {
		t.Errorf("a second run says:\n%s", out)
	}
	h.unchanged(t, "a second run", applied)
	if out := h.must(t, "cat", "/etc/selinux/config"); !strings.Contains(out, "SELINUX=permissive\n") || !strings.Contains(out, "SELINUXTYPE=targeted\n") || strings.Contains(out, "enforcing") {
		t.Errorf("/etc/selinux/config is\n%s", out)
	}
	if out := h.must(t, "cat", "/etc/tuned/active_profile"); out != "throughput-performance rackseed-disks\n" {
		t.Errorf("tuned's profile is %s", out)
	}
	if _, status := h.enter(t, "test", "-e", "/etc/tuned/cpu-partitioning-variables.conf"); status == 0 {
		t.Error("what only the first role asked for has stayed")
	}
}

// readBack asks the system's own programs what they make of the files.
func (h *host) readBack(t *testing.T, i *profile.Intent) {
	// Only parameters of this network are writable here, and of those the size of the connection
	// table belongs to the machine. Nothing may be refused for how it is written.
	out, _ := h.enter(t, "sysctl", "--ignore", "--load", "/etc/sysctl.d/60-rackseed.conf")
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " = ") && !strings.Contains(line, "permission denied on key") && !strings.Contains(line, "nf_conntrack_max") {
			t.Errorf("sysctl says %s", line)
		}
	}
	if !strings.Contains(out, "net.ipv4.ip_forward = 1\n") {
		t.Errorf("sysctl reads:\n%s", out)
	}
	if out := h.must(t, "modprobe", "--showconfig"); !strings.Contains(out, "options bonding max_bonds=0") {
		t.Error("modprobe does not know of the options of bonding")
	}
	if out := h.must(t, "chronyd", "-p"); !strings.Contains(out, "server 10.20.0.1 iburst") {
		t.Errorf("chronyd reads:\n%s", out)
	}
	if out := h.must(t, "sh", "-c", "getent -A ahostsv4 nfv-1 2>/dev/null || getent ahostsv4 nfv-1"); !strings.HasPrefix(out, "10.20.1.1 ") {
		t.Errorf("nfv-1 leads to:\n%s", out)
	}
	if out := h.must(t, "cat", "/etc/hosts"); !strings.Contains(out, "192.0.2.9 keep\n") || strings.Contains(out, "127.0.1.1") {
		t.Errorf("/etc/hosts is\n%s", out)
	}
	for _, unit := range []string{"chrony", "ssh", "tuned"} {
		if out, _ := h.enter(t, "systemctl", "is-enabled", unit); strings.TrimSpace(out) != "enabled" {
			t.Errorf("%s is %s", unit, out)
		}
	}
	if out, status := h.enter(t, "tuned-adm", "profile_info", "rackseed-disks"); status != 0 && i.Tuned.Value != "" {
		t.Errorf("tuned does not know rackseed-disks:\n%s", out)
	}
}

// verify asserts exactly what differs in a system that was not booted.
func (h *host) verify(t *testing.T, i *profile.Intent, command []string) {
	out, status := h.enter(t, command...)
	got := strings.Split(strings.TrimSpace(out), "\n")
	var want []string
	say := func(format string, args ...any) { want = append(want, fmt.Sprintf(format, args...)) }
	for _, a := range i.KernelArgs {
		say("kernel argument %s: was not given at this boot", a.Arg)
	}
	say("huge pages of 1048576 KiB: 0 are allocated, planned 8")
	for _, m := range i.Modules {
		if _, err := os.Stat("/sys/module/" + strings.ReplaceAll(m.Name, "-", "_")); err != nil && (m.Load == nil || *m.Load) {
			say("module %s: is not loaded", m.Name)
		}
	}
	for _, s := range i.Sysctl {
		value, there := h.enter(t, "cat", "/proc/sys/"+strings.ReplaceAll(s.Key, ".", "/"))
		value = strings.Join(strings.Fields(value), " ")
		switch {
		case there != 0 || value == "":
			say("sysctl %s: is not set, planned %s", s.Key, s.Value)
		case value != s.Value:
			say("sysctl %s: is %s, planned %s", s.Key, value, s.Value)
		}
	}
	if now := selected(t, "/sys/kernel/mm/transparent_hugepage/enabled"); now != i.THP.Value {
		say("transparent huge pages: is %s, planned %s", now, i.THP.Value)
	}
	if now, err := os.ReadFile("/sys/kernel/mm/ksm/run"); err != nil {
		say("KSM: this kernel has none, planned %s", i.KSM.Value)
	} else if on := strings.TrimSpace(string(now)) == "1"; on != (i.KSM.Value == "on") {
		say("KSM: is %s, planned %s", map[bool]string{true: "on", false: "off"}[on], i.KSM.Value)
	}
	say("open files of services: is not set, planned 16384")
	say("tuned profile: is not set, planned %s rackseed-disks", i.Tuned.Value)
	for _, s := range i.Services {
		say("service %s: is not running", s)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || status != 1 {
		t.Errorf("status %d, deviations (-want +got):\n%s", status, diff)
	}
}

func selected(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\[(\w+)\]`).FindSubmatch(data)
	if found == nil {
		t.Fatalf("%s is %s", file, data)
	}
	return string(found[1])
}

// TestRestoreInDebian: with the packages there already, a restore leaves
// nothing behind but the backup, and folders.
func TestRestoreInDebian(t *testing.T) {
	data, err := answer.Bundle(&answer.Target{Intent: intent(t, plan), Image: site.Image{Name: "debian", Family: "debian", Distro: "debian", Version: "12", Arch: "x86_64"}})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, data)
	h.must(t, "apt-get", "-qq", "-y", "--no-install-recommends", "install", "chrony", "tuned")
	files := func() map[string]string {
		all := h.snapshot(t)
		for name, about := range all {
			if !strings.HasPrefix(about, "-") && !strings.HasPrefix(about, "L") || strings.HasPrefix(name, "/var/lib/rackseed/") {
				delete(all, name)
			}
		}
		return all
	}
	before := files()
	out := h.must(t, "sh", "/root/bundle.sh")
	backup := regexp.MustCompile(`/var/lib/rackseed/backup/(\S+)`).FindStringSubmatch(out)
	if backup == nil {
		t.Fatalf("no backup is named:\n%s", out)
	}
	if cmp.Equal(before, files()) {
		t.Fatalf("nothing was changed:\n%s", out)
	}
	out = h.must(t, "sh", "/root/bundle.sh", "--restore", backup[1])
	if diff := cmp.Diff(before, files()); diff != "" {
		t.Errorf("not as before (-before +after):\n%s\n%s", diff, out)
	}
	if out := h.must(t, "sh", "/root/bundle.sh", "--restore", "latest"); !strings.Contains(out, "Nothing to bring back") {
		t.Errorf("a second restore says:\n%s", out)
	}
}
