package answer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// disk is one entry of a sysfs made up for a test.
type disk struct {
	name   string
	place  string // below /sys/devices; empty means a SATA port
	files  map[string]string
	links  []string // below /dev/disk
	size   int64    // bytes; 0 means 480 GB
	parts  []string
	holder string // of the first partition: name of a dm or md device
}

func gigabytes(n int64) int64 { return n * 1e9 }

// sysfs lays out disks as the kernel does, symlinks included.
func sysfs(t *testing.T, efi bool, disks ...disk) (sys, dev string) {
	t.Helper()
	root := t.TempDir()
	sys, dev = filepath.Join(root, "sys"), filepath.Join(root, "dev")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(sys, "block/loop0/size"), "123456789\n")
	write(filepath.Join(sys, "block/sr0/size"), "123456789\n")
	if efi {
		write(filepath.Join(sys, "firmware/efi/fw_platform_size"), "64\n")
	}
	for _, d := range disks {
		place := d.place
		if place == "" {
			place = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0"
		}
		dir := filepath.Join(sys, "devices", place, "block", d.name)
		link(dir, filepath.Join(sys, "block", d.name))
		size := d.size
		if size == 0 {
			size = gigabytes(480)
		}
		write(filepath.Join(dir, "size"), fmt.Sprintln(max(size, 0)/512))
		write(filepath.Join(dir, "removable"), "0\n")
		write(filepath.Join(dir, "ro"), "0\n")
		write(filepath.Join(dir, "queue/rotational"), "0\n")
		for name, text := range d.files {
			write(filepath.Join(dir, name), text)
		}
		for _, l := range d.links {
			link("../../"+d.name, filepath.Join(dev, "disk", l))
		}
		for _, p := range d.parts {
			write(filepath.Join(dir, p, "size"), "2048\n")
		}
		if d.holder != "" {
			link("x", filepath.Join(dir, d.parts[0], "holders", d.holder))
			write(filepath.Join(sys, "block", d.holder, "slaves", d.parts[0]), "")
		}
	}
	return sys, dev
}

// shells are what runs the script in installers, with what stands in for
// them here: anaconda has bash, Debian's installer busybox.
func shells(t *testing.T) [][]string {
	var found [][]string
	for _, s := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(s[0]); err == nil {
			found = append(found, s)
		} else {
			t.Logf("without %s: apt install %[1]s", s[0])
		}
	}
	return found
}

// commands makes a folder with fake programs, by name and shell text.
func commands(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runScript runs text with env added, and gives what it printed.
func runScript(t *testing.T, shell []string, text string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), scriptFile(t, text))...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// diskLog gives each run a log of its own: tests run beside each other, installs do not.
func diskLog(t *testing.T) string {
	return "RACKSEED_DISK_LOG=" + filepath.Join(t.TempDir(), "disk.log")
}

func yes(b bool) *bool { return &b }

