package storm

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// userHZ is the unit of times in /proc/PID/stat. The kernel fixes it at 100 for
// user space on every architecture that Go runs on.
const userHZ = 100

// Process is what the server's processes used during a rehearsal.
type Process struct {
	CPU     time.Duration `json:"cpu_ns"`         // user and system time, reaped children included
	PeakRSS uint64        `json:"peak_rss_bytes"` // sum of VmHWM since each process started
}

// meter reads the use of a set of processes between two moments.
type meter struct {
	pids  []int
	start time.Duration
}

func newMeter(pids []int) (*meter, error) {
	cpu, err := cpuTime(pids)
	return &meter{pids: pids, start: cpu}, err
}

// stop returns nil when there was nothing to watch.
func (m *meter) stop() (*Process, error) {
	if len(m.pids) == 0 {
		return nil, nil
	}
	cpu, err := cpuTime(m.pids)
	if err != nil {
		return nil, err
	}
	p := &Process{CPU: cpu - m.start}
	for _, pid := range m.pids {
		rss, err := peakRSS(pid)
		if err != nil {
			return nil, err
		}
		p.PeakRSS += rss
	}
	return p, nil
}

func cpuTime(pids []int) (time.Duration, error) {
	var ticks uint64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("reading the server's CPU time: %w", err)
		}
		n, err := statTicks(b)
		if err != nil {
			return 0, fmt.Errorf("reading /proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}

// statTicks sums utime, stime, cutime and cstime, fields 14 to 17 of proc(5).
func statTicks(stat []byte) (uint64, error) {
	// The command name in field 2 may hold spaces and parentheses.
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) < 15 {
		return 0, fmt.Errorf("too few fields")
	}
	var sum uint64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func peakRSS(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the server's memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/%d/status", pid)
}

// socketDrops returns how many datagrams the kernel threw away because the
// reader of the UDP socket with this inode was too slow. A generator that drops
// replies itself must say so.
func socketDrops(inode uint64) (uint64, error) {
	b, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0, fmt.Errorf("reading socket drops: %w", err)
	}
	want := strconv.FormatUint(inode, 10)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 13 && f[9] == want {
			return strconv.ParseUint(f[12], 10, 64)
		}
	}
	return 0, fmt.Errorf("socket %d is not in /proc/net/udp", inode)
}
