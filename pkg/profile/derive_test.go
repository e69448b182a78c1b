package profile

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestHyperconvergedArithmetic has the results of TripleO's own algorithm.
func TestHyperconvergedArithmetic(t *testing.T) {
	for _, tt := range []struct {
		memory, cpus, osds, guest, busy, perOSD float64
		guests, reserved                        int64
		ratio                                   float64
		refused                                 string
	}{
		{256, 56, 10, 2, 0.1, 5, 82, 93184, 8.214, ""},
		{384, 64, 12, 8, 0.5, 5, 38, 80896, 1.625, ""},
		{256, 56, 10, 2, 0.1, 3, 90, 76800, 8.214, ""},
		{128, 32, 20, 4, 0.5, 5, 6, 105472, 0.75, "more than the 80 %"},
		{64, 32, 20, 4, 0.5, 5, 0, 0, 0.75, "need more than the 64 GiB"},
		{512, 16, 12, 4, 0.6, 5, 100, 112640, 0, "cpu_allocation_ratio of 0.42 is below the 0.5"},
		{256, 56, 10, 2, 0, 5, 82, 93184, 0, "guests that use none of their CPUs"},
		{256, 56, 10, 0, 0.1, 5, 0, 51200, 8.214, ""}, // the memory of guests is not known: the OSDs alone
	} {
		h := hci{memory: tt.memory, osds: tt.osds, perOSD: tt.perOSD, cores: 1, guest: tt.guest}
		err := h.reserve()
		ratio, err2 := h.ratio(tt.cpus, tt.busy)
		if tt.refused != "" {
			if text := errorText(err) + errorText(err2); !strings.Contains(text, tt.refused) {
				t.Errorf("%+v: got %q, want %q", tt, text, tt.refused)
			}
		} else if err != nil || err2 != nil {
			t.Errorf("%+v: %v, %v", tt, err, err2)
		}
		if tt.reserved != 0 && (h.guests != tt.guests || h.reserved != tt.reserved) || tt.ratio != 0 && ratio != tt.ratio {
			t.Errorf("%+v: got %d guests, %d MiB, ratio %v", tt, h.guests, h.reserved, ratio)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHugePages(t *testing.T) {
	for _, tt := range []struct {
		gib  int64
		set  map[string]any
		want string // of the kernel argument, or of the error
	}{
		{256, map[string]any{"nfv": true}, "hugepages=126"},
		{255, map[string]any{"nfv": true}, "hugepages=125"},
		{384, map[string]any{"hugepages_1g": 200.0}, "hugepages=200"},
		{384, map[string]any{"nfv": true, "hugepages_1g": 300.0}, "hugepages=300"},
		{0, map[string]any{"hugepages_1g": 200.0}, "hugepages=200"}, // what the plan says needs no hardware
		{384, nil, ""},
		{384, map[string]any{"hugepages_1g": 400.0}, "400 huge pages of 1 GiB leave less than the 4 GiB"},
		{32, map[string]any{"hugepages_1g": 25.0, "reserved_host_memory_mb": 8192.0}, "less than the 8 GiB"},
		{5, map[string]any{"nfv": true}, "leave nothing for huge pages"},
		{0, map[string]any{"nfv": true}, "add memory: 256GiB under hardware"},
	} {
		h := server256()
		h.Memory = tt.gib * gib
		i, err := resolved(t, "compute", tt.set, h, site.Disks{})
		got := errorText(err)
		if i != nil {
			for _, a := range i.KernelArgs {
				if strings.HasPrefix(a.Arg, "hugepages=") {
					got += a.Arg
				}
			}
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%d GiB, %v: got %q, want %q", tt.gib, tt.set, got, tt.want)
		}
	}
}

func TestIsolatedCPUs(t *testing.T) {
	two := site.Hardware{Sockets: 2, Cores: 8, Threads: 2, Memory: 256 * gib}
	interleaved := two
	interleaved.NUMA = []string{"0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30", "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31"}
	single := site.Hardware{Sockets: 1, Cores: 4, Threads: 1, Memory: 64 * gib}
	for name, tt := range map[string]struct {
		h        site.Hardware
		set      map[string]any
		isolated string // or the error
		kept     string
	}{
		"two sockets":    {two, nil, "2-7,10-15,18-23,26-31", "0-1,8-9,16-17,24-25"},
		"one core each":  {two, map[string]any{"housekeeping_cores": 1.0}, "1-7,9-15,17-23,25-31", "0,8,16,24"},
		"interleaved":    {interleaved, map[string]any{"housekeeping_cores": 1.0}, "2-15,18-31", "0-1,16-17"},
		"no threads":     {single, nil, "2-3", "0-1"},
		"by hand":        {two, map[string]any{"isolated_cpus": "4-7,20-23"}, "4-7,20-23", "0-3,8-19,24-31"},
		"all kept":       {single, map[string]any{"housekeeping_cores": 4.0}, "none is left to isolate", ""},
		"CPU 0":          {two, map[string]any{"isolated_cpus": "0-7,16-23"}, "CPU 0 or its sibling is isolated", ""},
		"its sibling":    {two, map[string]any{"isolated_cpus": "1,16-17"}, "CPU 0 or its sibling is isolated", ""},
		"half a core":    {two, map[string]any{"isolated_cpus": "4-7"}, "of the threads 4,20 of one core only some are isolated", ""},
		"beyond":         {two, map[string]any{"isolated_cpus": "8-15,24-40"}, "CPU 32 is not in the machine", ""},
		"not a list":     {two, map[string]any{"isolated_cpus": "4..7"}, "is not a CPU list", ""},
		"threads?":       {site.Hardware{Sockets: 2, Cores: 8, Memory: 64 * gib}, nil, "add sockets, cores and threads under hardware", ""},
		"NUMA too short": {site.Hardware{Sockets: 2, Cores: 8, Threads: 2, NUMA: []string{"0-7", "8-15"}, Memory: 64 * gib}, nil, "there are 16 CPUs, but 2 sockets", ""},
		"NUMA twice":     {site.Hardware{Threads: 1, NUMA: []string{"0-7", "7-15"}, Memory: 64 * gib}, nil, "CPU 7 is in it twice", ""},
		"NUMA without 0": {site.Hardware{Threads: 1, NUMA: []string{"1-8"}, Memory: 64 * gib}, nil, "CPU 0 is in no list", ""},
		"NUMA odd":       {site.Hardware{Threads: 2, NUMA: []string{"0-6"}, Memory: 64 * gib}, nil, "not a multiple of the 2 threads", ""},
		"no machine":     {site.Hardware{Sockets: 1 << 40, Cores: 1 << 40, Threads: 1, Memory: 64 * gib}, nil, "is no machine", ""},
	} {
		set := map[string]any{"isolate_cpus": true}
		for k, v := range tt.set {
			set[k] = v
		}
		i, err := resolved(t, "compute", set, tt.h, site.Disks{})
		if err != nil {
			if tt.kept != "" || !strings.Contains(err.Error(), tt.isolated) {
				t.Errorf("%s: got %v, want %s", name, err, tt.isolated)
			}
			continue
		}
		d := byKey(i.Derived)
		if d["isolated_cpus"] != tt.isolated || d["housekeeping_cpus"] != tt.kept || d["cpu_dedicated_set"] != tt.isolated || d["cpu_shared_set"] != tt.kept {
			t.Errorf("%s: got %v, want %s and %s", name, d, tt.isolated, tt.kept)
		}
	}
}

func TestHyperconverged(t *testing.T) {
	figures := map[string]any{"average_guest_memory_gib": 2.0, "average_guest_cpu_utilization": 0.1}
	i := settled(t)(resolved(t, "storage-hyperconverged", figures, server256(), disks(10)))
	d := byKey(i.Derived)
	for key, want := range map[string]string{
		"guests": "82", "reserved_host_memory_mb": "93184", "cpu_allocation_ratio": "8.214", "osds": "10",
		"osd_memory_target": "4473924266", // a sixth below the 5 GiB that are set aside: 0.2 x 256 GiB / 10 would be more
		"osd_cpus":          "0-5,14,28-33,42", "guest_cpus": "6-13,15-27,34-41,43-55", "cpu_shared_set": "6-13,15-27,34-41,43-55",
	} {
		if d[key] != want {
			t.Errorf("%s is %s, want %s", key, d[key], want)
		}
	}
	if i.KSM.Value != "off" || i.Tuned.Value != "throughput-performance" || len(i.Slices) != 3 {
		t.Errorf("KSM %s, tuned %s, slices %+v", i.KSM.Value, i.Tuned.Value, i.Slices)
	}
	if s := i.Slices[0]; s.CPUs != d["osd_cpus"] || s.MemoryHigh != "5368709120" || i.Slices[1].CPUs != d["guest_cpus"] {
		t.Errorf("slices %+v", i.Slices)
	}
	if got := i.Slices[2].Environment; len(got) != 1 || got[0] != "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES=134217728" {
		t.Errorf("OSDs are told %q", got)
	}

	without := settled(t)(resolved(t, "storage-hyperconverged", nil, server256(), disks(10)))
	d = byKey(without.Derived)
	if _, known := d["cpu_allocation_ratio"]; known || d["reserved_host_memory_mb"] != "51200" {
		t.Errorf("without the figures of guests: %v", d)
	}
}

func TestHyperconvergedRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		set   map[string]any
		h     site.Hardware
		disks int
		want  string
	}{
		"no hardware":    {nil, site.Hardware{}, 6, "under hardware"},
		"no disks":       {nil, server256(), 0, "no disk is planned for an OSD"},
		"too many":       {map[string]any{"separate_cpus": false}, server256(), 60, "need more than the 256 GiB"},
		"crowded":        {nil, server256(), 42, "more than the 80 %"},
		"idle guests":    {map[string]any{"average_guest_cpu_utilization": 0.0}, server256(), 6, "is less than 0.01"},
		"no CPU left":    {map[string]any{"cpus_per_osd": 16.0}, server256(), 6, "none is left for guests"},
		"wrong node":     {map[string]any{"osd_numa_node": 2.0}, server256(), 6, "there is no NUMA node 2"},
		"starved OSDs":   {map[string]any{"osd_memory_gib": 1.2, "osd_memory_share": 0.05}, server256(), 20, "does not start with less than 896 MiB"},
		"hidden by hand": {map[string]any{"osds": 6.0}, server256(), 0, ""},
	} {
		_, err := resolved(t, "storage-hyperconverged", tt.set, tt.h, disks(tt.disks))
		if tt.disks == 0 {
			_, err = resolved(t, "storage-hyperconverged", tt.set, tt.h, site.Disks{})
		}
		if got := errorText(err); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestStorageMemoryTarget(t *testing.T) {
	i := settled(t)(resolved(t, "storage", nil, server256(), disks(12)))
	want := show(int64(math.Floor(256 * gib * 0.7 / 12)))
	if got := byKey(i.Derived)["osd_memory_target"]; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLargeMemory: a small machine must not hang for want of free memory.
func TestLargeMemory(t *testing.T) {
	for size, want := range map[int64]bool{0: false, 16: false, 47: false, 48: true, 256: true} {
		h := server256()
		h.Memory = size * gib
		i, err := resolved(t, "storage", map[string]any{"osds": 1.0}, h, site.Disks{})
		if size == 0 {
			if err == nil || !strings.Contains(err.Error(), "memory") {
				t.Errorf("without memory: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, got := byKey(i.Sysctl)["vm.min_free_kbytes"]; got != want {
			t.Errorf("%d GiB: %t", size, got)
		}
	}
}

// TestCPUsAreSplit: for every machine, both parts are whole cores, CPU 0 is
// kept, and nothing is lost.
func TestCPUsAreSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := site.Hardware{Sockets: rapid.IntRange(1, 8).Draw(t, "sockets"), Cores: rapid.IntRange(1, 64).Draw(t, "cores"), Threads: rapid.IntRange(1, 4).Draw(t, "threads")}
		nodes, err := topologyOf(h)
		if err != nil {
			t.Fatal(err)
		}
		want := rapid.IntRange(1, 70).Draw(t, "want")
		kept, free := split(nodes, func(int) int { return want })
		if len(kept)+len(free) != h.CPUs() || kept[0] != 0 {
			t.Fatalf("%v and %v of %d", kept, free, h.CPUs())
		}
		if again, err := ParseCPUs(FormatCPUs(kept)); err != nil || FormatCPUs(again) != FormatCPUs(kept) {
			t.Fatalf("%s does not read back: %v", FormatCPUs(kept), err)
		}
		if len(free) > 0 {
			rest, err := complement(nodes, FormatCPUs(free))
			if err != nil || rest != FormatCPUs(kept) {
				t.Fatalf("the complement of %s is %v, %v; want %s", FormatCPUs(free), rest, err, FormatCPUs(kept))
			}
		}
	})
}

func FuzzParseCPUs(f *testing.F) {
	for _, s := range []string{"0-3,8", "", "0", "3-1", "0-99999999", "1,1", " 2 - 4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cpus, err := ParseCPUs(text)
		if err != nil {
			return
		}
		if again, err := ParseCPUs(FormatCPUs(cpus)); err != nil || len(again) != len(cpus) {
			t.Errorf("%q gives %v, which does not read back: %v", text, cpus, err)
		}
	})
}
