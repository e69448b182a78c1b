package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Machine reads the kernel's tables below Root, which is / but in tests.
type Machine struct {
	Root string
}

func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// line is the first line of a file, without the blanks around it; empty if
// there is none.
func (m Machine) line(name string) string {
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(site.Printable(first, 4096))
}

func (m Machine) number(name string) int64 {
	n, err := strconv.ParseInt(m.line(name), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

func (m Machine) exists(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// list gives the names in a folder, in order.
func (m Machine) list(name string) []string {
	entries, err := os.ReadDir(m.path(name))
	if err != nil {
		return nil
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name()
	}
	return out
}

// place follows the links of a path, and gives it without Root.
func (m Machine) place(name string) string {
	at, err := filepath.EvalSymlinks(m.path(name))
	if err != nil {
		return ""
	}
	root, err := filepath.EvalSymlinks(m.path("/"))
	if err != nil || root == "/" {
		return at
	}
	return strings.TrimPrefix(at, root)
}

// Inventory is everything that needs no waiting.
func (m Machine) Inventory() site.Inventory {
	i := site.Inventory{
		Manufacturer: m.dmi("sys_vendor"), Model: m.dmi("product_name"), Serial: m.serial(), Firmware: m.dmi("bios_version"),
		Hardware: m.hardware(), NICs: m.nics(),
	}
	if u, err := site.ParseUUID(m.dmi("product_uuid")); err == nil && !u.Junk() {
		i.UUID = u
	}
	return i
}

func (m Machine) dmi(name string) string { return m.line("/sys/class/dmi/id/" + name) }

// serial is that of the system; boards without one have that of the chassis
// on their label.
func (m Machine) serial() string {
	for _, name := range []string{"product_serial", "chassis_serial", "board_serial"} {
		if s := m.dmi(name); !site.JunkSerial(s) {
			return s
		}
	}
	return ""
}

func (m Machine) hardware() site.Hardware {
	h := site.Hardware{Arch: map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH], Boot: "bios", Memory: m.memory(), Disks: m.disks()}
	if m.exists("/sys/firmware/efi") {
		h.Boot = "uefi"
	}
	m.cpus(&h)
	return h
}

// cpus counts packages, the cores of one, and the threads of a core.
func (m Machine) cpus(h *site.Hardware) {
	const dir = "/sys/devices/system/cpu/"
	sockets, cores, threads := map[int64]bool{}, map[[3]int64]bool{}, 0
	for _, name := range m.list(dir) {
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "cpu")); err != nil || !m.exists(dir+name+"/topology") {
			continue
		}
		at := dir + name + "/topology/"
		socket := m.number(at + "physical_package_id")
		sockets[socket] = true
		cores[[3]int64{socket, m.number(at + "die_id"), m.number(at + "core_id")}] = true
		threads++
	}
	if len(sockets) > 0 {
		h.Sockets, h.Cores, h.Threads = len(sockets), len(cores)/len(sockets), threads/len(cores)
	}
	for _, name := range m.list("/sys/devices/system/node") {
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "node")); err != nil {
			continue
		}
		if cpus := m.line("/sys/devices/system/node/" + name + "/cpulist"); cpus != "" {
			h.NUMA = append(h.NUMA, cpus)
		}
	}
	h.CPUFlags = m.flags()
	h.CPULevel = level(h.CPUFlags)
}

// flags are those of the first processor: x86 calls them flags, arm64 Features.
func (m Machine) flags() []string {
	data, err := os.ReadFile(m.path("/proc/cpuinfo"))
	if err != nil {
		return nil
	}
	for l := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(l, ":")
		if key = strings.TrimSpace(key); ok && (key == "flags" || key == "Features") {
			return strings.Fields(value)
		}
	}
	return nil
}

// level is the x86-64 level (psABI, micro-architecture levels) that the flags
// of /proc/cpuinfo add up to.
func level(flags []string) int {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(flags, n) })
	}
	switch {
	case !has("lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse2"):
		return 0
	case !has("cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"):
		return 1
	case !has("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"):
		return 2
	case !has("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"):
		return 3
	default:
		return 4
	}
}

// memory is what is plugged in, by the firmware's table of memory devices; a
// kernel has some of it less.
func (m Machine) memory() int64 {
	if data, err := os.ReadFile(m.path("/sys/firmware/dmi/tables/DMI")); err == nil {
		if sum := memoryDevices(data); sum > 0 {
			return sum
		}
	}
	data, err := os.ReadFile(m.path("/proc/meminfo"))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(data)) {
		f := strings.Fields(l)
		if len(f) > 1 && f[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// memoryDevices adds up the sizes of type 17 structures (SMBIOS 3.7, 7.18).
func memoryDevices(table []byte) (sum int64) {
	const memoryDevice, unknown, extended = 17, 0xffff, 0x7fff
	for len(table) >= 4 && int(table[1]) >= 4 && int(table[1]) <= len(table) {
		s := table[:table[1]]
		if s[0] == memoryDevice && len(s) >= 0x0e {
			size := int64(s[0x0c]) | int64(s[0x0d])<<8
			switch {
			case size == unknown:
			case size == extended && len(s) >= 0x20:
				sum += (int64(s[0x1c]) | int64(s[0x1d])<<8 | int64(s[0x1e])<<16 | int64(s[0x1f]&0x7f)<<24) << 20
			case size&0x8000 != 0:
				sum += (size & 0x7fff) << 10
			default:
				sum += size << 20
			}
		}
		table = afterStrings(table[table[1]:])
	}
	return sum
}

// afterStrings skips the texts behind a structure, which two zeros end.
func afterStrings(b []byte) []byte {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 {
			return b[i+2:]
		}
	}
	return nil
}
