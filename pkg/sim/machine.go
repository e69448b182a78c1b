package sim

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Firmware is how a machine boots from the network.
type Firmware string

// The firmwares of the rack.
const (
	BIOS     Firmware = "bios"
	UEFI     Firmware = "uefi"
	UEFIHTTP Firmware = "uefi-http"
)

// Source is what a machine boots from.
type Source string

// The sources.
const (
	FromNetwork Source = ""       // then from disk
	FromDisk    Source = "disk"   // from the network if it is blank
	FromSetup   Source = "setup"  // the firmware's menu, where it waits for somebody
	FromMedium  Source = "medium" // a system that does nothing
)

// Site is where the machines stand: the relay to the daemon, and how fast
// time goes.
type Site struct {
	Relay *Relay
	// TFTP is the daemon's TFTP port; its address comes by DHCP.
	TFTP uint16
	// Speed divides every delay of the machines; 1 is the speed of real
	// servers.
	Speed float64
	Log   *slog.Logger
}

// Machine is one simulated server. The disk survives its power.
type Machine struct {
	Site     *Site
	MAC      site.MAC
	UUID     site.UUID
	Serial   string // in its SMBIOS
	Label    string // the serial number on its case, which the plan has
	Firmware Firmware
	Fault    Fault
	More     []Fault // beside it
	// NextBoot is what a BMC tells the firmware, asked at every start; nil is
	// FromNetwork.
	NextBoot func() Source

	addr netip.Addr // from DHCP
	once sync.Once  // faults that happen once
	disk disk

	mu       sync.Mutex
	offered  []string // answer files of the installers that it was handed
	installs int      // that reached their end
}

// Faults are all that goes wrong with the machine and its BMC.
func (m *Machine) Faults() []Fault {
	if m.Fault == NoFault {
		return slices.Clone(m.More)
	}
	return append([]Fault{m.Fault}, m.More...)
}

func (m *Machine) has(f Fault) bool { return m.Fault == f || slices.Contains(m.More, f) }

// Offered are the answer files of the installers that the machine was handed,
// in order: one that was handed out again is there again.
func (m *Machine) Offered() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.offered)
}

// Installs is how many systems were installed on its disk.
func (m *Machine) Installs() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.installs
}

// disk is what an installer left behind.
type disk struct {
	reports string // base URL of the first boot's reports; empty means blank
}

// What a server spends its time with, at speed 1. They are the durations of
// real dual-socket servers with a 10 GbE laptop port.
const (
	postTime     = 75 * time.Second
	loaderTime   = 2 * time.Second
	kernelTime   = 12 * time.Second
	stageTime    = 8 * time.Second
	packagesTime = 90 * time.Second
	osTime       = 25 * time.Second
	retryTime    = 10 * time.Second
	lateLinkTime = 35 * time.Second
)

// errReboot is how a stage ends that hands the machine back to its firmware.
var errReboot = errors.New("reboot")

// errLocal sends the machine to its own disk.
var errLocal = errors.New("boot from disk")

// Run switches the machine on and lets it live until ctx ends: power-on self
// test, network, disk, over and over, as real servers do.
func (m *Machine) Run(ctx context.Context) {
	linked := time.Now()
	if m.has(LateLink) {
		linked = linked.Add(m.scale(postTime + lateLinkTime))
	}
	for m.wait(ctx, postTime) {
		if m.wait(ctx, 0) && time.Now().Before(linked) {
			// Firmware gives up on a port without a link and starts over.
			m.say("no link")
			continue
		}
		err := m.start(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errReboot):
			m.say("reboots")
		case m.disk.reports != "":
			m.runSystem(ctx)
			return
		default:
			m.say("nothing to boot", "error", err)
			m.wait(ctx, retryTime)
		}
	}
}

// start is one try; errLocal hands over to the disk.
func (m *Machine) start(ctx context.Context) error {
	source := FromNetwork
	if m.NextBoot != nil {
		source = m.NextBoot()
	}
	switch {
	case source == FromDisk && m.disk.reports != "":
		return errLocal
	case source == FromSetup || source == FromMedium || m.has(NoPXE):
		m.say("waits", "at", source)
		<-ctx.Done()
		return ctx.Err()
	}
	return m.netboot(ctx)
}

// runSystem is the installed system's first boot: it says what differs from
// the Intent until somebody has heard it.
func (m *Machine) runSystem(ctx context.Context) {
	m.say("starts from disk")
	deviations := ""
	if m.has(Deviation) {
		deviations = "sysctl vm.swappiness is 60, not 10\n"
	}
	for m.wait(ctx, osTime) {
		if err := m.post(ctx, m.disk.reports+"verified", deviations); err == nil {
			break
		}
	}
	<-ctx.Done()
}

func (m *Machine) scale(d time.Duration) time.Duration {
	if m.Site.Speed <= 0 {
		return d
	}
	return time.Duration(float64(d) / m.Site.Speed)
}

// wait lets simulated time pass; it is false when the power is gone.
func (m *Machine) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(m.scale(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *Machine) say(what string, args ...any) {
	m.Site.Log.Debug(what, append([]any{"mac", m.MAC}, args...)...)
}

// patiently tries again for a while, as iPXE and installers do: a daemon that
// was killed is back in a moment. The simulation keeps a floor, because the
// daemon does not run faster.
func (m *Machine) patiently(ctx context.Context, try func() error) error {
	const tries = 8
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == tries || errors.Is(err, errRefused) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(m.scale(2*time.Second), 250*time.Millisecond)):
		}
	}
}

// http speaks from the address that the machine was given.
func (m *Machine) http() *http.Client {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(m.addr, 0))}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}
