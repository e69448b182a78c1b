package ipmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/pkg/bmc"
)

// These tests speak with OpenIPMI's BMC, and read back with ipmitool and
// FreeIPMI what was set.

func simTarget(b *ipmisim.BMC) bmc.Target {
	return bmc.Target{Address: b.Address, Username: ipmisim.User, Password: ipmisim.Password}
}

func hexOf(p []byte) string { return strings.TrimSpace(fmt.Sprintf("% x", p)) }

// ipmitool reads with cipher suite 3; the password is not in its arguments.
func ipmitool(t *testing.T, b *ipmisim.BMC, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(b.Address, ":")
	cmd := exec.CommandContext(t.Context(), "ipmitool", append([]string{"-C", "3", "-I", "lanplus", "-H", host, "-p", port, "-U", ipmisim.User, "-E"}, args...)...)
	cmd.Env = append(os.Environ(), "IPMITOOL_PASSWORD="+ipmisim.Password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ipmitool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func freeipmi(t *testing.T, b *ipmisim.BMC, program string, args ...string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "freeipmi.conf")
	text := fmt.Sprintf("username %s\npassword %s\ndriver-type LAN_2_0\ncipher-suite-id 3\n", ipmisim.User, ipmisim.Password)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--config-file=" + config, "-h", b.Address, "-W", "opensesspriv"}, args...)
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestSimPower(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim", "ipmitool", "ipmipower")
	b := ipmisim.Start(t, ipmisim.Config{})
	d := dial(t, simTarget(b), quick())
	if suite := d.Known().CipherSuite; suite != 3 {
		t.Errorf("cipher suite %d, want 3", suite)
	}
	for _, step := range []struct {
		action bmc.PowerAction
		want   bmc.PowerState
	}{
		{bmc.ActionOn, bmc.PowerOn}, {bmc.ActionReset, bmc.PowerOn}, {bmc.ActionCycle, bmc.PowerOn},
		{bmc.ActionOff, bmc.PowerOff}, {bmc.ActionOn, bmc.PowerOn},
	} {
		state, steps, err := bmc.Power(t.Context(), d, step.action, bmc.Patience{Poll: 10 * time.Millisecond}, nil)
		if err != nil || state != step.want {
			t.Fatalf("power %s: %s, %v (%s)", step.action, state, err, steps)
		}
		if got := ipmitool(t, b, "chassis", "power", "status"); !strings.Contains(got, "is "+string(step.want)) {
			t.Errorf("after %s ipmitool says %s", step.action, got)
		}
		if got := freeipmi(t, b, "ipmipower", "--stat"); !strings.Contains(got, ": "+string(step.want)) {
			t.Errorf("after %s ipmipower says %s", step.action, got)
		}
	}
	if err := d.SetPower(t.Context(), bmc.ActionSoft); err != nil {
		t.Fatal(err)
	}
	if got := b.Chassis(t, "shutdown"); got != "1" {
		t.Errorf("after soft the chassis was told shutdown %q", got)
	}
}

// ipmi_sim carries out every copy of a request that it gets.
func TestSimDoesNotResetTwice(t *testing.T) {
	b := ipmisim.Start(t, ipmisim.Config{})
	r := startRelay(t, b.Address)
	target := simTarget(b)
	target.Address = r.address
	d := dial(t, target, quick())
	if err := d.SetPower(t.Context(), bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int32
	r.drop.Store(func(answer bool, _ int) bool { return answer && answers.Add(1) == 1 })
	if err := d.SetPower(t.Context(), bmc.ActionReset); !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("with the answer lost: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(b.Dir, "chassis", "log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "reset "); n != 1 {
		t.Errorf("%d resets, want 1:\n%s", n, log)
	}
}

// What ipmi_sim decoded of our requests: the whole exchange of table 28-14,
// with the valid, persistent and EFI bits right.
func TestSimBootRequests(t *testing.T) {
	b := ipmisim.Start(t, ipmisim.Config{})
	d := dial(t, simTarget(b), quick())
	around := func(flags string) []string { return []string{"00 01", "03 08", "04 01 01", flags, "00 02", "00 00"} }
	for _, test := range []struct {
		boot bmc.Boot
		way  string
		want []string
		sees string
	}{
		{bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI, Persistent: true}, wayStandard, around("05 e0 04 00 00 00"), "pxe"},
		{bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}, wayStandard, around("05 a0 04 00 00 00"), "pxe"},
		{bmc.Boot{Device: bmc.DeviceDisk, Mode: bmc.ModeBIOS}, wayStandard, around("05 80 08 00 00 00"), "default"},
		{bmc.Boot{Device: bmc.DeviceCD, Mode: bmc.ModeUEFI}, wayMinimal, []string{"05 a0 14 00 00 00"}, "cdrom"},
		{bmc.Boot{Device: bmc.DeviceBIOS, Mode: bmc.ModeUEFI}, wayMinimal, []string{"05 a0 18 00 00 00"}, "bios"},
		{bmc.Boot{Device: bmc.DeviceNone}, wayStandard, around("05 80 00 00 00 00"), "none"},
		{bmc.Boot{Device: bmc.DeviceNone}, wayMinimal, []string{"05 00 00 00 00 00"}, "none"},
	} {
		t.Run(test.boot.String()+" "+test.way, func(t *testing.T) {
			messages := b.Listen(t)
			if err := d.SetBoot(t.Context(), test.boot, bmc.Way{Name: test.way}); err != nil {
				t.Fatal(err)
			}
			if !eventually(t, func() bool { return len(messages.Requests(0, 8)) >= len(test.want) }) {
				t.Fatalf("requests %q\n%s", messages.Requests(0, 8), messages)
			}
			if got := messages.Requests(0, 8); !slices.Equal(got, test.want) {
				t.Errorf("requests %q, want %q", got, test.want)
			}
			if got := b.Chassis(t, "boot"); got != test.sees {
				t.Errorf("the chassis was told %q, want %q", got, test.sees)
			}
			got, err := d.Boot(t.Context())
			// ipmi_sim shows the device and none of the flags.
			if err != nil || got.Device != test.boot.Device || got.Persistent != test.boot.Persistent || (got.Note == "") != (got.Device == bmc.DeviceNone) {
				t.Errorf("read back %s, note %q, %v", got, got.Note, err)
			}
			if _, _, err = bmc.SetBootVerified(t.Context(), d, test.boot, bmc.Patience{}); err != nil {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

func TestSimBootReadBackByOthers(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim", "ipmitool", "ipmi-chassis")
	b := ipmisim.Start(t, ipmisim.Config{})
	d := dial(t, simTarget(b), quick())
	for _, test := range []struct {
		device   bmc.Device
		ipmitool string
	}{{bmc.DevicePXE, "Force PXE"}, {bmc.DeviceCD, "Force Boot from CD/DVD"}, {bmc.DeviceBIOS, "Force Boot into BIOS Setup"}} {
		if err := d.SetBoot(t.Context(), bmc.Boot{Device: test.device}, d.Ways()[0]); err != nil {
			t.Fatal(err)
		}
		if got := ipmitool(t, b, "chassis", "bootparam", "get", "5"); !strings.Contains(got, test.ipmitool) {
			t.Errorf("%s: ipmitool says\n%s", test.device, got)
		}
	}
	if got := freeipmi(t, b, "ipmi-chassis", "--get-chassis-status"); !regexp.MustCompile(`System Power\s+: off`).MatchString(got) {
		t.Errorf("ipmi-chassis says\n%s", got)
	}
}

// After two hundred operations of as many drivers the BMC has all its slots.
func TestSimSessionsDoNotLeak(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim", "ipmitool")
	b := ipmisim.Start(t, ipmisim.Config{})
	ctx := t.Context()
	for i := range 200 {
		d, err := Dial(ctx, simTarget(b), quick())
		if err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		if _, err := d.Power(ctx); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		if err := d.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	out := ipmitool(t, b, "session", "info", "active")
	if !regexp.MustCompile(`active sessions\s+: 1\n`).MatchString(out) {
		t.Errorf("besides ipmitool's own there are sessions:\n%s", out)
	}
}

func TestSim64AtATime(t *testing.T) {
	const n = 64
	bmcs := make([]*ipmisim.BMC, n)
	for i := range bmcs {
		bmcs[i] = ipmisim.Start(t, ipmisim.Config{})
	}
	start := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	for _, b := range bmcs {
		g.Go(func() error {
			// Sixty-four chassis programs at once on two cores take their time.
			d, err := Dial(ctx, simTarget(b), Options{Timeout: 10 * time.Second})
			if err != nil {
				return err
			}
			defer func() { _ = d.Close(context.Background()) }()
			if _, _, err := bmc.SetBootVerified(ctx, d, bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}, bmc.Patience{}); err != nil {
				return err
			}
			_, _, err = bmc.Power(ctx, d, bmc.ActionOn, bmc.Patience{}, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d BMCs told to boot PXE and switched on in %s", n, time.Since(start).Round(time.Millisecond))
	for i, b := range bmcs {
		if boot, power := b.Chassis(t, "boot"), b.Chassis(t, "power"); boot != "pxe" || power != "1" {
			t.Errorf("BMC %d: boot %s, power %s", i, boot, power)
		}
	}
}

// eventually waits for what another process does.
func eventually(t *testing.T, f func() bool) bool {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if f() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}
