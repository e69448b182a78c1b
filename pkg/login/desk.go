package login

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	sessionLife = 12 * time.Hour // a working day
	sessionIdle = 2 * time.Hour
	maxSessions = 1000
	linkLife    = 15 * time.Minute

	// A password may be guessed so often: by one address, and by all of them.
	triesPerMinute    = 5
	allTriesPerMinute = 60
	maxAddresses      = 4096
	// hashing bounds how many passwords are looked at at once: each takes
	// 19 MiB.
	hashing = 2
)

// What keeps somebody out.
var (
	ErrWrong    = errors.New("the name or the password is wrong")
	ErrTooOften = errors.New("too many tries: wait a minute")
	ErrLink     = errors.New("the link was used, or is too old: restart the daemon for another, or add an operator with `rackseed operator add`")
)

// Session is somebody who is logged in.
type Session struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Expires time.Time `json:"expires,omitzero"`
}

// Desk lets operators in. Use NewDesk.
type Desk struct {
	operators *Operators
	now       func() time.Time
	slots     chan struct{}

	mu       sync.Mutex
	sessions map[[32]byte]*visit // by the hash of the token, so that a dump of memory opens nothing
	all      *rate.Limiter
	tries    map[netip.Addr]*rate.Limiter
	link     [32]byte
	linkEnds time.Time
	dummy    string // a hash that fits nobody
}

type visit struct {
	Session
	seen time.Time
}

// NewDesk opens a desk without sessions.
func NewDesk(operators *Operators, now func() time.Time) (*Desk, error) {
	dummy, err := Hash(rand.Text())
	if err != nil {
		return nil, fmt.Errorf("opening the login: %w", err)
	}
	return &Desk{
		operators: operators, now: now, slots: make(chan struct{}, hashing), dummy: dummy,
		sessions: map[[32]byte]*visit{}, tries: map[netip.Addr]*rate.Limiter{}, all: perMinute(allTriesPerMinute),
	}, nil
}

func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(float64(n)/60), n) }

// Link makes the one-time link of this start: whoever has it is an operator,
// once, within a quarter of an hour. The one before it is void.
func (d *Desk) Link() (token string) {
	token = rand.Text()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link, d.linkEnds = sha256.Sum256([]byte(token)), d.now().Add(linkLife)
	return token
}

// may counts a try.
func (d *Desk) may(from netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.tries[from]
	if !ok {
		if len(d.tries) >= maxAddresses {
			clear(d.tries) // the limit for all of them remains
		}
		l = perMinute(triesPerMinute)
		d.tries[from] = l
	}
	now := d.now()
	return l.AllowN(now, 1) && d.all.AllowN(now, 1)
}

// Enter lets in who knows a password. Whether there is somebody of that name
// shows neither in the answer nor in its time.
func (d *Desk) Enter(from netip.Addr, name, password string) (token string, s Session, err error) {
	if !d.may(from) {
		return "", s, ErrTooOften
	}
	all, err := d.operators.List()
	if err != nil {
		return "", s, err
	}
	found := Operator{Hash: d.dummy}
	for _, o := range all {
		if o.Name == name {
			found = o
		}
	}
	d.slots <- struct{}{}
	ok, err := verify(found.Hash, password)
	<-d.slots
	if err != nil {
		return "", s, fmt.Errorf("looking at the password of %s: %w", name, err)
	}
	if !ok || found.Name == "" || password == "" {
		return "", s, ErrWrong
	}
	return d.begin(found.Name, found.Role)
}

// Redeem lets in who has the one-time link.
func (d *Desk) Redeem(from netip.Addr, token string) (string, Session, error) {
	if !d.may(from) {
		return "", Session{}, ErrTooOften
	}
	sum := sha256.Sum256([]byte(token))
	d.mu.Lock()
	ok := d.now().Before(d.linkEnds) && subtle.ConstantTimeCompare(sum[:], d.link[:]) == 1
	if ok {
		d.linkEnds = time.Time{}
	}
	d.mu.Unlock()
	if !ok {
		return "", Session{}, ErrLink
	}
	return d.begin("one-time-link", Admin)
}

func (d *Desk) begin(name string, role Role) (token string, s Session, err error) {
	token = rand.Text()
	now := d.now()
	s = Session{Name: name, Role: role, Expires: now.Add(sessionLife)}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, v := range d.sessions {
		if !v.valid(now) {
			delete(d.sessions, key)
		}
	}
	if len(d.sessions) >= maxSessions {
		return "", s, errors.New("too many people are logged in")
	}
	d.sessions[sha256.Sum256([]byte(token))] = &visit{Session: s, seen: now}
	return token, s, nil
}

func (v *visit) valid(now time.Time) bool {
	return now.Before(v.Expires) && now.Sub(v.seen) < sessionIdle
}

// Who is logged in with a token. The role is that of the file now, so that
// an operator who is removed or becomes a viewer is so at once.
func (d *Desk) Who(token string) (Session, bool) {
	if token == "" {
		return Session{}, false
	}
	d.mu.Lock()
	v, ok := d.sessions[sha256.Sum256([]byte(token))]
	now := d.now()
	if !ok || !v.valid(now) {
		d.mu.Unlock()
		return Session{}, false
	}
	v.seen = now
	s := v.Session
	d.mu.Unlock()
	if s.Name == "one-time-link" {
		return s, true
	}
	all, err := d.operators.List()
	if err != nil {
		return Session{}, false
	}
	for _, o := range all {
		if o.Name == s.Name {
			s.Role = o.Role
			return s, true
		}
	}
	return Session{}, false
}

// Leave ends a session.
func (d *Desk) Leave(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, sha256.Sum256([]byte(token)))
}
