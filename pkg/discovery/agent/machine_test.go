package agent

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/site"
)

// tree makes the kernel's tables of a machine: files by path, and links, whose
// text begins with "-> " and is relative to the link's folder.
func tree(t *testing.T, files map[string]string) Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			var to string
			if to, err = filepath.Rel(filepath.Dir(path), filepath.Join(root, target)); err == nil {
				err = os.Symlink(to, path)
			}
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Machine{Root: root}
}

const (
	nvme   = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/nvme/nvme0/nvme0n1"
	raid   = "/sys/devices/pci0000:17/0000:17:00.0/0000:18:00.0/host0/target0:2:0/0:2:0:0"
	sata   = "/sys/devices/pci0000:00/0000:00:17.0/ata3/host4/target4:0:0/4:0:0:0"
	stick  = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/host6/target6:0:0/6:0:0:0"
	virtio = "/sys/devices/pci0000:00/0000:00:05.0/virtio2"
)

// rack server with one disk of every kind that servers have.
func server() map[string]string {
	cpus := map[string]string{}
	for n, at := range []string{"0 0", "0 1", "1 0", "1 1"} {
		f := strings.Fields(at)
		for k := range 2 {
			dir := "/sys/devices/system/cpu/cpu" + string(rune('0'+n+4*k)) + "/topology/"
			cpus[dir+"physical_package_id"], cpus[dir+"core_id"] = f[0]+"\n", f[1]+"\n"
		}
	}
	files := map[string]string{
		"/sys/class/dmi/id/sys_vendor": "Huawei\n", "/sys/class/dmi/id/product_name": "RH2288H V5\n", "/sys/class/dmi/id/product_serial": "To be filled by O.E.M.\n",
		"/sys/class/dmi/id/chassis_serial": " 2102311TUF10K8000513 \n", "/sys/class/dmi/id/bios_version": "0.81\n",
		"/sys/class/dmi/id/product_uuid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8\n", "/sys/firmware/efi/systab": "",
		"/sys/devices/system/node/node0/cpulist": "0-1,4-5\n", "/sys/devices/system/node/node1/cpulist": "2-3,6-7\n", "/sys/devices/system/node/online": "0-1\n",
		"/proc/cpuinfo":                         "processor\t: 0\nflags\t\t: fpu lm cmov cx8 fxsr mmx syscall sse2 cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3\n",
		"/proc/meminfo":                         "MemTotal:       197700000 kB\n",
		"/sys/devices/system/cpu/cpufreq/boost": "1",

		"/sys/block/nvme0n1": "-> " + nvme, nvme + "/size": "7501476528\n", nvme + "/wwid": "eui.0025385A71B00F1C\n", nvme + "/device/model": "SAMSUNG MZQL23T8\n", nvme + "/device/serial": "S64H\n", nvme + "/queue/rotational": "0\n",
		"/sys/block/sda": "-> " + raid + "/block/sda", raid + "/block/sda/size": "1170997248\n", raid + "/block/sda/device": "-> " + raid, raid + "/wwid": "naa.600605B00A1B2C3D\n",
		raid + "/model": "AVAGO\n", raid + "/vpd_pg80": "\x00\x80\x00\x06 WD-77 ", raid + "/block/sda/queue/rotational": "1\n",
		"/sys/block/sdb": "-> " + sata + "/block/sdb", sata + "/block/sdb/size": "937703088\n", sata + "/block/sdb/device": "-> " + sata, sata + "/wwid": "t10.ATA     INTEL SSDSC2KB48  PHYF9\n", sata + "/model": "INTEL SSDSC2KB48\n",
		"/sys/devices/pci0000:00/0000:00:17.0/ata3/ata_port/ata3/port_no": "3\n", "/sys/devices/pci0000:00/0000:00:17.0/host2/x": "",
		"/sys/block/sdc": "-> " + stick + "/block/sdc", stick + "/block/sdc/size": "16384\n", stick + "/block/sdc/device": "-> " + stick, "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/serial": "STICK1\n",
		"/sys/block/vda": "-> " + virtio + "/block/vda", virtio + "/block/vda/size": "2048\n", virtio + "/block/vda/serial": "V1\n",
		"/sys/block/nvme0c0n1/hidden": "1\n", "/sys/block/nvme0c0n1/size": "7501476528\n", "/sys/block/nvme0c0n1/device/serial": "S64H\n",
		"/sys/block/sr0/size": "2048\n", "/sys/block/loop0/size": "2048\n", "/sys/block/dm-0/size": "2048\n", "/sys/block/sdz/size": "0\n",

		"/sys/class/net/eth1/device": "-> /sys/devices/pci0000:3a/0000:5e:00.1", "/sys/devices/pci0000:3a/0000:5e:00.1/driver": "-> /sys/bus/pci/drivers/ice", "/sys/bus/pci/drivers/ice/x": "",
		"/sys/class/net/eth1/type": "1\n", "/sys/class/net/eth1/address": "52:54:00:00:00:11\n", "/sys/class/net/eth1/carrier": "1\n", "/sys/class/net/eth1/speed": "25000\n", "/sys/class/net/eth1/mtu": "1500\n",
		"/sys/class/net/eth0/device": "-> /sys/devices/pci0000:3a/0000:5e:00.0", "/sys/devices/pci0000:3a/0000:5e:00.0/driver": "-> /sys/bus/pci/drivers/ice",
		"/sys/class/net/eth0/type": "1\n", "/sys/class/net/eth0/address": "52:54:00:00:00:10\n", "/sys/class/net/eth0/carrier": "0\n", "/sys/class/net/eth0/speed": "-1\n", "/sys/class/net/eth0/mtu": "1500\n",
		"/sys/class/net/usb0/device": "-> /sys/devices/pci0000:00/0000:00:14.0/usb1/1-4", "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/driver": "-> /sys/bus/usb/drivers/cdc_ether", "/sys/bus/usb/drivers/cdc_ether/x": "",
		"/sys/class/net/usb0/type": "1\n", "/sys/class/net/usb0/address": "0a:00:00:00:00:01\n",
		"/sys/class/net/lo/type": "772\n", "/sys/class/net/lo/address": "00:00:00:00:00:00\n",
	}
	for k, v := range cpus {
		files[k] = v
	}
	return files
}

