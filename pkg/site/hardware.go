package site

import "cmp"

// Hardware is what a machine is made of, as the plan or a discovery says it.
// Tuning that depends on it is computed from here; zero means not known.
type Hardware struct {
	Arch     string          `json:"arch,omitempty"`      // x86_64 or aarch64
	Boot     string          `json:"boot,omitempty"`      // uefi or bios
	Sockets  int             `json:"sockets,omitempty"`   // CPU packages
	Cores    int             `json:"cores,omitempty"`     // of one socket
	Threads  int             `json:"threads,omitempty"`   // of one core
	NUMA     []string        `json:"numa,omitempty"`      // CPU list of each NUMA node, 0-15,32-47; empty means one node a socket
	CPULevel int             `json:"cpu_level,omitempty"` // x86-64 psABI level, 1 to 4
	CPUFlags []string        `json:"cpu_flags,omitempty"` // as /proc/cpuinfo spells them
	Memory   int64           `json:"memory,omitempty"`    // bytes
	Disks    []InventoryDisk `json:"disks,omitempty"`
}

// InventoryDisk is a disk that a machine has, or several alike.
type InventoryDisk struct {
	WWN        string `json:"wwn,omitempty"`
	Serial     string `json:"serial,omitempty"`
	ByPath     string `json:"by_path,omitempty"`
	Model      string `json:"model,omitempty"`
	Size       int64  `json:"size,omitempty"` // bytes
	Rotational bool   `json:"rotational,omitempty"`
	Count      int    `json:"count,omitempty"` // zero means one
}

// CPUs counts the logical CPUs; zero means not known.
func (h Hardware) CPUs() int { return h.Sockets * h.Cores * cmp.Or(h.Threads, 1) }

// over fills in from base what h leaves out.
func (h Hardware) over(base Hardware) Hardware {
	h.Arch, h.Boot = cmp.Or(h.Arch, base.Arch), cmp.Or(h.Boot, base.Boot)
	h.Sockets, h.Cores, h.Threads = cmp.Or(h.Sockets, base.Sockets), cmp.Or(h.Cores, base.Cores), cmp.Or(h.Threads, base.Threads)
	h.CPULevel, h.Memory = cmp.Or(h.CPULevel, base.CPULevel), cmp.Or(h.Memory, base.Memory)
	if len(h.NUMA) == 0 {
		h.NUMA = base.NUMA
	}
	if len(h.CPUFlags) == 0 {
		h.CPUFlags = base.CPUFlags
	}
	if len(h.Disks) == 0 {
		h.Disks = base.Disks
	}
	return h
}

// HardwareOf is what is known of the node: its own entry, and for the rest
// its role's.
func (s *Settings) HardwareOf(n *Node) Hardware { return n.Hardware.over(s.Roles[n.Role].Hardware) }
