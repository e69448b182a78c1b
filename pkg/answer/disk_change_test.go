package answer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// machine is a machine with disks, and with programs that only write down
// what they were asked to change.
type machine struct {
	disks  []disk
	stands map[string][]string // what an array or a volume stands on, upper → lower
	udev   map[string]string   // what udev knows, by device
	groups map[string][]string // volume group → devices
	broken string              // a program that fails
	efi    bool
}

// outcome is what a disk script did.
type outcome struct {
	err      error
	out      string
	told     string   // to the laptop
	include  string   // to anaconda
	answers  string   // to debconf
	commands []string // that change something
}

// stand has an upper device stand on lower ones.
func stand(t *testing.T, sys, upper string, lower []string) {
	t.Helper()
	for _, l := range lower {
		dir := filepath.Join(sys, "block", l)
		if found, _ := filepath.Glob(filepath.Join(sys, "block/*", l)); len(found) > 0 {
			dir = found[0]
		}
		for _, path := range []string{filepath.Join(dir, "holders", upper), filepath.Join(sys, "block", upper, "slaves", l)} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (m machine) run(t *testing.T, shell []string, script string) outcome {
	t.Helper()
	sys, dev := sysfs(t, m.efi, m.disks...)
	for upper, lower := range m.stands {
		stand(t, sys, upper, lower)
	}
	dir := t.TempDir()
	for device, text := range m.udev {
		if err := os.WriteFile(filepath.Join(dir, "udev-"+device), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var volumes strings.Builder
	for group, devices := range m.groups {
		for _, d := range devices {
			fmt.Fprintf(&volumes, "  %s/%s %s\n", dev, d, group)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pvs"), []byte(volumes.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	realDD, err := exec.LookPath("dd")
	if err != nil {
		t.Fatal(err)
	}
	record := `echo "${0##*/} $*" >>` + dir + "/calls"
	programs := map[string]string{
		"wipefs": record, "blkdiscard": record, "mdadm": record, "blkid": "exit 2", "dmesg": "", "ip": "", "lsblk": "", "debconf-set-selections": "",
		"dd":      `case "$*" in *of=*) ` + record + ` ;; *) exec ` + realDD + ` "$@" ;; esac`,
		"lvm":     `case $1 in pvs) cat ` + dir + `/pvs ;; *) ` + record + ` ;; esac`,
		"udevadm": `[ "$1" != settle ] || exit 0; for last; do :; done; cat "` + dir + `/udev-${last##*/}" 2>/dev/null; exit 0`,
		"curl":    `while [ $# -gt 0 ]; do [ "$1" != --data-raw ] || detail=$2; last=$1; shift; done; echo "${last##*/} $detail" >>` + dir + "/told",
	}
	if m.broken != "" {
		programs[m.broken] = record + "; exit 1"
	}
	got := outcome{}
	got.out, got.err = runScript(t, shell, script, "PATH="+commands(t, programs)+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev, "RACKSEED_MOUNTS=/dev/null",
		"RACKSEED_INCLUDE="+dir+"/include", "RACKSEED_SELECTIONS="+dir+"/answers", "RACKSEED_CONSOLE=/dev/null", diskLog(t))
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.ReplaceAll(string(text), dev+"/", "")
	}
	got.told, got.include, got.answers = read("told"), read("include"), read("answers")
	got.commands = strings.FieldsFunc(read("calls"), func(r rune) bool { return r == '\n' })
	return got
}

// slot is a disk whose WWN ends in its number, so that a selector can name it.
func slot(name string, n int, parts ...string) disk {
	return disk{name: name, place: fmt.Sprintf("pci0000:00/ata%d", n), files: map[string]string{"wwid": wwn(n) + "\n"}, parts: parts}
}

func wwn(n int) string { return fmt.Sprintf("naa.500000000000000%x", n) }

func named(numbers ...int) []site.DiskSelector {
	var all []site.DiskSelector
	for _, n := range numbers {
		all = append(all, site.DiskSelector{WWN: wwn(n)})
	}
	return all
}

func rotating(d disk) disk {
	files := map[string]string{"queue/rotational": "1\n"}
	for n, v := range d.files {
		files[n] = v
	}
	d.files = files
	return d
}

func volumes() profile.Layout {
	return profile.Layout{Swap: 8 << 30, Volumes: []profile.Volume{
		{Name: "root", Mount: "/", Size: 50 << 30}, {Name: "var_log", Mount: "/var/log", Size: 20 << 30}, {Name: "var", Mount: "/var", Size: 100 << 30, Grow: true},
	}}
}

func TestDiskChanges(t *testing.T) {
	member := func(uuid string) string { return "ID_FS_TYPE=linux_raid_member\nID_FS_UUID=" + uuid + "\n" }
	all := shells(t)
	pair := []disk{slot("sda", 1), slot("sdb", 2)}
	four := []disk{slot("sda", 1), slot("sdb", 2), rotating(slot("sdc", 3)), slot("sdd", 4)}
	for i, tt := range []struct {
		name    string
		machine machine
		plan    site.Disks
		layout  profile.Layout
		use     string   // the disks of --only-use, or
		reason  string   // part of why there is no install
		changes []string // the commands that change something, in order
		told    string   // part of what was reported
	}{
		{name: "a pair by two selectors", machine: machine{disks: pair}, plan: site.Disks{System: named(2, 1)}, use: "sdb,sda"},
		{name: "a pair by one selector", machine: machine{disks: pair}, plan: site.Disks{System: []site.DiskSelector{{MinSize: 1, Count: 2}}}, use: "sda,sdb"},
		{name: "one more than the pair", machine: machine{disks: four}, plan: site.Disks{System: []site.DiskSelector{{Rotational: yes(false), Count: 2}}},
			reason: "3 disks fit (rotational false), exactly 2 must: sda sdb sdd"},
		{name: "half a pair", machine: machine{disks: four}, plan: site.Disks{System: []site.DiskSelector{{Rotational: yes(true), Count: 2}}},
			reason: "one disk fits (rotational true), exactly 2 must: sdc; sda is of the other kind"},
		{name: "half a pair is gone", machine: machine{disks: pair[:1]}, plan: site.Disks{System: named(1, 2)}, reason: "no disk fits (wwn naa.5000000000000002)"},
		{name: "a disk that two selectors of the pair match", machine: machine{disks: pair}, plan: site.Disks{System: []site.DiskSelector{{WWN: wwn(1)}, {MinSize: 1}}},
			reason: "sda fits more than one selector (system system)"},
		{name: "a disk for system and Ceph", machine: machine{disks: pair}, plan: site.Disks{System: named(1), OSD: []site.DiskSelector{{Rotational: yes(false), Count: 2}}},
			reason: "sda fits more than one selector (system osd)"},
		{name: "a disk for OSD and DB", machine: machine{disks: pair}, plan: site.Disks{System: named(1), OSD: named(2), OSDDB: named(2)},
			reason: "sdb fits more than one selector (osd osd_db)"},
		{name: "the layout needs more", machine: machine{disks: pair}, plan: site.Disks{System: named(1)}, layout: profile.Layout{Volumes: []profile.Volume{{Name: "root", Mount: "/", Size: 1 << 40}}},
			reason: "sda is too small: the layout of this role needs 1050224 MiB"},
		{name: "the layout fits a disk", machine: machine{disks: pair}, plan: site.Disks{System: named(1)}, layout: profile.Layout{Volumes: []profile.Volume{{Name: "root", Mount: "/", Size: 456000 << 20}}}, use: "sda"},
		{name: "but no mirror", machine: machine{disks: pair}, plan: site.Disks{System: named(1, 2)}, layout: profile.Layout{Volumes: []profile.Volume{{Name: "root", Mount: "/", Size: 456000 << 20}}},
			reason: "sda is too small: the layout of this role needs 457776 MiB"},

		{name: "Ceph disks are kept", machine: machine{disks: four, udev: map[string]string{"sdc": "ID_FS_TYPE=ceph_bluestore\n"}}, plan: site.Disks{System: named(1), OSD: named(3, 4)},
			use: "sda", told: "2 for Ceph are left as they are, 1 of them not empty"},
		{name: "kept Ceph disks may share a group", machine: machine{disks: four, groups: map[string][]string{"ceph": {"sdc", "sdd"}}, stands: map[string][]string{"dm-3": {"sdc", "sdd"}}},
			plan: site.Disks{System: named(1), OSD: named(3, 4)}, use: "sda"},
		{name: "a Ceph disk is missing", machine: machine{disks: pair, stands: map[string][]string{"dm-0": {"sda"}}, groups: map[string][]string{"old": {"sda"}}},
			plan: site.Disks{System: named(1), OSD: named(2, 3)}, reason: "no disk fits (wwn naa.5000000000000003)"},
		{name: "Ceph disks are emptied", machine: machine{disks: []disk{slot("sda", 1), rotating(slot("sdc", 3)), slot("sdd", 4, "sdd1")}},
			plan: site.Disks{System: named(1), OSD: named(3), OSDDB: named(4), OSDPolicy: site.OSDZap}, use: "sda", told: "emptied /dev/sdd for Ceph",
			changes: []string{
				"wipefs -a sdc", "dd if=/dev/zero of=sdc bs=512 count=2048", "dd if=/dev/zero of=sdc bs=512 count=2048 seek=937497952",
				"wipefs -a sdd1", "wipefs -a sdd", "blkdiscard sdd", "dd if=/dev/zero of=sdd bs=512 count=2048", "dd if=/dev/zero of=sdd bs=512 count=2048 seek=937497952",
			}},
		{name: "a disk that cannot discard", machine: machine{disks: pair, broken: "blkdiscard"}, plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDZap}, use: "sda",
			changes: []string{"wipefs -a sdb", "blkdiscard sdb", "dd if=/dev/zero of=sdb bs=512 count=2048", "dd if=/dev/zero of=sdb bs=512 count=2048 seek=937497952"}},
		{name: "a group of the Ceph disks to be emptied", machine: machine{disks: pair, stands: map[string][]string{"dm-0": {"sdb"}}, groups: map[string][]string{"ceph": {"sdb"}}},
			plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDZap}, use: "sda",
			changes: []string{"lvm vgchange -an ceph", "wipefs -a sdb", "wipefs -a sdb", "blkdiscard sdb", "dd if=/dev/zero of=sdb bs=512 count=2048", "dd if=/dev/zero of=sdb bs=512 count=2048 seek=937497952"}},
		{name: "a group reaches beyond the Ceph disks to be emptied", machine: machine{disks: four, groups: map[string][]string{"ceph": {"sdc", "sdd"}}},
			plan: site.Disks{System: named(1), OSD: named(3), OSDPolicy: site.OSDZap}, reason: "sdc shares group ceph with sdd"},
		{name: "Ceph disks must be empty and are", machine: machine{disks: pair}, plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDFailIfDirty}, use: "sda"},
		{name: "a partition where there must be none", machine: machine{disks: []disk{slot("sda", 1), slot("sdb", 2, "sdb1")}},
			plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDFailIfDirty}, reason: "sdb is for Ceph and must be empty, but has partition sdb1"},
		{name: "a signature where there must be none", machine: machine{disks: pair, udev: map[string]string{"sdb": "ID_FS_TYPE=LVM2_member\n"}},
			plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDFailIfDirty}, reason: "has signature LVM2_member"},
		{name: "in use where nothing must be", machine: machine{disks: pair, stands: map[string][]string{"dm-7": {"sdb"}}},
			plan: site.Disks{System: named(1), OSD: named(2), OSDPolicy: site.OSDFailIfDirty}, reason: "has in use by dm-7"},

		{name: "an own group", machine: machine{disks: []disk{slot("sda", 1, "sda1", "sda2")}, stands: map[string][]string{"dm-0": {"sda2"}}, groups: map[string][]string{"rl": {"sda2"}}},
			plan: site.Disks{System: named(1)}, use: "sda", changes: []string{"lvm vgchange -an rl", "wipefs -a sda1", "wipefs -a sda2", "wipefs -a sda"}},
		{name: "an own array with a group on it", machine: machine{
			disks:  []disk{slot("sda", 1, "sda1"), slot("sdb", 2, "sdb1")},
			stands: map[string][]string{"md127": {"sda1", "sdb1"}, "dm-0": {"md127"}}, groups: map[string][]string{"rl": {"md127"}},
		}, plan: site.Disks{System: named(1, 2)}, use: "sda,sdb", changes: []string{
			"lvm vgchange -an rl", "mdadm --stop md127", "mdadm --zero-superblock sda1", "mdadm --zero-superblock sdb1",
			"wipefs -a sda1", "wipefs -a sda", "wipefs -a sdb1", "wipefs -a sdb",
		}},
		{name: "an own array that does not run", machine: machine{
			disks: []disk{slot("sda", 1, "sda1"), slot("sdb", 2, "sdb1")}, udev: map[string]string{"sda1": member("u-1"), "sdb1": member("u-1")},
		}, plan: site.Disks{System: named(1, 2)}, use: "sda,sdb", changes: []string{
			"mdadm --zero-superblock sda1", "mdadm --zero-superblock sdb1", "wipefs -a sda1", "wipefs -a sda", "wipefs -a sdb1", "wipefs -a sdb",
		}},
		{name: "half of an own array, its other disk gone", machine: machine{disks: []disk{slot("sda", 1, "sda1")}, udev: map[string]string{"sda1": member("u-1")}},
			plan: site.Disks{System: named(1)}, use: "sda", changes: []string{"mdadm --zero-superblock sda1", "wipefs -a sda1", "wipefs -a sda"}},
		{name: "an array with an unselected disk", machine: machine{disks: []disk{slot("sda", 1, "sda1"), slot("sdb", 2), slot("sdc", 3, "sdc1")}, stands: map[string][]string{"md127": {"sda1", "sdc1"}}},
			plan: site.Disks{System: named(1, 2)}, reason: "sda shares md127 with sdc"},
		{name: "an array with an unselected disk that does not run", machine: machine{
			disks: []disk{slot("sda", 1, "sda1"), slot("sdc", 3, "sdc1")}, udev: map[string]string{"sda1": member("u-1"), "sdc1": member("u-1")},
		}, plan: site.Disks{System: named(1)}, reason: "sda shares array u-1 with sdc"},
		{name: "a group with an unselected disk that does not run", machine: machine{disks: four, groups: map[string][]string{"data": {"sda", "sdd"}}},
			plan: site.Disks{System: named(1)}, reason: "sda shares group data with sdd"},
		{name: "a volume on a volume with an unselected disk", machine: machine{disks: four, stands: map[string][]string{"dm-0": {"sda"}, "dm-1": {"dm-0", "sdd"}}},
			plan: site.Disks{System: named(1)}, reason: "sda shares dm-1 with sdd"},
		{name: "a group of the new one's name elsewhere", machine: machine{disks: four, groups: map[string][]string{"vg_sys": {"sdd"}}}, plan: site.Disks{System: named(1)}, layout: volumes(),
			reason: "sdd has a volume group vg_sys as well"},
		{name: "others' arrays are left alone", machine: machine{disks: four, stands: map[string][]string{"md0": {"sdc", "sdd"}}, groups: map[string][]string{"data": {"md0"}}}, plan: site.Disks{System: named(1)}, use: "sda"},
		{name: "a group that does not stop", machine: machine{disks: pair, groups: map[string][]string{"rl": {"sda"}}, broken: "wipefs"}, plan: site.Disks{System: named(1)},
			reason: "had begun to clear the disks above: wipefs -a", changes: []string{"lvm vgchange -an rl", "wipefs -a sda"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := target(t, rocky9())
			target.Intent.Disks, target.Intent.Layout = tt.plan, tt.layout
			script, err := preScript(target)
			if err != nil {
				t.Fatal(err)
			}
			shell := all[i%len(all)]
			got := tt.machine.run(t, shell, script)
			if !slices.Equal(got.commands, tt.changes) {
				t.Errorf("%s: changed\n%s\nwant\n%s\n%s", shell, strings.Join(got.commands, "\n"), strings.Join(tt.changes, "\n"), got.out)
			}
			if gone := strings.Contains(got.told, "partitioned "); gone != (len(tt.changes) > 0) {
				t.Errorf("%s: %d changes, and that the old system is gone was reported: %t\n%s", shell, len(tt.changes), gone, got.told)
			}
			if tt.reason != "" {
				if got.err == nil || got.include != "" || !strings.Contains(got.out, tt.reason) || !strings.Contains(got.told, "failed disk: ") || !strings.Contains(got.told, "evidence") {
					t.Errorf("%s: want the reason %q, got %v\n%s\nreported\n%s", shell, tt.reason, got.err, got.out, got.told)
				}
				return
			}
			if got.err != nil || !strings.Contains(got.include, "ignoredisk --only-use="+tt.use+"\n") || !strings.Contains(got.told, tt.told) {
				t.Errorf("%s: %v, wrote\n%s\nreported\n%s\n%s", shell, got.err, got.include, got.told, got.out)
			}
		})
	}
}

