package profile

import (
	"fmt"
	"math"
	"slices"
)

// derivation computes a value from the hardware and the parameters of a node.
type derivation struct {
	why, source string
	from        func(*scope) (any, error)
}

const (
	gib         = 1 << 30
	hostGiB     = 4 // that the host keeps beside huge pages: system, Open vSwitch, QEMU's own
	guestExtra  = 0.5
	largeMemory = 48 * gib
	minTarget   = 896 << 20 // Ceph refuses a smaller osd_memory_target
)

const tripleo = "TripleO derive parameters"

// derivations are the values that a profile can refer to besides its
// parameters. They ask for parameters by name; a profile that uses one
// declares what it asks for.
func derivations() map[string]derivation {
	return map[string]derivation{
		"hugepages":               {"Half of the memory that the host does not need is for guests in 1 GiB pages.", tripleo, hugepages},
		"housekeeping_cpus":       {"The host, the agents and interrupts run here, on whole cores of each NUMA node, CPU 0 among them.", tripleo, housekeeping},
		"isolated_cpus":           {"Guests that own their CPUs run here; both threads of a core go together.", tripleo, isolated},
		"osds":                    {"One OSD runs on each disk of disks.osd.", "the plan", osds},
		"guests":                  {"So many guests of the average size fit beside the OSDs.", tripleo, wholeGuests},
		"reserved_host_memory_mb": {"The scheduler must not give guests what the OSDs and QEMU itself use.", tripleo, reservedMemory},
		"cpu_allocation_ratio":    {"What the OSDs leave of the CPUs, shared by guests as busy as they are on average.", tripleo, allocationRatio},
		"osd_memory_target":       {"A share of the memory, divided by the OSDs; an OSD takes up to a fifth more for a while.", "ceph-ansible, cephadm", osdMemoryTarget},
		"osd_memory":              {"What one OSD may use before its memory is reclaimed.", tripleo, osdMemory},
		"osd_cpus":                {"Whole cores for the host and the OSDs, so that busy guests do not delay I/O.", tripleo, osdCPUs},
		"guest_cpus":              {"What the host and the OSDs leave.", tripleo, guestCPUs},
		"memory_gib":              {"hardware.memory, 0 where the plan does not say it.", "hardware.memory", func(s *scope) (any, error) { return float64(s.hardware.Memory) / gib, nil }},
		"innodb_buffer_pool_size": {"The pages that queries read stay in memory, and connections and Galera's cache have room beside them.", "Kolla mariadb role: two fifths of the memory, at most 8 GiB", bufferPool},
		"disk_free_limit":         {"What the watermark lets stay in memory must fit on the disk, or the queue stops in the middle of paging it out.", "RabbitMQ production checklist", diskFreeLimit},
		"prometheus_storage":      {"Seconds kept, times samples a second, times 2 bytes.", "Prometheus storage documentation: 1 to 2 bytes for each sample", prometheusStorage},
		"large_memory":            {"vm.min_free_kbytes of 4 GiB would starve a machine below 48 GiB.", "ceph-ansible", func(s *scope) (any, error) { return s.hardware.Memory >= largeMemory, nil }},
		"kolla":                   {"kolla-ansible comes next.", "openstack.deployer", func(s *scope) (any, error) { return s.deployer == "kolla", nil }},
		"x86":                     {"The machine is not known to be of another architecture.", "hardware.arch", func(s *scope) (any, error) { return s.hardware.Arch == "" || s.hardware.Arch == "x86_64", nil }},
		"arm":                     {"hardware.arch says so.", "hardware.arch", func(s *scope) (any, error) { return s.hardware.Arch == "aarch64", nil }},
	}
}

func (s *scope) memoryGiB() (float64, error) {
	if s.hardware.Memory <= 0 {
		return 0, &Problem{ID: "hardware-missing", Message: "the memory of the machine is not known", Fix: "add memory: 256GiB under hardware of the role or the node"}
	}
	return float64(s.hardware.Memory) / gib, nil
}

func (s *scope) cpus() (float64, error) {
	nodes, err := s.topology()
	n := 0
	for _, node := range nodes {
		for _, c := range node {
			n += len(c)
		}
	}
	return float64(n), err
}

// hugepages counts pages of 1 GiB: what the plan says, else half of the
// memory beyond the host's own for a node that serves network functions.
func hugepages(s *scope) (any, error) {
	planned, err := s.optional("hugepages_1g")
	if err != nil {
		return nil, err
	}
	if planned == 0 {
		if nfv, err := s.applies("nfv"); err != nil || !nfv {
			return int64(0), err
		}
		memory, err := s.memoryGiB()
		if err != nil {
			return nil, err
		}
		planned = math.Floor((memory - hostGiB) * 0.5)
		if planned < 1 {
			return nil, malformedPlan("nfv", "%.0f GiB of memory leave nothing for huge pages beside the %d GiB of the host", memory, hostGiB)
		}
	}
	return int64(planned), s.fits(planned)
}

