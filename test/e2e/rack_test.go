//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/internal/lab"
)

func TestMain(m *testing.M) {
	if done, err := ipmisim.ChassisProgram(); done {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// server is a machine with a BMC that is not ours. Left alone it boots its
// disk; what the BMC is told holds for one boot.
type server struct {
	lab.Machine
	addr    string // of its system
	bmc     string // HOST:PORT, on the daemon's own loopback
	boot    string // as ipmi_sim says it
	running *lab.Running
	starts  int
}

func newServer(n int, firmware lab.Firmware) *server {
	return &server{
		Machine: lab.Machine{
			MAC: net.HardwareAddr{0x52, 0x54, 0, 0x78, 0, byte(0x20 + n)}, Serial: fmt.Sprintf("E2E%04d", n), Firmware: firmware, Memory: 1536, DiskFirst: true,
		},
		addr: fmt.Sprintf("10.78.0.%d", 20+n), bmc: fmt.Sprintf("127.0.0.1:%d", 6230+n), boot: "none",
	}
}

func (m *server) name() string { return "node-" + m.Serial[len(m.Serial)-2:] }

// entry is its place in the plan.
func (m *server) entry() string {
	boot := "uefi"
	if m.Firmware == lab.BIOS {
		boot = "bios"
	}
	return fmt.Sprintf("{name: %s, role: base, mac: %q, serial: %s, addresses: {provision: %s}, hardware: {boot: %s}, bmc: {address: %q}, disks: {system: [{min_size: 10GB}]}}",
		m.name(), m.MAC, m.Serial, m.addr, boot, m.bmc)
}

// chassis is what ipmi_sim asks of the machine. It runs on the test's own
// goroutine, for starting a machine may end the test.
func (m *server) chassis(ctx context.Context, s *site, args []string) (string, error) {
	if len(args) < 2 {
		return "", fmt.Errorf("arguments %q", args)
	}
	var out strings.Builder
	switch parameters := args[2:]; args[1] {
	case "get":
		for _, p := range parameters {
			value := "0"
			switch {
			case p == "boot":
				value = m.boot
			case p == "power" && m.running != nil:
				value = "1"
			}
			fmt.Fprintf(&out, "%s:%s\n", p, value)
		}
	case "set":
		for i := 0; i+1 < len(parameters); i += 2 {
			if err := m.set(ctx, s, parameters[i], parameters[i+1]); err != nil {
				return "", err
			}
		}
	}
	return out.String(), nil
}

func (m *server) set(ctx context.Context, s *site, parameter, value string) error {
	switch {
	case parameter == "boot":
		m.boot = value
	case parameter == "power" && value == "0", parameter == "shutdown":
		return m.off(ctx)
	case parameter == "power" && m.running == nil:
		return m.on(ctx, s)
	case parameter == "reset" && m.running != nil:
		if err := m.running.BootFirst(ctx, m.boot == "pxe"); err != nil {
			return err
		}
		m.boot = "none"
		return m.running.Reset(ctx)
	}
	return nil
}

func (m *server) on(ctx context.Context, s *site) error {
	m.starts++
	spec := m.Machine
	spec.Name = fmt.Sprintf("%s-start-%d", m.name(), m.starts)
	spec.DiskFirst = m.boot != "pxe"
	m.boot = "none"
	m.running = s.PowerOn(spec)
	return m.running.BootFirst(ctx, false) // from the next reset on
}

func (m *server) off(ctx context.Context) error {
	if m.running == nil {
		return nil
	}
	err := m.running.PowerOff(ctx)
	m.running = nil
	return err
}

// rack is servers whose BMCs are served while somebody waits.
type rack struct {
	*site
	servers []*server
	asked   chan func()
}

func newRack(t *testing.T, servers ...*server) *rack {
	t.Helper()
	ipmisim.Need(t, "ipmi_sim")
	pass := filepath.Join(t.TempDir(), "bmc.pass")
	if err := os.WriteFile(pass, []byte(ipmisim.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("bmc: {protocol: ipmi, username: %s, password: {file: %s}}", ipmisim.User, pass)
	var entries []string
	for _, m := range servers {
		entries = append(entries, m.entry())
	}
	r := &rack{site: newSite(t, settings, entries...), servers: servers, asked: make(chan func())}
	for _, m := range servers {
		dir, err := os.MkdirTemp("", "chassis") // a socket's path must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		program := ipmisim.ServeChassis(t, dir, func(args []string) (string, error) { return r.ask(t, m, args) })
		r.server.Start("ipmi_sim", ipmisim.Prepare(t, m.bmc, ipmisim.Config{Chassis: program})...)
	}
	return r
}

// ask hands a question to whoever serves.
func (r *rack) ask(t *testing.T, m *server, args []string) (answer string, err error) {
	done := make(chan struct{})
	select {
	case r.asked <- func() {
		defer close(done)
		answer, err = m.chassis(t.Context(), r.site, args)
	}:
		<-done
		return answer, err
	case <-t.Context().Done():
		return "", t.Context().Err()
	}
}

// wait serves the BMCs until a program has ended, and gives its error.
func (r *rack) wait(t *testing.T, p *lab.Process, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		select {
		case answer := <-r.asked:
			answer()
		case <-p.Done():
			return p.Wait(ctx)
		case <-ctx.Done():
			for _, m := range r.servers {
				if m.running != nil {
					t.Logf("the console of %s ends with:\n%s", m.name(), m.running.Serial.Tail(30))
				}
			}
			t.Fatalf("after %v it has not ended:\n%s", within, p.Log.Tail(40))
		}
	}
}

func (r *rack) state(t *testing.T, m *server) (shown struct {
	State, Reason string
	Attempt       int
	Deviations    []string
},
) {
	t.Helper()
	out := r.rackseed(t, "node", "show", m.name(), "--json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("node show printed %q: %v", out, err)
	}
	return shown
}

// TestRackInstallsItself is zero touch on machines that nobody here wrote:
// QEMU's, with OpenIPMI's BMCs and Debian's installer. The canary has a disk
// that is too small; it is explained, repaired, and the rest goes on.
func TestRackInstallsItself(t *testing.T) {
	if os.Getenv("E2E_RACK") == "" {
		t.Skip("needs E2E_RACK=1: two installs take twenty minutes; make e2e-rack")
	}
	bios, uefi := newServer(1, lab.BIOS), newServer(2, lab.UEFIPXE)
	r := newRack(t, bios, uefi)
	bios.Disk = emptyDisk(t, r.Dir(), "small", 4<<30)
	uefi.Disk = emptyDisk(t, r.Dir(), "uefi", 12<<30)

	begin := time.Now()
	first := r.server.Start(r.binary, "install", "all", "--canary", "1", "--state", r.site.state)
	if err := r.wait(t, first, 25*time.Minute); err == nil {
		t.Fatalf("the install of a canary with a disk that is too small went well:\n%s", first.Log.Tail(40))
	}
	t.Logf("the canary failed after %v:\n%s", time.Since(begin).Round(time.Second), first.Log.Tail(20))
	if s := r.state(t, bios); s.State != "failed" || !strings.Contains(s.Reason, "disk") {
		t.Errorf("the canary is %+v; want failed, because of its disk", s)
	}
	if s := r.state(t, uefi); s.State != "planned" || uefi.starts != 0 {
		t.Errorf("the machine behind the canary is %+v, started %d times; want planned, never started", s, uefi.starts)
	}
	explained := r.rackseed(t, "explain", bios.name())
	if !strings.Contains(explained, "disk") {
		t.Errorf("explain does not speak of the disk:\n%s", explained)
	}

	if err := bios.off(t.Context()); err != nil {
		t.Fatal(err)
	}
	bios.Disk = emptyDisk(t, r.Dir(), "bios", 12<<30)
	job := regexp.MustCompile(`j-[a-z0-9]{10}`).FindString(r.rackseed(t, "job", "list"))
	second := r.server.Start(r.binary, "install", "--resume", job, "--canary", "0", "--state", r.site.state)
	if err := r.wait(t, second, installTime); err != nil {
		t.Fatalf("the resumed install: %v\n%s", err, second.Log.Tail(60))
	}
	t.Logf("both ready after %v", time.Since(begin).Round(time.Second))
	for _, m := range r.servers {
		want := 1
		if m == bios {
			want = 2
		}
		if s := r.state(t, m); s.State != "ready" || len(s.Deviations) > 0 || s.Attempt != want {
			t.Errorf("%s is %+v; want ready after attempt %d, without deviations", m.name(), s, want)
		}
		r.isTuned(t, t.Context(), m.name(), m.addr)
	}
	t.Logf("where the time went:\n%s", r.rackseed(t, "node", "show", bios.name(), "--phases"))
}
