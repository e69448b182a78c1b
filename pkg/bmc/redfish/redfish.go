// Package redfish is the bmc.Driver for BMCs that speak Redfish (DMTF
// DSP0266), over gofish. Resources are found by their links, never by their
// paths, and every setting has more than one way to be told: the standard's
// first, then those that a recipe knows for the make.
package redfish

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// Options are how patient the driver is, and whom it trusts. The zero value
// is for BMCs with certificates of their own making.
type Options struct {
	CA      *x509.CertPool // verifies the certificate; nil pins the one that is shown first
	Connect time.Duration  // for TCP; zero means 5 s
	Timeout time.Duration  // for one request; zero means 30 s
	Task    time.Duration  // for a task to end; zero means 60 s
	Media   time.Duration  // until a medium is in; zero means 60 s
	Poll    time.Duration  // between two looks at a task or a medium; zero means 1 s
	Recipes *recipe.Book   // nil means the built-in ones
}

func (o Options) withDefaults() (Options, error) {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Connect, 5*time.Second)
	set(&o.Timeout, 30*time.Second)
	set(&o.Task, time.Minute)
	set(&o.Media, time.Minute)
	set(&o.Poll, time.Second)
	if o.Recipes == nil {
		book, err := recipe.Builtin()
		if err != nil {
			return o, err
		}
		o.Recipes = book
	}
	return o, nil
}

// NewDialer has Dial with its options.
func NewDialer(o Options) bmc.Dialer {
	return func(ctx context.Context, t bmc.Target) (bmc.Driver, error) { return Dial(ctx, t, o) }
}

type driver struct {
	options Options
	target  bmc.Target
	base    string // scheme://host
	wanted  string // path of the system, if the address names one
	secrets []string

	transport *http.Transport
	trust     *trust
	carrier   *carrier
	client    *gofish.APIClient

	root     serviceRoot
	session  string // path, to log out; empty without one
	found    links
	known    bmc.Known
	seen     *glance      // until it is used
	alone    bool         // the BMC has one system
	settings bool         // the boot override was told to the settings resource
	ordered  bool         // the boot device was told by the boot order
	names    []bootOption // nil until they were read
}

// Dial logs in, and finds the system that the BMC is of.
func Dial(ctx context.Context, t bmc.Target, o Options) (bmc.Driver, error) {
	d, err := newDriver(t, o)
	if err != nil {
		return nil, err
	}
	if err := d.open(ctx); err != nil {
		// Whoever has no driver cannot close it.
		_ = d.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("%s by Redfish: %w", t.Address, err)
	}
	return d, nil
}

func newDriver(t bmc.Target, o Options) (*driver, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	base, path, err := endpoint(t.Address)
	if err != nil {
		return nil, err
	}
	d := &driver{options: o, target: t, base: base, wanted: path, known: t.Known}
	d.hide(t.Password.Reveal())
	d.trust = &trust{options: o, pin: strings.ToLower(t.Known.Certificate)}
	d.transport = newTransport(d.trust, o)
	d.carrier = &carrier{next: d.transport, timeout: o.Timeout}
	return d, nil
}

// enter reads the service root and logs in.
func (d *driver) enter(ctx context.Context) error {
	err := d.connect(ctx)
	if status(err) == http.StatusUnauthorized && d.target.Username != "" {
		// The root is for everybody (DSP0266, 13.2); some emulators lock it.
		d.basic()
		err = d.connect(ctx)
	}
	if err != nil {
		return err
	}
	if err := d.login(ctx); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	return nil
}

func (d *driver) open(ctx context.Context) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	d.known.Protocol = bmc.Redfish
	if seen := d.trust.fingerprint(); seen != "" {
		d.known.Certificate = seen
	}
	if d.target.PasswordOnly {
		return nil
	}
	if err := d.findSystem(ctx); err != nil {
		return err
	}
	if d.known.Manufacturer == "" && d.known.Model == "" || d.known.Firmware == "" && d.options.Recipes.AsksFirmware(d.machine()) {
		return d.identify(ctx)
	}
	return nil
}

type serviceRoot struct {
	RedfishVersion string
	Vendor         string
	Product        string
	Systems        common.Link
	Managers       common.Link
	Chassis        common.Link
	AccountService common.Link
	SessionService common.Link
	Links          struct {
		Sessions common.Link
	}
	Oem struct {
		Huawei json.RawMessage
	}
	ProtocolFeaturesSupported struct {
		ExpandQuery struct {
			NoLinks bool
		}
	}
}

