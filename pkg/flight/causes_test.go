package flight_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
)

// What machines say, at a second of the story.
func dhcpAt(s float64, what string, c flight.Client) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.DHCP, Node: "n1", What: what, Client: c, Detail: "PXE of UEFI x64"}
}

func proxyAt(s float64, what string, c flight.Client) flight.Entry {
	e := dhcpAt(s, what, c)
	e.Source = flight.ProxyDHCP
	if what == "offer" || what == "ack" {
		e.Name = "snponly.efi"
	}
	return e
}

func secs(e flight.Entry, s float64) flight.Entry {
	e.Took = time.Duration(s * float64(time.Second))
	return e
}

func tftpAt(s float64, what, name string, bytes int64) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.TFTP, Node: "n1", What: what, Name: name, Bytes: bytes}
}

func httpAt(s float64, what, name string) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.HTTP, Node: "n1", What: what, Name: name}
}

func logAt(s float64, what string, attempt int) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.Log, Node: "n1", What: what, Attempt: attempt}
}

func stageAt(s float64, what string, attempt int) flight.Entry {
	e := logAt(s, what, attempt)
	e.Source = flight.Installer
	return e
}

func bmcAt(s float64, what, detail string) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.BMC, Node: "n1", What: what, Detail: detail}
}

func saidAt(s float64, line string) flight.Entry {
	return flight.Entry{At: at(s), Source: flight.Syslog, Node: "n1", What: "info", Detail: line}
}

func elsewhere(e flight.Entry) flight.Entry {
	e.What, e.Addr = "request-elsewhere", netip.MustParseAddr("10.20.0.9")
	return e
}

// goodBoot is a boot over UEFI PXE that nothing is wrong with.
func goodBoot() []flight.Entry {
	return []flight.Entry{
		bmcAt(-60, "step", "boot device pxe, once, set and read back"), bmcAt(-50, "power-on", "power on issued"),
		dhcpAt(0, "discover", flight.ClientUEFI), dhcpAt(0, "offer", flight.ClientUEFI),
		dhcpAt(4, "request", flight.ClientUEFI), dhcpAt(4, "ack", flight.ClientUEFI),
		tftpAt(4.1, "open", "snponly.efi", 0), tftpAt(4.2, "size-probe", "snponly.efi", 0),
		tftpAt(4.3, "open", "snponly.efi", 0), secs(tftpAt(5, "sent", "snponly.efi", 300<<10), 0.7),
		dhcpAt(7, "discover", flight.ClientIPXE), dhcpAt(7, "offer", flight.ClientIPXE), dhcpAt(8, "request", flight.ClientIPXE), dhcpAt(8, "ack", flight.ClientIPXE),
		tftpAt(8.1, "refused", "revocations_sbat.efi", 0),
		httpAt(9, "script", "install"), logAt(9, "install-started", 1),
		httpAt(12, "kernel", "vmlinuz"), httpAt(20, "initrd", "initrd.img"),
		dhcpAt(30, "discover", flight.ClientOS), dhcpAt(30, "offer", flight.ClientOS), dhcpAt(30, "request", flight.ClientOS), dhcpAt(30, "ack", flight.ClientOS),
		logAt(60, "answer-served", 1), stageAt(60, "answer", 1), stageAt(80, "early", 1), stageAt(90, "disk", 1), stageAt(120, "partitioned", 1),
		stageAt(125, "packages", 1), stageAt(400, "post", 1), stageAt(500, "done", 1),
		dhcpAt(620, "discover", flight.ClientOS), dhcpAt(620, "offer", flight.ClientOS), dhcpAt(620, "request", flight.ClientOS), stageAt(660, "verified", 1),
	}
}

