package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refused starts a daemon that must not start, and gives what it said.
func (p *place) refused(status int, args ...string) string {
	p.t.Helper()
	d := start(p.t, binary, args...)
	if got := d.end(); got != status {
		p.t.Errorf("the exit status is %d, not %d:\n%s", got, status, d)
	}
	if said := d.String(); strings.Contains(said, "DHCP answers now") {
		p.t.Errorf("it answered:\n%s", said)
	}
	return d.String()
}

func says(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("it does not say %q:\n%s", w, text)
		}
	}
}

// TestTwoOnOneState: the second daemon, and any command that would write
// beside the first, is told who has the log.
func TestTwoOnOneState(t *testing.T) {
	p := newPlace(t)
	d := p.serve()
	says(t, p.refused(1, p.args()...), filepath.Join(p.state, "rackseed.db"), fmt.Sprintf("in use by rackseed (process %d)", d.cmd.Process.Pid), "--state")
	p.must("node", "list") // and the first still answers
	// A socket that was left over is no daemon.
	d.kill()
	if _, err := os.Stat(filepath.Join(p.state, "rackseed.sock")); err != nil {
		t.Fatal(err)
	}
	p.must("node", "list")
	p.serve()
}

// TestBusyPorts: the error names the port, who has it and the way out.
func TestBusyPorts(t *testing.T) {
	me := fmt.Sprintf("process %d", os.Getpid())
	for _, c := range []struct{ name, network, port string }{
		{"DHCP", "udp4", dhcpPort}, {"TFTP", "udp4", tftpPort}, {"HTTP", "tcp4", httpPort},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			occupy(t, c.network, p.server(c.port))
			says(t, p.refused(1, p.args()...), "port "+c.port, "daemon.test", me)
		})
	}
	t.Run("operator", func(t *testing.T) {
		p := newPlace(t)
		at := p.server("8090")
		occupy(t, "tcp4", at)
		says(t, p.refused(1, p.args("--operator", at)...), "8090", "--operator", "daemon.test", me)
	})
}

func occupy(t *testing.T, network, address string) {
	t.Helper()
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// TestBadPlanServesNothing: not even the plan that was in force before.
func TestBadPlanServesNothing(t *testing.T) {
	p := newPlace(t)
	p.must("plan", "apply", p.plan)
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("site: test\nnodez: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.plan = bad
	says(t, p.refused(2, p.args()...), "nothing is served", "bad.yaml:2:1", "nodez")
}

// TestForeignState: a state directory that holds something else is left as
// it is.
func TestForeignState(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(p.state, "rackseed.db")
	if err := os.WriteFile(file, []byte("somebody's notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, p.refused(1, p.args()...), file, "--state")
	if data, err := os.ReadFile(file); err != nil || string(data) != "somebody's notes" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}
