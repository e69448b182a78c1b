// Package firmware_test boots real firmware from the real daemon: SeaBIOS and OVMF in QEMU, inside network
// namespaces, up to the question that Debian's installer asks of us.
package firmware_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
)

func TestArmedMachineAsksForItsAnswerFile(t *testing.T) {
	for _, tt := range []struct {
		name     string
		dhcp     string
		firmware lab.Firmware
		fetches  string // what the firmware itself asks for by HTTP, if it does
	}{
		{name: "BIOS", dhcp: "server", firmware: lab.BIOS},
		{name: "UEFI PXE", dhcp: "server", firmware: lab.UEFIPXE},
		{name: "UEFI HTTP boot", dhcp: "server", firmware: lab.UEFIHTTP, fetches: "/boot/"},
		{name: "BIOS beside the customer's DHCP", dhcp: "proxy", firmware: lab.BIOS},
		{name: "UEFI PXE beside the customer's DHCP", dhcp: "proxy", firmware: lab.UEFIPXE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCustomer(t, tt.dhcp)
			c.rackseed("install", node, "--no-power")
			c.PowerOn(lab.Machine{MAC: nodeMAC(), Firmware: tt.firmware})
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			start := time.Now()
			if tt.fetches != "" {
				if _, err := c.capture.Wait(ctx, lab.Request(nodeMAC(), "GET", tt.fetches)); err != nil {
					t.Fatal(err)
				}
			}
			c.waitAnswer(ctx)
			t.Logf("the installer asked for its answer file after %.0f s", time.Since(start).Seconds())
		})
	}
}

// A card whose ROM is not iPXE loads undionly.kpxe over TFTP. The ROM here is iPXE, so it is told to.
func TestUndionlyAsksForItsAnswerFile(t *testing.T) {
	c := newCustomer(t, "server")
	c.rackseed("install", node, "--no-power")
	machine := c.PowerOn(lab.Machine{MAC: nodeMAC()})
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if _, err := machine.WaitSerial(ctx, `Press Ctrl-B`); err != nil {
		t.Fatal(err)
	}
	if err := machine.Type(ctx, "\x02"); err != nil {
		t.Fatal(err)
	}
	if _, err := machine.WaitSerial(ctx, `iPXE>`); err != nil {
		t.Fatal(err)
	}
	if err := machine.Type(ctx, "dhcp && chain tftp://"+serverAddr+"/"+loaders.BIOS+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := machine.WaitSerial(ctx, `iPXE 1\.21\.1`); err != nil {
		t.Fatal(err)
	}
	c.waitAnswer(ctx)
}

func TestMachineThatIsNotArmedBootsItsDisk(t *testing.T) {
	for _, firmware := range []lab.Firmware{lab.BIOS, lab.UEFIPXE, lab.UEFIHTTP} {
		t.Run(firmware.String(), func(t *testing.T) {
			c := newCustomer(t, "server")
			disk := c.disk(firmware)
			before := hash(t, disk)
			machine := c.PowerOn(lab.Machine{MAC: nodeMAC(), Firmware: firmware, Disk: disk})
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			if _, err := machine.WaitSerial(ctx, diskWord); err != nil {
				t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
			}
			if err := machine.PowerOff(ctx); err != nil {
				t.Fatal(err)
			}
			if hash(t, disk) != before {
				t.Error("the disk has changed")
			}
			for _, path := range []string{"/images/", "/answer/"} {
				if asked := c.capture.Frames(t, lab.Request(nodeMAC(), "GET", path)); len(asked) > 0 {
					t.Errorf("the machine was sent to %s", path)
				}
			}
		})
	}
}

func TestStrangerGetsNotOnePacket(t *testing.T) {
	for _, dhcp := range []string{"server", "proxy"} {
		t.Run(dhcp, func(t *testing.T) {
			c := newCustomer(t, dhcp)
			c.rackseed("install", node, "--no-power")
			machine := c.PowerOn(lab.Machine{MAC: strangerMAC(), Disk: c.disk(lab.BIOS)})
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			if _, err := machine.WaitSerial(ctx, diskWord); err != nil {
				t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
			}
			c.capture.NoneFromTo(t, c.server.MAC, strangerMAC())
		})
	}
}

// waitAnswer returns when the installer, not iPXE, has asked for the answer file and the daemon knows it.
func (c *customer) waitAnswer(ctx context.Context) {
	c.t.Helper()
	asks := lab.Request(nodeMAC(), "GET", "/answer/")
	asked, err := c.capture.Wait(ctx, asks)
	if err != nil {
		c.t.Fatal(err)
	}
	if bytes.Contains(asked.Data, []byte("iPXE/")) {
		c.t.Errorf("iPXE asked for the answer file:\n%s", asked.Data)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		state, stage, err := c.nodeState()
		if err == nil && state == "installing" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("the daemon holds %s for %q (stage %q, error %v) although its installer has begun", node, state, stage, err)
		}
	}
}

func (c *customer) disk(firmware lab.Firmware) (path string) {
	c.t.Helper()
	if firmware == lab.BIOS {
		return c.BIOSDisk("disk.img", diskWord)
	}
	set, err := loaders.Open("")
	if err != nil {
		c.t.Fatal(err)
	}
	loader, ok := set.Lookup(loaders.UEFI)
	if !ok {
		c.t.Skip("needs the boot loaders: make loaders")
	}
	return c.UEFIDisk("disk.img", diskWord, loader)
}

func hash(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), diskWord) {
		t.Fatalf("%s is not a disk of this test", path)
	}
	return sha256.Sum256(data)
}
