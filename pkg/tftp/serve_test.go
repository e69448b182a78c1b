package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func content(size int) []byte {
	p := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = r.Read(p)
	return p
}

// shelf is an Open over a map, which counts.
type shelf map[string][]byte

func (s shelf) open(_ context.Context, r Request) (File, error) {
	b, ok := s[r.Name]
	if !ok {
		return File{}, fmt.Errorf("looking on the shelf: %w", ErrNotFound)
	}
	return File{Content: bytes.NewReader(b), Size: int64(len(b))}, nil
}

// serve runs a server on a free loopback port and gives its reports.
func serve(t testing.TB, s *Server) (netip.AddrPort, <-chan Transfer) {
	t.Helper()
	return serveAt(t, s, "127.0.0.1:0")
}

func serveAt(t testing.TB, s *Server, at string) (netip.AddrPort, <-chan Transfer) {
	t.Helper()
	s = new(*s)
	reports := make(chan Transfer, 4096)
	if s.Observe == nil {
		s.Observe = func(tr Transfer) { reports <- tr }
	}
	if s.Grace == 0 {
		s.Grace = 10 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := Listen(ctx, netip.MustParseAddrPort(at), "")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr(), reports
}

var senders = map[string]Server{
	"own":              {force: carryOwn},
	"own, no segments": {force: carryOwn, noSegment: true},
	"pin":              {force: carryPin},
	"best":             {},
}

func eachSender(t *testing.T, f func(t *testing.T, s *Server)) {
	for name, s := range senders {
		t.Run(name, func(t *testing.T) { f(t, &s) })
	}
}

// TestConformance is what every sender owes every client. The library ignores
// options when it is forced upon a client that sends them, as a server may.
func TestConformance(t *testing.T) {
	files := shelf{"empty": {}, "one": {1}, "text": []byte("a\nb\r\nc\r")}
	for _, size := range []int{511, 512, 513, 1024, 65536, 300_000} {
		files[fmt.Sprint(size)] = content(size)
	}
	options := []string{"", "blksize=1468 tsize=0", "BLKSIZE=1432 TSize=0 multicast=1", "blksize=8192 windowsize=4",
		"windowsize=16 timeout=3 blksize=1468", "windowsize=64 blksize=65464", "windowsize=1", "x=y"}
	eachSender(t, func(t *testing.T, s *Server) {
		s.Open = files.open
		server, reports := serve(t, s)
		for name, want := range files {
			for _, o := range options {
				got, err := fetch{name: "/" + name, options: o}.from(server)
				if err != nil {
					t.Fatalf("%s with %q: %v", name, o, err)
				}
				if !bytes.Equal(got.data, want) {
					t.Fatalf("%s with %q: %d bytes differ from %d", name, o, len(got.data), len(want))
				}
				r := <-reports
				if r.Outcome != Done || r.Bytes != int64(len(want)) || r.Name != name || r.Local != server.Addr() || !r.Client.IsValid() {
					t.Fatalf("%s with %q: reported %+v", name, o, r)
				}
				if s.force != carryPin && strings.Contains(strings.ToLower(o), "tsize") && oackNumber(got.oack, "tsize", -1) != len(want) {
					t.Fatalf("%s with %q: OACK %q", name, o, got.oack)
				}
			}
		}
		got, err := fetch{name: "text", mode: "NETASCII"}.from(server)
		if want := "a\r\nb\r\x00\r\nc\r\x00"; err != nil || string(got.data) != want {
			t.Errorf("netascii: %q, %v; want %q", got.data, err, want)
		}
	})
}

func TestRefusals(t *testing.T) {
	secret := errors.New("open /srv/secret/path: permission denied")
	opened := make(chan string, 1024)
	open := func(ctx context.Context, r Request) (File, error) {
		opened <- r.Name
		switch r.Name {
		case "forbidden":
			return File{}, fmt.Errorf("not armed: %w", ErrRefused)
		case "broken":
			return File{}, secret
		case "panic":
			panic(secret)
		case "nothing":
			return File{}, nil
		}
		return shelf{}.open(ctx, r)
	}
	eachSender(t, func(t *testing.T, s *Server) {
		s.Open = open
		server, reports := serve(t, s)
		for _, c := range []struct {
			name, mode string
			code       uint16
		}{
			{"missing", "", codeNotFound}, {"forbidden", "", codeAccess}, {"broken", "", codeUndefined},
			{"panic", "", codeUndefined}, {"nothing", "", codeUndefined}, {"missing", "mail", codeIllegal},
		} {
			_, err := fetch{name: c.name, mode: c.mode, options: "blksize=1468"}.from(server)
			var e errServer
			if !errors.As(err, &e) || e.code != c.code || strings.Contains(e.text, "srv") {
				t.Errorf("%s %s: %v, want code %d", c.name, c.mode, err, c.code)
			}
			if r := <-reports; r.Outcome != Refused || r.Why == "" {
				t.Errorf("%s %s: reported %+v", c.name, c.mode, r)
			}
		}
		for len(opened) > 0 {
			<-opened
		}
		for _, name := range traversal {
			if strings.Contains(name, "\x00") {
				continue
			}
			_, err := fetch{name: name}.from(server)
			var e errServer
			if len(name) < maxRequest-10 && (!errors.As(err, &e) || e.code != codeAccess) {
				t.Errorf("%.40q: %v", name, err)
			} else if err == nil {
				t.Errorf("%.40q was served", name)
			}
		}
		if len(opened) > 0 {
			t.Errorf("%q reached Open", <-opened)
		}
	})
}

func TestWritesAreRefused(t *testing.T) {
	server, reports := serve(t, &Server{Open: shelf{}.open})
	c := dial(t, server)
	send(t, c, []byte("\x00\x02upload\x00octet\x00"))
	if p := receive(t, c); !bytes.HasPrefix(p, []byte{0, opERROR, 0, codeAccess}) {
		t.Errorf("answer %q", p)
	}
	if r := <-reports; r.Outcome != Refused {
		t.Errorf("reported %+v", r)
	}
}

// A stray packet to the port gets no answer: the next thing heard is the answer to
// a request.
func TestStrayPacketsGetNoAnswer(t *testing.T) {
	server, _ := serve(t, &Server{Open: shelf{}.open})
	c := dial(t, server)
	for _, p := range []string{"", "\x00", "\x00\x03\x00\x01data", "\x00\x04\x00\x01", "\x00\x05\x00\x00no\x00", "\x00\x06tsize\x000\x00", "\x01\x00zz"} {
		send(t, c, []byte(p))
	}
	send(t, c, fetch{name: "missing"}.request())
	if p := receive(t, c); !bytes.HasPrefix(p, []byte{0, opERROR, 0, codeNotFound}) {
		t.Errorf("answer %q", p)
	}
}

func dial(t testing.TB, server netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t testing.TB, c *net.UDPConn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, c *net.UDPConn) []byte {
	t.Helper()
	buf := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// converse opens a transfer by hand: the returned socket is not connected, and the
// address is that of the transfer.
func converse(t *testing.T, server netip.AddrPort, f fetch) (*net.UDPConn, netip.AddrPort, []byte) {
	t.Helper()
	c := loopbackSocket(t)
	t.Cleanup(func() { c.Close() })
	if _, err := c.WriteToUDPAddrPort(f.request(), server); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	return c, from, buf[:n]
}

func TestSizeProbeIsNoFailure(t *testing.T) {
	server, reports := serve(t, &Server{Open: shelf{"a": content(5000)}.open})
	for _, acknowledgeFirst := range []bool{false, true} {
		c, transfer, oack := converse(t, server, fetch{name: "a", options: "tsize=0 blksize=1468"})
		if text := oackText(oack); text != "tsize=5000 blksize=1468" {
			t.Errorf("OACK %q", text)
		}
		if acknowledgeFirst {
			_, _ = c.WriteToUDPAddrPort([]byte{0, opACK, 0, 0}, transfer)
		}
		_, _ = c.WriteToUDPAddrPort(errorPacket(8, "User aborted the transfer"), transfer)
		if r := <-reports; r.Outcome != SizeProbe || r.Bytes != 0 {
			t.Errorf("reported %+v", r)
		}
	}
}

func TestAbortAndClosedPort(t *testing.T) {
	server, reports := serve(t, &Server{Open: shelf{"a": content(5000)}.open})
	c, transfer, _ := converse(t, server, fetch{name: "a", options: "blksize=1468"})
	for block := range byte(3) {
		_, _ = c.WriteToUDPAddrPort([]byte{0, opACK, 0, block}, transfer)
	}
	_, _ = c.WriteToUDPAddrPort(errorPacket(3, "disk full"), transfer)
	if r := <-reports; r.Outcome != Aborted || r.Bytes != 2*1468 || !strings.Contains(r.Why, "disk full") {
		t.Errorf("reported %+v", r)
	}
	c, _, _ = converse(t, server, fetch{name: "a", options: "blksize=1468"})
	c.Close()
	if r := <-reports; r.Outcome != Aborted || r.Took > 10*time.Second {
		t.Errorf("reported %+v", r)
	}
}

func TestSilentClientTimesOut(t *testing.T) {
	s := &Server{Open: shelf{"a": content(5000)}.open, Patience: time.Millisecond}
	server, reports := serve(t, s)
	c, transfer, _ := converse(t, server, fetch{name: "a", options: "timeout=1 blksize=1468"})
	_, _ = c.WriteToUDPAddrPort([]byte{0, opACK, 0, 0}, transfer)
	if r := <-reports; r.Outcome != TimedOut || r.Resent != minTries-1 {
		t.Errorf("reported %+v", r)
	}
}

// Two requests from one port are one client that was impatient.
func TestRepeatedRequestIsOneTransfer(t *testing.T) {
	gate := make(chan struct{})
	calls := make(chan struct{}, 16)
	server, reports := serve(t, &Server{Open: func(context.Context, Request) (File, error) {
		calls <- struct{}{}
		<-gate
		return File{}, ErrNotFound
	}})
	c := dial(t, server)
	for range 5 {
		send(t, c, fetch{name: "a"}.request())
	}
	other := dial(t, server)
	send(t, other, fetch{name: "b"}.request())
	<-calls
	<-calls
	close(gate)
	<-reports
	<-reports
	if len(calls) != 0 {
		t.Error("a repeated request was opened again")
	}
}

// A client that acknowledges after 4.9 s, or never, is nobody else's problem.
func TestOneSilentClientDelaysNobody(t *testing.T) {
	eachSender(t, func(t *testing.T, s *Server) {
		want := content(300_000)
		s.Open = shelf{"a": want}.open
		server, _ := serve(t, s)
		converse(t, server, fetch{name: "a", options: "blksize=1468"})
		converse(t, server, fetch{name: "a"})
		got, err := fetch{name: "a", options: "blksize=1468 windowsize=4"}.from(server)
		if err != nil || !bytes.Equal(got.data, want) {
			t.Errorf("%d bytes, %v", len(got.data), err)
		}
	})
}

func TestCaps(t *testing.T) {
	server, reports := serve(t, &Server{Open: shelf{"a": content(5000)}.open, MaxPerClient: 2, MaxTransfers: 100})
	for range 2 {
		converse(t, server, fetch{name: "a", options: "tsize=0"})
	}
	c := dial(t, server)
	send(t, c, fetch{name: "a"}.request())
	if r := <-reports; r.Outcome != Refused || !strings.Contains(r.Why, "this client") {
		t.Errorf("reported %+v", r)
	}
}

// Forged requests fill the house; a machine that answers still gets its file.
func TestHalfOpenTransfersMakeRoom(t *testing.T) {
	want := content(100_000)
	server, _ := serve(t, &Server{Open: shelf{"a": want}.open, MaxTransfers: 8, Observe: func(Transfer) {}})
	for range 50 {
		c := loopbackSocket(t)
		defer c.Close()
		_, _ = c.WriteToUDPAddrPort(fetch{name: "a", options: "tsize=0"}.request(), server)
	}
	got, err := fetch{name: "a", options: "tsize=0"}.from(server)
	if err != nil || !bytes.Equal(got.data, want) {
		t.Errorf("%d bytes, %v", len(got.data), err)
	}
}

func TestDeskCountsRight(t *testing.T) {
	d := newDesk(3, 2)
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	a, _ := d.admit(at("10.0.0.1:1"))
	if _, v := d.admit(at("10.0.0.1:1")); v != duplicate {
		t.Errorf("same port: %v", v)
	}
	b, _ := d.admit(at("10.0.0.1:2"))
	if _, v := d.admit(at("10.0.0.1:3")); v != clientFull {
		t.Errorf("third of a client: %v", v)
	}
	d.confirm(a)
	c, _ := d.admit(at("10.0.0.2:1"))
	if _, v := d.admit(at("10.0.0.3:1")); v != admitted || !b.evicted.Load() || a.evicted.Load() || c.evicted.Load() {
		t.Errorf("full: %v; the oldest half-open seat must go", v)
	}
	again, v := d.admit(at("10.0.0.1:2"))
	if v != admitted || !c.evicted.Load() {
		t.Errorf("full again: %v", v)
	}
	d.leave(b)
	if _, v := d.admit(at("10.0.0.1:2")); v != duplicate {
		t.Errorf("an evicted seat's leaving freed its successor: %v", v)
	}
	d.leave(again)
	d.leave(a)
	d.leave(a)
	if len(d.perClient) != 1 || len(d.seats) != 1 {
		t.Errorf("left over: %v %v", d.perClient, d.seats)
	}
}

func TestBusyPortIsAnError(t *testing.T) {
	server, _ := serve(t, &Server{Open: shelf{}.open})
	l, err := Listen(context.Background(), server, "")
	if err == nil {
		l.Close()
		t.Fatal("two listeners on one port")
	}
	if !strings.Contains(err.Error(), "ss -ulnp") {
		t.Errorf("no next step in %q", err)
	}
}

// A wildcard socket answers from the address that was asked, in errors and data.
func TestAnswersComeFromTheAddressAsked(t *testing.T) {
	eachSender(t, func(t *testing.T, s *Server) {
		want := content(3000)
		s.Open = shelf{"a": want}.open
		server, _ := serveAt(t, s, "0.0.0.0:0")
		asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), server.Port())
		for _, f := range []fetch{{name: "a", options: "blksize=1468"}, {name: "a"}, {name: "a", mode: "netascii"}} {
			got, err := f.from(asked)
			if err != nil || got.server.Addr() != asked.Addr() {
				t.Errorf("%+v: from %v, %v", f, got.server, err)
			}
		}
		c := dial(t, asked) // connected: hears this address only
		send(t, c, fetch{name: "missing"}.request())
		if p := receive(t, c); p[1] != opERROR {
			t.Errorf("answer %q", p)
		}
	})
}

