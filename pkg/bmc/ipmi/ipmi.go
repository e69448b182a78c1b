// Package ipmi speaks IPMI 2.0 over RMCP+ with a BMC. Sections and tables in
// its comments are those of the IPMI 2.0 specification, revision 1.1.
package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// Port is where a BMC listens unless the target says otherwise.
const Port = 623

// Options are how patient a driver is.
type Options struct {
	Timeout time.Duration // of one try; zero means 2 s
	Tries   int           // of a request; zero means 4
	Idle    time.Duration // after which it logs in again, as BMCs end idle sessions after 60 s; zero means 45 s
	Recipes *recipe.Book  // nil means the built-in ones
	Shy     bool          // a console that somebody else has open is not taken over
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Tries == 0 {
		o.Tries = 4
	}
	if o.Idle == 0 {
		o.Idle = 45 * time.Second
	}
	return o
}

// recipes are read when they are asked for: reading them takes longer than
// asking a rack for its power.
func (o Options) recipes() (*recipe.Book, error) {
	if o.Recipes != nil {
		return o.Recipes, nil
	}
	return recipe.Builtin()
}

// driver is a login to one BMC. Its methods wait for one another, because a
// session has one request under way at a time; the wait ends with the context.
type driver struct {
	account account
	options Options
	turn    chan struct{} // holds a token while nobody has the session
	session *session      // nil after Close and after a failed login
	known   bmc.Known
	told    bmc.Boot // by SetBoot, last
	closed  bool

	mu      sync.Mutex
	console *console // that is open, or nil
}

var errClosed = errors.New("the session is closed")

// Dial logs in to a BMC with cipher suite 17 or 3, and finds out its make.
func Dial(ctx context.Context, t bmc.Target, o Options) (bmc.Driver, error) {
	o = o.withDefaults()
	address, err := hostPort(t.Address)
	if err != nil {
		return nil, err
	}
	if len(t.Password.Reveal()) > maxPassword {
		return nil, fmt.Errorf("logging in to %s: %w: IPMI takes passwords of %d bytes at most, and the one given is longer", address, bmc.ErrLogin, maxPassword)
	}
	d := &driver{
		account: account{address: address, user: t.Username, suite: t.Known.CipherSuite, password: t.Password.Reveal},
		options: o,
		turn:    make(chan struct{}, 1),
		known:   t.Known,
	}
	d.turn <- struct{}{}
	if err := d.login(ctx); err != nil {
		return nil, err
	}
	// One that is known is not asked again, except for its inventory.
	if t.Known.Protocol == bmc.IPMI && t.Known.Firmware != "" {
		return d, nil
	}
	if err := d.identify(ctx); err != nil {
		_ = d.Close(ctx)
		return nil, err
	}
	return d, nil
}

// hostPort reads HOST, HOST:PORT or a URL, whose port is another service's.
func hostPort(address string) (string, error) {
	host, port := address, strconv.Itoa(Port)
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			return "", fmt.Errorf("BMC address %q is not HOST, HOST:PORT or a URL", address)
		}
		return net.JoinHostPort(u.Hostname(), port), nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), port), nil
	}
	if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	} else if strings.Contains(address, ":") {
		host = ""
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" || strings.Contains(host, "/") {
		return "", fmt.Errorf("BMC address %q is not HOST, HOST:PORT or a URL", address)
	}
	return net.JoinHostPort(host, port), nil
}

func (d *driver) login(ctx context.Context) error {
	s, err := open(ctx, d.account, pace{timeout: d.options.Timeout, tries: d.options.Tries})
	if err != nil {
		return err
	}
	d.session = s
	d.account.suite = s.suite
	d.known.Protocol, d.known.CipherSuite = bmc.IPMI, s.suite
	return nil
}

// use runs f with a session, which is opened anew if it was idle for long.
func (d *driver) use(ctx context.Context, f func(*session) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer d.give()
	return f(d.session)
}

func (d *driver) take(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for the session: %w", ctx.Err())
	case <-d.turn:
	}
	err := d.ready(ctx)
	if err != nil {
		d.give()
	}
	return err
}

func (d *driver) give() { d.turn <- struct{}{} }

