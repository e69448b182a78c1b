package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Firmware is what a machine starts with.
type Firmware int

// The firmware that Debian packages for x86.
const (
	BIOS     Firmware = iota // SeaBIOS; the card's ROM is iPXE 1.20 of 2019, so PXE comes with option 175
	UEFIPXE                  // OVMF with its own PXE client, over IPv4 first
	UEFIHTTP                 // OVMF with PXE switched off, so that it boots by HTTP
)

func (f Firmware) String() string {
	return [...]string{"BIOS", "UEFI PXE", "UEFI HTTP"}[f]
}

const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	romBIOS  = "/usr/lib/ipxe/qemu/pxe-virtio.rom"
)

// Machine describes a machine with one network card. It boots from the network first, then from Disk,
// or the other way round with DiskFirst.
type Machine struct {
	Name     string // default machineN
	MAC      net.HardwareAddr
	Firmware Firmware
	Memory   int    // MiB, default 1024: what Debian's installer starts in
	Disk     string // a raw image, optional
	// DiskFirst is the boot order of a machine whose BMC or setup menu says disk.
	DiskFirst bool
	Serial    string // the serial number of SMBIOS, optional
	UUID      string // of SMBIOS, optional
	Extra     []string
}

// Running is a machine that is powered on.
type Running struct {
	// Serial is what the machine printed on its first serial line since power-on.
	Serial *Log
	// Process is QEMU.
	Process *Process

	lab  *Lab
	name string
	tap  string // its port of the switch
	qmp  *qmp
}

// PowerOn connects a machine to the switch and starts it; it is taken away when the test ends. The
// processor is emulated: virtual ones hang on some build machines, and a test must not depend on which.
// There is one: two would only wait for each other on a build machine that has two.
func (l *Lab) PowerOn(m Machine) *Running {
	l.t.Helper()
	Need(l.t, "qemu-system-x86_64")
	l.machines++
	if m.Name == "" {
		m.Name = "machine" + strconv.Itoa(l.machines)
	}
	tap := "tap" + strconv.Itoa(l.machines)
	l.sw.ip("tuntap", "add", tap, "mode", "tap")
	l.sw.ip("link", "set", tap, "master", bridge, "up")

	socket := l.socketPath()
	cmd := l.sw.command(context.Background(), "qemu-system-x86_64", l.qemuArgs(m, tap, socket)...)
	process := l.start(m.Name, cmd)
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	control, err := dialQMP(ctx, socket, process)
	if err != nil {
		l.t.Fatalf("controlling %s: %v\n%s", m.Name, err, process.Log.Tail(20))
	}
	l.t.Cleanup(control.close)
	return &Running{Serial: process.Log, Process: process, lab: l, name: m.Name, tap: tap, qmp: control}
}

// socketPath is short: a socket's path has at most 107 bytes, and a test's folder may have more.
func (l *Lab) socketPath() string {
	l.t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		l.t.Fatalf("making a folder for the QMP socket: %v", err)
	}
	l.t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "qmp")
}

func (l *Lab) qemuArgs(m Machine, tap, socket string) []string {
	l.t.Helper()
	args := []string{
		"-name", m.Name, "-accel", "tcg,tb-size=256",
		"-m", strconv.Itoa(orDefault(m.Memory, 1024)), "-smp", "1",
		"-display", "none", "-vga", "std", "-nodefaults", "-serial", "stdio", "-monitor", "none",
		"-qmp", "unix:" + socket + ",server=on,wait=off",
		"-rtc", "clock=vm", "-device", "virtio-rng-pci",
		"-netdev", "tap,id=n0,ifname=" + tap + ",script=no,downscript=no",
		"-device", l.card(m),
	}
	args = append(args, l.firmwareArgs(m)...)
	if m.Disk != "" {
		diskIndex := "3"
		if m.DiskFirst {
			diskIndex = "1"
		}
		args = append(args,
			"-drive", "if=none,id=d0,format=raw,cache=unsafe,file="+optionValue(m.Disk), "-device", "virtio-blk-pci,drive=d0,id=disk0,bootindex="+diskIndex)
	}
	if m.Serial != "" {
		args = append(args, "-smbios", "type=1,serial="+m.Serial)
	}
	if m.UUID != "" {
		args = append(args, "-uuid", m.UUID)
	}
	return append(args, m.Extra...)
}

