package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/syslog"
	"github.com/rackseed/rackseed/pkg/tftp"
)

const flightPlan = `site: test
access: {root: locked}
provision: {network: provision, dhcp: server}
networks:
  provision: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}
images:
  debian13: {file: debian.iso}
roles:
  base: {profile: base, image: debian13}
nodes:
  - {name: n1, role: base, mac: "52:54:00:00:00:01", addresses: {provision: 10.20.1.1}}
`

// watched is an observer of a site with one node, and its recorder.
type watched struct {
	*observer
	core *core
	t    testing.TB
	dir  string
	stop func()
}

func watch(t testing.TB, mode site.DHCPMode) *watched {
	t.Helper()
	w := &watched{t: t, dir: t.TempDir(), stop: func() {}}
	w.start(mode)
	t.Cleanup(func() { w.stop() })
	plan := filepath.Join(w.dir, "plan.yaml")
	if err := os.WriteFile(plan, []byte(flightPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{core: w.core, opts: serveOptions{plan: plan}, log: slog.New(slog.DiscardHandler)}
	if err := d.applyPlan(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.core.ledger.Do(t.Context(), func(*site.State, time.Time) ([]site.Body, error) {
		return []site.Body{site.ImageAdded{Image: site.Image{Name: "debian13", Digest: "d1", Family: "debian", Kernel: "install/linux", Initrd: "install/initrd.gz"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// start opens the state directory and runs its writers until stop.
func (w *watched) start(mode site.DHCPMode) {
	w.t.Helper()
	c, err := openCore(w.t.Context(), filepath.Join(w.dir, "state"), slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.write(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
	w.core, w.observer = c, newObserver(c, mode)
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, c.close()); err != nil {
			w.t.Error(err)
		}
	})
}

// says compares the newest entries of a machine.
func (w *watched) says(who string, want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.core.flight.Timeline(who, time.Time{}) {
		if e.Source == flight.Log {
			continue
		}
		words := []string{string(e.Source), e.What}
		for _, text := range []string{string(e.Client), e.Name} {
			if text != "" {
				words = append(words, text)
			}
		}
		got = append(got, strings.Join(words, " ")+": "+e.Detail)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the timeline of %s is\n%s\nwant\n%s", who, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// asked is a message as it comes from the wire, and the answer to it.
func (w *watched) asked(mac string, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) {
	w.t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		w.t.Fatal(err)
	}
	mods = append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind)}, mods...)
	m, err := dhcpv4.New(mods...)
	if err != nil {
		w.t.Fatal(err)
	}
	raw := m.ToBytes()
	var q dhcp.Request
	if err := q.Parse(raw); err != nil {
		w.t.Fatal(err)
	}
	q.From, q.To = netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddr("255.255.255.255")
	cfg := dhcp.Config{ServerID: netip.MustParseAddr("10.20.0.1"), HTTP: "http://10.20.0.1", Mode: w.mode, Book: dhcp.NewBook()}
	a := dhcp.Decide(w.state(), cfg, &q, w.now())
	o := dhcp.Observation{At: w.now(), Request: &q, Answer: &a, Raw: raw, From: q.From, Local: netip.MustParseAddrPort("10.20.0.1:67")}
	if a.Reply != nil {
		o.Sent = a.Reply.Append(nil)
	}
	w.dhcp(o)
}

func pxe(d *dhcpv4.DHCPv4) {
	d.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007"))
	d.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionClientSystemArchitectureType, Value: dhcpv4.OptionGeneric{Data: []byte{0, 7}}})
}

func TestWhatDHCPSaysIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPServer)
	w.asked("52:54:00:00:00:01", dhcpv4.MessageTypeDiscover, pxe)
	w.asked("52:54:00:00:00:01", dhcpv4.MessageTypeRequest, pxe, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 20, 0, 9))), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 20, 1, 77))))
	w.says("n1",
		"dhcp discover uefi: PXE of UEFI x64",
		"dhcp offer uefi snponly.efi: reserved by the plan; planned, but not armed",
		"dhcp request-elsewhere uefi: PXE of UEFI x64; no answer: it took the offer of another server")
	// A stranger that wants a boot file is of interest, a laptop is not.
	w.asked("52:54:00:00:00:09", dhcpv4.MessageTypeDiscover, pxe)
	w.asked("52:54:00:00:00:0a", dhcpv4.MessageTypeDiscover)
	w.says("52:54:00:00:00:09", "dhcp discover uefi: PXE of UEFI x64; no answer: the plan does not name this machine, and has no pool")
	w.says("52:54:00:00:00:0a")
	// The address that it took elsewhere is its own.
	if who := w.whose(netip.MustParseAddr("10.20.1.77")); who.node != "n1" {
		t.Errorf("10.20.1.77 belongs to %+v", who)
	}
	var file bytes.Buffer
	if _, err := w.core.flight.Pcap(t.Context(), &file, "n1", time.Time{}, time.Time{}); err != nil || file.Len() < 24+3*(16+42+240) {
		t.Errorf("%d bytes of packets, %v", file.Len(), err)
	}
}

func TestWhatProxyDHCPSaysIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPProxy)
	w.asked("52:54:00:00:00:01", dhcpv4.MessageTypeDiscover, pxe)
	entries := w.core.flight.Timeline("n1", time.Time{})
	if last := entries[len(entries)-1]; last.Source != flight.ProxyDHCP || last.What != "offer" || last.Name != "snponly.efi" {
		t.Errorf("the last entry is %+v", last)
	}
	// Its address comes from the other server, and its transfers are its own.
	w.asked("52:54:00:00:00:01", dhcpv4.MessageTypeRequest, pxe, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 20, 0, 9))), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 20, 1, 77))))
	w.tftp(tftp.Transfer{Request: tftp.Request{Name: "snponly.efi", Client: netip.MustParseAddrPort("10.20.1.77:2070")}, Outcome: tftp.Done})
	if e, ok := w.core.flight.Last("n1", flight.TFTP); !ok || e.What != "sent" {
		t.Errorf("its transfer is %+v, %t", e, ok)
	}
}

func TestWhatTFTPSaysIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPServer)
	client, server := netip.MustParseAddrPort("10.20.1.1:2070"), netip.MustParseAddrPort("10.20.0.1:69")
	w.tftpPacket(tftp.Packet{At: w.now(), From: client, To: server, Data: []byte("\x00\x01snponly.efi\x00octet\x00tsize\x000\x00blksize\x001468\x00")})
	request := tftp.Request{Name: "snponly.efi", Client: client}
	w.tftp(tftp.Transfer{Request: request, Outcome: tftp.SizeProbe, Why: `client sent error 8 "User aborted"`})
	w.tftp(tftp.Transfer{Request: request, Outcome: tftp.Done, Bytes: 300 << 10, Took: time.Second, Blksize: 1468, Windowsize: 4, Resent: 2})
	w.tftp(tftp.Transfer{Request: tftp.Request{Name: "x", Client: netip.MustParseAddrPort("10.20.9.9:2070")}, Outcome: tftp.Done})
	w.says("n1",
		"tftp open snponly.efi: tsize 0, blksize 1468",
		`tftp size-probe snponly.efi: client sent error 8 "User aborted"`,
		"tftp sent snponly.efi: blksize 1468, windowsize 4, 2 packets sent again")
}

// Each file that a boot needs is an entry; what an installer reads from a
// repository is one, however many files it is.
func TestWhatHTTPServesIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPServer)
	h := w.observer.watch(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "missing") {
			http.NotFound(rw, r)
			return
		}
		http.ServeContent(rw, r, "", time.Time{}, strings.NewReader("content"))
	}))
	get := func(method, path string) {
		r := httptest.NewRequest(method, path, nil)
		r.RemoteAddr = "10.20.1.1:40000"
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	w.http(api.Served{What: "script", Name: "install", Node: "n1", Addr: netip.MustParseAddr("10.20.1.1"), Why: "armed by ops"})
	get("GET", "/boot/snponly.efi")
	get("GET", "/boot/boot.ipxe")
	get("HEAD", "/images/d1/install/linux")
	get("GET", "/images/d1/install/linux")
	get("GET", "/images/d1//install/initrd.gz")
	for range 300 {
		get("GET", "/images/d1/pool/a.deb")
	}
	get("GET", "/images/d1/missing")
	w.tally.settle(w.now(), true)
	w.says("n1", "http script install: armed by ops", "http loader snponly.efi: ", "http kernel install/linux: ", "http initrd install/initrd.gz: ",
		"http repository: 301 files; not there: missing")
	last, _ := w.core.flight.Last("n1", flight.HTTP)
	if last.Bytes != 300*int64(len("content"))+int64(len("404 page not found\n")) {
		t.Errorf("the repository gave %d bytes", last.Bytes)
	}
}