func TestInventory(t *testing.T) {
	i := tree(t, server()).Inventory()
	mac := func(n byte) site.MAC { return site.MAC{0x52, 0x54, 0, 0, 0, n} }
	want := site.Inventory{
		Manufacturer: "Huawei", Model: "RH2288H V5", Serial: "2102311TUF10K8000513", Firmware: "0.81",
		Hardware: site.Hardware{
			Arch: map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH], Boot: "uefi", Sockets: 2, Cores: 2, Threads: 2,
			NUMA: []string{"0-1,4-5", "2-3,6-7"}, CPULevel: 2, Memory: 197700000 << 10,
			Disks: []site.InventoryDisk{
				{WWN: "eui.0025385a71b00f1c", Serial: "S64H", ByPath: "pci-0000:3b:00.0-nvme-1", Model: "SAMSUNG MZQL23T8", Size: 7501476528 * 512},
				{WWN: "0x600605b00a1b2c3d", Serial: "WD-77", ByPath: "pci-0000:18:00.0-scsi-0:2:0:0", Model: "AVAGO", Size: 1170997248 * 512, Rotational: true},
				{ByPath: "pci-0000:00:17.0-ata-3", Model: "INTEL SSDSC2KB48", Size: 937703088 * 512},
				{Serial: "STICK1", ByPath: "pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0", Size: 16384 * 512},
				{Serial: "V1", ByPath: "pci-0000:00:05.0", Size: 2048 * 512},
			},
		},
		NICs: []site.InventoryNIC{
			{Name: "eth0", MAC: mac(0x10), Path: "0000:5e:00.0", Driver: "ice", Link: "down", MTU: 1500},
			{Name: "eth1", MAC: mac(0x11), Path: "0000:5e:00.1", Driver: "ice", Link: "up", Speed: 25000, MTU: 1500},
		},
	}
	want.UUID, _ = site.ParseUUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")
	i.Hardware.CPUFlags = nil
	if diff := cmp.Diff(want, i, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	text := strings.Join(Describe(i), "\n")
	for _, word := range []string{"RH2288H V5", "2102311TUF10K8000513", "2 sockets, 2 cores each", "serial WD-77", "rotating", "port eth1 52:54:00:00:00:11, 0000:5e:00.1, driver ice, link up, 25000 Mbit/s"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not said:\n%s", word, text)
		}
	}
}

// TestBareMachine: a machine whose kernel says nothing is no reason to fall.
func TestBareMachine(t *testing.T) {
	i := tree(t, map[string]string{"/proc/cmdline": "x"}).Inventory()
	if i.Serial != "" || len(i.NICs)+len(i.Hardware.Disks) != 0 || i.Hardware.Boot != "bios" || len(Describe(i)) == 0 {
		t.Errorf("%+v", i)
	}
}

