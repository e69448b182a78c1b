package login_test

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/login"
)

const right = "correct horse battery"

var (
	epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	here  = netip.MustParseAddr("10.20.0.9")
	there = netip.MustParseAddr("10.20.0.10")
)

type place struct {
	t         *testing.T
	operators *login.Operators
	desk      *login.Desk
	now       time.Time
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, operators: &login.Operators{Path: filepath.Join(t.TempDir(), "operators.json")}, now: epoch}
	for name, role := range map[string]login.Role{"wei": login.Admin, "wall": login.Viewer} {
		if err := p.operators.Set(name, role, right+name); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if p.desk, err = login.NewDesk(p.operators, func() time.Time { return p.now }); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) enter(name string) string {
	p.t.Helper()
	token, s, err := p.desk.Enter(here, name, right+name)
	if err != nil || s.Name != name {
		p.t.Fatalf("%s: %+v, %v", name, s, err)
	}
	return token
}

func TestOnlyTheRightPasswordOpens(t *testing.T) {
	p := newPlace(t)
	for name, c := range map[string][2]string{
		"wrong": {"wei", right}, "empty": {"wei", ""}, "nobody": {"mallory", right + "wei"}, "no name": {"", ""}, "minus one": {"-1", "-1"},
		"somebody else's": {"wei", right + "wall"}, "with a blank": {"wei", right + "wei "}, "the hash": {"wei", "$argon2id$"},
	} {
		if token, _, err := p.desk.Enter(netip.MustParseAddr("10.0.0."+string(rune('1'+len(name)%9))), c[0], c[1]); err == nil || token != "" {
			t.Errorf("%s opened", name)
		}
		p.now = p.now.Add(time.Minute)
	}
	token := p.enter("wei")
	if s, ok := p.desk.Who(token); !ok || s.Role != login.Admin {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, bad := range []string{"", "-1", token + "x", strings.ToLower(token), token[1:]} {
		if _, ok := p.desk.Who(bad); ok {
			t.Errorf("the token %q opened", bad)
		}
	}
}

// TestWhatIsKept: nothing that opens by itself, for nobody else to read.
func TestWhatIsKept(t *testing.T) {
	p := newPlace(t)
	data, err := os.ReadFile(p.operators.Path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "horse") || strings.Count(string(data), "$argon2id$v=19$m=19456,t=2,p=1$") != 2 {
		t.Errorf("the file is\n%s", data)
	}
	if info, err := os.Stat(p.operators.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(p.operators.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.desk.Enter(here, "wei", right+"wei"); err == nil || errors.Is(err, login.ErrWrong) {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestGuessingIsSlow(t *testing.T) {
	p := newPlace(t)
	for i := range 5 {
		if _, _, err := p.desk.Enter(here, "wei", "guess"); !errors.Is(err, login.ErrWrong) {
			t.Errorf("guess %d: %v", i, err)
		}
	}
	if _, _, err := p.desk.Enter(here, "wei", right+"wei"); !errors.Is(err, login.ErrTooOften) {
		t.Errorf("the sixth: %v", err)
	}
	if _, _, err := p.desk.Redeem(here, "guess"); !errors.Is(err, login.ErrTooOften) {
		t.Errorf("by link: %v", err)
	}
	if _, _, err := p.desk.Enter(there, "wei", right+"wei"); err != nil {
		t.Errorf("somebody else waits, too: %v", err)
	}
	p.now = p.now.Add(time.Minute)
	p.enter("wei")
	slow := 0
	for i := range 100 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
		if _, _, err := p.desk.Redeem(addr, "guess"); errors.Is(err, login.ErrTooOften) {
			slow++
		}
	}
	if slow < 40 {
		t.Errorf("many addresses guessed %d times in a minute", 100-slow)
	}
}

func TestSessionsEnd(t *testing.T) {
	p := newPlace(t)
	idle, busy := p.enter("wei"), p.enter("wall")
	for range 12 {
		p.now = p.now.Add(time.Hour - time.Second)
		_, ok := p.desk.Who(busy)
		if !ok {
			t.Fatal("a session that is used ended early")
		}
	}
	if _, ok := p.desk.Who(idle); ok {
		t.Error("a session that nobody used goes on")
	}
	p.now = p.now.Add(time.Hour)
	if _, ok := p.desk.Who(busy); ok {
		t.Error("a session goes on for ever")
	}
	token := p.enter("wei")
	p.desk.Leave(token)
	if _, ok := p.desk.Who(token); ok {
		t.Error("a session goes on after its end")
	}
}

// TestChangesHoldAtOnce: also for those who are logged in.
func TestChangesHoldAtOnce(t *testing.T) {
	p := newPlace(t)
	token := p.enter("wei")
	if err := p.operators.Set("wei", login.Viewer, right+"wei"); err != nil {
		t.Fatal(err)
	}
	if s, ok := p.desk.Who(token); !ok || s.Role != login.Viewer {
		t.Errorf("who became a viewer is %+v", s)
	}
	if err := p.operators.Remove("wei"); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.desk.Who(token); ok {
		t.Error("who was removed is still there")
	}
	if err := p.operators.Remove("wei"); err == nil {
		t.Error("removed twice")
	}
}

func TestOneTimeLink(t *testing.T) {
	p := newPlace(t)
	first := p.desk.Link()
	link := p.desk.Link()
	for _, bad := range []string{"", "x", first} {
		if _, _, err := p.desk.Redeem(there, bad); !errors.Is(err, login.ErrLink) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	token, s, err := p.desk.Redeem(here, link)
	if err != nil || s.Role != login.Admin {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, ok := p.desk.Who(token); !ok {
		t.Error("it opened nothing")
	}
	if _, _, err := p.desk.Redeem(here, link); !errors.Is(err, login.ErrLink) {
		t.Errorf("twice: %v", err)
	}
	late := p.desk.Link()
	p.now = p.now.Add(16 * time.Minute)
	if _, _, err := p.desk.Redeem(here, late); !errors.Is(err, login.ErrLink) {
		t.Errorf("late: %v", err)
	}
}

func TestBadOperators(t *testing.T) {
	p := newPlace(t)
	for name, err := range map[string]error{
		"short":        p.operators.Set("a", login.Viewer, "123456789"),
		"role":         p.operators.Set("a", "root", right),
		"name":         p.operators.Set("A b", login.Viewer, right),
		"the link's":   p.operators.Set("", login.Viewer, right),
		"hidden files": p.operators.Set("../x", login.Viewer, right),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	names := []string{"10.20.0.1", "laptop"}
	first, err := login.Certificate(dir, names, epoch)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(c [][]byte) *x509.Certificate {
		l, err := x509.ParseCertificate(c[0])
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, n := range names {
		if err := leaf(first.Certificate).VerifyHostname(n); err != nil {
			t.Error(err)
		}
	}
	again, err := login.Certificate(dir, names, epoch.Add(time.Hour))
	if err != nil || login.Fingerprint(again) != login.Fingerprint(first) {
		t.Errorf("another one was made at the second start: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "operator-key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	moved, err := login.Certificate(dir, []string{"10.99.0.1"}, epoch)
	if err != nil || login.Fingerprint(moved) == login.Fingerprint(first) {
		t.Errorf("another address has the same certificate: %v", err)
	}
	old, err := login.Certificate(dir, []string{"10.99.0.1"}, epoch.Add(824*24*time.Hour))
	if err != nil || login.Fingerprint(old) == login.Fingerprint(moved) {
		t.Errorf("one that runs out is kept: %v", err)
	}
}
