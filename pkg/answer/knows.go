package answer

import (
	"fmt"

	"github.com/rackseed/rackseed/pkg/site"
)

// Groups are the package groups that an install of the image begins with.
func Groups(image site.Image) []string {
	if kind, err := KindOf(image.Family); err != nil || kind != Kickstart {
		return nil
	}
	return []string{coreGroup}
}

// coreGroup holds what makes a system boot and answer (comps of Fedora, EL,
// openEuler and Kylin).
const coreGroup = "core"

// Knows reports whether an answer file can be written for the release of an
// image, before there is anything to write.
func Knows(image site.Image) error {
	kind, err := KindOf(image.Family)
	if err != nil {
		return err
	}
	switch kind {
	case Kickstart:
		_, err = dialectOf(image)
	case Preseed:
		_, err = suiteOf(image)
	case Autoinstall:
		if v := release(image.Version); v != "22.04" && v != "24.04" {
			err = fmt.Errorf("no autoinstall can be written for Ubuntu %s yet: use the live server medium of 22.04 or 24.04", image.Version)
		}
	}
	return err
}
