package syslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/syslog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The lines are those of real senders: rsyslog in anaconda and its forward
// format, busybox in Debian's installer, systemd, a switch.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want syslog.Message
	}{
		{"<13>Nov 22 08:15:04 debian-installer: started", syslog.Message{Facility: 1, Severity: syslog.Notice, App: "debian-installer", Text: "started"}},
		{"<30>Nov  2 08:15:04 main-menu[312]: INFO: Menu item 'partman-base' selected", syslog.Message{Facility: 3, Severity: syslog.Info, App: "main-menu", PID: "312", Text: "INFO: Menu item 'partman-base' selected"}},
		{"<30>Nov 22 08:15:04 node-01 anaconda[1702]: Running kickstart %%pre script(s)", syslog.Message{Facility: 3, Severity: syslog.Info, Host: "node-01", App: "anaconda", PID: "1702", Text: "Running kickstart %%pre script(s)"}},
		{"<6>[   12.3] e1000e: eth0 NIC Link is Up", syslog.Message{Facility: 0, Severity: syslog.Info, Text: "[   12.3] e1000e: eth0 NIC Link is Up"}},
		{"<4>Nov 22 08:15:04 localhost kernel: blk_update_request: I/O error, dev sda", syslog.Message{Severity: syslog.Warning, Host: "localhost", App: "kernel", Text: "blk_update_request: I/O error, dev sda"}},
		{
			"<165>1 2026-11-22T08:15:04.003+08:00 node-01 anaconda 1702 ID47 [ex@32473 k=\"a\\\"]b\"][y@1] \ufeffin words",
			syslog.Message{Facility: 20, Severity: syslog.Notice, Time: time.Date(2026, 11, 22, 0, 15, 4, 3_000_000, time.UTC), Host: "node-01", App: "anaconda", PID: "1702", Text: "in words"},
		},
		{"<34>1 - - - - - -", syslog.Message{Facility: 4, Severity: syslog.Critical}},
		{
			"<13>2026-11-22T08:15:04.123456+00:00 node-01 dracut-initqueue[812]: curl: (23) Failed writing body",
			syslog.Message{Facility: 1, Severity: syslog.Notice, Time: time.Date(2026, 11, 22, 8, 15, 4, 123_456_000, time.UTC), Host: "node-01", App: "dracut-initqueue", PID: "812", Text: "curl: (23) Failed writing body"},
		},
		{"<34>1 2026-11-22T08:15:04Z half a header", syslog.Message{Facility: 4, Severity: syslog.Critical, Text: "1 2026-11-22T08:15:04Z half a header"}},
		{"no priority at all", syslog.Message{Facility: 1, Severity: syslog.Notice, Text: "no priority at all"}},
		{"<999>too high", syslog.Message{Facility: 1, Severity: syslog.Notice, Text: "<999>too high"}},
		{"<13>", syslog.Message{Facility: 1, Severity: syslog.Notice}},
		{"", syslog.Message{Facility: 1, Severity: syslog.Notice}},
	} {
		if got := syslog.Parse([]byte(c.line)); got != c.want {
			t.Errorf("%q\n got %+v\nwant %+v", c.line, got, c.want)
		}
	}
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 9000)
	for _, c := range []struct {
		name, stream string
		want         []string
	}{
		{"newlines", "<13>one\n<13>two\r\n\n<13>three", []string{"<13>one", "<13>two", "", "<13>three"}},
		{"counts", "7 <13>one8 <13>two\n5 <13>x", []string{"<13>one", "<13>two\n", "<13>x"}},
		{"both", "7 <13>one<13>two\n7 <13>thr", []string{"<13>one", "<13>two", "<13>thr"}},
		{"a line with a number", "12:30 is no count\n<13>next\n", []string{"30 is no count", "<13>next"}},
		{"a count that is too long is cut", "9000 " + long + "7 <13>one", []string{long[:8192], "<13>one"}},
		{"a line that is too long is cut", long + "\n<13>one\n", []string{long[:8192], "<13>one"}},
		{"a count that lies", "50 <13>short", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bufio.NewReaderSize(strings.NewReader(c.stream), 8192)
			var got []string
			for {
				frame, err := syslog.ReadFrame(r)
				if err == nil || len(frame) > 0 {
					got = append(got, string(frame))
				}
				if err != nil {
					break
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %.200q, want %.200q", got, c.want)
			}
		})
	}
}

