// Package firmware_test boots real firmware from the real daemon: SeaBIOS and OVMF in QEMU, inside network
// namespaces, up to the question that Debian's installer asks of us.
package firmware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestArmedMachineAsksForItsAnswerFile(t *testing.T) {
	t.Parallel()
	mac := nodeMAC()
	for _, tt := range []struct {
		name     string
		dhcp     string
		firmware lab.Firmware
		way      []func(lab.Frame) bool // what a machine with this firmware has to ask on its way
	}{
		{"BIOS", "server", lab.BIOS, []func(lab.Frame) bool{
			lab.Request(mac, "GET", "/boot/boot.ipxe"),
		}},
		{"UEFI PXE", "server", lab.UEFIPXE, []func(lab.Frame) bool{
			lab.TFTPRequest(mac, loaders.UEFI),
			lab.TFTPRequest(mac, "autoexec.ipxe"),
		}},
		{"UEFI HTTP boot", "server", lab.UEFIHTTP, []func(lab.Frame) bool{
			lab.Request(mac, "HEAD", "/boot/"+loaders.UEFI),
			lab.Request(mac, "GET", "/boot/"+loaders.UEFI),
		}},
		{"BIOS beside the customer's DHCP", "proxy", lab.BIOS, []func(lab.Frame) bool{
			lab.Request(mac, "GET", "/boot/boot.ipxe"),
		}},
		{"UEFI PXE beside the customer's DHCP", "proxy", lab.UEFIPXE, []func(lab.Frame) bool{
			lab.Datagram(mac, 4011),
			lab.TFTPRequest(mac, loaders.UEFI),
			lab.TFTPRequest(mac, "autoexec.ipxe"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, settings{DHCP: tt.dhcp})
			c.arm()
			c.power(lab.Machine{MAC: mac, Firmware: tt.firmware})
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			addr := c.waitAnswer(ctx)
			c.recorded(t, tt.dhcp, tt.firmware)
			for i, step := range tt.way {
				if len(c.capture.Frames(t, step)) == 0 {
					t.Errorf("the machine came another way: it left out step %d", i+1)
				}
			}
			switch tt.dhcp {
			case "server":
				if addr != netip.MustParseAddr(nodeAddr) {
					t.Errorf("the installer asked from %s; the plan gives it %s", addr, nodeAddr)
				}
			case "proxy":
				if !fromCustomer(addr) {
					t.Errorf("the installer asked from %s, which the customer's DHCP server does not give", addr)
				}
				c.gaveNoAddress()
			}
		})
	}
}

// A card whose ROM is not iPXE loads undionly.kpxe over TFTP. The ROM here is iPXE, so it is told to.
func TestUndionlyAsksForItsAnswerFile(t *testing.T) {
	t.Parallel()
	c := newCustomer(t, settings{DHCP: "server"})
	c.arm()
	machine := c.power(lab.Machine{MAC: nodeMAC()})
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	for _, step := range []struct{ prompt, typed string }{
		{`Press Ctrl-B for the iPXE command line`, "\x02"},
		{`iPXE>`, "dhcp && chain tftp://" + serverAddr + "/" + loaders.BIOS + "\n"},
		{`iPXE 1\.21\.1`, ""},
	} {
		if _, err := machine.WaitSerial(ctx, step.prompt); err != nil {
			t.Fatal(err)
		}
		if err := machine.Type(ctx, step.typed); err != nil {
			t.Fatal(err)
		}
	}
	c.waitAnswer(ctx)
	if len(c.capture.Frames(t, lab.TFTPRequest(nodeMAC(), loaders.BIOS))) == 0 {
		t.Errorf("nobody asked for %s", loaders.BIOS)
	}
}

func TestStrangerGetsNotOnePacket(t *testing.T) {
	t.Parallel()
	for _, dhcp := range []string{"server", "proxy"} {
		t.Run(dhcp, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, settings{DHCP: dhcp})
			c.arm()
			machine := c.power(lab.Machine{MAC: strangerMAC(), Disk: c.disk(lab.BIOS)})
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			if _, err := machine.WaitSerial(ctx, diskWord); err != nil {
				t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
			}
			// It was silent because it would not speak, not because it did not hear.
			c.waitEvent(ctx, "of the stranger", func(e event) bool {
				return e.Kind == "stranger-seen" && e.Subject == strangerMAC().String()
			})
			c.capture.NoneFromTo(t, c.server.MAC, strangerMAC())
		})
	}
}

// waitAnswer returns when the installer, not iPXE, has asked for the answer file, and the daemon has given
// it and knows it. It returns who was given it.
func (c *customer) waitAnswer(ctx context.Context) netip.Addr {
	c.t.Helper()
	asks := lab.Request(nodeMAC(), "GET", "/answer/")
	asked, err := c.capture.Wait(ctx, asks)
	if err != nil {
		c.t.Fatal(err)
	}
	if bytes.Contains(asked.Data, []byte("iPXE/")) {
		c.t.Errorf("iPXE asked for the answer file:\n%s", asked.Data)
	}
	answered := c.waitEvent(ctx, "of the answer file", func(e event) bool {
		return e.Kind == "answer-served" && e.Subject == node
	})
	var served site.AnswerServed
	if err := json.Unmarshal(answered.Body, &served); err != nil {
		c.t.Fatalf("reading the event of the answer file: %v", err)
	}
	if served.File != "preseed.cfg" {
		c.t.Errorf("the installer was given %s", served.File)
	}
	c.waitEvent(ctx, "of the stage", func(e event) bool {
		return e.Kind == "install-progress" && e.Subject == node && bytes.Contains(e.Body, []byte(`"stage":"answer"`))
	})
	c.t.Logf("since power-on: first DHCP %s, loader by TFTP %s, by HTTP %s, script %s, kernel %s, installer asks for its answer file %s",
		c.after(lab.Datagram(nodeMAC(), 67)), c.after(lab.Datagram(nodeMAC(), 69)),
		c.after(lab.Request(nodeMAC(), "GET", "/boot/"+loaders.UEFI)), c.after(lab.Request(nodeMAC(), "GET", "/boot/node.ipxe")),
		c.after(lab.Request(nodeMAC(), "GET", "/images/")), c.after(asks))
	return served.Addr
}

// gaveNoAddress asserts that the daemon answered DHCP, and that no answer of its held an address.
func (c *customer) gaveNoAddress() {
	c.t.Helper()
	answers := 0
	for _, f := range c.capture.From(c.t, c.server.MAC) {
		offered, ok := lab.OfferedAddress(f)
		if !ok {
			continue
		}
		answers++
		if !offered.IsUnspecified() {
			c.t.Errorf("the daemon offered %s beside the customer's DHCP server", offered)
		}
	}
	if answers == 0 {
		c.t.Error("the daemon answered no DHCP at all")
	}
}
