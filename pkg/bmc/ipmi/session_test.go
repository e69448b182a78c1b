package ipmi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestCipherSuiteIsFoundAndRemembered(t *testing.T) {
	for _, test := range []struct {
		name   string
		offers []types.CipherSuiteID
		known  int
		want   int
	}{
		{"both", []types.CipherSuiteID{3, 17}, 0, 17},
		{"modern only", []types.CipherSuiteID{17}, 0, 17},
		{"old only", []types.CipherSuiteID{3}, 0, 3},
		{"remembered", []types.CipherSuiteID{3, 17}, 3, 3},
		{"remembered and gone", []types.CipherSuiteID{17}, 3, 17},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startPeer(t, test.offers...)
			target := p.target()
			target.Known.CipherSuite = test.known
			d := dial(t, target, quick())
			known := d.Known()
			if known.CipherSuite != test.want || known.Protocol != bmc.IPMI {
				t.Errorf("known %+v, want cipher suite %d", known, test.want)
			}
			if known.Manufacturer != "Supermicro" || known.Firmware != "3.41" {
				t.Errorf("known %+v, want Supermicro 3.41", known)
			}
		})
	}
}

// A BMC that is known is spared the question for its capabilities, and asked
// if it wants to be: some answer nothing before.
func TestKnownBMCIsSparedAQuestion(t *testing.T) {
	p := startPeer(t, 17)
	const question = 23 // bytes
	for _, test := range []struct {
		name       string
		known      int
		wantsFirst bool
		asked      int
	}{
		{"not known", 0, false, 1}, {"known", 17, false, 0}, {"known, and wants to be asked", 17, true, 1},
	} {
		r := startRelay(t, p.address)
		var asked atomic.Int64
		r.drop.Store(func(answer bool, length int) bool {
			if !answer && length == question {
				asked.Add(1)
			}
			return test.wantsFirst && asked.Load() == 0
		})
		target := p.target()
		target.Address, target.Known.CipherSuite = r.address, test.known
		d, err := Dial(t.Context(), target, quick())
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		_ = d.Close(t.Context())
		if n := asked.Load(); n != int64(test.asked) {
			t.Errorf("%s: asked %d times", test.name, n)
		}
	}
}

func TestRefusedLogins(t *testing.T) {
	p := startPeer(t, 17, 3)
	for _, test := range []struct {
		name           string
		user, password string
		want           error
	}{
		{"wrong password", testUser, "not-the-password", bmc.ErrLogin},
		{"no such user", "nobody", testPassword, bmc.ErrLogin},
		{"longer than any", testUser, strings.Repeat("x", 21), bmc.ErrLogin},
		{"long user", strings.Repeat("u", 17), testPassword, bmc.ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Dial(t.Context(), bmc.Target{Address: p.address, Username: test.user, Password: secret(test.password)}, quick())
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, test.password) || strings.Contains(text, testPassword) {
				t.Errorf("the error tells the password: %s", text)
			}
		})
	}
	d := dial(t, p.target(), quick())
	if _, err := d.Power(t.Context()); err != nil {
		t.Errorf("after refused logins: %v", err)
	}
}

// The first message of a refused login allocates a slot, which is given back.
func TestRefusedLoginsKeepNoSlot(t *testing.T) {
	p := startPeer(t, 17)
	target := p.target()
	target.Password = "wrong"
	for range 3 * p.Sessions.Cap() {
		if _, err := Dial(t.Context(), target, quick()); !errors.Is(err, bmc.ErrLogin) {
			t.Fatal(err)
		}
	}
	dial(t, p.target(), quick())
}