// An installer that asks with its token from an address that another DHCP
// server gave it waits at a dialog: its timeline says why, without the token.
func TestARefusedAnswerIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPServer)
	const token = "0123456789abcdef"
	_, err := w.core.ledger.Do(t.Context(), func(*site.State, time.Time) ([]site.Body, error) {
		return []site.Body{
			site.Armed{Node: "n1", By: "ops", Until: w.now().Add(time.Hour)},
			site.InstallStarted{Node: "n1", Attempt: 1, Token: seal.HashToken(token), Image: "d1"},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := w.observer.watch(http.NotFoundHandler())
	for from, path := range map[string]string{
		"10.20.9.6:40000": "/answer/" + token + "/early.sh",
		"10.20.1.1:40000": "/answer/" + token + "/no-such-file",
		"10.20.9.7:40000": "/answer/guessed/early.sh",
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = from
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	w.says("n1", "http answer early.sh: refused: it asked from an address that is not its own")
}

// The observer must not take sendfile from downloads.
func TestObservedDownloadsKeepTheirFastWay(t *testing.T) {
	w := watch(t, site.DHCPServer)
	fast := false
	server := httptest.NewServer(w.observer.watch(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, fast = rw.(io.ReaderFrom)
		_, _ = rw.(io.ReaderFrom).ReadFrom(strings.NewReader("content"))
		if err := http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("no deadline can be set: %v", err)
		}
	})))
	defer server.Close()
	resp, err := http.Get(server.URL + "/images/d1/install/linux")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !fast || string(body) != "content" {
		t.Errorf("ReadFrom %t, body %q", fast, body)
	}
}

// What an installer logs is found under its node, and what else speaks on
// the network is not.
func TestWhatInstallersLogIsRecorded(t *testing.T) {
	w := watch(t, site.DHCPServer)
	var text bytes.Buffer
	d := &daemon{core: w.core, observer: w.observer, opts: serveOptions{syslog: "127.0.0.1:0"}, log: slog.New(slog.NewTextHandler(&text, nil))}
	if err := d.openSyslog(t.Context()); err != nil || d.syslog == nil || w.core.composer.Syslog == 0 {
		t.Fatalf("%v, port %d: %s", err, w.core.composer.Syslog, text.String())
	}
	if c := w.core.machineSide(nil, 0, nil, nil).Compose; c.Syslog != w.core.composer.Syslog {
		t.Errorf("installers are sent to port %d", c.Syslog)
	}
	// The loopback stands for the machine.
	w.book.learn(netip.MustParseAddr("127.0.0.1"), whom{node: "n1"})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	served := make(chan error, 1)
	go func() { served <- d.serveSyslog(ctx) }()
	c, err := net.Dial("tcp", d.syslog.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "<28>Nov 22 08:15:04 n1 dracut-initqueue[812]: curl: (23) Failed writing body\n"); err != nil {
		t.Fatal(err)
	}
	for e := range w.core.flight.Follow(ctx, "n1", time.Time{}) {
		if e.Source == flight.Syslog {
			break
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	w.syslog(netip.MustParseAddr("10.20.9.9"), syslog.Message{Text: "a printer"}, 0)
	w.syslog(netip.MustParseAddr("10.20.1.1"), syslog.Message{Severity: syslog.Info, App: "kernel", Text: "more"}, 7)
	w.says("n1",
		"syslog warning dracut-initqueue: curl: (23) Failed writing body",
		"syslog suppressed: 7 lines were passed over: it wrote more than can be kept",
		"syslog info kernel: more")
}

// A port that is taken costs the logs of installers, and nothing else.
func TestASyslogPortThatIsTakenIsAWarning(t *testing.T) {
	w := watch(t, site.DHCPServer)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	d := &daemon{core: w.core, observer: w.observer, opts: serveOptions{syslog: taken.Addr().String()}, log: log}
	if err := d.openSyslog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.syslog != nil || w.core.composer.Syslog != 0 || !strings.Contains(text.String(), "--syslog") {
		t.Errorf("port %d, it warns: %s", w.core.composer.Syslog, text.String())
	}
	for _, wrong := range []string{"10.20.0.1:x", "nowhere", ":99999"} {
		d.opts.syslog = wrong
		if err := d.openSyslog(t.Context()); statusOf(err) != exitUsage {
			t.Errorf("--syslog %s: %v", wrong, err)
		}
	}
}

// Events of the log are in the timelines once, also after a restart.
func TestTheLogIsInTheTimelines(t *testing.T) {
	w := watch(t, site.DHCPServer)
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.core.recordLog(ctx) }()
		for range w.core.flight.Follow(ctx, "n1", time.Time{}) {
			break
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		w.stop()
		w.start(site.DHCPServer)
	}
	planned := 0
	for _, e := range w.core.flight.Timeline("n1", time.Time{}) {
		if e.What == "node-planned" {
			planned++
		}
	}
	if planned != 1 {
		t.Errorf("the plan is %d times in the timeline", planned)
	}
}
