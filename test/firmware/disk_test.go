package firmware_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
)

func TestMachineThatIsNotArmedBootsItsDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		firmware lab.Firmware
		settings settings
		script   bool // the machine is given iPXE's script on its way
		givesUp  string
	}{
		{name: "BIOS", firmware: lab.BIOS, settings: settings{DHCP: "server"}},
		{name: "BIOS exit", firmware: lab.BIOS, settings: settings{DHCP: "server", LocalBoot: "exit"}, script: true},
		{name: "BIOS sanboot", firmware: lab.BIOS, settings: settings{DHCP: "server", LocalBoot: "sanboot"}, script: true},
		{name: "BIOS beside the customer's DHCP", firmware: lab.BIOS, settings: settings{DHCP: "proxy"}},
		{name: "UEFI PXE", firmware: lab.UEFIPXE, settings: settings{DHCP: "server"}, script: true},
		{name: "UEFI PXE sanboot", firmware: lab.UEFIPXE, settings: settings{DHCP: "server", LocalBoot: "sanboot"}, script: true},
		{
			name: "UEFI PXE firmware", firmware: lab.UEFIPXE, settings: settings{DHCP: "server", LocalBoot: "firmware"},
			givesUp: `PXE-E16: No valid offer received`,
		},
		{name: "UEFI PXE beside the customer's DHCP", firmware: lab.UEFIPXE, settings: settings{DHCP: "proxy"}, script: true},
		{name: "UEFI HTTP boot", firmware: lab.UEFIHTTP, settings: settings{DHCP: "server"}, script: true},
		{name: "UEFI HTTP boot beside the customer's DHCP", firmware: lab.UEFIHTTP, settings: settings{DHCP: "proxy"}, script: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, tt.settings)
			c.bootsDisk(tt.firmware, tt.givesUp)
			if asked := len(c.capture.Frames(t, lab.Request(nodeMAC(), "GET", "/boot/node.ipxe"))) > 0; asked != tt.script {
				t.Errorf("the machine asked for its script: %t, want %t", asked, tt.script)
			}
			if started := c.count("install-started"); started != 0 {
				t.Errorf("%d installs were started", started)
			}
		})
	}
}

// One arming is one install: whatever boots from the network afterwards is sent to its disk.
func TestInstalledMachineBootsItsDisk(t *testing.T) {
	t.Parallel()
	c := newCustomer(t, settings{DHCP: "server", LocalBoot: "exit"})
	c.arm()
	c.playInstaller()
	c.bootsDisk(lab.BIOS, "")
	if done := c.count("install-done"); done != 1 {
		t.Fatalf("%d installs are done: that the machine booted its disk proves nothing", done)
	}
	if started := c.count("install-started"); started != 1 {
		t.Errorf("%d installs were started by one arming", started)
	}
}

// count is how many events of a kind the log holds.
func (c *customer) count(kind string) (n int) {
	c.t.Helper()
	for _, e := range c.events() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// bootsDisk switches the node on and returns when it runs from its disk, which nobody may have written to.
// Firmware that says givesUp, if that is given, has proved its point: it loses its cable then, and its other
// network entries fail at once instead of after a minute each.
func (c *customer) bootsDisk(firmware lab.Firmware, givesUp string) {
	c.t.Helper()
	disk := c.disk(firmware)
	before := hash(c.t, disk)
	machine := c.power(lab.Machine{MAC: nodeMAC(), Firmware: firmware, Disk: disk})
	ctx, cancel := context.WithTimeout(c.t.Context(), bootTime)
	defer cancel()
	if givesUp != "" {
		if _, err := machine.WaitSerial(ctx, givesUp); err != nil {
			c.t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
		}
		if err := machine.SetLink(ctx, false); err != nil {
			c.t.Fatal(err)
		}
	}
	if _, err := machine.WaitSerial(ctx, diskWord); err != nil {
		c.t.Fatalf("%v\n%s", err, machine.Serial.Tail(40))
	}
	c.t.Logf("since power-on: first DHCP %s, script %s, disk %.1f s", c.after(lab.Datagram(nodeMAC(), 67)),
		c.after(lab.Request(nodeMAC(), "GET", "/boot/node.ipxe")), time.Since(c.powered).Seconds())
	if err := machine.PowerOff(ctx); err != nil {
		c.t.Fatal(err)
	}
	if hash(c.t, disk) != before {
		c.t.Error("the disk has changed")
	}
	if len(c.capture.Frames(c.t, lab.Datagram(nodeMAC(), 67))) == 0 {
		c.t.Error("the machine did not try the network: that it booted its disk proves nothing")
	}
	for _, path := range []string{"/images/", "/answer/"} {
		if asked := c.capture.Frames(c.t, lab.Request(nodeMAC(), "GET", path)); len(asked) > 0 {
			c.t.Errorf("the machine was sent to %s", path)
		}
	}
}

// playInstaller does on the wire what an installer does, and reports success, so that the daemon holds the
// node for installed without a quarter of an hour of emulation.
func (c *customer) playInstaller() {
	c.t.Helper()
	port := c.AddPort("installer", nodeAddr+"/24")
	defer port.SetLink(false) // the machine has this address next
	client := &http.Client{Transport: &http.Transport{DialContext: port.DialContext, DisableKeepAlives: true}}
	base := "http://" + serverAddr + ":8080"
	script := fetch(c.t, client, http.MethodGet, base+"/boot/node.ipxe?mac="+nodeMAC().String())
	answer := regexp.MustCompile(`url=(http://\S+/answer/(\S+)/preseed.cfg)`).FindStringSubmatch(script)
	if answer == nil {
		c.t.Fatalf("the script of an armed machine names no answer file:\n%s", script)
	}
	fetch(c.t, client, http.MethodGet, answer[1])
	fetch(c.t, client, http.MethodPost, base+"/report/"+answer[2]+"/done")
}

func fetch(t *testing.T, client *http.Client, method, url string) (body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s (error %v)", method, url, resp.Status, data, err)
	}
	return string(data)
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