func TestCauses(t *testing.T) {
	uefi, ipxe, bios, os := flight.ClientUEFI, flight.ClientIPXE, flight.ClientBIOS, flight.ClientOS
	for _, c := range []struct {
		story   string
		entries []flight.Entry
		now     float64 // second; zero means an hour
		want    []string
		says    string // the first cause, in part
	}{
		{"a good boot", goodBoot(), 0, []string{"tftp-size-probe", "tftp-looked-for"}, "asked for the size of snponly.efi and stopped: it does so before every download"},
		{
			"the ROM aborted TFTP after tsize",
			[]flight.Entry{tftpAt(0, "open", "undionly.kpxe", 0), tftpAt(0.1, "size-probe", "undionly.kpxe", 0)}, 1,
			[]string{"tftp-size-probe"}, "before every download",
		},
		{
			"spanning tree: 32 s without link after power-on",
			[]flight.Entry{bmcAt(0, "power-on", ""), secs(dhcpAt(90, "discover", ipxe), 32), dhcpAt(90, "offer", ipxe), dhcpAt(91, "request", ipxe)}, 100,
			[]string{"port-blocked"}, "for 32 s before its first packet came through",
		},
		{
			"a client that goes on asking was not blocked again",
			[]flight.Entry{dhcpAt(0, "discover", ipxe), secs(dhcpAt(30, "discover", ipxe), 30), dhcpAt(30, "offer", ipxe), dhcpAt(31, "request", ipxe)}, 40,
			nil, "",
		},
		{
			"spanning tree after the loader reset the port",
			[]flight.Entry{tftpAt(0, "sent", "snponly.efi", 300<<10), dhcpAt(31, "discover", ipxe), dhcpAt(31, "offer", ipxe), dhcpAt(32, "request", ipxe), httpAt(33, "script", "install")}, 40,
			[]string{"port-blocked-again"}, "without a link for 31 s",
		},
		{
			"Secure Boot",
			[]flight.Entry{dhcpAt(0, "discover", uefi), dhcpAt(0, "offer", uefi), dhcpAt(4, "request", uefi), dhcpAt(4, "ack", uefi), tftpAt(5, "sent", "snponly.efi", 300<<10)}, 200,
			[]string{"loader-refused"}, "snponly.efi was sent and iPXE never came back: Secure Boot refused it",
		},
		{
			"a loader that was sent a moment ago",
			[]flight.Entry{tftpAt(5, "sent", "snponly.efi", 300<<10)}, 30, nil, "",
		},
		{
			"a stage-1 loop",
			[]flight.Entry{
				tftpAt(5, "sent", "snponly.efi", 300<<10), dhcpAt(20, "discover", uefi), dhcpAt(20, "offer", uefi), dhcpAt(24, "request", uefi),
				tftpAt(25, "sent", "snponly.efi", 300<<10), dhcpAt(40, "discover", uefi), dhcpAt(40, "offer", uefi), dhcpAt(44, "request", uefi),
				tftpAt(45, "sent", "snponly.efi", 300<<10), dhcpAt(60, "discover", uefi),
			}, 61,
			[]string{"loader-refused", "loader-loop"}, "",
		},
		{
			"a BIOS ROM whose driver hangs",
			[]flight.Entry{dhcpAt(0, "discover", bios), dhcpAt(0, "offer", bios), dhcpAt(1, "request", bios), tftpAt(5, "sent", "undionly.kpxe", 70<<10)}, 200,
			[]string{"loader-hangs"}, "the network driver of the ROM hangs",
		},
		{
			"curl: (23)",
			[]flight.Entry{saidAt(0, "dracut-initqueue[812]: curl: (23) Failed writing body (0 != 16384)"), saidAt(1, "curl: (23) Failed writing body")}, 5,
			[]string{"out-of-memory-stage2"}, "not enough of it for the installer's own system",
		},
		{
			"the answer was fetched and nothing reported",
			[]flight.Entry{logAt(0, "answer-served", 1), stageAt(0, "answer", 1)}, 400,
			[]string{"no-report"}, "reported nothing since",
		},
		{"the answer was fetched a minute ago", []flight.Entry{logAt(0, "answer-served", 1), stageAt(0, "answer", 1)}, 60, nil, ""},
		{
			"another DHCP server answered",
			[]flight.Entry{dhcpAt(0, "discover", uefi), dhcpAt(0, "offer", uefi), elsewhere(dhcpAt(1, "", uefi)), elsewhere(dhcpAt(9, "", uefi))}, 60,
			[]string{"another-server"}, "another DHCP server, 10.20.0.9, answered it",
		},
		{
			"beside another server that is as it should be",
			[]flight.Entry{proxyAt(0, "discover", uefi), proxyAt(0, "offer", uefi), elsewhere(proxyAt(4, "", uefi)), proxyAt(5, "request", uefi), proxyAt(5, "ack", uefi), tftpAt(6, "open", "snponly.efi", 0)}, 60,
			nil, "",
		},
		{
			"a boot file that came with the other server's address",
			[]flight.Entry{proxyAt(0, "discover", ipxe), proxyAt(0, "offer", ipxe), proxyAt(1, "request", ipxe)}, 100,
			[]string{"other-boot-file"}, "never came for our boot file",
		},
		{
			"it may still come",
			[]flight.Entry{proxyAt(0, "discover", ipxe), proxyAt(0, "offer", ipxe), proxyAt(1, "request", ipxe)}, 30,
			nil, "",
		},
		{
			"firmware that does not merge proxy offers",
			[]flight.Entry{proxyAt(0, "discover", uefi), proxyAt(0, "offer", uefi), proxyAt(4, "discover", uefi), proxyAt(4, "offer", uefi)}, 60,
			[]string{"proxy-offer-ignored"}, "does not merge the two offers",
		},
		{
			"an offer that does not arrive",
			[]flight.Entry{dhcpAt(0, "discover", uefi), dhcpAt(0, "offer", uefi), dhcpAt(4, "discover", uefi), dhcpAt(4, "offer", uefi), dhcpAt(12, "discover", uefi), dhcpAt(12, "offer", uefi)}, 60,
			[]string{"offer-ignored"}, "3 times and took none",
		},
		{
			"the BMC said pxe and the machine went to its disk",
			[]flight.Entry{bmcAt(0, "step", "boot device pxe, once"), bmcAt(5, "power-cycle", ""), dhcpAt(180, "discover", os), dhcpAt(180, "offer", os), dhcpAt(180, "request", os)}, 300,
			[]string{"boots-elsewhere"}, "from another device",
		},
		{
			"an installer's own DHCP is no boot from disk",
			[]flight.Entry{bmcAt(0, "step", "boot device pxe, once"), bmcAt(5, "power-cycle", ""), dhcpAt(60, "discover", ipxe), dhcpAt(60, "offer", ipxe), dhcpAt(60, "request", ipxe), httpAt(62, "script", "install"), dhcpAt(90, "discover", os), dhcpAt(90, "request", os)}, 100,
			nil, "",
		},
		{
			"nothing since power-on",
			[]flight.Entry{bmcAt(0, "power-on", ""), logAt(1, "job-done", 0)}, 900,
			[]string{"silent-after-power-on"}, "nothing was heard",
		},
		{"still in its self test", []flight.Entry{bmcAt(0, "power-on", "")}, 300, nil, ""},
		{
			"an initrd without the card's driver",
			[]flight.Entry{logAt(0, "install-started", 1), httpAt(3, "kernel", "vmlinuz"), httpAt(20, "initrd", "initrd.img")}, 700,
			[]string{"kernel-lost"}, "never asked for its answer file",
		},
		{
			"an installer that took its time",
			[]flight.Entry{logAt(0, "install-started", 1), httpAt(20, "initrd", "initrd.img"), logAt(700, "answer-served", 1), {At: at(1900), Source: flight.Installer, Node: "n1", What: "early"}}, 4000,
			nil, "",
		},
		{
			"the next attempt got what this one did not",
			[]flight.Entry{logAt(0, "install-started", 1), httpAt(20, "initrd", "initrd.img"), logAt(900, "install-started", 2), httpAt(950, "answer", "ks.cfg")}, 1000,
			[]string{"kernel-lost"}, "never asked for its answer file",
		},
		{
			"an address of another DHCP server",
			[]flight.Entry{httpAt(20, "initrd", "initrd.img"), {At: at(60), Source: flight.HTTP, Node: "n1", Addr: netip.MustParseAddr("10.20.9.6"), What: "answer", Name: "early.sh", Detail: "refused: it asked from an address that is not its own"}}, 700,
			[]string{"answer-refused"}, "from 10.20.9.6, which is not its address",
		},
		{
			"a firewall drops TFTP",
			[]flight.Entry{tftpAt(9, "timed-out", "snponly.efi", 0)}, 60,
			[]string{"tftp-unheard"}, "never took the first block",
		},
		{
			"a cable that loses packets",
			[]flight.Entry{tftpAt(9, "aborted", "snponly.efi", 100<<10)}, 60,
			[]string{"tftp-cut-off"}, "stopped after 100 KiB",
		},
		{
			"a boot file that another server names",
			[]flight.Entry{tftpAt(9, "refused", "pxelinux.0", 0)}, 60,
			[]string{"tftp-unknown-file"}, "no boot file of this server",
		},
		{
			"a machine that no plan names",
			[]flight.Entry{{At: at(0), Source: flight.DHCP, MAC: site.MAC{2, 0, 0, 0, 0, 1}, What: "discover", Client: uefi, Detail: "PXE of UEFI x64; no answer: the plan does not name this machine, and has no pool"}}, 60,
			[]string{"not-planned"}, "the plan does not name this machine",
		},
		{
			"what consoles say",
			[]flight.Entry{
				saidAt(0, "PXE-E61: Media test failure, check cable"), saidAt(1, "blk_update_request: I/O error, dev sda, sector 2048"),
				saidAt(2, "Kernel panic - not syncing: VFS"), saidAt(3, "Security Violation"), saidAt(4, "Connection timed out (https://ipxe.org/4c0a6092)"),
			}, 60,
			[]string{"media-test", "disk-errors", "kernel-panic", "secure-boot", "ipxe-error"}, "no link",
		},
		{
			"an initrd that stopped in the middle",
			[]flight.Entry{{At: at(9), Source: flight.HTTP, Node: "n1", What: "initrd", Name: "initrd.img", Detail: "ended early: of 100 bytes"}}, 60,
			[]string{"initrd-cut-off"}, "stopped reading initrd.img",
		},
	} {
		t.Run(c.story, func(t *testing.T) {
			now := at(3600)
			if c.now != 0 {
				now = at(c.now)
			}
			found := flight.Diagnose(c.entries, now)
			var ids []string
			for _, f := range found {
				ids = append(ids, f.ID)
				if !f.Normal && f.Next == "" {
					t.Errorf("%s has no next step", f.ID)
				}
				if !slices.ContainsFunc(c.entries, func(e flight.Entry) bool { return e.At.Equal(f.At) && e.Cause != "" }) {
					t.Errorf("no entry has the cause of %s", f.ID)
				}
			}
			if !slices.Equal(ids, c.want) {
				t.Errorf("found %v, want %v", ids, c.want)
			}
			if len(found) > 0 && !strings.Contains(found[0].Cause, c.says) {
				t.Errorf("it says %q, want %q in it", found[0].Cause, c.says)
			}
		})
	}
}

// Whatever the wire makes a machine's timeline look like, it is diagnosed.
func FuzzDiagnose(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
	good := goodBoot()
	f.Fuzz(func(t *testing.T, order []byte) {
		var entries []flight.Entry
		when := 0.0
		for _, b := range order {
			e := good[int(b)%len(good)]
			when += float64(b%7) * 9
			e.At = at(when)
			entries = append(entries, e)
		}
		now := at(when + 1000)
		for _, f := range flight.Diagnose(entries, now) {
			if f.Cause == "" || strings.Contains(f.Cause, "%!") {
				t.Fatalf("a cause reads %q", f.Cause)
			}
		}
		last := time.Time{}
		for _, p := range flight.Phases(entries, 0, now) {
			if p.End.Before(p.Begin) || p.Begin.Before(last) {
				t.Fatalf("%s runs from %s to %s, after %s", p.Name, p.Begin, p.End, last)
			}
			last = p.Begin
		}
	})
}
