// Package ipmi_test drives a QEMU machine through a BMC that is not ours:
// OpenIPMI's ipmi_sim, whose chassis program is this test.
package ipmi_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/ipmi"
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

// bootTime is how long an emulated machine may take to boot.
const bootTime = time.Minute

func TestMachineBootsWhatItsBMCIsTold(t *testing.T) {
	m := newMachine(t)
	b := ipmisim.Start(t, ipmisim.Config{Chassis: ipmisim.ServeChassis(t, m.dir, m.chassis)})
	d, err := ipmi.Dial(t.Context(), bmc.Target{Address: b.Address, Username: ipmisim.User, Password: ipmisim.Password}, ipmi.Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	var want []string
	asked := 0
	step := func(device bmc.Device, action bmc.PowerAction, from string) {
		t.Helper()
		if device != "" {
			if _, steps, err := bmc.SetBootVerified(t.Context(), d, bmc.Boot{Device: device}, bmc.Patience{}); err != nil {
				t.Fatalf("boot from %s: %v (%s)", device, err, steps)
			}
		}
		if state, steps, err := bmc.Power(t.Context(), d, action, bmc.Patience{Poll: 50 * time.Millisecond}, nil); err != nil || state != bmc.PowerOn {
			t.Fatalf("power %s: %s, %v (%s)", action, state, err, steps)
		}
		want = append(want, from)
		for end := time.Now().Add(bootTime); len(m.serial.boots()) < len(want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %q and %s the machine said\n%s", device, action, m.serial)
			}
		}
		if got := m.serial.boots(); !slices.Equal(got, want) {
			t.Fatalf("the machine booted %q, want %q", got, want)
		}
		// What it says is one thing, what came from it on the wire another.
		now, err := m.asked()
		if err != nil {
			t.Fatal(err)
		}
		if came := now > asked; came != (from == fromNetwork) {
			t.Fatalf("after %q and %s its firmware asked the network %d times", device, action, now-asked)
		}
		asked = now
	}
	step("", bmc.ActionOn, fromDisk)
	step(bmc.DevicePXE, bmc.ActionCycle, fromNetwork)
	step("", bmc.ActionCycle, fromDisk)
	step(bmc.DevicePXE, bmc.ActionReset, fromNetwork)
	step(bmc.DeviceDisk, bmc.ActionReset, fromDisk)
	if m.starts != 3 {
		t.Errorf("the machine was switched on %d times, want 3: a reset takes no power away", m.starts)
	}
	if _, _, err := bmc.Power(t.Context(), d, bmc.ActionOff, bmc.Patience{Poll: 50 * time.Millisecond}, nil); err != nil {
		t.Fatal(err)
	}
	if m.get("power") != "0" {
		t.Error("it is still on")
	}
}