// fits refuses huge pages that leave the host less than it keeps.
func (s *scope) fits(pages float64) error {
	memory := float64(s.hardware.Memory) / gib
	if memory <= 0 {
		return nil
	}
	reserved, err := s.number("reserved_host_memory_mb")
	if err != nil {
		return err
	}
	if host := max(hostGiB, reserved/1024); pages > memory-host {
		return malformedPlan("hugepages_1g", "%.0f huge pages of 1 GiB leave less than the %g GiB that the host keeps of %.0f GiB", pages, host, memory)
	}
	return nil
}

// malformedPlan is an error in a value that the plan sets, or should.
func malformedPlan(parameter, format string, args ...any) *Problem {
	return &Problem{ID: "derive-" + parameter, Path: "set." + parameter, Message: fmt.Sprintf(format, args...), Fix: "correct " + parameter + " under set, or hardware if the machine is another"}
}

// housekeepingSplit keeps a few whole cores of each NUMA node for the host.
func housekeepingSplit(s *scope) (kept, free []int, err error) {
	nodes, err := s.topology()
	if err != nil {
		return nil, nil, err
	}
	cores, err := s.number("housekeeping_cores")
	if err != nil {
		return nil, nil, err
	}
	kept, free = split(nodes, func(int) int { return int(cores) })
	if len(free) == 0 {
		return nil, nil, malformedPlan("housekeeping_cores", "%.0f cores of each NUMA node for the host are all that there are: none is left to isolate", cores)
	}
	return kept, free, nil
}

// housekeeping is what is not isolated, however that was decided.
func housekeeping(s *scope) (any, error) {
	isolated, err := s.lookup("isolated_cpus")
	if err != nil {
		return nil, err
	}
	nodes, err := s.topology()
	if err != nil {
		return nil, err
	}
	return complement(nodes, show(isolated.Value))
}

func isolated(s *scope) (any, error) {
	_, free, err := housekeepingSplit(s)
	return FormatCPUs(free), err
}

func osds(s *scope) (any, error) {
	var n int64
	for _, d := range s.disks.OSD {
		n += int64(d.Wanted())
	}
	if n == 0 {
		return nil, &Problem{ID: "osd-disks-missing", Path: "disks", Message: "no disk is planned for an OSD", Fix: "list them under disks.osd of the role or the node, or give their number: set: {osds: 12}"}
	}
	return n, nil
}

// hci is the arithmetic of TripleO's derive parameters for nodes that run
// Ceph OSDs beside guests.
type hci struct {
	memory   float64 // GiB
	osds     float64
	perOSD   float64 // GiB of memory for each
	cores    float64 // vCPUs for each OSD
	guest    float64 // GiB of memory of an average guest; zero means that it is not known
	reserved int64   // MiB
	guests   int64
}

func (s *scope) hci() (h hci, err error) {
	if h.memory, err = s.memoryGiB(); err != nil {
		return h, err
	}
	for _, v := range []struct {
		name string
		to   *float64
	}{{"osds", &h.osds}, {"osd_memory_gib", &h.perOSD}, {"cpus_per_osd", &h.cores}} {
		if *v.to, err = s.number(v.name); err != nil {
			return h, err
		}
	}
	if h.guest, err = s.optional("average_guest_memory_gib"); err != nil {
		return h, err
	}
	return h, h.reserve()
}

// reserve works out how much memory guests must not have.
func (h *hci) reserve() error {
	left := h.memory - h.perOSD*h.osds
	if left < 0 {
		return malformedPlan("osds", "%.0f OSDs of %g GiB need more than the %.0f GiB that the machine has", h.osds, h.perOSD, h.memory)
	}
	if h.guest > 0 {
		h.guests = int64(left / (h.guest + guestExtra))
	}
	h.reserved = int64(1024 * (h.perOSD*h.osds + guestExtra*float64(h.guests)))
	if share := float64(h.reserved) / 1024 / h.memory; share > 0.8 {
		return malformedPlan("osds", "%.0f OSDs and what QEMU itself uses take %.0f %% of the memory, more than the 80 %% that leave guests a place", h.osds, 100*share)
	}
	return nil
}

// ratio is how many virtual CPUs guests may have for each of the machine.
// Busy is the share of its virtual CPUs that an average guest uses.
func (h *hci) ratio(cpus, busy float64) (float64, error) {
	left := cpus - h.cores*h.osds
	if busy <= 0 {
		return 0, malformedPlan("average_guest_cpu_utilization", "guests that use none of their CPUs cannot be planned for")
	}
	r := left / busy / cpus
	if r < 0.5 {
		return 0, malformedPlan("cpus_per_osd", "%.0f OSDs leave %.0f of %.0f CPUs: a cpu_allocation_ratio of %.2f is below the 0.5 that guests need", h.osds, left, cpus, r)
	}
	return math.Round(r*1000) / 1000, nil
}