// connect has gofish read the service root, which needs no login.
func (d *driver) connect(ctx context.Context) error {
	keep := &keeper{next: d.carrier}
	err := d.persist(ctx, http.MethodGet, func() error {
		err := d.carrier.during(ctx, func() error {
			client, err := gofish.ConnectContext(context.WithoutCancel(ctx), gofish.ClientConfig{
				Endpoint:   d.base,
				HTTPClient: &http.Client{Transport: keep, CheckRedirect: notElsewhere},
			})
			d.client = client
			return err
		})
		return d.fault(ctx, http.MethodGet, common.DefaultServiceRoot, err)
	})
	if err != nil {
		if status(err) == 0 && !errors.Is(err, bmc.ErrCertificate) && !errors.Is(err, bmc.ErrUntrusted) &&
			!errors.Is(err, bmc.ErrUnreachable) && !errors.Is(err, bmc.ErrNoTLS) && !errors.Is(err, errWantsTLS) && !errors.Is(err, context.Canceled) {
			// It has a web server, and not this one.
			return fmt.Errorf("%w: %w", err, bmc.ErrUnsupported)
		}
		return err
	}
	d.client.HTTPClient.Transport = d.carrier
	if err := decode(keep.body, &d.root); err != nil {
		return fmt.Errorf("reading the service root: %w: %w", err, bmc.ErrUnsupported) // a web server of another kind
	}
	if d.root.Systems == "" {
		return fmt.Errorf("the service root has no Systems: %w", bmc.ErrUnsupported)
	}
	return nil
}

// login opens a session, or falls back to signing every request where a
// service has none.
func (d *driver) login(ctx context.Context) error {
	d.session = ""
	d.carrier.authorize(authorization{})
	if d.target.Username == "" {
		return nil
	}
	sessions, err := d.sessions(ctx)
	if err != nil {
		return err
	}
	if sessions == "" {
		d.basic()
		return nil
	}
	a, err := d.signIn(ctx, sessions)
	if err != nil {
		if errors.Is(err, bmc.ErrUnsupported) {
			d.basic()
			return nil
		}
		return err
	}
	if d.session = a.location; d.session == "" {
		// The place of the session is in the header, or only in the body.
		var made struct {
			Path string `json:"@odata.id"`
		}
		_ = decode(a.body, &made)
		d.session = made.Path
	}
	if a.token == "" {
		d.basic()
		return nil
	}
	d.hide(a.token)
	d.carrier.authorize(authorization{token: a.token})
	return nil
}

// signIn asks for a session. An iBMC takes the standard's request for a wrong
// password unless it is told where the account is (2288H V5, iBMC 6.41); one
// that does not know the member says so, and no password was tried.
func (d *driver) signIn(ctx context.Context, sessions string) (answer, error) {
	body := map[string]any{"UserName": d.target.Username, "Password": d.target.Password.Reveal()}
	if len(d.root.Oem.Huawei) > 0 {
		body["Oem"] = map[string]any{"Huawei": map[string]any{"Domain": "LocaliBMC"}}
	}
	var a answer
	ask := func() error {
		var err error
		a, err = d.once(ctx, http.MethodPost, sessions, body, nil)
		return err
	}
	err := d.persist(ctx, http.MethodPost, ask)
	if _, told := body["Oem"]; told && status(err) == http.StatusBadRequest {
		delete(body, "Oem")
		err = d.persist(ctx, http.MethodPost, ask)
	}
	return a, err
}

func (d *driver) sessions(ctx context.Context) (string, error) {
	if d.root.Links.Sessions != "" || d.root.SessionService == "" {
		return d.root.Links.Sessions.String(), nil
	}
	var service struct{ Sessions common.Link }
	if _, err := d.get(ctx, d.root.SessionService.String(), &service); err != nil && !errors.Is(err, bmc.ErrUnsupported) && !errors.Is(err, bmc.ErrLogin) {
		return "", err
	}
	return service.Sessions.String(), nil
}

func (d *driver) basic() {
	d.carrier.authorize(authorization{username: d.target.Username, password: d.target.Password.Reveal()})
}

// Known is what a later Dial may be given.
func (d *driver) Known() bmc.Known { return d.known }

// Close logs out. It does so even when ctx is done, for a moment: a BMC has
// four sessions or so, and keeps one that is left for half an hour.
func (d *driver) Close(ctx context.Context) error {
	defer d.transport.CloseIdleConnections()
	if d.session == "" || d.client == nil {
		return nil
	}
	session := d.session
	d.session = ""
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(d.options.Timeout, 10*time.Second))
	defer cancel()
	err := d.persist(ctx, http.MethodDelete, func() error {
		_, err := d.once(ctx, http.MethodDelete, session, nil, nil)
		return err
	})
	d.carrier.authorize(authorization{})
	if err != nil && (status(err) == http.StatusNotFound || status(err) == http.StatusUnauthorized) {
		return nil // it is gone, which is what was wanted
	}
	if err != nil {
		return fmt.Errorf("logging out: %w", err)
	}
	return nil
}

// keeper keeps the first reply, which gofish reads and does not hand on. gofish
// gets an empty one: it would stumble over a member of another type than the
// schema's, and needs none of them.
type keeper struct {
	next http.RoundTripper
	body []byte
}

func (k *keeper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := k.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusOK {
		k.body, err = replay(resp)
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader("{}")), 2
	}
	return resp, err
}

// decode takes what it can: a member of another type than the schema's is
// left at its zero value, because firmware has such members.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return nil
	}
	return err
}
