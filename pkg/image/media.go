// Package image keeps installation media: it recognises an ISO, hashes it once, files it under its
// digest, and serves what is inside it over HTTP without unpacking.
package image

import (
	"errors"
	"io/fs"
	"strings"
)

// Family says which installer a medium carries, and so which boot arguments and answer file it takes.
type Family string

// The families that are recognised.
const (
	RHEL      Family = "rhel" // also Rocky, AlmaLinux, CentOS Stream and other rebuilds
	OpenEuler Family = "openeuler"
	Kylin     Family = "kylin"
	Debian    Family = "debian"
	Ubuntu    Family = "ubuntu"
)

// Media is what an installation medium says of itself. Paths are relative to the root of the ISO
// and use slashes; the handler serves each of them below the image's digest.
type Media struct {
	Family   Family `json:"family"`
	Distro   string `json:"distro"`             // as ID in os-release: rocky, almalinux, centos, openeuler, …
	Version  string `json:"version"`            // 9.4, 22.03-LTS-SP3, V10, 12.5.0
	Codename string `json:"codename,omitempty"` // Debian and Ubuntu: bookworm, jammy
	Arch     string `json:"arch"`               // as uname -m: x86_64, aarch64
	Label    string `json:"label"`              // volume identifier
	Kernel   string `json:"kernel"`
	Initrd   string `json:"initrd"`
	// Stage2 is anaconda's runtime image. Debian has none; Ubuntu's installer takes the whole ISO.
	Stage2 string `json:"stage2,omitempty"`
	// Repos are directories with package metadata: repodata for RPM, dists for apt; "." is the root.
	Repos []string `json:"repos,omitempty"`
	// Groups are the package groups and environments of RPM repositories; none if they could not
	// be read.
	Groups   []string `json:"groups,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Errors of recognition. Their text says what to do.
var (
	ErrUnknownMedia = errors.New("unknown distribution")
	ErrNoBootFiles  = errors.New("no boot files for network installation")
)

// distro names one distribution in the ways that media name it, in lower case.
type distro struct {
	id     string
	family Family
	names  []string // what [general] family or .disk/info starts with
	label  string   // what the volume identifier starts with
}

// distros lists more specific names first.
func distros() []distro {
	return []distro{
		{"rocky", RHEL, []string{"rocky"}, "rocky-"},
		{"almalinux", RHEL, []string{"almalinux"}, "almalinux-"},
		{"centos", RHEL, []string{"centos"}, "centos-"},
		{"rhel", RHEL, []string{"red hat enterprise linux", "rhel"}, "rhel-"},
		{"openeuler", OpenEuler, []string{"openeuler"}, "openeuler-"},
		{"kylin", Kylin, []string{"kylin"}, "kylin-"},
		{"debian", Debian, []string{"debian"}, "debian "},
		{"ubuntu", Ubuntu, []string{"ubuntu"}, "ubuntu"},
	}
}

func distroByName(name string) (distro, bool) {
	name = strings.ToLower(name)
	for _, d := range distros() {
		for _, prefix := range d.names {
			if strings.HasPrefix(name, prefix) {
				return d, true
			}
		}
	}
	return distro{}, false
}

func distroByLabel(label string) (distro, bool) {
	label = strings.ToLower(label)
	for _, d := range distros() {
		if strings.HasPrefix(label, d.label) {
			return d, true
		}
	}
	return distro{}, false
}

// uname translates Debian's names of architectures; others pass.
func uname(arch string) string {
	switch arch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return arch
}

// archFromLoader tells the architecture by the removable-media loader (UEFI 2.10, 3.5.1.1).
func archFromLoader(medium fs.FS) string {
	for loader, arch := range map[string]string{"bootx64.efi": "x86_64", "bootaa64.efi": "aarch64"} {
		for _, dir := range []string{"EFI/BOOT/", "EFI/boot/", "efi/boot/"} {
			if isFile(medium, dir+strings.ToUpper(loader[:len(loader)-4])+".EFI") || isFile(medium, dir+loader) {
				return arch
			}
		}
	}
	return ""
}

func isFile(medium fs.FS, name string) bool {
	info, err := fs.Stat(medium, name)
	return err == nil && info.Mode().IsRegular()
}

// firstFile returns the first of the names that is there, or "".
func firstFile(medium fs.FS, names ...string) string {
	for _, name := range names {
		if name != "" && isFile(medium, name) {
			return name
		}
	}
	return ""
}
