package storm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
	"golang.org/x/sys/unix"
)

// content is bytes that no truncation or repetition leaves alike.
func content(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+4 <= n; i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(i)*2654435761)
	}
	return b
}

func startPinTFTP(t testing.TB, file []byte) netip.AddrPort {
	t.Helper()
	server := tftp.NewServer(func(name string, rf io.ReaderFrom) error {
		if name != "loader.efi" {
			return os.ErrNotExist
		}
		rf.(tftp.OutgoingTransfer).SetSize(int64(len(file)))
		_, err := rf.ReadFrom(bytes.NewReader(file))
		return err
	}, nil)
	server.SetTimeout(50 * time.Millisecond)
	server.SetRetries(20)
	server.SetBackoff(func(int) time.Duration { return 0 })
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(conn) })
	t.Cleanup(func() {
		server.Shutdown()
		done.Wait()
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestTFTPDownloadsTheSameFileForAll(t *testing.T) {
	server := startPinTFTP(t, content(300_000))
	for _, probe := range []bool{false, true} {
		var r TFTPResult
		// pin/tftp looks up the interface of each request, and falls back to 512 while interfaces come and
		// go on the host, as they do beside tests with network namespaces: such a round does not count.
		for round := 0; round < 10 && r.BlockSize != 1468; round++ {
			var err error
			if r, err = TFTP(t.Context(), TFTPConfig{Server: server, File: "loader.efi", Clients: 20, Probe: probe}); err != nil {
				t.Fatal(err)
			}
			if !r.OK() || r.Size != 300_000 || r.Bytes != 20*300_000 {
				t.Errorf("probe %v: %+v", probe, r)
			}
		}
		if r.BlockSize != 1468 {
			t.Errorf("probe %v: the block size is %d, asked for 1468", probe, r.BlockSize)
		}
	}
}

// A server that serves one transfer per address serves all clients that have
// addresses of their own. All of 127.0.0.0/8 is local to this host.
func TestTFTPSources(t *testing.T) {
	r, err := TFTP(t.Context(), TFTPConfig{
		Server: startPinTFTP(t, content(3000)), File: "loader.efi", Clients: 4, Sources: netip.MustParsePrefix("127.9.8.0/29"),
	})
	if err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := sourceAddr(netip.MustParsePrefix("127.9.8.5/24"), 300).String(); got != "127.9.9.44" {
		t.Errorf("address 300 of 127.9.8.0/24 is %s", got)
	}
	_, err = TFTP(t.Context(), TFTPConfig{
		Server: netip.MustParseAddrPort("127.0.0.1:69"), File: "x", Clients: 9, Sources: netip.MustParsePrefix("127.9.8.0/29"),
	})
	if err == nil {
		t.Error("nine clients have no addresses of their own in a /29")
	}
}

func TestTFTPBlockNumbersRollOver(t *testing.T) {
	const size = 70_000 * 8
	r, err := TFTP(t.Context(), TFTPConfig{Server: startPinTFTP(t, content(size)), File: "loader.efi", BlockSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Size != size {
		t.Errorf("%+v", r)
	}
}

func TestTFTPSurvivesLossBothWays(t *testing.T) {
	r, err := TFTP(t.Context(), TFTPConfig{
		Server: startPinTFTP(t, content(50_000)), File: "loader.efi", Clients: 10,
		Loss: 0.05, Seed: 1, Timeout: 100 * time.Millisecond, Tries: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Retransmitted == 0 {
		t.Errorf("%+v", r)
	}
}

func TestTFTPReportsWhy(t *testing.T) {
	r, err := TFTP(t.Context(), TFTPConfig{Server: startPinTFTP(t, nil), File: "missing", Clients: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Failed != 3 || len(r.Errors) != 1 {
		t.Errorf("%+v", r)
	}
	silent := freePort(t)
	r, err = TFTP(t.Context(), TFTPConfig{
		Server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), silent), File: "x",
		Timeout: 5 * time.Millisecond, Tries: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors[errNoAnswer.Error()] != 1 || r.Retransmitted != 2 {
		t.Errorf("%+v", r)
	}
}

// windowTransfer is a client that is fed by hand.
func windowTransfer(t *testing.T) (*tftpTransfer, func() []uint16) {
	t.Helper()
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	x := connected(t, TFTPConfig{WindowSize: 4, BlockSize: 8}, server.LocalAddr().(*net.UDPAddr).AddrPort())
	x.blockSize, x.windowSize = 8, 4
	acks := func() (blocks []uint16) {
		b := make([]byte, 16)
		for {
			if err := server.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			n, err := server.Read(b)
			if err != nil {
				return blocks
			}
			if n != 4 || b[1] != opACK {
				t.Fatalf("sent %x, want an ACK", b[:n])
			}
			blocks = append(blocks, binary.BigEndian.Uint16(b[2:]))
		}
	}
	return x, acks
}

// connected is a transfer that has had its first answer.
func connected(t *testing.T, c TFTPConfig, server netip.AddrPort) *tftpTransfer {
	t.Helper()
	x := &tftpTransfer{config: c, counts: &tally{}}
	if err := x.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(x.fd) })
	x.peer = server
	if err := unix.Connect(x.fd, sockaddr(server)); err != nil {
		t.Fatal(err)
	}
	return x
}

// RFC 7440 section 4: one ACK for a window, one for a hole, however many blocks
// follow the hole.
func TestTFTPWindow(t *testing.T) {
	x, acks := windowTransfer(t)
	feed := func(blocks ...uint16) (done bool) {
		for _, n := range blocks {
			payload := content(8)
			if n == 9 {
				payload = payload[:3]
			}
			var err error
			if _, done, err = x.take(append([]byte{0, opData, byte(n >> 8), byte(n)}, payload...)); err != nil {
				t.Fatal(err)
			}
		}
		return done
	}
	for _, step := range []struct {
		name string
		feed []uint16
		acks string
	}{
		{"a whole window", []uint16{1, 2, 3, 4}, "[4]"},
		{"a hole is reported once", []uint16{5, 7, 8}, "[5]"},
		{"the window again from the hole", []uint16{6, 7, 8}, "[]"},
		{"old blocks are not acknowledged", []uint16{2, 3}, "[]"},
		{"a short block ends all", []uint16{9}, "[9]"},
	} {
		feed(step.feed...)
		if got := fmt.Sprint(acks()); got != step.acks {
			t.Errorf("%s: ACKs %s, want %s", step.name, got, step.acks)
		}
	}
	if x.bytes != 8*8+3 {
		t.Errorf("%d octets, want %d", x.bytes, 8*8+3)
	}
}

func FuzzTFTPTake(f *testing.F) {
	f.Add([]byte("\x00\x06blksize\x008\x00windowsize\x004\x00"))
	f.Add([]byte("\x00\x03\x00\x01abc"))
	f.Add([]byte("\x00\x05\x00\x01File not found\x00"))
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		x := connected(t, TFTPConfig{WindowSize: 4, BlockSize: 1468}, conn.LocalAddr().(*net.UDPAddr).AddrPort())
		for range 2 {
			_, _, _ = x.take(b)
		}
		if x.bytes < 0 || x.blockSize > 1468 || x.windowSize > 4 {
			t.Errorf("agreed to %d × %d", x.windowSize, x.blockSize)
		}
	})
}

func TestHTTPCountsAndCompares(t *testing.T) {
	file := content(3_000_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(file))
	}))
	defer server.Close()
	for _, c := range []struct {
		name string
		HTTPConfig
		size int64
	}{
		{"counted", HTTPConfig{}, 3_000_000},
		{"compared", HTTPConfig{Check: true}, 3_000_000},
		{"a range", HTTPConfig{Range: "bytes=1000-1999"}, 1000},
	} {
		c.URL, c.Clients = server.URL+"/file", 20
		r, err := HTTP(t.Context(), c.HTTPConfig)
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || r.Size != c.size || r.Bytes != 20*c.size || r.FirstByte.Count != 20 {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestHTTPNoticesWhatIsWrong(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); r.URL.Path {
		case "/short":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 10))
		case "/differs":
			fmt.Fprintf(w, "%04d", n)
		case "/chunked":
			fmt.Fprint(w, "one")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	get := func(path string) HTTPResult {
		r, err := HTTP(t.Context(), HTTPConfig{URL: server.URL + path, Clients: 4, Check: path == "/differs"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := get("/short"); r.Failed != 4 || r.Errors["unexpected EOF"] != 4 {
		t.Errorf("short body: %+v", r)
	}
	if r := get("/differs"); r.OK() || r.Different != 3 {
		t.Errorf("different bodies: %+v", r)
	}
	if r := get("/chunked"); !r.OK() || r.Size != 6 {
		t.Errorf("chunked: %+v", r)
	}
	if r := get("/missing"); r.Failed != 4 || r.Errors["server answers 404 Not Found"] != 4 {
		t.Errorf("missing: %+v", r)
	}
}

// A rack boots: every machine finds the token of its own answer file in its own
// script, and one machine that gets no answer file is the one that fails.
func TestBootFollowsTheScript(t *testing.T) {
	image := content(500_000)
	var images atomic.Int64
	server := httptest.NewServer(nil)
	defer server.Close()
	answer := regexp.MustCompile(`^/answer/token-([0-9a-f-]+)$`)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mac, isScript := strings.CutPrefix(r.URL.Path, "/boot/")
		found := answer.FindStringSubmatch(r.URL.Path)
		switch {
		case isScript:
			fmt.Fprintf(w, "#!ipxe\nkernel vmlinuz inst.ks=%s/answer/token-%s quiet\nboot\n", server.URL, mac)
		case found != nil && found[1] != "02-5e-ed-00-00-03":
			fmt.Fprint(w, "text\nreboot\n")
		case r.URL.Path == "/image":
			images.Add(1)
			http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(image))
		default:
			http.NotFound(w, r)
		}
	})
	s := &libraryServer{t: t}
	r, err := Boot(t.Context(), BootConfig{
		DHCP:   DHCPConfig{Server: s.start(), Port: freePort(t), Clients: 24, PIDs: []int{os.Getpid()}},
		TFTP:   TFTPConfig{Server: startPinTFTP(t, content(30_000)), File: "loader.efi"},
		Script: server.URL + "/boot/{mac-}",
		Answer: `match:inst\.ks=(\S+)`,
		Image:  server.URL + "/image",
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Finished != 23 || r.Failed != 1 || r.OK() || r.Errors["server answers 404 Not Found"] != 1 {
		t.Errorf("%+v", r)
	}
	if images.Load() != 23 || r.Image.Count != 23 || r.Script.Count != 24 || r.Loader.Count != 24 || r.DHCP.Finished != 24 {
		t.Errorf("%d images; %+v", images.Load(), r)
	}
	if r.Bytes < 23*500_000+24*30_000 {
		t.Errorf("%d octets", r.Bytes)
	}
}

func TestBootWithoutLeasesFails(t *testing.T) {
	s := &libraryServer{t: t, drop: func(int) bool { return true }}
	r, err := Boot(t.Context(), BootConfig{DHCP: DHCPConfig{
		Server: s.start(), Port: freePort(t), Clients: 3, Timeout: 5 * time.Millisecond, Tries: 2,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 3 || r.Errors["no lease"] != 3 {
		t.Errorf("%+v", r)
	}
}
