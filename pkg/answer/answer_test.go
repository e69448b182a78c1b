package answer

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	keyAnna = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl anna@laptop"
	keyBo   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bo's key"
	hash    = "$6$saltsalt$0123456789012345678901234567890123456789012345678901234567890123456789012345678901234."
	digest  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func rocky9() site.Image {
	return site.Image{
		Name: "rocky9", Digest: digest, Family: "rhel", Distro: "rocky", Version: "9.6", Arch: "x86_64",
		Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img",
		Repos: []string{"AppStream", "BaseOS"},
	}
}

func debian(version string) site.Image {
	return site.Image{Name: "debian", Digest: digest, Family: "debian", Distro: "debian", Version: version, Arch: "x86_64", Repos: []string{"."}}
}

// intent is what the profiles may decide, or little of it: tests of documents
// do not change with the profiles.
func intent(testing.TB) *profile.Intent {
	why := func(why, source string) profile.Reason { return profile.Reason{Why: why, Source: source} }
	return &profile.Intent{
		Node: "cs-controller-01", Domain: "gz.example.net", Role: "controller", Profile: "base", Chain: []string{"base"},
		Locale:  site.Locale{Timezone: "Asia/Shanghai", Language: "zh_CN.UTF-8", Keyboard: "us"},
		Access:  site.Access{Root: site.RootLocked, SSHKeys: []string{keyAnna, keyBo}},
		Address: netip.MustParseAddr("10.20.1.1"),
		DNS:     []netip.Addr{netip.MustParseAddr("10.20.0.1")},
		NTP:     []netip.Addr{netip.MustParseAddr("10.20.0.1"), netip.MustParseAddr("10.20.0.2")},
		Disks:   site.Disks{System: []site.DiskSelector{{WWN: "0x5000c500a1b2c3d4"}}},

		Packages: []string{"openssh-server", "chrony", "curl", "sudo", "python3"},
		Services: []string{"ssh", "chrony"},
		Sysctl: []profile.Setting{
			{Key: "vm.swappiness", Value: "10", Reason: why("Services of a cloud suffer more from swapping than from a smaller page cache.", "TripleO and openstack-ansible host defaults")},
			{Key: "kernel.pid_max", Value: "1048576", Reason: why("Containers and their threads run out of the default 32,768 process ids.", "TripleO kernel defaults")},
			{Key: "net.core.somaxconn", Value: "4096", Reason: why("API and message-queue listeners drop connections in a burst with the default backlog.", "RabbitMQ networking guide")},
			{Key: "fs.inotify.max_user_instances", Value: "1024"},
			{Key: "fs.inotify.max_user_watches", Value: "1048576"},
		},
		Limits: []profile.Limit{
			{Domain: "*", Item: "nofile", Value: 65536, Reason: why("Database, queue and storage daemons hold one descriptor for each peer and file.", "TripleO and Kolla host defaults")},
			{Domain: "root", Item: "nofile", Value: 65536, Reason: why("The wildcard does not cover root.", "limits.conf(5)")},
		},
	}
}

func target(t testing.TB, image site.Image) *Target {
	mac, err := site.ParseMAC("52:54:00:12:34:56")
	if err != nil {
		t.Fatal(err)
	}
	return &Target{Intent: intent(t), Image: image, Attempt: 3, MAC: mac, Base: "http://10.20.0.1:8080", Token: "T0KEN", Root: site.RootLocked}
}

func render(t testing.TB, target *Target) Answers {
	t.Helper()
	a, err := Render(target)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestGolden shows whole answers, for people to read.
func TestGolden(t *testing.T) {
	bare := target(t, debian("13.1"))
	bare.Intent = &profile.Intent{Node: "node-01", Role: "base", Profile: "base", Locale: site.Locale{Timezone: "UTC", Language: "en_US.UTF-8", Keyboard: "us"}}
	bare.Root, bare.MAC = hash, site.MAC{}
	for name, target := range map[string]*Target{
		"el9": target(t, rocky9()), "debian12": target(t, debian("12.5.0")), "debian13": target(t, debian("13.1")), "debian13-bare": bare,
	} {
		t.Run(name, func(t *testing.T) {
			a := render(t, target)
			files := append([]File{{Name: "arguments", Data: []byte(strings.Join(a.Args, "\n") + "\n")}}, a.Files...)
			for _, f := range files {
				golden(t, filepath.Join(name, f.Name), string(f.Data))
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test -run TestGolden -update writes it; read it before you commit it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// BenchmarkRender writes the answers of the 526 nodes of a large site.
func BenchmarkRender(b *testing.B) {
	target := target(b, rocky9())
	for b.Loop() {
		for range 526 {
			render(b, target)
		}
	}
}
