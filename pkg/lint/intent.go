package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	gib = 1 << 30
	// hostMemory is what a host keeps beside huge pages (TripleO's
	// reserved_host_memory for compute nodes).
	hostMemory = 4 * gib
	// largeMinFree is the vm.min_free_kbytes that Ceph hosts are given, in
	// kilobytes; a machine below largeMemory starves with it (ceph-ansible).
	largeMinFree = 4_194_303
	largeMemory  = 48 * gib
	// maxCommandLine is COMMAND_LINE_SIZE of Linux on x86-64, in bytes; what
	// the boot loader and the installer put there themselves takes some.
	maxCommandLine  = 2048
	bootLoaderWords = 256
)

// checkIntent looks at what a node is to be, all of it decided.
func (r *run) checkIntent(n *site.Node, i *profile.Intent) {
	args := arguments(i.KernelArgs)
	r.checkMemory(n, i, args)
	r.checkPages(n, i, args)
	r.checkSharing(n, i, args)
	r.checkLayout(n, i)
	length := bootLoaderWords
	for _, a := range i.KernelArgs {
		length += len(a.Arg) + 1
	}
	if length > maxCommandLine {
		r.warn("kernel-command-line-long", "roles."+n.Role, "write CPU lists as ranges, and drop what the profile does not need",
			"the kernel's command line of %s has about %d bytes: Linux reads %d", n.Name, length, maxCommandLine)
	}
}

// arguments gives the last value of each kernel argument.
func arguments(list []profile.KernelArg) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		name, value, _ := strings.Cut(a.Arg, "=")
		out[name] = value
	}
	return out
}

// hugePages is how much memory the kernel sets aside, in bytes.
func hugePages(args map[string]string) int64 {
	count, _ := strconv.ParseInt(args["hugepages"], 10, 64)
	size := map[string]int64{"1G": gib, "1GB": gib, "512M": gib / 2, "2M": 2 << 20}[cmp.Or(args["hugepagesz"], args["default_hugepagesz"])]
	if size == 0 {
		size = 2 << 20
	}
	return count * size
}

// crashKernel is what the installed system keeps for a crash dump: what the
// profile says, or what openEuler adds by itself.
func crashKernel(args map[string]string, s site.System) int64 {
	text := args["crashkernel"]
	if text == "" && s.Distro == "openeuler" {
		text = map[bool]string{true: "1024M", false: "512M"}[s.Arch == "aarch64"]
	}
	text, _, _ = strings.Cut(text, ",")
	v, _ := strconv.ParseInt(strings.TrimRight(text, "MG"), 10, 64)
	if strings.HasSuffix(text, "G") {
		return v * gib
	}
	return v << 20
}

func (r *run) checkMemory(n *site.Node, i *profile.Intent, args map[string]string) {
	memory := i.Hardware.Memory
	if memory == 0 {
		return
	}
	pages, crash := hugePages(args), crashKernel(args, r.plan.SystemOf(r.plan.ImageOf(n)))
	if pages > 0 && pages+hostMemory+crash > memory {
		r.fail("hugepages-exceed-memory", r.setPlace(n, "hugepages_1g"), "plan fewer huge pages",
			"%s has %d GiB: %d GiB of huge pages, %d MiB for crash dumps and 4 GiB for the host are more", n.Name, memory/gib, pages/gib, crash>>20)
	}
	for _, s := range i.Sysctl {
		if kb, err := strconv.ParseInt(s.Value, 10, 64); s.Key == "vm.min_free_kbytes" && err == nil && kb >= largeMinFree && memory < largeMemory {
			r.fail("min-free-exceeds-memory", "roles."+n.Role+".hardware.memory", "leave vm.min_free_kbytes out of the profile for machines below 48 GiB",
				"%s has %d GiB, and vm.min_free_kbytes keeps 4 of them free: it would hang", n.Name, memory/gib)
		}
	}
}

func (r *run) checkPages(n *site.Node, i *profile.Intent, args map[string]string) {
	flags, large := i.Hardware.CPUFlags, strings.HasPrefix(cmp.Or(args["hugepagesz"], args["default_hugepagesz"]), "1G")
	if large && i.Hardware.Arch != "aarch64" && len(flags) > 0 && !slices.Contains(flags, "pdpe1gb") {
		r.fail("hugepages-unsupported", r.setPlace(n, "hugepages_1g"), "use pages of 2 MiB, or other machines", "the CPUs of %s have no 1 GiB pages: pdpe1gb is not among their flags", n.Name)
	}
	if hugePages(args) == 0 {
		return
	}
	if i.KSM.Value == "on" {
		r.warn("hugepages-with-ksm", r.setPlace(n, "ksm"), "set ksm: false", "%s merges pages (KSM) and uses huge pages, which cannot be merged: it costs CPU for nothing", n.Name)
	}
	if i.THP.Value == "always" {
		r.warn("hugepages-with-thp", r.setPlace(n, "thp"), "set thp: never", "%s uses huge pages and transparent ones as well: the kernel moves memory under guests that must not wait", n.Name)
	}
}

// checkSharing compares how CPUs are given away with how they are shared.
func (r *run) checkSharing(n *site.Node, i *profile.Intent, args map[string]string) {
	ratio := allocationRatio(i)
	at := r.setPlace(n, "cpu_allocation_ratio")
	if ratio > 16 {
		r.warn("cpu-ratio-high", at, "plan fewer guests for each CPU: 16 is the practical maximum", "%s gives each CPU to %.1f virtual ones", n.Name, ratio)
	}
	if _, isolated := args["isolcpus"]; isolated && ratio > 1 {
		r.warn("isolation-with-overcommit", at, "set cpu_allocation_ratio: 1", "%s isolates CPUs for guests that own them, and gives each to %.1f virtual ones", n.Name, ratio)
	}
}

// allocationRatio is what nova is told, if the plan or the hardware decides
// it; a default of the profile is its author's business.
func allocationRatio(i *profile.Intent) float64 {
	for _, s := range i.Derived {
		if s.Key == "cpu_allocation_ratio" {
			ratio, _ := strconv.ParseFloat(s.Value, 64)
			return ratio
		}
	}
	for _, p := range i.Parameters {
		given := strings.HasPrefix(p.From, "role ") || strings.HasPrefix(p.From, "node ")
		if ratio, ok := p.Value.(float64); ok && given && p.Name == "cpu_allocation_ratio" {
			return ratio
		}
	}
	return 0
}

// bootPartitions are ESP and /boot, in bytes.
const bootPartitions = (600 + 2048) << 20

// checkLayout compares the volumes with the system disk, if that is known.
func (r *run) checkLayout(n *site.Node, i *profile.Intent) {
	need := int64(bootPartitions) + i.Layout.Swap
	for _, v := range i.Layout.Volumes {
		need += v.Size
	}
	have, known := systemDisk(i)
	if len(i.Layout.Volumes) > 0 && known && need > have {
		r.fail("layout-exceeds-disk", "roles."+n.Role, "choose a larger system disk, or smaller volumes in the profile", "the volumes of %s take %d GB, and its system disk has %d", n.Name, need/1e9, have/1e9)
	}
}

// systemDisk is the size of the smallest disk that the system may be put on.
func systemDisk(i *profile.Intent) (size int64, known bool) {
	for _, s := range i.Disks.System {
		for _, d := range i.Hardware.Disks {
			if d.Size > 0 && s.Matches(d) && (!known || d.Size < size) {
				size, known = d.Size, true
			}
		}
		if s.MaxSize > 0 && (!known || s.MaxSize < size) {
			size, known = s.MaxSize, true
		}
	}
	return size, known
}
