package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func knownArch(arch string) bool { return arch == "x86_64" || arch == "aarch64" }

func (c *checker) checkHardware(path, whose string, h Hardware) {
	if h.Arch != "" && !knownArch(h.Arch) {
		c.fail("arch-unknown", path+".arch", "use x86_64 or aarch64", "%s has architecture %q", whose, h.Arch)
	}
	switch h.Boot {
	case "", "uefi", "bios":
	default:
		c.fail("boot-mode-unknown", path+".boot", "use uefi or bios", "%s boots by %q", whose, h.Boot)
	}
	if h.Arch == "aarch64" && h.Boot == "bios" {
		c.fail("boot-mode-unknown", path+".boot", "use uefi", "%s is aarch64, which has no BIOS boot", whose)
	}
	for _, v := range []struct {
		key      string
		got, max int
	}{{"sockets", h.Sockets, 64}, {"cores", h.Cores, 1024}, {"threads", h.Threads, 8}, {"cpu_level", h.CPULevel, 4}} {
		if v.got < 0 || v.got > v.max {
			c.fail("hardware-out-of-range", path+"."+v.key, fmt.Sprintf("use 1 to %d", v.max), "%s has %s: %d", whose, v.key, v.got)
		}
	}
	if h.Memory != 0 && h.Memory < 512<<20 {
		c.fail("hardware-out-of-range", path+".memory", "write it like 384GiB", "%s has %d bytes of memory", whose, h.Memory)
	}
	c.checkNUMA(path+".numa", whose, h)
	for i, f := range h.CPUFlags {
		if !onlyOf(f, "_") {
			c.fail("cpu-flag-malformed", fmt.Sprintf("%s.cpu_flags[%d]", path, i), "copy the words of /proc/cpuinfo", "%q of %s is not a CPU flag", f, whose)
		}
	}
	for i, d := range h.Disks {
		if d.malformed() {
			c.fail("inventory-disk-malformed", fmt.Sprintf("%s.disks[%d]", path, i), "copy it from lsblk: {model: X, size: 480GB, count: 2}", "disk %d of %s is none", i+1, whose)
		}
	}
}

func (d InventoryDisk) malformed() bool {
	return d.Size < 0 || d.Count < 0 || d.Count > 128 || !printable(d.WWN+d.Serial+d.ByPath+d.Model)
}

// checkNUMA wants every CPU on one node.
func (c *checker) checkNUMA(path, whose string, h Hardware) {
	owner := map[int]int{}
	for i, list := range h.NUMA {
		at := fmt.Sprintf("%s[%d]", path, i)
		cpus, ok := cpuList(list)
		if !ok {
			c.fail("numa-malformed", at, "write it as lscpu does: 0-15,32-47", "%q of %s is not a list of CPUs", list, whose)
			return
		}
		for _, cpu := range cpus {
			if other, taken := owner[cpu]; taken {
				c.fail("numa-malformed", at, "name each CPU once", "%s has CPU %d on NUMA nodes %d and %d", whose, cpu, other, i)
				return
			}
			owner[cpu] = i
		}
	}
	if total := h.CPUs(); total > 0 && len(owner) > 0 && len(owner) != total {
		c.fail("numa-malformed", path, "copy the lists from lscpu", "the NUMA nodes of %s have %d CPUs, and sockets, cores and threads make %d", whose, len(owner), total)
	}
}

// maxCPU bounds what a CPU list may name (CONFIG_NR_CPUS of the distributions).
const maxCPU = 8192

// cpuList reads a list as in cpuset(7): 0-3,8.
func cpuList(text string) ([]int, bool) {
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err1 := strconv.Atoi(low)
		last, err2 := first, error(nil)
		if isRange {
			last, err2 = strconv.Atoi(high)
		}
		if err1 != nil || err2 != nil || first < 0 || last < first || last >= maxCPU || len(out) > maxCPU {
			return nil, false
		}
		for cpu := first; cpu <= last; cpu++ {
			out = append(out, cpu)
		}
	}
	return out, true
}

// need is what the installer of a system asks of a machine.
type need struct {
	memory int64 // GB; the installer keeps its own system in memory
	level  int   // x86-64 psABI level
}

// needOf gives what is known of a system. Memory is by trial and report: EL9
// fails with 3 GB (curl 23), Ubuntu holds its whole medium in memory.
func needOf(s System) need {
	major, _, _ := strings.Cut(strings.TrimPrefix(s.Version, "v"), ".")
	switch s.Distro {
	case "rocky", "rhel", "centos":
		return map[string]need{"8": {3, 1}, "9": {4, 2}, "10": {4, 3}}[major]
	case "almalinux":
		return map[string]need{"8": {3, 1}, "9": {4, 2}, "10": {4, 2}}[major] // AlmaLinux 10 also has a build for level 2
	case "openeuler":
		if major == "25" {
			return need{3, 2}
		}
		return need{3, 1}
	case "kylin":
		return need{3, 1}
	case "ubuntu":
		if major >= "24" {
			return need{8, 1}
		}
		return need{4, 1}
	case "debian":
		return need{1, 1}
	default:
		return need{}
	}
}

// checkSystem compares a machine with what it installs.
func (c *checker) checkSystem(path string, n *Node) {
	h := c.plan.HardwareOf(n)
	if h.Arch == "" && h.Memory == 0 && h.CPULevel == 0 {
		return
	}
	image := c.plan.ImageOf(n)
	system, known := c.systems[image]
	if !known {
		system = c.plan.SystemOf(image)
		c.systems[image] = system
	}
	place := func(key string, own bool) string {
		if own {
			return path + ".hardware." + key
		}
		return "roles." + n.Role + ".hardware." + key
	}
	name, needs := strings.TrimSpace(system.Distro+" "+system.Version), needOf(system)
	if knownArch(h.Arch) && system.Arch != "" && h.Arch != system.Arch {
		c.fail("arch-differs", place("arch", n.Hardware.Arch != ""), "choose an image for "+h.Arch, "%s is %s and its image %s is for %s", n.Name, h.Arch, image, system.Arch)
	}
	if h.CPULevel > 0 && h.CPULevel < needs.level && h.Arch != "aarch64" {
		c.fail("cpu-level-too-low", place("cpu_level", n.Hardware.CPULevel > 0), "choose an older release", "the CPUs of %s are x86-64-v%d and %s needs v%d", n.Name, h.CPULevel, name, needs.level)
	}
	if h.Memory > 0 && h.Memory < needs.memory*1e9 {
		c.fail("memory-too-small", place("memory", n.Hardware.Memory > 0), "give the machine more memory, or choose another image", "%s has %.1f GB of memory and the installer of %s needs %d", n.Name, float64(h.Memory)/1e9, name, needs.memory)
	}
}

// checkRootHash finds a yescrypt hash for a system whose crypt(3) is older.
func (c *checker) checkRootHash() {
	if !strings.HasPrefix(c.plan.Access.Root.Reveal(), "$y$") {
		return
	}
	for i := range c.plan.Nodes {
		s := c.plan.SystemOf(c.plan.ImageOf(&c.plan.Nodes[i]))
		el := slices.Contains([]string{"rocky", "rhel", "centos", "almalinux"}, s.Distro) && strings.HasPrefix(s.Version, "8")
		if el || s.Distro == "kylin" || s.Distro == "openeuler" && strings.HasPrefix(s.Version, "20") {
			c.warn("root-hash-too-new", "access.root", "use the output of `openssl passwd -6`", "%s %s does not know yescrypt: root could not log in", s.Distro, s.Version)
			return
		}
	}
}
