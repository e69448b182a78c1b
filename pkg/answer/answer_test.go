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
	"github.com/rackseed/rackseed/profiles"
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

func intent(t testing.TB) *profile.Intent {
	t.Helper()
	s := &site.Settings{
		Domain:    "gz.example.net",
		Locale:    site.Locale{Timezone: "Asia/Shanghai", Language: "zh_CN.UTF-8"},
		Access:    site.Access{Root: site.RootLocked, SSHKeys: []string{keyAnna, keyBo}},
		Provision: site.Provision{Network: "provision"},
		Networks: map[string]site.Network{"provision": {
			Subnet: netip.MustParsePrefix("10.20.0.0/16"),
			DNS:    []netip.Addr{netip.MustParseAddr("10.20.0.1")},
			NTP:    []netip.Addr{netip.MustParseAddr("10.20.0.1"), netip.MustParseAddr("10.20.0.2")},
		}},
		Roles: map[string]site.Role{"controller": {Profile: "base", Image: "rocky9"}},
	}
	n := &site.Node{
		Name: "cs-controller-01", Role: "controller",
		Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.1.1")},
		Disks:     site.Disks{System: []site.DiskSelector{{WWN: "0x5000c500a1b2c3d4"}}},
	}
	i, err := profile.Resolve(profiles.Files, s, n)
	if err != nil {
		t.Fatal(err)
	}
	return i
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
