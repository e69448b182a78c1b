package dhcp

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mdpacket "github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/internal/netns"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store/mem"
)

// need skips a test by the name of what it misses.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs time: run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	packages := map[string]string{
		"ip": "iproute2", "ethtool": "ethtool", "dhclient": "isc-dhcp-client", "udhcpc": "udhcpc", "dhcpcd": "dhcpcd5",
		"dhcrelay": "isc-dhcp-relay", "perfdhcp": "kea-admin", "nft": "nftables",
	}
	for _, p := range append(programs, "ip", "ethtool") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: apt install %s", p, packages[p])
		}
	}
}

// space is a network namespace that the test made.
type space struct {
	t    *testing.T
	name string
}

func newSpace(t *testing.T, name string) *space {
	t.Helper()
	test := fnv.New32a()
	_, _ = test.Write([]byte(t.Name()))
	s := &space{t: t, name: fmt.Sprintf("dhcp%d-%x-%s", os.Getpid(), test.Sum32(), name)}
	run(t, "ip", "netns", "add", s.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", s.name).Run() })
	s.ip("link", "set", "lo", "up")
	return s
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

func (s *space) ip(args ...string) {
	s.t.Helper()
	run(s.t, "ip", append([]string{"-n", s.name}, args...)...)
}

func (s *space) exec(args ...string) {
	s.t.Helper()
	run(s.t, "ip", append([]string{"netns", "exec", s.name}, args...)...)
}

// command prepares a program inside the namespace.
func (s *space) command(args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs a program until the test ends.
func (s *space) start(args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := s.command(args...)
	out := &lockedBuilder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("starting %s: %v", args[0], err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", args[0], out)
		}
	})
	return cmd
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// do calls f inside the namespace; sockets that f opens stay there.
func (s *space) do(f func() error) error { return netns.Do(s.name, f) }

// wireTo joins two namespaces, with checksums done in software: clients on
// packet sockets drop what a veth leaves for hardware to fill in.
func (s *space) wireTo(mine string, other *space, theirs string, mac site.MAC) {
	s.t.Helper()
	s.ip("link", "add", mine, "type", "veth", "peer", "name", theirs, "netns", other.name)
	if mac != (site.MAC{}) {
		other.ip("link", "set", theirs, "address", mac.String())
	}
	s.exec("ethtool", "-K", mine, "tx", "off")
	other.exec("ethtool", "-K", theirs, "tx", "off")
	s.ip("link", "set", mine, "up")
	other.ip("link", "set", theirs, "up")
}

// segment is one wire with the server on it as br0.
type segment struct {
	server *space
	ports  int
}

func newSegment(t *testing.T) *segment {
	t.Helper()
	g := &segment{server: newSpace(t, "s")}
	g.server.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
	g.server.exec("ethtool", "-K", "br0", "tx", "off")
	g.server.ip("link", "set", "br0", "up")
	g.server.ip("addr", "add", "10.20.0.1/16", "dev", "br0")
	return g
}

// machine adds a namespace with one NIC, eth0, on the segment.
func (g *segment) machine(name string, mac site.MAC) *space {
	g.server.t.Helper()
	m := newSpace(g.server.t, name)
	port := fmt.Sprintf("p%d", g.ports)
	g.ports++
	g.server.wireTo(port, m, "eth0", mac)
	g.server.ip("link", "set", port, "master", "br0")
	return m
}

// daemon is a server inside a namespace.
type daemon struct {
	t      *testing.T
	ledger *ledger.Ledger
	server *Server

	mu   sync.Mutex
	more chan struct{}
	log  []note
}

// note is one observation, kept.
type note struct {
	kind      MessageType
	mac       site.MAC
	ciaddr    netip.Addr
	to        netip.Addr
	reply     MessageType
	via       Via
	why       string
	requested netip.Addr
}

func startDaemon(t *testing.T, s *space, iface string, bodies ...site.Body) *daemon {
	t.Helper()
	d := &daemon{t: t, more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if d.ledger, err = ledger.Open(ctx, mem.New(), ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = d.ledger.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	if _, err := d.ledger.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil }); err != nil {
		t.Fatal(err)
	}
	d.server = &Server{Ledger: d.ledger, Links: []Link{{Interface: iface}}, Observe: d.observe}
	if err := s.do(func() error { return d.server.Listen(ctx) }); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = d.server.Serve(ctx) })
	return d
}