// heard collects what a receiver was told.
type heard struct {
	mu         sync.Mutex
	more       *sync.Cond
	texts      []string
	suppressed int
}

func newHeard() *heard {
	h := &heard{}
	h.more = sync.NewCond(&h.mu)
	return h
}

func (h *heard) observe(_ netip.Addr, m syslog.Message, suppressed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, m.Text)
	h.suppressed += suppressed
	h.more.Broadcast()
}

func (h *heard) wait(ctx context.Context, t *testing.T, done func() bool) {
	t.Helper()
	stop := context.AfterFunc(ctx, h.more.Broadcast)
	defer stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("heard %q, %d suppressed", h.texts, h.suppressed)
		}
		h.more.Wait()
	}
}

func serve(t *testing.T, r *syslog.Receiver) netip.AddrPort {
	t.Helper()
	if err := r.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r.Addrs()[0]
}

func TestReceiver(t *testing.T) {
	h := newHeard()
	at := serve(t, &syslog.Receiver{Observe: h.observe})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, network := range []string{"udp", "tcp"} {
		c, err := net.Dial(network, at.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "<13>by "+network+"\n"); err != nil {
			t.Fatal(err)
		}
		h.wait(ctx, t, func() bool { return len(h.texts) > 0 && h.texts[len(h.texts)-1] == "by "+network })
		c.Close()
	}
}

// A machine that logs in a loop is heard, and so are the others.
func TestASourceThatSaysTooMuchIsCutShort(t *testing.T) {
	h := newHeard()
	var mu sync.Mutex
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	at := serve(t, &syslog.Receiver{Observe: h.observe, PerSecond: 1, Burst: 3, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 10 {
		if _, err := fmt.Fprintf(c, "<13>line %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := io.WriteString(other, "<13>another machine\n"); err != nil {
		t.Fatal(err)
	}
	h.wait(ctx, t, func() bool { return len(h.texts) == 4 })
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	// The ten lines were read before or after the clock went on; every one is
	// accounted for once another is heard.
	for i := 0; ; i++ {
		if _, err := fmt.Fprintf(c, "<13>later %d\n", i); err != nil {
			t.Fatal(err)
		}
		h.wait(ctx, t, func() bool { return len(h.texts) >= 5+i })
		h.mu.Lock()
		suppressed := h.suppressed
		h.mu.Unlock()
		if suppressed > 0 || i == 2 {
			if suppressed == 0 {
				t.Error("nothing was suppressed")
			}
			return
		}
	}
}

func TestConnectionsOfOneSourceAreBounded(t *testing.T) {
	h := newHeard()
	at := serve(t, &syslog.Receiver{Observe: h.observe})
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 9 {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	last := open[8]
	if err := last.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("the ninth connection was not closed: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("<165>1 2026-11-22T08:15:04.003Z node-01 anaconda 1702 ID47 [ex@32473 k=\"v\"] text"))
	f.Add([]byte("<13>Nov 22 08:15:04 node-01 kernel: text"))
	f.Add([]byte("<34>1 - - - - - [a b=\"\\]\"]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := syslog.Parse(b)
		if m.Severity < 0 || m.Severity > 7 || m.Facility < 0 || m.Facility > 23 || len(m.Text) > len(b) || len(m.Host) > len(b) {
			t.Fatalf("%q gives %+v", b, m)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("7 <13>one<13>two\n7 <13>thr"))
	f.Add([]byte("99999999999 x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(b)), 8192)
		for total := 0; ; {
			frame, err := syslog.ReadFrame(r)
			if total += len(frame); total > len(b) || len(frame) > 8192 {
				t.Fatalf("%d bytes out of %d", total, len(b))
			}
			if err != nil {
				return
			}
		}
	})
}
