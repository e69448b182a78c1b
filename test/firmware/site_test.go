package firmware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	// binary names the environment variable with the program under test; TestMain builds one if it is empty.
	binary = "RACKSEED"

	serverAddr = "10.77.0.1"
	node       = "node-1"
	nodeAddr   = "10.77.0.21"
	diskWord   = "booted from disk"

	// An emulated processor on a busy machine needs minutes where it needs seconds alone.
	bootTime = 8 * time.Minute
)

// The machine that the plan names, and one that it does not.
func nodeMAC() net.HardwareAddr     { return net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 0x21} }
func strangerMAC() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 0x66} }

func TestMain(m *testing.M) { os.Exit(runWithBinary(m)) }

func runWithBinary(m *testing.M) int {
	if os.Getenv(binary) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rackseed")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the program under test:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rackseed")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/rackseed")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := errors.Join(cmd.Run(), os.Setenv(binary, path)); err != nil {
		fmt.Fprintln(os.Stderr, "building the program under test:", err)
		return 1
	}
	return m.Run()
}

// customer is a site with a switch, a router's announcements, a capture of everything and the real daemon.
type customer struct {
	*lab.Lab
	t       *testing.T
	capture *lab.Capture
	server  *lab.Port
	daemon  *lab.Process
	state   string
	powered time.Time
}

// settings are the lines of the plan in which the tests differ.
type settings struct {
	DHCP      string // server or proxy
	LocalBoot string // empty means the default
	Pool      string // of addresses for strangers
	Discovery bool   // strangers are discovered, and the node's cable is planned
}

// newCustomer starts `rackseed serve`; in proxy mode a dnsmasq that knows nothing of booting gives out the
// addresses. It returns when the daemon answers DHCP.
func newCustomer(t *testing.T, s settings) *customer {
	t.Helper()
	lab.Need(t, "qemu-system-x86_64")
	if _, err := os.Stat(iso); err != nil {
		t.Skip("needs Debian's installer: run hack/netboot-iso.sh")
	}
	c := &customer{Lab: lab.New(t), t: t, state: t.TempDir()}
	c.AdvertiseRouter()
	c.capture = c.Capture("wire")
	c.server = c.AddPort("rackseed", serverAddr+"/24")
	if s.DHCP == "proxy" {
		lab.Need(t, "dnsmasq")
		c.AddPort("customer", "10.77.0.2/24").Dnsmasq("--dhcp-range=" + customerFirst + "," + customerLast + ",1h")
	}
	c.daemon = c.server.Start(os.Getenv(binary), "serve", "--plan", c.writePlan(s), "--interface", lab.Interface,
		"--state", c.state, "--verbose")
	c.waitDaemon(`msg=serving `)
	c.rackseed("image", "add", absolute(t, iso), "--name", "debian13")
	c.waitDaemon(`msg="DHCP answers now"`)
	return c
}

// The addresses that the customer's own DHCP server gives.
const (
	customerFirst = "10.77.0.100"
	customerLast  = "10.77.0.199"
)

// fromCustomer says whether an address is one of those that the customer's DHCP server gives.
func fromCustomer(a netip.Addr) bool {
	return !a.Less(netip.MustParseAddr(customerFirst)) && !netip.MustParseAddr(customerLast).Less(a)
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
provision:
  network: provision
  dhcp: {{.DHCP}}
{{- with .LocalBoot}}
  local_boot: {{.}}
{{- end}}
{{- with .Pool}}
  pool: {{.}}
{{- end}}
{{- if .Discovery}}
discovery: {strangers: {{if .Pool}}true{{else}}false{{end}}, image: debian13}
{{- end}}
networks:
  provision: {subnet: 10.77.0.0/24}
images:
  debian13: {file: debian-13-netboot.iso}
roles:
  base: {profile: base, image: debian13}
nodes:
  - name: ` + node + `
    role: base
    mac: 52:54:00:77:00:21
{{- if .Discovery}}
    nics: {nic1: {mac: "52:54:00:77:00:21", switch: leaf-2, port: Eth1/9}}
{{- end}}
    addresses: {provision: ` + nodeAddr + `}
`))

func (c *customer) writePlan(s settings) (path string) {
	c.t.Helper()
	path = filepath.Join(c.Dir(), "site.yaml")
	file, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := errors.Join(plan.Execute(file, s), file.Close()); err != nil {
		c.t.Fatalf("writing the plan: %v", err)
	}
	return path
}

// waitDaemon returns when the daemon's log holds a match of pattern.
func (c *customer) waitDaemon(pattern string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := c.daemon.Log.Wait(ctx, pattern); err != nil {
		c.t.Fatalf("%v\n%s", err, c.daemon.Log.Tail(40))
	}
}

// rackseed runs a command against the daemon and returns what it printed.
func (c *customer) rackseed(args ...string) string {
	c.t.Helper()
	out, err := c.server.Run(os.Getenv(binary), append(args, "--state", c.state)...)
	if err != nil {
		c.t.Fatalf("rackseed %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *customer) arm() {
	c.t.Helper()
	c.rackseed("install", node, "--no-power", "--no-wait")
}

// event is a line of `rackseed events --json`.
type event struct {
	Kind    string
	Subject string // the node, or the MAC of a stranger
	Body    json.RawMessage
}

func (c *customer) events() []event {
	c.t.Helper()
	var all []event
	lines := json.NewDecoder(strings.NewReader(c.rackseed("events", "--json")))
	for lines.More() {
		var e event
		if err := lines.Decode(&e); err != nil {
			c.t.Fatalf("reading `rackseed events --json`: %v", err)
		}
		all = append(all, e)
	}
	return all
}

// waitEvent returns the first event, past or future, that match says yes to.
func (c *customer) waitEvent(ctx context.Context, what string, match func(event) bool) event {
	c.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, e := range c.events() {
			if match(e) {
				return e
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("the log has no event %s:\n%s", what, c.rackseed("events"))
		}
	}
}

// power switches a machine on.
func (c *customer) power(m lab.Machine) *lab.Running {
	c.t.Helper()
	c.powered = time.Now()
	return c.PowerOn(m)
}

// after is the time from power-on to a frame, for the log of the test.
func (c *customer) after(match func(lab.Frame) bool) string {
	c.t.Helper()
	frames := c.capture.Frames(c.t, match)
	if len(frames) == 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", frames[0].At.Sub(c.powered).Seconds())
}
