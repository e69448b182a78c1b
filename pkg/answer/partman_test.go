package answer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// entry is one line of a partman recipe.
type entry struct {
	sizes  string
	kind   string
	fields map[string]string
}

var recipeField = regexp.MustCompile(`(\$?[a-z_]+)\{ ([^}]*)\}`)

// readRecipe takes a recipe apart as partman-auto does: a name, two colons,
// entries that end in a dot.
func readRecipe(text string) ([]entry, error) {
	_, body, ok := strings.Cut(text, " :: ")
	if !ok {
		return nil, fmt.Errorf("%q has no name", text)
	}
	var all []entry
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(body), " ."), " . ") {
		words := strings.Fields(part)
		if len(words) < 5 {
			return nil, fmt.Errorf("%q is no entry", part)
		}
		e := entry{sizes: strings.Join(words[:3], " "), kind: words[3], fields: map[string]string{}}
		for _, f := range recipeField.FindAllStringSubmatch(part, -1) {
			e.fields[f[1]] = strings.TrimSpace(f[2])
		}
		all = append(all, e)
	}
	return all, nil
}

func TestRecipeOfVolumes(t *testing.T) {
	target := target(t, debian("12"))
	target.Intent.Layout = volumes()
	answers, err := readPreseed(string(render(t, target).Files[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if answers["partman-auto/method"] != "lvm" || answers["partman-auto-lvm/new_vg_name"] != "vg_sys" || answers["partman-auto-lvm/guided_size"] != "max" {
		t.Errorf("the method is %q in %q", answers["partman-auto/method"], answers["partman-auto-lvm/new_vg_name"])
	}
	entries, err := readRecipe(strings.Join(strings.Fields(answers["partman-auto/expert_recipe"]), " "))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "partman-volumes", shown(entries))
	for _, e := range entries {
		if _, volume := e.fields["$lvmok"]; volume != (e.fields["lv_name"] != "") || volume && e.fields["in_vg"] != "vg_sys" {
			t.Errorf("%v is a volume of no group", e)
		}
	}
}

func shown(entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s method %s, volume %s, mount %s\n", e.sizes, e.kind, e.fields["method"], e.fields["lv_name"], e.fields["mountpoint"])
	}
	return b.String()
}

// TestRecipeOfMirror: on two disks disk.sh gives the recipes, which name the
// disks and fit the firmware.
func TestRecipeOfMirror(t *testing.T) {
	for _, tt := range []struct {
		name   string
		efi    bool
		layout profile.Layout
		disks  []disk
		raid   string
	}{
		{"plain", true, profile.Layout{}, []disk{slot("sda", 1), slot("sdb", 2)}, "1 2 0 ext4 /boot /dev/sda2#/dev/sdb2 . 1 2 0 ext4 / /dev/sda3#/dev/sdb3 ."},
		{"swap", false, profile.Layout{Swap: 4 << 30}, []disk{slot("sda", 1), slot("nvme0n1", 2)},
			"1 2 0 ext4 /boot /dev/sda2#/dev/nvme0n1p2 . 1 2 0 swap - /dev/sda3#/dev/nvme0n1p3 . 1 2 0 ext4 / /dev/sda4#/dev/nvme0n1p4 ."},
		{"volumes", true, volumes(), []disk{slot("sda", 1), slot("sdb", 2)}, "1 2 0 ext4 /boot /dev/sda2#/dev/sdb2 . 1 2 0 lvm - /dev/sda3#/dev/sdb3 ."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := target(t, debian("13"))
			target.Intent.Disks.System, target.Intent.Layout = named(1, 2), tt.layout
			files := render(t, target).Files
			main, err := readPreseed(string(files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := main["partman-auto/expert_recipe"]; ok || main["partman-auto/method"] != "raid" {
				t.Errorf("the preseed file has a recipe before disk.sh has chosen: %q", main["partman-auto/method"])
			}
			for _, shell := range shells(t) {
				got := machine{disks: tt.disks, efi: tt.efi}.run(t, shell, string(files[2].Data))
				answers, err := readPreseed(got.answers)
				if err != nil || got.err != nil {
					t.Fatalf("%s: %v %v\n%s", shell, err, got.err, got.out)
				}
				both := "/dev/" + tt.disks[0].name + " /dev/" + tt.disks[1].name
				if answers["partman-auto/disk"] != both || answers["grub-installer/bootdev"] != both {
					t.Errorf("%s: told\n%s", shell, got.answers)
				}
				if raid := answers["partman-auto-raid/recipe"]; raid != tt.raid {
					t.Errorf("%s: the mirrors are\n%s\nwant\n%s", shell, raid, tt.raid)
				}
				entries, err := readRecipe(answers["partman-auto/expert_recipe"])
				if err != nil {
					t.Fatal(err)
				}
				golden(t, "partman-mirror-"+tt.name, shown(entries))
			}
		})
	}
}

// TestSecondESP: the second disk's EFI partition is a copy, and neither holds
// up a boot when its disk is gone.
func TestSecondESP(t *testing.T) {
	target := target(t, debian("13"))
	target.Intent.Disks.System = named(1, 2)
	late := string(render(t, target).Files[3].Data)
	at, end := strings.Index(late, "second_esp() {"), strings.Index(late, "\nset -e\n")
	if at < 0 || end < at {
		t.Fatal("late.sh has no second_esp before the rest")
	}
	for _, shell := range shells(t) {
		root := t.TempDir()
		for name, text := range map[string]string{
			"disks": "sda sdb\n", "mounts": "/dev/sda1 " + root + "/target/boot/efi vfat rw 0 0\n", "sys/firmware/efi/x": "",
			"target/boot/efi/EFI/debian/grubx64.efi": "grub", "target/boot/efi/EFI/debian/shimx64.efi": "shim",
			"target/etc/fstab": "UUID=A / ext4 defaults 0 1\nUUID=B /boot/efi vfat umask=0077 0 1\n", "target/etc/apt/apt.conf.d/x": "",
		} {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		record := `echo "${0##*/} $*" >>` + root + "/calls"
		fake := commands(t, map[string]string{"mount": record, "umount": record, "chroot": "echo 1234-ABCD", "in-target": record + "; exit 1"})
		out, err := runScript(t, shell, "report() { :; }\nevidence() { :; }\n"+late[at:end], "PATH="+fake+":"+os.Getenv("PATH"),
			"RACKSEED_TARGET="+root+"/target", "RACKSEED_MOUNTS="+root+"/mounts", "RACKSEED_SYSTEM="+root+"/disks", "RACKSEED_SYS="+root+"/sys")
		if err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
		read := func(name string) string { text, _ := os.ReadFile(filepath.Join(root, name)); return string(text) }
		calls := strings.ReplaceAll(read("calls"), root, "")
		if want := "mount -t vfat /dev/sdb1 /target/boot/efi2\numount /target/boot/efi2\nin-target efibootmgr -c -d /dev/sdb -p 1 -L debian on sdb -l \\EFI\\debian\\shimx64.efi\n"; calls != want {
			t.Errorf("%s: called\n%s\nwant\n%s", shell, calls, want)
		}
		if read("target/boot/efi2/EFI/debian/grubx64.efi") != "grub" {
			t.Errorf("%s: nothing was copied", shell)
		}
		if got, want := read("target/etc/fstab"), "UUID=A / ext4 defaults 0 1\nUUID=B /boot/efi vfat umask=0077,nofail 0 1\nUUID=1234-ABCD /boot/efi2 vfat umask=0077,nofail 0 1\n"; got != want {
			t.Errorf("%s: fstab is\n%s", shell, got)
		}
	}
}

func TestLayoutsThatCannotStand(t *testing.T) {
	root := profile.Volume{Name: "root", Mount: "/", Size: 1 << 30}
	with := func(v profile.Volume) profile.Layout { return profile.Layout{Volumes: []profile.Volume{root, v}} }
	for want, layout := range map[string]profile.Layout{
		"is not a name of a volume":          with(profile.Volume{Name: "Var-Log", Mount: "/var", Size: 1}),
		"two volumes are named root":         with(profile.Volume{Name: "root", Mount: "/var", Size: 1}),
		"two volumes are named swap":         {Swap: 1 << 30, Volumes: []profile.Volume{root, {Name: "swap", Mount: "/var", Size: 1}}},
		"is not a mount point":               with(profile.Volume{Name: "var", Mount: "var", Size: 1}),
		`"/var log" is not a mount point`:    with(profile.Volume{Name: "var", Mount: "/var log", Size: 1}),
		`"/var/../etc" is not a mount`:       with(profile.Volume{Name: "var", Mount: "/var/../etc", Size: 1}),
		"/boot is a partition of its own":    with(profile.Volume{Name: "boot", Mount: "/boot", Size: 1}),
		"two volumes are mounted at /":       with(profile.Volume{Name: "other", Mount: "/", Size: 1}),
		"volume var needs a size":            with(profile.Volume{Name: "var", Mount: "/var"}),
		"2 volumes grow":                     {Volumes: []profile.Volume{{Name: "root", Mount: "/", Size: 1, Grow: true}, {Name: "var", Mount: "/var", Size: 1, Grow: true}}},
		"no volume is mounted at /":          {Volumes: []profile.Volume{{Name: "var", Mount: "/var", Size: 1}}},
		"layout.swap: -1 bytes: it must not": {Swap: -1},
	} {
		for _, image := range []site.Image{rocky9(), debian("13")} {
			target := target(t, image)
			target.Intent.Layout = layout
			if _, err := Render(target); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", image.Name, err, want)
			}
		}
	}
}
