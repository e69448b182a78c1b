package survey

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/internal/netns"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func need(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs time: run without -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	packages := map[string]string{"ip": "iproute2", "ethtool": "ethtool", "dnsmasq": "dnsmasq-base", "nft": "nftables"}
	for _, p := range append(programs, "ip", "ethtool") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: apt install %s", p, packages[p])
		}
	}
}

// pair is two namespaces joined by a wire: we look out of eth0, they answer
// on eth0.
type pair struct {
	t        *testing.T
	us, them string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	test := fnv.New32a()
	_, _ = test.Write([]byte(t.Name()))
	id := fmt.Sprintf("survey%d-%x", os.Getpid(), test.Sum32())
	p := &pair{t: t, us: id + "-u", them: id + "-t"}
	for _, ns := range []string{p.us, p.them} {
		p.run("ip", "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	}
	p.run("ip", "-n", p.us, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", p.them)
	for _, ns := range []string{p.us, p.them} {
		p.run("ip", "netns", "exec", ns, "ethtool", "-K", "eth0", "tx", "off")
		p.run("ip", "-n", ns, "link", "set", "lo", "up")
		p.run("ip", "-n", ns, "link", "set", "eth0", "up")
	}
	p.run("ip", "-n", p.us, "addr", "add", "10.20.0.1/16", "dev", "eth0")
	return p
}

func (p *pair) run(name string, args ...string) {
	p.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// inside calls f in our namespace; sockets that f opens stay there.
func (p *pair) inside(f func() error) {
	p.t.Helper()
	if err := netns.Do(p.us, f); err != nil {
		p.t.Fatal(err)
	}
}

// dnsmasq answers on their side until the test ends.
func (p *pair) dnsmasq(args ...string) {
	p.t.Helper()
	pid := filepath.Join(p.t.TempDir(), "pid")
	cmd := exec.Command("ip", append([]string{"netns", "exec", p.them, "dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--user=root",
		"--pid-file=" + pid, "--interface=eth0", "--bind-interfaces", "--leasefile-ro"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("starting dnsmasq: %v", err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		if _, err := os.Stat(pid); err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal("dnsmasq did not start")
		}
		time.Sleep(10 * time.Millisecond) // polling for its pid file
	}
}

func TestForeign(t *testing.T) {
	for _, c := range []struct {
		name    string
		dnsmasq [][]string
		want    []DHCPServer
	}{
		{"nobody", nil, nil},
		{"dnsmasq that pings for three seconds", [][]string{{"--dhcp-range=10.20.5.1,10.20.5.99,255.255.0.0,1h", "--dhcp-option=3,10.20.0.254", "--dhcp-authoritative"}},
			[]DHCPServer{{ServerID: netip.MustParseAddr("10.20.0.9"), Subnet: netip.MustParsePrefix("10.20.0.0/16"), Router: netip.MustParseAddr("10.20.0.254")}}},
		{"dnsmasq that does not ping", [][]string{{"--no-ping", "--dhcp-range=10.20.5.1,10.20.5.99,255.255.0.0,1h", "--dhcp-option=3,10.20.0.254"}},
			[]DHCPServer{{ServerID: netip.MustParseAddr("10.20.0.9"), Subnet: netip.MustParsePrefix("10.20.0.0/16"), Router: netip.MustParseAddr("10.20.0.254")}}},
		{"proxyDHCP", [][]string{{"--no-ping", "--dhcp-range=10.20.0.0,proxy", "--pxe-service=X86-64_EFI,boot,other.efi"}},
			[]DHCPServer{{ServerID: netip.MustParseAddr("10.20.0.9"), Proxy: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, "dnsmasq")
			t.Parallel()
			p := newPair(t)
			p.run("ip", "-n", p.them, "addr", "add", "10.20.0.9/16", "dev", "eth0")
			for _, args := range c.dnsmasq {
				p.dnsmasq(args...)
			}
			var found []DHCPServer
			p.inside(func() (err error) {
				found, err = Foreign(t.Context(), "eth0")
				return err
			})
			if len(found) != len(c.want) {
				t.Fatalf("found %+v, want %+v", found, c.want)
			}
			for i, w := range c.want {
				got := found[i]
				if got.ServerID != w.ServerID || got.Subnet != w.Subnet || got.Router != w.Router || got.Proxy != w.Proxy || got.MAC == (site.MAC{}) {
					t.Errorf("found %+v, want %+v", got, w)
				}
			}
		})
	}
}

func TestForeignEndsWithItsContext(t *testing.T) {
	need(t)
	p := newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.inside(func() error {
		stop := time.AfterFunc(50*time.Millisecond, cancel)
		defer stop.Stop()
		if _, err := (Search{Interface: "eth0", Window: time.Hour}).Run(ctx); ctx.Err() == nil {
			return fmt.Errorf("ended early: %w", err)
		}
		return nil
	})
}

func TestWatcherHearsWhatOthersSay(t *testing.T) {
	need(t, "dnsmasq")
	p := newPair(t)
	p.run("ip", "-n", p.them, "addr", "add", "10.20.0.9/16", "dev", "eth0")
	p.dnsmasq("--no-ping", "--dhcp-range=10.20.5.1,10.20.5.99,255.255.0.0,1h")
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan DHCPServer, 16)
	done := make(chan error, 1)
	p.inside(func() error {
		w, err := Listen("eth0")
		if err != nil {
			return err
		}
		go func() { done <- w.Run(ctx, func(d DHCPServer) { heard <- d }) }()
		_, err = Search{Interface: "eth0", Windows: 1, Window: time.Second}.Run(ctx)
		return err
	})
	select {
	case d := <-heard:
		if d.ServerID.String() != "10.20.0.9" {
			t.Errorf("heard %+v", d)
		}
	case <-time.After(30 * time.Second):
		t.Error("heard nothing")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestWatcherOutlivesAnInterfaceThatGoesDown: a cable that was pulled, a
// NetworkManager, a laptop that slept.
func TestWatcherOutlivesAnInterfaceThatGoesDown(t *testing.T) {
	need(t, "dnsmasq")
	p := newPair(t)
	p.run("ip", "-n", p.them, "addr", "add", "10.20.0.9/16", "dev", "eth0")
	p.dnsmasq("--no-ping", "--dhcp-range=10.20.5.1,10.20.5.99,255.255.0.0,1h")
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan DHCPServer, 64)
	done := make(chan error, 1)
	p.inside(func() error {
		w, err := Listen("eth0")
		if err != nil {
			return err
		}
		go func() { done <- w.Run(ctx, func(d DHCPServer) { heard <- d }) }()
		return nil
	})
	for range 2 {
		p.run("ip", "-n", p.us, "link", "set", "eth0", "down")
		p.run("ip", "-n", p.us, "link", "set", "eth0", "up")
	}
	p.inside(func() error {
		_, err := Search{Interface: "eth0", Window: time.Second}.Run(ctx)
		return err
	})
	select {
	case <-heard:
	case err := <-done:
		t.Fatalf("Run ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Error("heard nothing")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestWatcherHearsWhomClientsTake: a server that answers its client alone is
// not heard, but the client tells everybody.
func TestWatcherHearsWhomClientsTake(t *testing.T) {
	need(t)
	p := newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan DHCPServer, 16), make(chan error, 1)
	p.inside(func() error {
		w, err := Listen("eth0")
		if err == nil {
			go func() { done <- w.Run(ctx, func(d DHCPServer) { heard <- d }) }()
		}
		return err
	})
	client := site.MAC{2, 0, 0, 0, 0, 7}
	message := func(kind dhcpv4.MessageType, server string, relay net.IP) []byte {
		m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, ClientHWAddr: client[:], GatewayIPAddr: relay, Options: dhcpv4.Options{}}
		m.UpdateOption(dhcpv4.OptMessageType(kind))
		if server != "" {
			m.UpdateOption(dhcpv4.OptServerIdentifier(net.ParseIP(server)))
		}
		return discoverFrame(client, m.ToBytes())
	}
	send := func(frames ...[]byte) {
		t.Helper()
		if err := netns.Do(p.them, func() error {
			conn, err := listen("eth0", typeIPv4, nil)
			if err != nil {
				return err
			}
			defer conn.Close()
			for _, f := range frames {
				if _, err := conn.WriteTo(f, &packet.Addr{HardwareAddr: f[:6]}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	http := discoverFrame(client, make([]byte, 200))
	http[14+20+2], http[14+20+3] = 0, 80
	send(http, message(dhcpv4.MessageTypeDiscover, "", nil), message(dhcpv4.MessageTypeRequest, "", nil), // of no server
		message(dhcpv4.MessageTypeRequest, "10.20.0.7", net.IPv4(10, 99, 0, 1)), // behind a relay: another wire
		message(dhcpv4.MessageTypeRequest, "10.20.0.9", nil))
	select {
	case d := <-heard:
		if d.ServerID.String() != "10.20.0.9" || d.Client != client || d.Proxy {
			t.Errorf("heard %+v", d)
		}
	case <-time.After(30 * time.Second):
		t.Error("heard nothing")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestProber(t *testing.T) {
	need(t, "nft")
	p := newPair(t)
	p.run("ip", "-n", p.them, "addr", "add", "10.20.0.77/16", "dev", "eth0")
	// A squatter that hides from ping.
	p.run("ip", "netns", "exec", p.them, "nft", "add", "table", "ip", "hide")
	p.run("ip", "netns", "exec", p.them, "nft", "add", "chain", "ip", "hide", "in", "{ type filter hook input priority 0; }")
	p.run("ip", "netns", "exec", p.them, "nft", "add", "rule", "ip", "hide", "in", "ip", "daddr", "10.20.0.77", "drop")
	p.run("ip", "-n", p.them, "addr", "add", "10.99.0.5/24", "dev", "eth0")
	p.run("ip", "-n", p.us, "route", "add", "10.99.0.0/24", "dev", "eth0")
	var prober *Prober
	p.inside(func() (err error) {
		prober, err = OpenProber(t.Context(), "eth0")
		return err
	})
	defer prober.Close()
	for _, c := range []struct {
		name   string
		addr   string
		onLink bool
		busy   bool
		owner  bool
	}{
		{"squatter that drops pings", "10.20.0.77", true, true, true},
		{"free", "10.20.0.78", true, false, false},
		{"beyond a relay, by ICMP", "10.99.0.5", false, true, false},
		{"beyond a relay, free", "10.99.0.6", false, false, false},
		{"beyond a relay, hidden from ICMP", "10.20.0.77", false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			busy, by, err := prober.Probe(t.Context(), netip.MustParseAddr(c.addr), c.onLink)
			if err != nil || busy != c.busy || c.onLink && (by != site.MAC{}) != c.owner {
				t.Errorf("in use = %v by %s, %v", busy, by, err)
			}
		})
	}
}

func TestProbeManyFindsEverySquatterAtOnce(t *testing.T) {
	need(t)
	p := newPair(t)
	squatters := map[netip.Addr]bool{}
	for _, a := range []string{"10.20.1.0", "10.20.2.77", "10.20.4.255"} {
		p.run("ip", "-n", p.them, "addr", "add", a+"/16", "dev", "eth0")
		squatters[netip.MustParseAddr(a)] = true
	}
	p.run("ip", "-n", p.them, "addr", "add", "10.99.0.5/24", "dev", "eth0")
	p.run("ip", "-n", p.us, "route", "add", "10.99.0.0/24", "dev", "eth0")
	var prober *Prober
	p.inside(func() (err error) {
		prober, err = OpenProber(t.Context(), "eth0")
		return err
	})
	defer prober.Close()
	var all []netip.Addr
	for a := netip.MustParseAddr("10.20.1.0"); len(all) < 1024; a = a.Next() {
		all = append(all, a)
	}
	inUse, err := prober.ProbeMany(t.Context(), all, true)
	if err != nil {
		t.Fatal(err)
	}
	for a, by := range inUse {
		if !squatters[a] || by == (site.MAC{}) {
			t.Errorf("%s is said to be in use by %s", a, by)
		}
	}
	if len(inUse) != len(squatters) {
		t.Errorf("%d of %d squatters found: %v", len(inUse), len(squatters), inUse)
	}
	relayed := []netip.Addr{netip.MustParseAddr("10.99.0.4"), netip.MustParseAddr("10.99.0.5")}
	if inUse, err := prober.ProbeMany(t.Context(), relayed, false); err != nil || len(inUse) != 1 {
		t.Errorf("beyond a relay: %v, %v", inUse, err)
	}
	if len(prober.batches) != 0 {
		t.Error("a batch is still listened for")
	}
}

func TestFacts(t *testing.T) {
	need(t)
	p := newPair(t)
	p.run("ip", "-n", p.us, "route", "add", "default", "via", "10.20.0.254")
	var i, lo Interface
	p.inside(func() (err error) {
		if i, err = Facts("eth0"); err == nil {
			lo, err = Facts("lo")
		}
		return err
	})
	if !i.Up || !i.Carrier || !i.DefaultRoute || i.Wireless || len(i.Addrs) != 1 || i.Addrs[0].String() != "10.20.0.1/16" {
		t.Errorf("eth0: %+v", i)
	}
	if !lo.Loopback || lo.DefaultRoute {
		t.Errorf("lo: %+v", lo)
	}
	p.run("ip", "-n", p.them, "link", "set", "eth0", "down")
	// The kernel tells of a lost carrier when it finds the time.
	for deadline := time.Now().Add(30 * time.Second); i.Carrier; time.Sleep(20 * time.Millisecond) {
		p.inside(func() (err error) {
			i, err = Facts("eth0")
			return err
		})
		if time.Now().After(deadline) {
			t.Fatal("the other end is down, but there is a carrier")
		}
	}
}

func TestPortHolderFindsUs(t *testing.T) {
	for proto, open := range map[string]func() (net.Addr, func() error){
		"udp": func() (net.Addr, func() error) {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			return c.LocalAddr(), c.Close
		},
		"tcp": func() (net.Addr, func() error) {
			c, err := net.Listen("tcp", "[::1]:0")
			if err != nil {
				t.Skipf("needs IPv6 on loopback: %v", err)
			}
			return c.Addr(), c.Close
		},
	} {
		t.Run(proto, func(t *testing.T) {
			addr, closeIt := open()
			port := int(netip.MustParseAddrPort(addr.String()).Port())
			h, ok, err := PortHolder(proto, port)
			if err != nil || !ok || h.PID != os.Getpid() || h.Name == "" {
				t.Errorf("holder = %+v, %v, %v", h, ok, err)
			}
			closeIt()
			if h, ok, err := PortHolder(proto, port); ok || err != nil {
				t.Errorf("after closing: %+v, %v", h, err)
			}
		})
	}
}