func TestMemoryDevices(t *testing.T) {
	device := func(size uint16, extended uint32) []byte {
		s := make([]byte, 0x28)
		s[0], s[1], s[0x0c], s[0x0d] = 17, byte(len(s)), byte(size), byte(size>>8)
		s[0x1c], s[0x1d], s[0x1e], s[0x1f] = byte(extended), byte(extended>>8), byte(extended>>16), byte(extended>>24)
		return append(s, 'D', 'I', 'M', 'M', 0, 0)
	}
	var table []byte
	table = append(table, 1, 4, 0, 0, 0, 0)          // another kind
	table = append(table, device(16384, 0)...)       // MiB
	table = append(table, device(0x7fff, 65536)...)  // too large for the short field
	table = append(table, device(0x8000|1024, 0)...) // KiB
	table = append(table, device(0, 0)...)           // an empty slot
	table = append(table, device(0xffff, 0)...)      // not known
	table = append(table, 127, 4, 0, 0, 0, 0)        // the end
	if got, want := memoryDevices(table), int64(16384<<20+65536<<20+1024<<10); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	for n := range table {
		memoryDevices(table[:n]) // cut off anywhere
	}
}

func FuzzMemoryDevices(f *testing.F) {
	f.Add([]byte{17, 4, 0, 0, 0, 0})
	f.Add([]byte{17, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if memoryDevices(b) < 0 {
			t.Error("less than no memory")
		}
	})
}

func TestParseSettings(t *testing.T) {
	s, err := ParseSettings("initrd=initrd.magic rdinit=/rackseed/discover rackseed.url=http://10.20.0.1:8080/discover/52-54-00-00-00-66/-/T rackseed.mac=52:54:00:00:00:66 panic=30")
	if err != nil || s.MAC != (site.MAC{0x52, 0x54, 0, 0, 0, 0x66}) || !strings.HasSuffix(s.URL, "/-/T") {
		t.Errorf("%+v, %v", s, err)
	}
	for _, line := range []string{"", "rackseed.url=http://x", "rackseed.mac=52:54:00:00:00:66", "rackseed.url=http://x rackseed.mac=none"} {
		if _, err := ParseSettings(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestStorageWithoutDriver(t *testing.T) {
	m := tree(t, map[string]string{
		"/sys/bus/pci/devices/0000:3b:00.0/class": "0x010802\n",
		"/sys/bus/pci/devices/0000:18:00.0/class": "0x010400\n", "/sys/bus/pci/devices/0000:18:00.0/driver/x": "",
		"/sys/bus/pci/devices/0000:5e:00.0/class":  "0x020000\n",
		"/sys/bus/virtio/devices/virtio2/device":   "0x0002\n",
		"/sys/bus/virtio/devices/virtio0/device":   "0x0001\n",
		"/sys/devices/pci0000:00/modalias":         "pci:v00008086d00000001sv00008086sd00000000bc01sc08i02\n",
		"/sys/devices/pci0000:00/gpu/modalias":     "pci:v00008086d00000001sv00008086sd00000000bc03sc00i00\n",
		"/sys/devices/pci0000:00/virtio0/modalias": "virtio:d00000001v00001AF4\n",
	})
	if diff := cmp.Diff([]string{"0000:3b:00.0", "virtio2"}, m.storageWithoutDriver()); diff != "" {
		t.Error(diff)
	}
	wanted := 0
	for _, a := range m.aliases() {
		if wantedDevices.MatchString(a) {
			wanted++
		}
	}
	if wanted != 2 {
		t.Errorf("%d of the devices are given drivers; a display needs none", wanted)
	}
}

func TestDriverFiles(t *testing.T) {
	const index = "Package: scsi-modules-6.12.107+deb13-amd64-di\nFilename: pool/main/l/scsi.udeb\nSize: 1\n\n" +
		"Package: scsi-modules-6.12.99+deb13-amd64-di\nFilename: pool/main/l/old.udeb\n\n" +
		"Package: fb-modules-6.12.107+deb13-amd64-di\nFilename: pool/main/l/fb.udeb\n\n" +
		"Package: nvme-modules-6.12.107+deb13-amd64-di\nFilename: ../../etc/passwd\n\n" +
		"Package: virtio-modules-6.12.107+deb13-amd64-di\nFilename: pool/main/l/virtio.udeb\n\n" +
		"Package: disk-modules-6.12.107+deb13-amd64-di\nProvides: ext4-modules, sata-modules\nFilename: pool/main/l/disk.udeb\n"
	want := []string{"pool/main/l/scsi.udeb", "pool/main/l/virtio.udeb", "pool/main/l/disk.udeb"}
	if diff := cmp.Diff(want, driverFiles(index, "6.12.107+deb13-amd64")); diff != "" {
		t.Error(diff)
	}
}