func (d *daemon) observe(o Observation) {
	if o.Request == nil {
		return
	}
	n := note{kind: o.Request.Type, mac: o.Request.MAC, ciaddr: o.Request.CIAddr, to: o.Request.To, why: o.Answer.Why, via: o.Answer.Via, requested: o.Request.Requested}
	if o.Answer.Reply != nil {
		n.reply = o.Answer.Reply.Type
	}
	d.mu.Lock()
	d.log = append(d.log, n)
	d.mu.Unlock()
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// await waits for an observation after the first `from`, and returns how many
// there were up to and with it.
func (d *daemon) await(from int, what string, is func(note) bool) int {
	d.t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		d.mu.Lock()
		for i := from; i < len(d.log); i++ {
			if is(d.log[i]) {
				d.mu.Unlock()
				return i + 1
			}
		}
		log := fmt.Sprintf("%+v", d.log)
		d.mu.Unlock()
		select {
		case <-d.more:
		case <-timeout:
			d.t.Fatalf("no %s within two minutes; seen: %s", what, log)
		}
	}
}

// shortLeases make clients renew while a test can wait for it.
func shortLeases(s *site.Settings) { s.Provision.LeaseTime = 20 * time.Second }

func segmentWorld(edits ...func(*site.Settings)) []site.Body {
	return []site.Body{
		site.PlanApplied{Settings: settings(func(s *site.Settings) {
			for _, e := range edits {
				e(s)
			}
		}), Digest: "d"},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{mac1}, Addresses: map[string]netip.Addr{"provision": node1}}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "base", MACs: []site.MAC{mac2}, Addresses: map[string]netip.Addr{"provision": netip.MustParseAddr("10.20.1.2")}}},
	}
}

// configure is the script that dhclient and udhcpc call: it sets the address
// and touches nothing of this machine.
const configure = `#!/bin/sh
# dhclient sets $new_ip_address and $reason, udhcpc $ip and passes the reason.
case "${reason:-$1}" in
BOUND|REBOOT|RENEW|REBIND|bound|renew) ip addr replace "${new_ip_address:-$ip}/16" dev eth0 ;;
EXPIRE|RELEASE|STOP|deconfig) ip addr flush dev eth0 ;;
esac
ip link set eth0 up
`

// brisk has dhclient retransmit fast enough to rebind before its lease ends.
const brisk = `initial-interval 1;
backoff-cutoff 2;
supersede dhcp-lease-time 60;
supersede dhcp-renewal-time 4;
supersede dhcp-rebinding-time 8;
`

