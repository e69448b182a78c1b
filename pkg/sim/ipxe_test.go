package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// desk is a daemon of which only the scripts are real.
type desk struct {
	ipxe.Server

	mu      sync.Mutex
	answers []func(ipxe.Server) string // of /boot/node.ipxe, in turn; the last is repeated. "" is 503
	missing int                        // how often the kernel is not there
	asked   []string
}

func newDesk(t *testing.T, answers ...func(ipxe.Server) string) *desk {
	t.Helper()
	d := &desk{answers: answers}
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	d.Server = ipxe.Server{Addr: netip.MustParseAddr("127.0.0.1"), HTTP: s.URL}
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.URL.Path)
	switch path := r.URL.Path; {
	case path == "/boot/"+ipxe.BootstrapName:
		io.WriteString(w, ipxe.Bootstrap(d.Server))
	case path == "/boot/"+ipxe.NodeName:
		answer := d.answers[0]
		if len(d.answers) > 1 {
			d.answers = d.answers[1:]
		}
		text := answer(d.Server)
		if text == "" {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, text)
	case strings.HasPrefix(path, "/images/"):
		if d.missing > 0 {
			d.missing--
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "an image")
	case strings.HasPrefix(path, "/answer/"):
		fmt.Fprintf(w, "report to %s/report/%s/ please", d.HTTP, testToken)
	case strings.HasPrefix(path, "/report/"):
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// reports are the stages that were reported, in order.
func (d *desk) reports() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var stages []string
	for _, path := range d.asked {
		if stage, ok := strings.CutPrefix(path, "/report/"+testToken+"/"); ok {
			stages = append(stages, stage)
		}
	}
	return stages
}

func (d *desk) count(prefix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, path := range d.asked {
		if strings.HasPrefix(path, prefix) {
			n++
		}
	}
	return n
}

func decided(a boot.Action, way site.LocalBoot) func(ipxe.Server) string {
	return func(s ipxe.Server) string {
		return ipxe.Script(ipxe.Boot{
			Decision: boot.Decision{Action: a, LocalBoot: way, Node: &site.Node{Name: "n1"}, Attempt: 1, Image: site.Image{Name: "debian13"}, Why: "because || shell ${x}"},
			Kernel:   s.HTTP + "/images/d1/linux", Initrd: s.HTTP + "/images/d1/initrd.gz",
			Args: []string{"url=" + s.HTTP + "/answer/" + testToken + "/preseed.cfg"},
		}, s)
	}
}

func busy(ipxe.Server) string { return "" }

// fast is a machine whose hours are milliseconds.
func fast(firmware Firmware, fault Fault) *Machine {
	return &Machine{
		Site: &Site{Speed: 1e7, Log: slog.New(slog.DiscardHandler)}, Firmware: firmware, Fault: fault,
		MAC: site.MAC{2, 0, 0, 0, 0, 1}, UUID: site.UUID{1}, Serial: "S 1&x=y", addr: netip.MustParseAddr("127.0.0.1"),
	}
}

// TestInterpreterRunsEveryScript also holds the scripts to what they are for:
// each ends as its decision wants.
func TestInterpreterRunsEveryScript(t *testing.T) {
	install, hold := decided(boot.Install, ""), decided(boot.Hold, "")
	exit, sanboot := decided(boot.Local, site.LocalExit), decided(boot.Local, site.LocalSanboot)
	tests := []struct {
		name     string
		firmware Firmware
		answers  []func(ipxe.Server) string
		missing  int
		want     error
		asked    int // for its own script
		reports  []string
	}{
		{name: "installs", firmware: UEFI, answers: []func(ipxe.Server) string{install}, want: errReboot, asked: 1, reports: []string{"early", "disk", "partitioned", "packages", "post", "done"}},
		{name: "installs on the second try of the kernel", firmware: BIOS, answers: []func(ipxe.Server) string{install}, missing: 1, want: errReboot, asked: 1, reports: []string{"early", "disk", "partitioned", "packages", "post", "done"}},
		{name: "asks again when nothing loads", firmware: UEFI, answers: []func(ipxe.Server) string{install, exit}, missing: 100, want: errLocal, asked: 2},
		{name: "waits until it is released", firmware: UEFI, answers: []func(ipxe.Server) string{hold, hold, exit}, want: errLocal, asked: 3},
		{name: "exits", firmware: UEFI, answers: []func(ipxe.Server) string{exit}, want: errLocal, asked: 1},
		{name: "firmware", firmware: UEFI, answers: []func(ipxe.Server) string{decided(boot.Local, site.LocalFirmware)}, want: errLocal, asked: 1},
		{name: "sanboot with UEFI", firmware: UEFI, answers: []func(ipxe.Server) string{sanboot}, want: errLocal, asked: 1},
		{name: "sanboot with BIOS", firmware: BIOS, answers: []func(ipxe.Server) string{sanboot}, want: errLocal, asked: 1},
		{name: "the daemon comes back", firmware: UEFI, answers: []func(ipxe.Server) string{busy, busy, busy, exit}, want: errLocal, asked: 4},
		{name: "the daemon stays away", firmware: UEFI, answers: []func(ipxe.Server) string{busy}, want: errLocal, asked: 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.answers...)
			d.missing = tt.missing
			err := fast(tt.firmware, NoFault).ipxe(t.Context(), d.HTTP+"/boot/"+ipxe.BootstrapName)
			if !errors.Is(err, tt.want) {
				t.Errorf("it ended with %v, want %v", err, tt.want)
			}
			if n := d.count("/boot/" + ipxe.NodeName); n != tt.asked {
				t.Errorf("it asked for its script %d times, want %d", n, tt.asked)
			}
			if got := d.reports(); !slices.Equal(got, tt.reports) {
				t.Errorf("it reported %q, want %q", got, tt.reports)
			}
		})
	}
}

// TestIdentityArrives: what the script has iPXE say of the machine is what
// the daemon reads.
func TestIdentityArrives(t *testing.T) {
	var query map[string][]string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/boot/"+ipxe.NodeName {
			query = r.URL.Query()
			io.WriteString(w, "#!ipxe\nexit 1\n")
			return
		}
		io.WriteString(w, ipxe.Bootstrap(ipxe.Server{HTTP: "http://" + r.Host}))
	}))
	defer s.Close()
	m := fast(BIOS, NoFault)
	if err := m.ipxe(t.Context(), s.URL); !errors.Is(err, errLocal) {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"mac": m.MAC.String(), "uuid": m.UUID.String(), "serial": m.Serial, "platform": "pcbios", "arch": "x86_64"} {
		if got := query[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s arrives as %q, want %q", key, got, want)
		}
	}
}

func TestInterpreterRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, script := range map[string]string{
		"no script":    "<html>",
		"no command":   "#!ipxe\nshell\n",
		"no label":     "#!ipxe\ngoto nowhere\n",
		"not caught":   "#!ipxe\niseq 1 2\n",
		"empty answer": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, script) }))
			defer s.Close()
			if err := fast(UEFI, NoFault).ipxe(t.Context(), s.URL); err == nil || errors.Is(err, errLocal) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestPowerOffEndsEveryScript(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := newDesk(t, func(s ipxe.Server) string {
		cancel()
		return decided(boot.Hold, "")(s)
	})
	m := fast(UEFI, NoFault)
	m.Site.Speed = 1
	if err := m.ipxe(ctx, d.HTTP+"/boot/"+ipxe.BootstrapName); err == nil || errors.Is(err, errLocal) {
		t.Errorf("without power it ended with %v", err)
	}
}
