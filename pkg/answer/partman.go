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
	return recipe(recipeBIOS, recipeEFI, fmt.Sprintf("%[1]d %[1]d %[1]d linux-swap method{ swap } format{ } .", megabytes(l.Swap)), recipeRoot)
}

// recipe joins entries over several lines.
func recipe(entries ...string) string {
	return "rackseed :: \\\n    " + strings.Join(entries, " \\\n    ")
}

// megabytes are partman's unit, 10^6 bytes.
func megabytes(bytes int64) int64 { return (bytes + 1e6 - 1) / 1e6 }

// volumeRecipe puts /boot on a partition and the rest into one group.
func volumeRecipe(l profile.Layout) string {
	pv := fmt.Sprintf("%d 10000 -1 ext4 $defaultignore{ } $primary{ } method{ lvm } vg_name{ %s } .", megabytes(groupMiB(l)<<20), volumeGroup)
	return recipe(append([]string{recipeBIOS, recipeEFI, recipeBoot, pv}, logicalVolumes(l, fmt.Sprintf("in_vg{ %s } ", volumeGroup))...)...)
}

// logicalVolumes are the entries of volumes; group says in which they are,
// where a recipe has to.
func logicalVolumes(l profile.Layout, group string) []string {
	var entries []string
	if l.Swap > 0 {
		entries = append(entries, fmt.Sprintf("%[1]d %[1]d %[1]d linux-swap $defaultignore{ } $lvmok{ } %[2]slv_name{ swap } method{ swap } format{ } .", megabytes(l.Swap), group))
	}
	for _, v := range l.Volumes {
		size, largest := megabytes(v.Size), fmt.Sprint(megabytes(v.Size))
		if v.Grow {
			largest = "-1"
		}
		entries = append(entries, fmt.Sprintf("%[1]d %[1]d %[2]s ext4 $defaultignore{ } $lvmok{ } %[3]slv_name{ %[4]s } method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ %[5]s } .",
			size, largest, group, v.Name, v.Mount))
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
		entries = append(entries, fmt.Sprintf("%[1]d %[1]d %[1]d raid $lvmignore{ } $primary{ } method{ raid } .", megabytes(l.Swap)))
		arrays = append(arrays, [2]string{"swap", "-"})
	}
	if !simple(l) {
		entries = append(entries, fmt.Sprintf("%d 10000 -1 raid $lvmignore{ } $primary{ } method{ raid } .", megabytes(groupMiB(l)<<20)))
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
