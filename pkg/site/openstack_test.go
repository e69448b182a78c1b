package site_test

import (
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

func TestKollaAccepts(t *testing.T) {
	for _, c := range []struct {
		release, distro, version string
		ok, known                bool
	}{
		{"2024.1", "rocky", "9.6", true, true},
		{"caracal", "rocky", "9", true, true},
		{"Epoxy", "rocky", "10.0", true, true},
		{"2025.2", "rocky", "9.6", false, true},
		{"zed", "openeuler", "22.03-LTS-SP3", true, true},
		{"2024.2", "openeuler", "22.03-LTS", false, true},
		{"2024.1", "openeuler", "24.03-LTS", false, true},
		{"zed", "kylin", "V10", false, true},
		{"2026.1", "debian", "13", true, true},
		{"2025.1", "debian", "13", false, true},
		{"2025.1", "debian", "1", false, true},
		{"2023.2", "ubuntu", "24.04", false, true},
		{"2024.1", "almalinux", "9.4", false, true},
		{"train", "rocky", "9", false, false},
		{"2024.1", "", "", false, false},
	} {
		if ok, known := site.KollaAccepts(c.release, c.distro, c.version); ok != c.ok || known != c.known {
			t.Errorf("KollaAccepts(%s, %s, %s) = %t, %t", c.release, c.distro, c.version, ok, known)
		}
	}
}

func TestSystemOf(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       site.System
	}{
		{"rocky9", "Rocky-9.6-x86_64-dvd.iso", site.System{Distro: "rocky", Version: "9.6", Arch: "x86_64"}},
		{"os", "CentOS-Stream-9-latest-x86_64-dvd1.iso", site.System{Distro: "centos", Version: "9", Arch: "x86_64"}},
		{"os", "openEuler-22.03-LTS-SP3-aarch64-dvd.iso", site.System{Distro: "openeuler", Version: "22.03", Arch: "aarch64"}},
		{"os", "Kylin-Server-V10-SP3-General-Release-2303-X86_64.iso", site.System{Distro: "kylin", Version: "10", Arch: "x86_64"}},
		{"os", "debian-13.1.0-amd64-DVD-1.iso", site.System{Distro: "debian", Version: "13.1.0", Arch: "x86_64"}},
		{"os", "ubuntu-22.04.5-live-server-arm64.iso", site.System{Distro: "ubuntu", Version: "22.04.5", Arch: "aarch64"}},
		{"os", "AlmaLinux-8.10-x86_64-dvd.iso", site.System{Distro: "almalinux", Version: "8.10", Arch: "x86_64"}},
		{"rocky9", "", site.System{Distro: "rocky", Version: "9"}},
		{"openeuler22.03-aarch64", "", site.System{Distro: "openeuler", Version: "22.03", Arch: "aarch64"}},
		{"golden", "golden.iso", site.System{}},
		{"rockyhorror", "", site.System{}},
	} {
		s := site.Settings{Images: map[string]site.Medium{c.name: {File: c.file}}}
		if got := s.SystemOf(c.name); got != c.want {
			t.Errorf("%s %s: %+v, not %+v", c.name, c.file, got, c.want)
		}
	}
}