// TestNothingElseIsWritten: whatever a machine has and a plan says, no command
// that changes something, and no line for the installer, names a disk that the
// plan does not give away, or what reaches to one.
func TestNothingElseIsWritten(t *testing.T) {
	names := []string{"sda", "sdb", "sdc", "sdd", "nvme0n1"}
	part := func(disk string) string {
		if strings.HasPrefix(disk, "nvme") {
			return disk + "p1"
		}
		return disk + "1"
	}
	type world struct {
		machine machine
		plan    site.Disks
		under   map[string][]string // array or group → disks
	}
	worlds := rapid.Custom(func(r *rapid.T) world {
		w := world{machine: machine{efi: rapid.Bool().Draw(r, "efi"), stands: map[string][]string{}, udev: map[string]string{}, groups: map[string][]string{}}, under: map[string][]string{}}
		for i, name := range names {
			w.machine.disks = append(w.machine.disks, slot(name, i+1, part(name)))
		}
		for n := range rapid.IntRange(0, 3).Draw(r, "things") {
			below := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(r, "below")
			var devices []string
			for _, d := range below {
				devices = append(devices, part(d))
			}
			switch id := fmt.Sprint(n); rapid.SampledFrom([]string{"array", "stopped array", "group", "stopped group", "crypt"}).Draw(r, "kind") {
			case "array":
				w.machine.stands["md12"+id] = devices
				w.under["md12"+id] = below
			case "stopped array":
				for _, d := range devices {
					w.machine.udev[d] = "ID_FS_TYPE=linux_raid_member\nID_FS_UUID=u-" + id + "\n"
				}
			case "group":
				w.machine.stands["dm-"+id], w.machine.groups["vg"+id], w.under["vg"+id] = devices, devices, below
			case "stopped group":
				w.machine.groups["vg"+id], w.under["vg"+id] = devices, below
			case "crypt":
				w.machine.stands["dm-"+id] = devices
			}
		}
		numbers := rapid.Permutation([]int{1, 2, 3, 4, 5}).Draw(r, "numbers")
		system, osd := rapid.IntRange(1, 2).Draw(r, "system"), rapid.IntRange(0, 2).Draw(r, "osd")
		w.plan = site.Disks{System: named(numbers[:system]...), OSD: named(numbers[system : system+osd]...),
			OSDPolicy: rapid.SampledFrom([]site.OSDPolicy{"", site.OSDZap, site.OSDFailIfDirty}).Draw(r, "policy")}
		return w
	})
	script := func(p site.Disks, image site.Image) string {
		target := target(t, image)
		target.Intent.Disks = p
		a := render(t, target)
		if image.Family == "debian" {
			return string(a.Files[2].Data)
		}
		text, err := preScript(target)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	device := regexp.MustCompile(`\b(sd[a-z]|nvme\dn\d)(p?\d+)?\b|\bmd\d+\b|\bvg\d+\b`)
	var changed atomic.Int64
	survives := func(t *testing.T, seed int) {
		w := worlds.Example(seed)
		var allowed []string
		give := func(selectors []site.DiskSelector) {
			for _, s := range selectors {
				allowed = append(allowed, names[s.WWN[len(s.WWN)-1]-'1'])
			}
		}
		give(w.plan.System)
		system := slices.Clone(allowed)
		if w.plan.OSDPolicy == site.OSDZap {
			give(w.plan.OSD)
		}
		image, shell := rocky9(), []string{"bash"}
		if seed%2 == 1 {
			image, shell = debian("13"), []string{"busybox", "sh"}
		}
		if _, err := exec.LookPath(shell[0]); err != nil {
			shell = []string{"sh"}
		}
		got := w.machine.run(t, shell, script(w.plan, image))
		changed.Add(int64(len(got.commands)))
		check := func(line string, may []string) {
			for _, found := range device.FindAllStringSubmatch(line, -1) {
				below, whole := w.under[found[0]], found[1]
				if whole != "" {
					below = []string{whole}
				}
				for _, d := range below {
					if !slices.Contains(may, d) {
						t.Errorf("world %d: %q touches %s, but only %v may be written\nplan %+v\nmachine %+v\n%s", seed, line, d, may, w.plan, w.machine, got.out)
					}
				}
			}
		}
		for _, c := range got.commands {
			check(c, allowed)
		}
		for line := range strings.Lines(got.include + got.answers) {
			if !strings.HasPrefix(line, "#") {
				check(line, system)
			}
		}
		if got.err != nil && len(got.commands) > 0 && !strings.Contains(got.out, "had begun") {
			t.Errorf("world %d: refused, but changed %q", seed, got.commands)
		}
		if got.err != nil && got.include+got.answers != "" {
			t.Errorf("world %d: refused, but told the installer\n%s%s", seed, got.include, got.answers)
		}
	}
	t.Run("worlds", func(t *testing.T) {
		for seed := range 36 {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				survives(t, seed)
			})
		}
	})
	if changed.Load() == 0 {
		t.Error("no world changed anything: this test tests nothing")
	}
}

func TestDisksThatCannotStand(t *testing.T) {
	for want, disks := range map[string]site.Disks{
		"3 disks are asked for":                 {System: []site.DiskSelector{{WWN: "1"}, {WWN: "2", Count: 2}}},
		"a selector names nothing":              {System: []site.DiskSelector{{Count: 2}}},
		"disks.osd: a selector names nothing":   {OSD: []site.DiskSelector{{Count: 2}}},
		"each disk must be named by wwn":        {OSD: []site.DiskSelector{{Model: "x"}}, OSDPolicy: site.OSDZap},
		`"wipe" is none of keep`:                {OSDPolicy: "wipe"},
		"named by wwn or serial: rotational tr": {OSDDB: []site.DiskSelector{{Rotational: yes(true)}}, OSDPolicy: site.OSDZap},
	} {
		for _, image := range []site.Image{rocky9(), debian("13")} {
			target := target(t, image)
			target.Intent.Disks = disks
			if _, err := Render(target); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", image.Name, err, want)
			}
		}
	}
}
