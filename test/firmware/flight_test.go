package firmware_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/internal/lab"
)

// recorded asserts that the daemon's timeline tells the boot that just came to its answer file, and that its
// packets are there.
func (c *customer) recorded(t *testing.T, dhcp string, firmware lab.Firmware) {
	t.Helper()
	source, client := "dhcp", map[lab.Firmware]string{lab.UEFIPXE: "uefi", lab.UEFIHTTP: "uefi-http"}[firmware]
	if dhcp == "proxy" {
		source = "proxydhcp"
	}
	want := []string{"ipxe", "script install", "kernel ", "initrd ", "answer-served"}
	if client != "" {
		want = append(want, source, " discover "+client, " offer "+client)
	}
	if firmware == lab.UEFIPXE {
		want = append(want, "tftp       open snponly.efi", "it does so before every download", "tftp       sent snponly.efi")
	}
	if firmware == lab.UEFIHTTP {
		want = append(want, "http       loader snponly.efi")
	}
	text := c.rackseed("node", "show", node, "--timeline", "--phases")
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the timeline lacks %q:\n%s", w, text)
		}
	}
	if strings.Contains(text, "What it means:") {
		t.Errorf("the timeline finds fault with a good boot:\n%s", text)
	}
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		return
	}
	file := filepath.Join(t.TempDir(), "boot.pcap")
	c.rackseed("node", "pcap", node, "--attempt", "1", "-o", file)
	out, err := exec.Command(tcpdump, "-n", "-v", "-r", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "DHCP-Message (53), length 1: Discover") {
		t.Errorf("tcpdump: %v\n%s", err, out)
	}
}