func (d *driver) ready(ctx context.Context) error {
	if d.closed {
		return errClosed
	}
	if d.session != nil && time.Since(d.session.used) > d.options.Idle {
		d.session.close(ctx)
		d.session = nil
	}
	if d.session == nil {
		return d.login(ctx)
	}
	return nil
}

// Known is what was found out about the BMC.
func (d *driver) Known() bmc.Known { return d.known }

// identify reads the device id (section 20.1), which tells the maker.
func (d *driver) identify(ctx context.Context) error {
	return d.use(ctx, func(s *session) error {
		var id app.GetDeviceIDResponse
		if err := s.do(ctx, &app.GetDeviceIDRequest{}, &id); err != nil {
			return err
		}
		d.known.Firmware = fmt.Sprintf("%d.%02d", id.MajorFirmwareRevision, id.MinorFirmwareRevision)
		if d.known.Manufacturer == "" {
			d.known.Manufacturer = maker(id.ManufacturerID)
		}
		return nil
	})
}

// maker is the name of an IANA enterprise number, or nothing.
func maker(id uint32) string {
	name := types.OEM(id).String()
	if strings.EqualFold(name, "unknown") || id == 0 {
		return ""
	}
	return name
}

// Power reads the chassis status (section 28.2).
func (d *driver) Power(ctx context.Context) (bmc.PowerState, error) {
	state := bmc.PowerUnknown
	err := d.use(ctx, func(s *session) error {
		var status chassis.GetChassisStatusResponse
		if err := s.do(ctx, &chassis.GetChassisStatusRequest{}, &status); err != nil {
			return err
		}
		state = bmc.PowerOff
		if status.PowerIsOn {
			state = bmc.PowerOn
		}
		return nil
	})
	return state, err
}

var controls = map[bmc.PowerAction]chassis.ChassisControl{
	bmc.ActionOn:    chassis.ChassisControlPowerUp,
	bmc.ActionOff:   chassis.ChassisControlPowerDown,
	bmc.ActionSoft:  chassis.ChassisControlSoftShutdown,
	bmc.ActionCycle: chassis.ChassisControlPowerCycle,
	bmc.ActionReset: chassis.ChassisControlHardReset,
}

// SetPower sends Chassis Control (section 28.3). What must not be done twice
// is not asked twice, even if the network loses the answer.
func (d *driver) SetPower(ctx context.Context, action bmc.PowerAction) error {
	control, ok := controls[action]
	if !ok {
		return fmt.Errorf("power %s: %w", action, bmc.ErrUnsupported)
	}
	return d.use(ctx, func(s *session) error {
		send := s.once
		if action == bmc.ActionOn || action == bmc.ActionOff {
			send = s.do
		}
		return send(ctx, &chassis.ChassisControlRequest{ChassisControl: control}, &chassis.ChassisControlResponse{})
	})
}

// Firmware settings are not part of IPMI.
func (d *driver) Firmware(context.Context) (bmc.FirmwareSettings, error) {
	return bmc.FirmwareSettings{}, redfishOnly("BIOS settings")
}

// SetFirmware is not part of IPMI.
func (d *driver) SetFirmware(context.Context, map[string]any) error {
	return redfishOnly("BIOS settings")
}

// Media is not part of IPMI.
func (d *driver) Media(context.Context) (bmc.Media, error) {
	return bmc.Media{}, redfishOnly("virtual media")
}

// InsertMedia is not part of IPMI.
func (d *driver) InsertMedia(context.Context, string) error { return redfishOnly("virtual media") }

// EjectMedia is not part of IPMI.
func (d *driver) EjectMedia(context.Context) error { return redfishOnly("virtual media") }

func redfishOnly(what string) error {
	return fmt.Errorf("%s by IPMI: %w: it takes Redfish", what, bmc.ErrUnsupported)
}

// Close ends an open console and logs out.
func (d *driver) Close(ctx context.Context) error {
	if c := d.openConsole(); c != nil {
		_ = c.Close()
	}
	<-d.turn
	defer d.give()
	if d.session != nil {
		d.session.close(ctx)
		d.session = nil
	}
	d.closed = true
	return nil
}

func (d *driver) openConsole() *console {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.console
}

func (d *driver) setOpen(c *console) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.console = c
}