func TestNoFreeSession(t *testing.T) {
	p := startPeer(t, 17, 3)
	var open []bmc.Driver
	for range p.Sessions.Cap() {
		open = append(open, dial(t, p.target(), quick()))
	}
	if _, err := Dial(t.Context(), p.target(), quick()); !errors.Is(err, bmc.ErrBusy) {
		t.Fatalf("got %v, want %v", err, bmc.ErrBusy)
	}
	if err := open[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	dial(t, p.target(), quick())
}

func TestSessionsDoNotLeak(t *testing.T) {
	p := startPeer(t, 17)
	for i := range 50 {
		d := dial(t, p.target(), quick())
		if err := d.SetBoot(t.Context(), bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}, bmc.Way{Name: wayStandard}); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Close(ended); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Sessions.Count(); n != 0 {
		t.Errorf("the BMC still has %d sessions", n)
	}
}

func TestUnreachable(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, address := range map[string]string{"silent": silent.LocalAddr().String(), "closed": closed.LocalAddr().String()} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			o.Timeout = 20 * time.Millisecond
			_, err := Dial(t.Context(), bmc.Target{Address: address, Username: testUser, Password: testPassword}, o)
			if !errors.Is(err, bmc.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The context ends a wait that would take minutes.
func TestContextEndsTheWait(t *testing.T) {
	p := startPeer(t, 17)
	r := startRelay(t, p.address)
	o := Options{Timeout: time.Minute, Tries: 3}
	target := p.target()
	target.Address = r.address
	d := dial(t, target, o)
	r.drop.Store(func(bool, int) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := d.Power(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, bmc.ErrUnreachable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	r.drop.Store(func(bool, int) bool { return false })
	if _, err := d.Power(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// The next try is for packets that are lost.
func TestLostPackets(t *testing.T) {
	p := startPeer(t, 17)
	r := startRelay(t, p.address)
	target := p.target()
	target.Address = r.address
	o := quick()
	o.Timeout = 50 * time.Millisecond
	d := dial(t, target, o)
	var answers atomic.Int32
	r.drop.Store(func(answer bool, _ int) bool { return answer && answers.Add(1) == 1 })
	if _, err := d.Power(t.Context()); err != nil {
		t.Errorf("reading, with the first answer lost: %v", err)
	}
	var requests atomic.Int32
	r.drop.Store(func(answer bool, _ int) bool { return !answer && requests.Add(1) == 1 })
	if err := d.SetPower(t.Context(), bmc.ActionOn); err != nil {
		t.Errorf("switching on, with the first request lost: %v", err)
	}
	requests.Store(0)
	if err := d.SetPower(t.Context(), bmc.ActionCycle); !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("cycling, with the request lost: %v", err)
	}
	answers.Store(0)
	r.drop.Store(func(answer bool, _ int) bool { return answer && answers.Add(1) == 1 })
	if err := d.SetPower(t.Context(), bmc.ActionCycle); !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("cycling, with the answer lost: %v", err)
	}
	if n := cyclesOf(t, p); n != 1 {
		t.Errorf("%d power cycles, want 1", n)
	}
}

// Whoever can send from the BMC's address cannot answer for it, nor crash the
// program with half a packet.
func TestForgedPacketsAreDropped(t *testing.T) {
	p := startPeer(t, 17)
	r := startRelay(t, p.address)
	target := p.target()
	target.Address = r.address
	d := dial(t, target, quick())
	header := []byte{6, 0, 0xff, 7, 6, 0xc0, 0xa3, 0xa2, 0xa1, 0xa0, 1, 0, 0, 0}
	forged := [][]byte{
		{}, {6}, header[:8], header,
		append(header[:len(header):len(header)], 3, 0, 1, 2, 3),
		append(append(header[:len(header):len(header)], 32, 0), make([]byte, 64)...),
		preSession(0x07, 0x01, 0, 0, 0, 0, 0, 0),
	}
	r.inject.Store(forged)
	for range 5 {
		if state, err := d.Power(t.Context()); err != nil || state != bmc.PowerOff {
			t.Fatalf("power %s, %v", state, err)
		}
	}
	if n := r.injected.Load(); n < int64(5*len(forged)) {
		t.Fatalf("only %d forged packets were sent", n)
	}
}

func TestIdleSessionIsOpenedAnew(t *testing.T) {
	p := startPeer(t, 17)
	o := quick()
	o.Idle = time.Nanosecond
	d := dial(t, p.target(), o)
	for range 10 {
		if _, err := d.Power(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Sessions.Count(); n != 1 {
		t.Errorf("the BMC has %d sessions, want 1", n)
	}
}

func TestClosed(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	for range 2 {
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Power(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

func TestUsersInParallelTakeTurns(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	errs := make(chan error)
	const users = 20
	for range users {
		go func() {
			_, err := d.Power(t.Context())
			errs <- err
		}()
	}
	for range users {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestDriverTellsNoPassword(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("driver", "driver", d, "known", d.Known())
	if strings.Contains(log.String(), testPassword) {
		t.Errorf("the log tells the password: %s", log.String())
	}
	long := secret(strings.Repeat("s3cret", 4))
	if err := d.SetPassword(t.Context(), testUser, long); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestHostPort(t *testing.T) {
	for address, want := range map[string]string{
		"10.21.0.11":             "10.21.0.11:623",
		"10.21.0.11:6230":        "10.21.0.11:6230",
		"bmc-1.example":          "bmc-1.example:623",
		"fd00::11":               "[fd00::11]:623",
		"[fd00::11]":             "[fd00::11]:623",
		"[fd00::11]:6230":        "[fd00::11]:6230",
		"https://10.21.0.11:443": "10.21.0.11:623",
		"":                       "",
		"10.21.0.11:0":           "",
		"10.21.0.11:http":        "",
		"a:b:c":                  "",
	} {
		got, err := hostPort(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", address, got, err, want)
		}
	}
}
