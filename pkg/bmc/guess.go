package bmc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Login is a user name and a password.
type Login struct {
	Username string
	Password site.Secret
	Line     int // of the file that it is from
}

// ReadLogins reads lines of user:password. Empty lines and lines that begin
// with # are left out; the first colon ends the user name.
func ReadLogins(r io.Reader) ([]Login, error) {
	var logins []Login
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || password == "" {
			return nil, fmt.Errorf("line %d is not USER:PASSWORD", n) // the line itself is a secret
		}
		logins = append(logins, Login{Username: user, Password: site.Secret(password), Line: n})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading logins: %w", err)
	}
	if len(logins) == 0 {
		return nil, errors.New("there is no login in it: write lines of USER:PASSWORD")
	}
	return logins, nil
}

// Guesser opens sessions with the first login of a list that a BMC takes. A
// BMC is told Limit wrong ones at most, however often it is asked, because
// BMCs lock accounts and addresses out.
type Guesser struct {
	Dial   Dialer
	Logins []Login
	Limit  int           // wrong logins that a BMC is told; zero means DefaultGuesses
	Pause  time.Duration // between two; zero means 10 s

	mu     sync.Mutex
	states map[string]*guesses // by address
}

// DefaultGuesses is one less than what locks: iDRACs refuse a client for ten
// minutes after the third wrong login (iDRAC8 User's Guide, table 7), and
// AccountLockoutThreshold is 3 on others.
const DefaultGuesses = 2

type guesses struct {
	wrong int
	next  int // of the list
	good  *Login
	locks error
}

// Open is a Dialer. The target's own login is not used.
func (g *Guesser) Open(ctx context.Context, t Target) (Driver, error) {
	s := g.state(t.Address)
	limit, pause := g.Limit, g.Pause
	if limit <= 0 {
		limit = DefaultGuesses
	}
	if pause <= 0 {
		pause = 10 * time.Second
	}
	if s.good != nil {
		t.Username, t.Password = s.good.Username, s.good.Password
		return g.Dial(ctx, t)
	}
	for {
		switch {
		case s.locks != nil:
			return nil, s.locks
		case s.next >= len(g.Logins):
			return nil, fmt.Errorf("%w: none of the %d logins of the list", ErrLogin, len(g.Logins))
		case s.wrong >= limit:
			return nil, fmt.Errorf("%w: %d logins of the list were wrong, and a BMC that is told more may lock the account; %d were not tried", ErrLogin, s.wrong, len(g.Logins)-s.next)
		}
		if s.wrong > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pause):
			}
		}
		login := g.Logins[s.next]
		t.Username, t.Password = login.Username, login.Password
		d, err := g.Dial(ctx, t)
		switch {
		case err == nil, errors.Is(err, ErrChangeFirst):
			s.good = &login
			return d, err
		case errors.Is(err, ErrLocked):
			s.locks = err
			return nil, err
		case !errors.Is(err, ErrLogin):
			return nil, err
		}
		s.wrong++
		s.next++
	}
}

// state is that of one BMC. A batch talks to a BMC in one goroutine at a time.
func (g *Guesser) state(address string) *guesses {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.states == nil {
		g.states = map[string]*guesses{}
	}
	s, ok := g.states[address]
	if !ok {
		s = &guesses{}
		g.states[address] = s
	}
	return s
}

// Found is the login that a BMC took.
func (g *Guesser) Found(address string) (Login, bool) {
	s := g.state(address)
	if s.good == nil {
		return Login{}, false
	}
	return *s.good, true
}
