package ipxe_test

import (
	"fmt"
	"testing"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestBootFile is the whole table: what a firmware is pointed at, by what it
// is and by what should happen to the machine.
func TestBootFile(t *testing.T) {
	const url = "http://10.20.0.1:8080/boot/"
	loaders := map[uint16]string{
		ipxe.ArchBIOS: "undionly.kpxe", ipxe.ArchIA32: "", ipxe.ArchX64: "snponly.efi", ipxe.ArchX64Old: "snponly.efi",
		ipxe.ArchARM64: "snponly-arm64.efi", ipxe.ArchX64HTTP: "snponly.efi", ipxe.ArchARM64HTTP: "snponly-arm64.efi", 999: "",
	}
	decisions := []struct {
		action boot.Action
		way    site.LocalBoot
		boots  bool
	}{
		{boot.Local, site.LocalAuto, true}, // but for BIOS
		{boot.Ignore, "", false},
		{boot.Local, site.LocalFirmware, false},
		{boot.Local, site.LocalExit, true},
		{boot.Local, site.LocalSanboot, true},
		{boot.Install, site.LocalFirmware, true},
		{boot.Install, site.LocalSanboot, true},
		{boot.Hold, site.LocalFirmware, true},
	}
	for arch, loader := range loaders {
		for _, d := range decisions {
			for _, kind := range []struct {
				client ipxe.Client
				want   string
			}{
				{ipxe.Client{Arch: arch}, loader},
				{ipxe.Client{Arch: arch, HTTP: true}, under(url, loader)},
				{ipxe.Client{Arch: arch, IPXE: true}, url + "boot.ipxe"},
				{ipxe.Client{Arch: arch, IPXE: true, HTTP: true}, url + "boot.ipxe"},
			} {
				want := kind.want
				bios := arch == ipxe.ArchBIOS && d.action == boot.Local && d.way == site.LocalAuto
				if !d.boots || bios {
					want = ""
				}
				name := fmt.Sprintf("arch %d http %t ipxe %t %s %s", arch, kind.client.HTTP, kind.client.IPXE, d.action, d.way)
				got, ok := ipxe.BootFile(kind.client, boot.Decision{Action: d.action, LocalBoot: d.way}, server())
				if got != want || ok != (want != "") {
					t.Errorf("%s: %q, %t, want %q", name, got, ok, want)
				}
			}
		}
	}
}

func under(url, name string) string {
	if name == "" {
		return ""
	}
	return url + name
}

func TestArchName(t *testing.T) {
	for arch, want := range map[uint16]string{
		0: "BIOS", 6: "UEFI x86", 7: "UEFI x64", 9: "UEFI x64", 11: "UEFI arm64", 16: "UEFI HTTP x64", 19: "UEFI HTTP arm64", 999: "unknown",
	} {
		if got := ipxe.ArchName(arch); got != want {
			t.Errorf("architecture %d is %q, want %q", arch, got, want)
		}
	}
}

func TestPort(t *testing.T) {
	for base, want := range map[string]uint16{
		"http://10.20.0.1:8080": 8080, "http://10.20.0.1": 80, "http://10.20.0.1:99999": 80, "http://SERVER:8080": 8080, "::": 0,
	} {
		if got := (ipxe.Server{HTTP: base}).Port(); got != want {
			t.Errorf("the port of %s is %d, want %d", base, got, want)
		}
	}
}