func TestDiskChoice(t *testing.T) {
	sata := disk{name: "sda", files: map[string]string{
		"device/wwid": "naa.5000c500a1b2c3d4\n", "device/model": "INTEL SSDSC2KG48 \n", "device/vpd_pg80": "\x00\x80\x00\x14    phys1234abcd     ",
	}, links: []string{"by-id/wwn-0x5000c500a1b2c3d4", "by-path/pci-0000:00:17.0-ata-1"}, parts: []string{"sda1", "sda2"}}
	other := disk{name: "sdb", place: "pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0", size: gigabytes(4000), files: map[string]string{
		"device/wwid": "naa.5000c500deadbeef\n", "device/model": "ST4000NM000A\n", "queue/rotational": "1\n",
	}, links: []string{"by-id/wwn-0x5000c500deadbeef", "by-path/pci-0000:00:17.0-ata-2"}}
	stick := disk{name: "sdc", place: "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0", size: gigabytes(64)}
	nvme := disk{name: "nvme0n1", place: "pci0000:00/0000:00:1d.0/nvme/nvme0", files: map[string]string{
		"wwid": "eui.0025385b71b0e0a1\n", "device/serial": "S4EVNX0R512345      \n", "device/model": "SAMSUNG MZVLB512HBJQ\n", "device/transport": "pcie\n",
	}, links: []string{"by-path/pci-0000:01:00.0-nvme-1"}}
	virtio := disk{name: "vda", place: "pci0000:00/0000:00:04.0/virtio1", files: map[string]string{"serial": "disk0"}}
	with := func(d disk, name, text string) disk {
		files := map[string]string{name: text}
		for n, v := range d.files {
			if n != name {
				files[n] = v
			}
		}
		d.files = files
		return d
	}
	sel := func(d site.DiskSelector) []site.DiskSelector { return []site.DiskSelector{d} }
	// The same disk where nvme_core.multipath is on, as it is from RHEL 9 on.
	head, path := nvme, with(nvme, "hidden", "1\n")
	head.place, path.name, path.links = "virtual/nvme-subsystem/nvme-subsys0", "nvme0c0n1", nil
	overTCP := with(with(head, "device/transport", ""), "device/nvme0/transport", "tcp\n")

	for _, tt := range []struct {
		name   string
		disks  []disk
		plan   []site.DiskSelector
		mounts string
		udev   string
		want   string // disk, or
		every  bool   // run in every shell; one is enough for the rest
		reason string // part of why there is none
	}{
		{name: "the only disk", disks: []disk{virtio}, want: "vda"},
		{name: "the only disk beside a USB stick", every: true, disks: []disk{sata, stick}, want: "sda"},
		{name: "two disks and no word of the plan", disks: []disk{sata, other}, reason: "2 disks fit"},
		{name: "no disk at all", reason: "no disk at all, is the driver of its controller missing?"},
		{name: "only a USB stick", disks: []disk{stick}, reason: "sdc is attached by USB"},
		{name: "WWN as lsblk prints it", disks: []disk{sata, other}, plan: sel(site.DiskSelector{WWN: "0x5000c500a1b2c3d4"}), want: "sda"},
		{name: "WWN in upper case with colons", disks: []disk{sata, other}, plan: sel(site.DiskSelector{WWN: "50:00:C5:00:A1:B2:C3:D4"}), want: "sda"},
		{name: "WWN as sysfs prints it", disks: []disk{sata, other}, plan: sel(site.DiskSelector{WWN: "naa.5000c500deadbeef"}), want: "sdb"},
		{name: "the start of a WWN", disks: []disk{sata, other}, plan: sel(site.DiskSelector{WWN: "0x5000c500"}), reason: "sda has another WWN"},
		{name: "WWN of no disk", disks: []disk{sata}, plan: sel(site.DiskSelector{WWN: "0x5000c50011111111"}), reason: "no disk fits (wwn 0x5000c50011111111); sda has another WWN"},
		{name: "WWN of NVMe", disks: []disk{sata, nvme}, plan: sel(site.DiskSelector{WWN: "eui.0025385b71b0e0a1"}), want: "nvme0n1"},
		{name: "NVMe with multipath", every: true, disks: []disk{head, path}, plan: sel(site.DiskSelector{Serial: "S4EVNX0R512345"}), want: "nvme0n1"},
		{name: "NVMe over TCP with multipath", disks: []disk{overTCP}, reason: "nvme0n1 is an NVMe volume on the network"},
		{name: "serial number, padded", every: true, disks: []disk{sata, nvme}, plan: sel(site.DiskSelector{Serial: " s4evnx0r512345 "}), want: "nvme0n1"},
		{name: "serial number of the SCSI page", every: true, disks: []disk{sata, other}, plan: sel(site.DiskSelector{Serial: "PHYS1234ABCD"}), want: "sda"},
		{name: "serial number that only udev knows", disks: []disk{other}, plan: sel(site.DiskSelector{Serial: "zc1abc"}), udev: "ID_SERIAL_SHORT=ZC1ABC", want: "sdb"},
		{name: "serial number of virtio", disks: []disk{virtio}, plan: sel(site.DiskSelector{Serial: "disk0"}), want: "vda"},
		{name: "serial number with a pattern", every: true, disks: []disk{virtio}, plan: sel(site.DiskSelector{Serial: "*"}), reason: "vda has another serial number"},
		{name: "path", disks: []disk{sata, other}, plan: sel(site.DiskSelector{ByPath: "pci-0000:00:17.0-ata-2"}), want: "sdb"},
		{name: "model with blanks or as udev writes it", every: true, disks: []disk{sata, other}, plan: sel(site.DiskSelector{Model: "intel_ssdsc2kg48"}), want: "sda"},
		{name: "size", disks: []disk{sata, other}, plan: sel(site.DiskSelector{MinSize: gigabytes(1000)}), want: "sdb"},
		{name: "size, upper bound", disks: []disk{sata, other}, plan: sel(site.DiskSelector{MaxSize: gigabytes(1000)}), want: "sda"},
		{name: "solid state", disks: []disk{sata, other}, plan: sel(site.DiskSelector{Rotational: yes(false)}), want: "sda"},
		{name: "rotating", disks: []disk{sata, other}, plan: sel(site.DiskSelector{Rotational: yes(true)}), want: "sdb"},
		{name: "every field must match", disks: []disk{sata, other}, plan: sel(site.DiskSelector{WWN: "0x5000c500a1b2c3d4", Rotational: yes(true)}), reason: "sda is of the other kind"},
		{name: "two of the same model", disks: []disk{nvme, with(nvme, "wwid", "eui.1")}[:1], plan: sel(site.DiskSelector{Model: "SAMSUNG MZVLB512HBJQ"}), want: "nvme0n1"},
		{name: "ambiguous", disks: []disk{sata, with(other, "device/model", "INTEL SSDSC2KG48")}, plan: sel(site.DiskSelector{Model: "INTEL SSDSC2KG48"}), reason: "2 disks fit (model INTEL SSDSC2KG48), exactly one must: sda sdb; name the right one"},
		{name: "a USB stick that the plan matches", disks: []disk{stick}, plan: sel(site.DiskSelector{MinSize: 1}), reason: "sdc is attached by USB"},
		{name: "removable", disks: []disk{with(sata, "removable", "1")}, reason: "sda is removable"},
		{name: "read-only", disks: []disk{with(sata, "ro", "1")}, reason: "sda is read-only"},
		{name: "empty card reader", disks: []disk{sata, {name: "sdd", place: "x/usb2/y", size: -1}}, want: "sda"},
		{name: "small", disks: []disk{{name: "sdd", size: 4 << 30}}, reason: "sdd is smaller than 8 GiB"},
		{name: "virtual media", disks: []disk{with(sata, "device/model", "Virtual HDisk0")}, reason: "sda is virtual media"},
		{name: "iSCSI", disks: []disk{{name: "sda", place: "platform/host3/session1/target3:0:0/3:0:0:0"}}, reason: "sda is an iSCSI volume"},
		{name: "Fibre Channel", disks: []disk{{name: "sda", place: "pci0000:00/0000:00:02.0/host1/rport-1:0-2/target1:0:0/1:0:0:0"}}, reason: "sda is a Fibre Channel volume"},
		{name: "NVMe over TCP", disks: []disk{with(nvme, "device/transport", "tcp")}, reason: "nvme0n1 is an NVMe volume on the network"},
		{name: "the installer's own medium", every: true, disks: []disk{sata}, mounts: "DEV/sda1 /run/install/repo iso9660 ro 0 0\n", reason: "sda is in use by the installer (/run/install/repo)"},
		{name: "a disk whose name begins alike", disks: []disk{sata}, mounts: "DEV/sdaa1 /mnt ext4 rw 0 0\n", want: "sda"},
		{name: "a volume group of its own", disks: []disk{{name: "sda", parts: []string{"sda1"}, holder: "dm-0"}}, want: "sda"},
		{name: "an array over two disks", every: true, disks: []disk{
			{name: "sda", parts: []string{"sda1"}, holder: "md127", files: map[string]string{"wwid": "naa.1"}}, {name: "sdb", place: "x", parts: []string{"sdb1"}, holder: "md127"},
		}, plan: sel(site.DiskSelector{WWN: "naa.1"}), reason: "sda shares md127 with sdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := target(t, rocky9())
			target.Intent.Disks.System = tt.plan
			script, err := preScript(target)
			if err != nil {
				t.Fatal(err)
			}
			for i, shell := range shells(t) {
				if i > 0 && !tt.every {
					break
				}
				sys, dev := sysfs(t, true, tt.disks...)
				include := filepath.Join(t.TempDir(), "disk.ks")
				mounts := filepath.Join(t.TempDir(), "mounts")
				if err := os.WriteFile(mounts, []byte(strings.ReplaceAll(tt.mounts, "DEV", dev)), 0o644); err != nil {
					t.Fatal(err)
				}
				reports := filepath.Join(t.TempDir(), "reports")
				fake := commands(t, map[string]string{
					"udevadm": "echo '" + tt.udev + "'", "dmesg": "", "ip": "", "lsblk": "",
					"curl": `while [ $# -gt 0 ]; do [ "$1" != --data-raw ] || detail=$2; last=$1; shift; done; echo "${last##*/} $detail" >>` + reports,
				})
				out, err := runScript(t, shell, script, "PATH="+fake+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev,
					"RACKSEED_MOUNTS="+mounts, "RACKSEED_INCLUDE="+include, "RACKSEED_CONSOLE=/dev/null", diskLog(t))
				told, _ := os.ReadFile(reports)
				written, _ := os.ReadFile(include)
				if tt.want == "" {
					if err == nil || len(written) > 0 {
						t.Fatalf("%s: chose a disk:\n%s%s", shell, out, written)
					}
					if !strings.Contains(string(told), "failed disk: ") || !strings.Contains(string(told), tt.reason) || !strings.Contains(string(told), "evidence") || !strings.Contains(out, tt.reason) {
						t.Errorf("%s: want the reason %q; reported:\n%s\nprinted:\n%s", shell, tt.reason, told, out)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v\n%s", shell, err, out)
				}
				if !strings.Contains(string(written), "ignoredisk --only-use="+tt.want+"\n") || strings.Count(string(written), "--drives="+tt.want+"\n") != 1 {
					t.Errorf("%s: wrote\n%s", shell, written)
				}
				if !strings.Contains(string(told), "disk /dev/"+tt.want+", ") {
					t.Errorf("%s: reported\n%s", shell, told)
				}
			}
		})
	}
}

