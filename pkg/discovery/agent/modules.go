package agent

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// wantedDevices are those whose drivers are loaded: storage, network, USB and
// IPMI controllers by their PCI class, virtual disks, ports and random numbers,
// USB disks and ports, SCSI disks, and BMCs.
var wantedDevices = regexp.MustCompile(`^(?:pci:.*bc(?:01|02|0Csc03|0Csc07)|virtio:d0000000[1248]v|usb:.*ic(?:02|08|0A)|scsi:t-0x0[0e]|acpi:IPI0001|vmbus:|xen:v|platform:.*ipmi)`)

// alwaysLoaded have no device that asks for them.
var alwaysLoaded = []string{"sd_mod", "ipmi_si", "ipmi_ssif", "ipmi_devintf", "efivarfs"}

// loadDrivers has the initrd's own modprobe load what the machine's devices
// ask for. A driver finds devices behind it, so it goes round until nothing
// new turns up.
func (m Machine) loadDrivers(ctx context.Context, say func(string, ...any)) {
	modprobe, err := exec.LookPath("modprobe")
	if err != nil {
		say("this initrd has no modprobe: only what its kernel drives by itself is seen")
		return
	}
	done := map[string]bool{}
	for range 6 {
		var fresh []string
		for _, alias := range m.aliases() {
			if !done[alias] && wantedDevices.MatchString(alias) {
				done[alias] = true
				fresh = append(fresh, alias)
			}
		}
		if len(fresh) == 0 {
			break
		}
		run(ctx, modprobe, append([]string{"-a", "-b", "-q", "--"}, fresh...)...)
		pause(ctx, time.Second) // devices behind a new driver take a moment
	}
	for _, name := range alwaysLoaded {
		run(ctx, modprobe, "-q", "--", name)
	}
}

// aliases lists what devices ask for.
func (m Machine) aliases() []string {
	var out []string
	_ = filepath.WalkDir(m.path("/sys/devices"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "modalias" {
			return nil // a device that has just gone
		}
		if data, err := os.ReadFile(path); err == nil {
			if alias := strings.TrimSpace(string(data)); alias != "" && !slices.Contains(out, alias) {
				out = append(out, alias)
			}
		}
		return nil
	})
	return out
}

// storageWithoutDriver lists the storage controllers that nothing drives.
func (m Machine) storageWithoutDriver() []string {
	var out []string
	for _, name := range m.list("/sys/bus/pci/devices") {
		dir := "/sys/bus/pci/devices/" + name + "/"
		if strings.HasPrefix(m.line(dir+"class"), "0x01") && !m.exists(dir+"driver") {
			out = append(out, name)
		}
	}
	for _, name := range m.list("/sys/bus/virtio/devices") {
		dir := "/sys/bus/virtio/devices/" + name + "/"
		if kind := m.number(dir + "device"); (kind == 2 || kind == 8) && !m.exists(dir+"driver") {
			out = append(out, name)
		}
	}
	return out
}

// run waits for a program, for a minute at most. What it says goes to the
// console; whether it could do its work shows in the kernel's tables.
func run(ctx context.Context, program string, args ...string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_ = exec.CommandContext(ctx, program, args...).Run()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
