package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// dialect is how one generation of anaconda wants a kickstart to be said.
type dialect struct {
	timesource bool   // timesource replaced options of timezone in EL9
	weakdeps   string // the option of %packages that leaves weak dependencies out
}

// dialectOf knows the generations that Rackseed writes for.
func dialectOf(image site.Image) (dialect, error) {
	switch major(image.Version) {
	case "9":
		return dialect{timesource: true, weakdeps: "--exclude-weakdeps"}, nil
	default:
		return dialect{}, fmt.Errorf("no kickstart can be written for %s %s yet: use release 9 of the RHEL family", image.Distro, image.Version)
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

// packageNames translates concepts into the names of packages, which are the
// same in both families for what the profiles ask today.
func packageNames(concepts []string) ([]string, error) {
	known := []string{"openssh-server", "chrony", "curl", "sudo", "python3"}
	for _, c := range concepts {
		if !slices.Contains(known, c) {
			return nil, fmt.Errorf("packages: %q is not a package that Rackseed knows by concept: it knows %s", c, strings.Join(known, ", "))
		}
	}
	return slices.Clone(concepts), nil
}

// console is the serial port that servers redirect to their BMC.
func console(image site.Image) string {
	if image.Arch == "aarch64" {
		return "ttyAMA0,115200n8"
	}
	return "ttyS0,115200n8"
}