func TestDiskLayoutFollowsFirmware(t *testing.T) {
	script, err := preScript(&Target{Intent: &profile.Intent{Node: "n"}, Image: rocky9(), Base: "http://127.0.0.1:1", Token: "T"})
	if err != nil {
		t.Fatal(err)
	}
	for _, efi := range []bool{true, false} {
		sys, dev := sysfs(t, efi, disk{name: "vda"})
		include := filepath.Join(t.TempDir(), "disk.ks")
		fake := commands(t, map[string]string{"udevadm": "exit 1", "curl": ""})
		if out, err := runScript(t, []string{"sh"}, script, "PATH="+fake+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev, "RACKSEED_INCLUDE="+include, diskLog(t)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		written, err := os.ReadFile(include)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(written), "part /boot/efi") != efi || strings.Contains(string(written), "part biosboot") == efi {
			t.Errorf("EFI %v:\n%s", efi, written)
		}
		golden(t, map[bool]string{true: "disk-efi.ks", false: "disk-bios.ks"}[efi], string(written))
	}
}

// TestDiskIsToldToDebconf: partman may write only once a disk was chosen.
func TestDiskIsToldToDebconf(t *testing.T) {
	a := render(t, target(t, debian("13")))
	script := string(a.Files[2].Data)
	for _, tt := range []struct {
		wwid, debconf string
		ok            bool
	}{{"naa.5000c500a1b2c3d4\n", "exit 0", true}, {"naa.1\n", "exit 0", false}, {"naa.5000c500a1b2c3d4\n", "exit 1", false}} {
		for _, shell := range shells(t) {
			sys, dev := sysfs(t, true, disk{name: "vda", files: map[string]string{"wwid": tt.wwid}})
			selections := filepath.Join(t.TempDir(), "selections")
			reports := filepath.Join(t.TempDir(), "reports")
			fake := commands(t, map[string]string{
				"udevadm": "exit 1", "dmesg": "", "ip": "", "lsblk": "", "debconf-set-selections": tt.debconf,
				"curl": `for last; do :; done; echo "${last##*/}" >>` + reports,
			})
			out, err := runScript(t, shell, script, "PATH="+fake+":"+os.Getenv("PATH"), "RACKSEED_SYS="+sys, "RACKSEED_DEV="+dev,
				"RACKSEED_SELECTIONS="+selections, "RACKSEED_CONSOLE=/dev/null", diskLog(t))
			told, _ := os.ReadFile(reports)
			want := map[bool]string{true: "disk\n", false: "failed\nevidence\n"}[tt.ok]
			if (err == nil) != tt.ok || string(told) != want {
				t.Errorf("%s: %v, reported %q, want %q\n%s", shell, err, told, want, out)
			}
			written, _ := os.ReadFile(selections)
			answers, err := readPreseed(string(written))
			if err != nil {
				t.Fatal(err)
			}
			if tt.ok && (answers["partman-auto/disk"] != "/dev/vda" || answers["grub-installer/bootdev"] != "/dev/vda" || answers["partman/confirm"] != "true") {
				t.Errorf("%s: told debconf\n%s", shell, written)
			}
			if tt.wwid == "naa.1\n" && len(written) > 0 {
				t.Errorf("%s: partman may write without a disk having been chosen", shell)
			}
		}
	}
}
