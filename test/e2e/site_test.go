//go:build e2e

package e2e

import (
	"context"
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

	serverAddr = "10.78.0.1"
	node       = "node-01"
	nodeAddr   = "10.78.0.21"
	domain     = "e2e.example.net"
)

func nodeMAC() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0x78, 0, 0x21} }

// site is a network without gateway and name server, as on a laptop between racks, and the real daemon.
type site struct {
	*lab.Lab
	server *lab.Port
	binary string
	state  string
	key    string // file of the private key whose public half is in the plan
}

// installed is what the nodes of a plan get.
type installed struct {
	image string // its name
	iso   string
	root  string // access.root
}

// newSite brings a site up whose plan has these nodes, in YAML, and besides
// them what settings say.
func newSite(t *testing.T, settings string, nodes ...string) *site {
	t.Helper()
	needInstall(t)
	return newSiteOf(t, installed{image: "debian13", iso: medium(t), root: "locked"}, settings, nodes...)
}

func needInstall(t *testing.T) {
	t.Helper()
	lab.Need(t, "qemu-system-x86_64", "xorriso", "apt-ftparchive", "dpkg-scanpackages", "ssh")
}

func newSiteOf(t *testing.T, system installed, settings string, nodes ...string) *site {
	t.Helper()
	s := &site{Lab: lab.New(t), binary: build(t), state: t.TempDir()}
	s.AdvertiseRouter()
	s.Capture("wire")
	s.server = s.AddPort("rackseed", serverAddr+"/24")
	public := s.newKey(t)
	s.rackseed(t, "image", "add", system.iso, "--name", system.image)
	daemon := s.server.Start(s.binary, "serve", "--plan", s.writePlan(t, system, public, settings, nodes),
		"--interface", lab.Interface, "--state", s.state)
	t.Cleanup(func() { s.keepLog(t) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// In server mode it listens for other servers first.
	if _, err := daemon.Log.Wait(ctx, `DHCP answers now`); err != nil {
		t.Fatalf("%v\n%s", err, daemon.Log.Tail(40))
	}
	return s
}

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

// medium is the small Debian 13 medium; it is made once and kept.
func medium(t *testing.T) (path string) {
	t.Helper()
	return made(t, "mirror/build.sh", root+"/.cache/e2e")
}

// made is the path of what a script made, as it printed it.
func made(t *testing.T, script string, args ...string) (path string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), script, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

// newKey gives the operator a key pair for this test alone.
func (s *site) newKey(t *testing.T) (authorized string) {
	t.Helper()
	s.key = filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", s.key).CombinedOutput(); err != nil {
		t.Fatalf("making an SSH key: %v: %s", err, out)
	}
	public, err := os.ReadFile(s.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(public))
}

// oneNode is the plan's entry of node.
func oneNode() string {
	return fmt.Sprintf("{name: %s, role: base, mac: %q, addresses: {provision: %s}}", node, nodeMAC(), nodeAddr)
}

// local_boot exit has iPXE say on the console that it sends the machine to its
// disk; by default a BIOS machine is given no boot file, and nothing is said.
var plan = template.Must(template.New("plan").Parse(`site: e2e
domain: {{.Domain}}
locale: {timezone: Asia/Shanghai, language: en_US.UTF-8, keyboard: us}
access:
  root: {{.Root}}
  ssh_keys: [{{.Key}}]
provision: {network: provision, dhcp: server, local_boot: exit}
networks:
  provision: {subnet: 10.78.0.0/24}
images:
  {{.Image}}: {file: {{.ISO}}}
roles:
  base: {profile: base, image: {{.Image}}}
{{.Settings}}
nodes:
{{range .Nodes}}  - {{.}}
{{end}}`))

func (s *site) writePlan(t *testing.T, system installed, key, settings string, nodes []string) (path string) {
	t.Helper()
	path = filepath.Join(s.Dir(), "site.yaml")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = plan.Execute(file, map[string]any{
		"Domain": domain, "Key": key, "Image": system.image, "ISO": filepath.Base(system.iso), "Root": system.root, "Settings": settings, "Nodes": nodes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// emptyDisk is sparse.
func emptyDisk(t *testing.T, dir, name string, size int64) (path string) {
	t.Helper()
	path = filepath.Join(dir, name+".img")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.Remove(path)
		}
	})
	return path
}

// rackseed runs a command to its end and returns what it printed.
func (s *site) rackseed(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.server.Run(s.binary, append(args, "--state", s.state)...)
	if err != nil {
		t.Fatalf("rackseed %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// keepLog keeps the event log as an artifact, however the test ended, and prints when each stage was
// reached.
func (s *site) keepLog(t *testing.T) {
	for _, form := range []struct {
		file string
		args []string
	}{
		{"events.jsonl", []string{"events", "--json"}},
		{"events.txt", []string{"events"}},
		{"node.json", []string{"node", "show", node, "--json"}},
	} {
		// The test's own context has ended by now.
		out, err := s.server.Command(context.Background(), s.binary, append(form.args, "--state", s.state)...).CombinedOutput()
		if err != nil {
			t.Errorf("keeping %s: %v: %s", form.file, err, out)
		}
		if err := os.WriteFile(filepath.Join(s.Dir(), form.file), out, 0o644); err != nil {
			t.Error(err)
		}
		if form.file == "events.txt" {
			t.Logf("the log:\n%s", out)
		}
	}
}

// waitState returns when node show tells the state.
func (s *site) waitState(t *testing.T, want string, within time.Duration) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for s.show(t).State != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the node is not %s after %v: %+v", want, within, s.show(t))
		}
	}
}

// ssh runs a command on the node as root, in a login session, where limits are in force.
func (s *site) ssh(ctx context.Context, addr, command string) (string, error) {
	out, err := s.server.Command(ctx, "ssh", "-i", s.key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60",
		"root@"+addr, command).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ssh: %w", err)
	}
	return string(out), nil
}
