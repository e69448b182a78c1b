package bmcsim

import (
	"github.com/rackseed/rackseed/pkg/site"
)

// Hardware is what the BMC says of its machine.
type Hardware struct {
	Manufacturer string
	Model        string
	SKU          string
	Serial       string
	UUID         site.UUID
	BIOS         string   // version
	Firmware     string   // version, of the BMC
	MAC          site.MAC // of the BMC
	CPUs         []CPU
	DIMMs        []DIMM
	NICs         []NIC
	Drives       []Drive
}

// CPU is a processor package.
type CPU struct {
	Manufacturer, Model string
	Cores, Threads      int // Threads of the package
	MHz                 int
}

// DIMM is a memory module.
type DIMM struct {
	MiB    int
	MHz    int
	Serial string
}

// NIC is a network port of the host.
type NIC struct {
	Name string
	MAC  site.MAC
	Mbps int
	Up   bool // link
}

// Drive is a disk.
type Drive struct {
	Model  string
	Serial string
	Bytes  int64
	Media  string // HDD or SSD
	Bus    string // SATA, SAS, NVMe
}

// memory is in MiB.
func (h *Hardware) memory() int {
	sum := 0
	for _, d := range h.DIMMs {
		sum += d.MiB
	}
	return sum
}

// threads and cores are of all packages.
func (h *Hardware) threads() (cores, threads int) {
	for _, c := range h.CPUs {
		cores, threads = cores+c.Cores, threads+c.Threads
	}
	return cores, threads
}

// Server is a dual-socket machine with the given identity.
func Server(serial string, uuid site.UUID, mac site.MAC) Hardware {
	h := Hardware{
		Manufacturer: "Rackseed", Model: "Simulated R2", SKU: "SIM-R2", Serial: serial, UUID: uuid,
		BIOS: "2.14.1", Firmware: "1.7.3", MAC: mac,
	}
	h.MAC[0] |= 0x02
	h.MAC[2] = 0xbc
	for range 2 {
		h.CPUs = append(h.CPUs, CPU{Manufacturer: "Simulated", Model: "Simulated CPU 6430 @ 2.10GHz", Cores: 32, Threads: 64, MHz: 3400})
	}
	for i := range 16 {
		h.DIMMs = append(h.DIMMs, DIMM{MiB: 32 << 10, MHz: 4800, Serial: serial + "D" + string(rune('A'+i))})
	}
	h.NICs = []NIC{{Name: "Integrated NIC 1 Port 1", MAC: mac, Mbps: 25000, Up: true}, {Name: "Integrated NIC 1 Port 2", MAC: mac, Mbps: 25000}}
	h.NICs[1].MAC[3] |= 0x80
	for i := range 2 {
		h.Drives = append(h.Drives, Drive{Model: "SIM-SSD-480", Serial: serial + "B" + string(rune('1'+i)), Bytes: 480103981056, Media: "SSD", Bus: "SATA"})
	}
	h.Drives = append(h.Drives, Drive{Model: "SIM-NVME-3T8", Serial: serial + "N1", Bytes: 3840755982336, Media: "SSD", Bus: "NVMe"})
	return h
}