func TestRealClients(t *testing.T) {
	for _, c := range []struct {
		name    string
		start   func(script, dir string) []string
		release func(*testing.T, *space, *exec.Cmd, string)
	}{
		{"dhclient", func(script, dir string) []string {
			return []string{"dhclient", "-4", "-d", "-cf", dir + "/conf", "-sf", script, "-lf", dir + "/leases", "-pf", dir + "/pid", "eth0"}
		}, func(t *testing.T, m *space, _ *exec.Cmd, dir string) {
			m.exec("dhclient", "-4", "-r", "-cf", "/dev/null", "-sf", dir+"/script", "-lf", dir+"/leases", "-pf", dir+"/pid", "eth0")
		}},
		{"udhcpc", func(script, dir string) []string {
			return []string{"udhcpc", "-f", "-R", "-i", "eth0", "-s", script, "-p", dir + "/pid"}
		}, func(t *testing.T, _ *space, cmd *exec.Cmd, _ string) {
			if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
		}},
		{"dhcpcd", func(_, dir string) []string {
			return []string{"dhcpcd", "-B", "-4", "-A", "-f", "/dev/null", "-c", "/bin/true", "--nohook", "resolv.conf", "eth0"}
		}, func(t *testing.T, m *space, _ *exec.Cmd, _ string) {
			m.exec("dhcpcd", "-4", "-k", "-f", "/dev/null", "-c", "/bin/true", "eth0")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, c.name, "nft")
			t.Parallel()
			g := newSegment(t)
			d := startDaemon(t, g.server, "br0", segmentWorld(shortLeases)...)
			m := g.machine("c", mac1)
			dir := t.TempDir()
			script := filepath.Join(dir, "script")
			for file, text := range map[string]string{"script": configure, "conf": brisk} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := m.start(c.start(script, dir)...)
			n := d.await(0, "lease", func(n note) bool { return n.reply == TypeACK })
			n = d.await(n, "renewal", func(n note) bool {
				return n.kind == TypeRequest && n.ciaddr == node1 && n.to == server1 && n.reply == TypeACK
			})
			// A server that no longer hears unicast: the client must rebind.
			g.server.exec("nft", "add", "table", "ip", "deaf")
			g.server.exec("nft", "add", "chain", "ip", "deaf", "in", "{ type filter hook input priority 0; }")
			g.server.exec("nft", "add", "rule", "ip", "deaf", "in", "ip", "daddr", "10.20.0.1", "udp", "dport", "67", "drop")
			n = d.await(n, "rebinding", func(n note) bool {
				return n.kind == TypeRequest && n.ciaddr == node1 && n.to != server1 && n.reply == TypeACK
			})
			g.server.exec("nft", "delete", "table", "ip", "deaf")
			c.release(t, m, cmd, dir)
			d.await(n, "release", func(n note) bool { return n.kind == TypeRelease && n.why != "" })
			if got := d.server.Counts(); got.Failed != 0 || got.Malformed != 0 {
				t.Errorf("counts = %+v", got)
			}
		})
	}
}

func TestUDHCPCGetsARawReply(t *testing.T) {
	need(t, "udhcpc")
	g := newSegment(t)
	d := startDaemon(t, g.server, "br0", segmentWorld()...)
	m := g.machine("c", mac1)
	m.exec("udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", "/bin/true", "-t", "5", "-T", "2")
	d.await(0, "raw OFFER", func(n note) bool { return n.reply == TypeOffer && n.via == ViaRaw })
}

