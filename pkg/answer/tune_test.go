package answer

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// everything is a target whose Intent has each kind of tuning.
func everything(t testing.TB, image site.Image) *Target {
	t.Helper()
	no := false
	why := profile.Reason{Why: "A reason.", Source: "a document"}
	target := target(t, image)
	i := target.Intent
	i.Hosts = []profile.Host{
		{Addr: netip.MustParseAddr("10.22.1.1"), Names: []string{"cs-controller-01.gz.example.net", "cs-controller-01"}},
		{Addr: netip.MustParseAddr("10.22.1.2"), Names: []string{"cs-controller-02"}},
	}
	i.KernelArgs = []profile.KernelArg{{Arg: "intel_iommu=on", Reason: why}, {Arg: "hugepagesz=1G"}, {Arg: "hugepages=200"}, {Arg: "isolcpus=managed_irq,domain,2-31"}}
	i.Modules = []profile.Module{{Name: "br_netfilter", Reason: why}, {Name: "kvm_intel", Options: "nested=1", Load: &no, Reason: why}}
	i.Tuned = profile.Choice{Value: "cpu-partitioning", Reason: why}
	i.THP = profile.Choice{Value: "never", Reason: why}
	i.KSM = profile.Choice{Value: "off", Reason: why}
	i.Schedulers = []profile.Scheduler{{Disks: "nvme", Scheduler: "none", Reason: why}, {Disks: "hdd", Scheduler: "mq-deadline", ReadAheadKB: 4096, Reason: why}}
	i.Slices = []profile.Slice{{Unit: "machine.slice", CPUs: "4-31", MemoryHigh: "200G", Reason: why}, {Unit: "ceph-osd@.service", CPUs: "0-3", Reason: why}}
	i.Firewall = profile.Choice{Value: "off", Reason: why}
	i.SELinux = profile.Choice{Value: "permissive", Reason: why}
	i.Journald = []profile.Setting{{Key: "SystemMaxUse", Value: "4G", Reason: why}}
	i.Clock = profile.Clock{LocalStratum: 10, Reason: why}
	i.Services = append(i.Services, "tuned")
	i.Derived = []profile.Setting{{Key: "isolated_cpus", Value: "2-31"}}
	i.Repositories = []profile.Repository{{Name: "site", URL: "http://mirror.gz.example.net/os"}}
	return target
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyTuning breaks one thing after the other on a host that is as
// planned.
func TestVerifyTuning(t *testing.T) {
	target := everything(t, rocky9())
	script, err := verifyScript(target)
	if err != nil {
		t.Fatal(err)
	}
	fake := healthy()
	fake["getent"] = "echo '10.22.1.1 STREAM cs-controller-01'"
	fake["tuned-adm"] = "echo 'Current active profile: cpu-partitioning rackseed-disks'"
	fake["systemd-analyze"] = "printf '[Journal]\\nSystemMaxUse=1G\\nSystemMaxUse=4G\\n'"
	fake["systemctl"] = `case $* in
		*DefaultLimitNOFILESoft*) echo 65536;; *is-active*sshd*|*is-active*chronyd*|*is-active*tuned*) ;; *is-active*) exit 3;;
		*LoadState*machine.slice*) echo loaded;; *LoadState*) echo not-found;; *AllowedCPUs*machine.slice*) echo 4-15 16-31;; esac`
	for _, tt := range []struct {
		name   string
		change map[string]string // of the tree; what is empty is not there
		fake   map[string]string
		want   string
	}{
		{name: "as planned"},
		{name: "KSM was never on", change: map[string]string{"sys/kernel/mm/ksm/run": "0\n"}},
		{"kernel argument", map[string]string{"proc/cmdline": "root=/dev/x intel_iommu=on hugepagesz=1G hugepages=20 isolcpus=managed_irq,domain,2-31\n"}, nil,
			"kernel argument hugepages=200: was not given at this boot"},
		{"huge pages", map[string]string{"sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "180\n"}, nil, "huge pages of 1048576 KiB: 180 are allocated, planned 200"},
		{"THP", map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n"}, nil, "transparent huge pages: is always, planned never"},
		{"KSM", map[string]string{"sys/kernel/mm/ksm/run": "1\n"}, nil, "KSM: is on, planned off"},
		{"scheduler", map[string]string{"sys/block/nvme0n1/queue/scheduler": "none [mq-deadline]\n"}, nil, "scheduler of nvme0n1: is mq-deadline, planned none"},
		{"read-ahead", map[string]string{"sys/block/sdb/queue/read_ahead_kb": "128\n"}, nil, "read-ahead of sdb in KiB: is 128, planned 4096"},
		{"a file", map[string]string{"etc/modules-load.d/60-rackseed.conf": "x\n"}, nil, "/etc/modules-load.d/60-rackseed.conf: was changed since Rackseed wrote it"},
		{"hosts", map[string]string{"etc/hosts": "127.0.0.1 localhost\n"}, nil, "/etc/hosts: the hosts of the plan are missing or changed"},
		{"tuned", nil, map[string]string{"tuned-adm": "echo 'Current active profile: balanced'"}, "tuned profile: is balanced, planned cpu-partitioning rackseed-disks"},
		{"journal", nil, map[string]string{"systemd-analyze": "echo SystemMaxUse=1G"}, "journald SystemMaxUse: is 1G, planned 4G"},
		{"slice", nil, map[string]string{"systemctl": strings.ReplaceAll(fake["systemctl"], "16-31", "16-30")}, "CPUs of machine.slice: are 4-15 16-30, planned 4-31"},
		{"cgroups are version 1", map[string]string{"sys/fs/cgroup/cgroup.controllers": ""}, nil,
			"CPUs of machine.slice: are all, as cgroups are version 1 here, planned 4-31: nova's cpu_shared_set must keep guests to them"},
		{"firewall", nil, map[string]string{"systemctl": strings.Replace(fake["systemctl"], "*is-active*tuned*)", "*is-active*tuned*|*is-active*firewalld*)", 1)}, "service firewalld: is running, planned off"},
		{"SELinux", map[string]string{"etc/selinux/config": "SELINUX=enforcing\n"}, map[string]string{"getenforce": "echo Enforcing"}, "SELinux: is enforcing, planned permissive"},
		{name: "SELinux is off", change: map[string]string{"etc/selinux/config": "SELINUX=disabled\n"}, fake: map[string]string{"getenforce": "echo Disabled"}},
		{"kernel parameter of the next boot", map[string]string{"etc/sysctl.conf": "# of the vendor\nvm.swappiness = 10\nnet.core.somaxconn=128 \n"}, nil,
			"sysctl net.core.somaxconn: /etc/sysctl.conf makes it 128 at the next boot, planned 4096"},
		{"time server", map[string]string{"etc/chrony.conf": "server 10.20.0.1 iburst\n"}, nil, "time server 10.20.0.2: chrony is not told of it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := tuned(t, target)
			write(t, root, map[string]string{
				"proc/cmdline": "root=/dev/x intel_iommu=on hugepagesz=1G hugepages=200 isolcpus=managed_irq,domain,2-31\n",
				"sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "200\n",
				"sys/kernel/mm/transparent_hugepage/enabled":               "always madvise [never]\n",
				"sys/kernel/mm/ksm/run":                                    "2\n",
				"sys/module/br_netfilter/refcnt":                           "0\n",
				"sys/fs/cgroup/cgroup.controllers":                         "cpuset cpu io memory\n",
				"sys/block/nvme0n1/queue/scheduler":                        "[none] mq-deadline\n",
				"sys/block/nvme0n1/queue/rotational":                       "0\n",
				"sys/block/sda/queue/scheduler":                            "[bfq] none\n",
				"sys/block/sda/queue/rotational":                           "0\n", // no planned kind
				"sys/block/sdb/queue/scheduler":                            "[mq-deadline] none\n",
				"sys/block/sdb/queue/rotational":                           "1\n",
				"sys/block/sdb/queue/read_ahead_kb":                        "4096\n",
				"sys/block/loop0/queue/scheduler":                          "[mq-deadline]\n",
				"root/.ssh/authorized_keys":                                keyAnna + "\n" + keyBo + "\n",
			})
			write(t, root, tt.change)
			for name, text := range tt.change {
				if text == "" {
					removeFile(t, filepath.Join(root, name))
				}
			}
			programs := map[string]string{}
			for _, from := range []map[string]string{fake, tt.fake} {
				for name, text := range from {
					programs[name] = text
				}
			}
			cmd := within(t, "sh", scriptFile(t, script))
			cmd.Env = []string{"PATH=" + commands(t, programs) + ":" + os.Getenv("PATH"), "ROOT=" + root, "RACKSEED_PROC=" + root + "/proc", "RACKSEED_SYS=" + root + "/sys"}
			out, err := cmd.CombinedOutput()
			if diff := cmp.Diff(tt.want, strings.TrimSpace(string(out))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.want == "") {
				t.Errorf("the exit status does not tell: %v", err)
			}
		})
	}
}

// TestHardeningKeepsToThePlan: openEuler's tool writes into /etc/sysctl.conf at the first boot, which
// is read after every drop-in.
func TestHardeningKeepsToThePlan(t *testing.T) {
	target := everything(t, rocky9())
	target.Intent.Sysctl = []profile.Setting{
		{Key: "net.ipv4.ip_forward", Value: "1"}, {Key: "net.ipv4.conf.all.rp_filter", Value: "0"}, {Key: "vm.swappiness", Value: "10"},
		{Key: "net.ipv4.tcp_rmem", Value: "4096 131072 16777216"}, {Key: "kernel.core_pattern", Value: "|/usr/bin/keep %p"},
	}
	root := tuned(t, target)
	write(t, root, map[string]string{
		"etc/sysctl.conf": "# of the vendor\nkernel.sysrq=0\n net/ipv4/ip_forward = 0\n-net.ipv4.conf.all.rp_filter=1\nnet.ipv4.ip_forward_use_pmtu=0\n" +
			"vm.swappiness=10\nnet.ipv4.tcp_rmem = 4096\t131072 16777216\nkernel.core_pattern = |/usr/bin/keep %p\n",
		"etc/openEuler_security/security.conf": "# items\n301@m@/etc/sysctl.conf@net.ipv4.ip_forward=@0\n302@m@/etc/sysctl.conf@net.ipv4.icmp_echo_ignore_broadcasts=@1\n303@m@/etc/ssh/sshd_config@Protocol @2\n",
	})
	if err := os.Chmod(filepath.Join(root, "etc/openEuler_security/security.conf"), 0o400); err != nil {
		t.Fatal(err)
	}
	script, err := tuneScript(target)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"ROOT=" + root, "PATH=" + commands(t, map[string]string{"systemctl": "exit 0"}) + ":" + os.Getenv("PATH")}
	for _, shell := range shells(t) {
		if out, err := runScript(t, shell, script, env...); err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
	}
	if out, err := runScript(t, []string{"sh"}, script, env...); err != nil || strings.Contains(out, "/etc/") {
		t.Errorf("a further run: %v\n%s", err, out)
	}
	after := tree(t, root)
	for name, want := range map[string]string{
		"/etc/sysctl.conf": "-rw-r--r--\n# of the vendor\nkernel.sysrq=0\n# Rackseed plans another value:  net/ipv4/ip_forward = 0\n# Rackseed plans another value: -net.ipv4.conf.all.rp_filter=1\nnet.ipv4.ip_forward_use_pmtu=0\n" +
			"vm.swappiness=10\nnet.ipv4.tcp_rmem = 4096\t131072 16777216\nkernel.core_pattern = |/usr/bin/keep %p\n",
		"/etc/openEuler_security/security.conf": "-r--------\n# items\n302@m@/etc/sysctl.conf@net.ipv4.icmp_echo_ignore_broadcasts=@1\n303@m@/etc/ssh/sshd_config@Protocol @2\n",
	} {
		if diff := cmp.Diff(want, after[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestKernelArgumentsByGrubby follows a change of plan in the RHEL family,
// whose tool is imitated here by a file for each boot entry.
func TestKernelArgumentsByGrubby(t *testing.T) {
	root := debianRoot(t)
	if err := os.Remove(filepath.Join(root, "etc/debian_version")); err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{
		"etc/default/grub":            "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"rd.md=0 quiet\"\n",
		"boot/loader/entries/1.conf":  "rd.md=0 quiet\n",
		"boot/loader/entries/2.conf":  "rd.md=0 quiet\n",
		"boot/grub2/grub.cfg":         "x\n",
		"etc/rackseed/something-else": "stays\n",
	})
	fake := map[string]string{
		"systemctl": "exit 0", "curl": "exit 7", "chroot": "shift; \"$@\"",
		"grubby": `for f in "$ROOT"/boot/loader/entries/*.conf; do case $* in
			--info=ALL) printf 'index=0\nargs="%s"\n' "$(cat "$f")";;
			*--remove-args=*) for a in ${2#--remove-args=}; do sed -i "s/ $a\( \|\$\)/\1/" "$f"; done;;
			*--args=*) for a in ${2#--args=}; do grep -q " $a\( \|\$\)" "$f" || sed -i "s/\$/ $a/" "$f"; done;;
			esac; done`,
	}
	path := commands(t, fake) + ":" + os.Getenv("PATH")
	tune := func(args ...profile.KernelArg) string {
		target := target(t, rocky9())
		target.Intent.KernelArgs = args
		script, err := tuneScript(target)
		if err != nil {
			t.Fatal(err)
		}
		out, err := runScript(t, []string{"sh"}, script, "ROOT="+root, "PATH="+path)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	expect := func(args string) {
		t.Helper()
		for _, name := range []string{"boot/loader/entries/1.conf", "boot/loader/entries/2.conf"} {
			if got := read(name); got != args+"\n" {
				t.Errorf("%s is %q, want %q", name, got, args)
			}
		}
		if got := read("etc/default/grub"); got != "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\""+args+"\"\n" {
			t.Errorf("/etc/default/grub is\n%s", got)
		}
	}
	args := []profile.KernelArg{{Arg: "hugepagesz=1G"}, {Arg: "hugepages=100"}}
	tune(args...)
	expect("rd.md=0 quiet hugepagesz=1G hugepages=100")
	if out := tune(args...); strings.Contains(out, "kernel arguments") {
		t.Errorf("a second run says\n%s", out)
	}
	args[1].Arg = "hugepages=200"
	tune(args...)
	expect("rd.md=0 quiet hugepagesz=1G hugepages=200")
	tune()
	expect("rd.md=0 quiet")
	if out := tune(); strings.Contains(out, "kernel arguments") {
		t.Errorf("without any planned a second run says\n%s", out)
	}
}

// TestFilesOfAnEarlierPlanGo, and nobody else's.
func TestFilesOfAnEarlierPlanGo(t *testing.T) {
	before, after := everything(t, rocky9()), everything(t, rocky9())
	after.Intent.Modules, after.Intent.Slices = nil, after.Intent.Slices[:1]
	root := tuned(t, before)
	write(t, root, map[string]string{"etc/modules-load.d/99-customer.conf": "dummy\n"})
	script, err := tuneScript(after)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runScript(t, []string{"sh"}, script, "ROOT="+root, "PATH="+commands(t, map[string]string{"systemctl": "exit 0"})+":"+os.Getenv("PATH"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]bool{
		"etc/modules-load.d/60-rackseed.conf": false, "etc/modprobe.d/60-rackseed.conf": false,
		"etc/systemd/system/ceph-osd@.service.d/60-rackseed.conf": false,
		"etc/systemd/system/machine.slice.d/60-rackseed.conf":     true, "etc/modules-load.d/99-customer.conf": true,
	} {
		if _, err := os.Stat(filepath.Join(root, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

// TestVendorRepositoriesGo: where the site has a mirror, and only there.
func TestVendorRepositoriesGo(t *testing.T) {
	t.Parallel()
	const rocky = "[baseos]\nname=Rocky $releasever\nmirrorlist=https://mirrors.example.com/\nenabled=1\n\n[baseos-debug]\nmirrorlist=https://mirrors.example.com/debug\n"
	for _, mirror := range []bool{true, false} {
		target := target(t, rocky9())
		target.Intent.Repositories = []profile.Repository{{Name: "rocky9", URL: "http://mirror/rocky9", Mirror: mirror}}
		script, err := tuneScript(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(script, "\nvendor_repositories_off\n"); got != mirror {
			t.Errorf("mirror %v: turns the vendor's repositories off: %v", mirror, got)
		}
	}
	s := newScript("x")
	s.piece("tune")
	s.say("vendor_repositories_off")
	script, err := s.text()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	files := map[string]string{"etc/yum.repos.d/rocky.repo": rocky, "etc/yum.repos.d/redhat.repo": rocky, "etc/yum.repos.d/rackseed-rocky9.repo": rocky}
	write(t, root, files)
	const off = "[baseos]\nenabled=0\nname=Rocky $releasever\nmirrorlist=https://mirrors.example.com/\n\n[baseos-debug]\nenabled=0\nmirrorlist=https://mirrors.example.com/debug\n"
	files["etc/yum.repos.d/rocky.repo"] = off
	for _, want := range []string{"changed: /etc/yum.repos.d/rocky.repo\n", ""} {
		if out, err := runScript(t, []string{"sh"}, script, "ROOT="+root); err != nil || out != want {
			t.Errorf("%v, got %q, want %q", err, out, want)
		}
		for name, text := range files {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != text {
				t.Errorf("%s: %v\n%s", name, err, got)
			}
		}
	}
}

// TestAptKeys: a key that the system has is used where it is, and one that is
// fetched has the ending by which apt reads it.
func TestAptKeys(t *testing.T) {
	for key, want := range map[string]string{
		"file:///usr/share/keyrings/debian-archive-keyring.gpg": "/usr/share/keyrings/debian-archive-keyring.gpg",
		"http://mirror/archive.gpg":                             "/etc/apt/keyrings/rackseed-site.gpg",
		"http://mirror/KEY":                                     "/etc/apt/keyrings/rackseed-site.asc",
	} {
		target := target(t, debian("12.5.0"))
		target.Intent.Repositories = []profile.Repository{{Name: "site", URL: "http://mirror/debian", Key: key}}
		script, err := tuneScript(target)
		if err != nil {
			t.Fatal(err)
		}
		fetched := strings.Contains(script, "signing_key '"+key+"' '"+want+"'\n")
		if !strings.Contains(script, "\nSigned-By: "+want+"\n") || fetched == strings.HasPrefix(key, "file://") {
			t.Errorf("%s: fetched %v, or not at %s", key, fetched, want)
		}
	}
}

// TestRepositories shows the files of a mirror and of a signed repository.
func TestRepositories(t *testing.T) {
	repositories := []profile.Repository{
		{Name: "rocky9", URL: "http://mirror/rocky9", Mirror: true},
		{Name: "ceph", URL: "http://mirror/ceph/$basearch", Key: "http://mirror/ceph.asc", Suite: "reef main extra"},
	}
	for _, tt := range []struct {
		image site.Image
		want  map[string]string
	}{
		{rocky9(), map[string]string{
			"etc/yum.repos.d/rackseed-rocky9.repo": "[rackseed-rocky9-AppStream]\nname=Rackseed: rocky9-AppStream\nbaseurl=http://mirror/rocky9/AppStream/\nenabled=1\ngpgcheck=0\n\n" +
				"[rackseed-rocky9-BaseOS]\nname=Rackseed: rocky9-BaseOS\nbaseurl=http://mirror/rocky9/BaseOS/\nenabled=1\ngpgcheck=0\n",
			"etc/yum.repos.d/rackseed-ceph.repo": "[rackseed-ceph]\nname=Rackseed: ceph\nbaseurl=http://mirror/ceph/$basearch\nenabled=1\ngpgcheck=1\ngpgkey=http://mirror/ceph.asc\n",
		}},
		{debian("13.1"), map[string]string{
			"etc/apt/sources.list.d/rackseed-rocky9.sources": "Types: deb\nURIs: http://mirror/rocky9\nSuites: trixie\nComponents: main\nTrusted: yes\n",
			"etc/apt/sources.list.d/rackseed-ceph.sources":   "Types: deb\nURIs: http://mirror/ceph/$basearch\nSuites: reef\nComponents: main extra\nSigned-By: /etc/apt/keyrings/rackseed-ceph.asc\n",
		}},
	} {
		t.Run(tt.image.Family, func(t *testing.T) {
			target := target(t, tt.image)
			target.Intent.Repositories = repositories
			root := tuned(t, target)
			for name, want := range tt.want {
				got, err := os.ReadFile(filepath.Join(root, name))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}
