package profile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// core is one physical core: the logical CPUs that are its threads.
type core []int

// numaNode is the cores of one NUMA node, by their first thread.
type numaNode []core

// maxCPUs is more than any machine has (NR_CPUS of distributions is 8192).
const maxCPUs = 8192

// topologyOf works out which logical CPUs share a core and a NUMA node. Linux
// counts the first threads of all cores of all sockets before the second
// threads, in the order of ACPI's MADT, which firmware writes so. Where a
// NUMA node is given as a list, its first half are first threads.
func topologyOf(h site.Hardware) ([]numaNode, error) {
	if h.Threads < 1 || len(h.NUMA) == 0 && (h.Sockets < 1 || h.Cores < 1) {
		return nil, &Problem{ID: "hardware-missing", Message: "which CPUs are threads of one core is not known", Fix: "add sockets, cores and threads under hardware of the role or the node"}
	}
	if h.Sockets < 0 || h.Cores < 0 || h.Sockets > maxCPUs || h.Cores > maxCPUs || h.Threads > maxCPUs || h.Sockets*h.Cores > maxCPUs || h.CPUs() > maxCPUs {
		return nil, &Problem{ID: "hardware-malformed", Message: fmt.Sprintf("%d sockets of %d cores with %d threads is no machine", h.Sockets, h.Cores, h.Threads), Fix: "correct hardware: cores are those of one socket, threads those of one core"}
	}
	if len(h.NUMA) > 0 {
		return numaTopology(h)
	}
	nodes := make([]numaNode, h.Sockets)
	for i := range nodes {
		for c := range h.Cores {
			first := i*h.Cores + c
			siblings := core{}
			for t := range h.Threads {
				siblings = append(siblings, first+t*h.Sockets*h.Cores)
			}
			nodes[i] = append(nodes[i], siblings)
		}
	}
	return nodes, nil
}

func numaTopology(h site.Hardware) ([]numaNode, error) {
	malformed := func(format string, args ...any) error {
		return &Problem{ID: "hardware-malformed", Message: fmt.Sprintf("hardware.numa: "+format, args...), Fix: "copy the lists from /sys/devices/system/node/node*/cpulist"}
	}
	var nodes []numaNode
	seen := map[int]bool{}
	for _, text := range h.NUMA {
		cpus, err := ParseCPUs(text)
		if err != nil {
			return nil, malformed("%v", err)
		}
		if len(cpus)%h.Threads != 0 {
			return nil, malformed("%q has %d CPUs, which is not a multiple of the %d threads of a core", text, len(cpus), h.Threads)
		}
		n := len(cpus) / h.Threads
		node := make(numaNode, n)
		for i, cpu := range cpus {
			if seen[cpu] {
				return nil, malformed("CPU %d is in it twice", cpu)
			}
			seen[cpu] = true
			node[i%n] = append(node[i%n], cpu)
		}
		nodes = append(nodes, node)
	}
	switch {
	case !seen[0]:
		return nil, malformed("CPU 0 is in no list")
	case h.Sockets > 0 && h.Cores > 0 && len(seen) != h.CPUs():
		return nil, malformed("there are %d CPUs, but %d sockets of %d cores with %d threads have %d", len(seen), h.Sockets, h.Cores, h.Threads, h.CPUs())
	}
	return nodes, nil
}

// split takes the first want cores of each NUMA node, the core of CPU 0 among
// them, away from the rest.
func split(nodes []numaNode, want func(node int) int) (taken, rest []int) {
	for i, node := range nodes {
		node = slices.Clone(node)
		if at := slices.IndexFunc(node, func(c core) bool { return slices.Contains(c, 0) }); at > 0 {
			node[0], node[at] = node[at], node[0]
		}
		n := min(want(i), len(node))
		for _, c := range node[:n] {
			taken = append(taken, c...)
		}
		for _, c := range node[n:] {
			rest = append(rest, c...)
		}
	}
	slices.Sort(taken)
	slices.Sort(rest)
	return taken, rest
}

// ParseCPUs reads a CPU list as the kernel writes it, 0-3,8, in rising order.
func ParseCPUs(text string) ([]int, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("the CPU list is empty")
	}
	var cpus []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(first)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(last)
		}
		if err != nil || a < 0 || b < a || b >= maxCPUs {
			return nil, fmt.Errorf("%q is not a CPU list such as 0-3,8", text)
		}
		for cpu := a; cpu <= b; cpu++ {
			cpus = append(cpus, cpu)
		}
		if len(cpus) > maxCPUs {
			return nil, fmt.Errorf("%q names CPUs twice", text)
		}
	}
	slices.Sort(cpus)
	if len(slices.Compact(slices.Clone(cpus))) != len(cpus) {
		return nil, fmt.Errorf("%q names a CPU twice", text)
	}
	return cpus, nil
}

// FormatCPUs writes a CPU list as the kernel does.
func FormatCPUs(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(cpus[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", cpus[i], cpus[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
