package firmware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
)

const (
	// root is the module, as seen from this package's folder.
	root = "../.."
	// iso is made by hack/netboot-iso.sh.
	iso = root + "/.cache/debian-13-netboot.iso"

	serverAddr = "10.77.0.1"
	node       = "node-1"
	nodeAddr   = "10.77.0.21"
	diskWord   = "booted from disk"

	// An emulated processor on a busy machine needs minutes where it needs seconds alone.
	bootTime = 6 * time.Minute
)

// The machine that the plan names, and one that it does not.
func nodeMAC() net.HardwareAddr     { return net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 0x21} }
func strangerMAC() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 0x66} }

// customer is a site with a switch, a router's announcements, a capture of everything and the real daemon.
type customer struct {
	*lab.Lab
	t       *testing.T
	capture *lab.Capture
	server  *lab.Port
	daemon  *lab.Process
	state   string
	binary  string
}

// newCustomer starts `rackseed serve` in the given DHCP mode; in proxy mode a dnsmasq that knows nothing of
// booting gives out the addresses.
func newCustomer(t *testing.T, dhcp string) *customer {
	t.Helper()
	lab.Need(t, "qemu-system-x86_64")
	if _, err := os.Stat(iso); err != nil {
		t.Skip("needs Debian's installer: hack/netboot-iso.sh")
	}
	c := &customer{Lab: lab.New(t), t: t, state: t.TempDir(), binary: build(t)}
	c.AdvertiseRouter()
	c.capture = c.Capture("wire")
	c.server = c.AddPort("rackseed", serverAddr+"/24")
	if dhcp == "proxy" {
		lab.Need(t, "dnsmasq")
		c.AddPort("customer", "10.77.0.2/24").Dnsmasq("--dhcp-range=10.77.0.100,10.77.0.199,1h")
	}
	c.rackseed("image", "add", absolute(t, iso))
	plan := c.writePlan(dhcp)
	c.daemon = c.server.Start(c.binary, "serve", "--plan", plan, "--interface", lab.Interface,
		"--state", c.state, "--dhcp", dhcp)
	c.waitServing(dhcp)
	return c
}

// build makes the binary once per test run: the build cache makes the second time cheap.
func build(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rackseed")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/rackseed")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building rackseed: %v\n%s", err, out)
	}
	return path
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

var plan = template.Must(template.New("plan").Parse(`site: firmware-lab
locale: {timezone: UTC, language: en_US.UTF-8, keyboard: us}
access:
  root: locked
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxhYi1rZXktdGhhdC1vcGVucy1ub3RoaW5nLWF0LWFs lab]
provision: {network: provision, dhcp: {{.DHCP}}}
networks:
  provision: {subnet: 10.77.0.0/24}
images:
  debian13: {file: {{.ISO}}}
roles:
  base: {profile: base, image: debian13}
nodes:
  - name: {{.Node}}
    role: base
    mac: {{.MAC}}
    addresses: {provision: {{.Addr}}}
`))

func (c *customer) writePlan(dhcp string) (path string) {
	c.t.Helper()
	path = filepath.Join(c.Dir(), "site.yaml")
	file, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	err = plan.Execute(file, map[string]any{
		"DHCP": dhcp, "ISO": filepath.Base(iso), "Node": node, "MAC": nodeMAC(), "Addr": nodeAddr,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return path
}

// rackseed runs a command against the daemon and returns what it printed.
func (c *customer) rackseed(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("rackseed %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *customer) try(args ...string) (string, error) {
	return c.server.Run(c.binary, append(args, "--state", c.state)...)
}

// waitServing returns when the daemon speaks on the wire: in server mode it listens for others before.
func (c *customer) waitServing(dhcp string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if _, err := c.daemon.Log.Wait(ctx, `serving DHCP|dhcp=`+dhcp); err != nil {
		c.t.Fatalf("%v\n%s", err, c.daemon.Log.Tail(40))
	}
}

// nodeState is the state and stage that `node show` tells.
func (c *customer) nodeState() (state, stage string, err error) {
	out, err := c.try("node", "show", node, "--json")
	if err != nil {
		return "", "", fmt.Errorf("node show: %w: %s", err, out)
	}
	var shown struct{ State, Stage string }
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		return "", "", fmt.Errorf("node show printed %q: %w", out, err)
	}
	return shown.State, shown.Stage, nil
}
