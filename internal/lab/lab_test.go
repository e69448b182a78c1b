package lab_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
)

// An emulated processor on a busy machine needs minutes, not seconds.
const bootTime = 5 * time.Minute

func TestPortsReachEachOther(t *testing.T) {
	lab.Need(t, "busybox")
	l := lab.New(t)
	capture := l.Capture("ports")
	server := l.AddPort("server", "10.77.0.1/24")
	client := l.AddPort("client", "10.77.0.2/24")
	stranger := l.AddPort("stranger", "10.77.0.3/24")

	ln, err := server.Listen("tcp", "10.77.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	conn, err := client.DialContext(t.Context(), "tcp", "10.77.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	if got := capture.From(t, server.MAC); len(got) == 0 {
		t.Error("the capture has no frame from the server")
	}
	// The stranger asks for an address that nobody has; the server must not be seen to answer.
	if _, err := stranger.Run("busybox", "arping", "-c", "1", "-w", "1", "-I", lab.Interface, "10.77.0.9"); err == nil {
		t.Error("an address that nobody has answered")
	}
	capture.NoneFromTo(t, server.MAC, stranger.MAC)
	if data, err := os.ReadFile(capture.Path); err != nil || !bytes.Contains(data, stranger.MAC) {
		t.Errorf("the pcap file lacks the stranger's frames (error %v)", err)
	}
}

func TestLink(t *testing.T) {
	l := lab.New(t)
	port := l.AddPort("host", "10.77.0.1/24")
	port.SetLink(false)
	if out, err := port.Run("ip", "link", "show", lab.Interface); err != nil || !strings.Contains(out, "NO-CARRIER") {
		t.Errorf("the cable is out, and ip says (error %v): %s", err, out)
	}
}

func TestProcessThatEndsIsNotWaitedFor(t *testing.T) {
	l := lab.New(t)
	process := l.AddPort("host").Start("echo", "only this")
	if _, err := process.Log.Wait(t.Context(), "only (this)"); err != nil {
		t.Error(err)
	}
	if _, err := process.Log.Wait(t.Context(), "something else"); err == nil {
		t.Error("waiting for what a program that has ended never said is no error")
	}
}

// dnsmasq stands in for Rackseed: what these tests prove is the lab.
func TestNetworkBoot(t *testing.T) {
	lab.Need(t, "dnsmasq", "qemu-system-x86_64")
	const said = "script of the lab reached"
	for _, tt := range []struct {
		firmware lab.Firmware
		options  []string
	}{
		{firmware: lab.BIOS},
		{firmware: lab.UEFIPXE, options: []string{"--dhcp-boot=tag:!ipxe,snponly.efi"}},
		{firmware: lab.UEFIHTTP, options: []string{
			"--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient",
			"--dhcp-boot=tag:http,http://10.77.0.1/snponly.efi",
		}},
	} {
		t.Run(tt.firmware.String(), func(t *testing.T) {
			l := lab.New(t)
			l.AdvertiseRouter()
			capture := l.Capture("wire")
			server := l.AddPort("server", "10.77.0.1/24")
			files := bootFiles(t, "#!ipxe\necho "+said+"\nsanboot --no-describe --drive 0x80 || poweroff\n")
			ln, err := server.Listen("tcp", "10.77.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			serve(t, ln, http.FileServer(http.Dir(files)))
			server.Dnsmasq(append([]string{
				"--enable-tftp", "--tftp-root=" + files, "--dhcp-range=10.77.0.10,10.77.0.99",
				"--dhcp-match=set:ipxe,175", "--dhcp-boot=tag:ipxe,http://10.77.0.1/boot.ipxe",
			}, tt.options...)...)

			mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x11}
			machine := lab.Machine{MAC: mac, Firmware: tt.firmware}
			if tt.firmware == lab.BIOS {
				machine.Disk = l.BIOSDisk("disk.img", "booted from disk")
			}
			running := l.PowerOn(machine)
			ctx, cancel := context.WithTimeout(t.Context(), bootTime)
			defer cancel()
			start := time.Now()
			if _, err := running.WaitSerial(ctx, said); err != nil {
				t.Fatal(err)
			}
			t.Logf("script after %.1f s", time.Since(start).Seconds())
			if tt.firmware == lab.BIOS {
				if _, err := running.WaitSerial(ctx, "booted from disk"); err != nil {
					t.Fatal(err)
				}
				t.Logf("disk after %.1f s", time.Since(start).Seconds())
			}
			if _, err := capture.Wait(ctx, lab.Request(mac, "GET", "/boot.ipxe")); err != nil {
				t.Errorf("the capture lacks the request for the script: %v", err)
			}
		})
	}
}

func TestUEFIDisk(t *testing.T) {
	l := lab.New(t)
	set, err := loaders.Open("")
	if err != nil {
		t.Fatal(err)
	}
	loader, ok := set.Lookup(loaders.UEFI)
	if !ok {
		t.Skip("needs the boot loaders: make loaders")
	}
	running := l.PowerOn(lab.Machine{
		MAC:       net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x13},
		Firmware:  lab.UEFIPXE,
		Disk:      l.UEFIDisk("disk.img", "booted from disk", loader),
		DiskFirst: true,
	})
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if _, err := running.WaitSerial(ctx, "booted from disk"); err != nil {
		t.Fatal(err)
	}
}

func TestBootOrder(t *testing.T) {
	l := lab.New(t)
	running := l.PowerOn(lab.Machine{
		MAC:  net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x12},
		Disk: l.BIOSDisk("disk.img", "booted from disk"),
	})
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if _, err := running.WaitSerial(ctx, "iPXE"); err != nil {
		t.Fatal(err)
	}
	if err := running.BootFirst(ctx, false); err != nil {
		t.Fatal(err)
	}
	if err := running.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := running.WaitSerial(ctx, "booted from disk"); err != nil {
		t.Fatal(err)
	}
	if err := running.PowerOff(ctx); err != nil {
		t.Error(err)
	}
}

func bootFiles(t *testing.T, script string) (dir string) {
	t.Helper()
	set, err := loaders.Open("")
	if err != nil {
		t.Fatal(err)
	}
	loader, ok := set.Lookup(loaders.UEFI)
	if !ok {
		t.Skip("needs the boot loaders: make loaders")
	}
	dir = t.TempDir()
	for name, data := range map[string][]byte{loaders.UEFI: loader, "boot.ipxe": []byte(script)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func serve(t *testing.T, ln net.Listener, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
}
