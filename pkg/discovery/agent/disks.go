package agent

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// notDisks are block devices that no machine is installed on.
var notDisks = []string{"loop", "ram", "zram", "sr", "fd", "nbd", "dm-", "md", "mtd", "drbd", "rbd"}

// disks reads what identifies each disk from the kernel's tables. It opens no
// disk.
func (m Machine) disks() []site.InventoryDisk {
	var out []site.InventoryDisk
	for _, name := range m.list("/sys/block") {
		if slices.ContainsFunc(notDisks, func(p string) bool { return strings.HasPrefix(name, p) }) || strings.HasPrefix(name, "mmcblk") && strings.Contains(name, "boot") {
			continue
		}
		if m.hidden(name) {
			continue
		}
		if d := m.disk(name); d.Size > 0 {
			out = append(out, d)
		}
	}
	return out
}

// hidden tells of a path to an NVMe disk that could have two ports: the disk
// itself has a name of its own, and the path no device.
func (m Machine) hidden(name string) bool { return m.line("/sys/block/"+name+"/hidden") == "1" }

func (m Machine) disk(name string) site.InventoryDisk {
	dir := "/sys/block/" + name + "/"
	place := m.place(dir)
	d := site.InventoryDisk{
		WWN: wwn(firstOf(m.line(dir+"wwid"), m.line(dir+"device/wwid"))), Serial: m.diskSerial(dir, place),
		Model: m.line(dir + "device/model"), Size: m.number(dir+"size") * 512, Rotational: m.line(dir+"queue/rotational") == "1",
	}
	d.ByPath = m.byPath(place)
	return d
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// wwn writes a number as udev and plans do. What the kernel makes up of vendor
// and serial number (t10.) is none.
func wwn(s string) string {
	s = strings.ToLower(s)
	switch {
	case strings.HasPrefix(s, "naa."):
		return "0x" + s[len("naa."):]
	case strings.HasPrefix(s, "eui."):
		return s
	default:
		return ""
	}
}

var usbDevice = regexp.MustCompile(`^(.*/usb[0-9]+/(?:[0-9.-]+/)*[0-9]+-[0-9.]+)/`)

// diskSerial is the kernel's own word, or page 0x80 of a SCSI disk (SPC-5,
// 7.7.20), or that of the USB device which a disk is in.
func (m Machine) diskSerial(dir, place string) string {
	if s := firstOf(m.line(dir+"serial"), m.line(dir+"device/serial")); s != "" {
		return s
	}
	if page, err := os.ReadFile(m.path(dir + "device/vpd_pg80")); err == nil && len(page) > 4 {
		if s := strings.TrimSpace(site.Printable(string(page[4:]), 128)); s != "" {
			return s
		}
	}
	if usb := usbDevice.FindStringSubmatch(place); usb != nil {
		return m.line(usb[1] + "/serial")
	}
	return ""
}

var (
	pciPart  = regexp.MustCompile(`/([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])`)
	ataPart  = regexp.MustCompile(`/(ata[0-9]+)/`)
	scsiPart = regexp.MustCompile(`/host([0-9]+)/.*/([0-9]+):([0-9]+):([0-9]+):([0-9]+)(?:/|$)`)
	nvmePart = regexp.MustCompile(`/nvme[0-9]+/nvme[0-9]+(?:c[0-9]+)?n([0-9]+)$`)
	usbPart  = regexp.MustCompile(`/usb[0-9]+/.*/[0-9]+-([0-9.]+):([0-9.]+)/`)
)

// byPath is the name that udev's path_id gives a disk, for the ways that
// disks of servers are attached in; empty for others.
func (m Machine) byPath(place string) string {
	all := pciPart.FindAllStringSubmatch(place, -1)
	if len(all) == 0 {
		return ""
	}
	pci := "pci-" + all[len(all)-1][1]
	if n := nvmePart.FindStringSubmatch(place); n != nil {
		return pci + "-nvme-" + n[1]
	}
	if strings.Contains(place, "/virtio") && !strings.Contains(place, "/host") {
		return pci
	}
	if a := ataPart.FindStringSubmatch(place); a != nil {
		if port := m.line(place[:strings.Index(place, a[0])] + a[0] + "ata_port/" + a[1] + "/port_no"); port != "" {
			return pci + "-ata-" + port
		}
		return ""
	}
	s := scsiPart.FindStringSubmatch(place)
	if s == nil || strings.Contains(place, "/end_device-") || strings.Contains(place, "/rport-") {
		return ""
	}
	host, _ := strconv.Atoi(s[1])
	target := strings.Join([]string{strconv.Itoa(host - m.firstHost(place, host)), s[3], s[4], s[5]}, ":")
	if u := usbPart.FindStringSubmatch(place); u != nil {
		return pci + "-usb-0:" + u[1] + ":" + u[2] + "-scsi-" + target
	}
	return pci + "-scsi-" + target
}

// firstHost is the lowest number that the hosts of one controller have.
func (m Machine) firstHost(place string, host int) int {
	at := strings.Index(place, "/host"+strconv.Itoa(host)+"/")
	if at < 0 {
		return host
	}
	first := host
	for _, name := range m.list(place[:at]) {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "host")); err == nil && strings.HasPrefix(name, "host") {
			first = min(first, n)
		}
	}
	return first
}
