package answer

import "github.com/rackseed/rackseed/pkg/site"

// Console is the serial line of an image's machines, as the kernel takes it.
func Console(image site.Image) string { return console(image) }

// ModuleIndex is the path on a Debian medium of the list of packages that the
// installer takes drivers from which its initrd lacks; empty for other media,
// whose initrd has them all.
func ModuleIndex(image site.Image) string {
	suite, err := suiteOf(image)
	if image.Family != "debian" || err != nil {
		return ""
	}
	arch := "amd64"
	if image.Arch == "aarch64" {
		arch = "arm64"
	}
	return "dists/" + suite + "/main/debian-installer/binary-" + arch + "/Packages.gz"
}
