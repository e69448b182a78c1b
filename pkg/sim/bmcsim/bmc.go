package bmcsim

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
)

// Config is one BMC. The zero value of a field is what its comment says.
type Config struct {
	Hardware Hardware    // zero is Server with a serial of its own
	Username string      // "admin"
	Password site.Secret // "rackseed"
	// Machine is what the BMC switches; nil is a machine that starts, asks for
	// its boot device, and does nothing more.
	Machine Machine
	// On is a machine that has power from the beginning.
	On bool
	// Tasks has power and media answered with 202 and a task monitor.
	Tasks bool
	// BootInSettings has the boot override written to the resource that
	// @Redfish.Settings names, as iDRAC10 does; elsewhere it is refused.
	BootInSettings bool
	// MustChangePassword has the BMC refuse everything else first.
	MustChangePassword bool
	// IgnoresACPI is a system that does not hear the power button.
	IgnoresACPI bool
	Sessions    int // 4: how many at once

	Transition  time.Duration // none: how long the chassis takes for on and off
	Shutdown    time.Duration // none: how long the system takes to shut down
	Task        time.Duration // none: how long a task runs
	Slow        time.Duration // 3 s, see FaultSlow
	RevertAfter time.Duration // 2 s, see FaultReverts

	Attributes []Attribute // BIOS settings; nil is DefaultAttributes
	Faults     []sim.Fault
	Now        func() time.Time // time.Now
	Fetch      *http.Client     // fetches virtual media; nil accepts any certificate
}

// BMC is a simulated BMC. It is an http.Handler.
type BMC struct {
	config   Config
	static   map[string]resource
	life     context.Context // until Close
	end      context.CancelFunc
	machines sync.WaitGroup

	mu       sync.Mutex
	faults   []sim.Fault
	requests int
	actions  []string
	booted   []Boot
	set      settings
	before   *settings // what bmc-reverts goes back to
	revertAt time.Time
	bios     map[string]any // in effect
	resetAt  time.Time
	power    power
	sessions []*session
	tasks    []*task
	lastID   int
}

// settings are what a client can change. Power and what it brings into effect
// is not among them.
type settings struct {
	boot     override
	bootNext *override // written, takes effect at the next reset: see Config.BootInSettings
	asset    string
	located  bool
	pending  map[string]any // BIOS attributes for the next reset
	media    []medium
	accounts []account
	timeout  int // of sessions, seconds
}

func (s settings) clone() settings {
	s.boot.Order = slices.Clone(s.boot.Order)
	pending := make(map[string]any, len(s.pending))
	for k, v := range s.pending {
		pending[k] = v
	}
	s.pending = pending
	s.media = slices.Clone(s.media)
	s.accounts = slices.Clone(s.accounts)
	return s
}

// New makes a BMC. Close ends its machine.
func New(c Config) *BMC {
	c = c.withDefaults()
	b := &BMC{config: c, faults: slices.Clone(c.Faults), bios: map[string]any{}}
	b.life, b.end = context.WithCancel(context.Background())
	for _, a := range c.Attributes {
		b.bios[a.Name] = a.Default
	}
	b.set = settings{
		boot: override{Enabled: disabled, Target: "None", Mode: "UEFI", Order: references(c.Hardware)},
		accounts: []account{
			{ID: "1", User: c.Username, Password: c.Password.Reveal(), Role: "Administrator", Enabled: true, MustChange: c.MustChangePassword},
		},
		media:   []medium{{ID: "Cd", Types: []string{"CD", "DVD"}}, {ID: "Usb", Types: []string{"USBStick"}}},
		timeout: 300,
	}
	b.static = b.tree()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.On {
		b.start()
	}
	return b
}

func (c Config) withDefaults() Config {
	if c.Hardware.Serial == "" {
		c.Hardware = identity(0)
	}
	if c.Username == "" {
		c.Username = "admin"
	}
	if c.Password == "" {
		c.Password = "rackseed"
	}
	if c.Machine == nil {
		c.Machine = idle
	}
	if c.Sessions == 0 {
		c.Sessions = 4
	}
	if c.Slow == 0 {
		c.Slow = 3 * time.Second
	}
	if c.RevertAfter == 0 {
		c.RevertAfter = 2 * time.Second
	}
	if c.Attributes == nil {
		c.Attributes = DefaultAttributes()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fetch == nil {
		c.Fetch = anyCertificate()
	}
	return c
}

// idle is a machine that boots once.
func idle(ctx context.Context, next func() Boot) {
	next()
	<-ctx.Done()
}

// Close takes the power away, waits for the machine, and releases clients that
// a fault keeps waiting.
func (b *BMC) Close() {
	b.mu.Lock()
	b.end()
	b.stop()
	b.mu.Unlock()
	b.machines.Wait()
	b.config.Fetch.CloseIdleConnections()
}

// Username and Password are right until a client changes them.
func (b *BMC) Username() string { return b.config.Username }

// Password is the first account's, as configured.
func (b *BMC) Password() site.Secret { return b.config.Password }

// Requests is how many arrived.
func (b *BMC) Requests() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// Actions are the resets that the chassis really did, as Redfish names them,
// oldest first.
func (b *BMC) Actions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.actions)
}

// OpenSessions is how many nobody has logged out of.
func (b *BMC) OpenSessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	return len(b.sessions)
}

// change is how every setting changes: all of it or nothing, and not for long
// if the BMC reverts.
func (b *BMC) change(f func(*settings) *problem) *problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.set.clone()
	if p := f(&s); p != nil {
		return p
	}
	if b.has(FaultLies) {
		return nil
	}
	if b.has(FaultReverts) {
		if b.before == nil {
			before := b.set.clone()
			b.before = &before
		}
		b.revertAt = b.config.Now().Add(b.config.RevertAfter)
	}
	b.set = s
	return nil
}

// settle forgets what a BMC that reverts has kept long enough. It needs the
// lock, and is called before settings are read.
func (b *BMC) settle() {
	if b.before != nil && !b.config.Now().Before(b.revertAt) {
		b.set, b.before = *b.before, nil
	}
}

// Kept is what the BMC has in truth, whatever it said.
type Kept struct {
	Power   string
	Enabled string // of the boot override, in Redfish's words
	Target  string
	First   string         // of the boot order, in the same words
	Pending map[string]any // BIOS attributes that the next reset brings
	Last    string         // that it booted from, in the same words
	// Attributes are those in effect.
	Attributes map[string]any
	Image      string      // of the virtual CD
	Password   site.Secret // of the first account
}

// Kept looks at the BMC past its faults, except that one which reverts has
// reverted if it is time.
func (b *BMC) Kept() Kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	s := b.set.clone()
	return Kept{
		Power: b.state(), Enabled: s.boot.Enabled, Target: s.boot.Target, First: b.firstInOrder(),
		Pending: s.pending, Last: b.last(), Attributes: maps.Clone(b.bios), Image: s.media[0].Image, Password: site.Secret(s.accounts[0].Password),
	}
}