func TestIPv6(t *testing.T) {
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skip("needs IPv6 on loopback: ", err)
	} else {
		c.Close()
	}
	eachSender(t, func(t *testing.T, s *Server) {
		want := content(70_000)
		s.Open = shelf{"a": want}.open
		server, _ := serveAt(t, s, "[::]:0")
		asked := netip.AddrPortFrom(netip.IPv6Loopback(), server.Port())
		for _, o := range []string{"", "blksize=1428 windowsize=4"} {
			got, err := fetch{name: "a", options: o}.from(asked)
			if err != nil || !bytes.Equal(got.data, want) || got.server.Addr() != asked.Addr() {
				t.Errorf("%q: %d bytes from %v, %v", o, len(got.data), got.server, err)
			}
		}
	})
}

func TestStoppingEndsTransfers(t *testing.T) {
	eachSender(t, func(t *testing.T, s *Server) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		l, err := Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"), "")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var ended []Transfer
		s.Observe = func(tr Transfer) { mu.Lock(); ended = append(ended, tr); mu.Unlock() }
		s.Open, s.Grace = shelf{"a": content(1 << 20)}.open, time.Millisecond
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		c, transfer, _ := converse(t, l.Addr(), fetch{name: "a"})
		cancel()
		_, _ = c.WriteToUDPAddrPort([]byte{0, opACK, 0, 1}, transfer)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if len(ended) != 1 || ended[0].Outcome == Done {
			t.Errorf("reported %+v", ended)
		}
	})
}
