package answer

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// partitions are the answers of partman that hold whatever the disks are. On
// a mirror, disk.sh gives the recipes, since they name disks and depend on the
// firmware.
func partitions(t *Target) []preseedLine {
	method, recipe := "regular", simpleRecipe
	switch l := t.Intent.Layout; {
	case systemDisks(t.Intent.Disks) > 1:
		method, recipe = "raid", ""
	case !simple(l):
		method, recipe = "lvm", volumeRecipe(l)
	case l.Swap > 0:
		recipe = swapRecipe(l)
	}
	lines := []preseedLine{
		{"partman-auto/method", "string", method},
		{"partman-auto/choose_recipe", "select", "rackseed"},
	}
	if recipe != "" {
		lines = append(lines, preseedLine{"partman-auto/expert_recipe", "string", recipe})
	}
	if !simple(t.Intent.Layout) {
		lines = append(lines,
			preseedLine{"partman-auto-lvm/guided_size", "string", "max"},
			preseedLine{"partman-auto-lvm/new_vg_name", "string", volumeGroup},
		)
	}
	return append(lines,
		preseedLine{"partman-partitioning/choose_label", "select", "gpt"},
		preseedLine{"partman-partitioning/default_label", "string", "gpt"},
		preseedLine{"partman-basicfilesystems/no_swap", "boolean", "false"},
		preseedLine{"partman-efi/non_efi_system", "boolean", "true"},
		preseedLine{"partman/mount_style", "select", "uuid"},
	)
}

// Entries of a recipe: least size, priority and largest size in MB, then what
// becomes of it. An installer leaves out the entry of the other firmware.
const (
	recipeBIOS = `1 1 1 free $iflabel{ gpt } $reusemethod{ } method{ biosgrub } .`
	recipeEFI  = `512 512 512 free $iflabel{ gpt } $reusemethod{ } method{ efi } format{ } .`
	recipeRoot = `2048 10000 -1 ext4 method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ / } .`
	recipeBoot = `1024 1024 1024 ext4 $primary{ } $bootable{ } method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ /boot } .`
)

const simpleRecipe = "rackseed :: \\\n    " + recipeBIOS + " \\\n    " + recipeEFI + " \\\n    " + recipeRoot

func swapRecipe(l profile.Layout) string {
	return recipe(recipeBIOS, recipeEFI, fixed(l.Swap)+" linux-swap method{ swap } format{ } .", recipeRoot)
}

// recipe joins entries over several lines.
func recipe(entries ...string) string {
	return "rackseed :: \\\n    " + strings.Join(entries, " \\\n    ")
}

// megabytes are partman's unit, 10^6 bytes.
func megabytes(bytes int64) int64 { return (bytes + 1e6 - 1) / 1e6 }

// fixed and growing are the three sizes of an entry. What grows gets a share
// of the rest by how far its priority is above its least size.
func fixed(bytes int64) string { return fmt.Sprintf("%[1]d %[1]d %[1]d", megabytes(bytes)) }

func growing(bytes int64) string {
	return fmt.Sprintf("%d %d -1", megabytes(bytes), megabytes(bytes)+10000)
}

// volumeRecipe puts /boot on a partition and the rest into one group.
func volumeRecipe(l profile.Layout) string {
	pv := fmt.Sprintf("%s ext4 $defaultignore{ } $primary{ } method{ lvm } vg_name{ %s } .", growing(groupMiB(l)<<20), volumeGroup)
	return recipe(append([]string{recipeBIOS, recipeEFI, recipeBoot, pv}, logicalVolumes(l, fmt.Sprintf("in_vg{ %s } ", volumeGroup))...)...)
}

// logicalVolumes are the entries of volumes; group says in which they are,
// where a recipe has to.
func logicalVolumes(l profile.Layout, group string) []string {
	var entries []string
	if l.Swap > 0 {
		entries = append(entries, fmt.Sprintf("%s linux-swap $defaultignore{ } $lvmok{ } %slv_name{ swap } method{ swap } format{ } .", fixed(l.Swap), group))
	}
	for _, v := range l.Volumes {
		size := fixed(v.Size)
		if v.Grow {
			size = growing(v.Size)
		}
		entries = append(entries, fmt.Sprintf("%s ext4 $defaultignore{ } $lvmok{ } %slv_name{ %s } method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ %s } .",
			size, group, v.Name, v.Mount))
	}
	return entries
}

// debconfLayout writes the answers that disk.sh adds once it knows the disks:
// on one disk none, on two the recipes of a mirror. The partition of the
// firmware is the first on each disk, so the mirrored ones follow from 2 on.
func debconfLayout(t *Target) string {
	if systemDisks(t.Intent.Disks) < 2 {
		return "\t:\n"
	}
	l := t.Intent.Layout
	entries := []string{"1024 1024 1024 raid $lvmignore{ } $primary{ } method{ raid } ."}
	arrays := [][2]string{{"ext4", "/boot"}}
	if simple(l) && l.Swap > 0 {
		entries = append(entries, fixed(l.Swap)+" raid $lvmignore{ } $primary{ } method{ raid } .")
		arrays = append(arrays, [2]string{"swap", "-"})
	}
	if !simple(l) {
		entries = append(entries, fmt.Sprintf("%s raid $lvmignore{ } $primary{ } method{ raid } .", growing(groupMiB(l)<<20)))
		entries = append(entries, logicalVolumes(l, "")...)
		arrays = append(arrays, [2]string{"lvm", "-"})
	} else {
		entries = append(entries, "2048 10000 -1 raid $lvmignore{ } $primary{ } method{ raid } .")
		arrays = append(arrays, [2]string{"ext4", "/"})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\tfirmware='%s'\n", recipeBIOS)
	fmt.Fprintf(&b, "\t[ ! -d \"$sys/firmware/efi\" ] || firmware='%s'\n", strings.Replace(recipeEFI, "512", "600", 3))
	fmt.Fprintf(&b, "\techo \"d-i partman-auto/expert_recipe string rackseed :: $firmware \"'%s'\n", strings.Join(entries, " "))
	b.WriteString("\techo \"d-i partman-auto-raid/recipe string")
	for i, a := range arrays {
		fmt.Fprintf(&b, " 1 2 0 %s %s $(halves %d) .", a[0], a[1], i+2)
	}
	b.WriteString("\"\n\techo 'd-i partman-md/confirm_nooverwrite boolean true'\n")
	return b.String()
}