func TestStrangerGetsNotOnePacket(t *testing.T) {
	need(t, "udhcpc")
	g := newSegment(t)
	d := startDaemon(t, g.server, "br0", segmentWorld()...)
	stranger, planned := g.machine("x", alien), g.machine("c", mac1)
	var tap *mdpacket.Conn
	var bridge net.HardwareAddr
	if err := g.server.do(func() error {
		ifi, err := net.InterfaceByName("br0")
		if err == nil {
			bridge = ifi.HardwareAddr
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := stranger.do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			tap, err = mdpacket.Listen(ifi, mdpacket.Raw, unix.ETH_P_ALL, nil)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if err := stranger.command("udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", "/bin/true", "-t", "3", "-T", "1").Run(); err == nil {
		t.Error("the stranger got a lease")
	}
	d.await(0, "packet of the stranger", func(n note) bool { return n.mac == alien })
	// The broadcast reply to a planned machine marks the end of the capture.
	planned.exec("udhcpc", "-f", "-q", "-n", "-B", "-i", "eth0", "-s", "/bin/true", "-t", "5", "-T", "2")
	_ = tap.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 2048)
	for {
		n, _, err := tap.ReadFrom(buf)
		if err != nil {
			t.Fatalf("the mark never came: %v", err)
		}
		frame := buf[:n]
		if n < 14 || net.HardwareAddr(frame[6:12]).String() != bridge.String() {
			continue
		}
		if strings.Contains(string(frame), string(mac1[:])) {
			return
		}
		if strings.Contains(string(frame), string(alien[:])) {
			t.Fatalf("the server sent a frame about the stranger:\n% x", frame)
		}
	}
}

func TestRealRelay(t *testing.T) {
	need(t, "dhcrelay", "udhcpc")
	server, relay, client := newSpace(t, "s"), newSpace(t, "r"), newSpace(t, "c")
	server.wireTo("up0", relay, "up0", site.MAC{})
	server.ip("addr", "add", "10.30.0.1/24", "dev", "up0")
	server.ip("route", "add", "10.20.0.0/16", "via", "10.30.0.2")
	relay.ip("addr", "add", "10.30.0.2/24", "dev", "up0")
	relay.wireTo("down0", client, "eth0", mac1)
	relay.ip("addr", "add", "10.20.0.254/16", "dev", "down0")
	d := startDaemon(t, server, "up0", segmentWorld()...)
	relay.start("dhcrelay", "-4", "-d", "-a", "-pf", filepath.Join(t.TempDir(), "pid"), "-id", "down0", "-iu", "up0", "10.30.0.1")
	out, err := client.command("udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", "/bin/true", "-t", "10", "-T", "1").CombinedOutput()
	if err != nil {
		t.Fatalf("udhcpc: %v: %s", err, out)
	}
	d.await(0, "relayed ACK", func(n note) bool { return n.reply == TypeACK && n.via == ViaRelay })
}

// TestPerfdhcpIsAnsweredInFull counts on both sides: perfdhcp loses replies in
// its own socket when the test machine is busy, and calls them drops too.
func TestPerfdhcpIsAnsweredInFull(t *testing.T) {
	need(t, "perfdhcp")
	g := newSegment(t)
	d := startDaemon(t, g.server, "br0", segmentWorld(func(s *site.Settings) {
		s.Provision.Pool = site.Range{First: netip.MustParseAddr("10.20.64.0"), Last: netip.MustParseAddr("10.20.250.0")}
	})...)
	m := g.machine("c", mac2)
	m.ip("addr", "add", "10.20.0.200/16", "dev", "eth0")
	// It ends with 3 when it saw drops.
	out, _ := m.command("perfdhcp", "-4", "-r", "1000", "-n", "3000", "-R", "2000", "-W", "2000000", "-l", "eth0", "10.20.0.1").CombinedOutput()
	count := func(what string) (total int) {
		found := regexp.MustCompile(`(?m)^`+what+` packets: (\d+)`).FindAllSubmatch(out, -1)
		if len(found) != 2 {
			t.Fatalf("perfdhcp did not tell what it %s:\n%s", what, out)
		}
		for _, f := range found {
			n, _ := strconv.Atoi(string(f[1]))
			total += n
		}
		return total
	}
	got := d.server.Counts()
	if sent := count("sent"); got.Received != uint64(sent) || got.Replied != got.Received || got.KernelDrops != 0 {
		t.Errorf("perfdhcp sent %d, the server counts %+v", sent, got)
	}
	if count("received") < 4000 {
		t.Errorf("perfdhcp was not answered:\n%s", out)
	}
}

// TestBMCsOnTheirNetwork: a real client that calls itself an iDRAC has an
// address of the pool for BMCs, and one that calls itself a laptop has none.
func TestBMCsOnTheirNetwork(t *testing.T) {
	need(t, "udhcpc")
	g := newSegment(t)
	d := startDaemon(t, g.server, "br0", segmentWorld(func(s *site.Settings) {
		s.Networks["ipmi"] = site.Network{
			Subnet:  s.Networks["provision"].Subnet,
			BMCPool: site.Range{First: netip.MustParseAddr("10.20.255.10"), Last: netip.MustParseAddr("10.20.255.13")},
		}
		s.Networks["provision"] = site.Network{Subnet: netip.MustParsePrefix("10.99.0.0/16")}
	})...)
	ask := func(m *space, class, host string) error {
		return m.command("udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", "/bin/true", "-t", "4", "-T", "1", "-V", class, "-x", "hostname:"+host).Run()
	}
	if err := ask(g.machine("x", macB), "MSFT 5.0", "laptop"); err == nil {
		t.Error("a laptop got an address")
	}
	if err := ask(g.machine("c", alien), "iDRAC", "idrac-8J4XK63"); err != nil {
		t.Errorf("the BMC got none: %v", err)
	}
	d.await(0, "ACK", func(n note) bool { return n.reply == TypeACK })
}
