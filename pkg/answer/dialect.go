package answer

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// dialect is how one generation of anaconda wants a kickstart to be said, and
// its kernel to be told of it. A command that a generation calls deprecated is
// not in any of them.
type dialect struct {
	timesource bool              // timesource, which replaced options of timezone in EL9
	weakdeps   string            // the option of %packages that leaves weak dependencies out
	repoArg    bool              // the initramfs wants inst.repo beside inst.stage2
	ifname     bool              // the initramfs misnames NICs after their MAC, unless they are given a name
	fpiToTail  bool              // fpi_to_tail=off, as the vendor's own medium says
	smmu       bool              // Kunpeng boards need their RAID controllers past the SMMU
	licence    bool              // .kyinfo and LICENSE of the medium belong into /etc
	packages   []string          // what a server needs and only weak dependencies, or none, would bring
	crashDump  map[string]string // what the installer adds to the kernel's arguments by itself, by architecture
}

// dialectOf knows the generations that Rackseed writes for. Those of openEuler
// follow the anaconda that each release is built from: 29 in 20.03 (and in
// Kylin V10), 33 in 22.03, 36 in later ones.
func dialectOf(image site.Image) (dialect, error) {
	openEuler := dialect{weakdeps: "--exclude-weakdeps", fpiToTail: true, smmu: true, crashDump: map[string]string{"x86_64": "crashkernel=512M", "aarch64": "crashkernel=1024M,high"}}
	switch generation(image) {
	case "rhel 8":
		return dialect{weakdeps: "--excludeWeakdeps"}, nil
	case "rhel 9":
		// Kernels only recommend their firmware, without which many a NIC has no link.
		return dialect{timesource: true, weakdeps: "--exclude-weakdeps", packages: []string{"linux-firmware"}}, nil
	case "rhel 10":
		// br_netfilter, and from 10.2 what iptables stands on, left the packages of every kernel.
		el10 := dialect{timesource: true, weakdeps: "--exclude-weakdeps", packages: []string{"linux-firmware", "kernel-modules-extra"}}
		if image.Arch == "x86_64" {
			el10.packages = append(el10.packages, "amd-ucode-firmware")
		}
		return el10, nil
	case "openeuler 20.03":
		openEuler.weakdeps = "--excludeWeakdeps"
		return openEuler, nil
	case "openeuler 22.03":
		// Its timesource is a backport; the options of timezone hold with it and without.
		openEuler.ifname = true
		return openEuler, nil
	case "openeuler 24.03":
		openEuler.timesource = true
		return openEuler, nil
	case "kylin V10":
		return dialect{weakdeps: "--excludeWeakdeps", repoArg: true, smmu: true, licence: true}, nil
	default:
		return dialect{}, fmt.Errorf("no kickstart can be written for %s %s yet: use release 8, 9 or 10 of the RHEL family, openEuler 20.03, 22.03 or 24.03, or Kylin V10", image.Distro, image.Version)
	}
}

// generation is the family and what of its version decides the dialect:
// rhel 9 for 9.4, openeuler 22.03 for 22.03-LTS-SP3, kylin V10 for V10-SP2.
func generation(image site.Image) string {
	switch image.Family {
	case "openeuler":
		release, _, _ := strings.Cut(image.Version, "-")
		return image.Family + " " + release
	case "kylin":
		release, _, _ := strings.Cut(strings.ToUpper(image.Version), "-")
		release, _, _ = strings.Cut(release, " ")
		return image.Family + " V" + strings.TrimPrefix(release, "V")
	default:
		return image.Family + " " + major(image.Version)
	}
}

func major(version string) string {
	head, _, _ := strings.Cut(version, ".")
	return head
}

// suiteOf is the name of a Debian release in its repository.
func suiteOf(image site.Image) (string, error) {
	suite, ok := map[string]string{"12": "bookworm", "13": "trixie"}[major(image.Version)]
	if !ok {
		return "", fmt.Errorf("no preseed file can be written for Debian %s yet: use Debian 12 or 13", image.Version)
	}
	return suite, nil
}

// console is the serial port that servers redirect to their BMC.
func console(image site.Image) string {
	if image.Arch == "aarch64" {
		return "ttyAMA0,115200n8"
	}
	return "ttyS0,115200n8"
}
