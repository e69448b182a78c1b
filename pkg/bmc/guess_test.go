package bmc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestReadLogins(t *testing.T) {
	got, err := bmc.ReadLogins(strings.NewReader("# makers\n\nADMIN:ADMIN\r\nroot:a:b c\n"))
	if err != nil || len(got) != 2 || got[0] != (bmc.Login{Username: "ADMIN", Password: "ADMIN", Line: 3}) || got[1] != (bmc.Login{Username: "root", Password: "a:b c", Line: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{"": "no login", "hunter2\n": "line 1 is not", "a:b\n:c\n": "line 2 is not", "a:\n": "line 1 is not"} {
		if _, err := bmc.ReadLogins(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestGuesser: a BMC is told few wrong passwords, with time in between, and
// none after the right one or after it locked the account.
func TestGuesser(t *testing.T) {
	list := []bmc.Login{{Username: "a", Password: "1"}, {Username: "b", Password: "2"}, {Username: "c", Password: "3"}, {Username: "d", Password: "4"}}
	for _, c := range []struct {
		name  string
		limit int
		says  map[site.Secret]error // of a login; nil opens
		asks  int                   // how often a session is wanted
		told  string                // the users that the BMC was told of
		took  time.Duration
		err   string // of the last one
	}{
		{"the first is right", 0, map[site.Secret]error{"1": nil}, 2, "aa", 0, ""},
		{"the second is, and it alone is told again", 0, map[site.Secret]error{"1": bmc.ErrLogin, "2": nil}, 2, "abb", 10 * time.Second, ""},
		{"no more than two wrong ones", 0, map[site.Secret]error{"1": bmc.ErrLogin, "2": bmc.ErrLogin}, 3, "ab", 10 * time.Second, "2 were not tried"},
		{"unless the operator wants more", 9, map[site.Secret]error{"1": bmc.ErrLogin, "2": bmc.ErrLogin, "3": bmc.ErrLogin, "4": bmc.ErrLogin}, 1, "abcd", 30 * time.Second, "none of the 4 logins"},
		{"a BMC that locks is left alone", 9, map[site.Secret]error{"1": bmc.ErrLogin, "2": fmt.Errorf("%w: %w", bmc.ErrLocked, bmc.ErrLogin)}, 3, "ab", 10 * time.Second, "locked"},
		{"one that is away is asked the same again", 0, map[site.Secret]error{"1": bmc.ErrUnreachable}, 2, "aa", 0, "does not answer"},
		{"one that wants a new password was told the right one", 0, map[site.Secret]error{"1": fmt.Errorf("%w: %w", bmc.ErrChangeFirst, bmc.ErrLogin)}, 2, "aa", 0, "changed before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := ""
				g := &bmc.Guesser{Limit: c.limit, Logins: list, Dial: func(_ context.Context, t bmc.Target) (bmc.Driver, error) {
					told += t.Username
					return nil, c.says[t.Password]
				}}
				start := time.Now()
				var err error
				for range c.asks {
					_, err = g.Open(t.Context(), bmc.Target{Address: "x", Username: "mine", Password: "mine"})
				}
				if told != c.told || time.Since(start) != c.took || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("told %q in %s, want %q in %s; %v", told, time.Since(start), c.told, c.took, err)
				}
				good, ok := g.Found("x")
				if _, right := c.says[good.Password]; ok && !right {
					t.Errorf("it found %+v", good)
				}
			})
		})
	}
}

// vault is one BMC's passwords, and what would be left of them after a crash.
type vault struct {
	pending, inForce site.Secret
	fail             error
	log              []string
}

func (v *vault) Issue(context.Context, bmc.Target) (site.Secret, error) {
	if v.pending == "" {
		v.pending = "N3w-password"
	}
	v.log = append(v.log, "issued")
	return v.pending, v.fail
}

func (v *vault) Pending(bmc.Target) site.Secret { return v.pending }

func (v *vault) Settle(_ context.Context, _ bmc.Target, changed bool) error {
	v.log = append(v.log, fmt.Sprint("settled ", changed))
	if changed {
		v.inForce = v.pending
	}
	v.pending = ""
	return v.fail
}

// account is a BMC as far as its password goes.
type account struct {
	bmc.Driver
	password site.Secret
	set      func(a *account, next site.Secret) error
	wrong    int
}

func (a *account) dial(_ context.Context, t bmc.Target) (bmc.Driver, error) {
	if t.Password != a.password {
		a.wrong++
		return nil, bmc.ErrLogin
	}
	return a, nil
}
func (a *account) Known() bmc.Known                                             { return bmc.Known{Protocol: bmc.Redfish} }
func (a *account) Close(context.Context) error                                  { return nil }
func (a *account) SetPassword(_ context.Context, _ string, p site.Secret) error { return a.set(a, p) }

// TestRenewPassword: whatever a BMC does, one of the passwords on record opens
// it, and the next command finds out which.
func TestRenewPassword(t *testing.T) {
	takes := func(a *account, p site.Secret) error { a.password = p; return nil }
	silent := errors.New("silent")
	for _, c := range []struct {
		name   string
		set    func(*account, site.Secret) error
		vault  error
		log    string
		wrong  int // logins that the BMC was told, the next command's included
		err    error
		opened site.Secret // by the next command
	}{
		{"taken", takes, nil, "[issued settled true]", 0, nil, "N3w-password"},
		{"refused", func(*account, site.Secret) error { return bmc.ErrUnsupported }, nil, "[issued settled false]", 0, bmc.ErrUnsupported, "old"},
		{"accepted and not kept", func(*account, site.Secret) error { return nil }, nil, "[issued]", 2, bmc.ErrNotStored, "old"},
		{"set, and the answer is lost", func(a *account, p site.Secret) error { a.password = p; return bmc.ErrUnreachable }, nil, "[issued settled true]", 1, bmc.ErrUnreachable, "N3w-password"},
		{"never arrived", func(*account, site.Secret) error { return bmc.ErrUnreachable }, nil, "[issued]", 0, bmc.ErrUnreachable, "old"},
		{"set to something else", func(a *account, _ site.Secret) error { a.password = "?"; return nil }, nil, "[issued]", 5, bmc.ErrNotStored, ""},
		{"what cannot be recorded is not sent", func(*account, site.Secret) error { panic("sent") }, silent, "[issued]", 0, silent, "old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, v := &account{password: "old", set: c.set}, &vault{inForce: "old", fail: c.vault}
				target := bmc.Target{Username: "admin", Password: "old"}
				if err := bmc.RenewPassword(t.Context(), a, a.dial, target, v, bmc.Patience{}); !errors.Is(err, c.err) {
					t.Errorf("got %v", err)
				}
				v.fail = nil
				target.Password = v.inForce
				_, err := bmc.OpenEither(a.dial, v)(t.Context(), target)
				if (err == nil) != (c.opened != "") || err == nil && a.password != c.opened {
					t.Errorf("the next command: %v; the BMC has %q", err, a.password.Reveal())
				}
				if got := fmt.Sprint(v.log); got != c.log || a.wrong != c.wrong {
					t.Errorf("%s, %d wrong logins; want %s, %d", got, a.wrong, c.log, c.wrong)
				}
			})
		})
	}
}

func TestGeneratePassword(t *testing.T) {
	seen := map[site.Secret]bool{}
	for range 1000 {
		p := bmc.GeneratePassword()
		text := p.Reveal()
		if len(text) != 16 || seen[p] || !strings.ContainsAny(text, "abcdefghijkmnpqrstuvwxyz") || !strings.ContainsAny(text, "ABCDEFGHJKLMNPQRSTUVWXYZ") ||
			!strings.ContainsAny(text, "23456789") || !strings.ContainsAny(text, "-_.+") || strings.ContainsAny(text, "0O1lI") {
			t.Fatalf("%q", text)
		}
		seen[p] = true
	}
}
