package firmware_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/discovery/agents"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	strangerSerial = "STRANGER-0001"
	strangerUUID   = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	diskSerial     = "CUSTOMERS-DISK-7"
)

// leaf2 is what switch leaf-2 says at its port Eth1/7.
func leaf2(t *testing.T) []byte {
	t.Helper()
	frame, err := hex.DecodeString(strings.ReplaceAll("0180c200000e 020000000001 88cc 0207 04020000000001 0407 05457468312f37 0602 0078 0a06 6c6561662d32"+
		" fe06 0080c201 007a fe06 00120f04 05ee 0000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// A machine that nobody planned is looked at without a byte of its disk being
// written, becomes a node by one command, and boots again once it is armed.
func TestStrangerIsDiscoveredAdoptedAndArmed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		firmware lab.Firmware
	}{{"BIOS", lab.BIOS}, {"UEFI PXE", lab.UEFIPXE}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			needAgent(t)
			c := newCustomer(t, settings{DHCP: "server", Pool: "10.77.0.200-10.77.0.220", Discovery: true})
			disk := c.BIOSDisk("usb.img", diskWord)
			before := hash(t, disk)
			machine := c.power(lab.Machine{
				MAC: strangerMAC(), Firmware: tt.firmware, Serial: strangerSerial, UUID: strangerUUID,
				// This initrd has drivers for disks on USB alone: Debian's network installer gets the others later.
				Extra: []string{"-device", "qemu-xhci", "-drive", "if=none,id=u0,format=raw,file=" + disk, "-device", "usb-storage,drive=u0,serial=" + diskSerial},
			})
			machine.Announce(leaf2(t))
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()

			c.checkInventory(ctx, machine)
			if shown := c.rackseed("node", "show", strangerMAC().String()); !strings.Contains(shown, diskSerial) || !strings.Contains(shown, "in leaf-2 Eth1/7") {
				t.Errorf("node show:\n%s", shown)
			}
			c.rackseed("node", "adopt", strangerSerial, "--name", "node-9", "--role", "base", "--address", "provision=10.77.0.29")
			if _, err := machine.WaitSerial(ctx, `this is node-9 now; waiting to be armed`); err != nil {
				t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
			}
			if hash(t, disk) != before {
				t.Fatal("the discovery has written to the disk")
			}
			c.nothingOfAnInstaller()

			c.rackseed("install", "node-9", "--no-power", "--no-wait")
			if _, err := machine.WaitSerial(ctx, `booting again`); err != nil {
				t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
			}
			c.waitEvent(ctx, "of an install", func(e event) bool { return e.Kind == "install-started" && e.Subject == "node-9" })
			t.Logf("since power-on: first DHCP %s, script %s, discovery asks for an address and reports %s", c.after(lab.Datagram(strangerMAC(), 67)),
				c.after(lab.Request(strangerMAC(), "GET", "/boot/node.ipxe")), c.after(lab.Request(strangerMAC(), "POST", "/discover/")))
			if err := machine.PowerOff(ctx); err != nil {
				t.Fatal(err)
			}
			if hash(t, disk) != before {
				t.Error("the disk has changed before an installer ran")
			}
		})
	}
}

// A planned node is looked at once, by an operator's wish, and then boots its
// disk again.
func TestNodeIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	needAgent(t)
	c := newCustomer(t, settings{DHCP: "server", LocalBoot: "exit", Discovery: true})
	disk := c.disk(lab.BIOS)
	before := hash(t, disk)
	c.rackseed("node", "discover", node)
	machine := c.power(lab.Machine{MAC: nodeMAC(), Disk: disk})
	machine.Announce(leaf2(t))
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	c.waitEvent(ctx, "of the look", func(e event) bool { return e.Kind == "node-inventoried" && e.Subject == node })
	if _, err := machine.WaitSerial(ctx, diskWord); err != nil {
		t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
	}
	if shown := c.rackseed("node", "cabling", node); !strings.Contains(shown, "nic1 is in leaf-2 port Eth1/7, the plan says leaf-2 Eth1/9") {
		t.Errorf("node cabling:\n%s", shown)
	}
	if err := machine.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	if hash(t, disk) != before {
		t.Error("the disk has changed")
	}
	c.nothingOfAnInstaller()
}

func needAgent(t *testing.T) {
	t.Helper()
	set, err := agents.Open()
	if err != nil || len(set.Missing()) > 0 {
		t.Skip("needs the discovery agent: make agent")
	}
}

// checkInventory waits for the inventory and compares it with the machine.
func (c *customer) checkInventory(ctx context.Context, machine *lab.Running) {
	c.t.Helper()
	if _, err := machine.WaitSerial(ctx, `the daemon has it`); err != nil {
		c.t.Fatalf("%v\n%s", err, machine.Serial.Tail(60))
	}
	e := c.waitEvent(ctx, "of an inventory", func(e event) bool {
		return e.Kind == "stranger-inventoried" && e.Subject == strangerMAC().String()
	})
	var found site.StrangerInventoried
	if err := json.Unmarshal(e.Body, &found); err != nil {
		c.t.Fatal(err)
	}
	i := found.Inventory
	if i.Serial != strangerSerial || i.UUID.String() != strangerUUID || i.Hardware.Memory < 900<<20 || i.Hardware.Sockets != 1 || i.Hardware.Arch != "x86_64" {
		c.t.Errorf("the machine: %+v", i)
	}
	if d := i.Hardware.Disks; len(d) != 1 || d[0].Serial != diskSerial || d[0].Size != 8<<20 {
		c.t.Errorf("its disks: %+v\n%s", d, machine.Serial.Tail(60))
	}
	want := site.Neighbour{Switch: "leaf-2", Port: "Eth1/7", VLAN: 122, MTU: 1518}
	if len(i.NICs) != 1 || !bytes.Equal(i.NICs[0].MAC[:], strangerMAC()) || i.NICs[0].Neighbour != want || i.NICs[0].Link != "up" || i.NICs[0].Driver != "virtio_net" {
		c.t.Errorf("its ports: %+v", i.NICs)
	}
}

// nothingOfAnInstaller asserts that nothing was armed, begun or handed out.
func (c *customer) nothingOfAnInstaller() {
	c.t.Helper()
	for _, e := range c.events() {
		switch e.Kind {
		case "armed", "install-started", "answer-served":
			c.t.Errorf("%s of %s", e.Kind, e.Subject)
		}
	}
}
