// Package daemon runs the daemon as a process of its own and treats it badly:
// it is killed in the middle of everything, its disk fails, its ports are
// taken. Everything happens on loopback, in a network that no other test has,
// and needs no privileges except where a test says so.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// patience is how long anything may take that should take no time. It bounds
// a test that is going to fail, and is no part of any other.
const patience = 30 * time.Second

// binary is the daemon, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if binary = os.Getenv("DAEMON_TEST_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rackseed-daemon-")
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

// The ports of every daemon: each has a loopback network of its own.
const (
	dhcpPort = "6767"
	tftpPort = "6969"
	httpPort = "8080"
)

// place is a state directory, a plan and a network for one test's daemons.
type place struct {
	t       *testing.T
	state   string
	plan    string
	network string // the first two octets of a /16 inside 127.0.0.0/8
}

var places atomic.Int32

func newPlace(t *testing.T) *place {
	t.Helper()
	// 100 process ids times 2 places keep clear of 127.0 and of the demo's 127.20.
	n := 50 + (os.Getpid()%100)*2 + int(places.Add(1))%2
	p := &place{t: t, state: t.TempDir(), network: fmt.Sprintf("127.%d", n)}
	p.plan = filepath.Join(t.TempDir(), "plan.yaml")
	text := strings.ReplaceAll(planText, "NET", p.network)
	if err := os.WriteFile(p.plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

const planText = `site: test
access: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}
provision: {network: p, dhcp: server, pool: NET.10.1-NET.250.250}
networks: {p: {subnet: NET.0.0/16, gateway: NET.0.1, dns: [NET.0.1], ntp: [NET.0.1]}}
images: {debian13: {file: demo.iso}}
roles: {base: {profile: base, image: debian13}}
nodes:
  - {name: n1, role: base, mac: "52:54:00:00:00:00", serial: RS24DEMO00001, addresses: {p: NET.1.1}}
  - {name: n2, role: base, mac: "52:54:00:00:00:01", serial: RS24DEMO00002, addresses: {p: NET.1.2}}
  - {name: n3, role: base, mac: "52:54:00:00:00:02", serial: RS24DEMO00003, addresses: {p: NET.1.3}}
`

func (p *place) addr(tail string) netip.Addr { return netip.MustParseAddr(p.network + tail) }

func (p *place) server(port string) string { return net.JoinHostPort(p.network+".0.1", port) }

func (p *place) args(more ...string) []string {
	return append([]string{
		"serve", "--state", p.state, "--plan", p.plan, "--interface", "lo", "--operator", "",
		"--dhcp-port", dhcpPort, "--boot-port", "6768", "--tftp-port", tftpPort, "--http-port", httpPort,
	}, more...)
}

// cli runs a command on the place's state and gives what it said and its exit
// status.
func (p *place) cli(args ...string) (string, int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, append([]string{"--state", p.state}, args...)...).CombinedOutput()
	return string(out), statusOf(p.t, err)
}

func (p *place) must(args ...string) string {
	p.t.Helper()
	out, status := p.cli(args...)
	if status != 0 {
		p.t.Fatalf("rackseed %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// medium puts the small installation medium into the library.
func (p *place) medium() {
	p.t.Helper()
	iso := filepath.Join(p.t.TempDir(), "demo.iso")
	if err := sim.WriteMedium(iso); err != nil {
		p.t.Fatal(err)
	}
	p.must("image", "add", iso, "--name", "debian13")
}

func statusOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		t.Fatal(err)
		return -1
	}
}

// process is a program that runs until it ends or the test does.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read after done

	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p)
		}
	})
	return p
}

// serve starts a daemon and waits until it answers.
func (p *place) serve(more ...string) *process {
	p.t.Helper()
	d := start(p.t, binary, p.args(more...)...)
	d.wait("DHCP answers now")
	return d
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
	return p.text.Write(b)
}