func (l *Lab) card(m Machine) string {
	card := fmt.Sprintf("virtio-net-pci,netdev=n0,id=net0,mac=%s,bootindex=2", m.MAC)
	if m.Firmware != BIOS {
		// Without the card's ROM it is the firmware's own PXE client that boots.
		card += ",romfile="
	}
	return card
}

func (l *Lab) firmwareArgs(m Machine) []string {
	l.t.Helper()
	if m.Firmware == BIOS {
		NeedFile(l.t, romBIOS, "ipxe-qemu")
		return []string{"-machine", "q35,graphics=off", "-cpu", "qemu64"}
	}
	NeedFile(l.t, ovmfCode, "ovmf")
	vars := filepath.Join(l.dir, m.Name+".vars.fd")
	if err := copyFile(vars, ovmfVars); err != nil {
		l.t.Fatalf("copying the firmware's variables: %v", err)
	}
	args := []string{
		"-machine", "q35", "-cpu", "qemu64",
		"-drive", "if=pflash,format=raw,readonly=on,file=" + ovmfCode,
		"-drive", "if=pflash,format=raw,file=" + optionValue(vars),
	}
	if m.Firmware == UEFIHTTP {
		// Left on, PXE over IPv4 and then IPv6 time out first: two minutes.
		args = append(args,
			"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
	}
	return args
}

// optionValue protects the commas of a value among QEMU's options.
func optionValue(value string) string { return strings.ReplaceAll(value, ",", ",,") }

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// WaitSerial returns the first match of pattern on the serial line, and its groups.
func (r *Running) WaitSerial(ctx context.Context, pattern string) ([]string, error) {
	match, err := r.Serial.Wait(ctx, pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return match, nil
}

// Type sends text to the machine's serial console as slowly as a person: SeaBIOS keeps 16 keys.
func (r *Running) Type(ctx context.Context, text string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := range len(text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("typing at %s: %w", r.name, ctx.Err())
		}
		if _, err := r.Process.stdin.Write([]byte{text[i]}); err != nil {
			return fmt.Errorf("typing at %s: %w", r.name, err)
		}
	}
	return nil
}

// Reset presses the reset button.
func (r *Running) Reset(ctx context.Context) error {
	return r.qmp.execute(ctx, "system_reset", nil)
}

// PowerOff pulls the plug.
func (r *Running) PowerOff(ctx context.Context) error {
	if err := r.qmp.execute(ctx, "quit", nil); err != nil {
		return err
	}
	return r.Process.Wait(ctx)
}

// SetLink takes the cable out of the machine's card or puts it back; the card sees it.
func (r *Running) SetLink(ctx context.Context, up bool) error {
	return r.qmp.execute(ctx, "set_link", map[string]any{"name": "net0", "up": up})
}

// BootFirst makes the firmware try the network or else the disk first, from the next reset on.
func (r *Running) BootFirst(ctx context.Context, network bool) error {
	order := []string{"net0", "disk0"}
	if !network {
		order = []string{"disk0", "net0"}
	}
	// Two devices may not share an index at any moment.
	for _, device := range order {
		if err := r.bootIndex(ctx, device, -1); err != nil {
			return err
		}
	}
	for i, device := range order {
		if err := r.bootIndex(ctx, device, i+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *Running) bootIndex(ctx context.Context, device string, index int) error {
	return r.qmp.execute(ctx, "qom-set", map[string]any{
		"path": "/machine/peripheral/" + device, "property": "bootindex", "value": index,
	})
}
