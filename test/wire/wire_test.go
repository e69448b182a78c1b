// Package wire_test runs the daemon on a wire with others: DHCP servers that were there first or come later, and
// people who log in from another machine.
package wire_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
	"github.com/rackseed/rackseed/pkg/survey"
)

// patience bounds a test that is going to fail.
const patience = 90 * time.Second

var (
	ours   = netip.MustParseAddr("10.20.0.1")
	theirs = netip.MustParseAddr("10.20.0.9")
)

const planText = `site: wire
access: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}
provision: {network: p, dhcp: server, pool: 10.20.250.10-10.20.250.250}
networks: {p: {subnet: 10.20.0.0/16, gateway: 10.20.0.254}}
images: {debian13: {file: demo.iso}}
roles: {base: {profile: base, image: debian13}}
nodes:
  - {name: n1, role: base, mac: "52:54:00:00:00:01", serial: S1, addresses: {p: 10.20.1.1}}
`

// binary is the daemon, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rackseed-wire-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rackseed")
	build := exec.Command("go", "build", "-o", binary, "github.com/rackseed/rackseed/cmd/rackseed")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// place is a wire with us, a host that may run another server, and a client.
type place struct {
	t                *testing.T
	lab              *lab.Lab
	us, them, client *lab.Port
	dir              string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	l := lab.New(t)
	p := &place{t: t, lab: l, us: l.AddPort("us", ours.String()+"/16"), them: l.AddPort("them", theirs.String()+"/16"), client: l.AddPort("client"), dir: t.TempDir()}
	for _, port := range []*lab.Port{p.us, p.them, p.client} {
		// The kernel speaks IPv6 for itself, which is nothing of ours.
		if out, err := port.Run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6"); err != nil {
			t.Logf("switching IPv6 off: %v: %s", err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(p.dir, "plan.yaml"), []byte(planText), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) state() string { return filepath.Join(p.dir, "state") }

func (p *place) serve(more ...string) *lab.Process {
	return p.us.Start(binary, append([]string{"serve", "--plan", filepath.Join(p.dir, "plan.yaml"), "--interface", lab.Interface, "--state", p.state(), "--operator", ""}, more...)...)
}

func (p *place) foreign() *lab.Process {
	p.t.Helper()
	server := p.them.Dnsmasq("--dhcp-range=10.20.5.1,10.20.5.99,255.255.0.0,1h", "--dhcp-option=3")
	if _, err := server.Log.Wait(within(p.t), "sockets bound"); err != nil {
		p.t.Fatal(err)
	}
	return server
}

// ask has the client ask for an address, and gives the servers that offered
// one.
func (p *place) ask() map[netip.Addr]bool {
	p.t.Helper()
	offers := map[netip.Addr]bool{}
	err := p.client.Do(func() error {
		found, err := survey.Search{Interface: lab.Interface, Windows: 1, Window: 2 * time.Second}.Run(p.t.Context())
		for _, s := range found {
			offers[s.ServerID] = true
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return offers
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func statusOf(err error) int {
	exit := (*exec.ExitError)(nil)
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// TestNothingLeavesBeforeTheCheckEnds: a daemon that finds another server has
// said nothing under its own address, to clients that asked meanwhile least
// of all, and tells what to do in its place.
func TestNothingLeavesBeforeTheCheckEnds(t *testing.T) {
	p := newPlace(t)
	p.foreign()
	record := p.lab.Capture("wire")
	daemon := p.serve()
	asked := 0
	for ended := false; !ended; asked++ {
		if offers := p.ask(); offers[ours] || !offers[theirs] {
			t.Errorf("a client that asked during the check got offers of %v", offers)
		}
		select {
		case <-daemon.Done():
			ended = true
		default:
		}
		if asked > 30 {
			t.Fatal("the check does not end")
		}
	}
	if asked < 2 {
		t.Errorf("the check was over after %d questions: it is to outlast a server that pings for three seconds", asked)
	}
	if got := statusOf(daemon.Wait(within(t))); got != 4 {
		t.Errorf("it ended with status %d", got)
	}
	for _, f := range record.From(t, p.us.MAC) {
		if f.EtherType() != 0x0806 { // the kernel's own ARP
			t.Errorf("left: % x", f.Data[:min(len(f.Data), 64)])
		}
	}
	// The capture is of the wire: the other server's offers to those who asked
	// are on it, and nothing else has our address either.
	if said, _ := words(t, record.Frames(t, nil), p.them.MAC); len(said) < asked {
		t.Errorf("the capture has %d words of the other server for %d questions", len(said), asked)
	}
	for _, f := range record.Frames(t, func(f lab.Frame) bool { return f.EtherType() == 0x0800 }) {
		if source := netip.AddrFrom4([4]byte(f.Data[26:30])); source == ours {
			t.Errorf("left from %s, under the address %s: % x", f.Src(), ours, f.Data[:min(len(f.Data), 64)])
		}
	}
	text := daemon.Log.String()
	for _, part := range []string{
		theirs.String(), "--interface " + lab.Interface + " --state " + p.state() + " --dhcp proxy", "--plan " + filepath.Join(p.dir, "plan.yaml"), "--i-own-this-lan 10.20.0.0/16",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// TestWordsThatNameTheLAN: the operator's word counts for the network that it
// names, and for no other.
func TestWordsThatNameTheLAN(t *testing.T) {
	p := newPlace(t)
	p.foreign()
	wrong := p.serve("--i-own-this-lan", "10.0.0.0/8")
	if got := statusOf(wrong.Wait(within(t))); got != 2 || !strings.Contains(wrong.Log.String(), "10.20.0.0/16") {
		t.Errorf("with another network it ended with status %d:\n%s", got, wrong.Log)
	}
	right := p.serve("--i-own-this-lan", "10.20.0.0/16")
	if _, err := right.Log.Wait(within(t), "DHCP answers now"); err != nil {
		t.Fatal(err)
	}
	if offers := p.ask(); !offers[ours] || !offers[theirs] {
		t.Errorf("offers of %v", offers)
	}
}

// TestAnotherServerLater: nothing new is given from the moment that another
// server speaks, until it is gone.
func TestAnotherServerLater(t *testing.T) {
	p := newPlace(t)
	daemon := p.serve()
	if _, err := daemon.Log.Wait(within(t), "DHCP answers now"); err != nil {
		t.Fatal(err)
	}
	if offers := p.ask(); !offers[ours] {
		t.Fatalf("on a wire of its own it offers nothing: %v", offers)
	}
	other := p.foreign()
	for heard := false; !heard; heard = strings.Contains(daemon.Log.String(), "another DHCP server, "+theirs.String()) {
		if offers := p.ask(); offers[theirs] { // to which both may answer: the other had not spoken before
			_, err := daemon.Log.Wait(within(t), "another DHCP server, "+regexp.QuoteMeta(theirs.String()))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if offers := p.ask(); offers[ours] || !offers[theirs] {
		t.Errorf("after another server spoke: offers of %v", offers)
	}
	if out, err := p.cli("dhcp", "status"); err != nil || !strings.Contains(out, "nothing new is given") {
		t.Errorf("status: %v: %s", err, out)
	}
	if out, err := p.cli("dhcp", "resume"); statusOf(err) != 4 || !strings.Contains(out, "still answers") {
		t.Errorf("resuming beside it: %v: %s", err, out)
	}
	other.Stop(t)
	if out, err := p.cli("dhcp", "resume"); err != nil {
		t.Errorf("resuming: %v: %s", err, out)
	}
	if offers := p.ask(); !offers[ours] {
		t.Errorf("after it was gone: offers of %v", offers)
	}
}

func (p *place) cli(args ...string) (string, error) {
	return p.us.Run(binary, append(args, "--state", p.state())...)
}

// TestLoginFromAnotherMachine: TLS, the one-time link, a password, and what
// others may not.
func TestLoginFromAnotherMachine(t *testing.T) {
	p := newPlace(t)
	at := ours.String() + ":8443"
	daemon := p.serve("--dhcp", "off", "--operator", at)
	found, err := daemon.Log.Wait(within(t), `page="?https://10\.20\.0\.1:8443/login\?once=([A-Z0-9]+)`)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.client.Run("ip", "addr", "add", "10.20.0.7/16", "dev", lab.Interface); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	jar, _ := cookiejar.New(nil)
	web := &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.client.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the fingerprint is compared by people
	}}
	defer web.CloseIdleConnections()
	get := func(path, host string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		what, path, host string
		want             int
	}{
		{"without a login", "/api/v1/status", "", http.StatusUnauthorized},
		{"profiles", "/debug/pprof/", "", http.StatusUnauthorized},
		{"by a rebound name", "/login", "evil.test:8443", http.StatusMisdirectedRequest},
	} {
		if got := get(c.path, c.host); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	resp, err := web.PostForm("https://"+at+"/login", url.Values{"once": {found[1]}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := get("/api/v1/status", ""); got != http.StatusOK {
		t.Errorf("with the link: %d", got)
	}
	if got := get("/debug/pprof/", ""); got != http.StatusForbidden {
		t.Errorf("profiles for who is logged in: %d", got)
	}
	if out, err := p.us.Run("sh", "-c", "echo 'correct horse battery' | "+binary+" operator add wall --role viewer --password-file - --state "+p.state()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	web.Jar, _ = cookiejar.New(nil)
	if resp, err = web.PostForm("https://"+at+"/login", url.Values{"name": {"wall"}, "password": {"correct horse battery"}}); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := get("/api/v1/plan", ""); got != http.StatusForbidden {
		t.Errorf("the plan as written, for a viewer: %d", got)
	}
	if strings.Contains(daemon.Log.String(), "correct horse") {
		t.Error("a password is in the log")
	}
}