func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// wait returns once the program has said something.
func (p *process) wait(what string) {
	p.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		p.mu.Lock()
		found, more := bytes.Contains(p.text.Bytes(), []byte(what)), p.changed
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if !strings.Contains(p.String(), what) {
				p.t.Fatalf("it ended (%v) and never said %q:\n%s", p.err, what, p)
			}
			return
		case <-limit.C:
			p.t.Fatalf("it does not say %q:\n%s", what, p)
		}
	}
}

// kill is the power switch.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// end waits until the program has ended and gives its exit status.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.done:
		return statusOf(p.t, p.err)
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p)
		return -1
	}
}

// stop asks the program to end and expects it to end well.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if status := p.end(); status != 0 {
		p.t.Errorf("after SIGTERM its exit status is %d:\n%s", status, p)
	}
}

// relay carries the DHCP of a place's clients until the test ends.
func (p *place) relay() *sim.Relay {
	p.t.Helper()
	r, err := sim.NewRelay(p.addr(".0.2"), netip.MustParseAddrPort(p.server(dhcpPort)))
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	p.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	return r
}

// exchange sends a message until it is answered, as clients do: a server may
// have its reasons not to answer the first.
func exchange(ctx context.Context, r *sim.Relay, p *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	for wait := 250 * time.Millisecond; ; wait *= 2 {
		try, cancel := context.WithTimeout(ctx, wait)
		reply, err := r.Exchange(try, p)
		cancel()
		if err == nil || ctx.Err() != nil {
			return reply, err
		}
	}
}

// lease gets an address from the pool, as a client that starts does.
func lease(ctx context.Context, r *sim.Relay, mac site.MAC) (netip.Addr, error) {
	discover, err := dhcpv4.NewDiscovery(mac[:])
	if err != nil {
		return netip.Addr{}, err
	}
	offer, err := exchange(ctx, r, discover)
	if err != nil {
		return netip.Addr{}, err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer)
	if err != nil {
		return netip.Addr{}, err
	}
	return acknowledged(exchange(ctx, r, request))
}

// reboot asks for an address that the client had before (RFC 2131 section
// 4.3.2, INIT-REBOOT).
func reboot(ctx context.Context, r *sim.Relay, mac site.MAC, had netip.Addr) (netip.Addr, error) {
	request, err := dhcpv4.New(dhcpv4.WithHwAddr(mac[:]), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(had.AsSlice())))
	if err != nil {
		return netip.Addr{}, err
	}
	return acknowledged(exchange(ctx, r, request))
}

func acknowledged(reply *dhcpv4.DHCPv4, err error) (netip.Addr, error) {
	if err != nil {
		return netip.Addr{}, err
	}
	if reply.MessageType() != dhcpv4.MessageTypeAck {
		return netip.Addr{}, fmt.Errorf("the server answered %s", reply.MessageType())
	}
	addr, _ := netip.AddrFromSlice(reply.YourIPAddr.To4())
	return addr, nil
}

func macOf(i int) site.MAC { return site.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)} }

// promises are the leases that clients hold an ACK for.
type promises struct {
	mu   sync.Mutex
	held map[site.MAC]netip.Addr
}

func (p *promises) add(mac site.MAC, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[site.MAC]netip.Addr{}
	}
	p.held[mac] = addr
}

func (p *promises) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// check holds the daemon's log to the promises.
func (p *promises) check(t *testing.T, at *place) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	have, holder := map[site.MAC]netip.Addr{}, map[netip.Addr]site.MAC{}
	for e, err := range at.client().Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if granted, ok := e.Body.(site.LeaseGranted); ok {
			l := granted.Lease
			if other, taken := holder[l.Addr]; taken && other != l.MAC {
				t.Errorf("%s was given to %s and to %s", l.Addr, other, l.MAC)
			}
			have[l.MAC], holder[l.Addr] = l.Addr, l.MAC
		}
	}
	for mac, addr := range p.held {
		if have[mac] != addr {
			t.Errorf("%s was acknowledged %s, and the log says %v", mac, addr, have[mac])
		}
	}
}

func (p *place) client() *client.Client { return client.Unix(filepath.Join(p.state, "rackseed.sock")) }

func (p *place) node(name string) view.Node {
	p.t.Helper()
	n, err := p.client().Node(p.t.Context(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}
