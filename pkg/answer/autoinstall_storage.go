package answer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// What the disk script puts the truth for into the installer's file. Until
// then the names lead to no disk, so that an installer that was not told of
// one can write none.
const (
	systemDisk = "/dev/rackseed/system" // with 1, 2 behind it
	bootBIOS   = "rackseed-bios"        // true on BIOS, false on UEFI
	bootUEFI   = "rackseed-uefi"
)

const mebibyte = 1 << 20

// curtin is a storage configuration being written: disks, what is made of
// them, and where it is mounted, each action after what it needs.
type curtin struct {
	words
	actions []any
	mounts  map[string]string // path to volume
}

func (c *curtin) action(kind, id string, more ...yamlPair) {
	c.actions = append(c.actions, append(yamlMap{{"type", kind}, {"id", id}}, more...))
}

// mounted formats a volume and mounts it.
func (c *curtin) mounted(volume, fstype, path string) {
	c.action("format", "format-"+volume, yamlPair{"fstype", fstype}, yamlPair{"volume", volume}, yamlPair{"preserve", false})
	c.mounts[path] = volume
}

// config is all actions: what is mounted at / comes before what is below it.
func (c *curtin) config() []any {
	for _, path := range slices.Sorted(maps.Keys(c.mounts)) {
		c.action("mount", "mount-"+c.mounts[path], yamlPair{"device", "format-" + c.mounts[path]}, yamlPair{"path", path})
	}
	return c.actions
}

// systemDisks is how many disks the system is installed on.
func systemDisks(d site.Disks) int {
	n := 0
	for _, s := range d.System {
		n += s.Wanted()
	}
	return max(n, 1)
}

// autoinstallStorage lays out the system disks as the kickstarts do: an ESP
// and a place for GRUB on each, /boot, and a volume group; on several disks
// the last two are mirrored.
func autoinstallStorage(t *Target) (yamlMap, error) {
	layout := t.Intent.Layout
	if err := checkLayout(layout); err != nil {
		return nil, err
	}
	c := &curtin{mounts: map[string]string{}}
	parts := []part{{"boot", bootMiB * mebibyte}}
	if len(layout.Volumes) == 0 && layout.Swap > 0 {
		parts = append(parts, part{"swap", mebibytes(layout.Swap) * mebibyte})
	}
	parts = append(parts, part{"system", -1})
	disks := systemDisks(t.Intent.Disks)
	for n := 1; n <= disks; n++ {
		c.disk(n, parts)
	}
	on := map[string]string{}
	for i, p := range parts {
		on[p.name] = c.whole(i, p.name, disks)
	}
	c.mounted(on["boot"], "ext4", "/boot")
	switch {
	case len(layout.Volumes) > 0:
		c.volumes(layout, on["system"])
	case layout.Swap > 0:
		c.mounted(on["swap"], "swap", "")
		fallthrough
	default:
		c.mounted(on["system"], "ext4", "/")
	}
	return yamlMap{
		{"swap", yamlMap{{"size", 0}}}, // no file: what the plan wants is a volume
		{"config", c.config()},
	}, c.err
}

// part is a partition that each system disk has; a size of -1 takes what is
// left.
type part struct {
	name string
	size int64 // bytes
}

// disk divides the disk of a number: what the firmware needs, then parts.
func (c *curtin) disk(n int, parts []part) {
	disk := curtinID("disk", n)
	c.action("disk", disk,
		yamlPair{"path", fmt.Sprintf("%s%d", systemDisk, n)}, yamlPair{"ptable", "gpt"},
		yamlPair{"wipe", "superblock-recursive"}, yamlPair{"preserve", false}, yamlPair{"grub_device", bootBIOS})
	number := 0
	partition := func(name string, size int64, more ...yamlPair) string {
		number++
		c.action("partition", curtinID(name, n), append([]yamlPair{
			{"device", disk}, {"number", number}, {"size", size}, {"wipe", "superblock"}, {"preserve", false},
		}, more...)...)
		return curtinID(name, n)
	}
	// Both, for either firmware: a machine whose setup is changed later still starts.
	partition("grub", 1*mebibyte, yamlPair{"flag", "bios_grub"})
	esp := partition("esp", espMiB*mebibyte, yamlPair{"flag", "boot"}, yamlPair{"grub_device", bootUEFI})
	if n == 1 {
		c.mounted(esp, "fat32", "/boot/efi")
	} else {
		// Ubuntu's GRUB keeps every ESP up to date that is marked as a GRUB device.
		c.action("format", "format-"+esp, yamlPair{"fstype", "fat32"}, yamlPair{"volume", esp}, yamlPair{"preserve", false})
	}
	for _, p := range parts {
		partition(p.name, p.size)
	}
}

func curtinID(name string, n int) string { return fmt.Sprintf("%s-%d", name, n) }

// whole is a partition, or with several disks the mirror over all of that
// name.
func (c *curtin) whole(md int, name string, disks int) string {
	if disks == 1 {
		return curtinID(name, 1)
	}
	var halves []any
	for n := 1; n <= disks; n++ {
		halves = append(halves, curtinID(name, n))
	}
	c.action("raid", "raid-"+name, yamlPair{"name", fmt.Sprintf("md%d", md)}, yamlPair{"raidlevel", "raid1"},
		yamlPair{"devices", halves}, yamlPair{"spare_devices", []any{}}, yamlPair{"preserve", false})
	return "raid-" + name
}

// volumes makes the volume group. What grows comes last: the installer gives
// the rest to the last volume only.
func (c *curtin) volumes(layout profile.Layout, device string) {
	c.action("lvm_volgroup", "vg", yamlPair{"name", volumeGroup}, yamlPair{"devices", []any{device}}, yamlPair{"preserve", false})
	if layout.Swap > 0 {
		c.volume("swap", extents(layout.Swap)*mebibyte)
		c.mounted("lv-swap", "swap", "")
	}
	fixed, growing := []profile.Volume{}, []profile.Volume{}
	for _, v := range layout.Volumes {
		if v.Grow {
			growing = append(growing, v)
		} else {
			fixed = append(fixed, v)
		}
	}
	for _, v := range slices.Concat(fixed, growing) {
		size := extents(v.Size) * mebibyte
		if v.Grow {
			size = -1
		}
		name := c.item("layout", v.Name)
		c.volume(name, size)
		c.mounted("lv-"+name, "ext4", c.line("layout", v.Mount))
	}
}

func (c *curtin) volume(name string, size int64) {
	c.action("lvm_partition", "lv-"+name, yamlPair{"name", name}, yamlPair{"volgroup", "vg"}, yamlPair{"size", size},
		yamlPair{"wipe", "superblock"}, yamlPair{"preserve", false})
}
