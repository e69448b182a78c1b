// Package lab builds a customer's network inside network namespaces, for tests: a switch, hosts that run
// servers or clients, QEMU machines that boot real firmware, and captures of what was on the wire. Nothing
// reaches the network of the machine that runs the tests; everything is torn down when the test ends.
//
// A test is skipped by name where root, namespaces or a program are missing.
package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// bridge is the switch's interface, inside the switch's own namespace. It has no address.
const bridge = "br0"

// Lab is one site: a switch, to which ports and machines are connected.
type Lab struct {
	t   testing.TB
	id  string
	dir string
	sw  *namespace

	machines int
}

// labs numbers the labs of this process, so that parallel tests do not share a namespace.
var labs atomic.Int64

// New builds a switch without spanning tree: a port forwards as soon as it is connected.
func New(t testing.TB) *Lab {
	t.Helper()
	Need(t, "ip", "ethtool")
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces; run as root")
	}
	sweep(t)
	l := &Lab{t: t, id: fmt.Sprintf("lab-%d-%d", os.Getpid(), labs.Add(1)), dir: artifacts(t)}
	l.sw = l.namespace("switch")
	l.sw.ip("link", "add", bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
	l.sw.ip("link", "set", bridge, "up")
	return l
}

// Dir is where the lab keeps logs, captures and disks: below $ARTIFACTS when that is set, else a folder
// that goes with the test.
func (l *Lab) Dir() string { return l.dir }

func artifacts(t testing.TB) string {
	t.Helper()
	root := os.Getenv("ARTIFACTS")
	if root == "" {
		return t.TempDir()
	}
	dir := filepath.Join(root, strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("making the folder for artifacts: %v", err)
	}
	return dir
}

// packages names the Debian package of each program that a test may lack.
var packages = map[string]string{
	"atftp":              "atftp",
	"busybox":            "busybox",
	"curl":               "curl",
	"dhclient":           "isc-dhcp-client",
	"dhcpcd":             "dhcpcd5",
	"dnsmasq":            "dnsmasq-base",
	"dpkg-deb":           "dpkg",
	"ethtool":            "ethtool",
	"ip":                 "iproute2",
	"mcopy":              "mtools",
	"mformat":            "mtools",
	"perfdhcp":           "kea-admin",
	"qemu-system-x86_64": "qemu-system-x86",
	"strace":             "strace",
	"tftp":               "tftp-hpa",
	"udhcpc":             "udhcpc",
	"xorriso":            "xorriso",
}

// Need skips the test, by name and with the remedy, unless every program is installed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		pkg := packages[program]
		if pkg == "" {
			pkg = program
		}
		t.Skipf("needs %s: apt-get install %s", program, pkg)
	}
}

// NeedFile skips the test unless path is there; pkg is the Debian package that brings it.
func NeedFile(t testing.TB, path, pkg string) {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("needs %s: apt-get install %s", path, pkg)
	}
}

// sweep removes namespaces of test processes that were killed before they could.
func sweep(t testing.TB) {
	t.Helper()
	left, err := filepath.Glob("/run/netns/lab-*-*")
	if err != nil {
		t.Fatalf("listing namespaces: %v", err)
	}
	for _, path := range left {
		owner := strings.Split(filepath.Base(path), "-")[1]
		if pid, err := strconv.Atoi(owner); err != nil || alive(pid) {
			continue
		}
		if out, err := exec.Command("ip", "netns", "del", filepath.Base(path)).CombinedOutput(); err != nil {
			t.Logf("removing the left-over namespace %s: %v: %s", path, err, out)
		}
	}
}

func alive(pid int) bool {
	_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return err == nil
}
