package bmcsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rackseed/rackseed/pkg/sim"
)

// served is one BMC on a loopback address.
func served(t *testing.T, c Config) (*BMC, string) {
	t.Helper()
	b := New(c)
	f, err := Serve(netip.MustParseAddrPort("127.0.0.1:0"), b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return b, f.URL(0)
}

// shelf is a web server with an image, and its access log.
type shelf struct {
	*httptest.Server
	mu  sync.Mutex
	log []string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	image := filepath.Join(t.TempDir(), "boot.iso")
	if err := os.WriteFile(image, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shelf{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.log = append(s.log, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		s.mu.Unlock()
		if r.URL.Path != "/boot.iso" {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, image)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// clean is an environment without proxies and certificate bundles, which
// Python's requests prefers to what the program says.
func clean() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} }

// TestSushy: OpenStack's client, which is what Ironic uses, drives the BMC.
func TestSushy(t *testing.T) {
	t.Parallel()
	// Debian's own first: another one in PATH does not see Debian's packages.
	interpreters := []string{"/usr/bin/python3", "python3"}
	i := slices.IndexFunc(interpreters, func(python string) bool { return exec.Command(python, "-c", "import sushy").Run() == nil })
	if i < 0 {
		t.Skip("needs sushy: apt install python3-sushy")
	}
	const want = `system: Rackseed SIM-R2 RS24DEMO00001 Off
memory: 512 threads 128
ports: 52:54:00:00:00:00 52:54:00:80:00:00
drives: RS24DEMO00001B1 RS24DEMO00001B2 RS24DEMO00001N1
can reset: ForceOff ForceRestart GracefulRestart GracefulShutdown On PowerCycle PushPowerButton
can boot: BiosSetup Cd Hdd None Pxe UefiBootNext UefiHttp UefiTarget Usb
boot: Once Pxe UEFI
power: On
boot: Disabled None UEFI
media: CD True True True
boot: Continuous Cd UEFI
media: False None
bios: Disabled OnReset
bios: Disabled Enabled
bios: Enabled
registry: 10
refused: Base.1.18.PropertyUnknown
power: Off
secure boot: False
chassis: RackMount sessions 1
`
	for _, c := range []Config{{}, {Tasks: true}} {
		t.Run(fmt.Sprintf("tasks=%t", c.Tasks), func(t *testing.T) {
			s := newShelf(t)
			b, url := served(t, c)
			cmd := exec.CommandContext(t.Context(), interpreters[i], "testdata/drive.py", url, b.Username(), b.Password().Reveal(), s.URL+"/boot.iso")
			cmd.Env = clean()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("sushy: %v\n%s", err, out)
			}
			if string(out) != want {
				t.Errorf("sushy saw\n%s\nwant\n%s", out, want)
			}
			b.Close() // the machine has asked what to boot from
			boots := []Boot{{Target: "Pxe", UEFI: true}, {Target: "Cd", UEFI: true, Image: s.URL + "/boot.iso"}, {Target: "Cd", UEFI: true}}
			if got := b.Booted(); !slices.Equal(got, boots) {
				t.Errorf("the machine booted %v, want %v", got, boots)
			}
			// When it is inserted, and when the machine boots it.
			if log := s.lines(); !slices.Equal(log, slices.Repeat([]string{"HEAD /boot.iso", "GET /boot.iso bytes=32768-34815"}, 2)) {
				t.Errorf("the BMC came for the image with %q", log)
			}
			if n := b.OpenSessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// TestRedfishtool: the DMTF's command line drives the BMC.
func TestRedfishtool(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redfishtool"); err != nil {
		t.Skip("needs redfishtool: apt install redfishtool")
	}
	// It sends If-Match wherever it was given an ETag; sushy does not for BIOS settings.
	b, url := served(t, Config{Faults: []sim.Fault{FaultETagRequired}})
	host := strings.TrimPrefix(url, "https://")
	tool := func(auth string, args ...string) map[string]any {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "redfishtool", append([]string{"-r", host, "-u", b.Username(), "-p", b.Password().Reveal(), "-S", "Always", "-A", auth}, args...)...)
		cmd.Env = clean()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("redfishtool %q: %v\n%s", args, err, out)
		}
		o := map[string]any{}
		if len(out) > 0 {
			if err := json.Unmarshal(out, &o); err != nil {
				t.Fatalf("redfishtool %q says %s: %v", args, out, err)
			}
		}
		return o
	}
	if got := tool("Basic", "Systems", "-1", "get")["PowerState"]; got != "Off" {
		t.Errorf("power is %v", got)
	}
	tool("Session", "Systems", "-1", "setBootOverride", "Once", "Pxe")
	tool("Basic", "Systems", "-1", "reset", "On")
	if got := tool("Session", "Systems", "-1", "EthernetInterfaces", "-i", "NIC1")["MACAddress"]; got != "52:54:00:00:00:00" {
		t.Errorf("the first port is %v", got)
	}
	tool("Basic", "Systems", "-1", "setAssetTag", "A 17")
	if got := tool("Basic", "Chassis", "-1", "get")["AssetTag"]; got != "A 17" {
		t.Errorf("the asset tag is %v", got)
	}
	tool("Session", "AccountService", "setpassword", b.Username(), "another-one")
	if got, want := b.Booted(), (Boot{Target: "Pxe", UEFI: true}); len(got) != 1 || got[0] != want {
		t.Errorf("the machine booted %v, want %v", got, want)
	}
	if b.OpenSessions() != 0 {
		t.Errorf("%d sessions are left", b.OpenSessions())
	}
	cmd := exec.CommandContext(t.Context(), "redfishtool", "-r", host, "-u", b.Username(), "-p", b.Password().Reveal(), "-S", "Always", "Systems", "-1", "get")
	cmd.Env = clean()
	if err := cmd.Run(); err == nil {
		t.Error("the old password is still good")
	}
}