func wholeGuests(s *scope) (any, error) {
	h, err := s.hci()
	if err == nil && h.guest == 0 {
		return nil, unsetError{"average_guest_memory_gib"}
	}
	return h.guests, err
}

// reservedMemory is in MiB, as nova's option of the name.
func reservedMemory(s *scope) (any, error) {
	h, err := s.hci()
	return h.reserved, err
}

// allocationRatio is known where the figures of an average guest are.
func allocationRatio(s *scope) (any, error) {
	busy, err := s.number("average_guest_cpu_utilization")
	if err != nil {
		return nil, err
	}
	h, err := s.hci()
	if err != nil {
		return nil, err
	}
	cpus, err := s.cpus()
	if err != nil {
		return nil, err
	}
	return h.ratio(cpus, busy)
}

// osdMemoryTarget is in bytes. Beside guests it keeps below what is reserved.
func osdMemoryTarget(s *scope) (any, error) {
	memory, err := s.memoryGiB()
	if err != nil {
		return nil, err
	}
	n, err := s.number("osds")
	if err != nil {
		return nil, err
	}
	share, err := s.number("osd_memory_share")
	if err != nil {
		return nil, err
	}
	target := math.Floor(memory * gib * share / max(n, 1))
	if limit, err := s.optional("osd_memory_gib"); err != nil {
		return nil, err
	} else if limit > 0 {
		target = min(target, math.Floor(limit*gib/1.2))
	}
	if target < minTarget {
		return nil, malformedPlan("osds", "%.0f OSDs get %.0f MiB of memory each: an OSD does not start with less than 896 MiB, and is slow with less than 2048", n, target/(1<<20))
	}
	return int64(target), nil
}

func osdMemory(s *scope) (any, error) {
	per, err := s.number("osd_memory_gib")
	return int64(per * gib), err
}

// osdSplit gives the host its cores of each NUMA node, and the OSDs theirs of
// the node where their disks are, then of the next.
func osdSplit(s *scope) (kept, free []int, err error) {
	nodes, err := s.topology()
	if err != nil {
		return nil, nil, err
	}
	var host, count, per, first float64
	for _, v := range []struct {
		name string
		to   *float64
	}{{"housekeeping_cores", &host}, {"osds", &count}, {"cpus_per_osd", &per}, {"osd_numa_node", &first}} {
		if *v.to, err = s.number(v.name); err != nil {
			return nil, nil, err
		}
	}
	if int(first) >= len(nodes) {
		return nil, nil, malformedPlan("osd_numa_node", "there is no NUMA node %.0f: the machine has %d", first, len(nodes))
	}
	want := make([]int, len(nodes))
	left := int(math.Ceil(count * per))
	for i := range nodes {
		n := (int(first) + i) % len(nodes)
		want[n] = min(int(host), len(nodes[n]))
		for want[n] < len(nodes[n]) && left > 0 {
			left -= len(nodes[n][want[n]])
			want[n]++
		}
	}
	kept, free = split(nodes, func(n int) int { return want[n] })
	if left > 0 || len(free) == 0 {
		return nil, nil, malformedPlan("cpus_per_osd", "the host and %.0f OSDs of %g CPUs need all %d CPUs: none is left for guests", count, per, len(kept))
	}
	return kept, free, nil
}

func osdCPUs(s *scope) (any, error) {
	kept, _, err := osdSplit(s)
	return FormatCPUs(kept), err
}

func guestCPUs(s *scope) (any, error) {
	_, free, err := osdSplit(s)
	return FormatCPUs(free), err
}

// complement gives the CPUs that are not isolated. It refuses a list that
// would not work.
func complement(nodes []numaNode, text string) (any, error) {
	cpus, err := ParseCPUs(text)
	if err != nil {
		return nil, malformedPlan("isolated_cpus", "%v", err)
	}
	var rest []int
	has := map[int]bool{}
	for _, node := range nodes {
		for _, c := range node {
			for _, cpu := range c {
				has[cpu] = true
			}
			left := slices.DeleteFunc(slices.Clone(c), func(cpu int) bool { return slices.Contains(cpus, cpu) })
			switch {
			case len(left) == len(c):
				rest = append(rest, c...)
			case slices.Contains(c, 0):
				return nil, malformedPlan("isolated_cpus", "CPU 0 or its sibling is isolated, but the kernel itself runs there")
			case len(left) > 0:
				return nil, malformedPlan("isolated_cpus", "of the threads %s of one core only some are isolated: the others would disturb them", FormatCPUs(c))
			}
		}
	}
	for _, cpu := range cpus {
		if !has[cpu] {
			return nil, malformedPlan("isolated_cpus", "CPU %d is not in the machine", cpu)
		}
	}
	slices.Sort(rest)
	return FormatCPUs(rest), nil
}
