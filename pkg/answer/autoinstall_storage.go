package answer

import (
	"errors"
	"fmt"
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

// autoinstallGroup is the volume group of the system.
const autoinstallGroup = "vg_sys"

// autoinstallLayout is the layout of the plan, or one volume that takes all.
func autoinstallLayout(l profile.Layout) (profile.Layout, error) {
	if len(l.Volumes) == 0 {
		l.Volumes = []profile.Volume{{Name: "root", Mount: "/", Grow: true}}
	}
	if !slices.ContainsFunc(l.Volumes, func(v profile.Volume) bool { return v.Mount == "/" }) {
		return l, errors.New("layout: no volume is mounted at /: add one to the profile")
	}
	return l, nil
}

// curtin is a storage configuration being written: disks, what is made of
// them, and where it is mounted, each action after what it needs.
type curtin struct {
	words
	actions []any
	mounts  []any
}

func (c *curtin) action(kind, id string, more ...yamlPair) {
	c.actions = append(c.actions, append(yamlMap{{"type", kind}, {"id", id}}, more...))
}

// mounted formats a volume and mounts it.
func (c *curtin) mounted(volume, fstype, path string) {
	c.action("format", "format-"+volume, yamlPair{"fstype", fstype}, yamlPair{"volume", volume}, yamlPair{"preserve", false})
	c.mounts = append(c.mounts, yamlMap{{"type", "mount"}, {"id", "mount-" + volume}, {"device", "format-" + volume}, {"path", path}})
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
	layout, err := autoinstallLayout(t.Intent.Layout)
	if err != nil {
		return nil, err
	}
	c := &curtin{}
	disks := systemDisks(t.Intent.Disks)
	var boots, systems []string
	for n := 1; n <= disks; n++ {
		boot, system := c.disk(n)
		boots, systems = append(boots, boot), append(systems, system)
	}
	boot, system := boots[0], systems[0]
	if disks > 1 {
		boot, system = "raid-boot", "raid-system"
		c.mirror(boot, "md0", boots)
		c.mirror(system, "md1", systems)
	}
	c.mounted(boot, "ext4", "/boot")
	c.volumes(layout, system)
	return yamlMap{
		{"swap", yamlMap{{"size", 0}}}, // no file: what the plan wants is a volume
		{"config", append(c.actions, c.mounts...)},
	}, c.err
}

// disk divides the disk of a number, and names the partitions for /boot and
// for the system.
func (c *curtin) disk(n int) (boot, system string) {
	id := func(name string) string { return fmt.Sprintf("%s-%d", name, n) }
	disk := id("disk")
	c.action("disk", disk,
		yamlPair{"path", fmt.Sprintf("%s%d", systemDisk, n)}, yamlPair{"ptable", "gpt"},
		yamlPair{"wipe", "superblock-recursive"}, yamlPair{"preserve", false}, yamlPair{"grub_device", bootBIOS})
	number := 0
	part := func(name string, size int64, more ...yamlPair) string {
		number++
		c.action("partition", id(name), append([]yamlPair{
			{"device", disk}, {"number", number}, {"size", size}, {"wipe", "superblock"}, {"preserve", false},
		}, more...)...)
		return id(name)
	}
	// Both, for either firmware: a machine whose setup is changed later still starts.
	part("grub", 1*mebibyte, yamlPair{"flag", "bios_grub"})
	esp := part("esp", 600*mebibyte, yamlPair{"flag", "boot"}, yamlPair{"grub_device", bootUEFI})
	if n == 1 {
		c.mounted(esp, "fat32", "/boot/efi")
	} else {
		// Ubuntu's GRUB keeps every ESP up to date that is marked as a GRUB device.
		c.action("format", "format-"+esp, yamlPair{"fstype", "fat32"}, yamlPair{"volume", esp}, yamlPair{"preserve", false})
	}
	return part("boot", 1024*mebibyte), part("system", -1)
}

func (c *curtin) mirror(id, name string, devices []string) {
	c.action("raid", id, yamlPair{"name", name}, yamlPair{"raidlevel", "raid1"}, yamlPair{"devices", yamlStrings(devices)},
		yamlPair{"spare_devices", []any{}}, yamlPair{"preserve", false})
}

// volumes makes the volume group. What grows comes last: the installer gives
// the rest to the last volume only.
func (c *curtin) volumes(layout profile.Layout, device string) {
	c.action("lvm_volgroup", "vg", yamlPair{"name", autoinstallGroup}, yamlPair{"devices", []any{device}}, yamlPair{"preserve", false})
	if layout.Swap > 0 {
		c.volume("swap", layout.Swap)
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
		size := v.Size
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
