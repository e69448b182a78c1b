package flight_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
)

// discover is a DHCPDISCOVER of a PXE client (RFC 2131, RFC 4578).
func discover(mac site.MAC) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x12345678)
	copy(b[28:], mac[:])
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	b = append(b, 53, 1, 1, 93, 2, 0, 7)
	b = append(append(b, 60, 9), "PXEClient"...)
	return append(b, 255)
}

func boot(r *flight.Recorder, node string, when float64) {
	mac := site.MAC{0x52, 0x54, 0, 0, 0, 1}
	machine, server := netip.MustParseAddrPort("10.20.1.1:2070"), netip.MustParseAddrPort("10.20.0.1:69")
	for _, p := range []flight.Packet{
		{From: netip.MustParseAddrPort("0.0.0.0:68"), To: netip.MustParseAddrPort("255.255.255.255:67"), Data: discover(mac)},
		{From: machine, To: server, Data: []byte("\x00\x01snponly.efi\x00octet\x00tsize\x000\x00blksize\x001468\x00")},
		{From: netip.AddrPortFrom(server.Addr(), 40001), To: machine, Answer: true, Data: []byte("\x00\x06tsize\x00307200\x00")},
		{From: netip.AddrPortFrom(server.Addr(), 40001), To: machine, Answer: true, Data: append([]byte{0, 3, 0, 1}, make([]byte, 1464)...), Keep: 64},
		{From: machine, To: netip.AddrPortFrom(server.Addr(), 40001), Data: []byte("\x00\x05\x00\x00User aborted the transfer\x00")},
	} {
		p.At, p.Node, p.MAC = at(when), node, mac
		r.Packet(p)
	}
}

func savePcap(t *testing.T, r *flight.Recorder, node string, since, until time.Time) (string, int) {
	t.Helper()
	var file bytes.Buffer
	n, err := r.Pcap(t.Context(), &file, node, since, until)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "boot.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, n
}

// Debian's tcpdump opens what is saved and reads the same conversation in it.
func TestTcpdumpReadsThePackets(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("needs tcpdump: apt install tcpdump")
	}
	r, _ := open(t, flight.Options{Dir: t.TempDir()})
	boot(r, "n1", 0)
	path, n := savePcap(t, r, "n1", time.Time{}, time.Time{})
	if n != 5 {
		t.Errorf("%d packets", n)
	}
	read := func(args ...string) string {
		out, err := exec.Command(tcpdump, append(args, "-e", "-n", "-vv", "-r", path)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tcpdump: %v\n%s", err, out)
		}
		for _, wrong := range []string{"bad cksum", "truncated", "[|"} {
			if strings.Contains(string(out), wrong) {
				t.Errorf("tcpdump finds %q in\n%s", wrong, out)
			}
		}
		return string(out)
	}
	text := read() + read("-T", "tftp") // which it knows by itself at port 69 alone
	for _, want := range []string{
		"52:54:00:00:00:01 > ff:ff:ff:ff:ff:ff", "0.0.0.0.68 > 255.255.255.255.67", "DHCP-Message (53), length 1: Discover", "PXEClient",
		`RRQ "snponly.efi" octet tsize 0 blksize 1468`, "OACK tsize 307200", "length 1510", "UDP, length 1468", "DATA block 1", "ERROR", "User aborted the transfer",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("tcpdump does not see %q in\n%s", want, text)
		}
	}
}

// The packets survive a restart, also one that cut the last of them short;
// they are those of the time that is asked for; and they are bounded.
func TestPackets(t *testing.T) {
	dir := t.TempDir()
	r, stop := open(t, flight.Options{Dir: dir, MaxFile: 4000})
	boot(r, "n1", 0)
	boot(r, "n1", 100)
	if _, n := savePcap(t, r, "n1", at(50), time.Time{}); n != 5 {
		t.Errorf("%d packets since the second boot", n)
	}
	if _, n := savePcap(t, r, "n1", at(0), at(50)); n != 5 {
		t.Errorf("%d packets of the first boot", n)
	}
	if _, n := savePcap(t, r, "n2", time.Time{}, time.Time{}); n != 0 {
		t.Errorf("%d packets of a machine without any", n)
	}
	stop()
	path := filepath.Join(dir, "n1.pcap")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, data[:len(data)-3], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, stop = open(t, flight.Options{Dir: dir, MaxFile: 4000})
	boot(r, "n1", 200)
	if _, n := savePcap(t, r, "n1", time.Time{}, time.Time{}); n != 5+4+5 {
		t.Errorf("%d packets after a restart", n)
	}
	for i := range 40 {
		boot(r, "n1", float64(300+i))
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for _, name := range []string{"n1.pcap", "n1.pcap.1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Size() > 4000+1000 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}
