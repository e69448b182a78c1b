package answer

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/rackseed/rackseed/pkg/profile"
)

// volumeGroup is the name of the group that system volumes are in.
const volumeGroup = "vg_sys"

// Sizes in MiB of what is beside the volumes on a system disk.
const (
	espMiB    = 600
	bootMiB   = 1024
	labelMiB  = 16 // tables of GPT, BIOS boot partition, alignment, RAID superblocks
	extentMiB = 4  // LVM allocates in these
)

func mebibytes(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }

// volumeName is what device mapper, md and both installers all take.
var volumeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,29}$`) })

// checkLayout refuses a layout that an installer would take for another one.
func checkLayout(l profile.Layout) error {
	if l.Swap < 0 {
		return fmt.Errorf("layout.swap: %d bytes: it must not be negative", l.Swap)
	}
	if len(l.Volumes) == 0 {
		return nil
	}
	names, mounts, growing := map[string]bool{"swap": l.Swap > 0}, map[string]bool{}, 0
	for _, v := range l.Volumes {
		switch {
		case !volumeName().MatchString(v.Name):
			return fmt.Errorf("layout: %q is not a name of a volume: use lower-case letters, digits and _", v.Name)
		case names[v.Name]:
			return fmt.Errorf("layout: two volumes are named %s", v.Name)
		case !strings.HasPrefix(v.Mount, "/") || path.Clean(v.Mount) != v.Mount || !onlyOf(v.Mount, "/._-"):
			return fmt.Errorf("layout: volume %s: %q is not a mount point: write an absolute path of letters, digits and . _ -", v.Name, v.Mount)
		case v.Mount == "/boot" || strings.HasPrefix(v.Mount, "/boot/"):
			return fmt.Errorf("layout: volume %s: %s is a partition of its own, which firmware can read: leave it out", v.Name, v.Mount)
		case mounts[v.Mount]:
			return fmt.Errorf("layout: two volumes are mounted at %s", v.Mount)
		case v.Size <= 0:
			return fmt.Errorf("layout: volume %s needs a size", v.Name)
		}
		names[v.Name], mounts[v.Mount] = true, true
		if v.Grow {
			growing++
		}
	}
	if growing > 1 {
		return fmt.Errorf("layout: %d volumes grow: only one can take what is left", growing)
	}
	if !mounts["/"] {
		return fmt.Errorf("layout: no volume is mounted at /")
	}
	return nil
}

// volumesMiB is what the volumes take of their group.
func volumesMiB(l profile.Layout) int64 {
	sum := extents(l.Swap)
	for _, v := range l.Volumes {
		sum += extents(v.Size)
	}
	return sum
}

// extents is a size in MiB, in whole extents.
func extents(bytes int64) int64 {
	return (mebibytes(bytes) + extentMiB - 1) / extentMiB * extentMiB
}

// simple tells that nothing is beside the root filesystem, which then takes
// the disk without a volume group.
func simple(l profile.Layout) bool {
	return len(l.Volumes) == 0 || len(l.Volumes) == 1 && l.Volumes[0].Mount == "/" && l.Volumes[0].Grow
}

// rootMiB is the least size of / in a simple layout.
func rootMiB(l profile.Layout) int64 {
	if len(l.Volumes) == 0 {
		return 5120
	}
	return mebibytes(l.Volumes[0].Size)
}

// groupMiB is what a volume group needs for its volumes and its metadata.
func groupMiB(l profile.Layout) int64 { return volumesMiB(l) + 2*extentMiB }

// neededMiB is how large a disk must be for a layout; zero if a plan says
// nothing, when the root filesystem takes what is there.
func neededMiB(l profile.Layout) (int64, error) {
	if err := checkLayout(l); err != nil {
		return 0, err
	}
	switch beside := int64(labelMiB + espMiB + bootMiB); {
	case len(l.Volumes) == 0 && l.Swap == 0:
		return 0, nil
	case simple(l):
		return beside + rootMiB(l) + mebibytes(l.Swap), nil
	default:
		return beside + groupMiB(l), nil
	}
}

// kickstartLayout writes what comes after /boot, as a piece of shell in which
// place knows the disks.
func kickstartLayout(l profile.Layout) string {
	if simple(l) {
		text := ""
		if l.Swap > 0 {
			text = fmt.Sprintf("\tplace swap swap %d\n", mebibytes(l.Swap))
		}
		return text + fmt.Sprintf("\tplace / xfs %d --grow\n", rootMiB(l))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\tplace pv.01 '' %d --grow\n", groupMiB(l))
	fmt.Fprintf(&b, "\techo 'volgroup %s pv.01'\n", volumeGroup)
	if l.Swap > 0 {
		fmt.Fprintf(&b, "\techo 'logvol swap --vgname=%s --name=swap --fstype=swap --size=%d'\n", volumeGroup, extents(l.Swap))
	}
	for _, v := range l.Volumes {
		grow := ""
		if v.Grow {
			grow = " --grow"
		}
		fmt.Fprintf(&b, "\techo 'logvol %s --vgname=%s --name=%s --fstype=xfs --size=%d%s'\n", v.Mount, volumeGroup, v.Name, extents(v.Size), grow)
	}
	return b.String()
}
