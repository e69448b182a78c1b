package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/image"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/login"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/syslog"
	"github.com/rackseed/rackseed/pkg/tftp"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/web"
)

// daemon is `rackseed serve`: every socket is open before the first server
// starts, and every goroutine belongs to one group that run waits for.
type daemon struct {
	core    *core
	opts    serveOptions
	log     *slog.Logger
	loaders bootFiles
	look    lookFunc    // finds other DHCP servers; nil where there can be none
	ready   func()      // called once everything answers; nil is allowed
	choose  chan string // takes the interface that is to be served; nil where one is

	links     []link
	mode      site.DHCPMode
	dhcp      *dhcp.Server // nil when DHCP is off
	tftp      []*tftp.Listener
	machine   []net.Listener
	operator  []net.Listener
	sightings chan site.Body // StrangerSeen and NodeSeen
	jobs      *job.Runner
	consoles  consoles
	desk      *login.Desk  // lets operators in; nil where only this machine asks
	wire      wire         // what is heard of other DHCP servers
	note      atomic.Value // string: why DHCP is silent, if it is
	linkNote  atomic.Value // string: why an interface is, if one is
	kept      keptPlan     // why the plan of --plan is not in force, if it is not
	observer  *observer
	syslog    *syslog.Receiver // nil when it is off, or its port is taken
}

// bootFiles are the first-stage loaders.
type bootFiles interface {
	Lookup(name string) ([]byte, bool)
	Missing() []string
}

// run reads as the story of a start: the plan, the sockets, the servers, and
// only then, once nobody else was heard, the first DHCP answer.
func (d *daemon) run(ctx context.Context) error {
	return d.core.write(ctx, func(ctx context.Context) error {
		if err := d.applyPlan(ctx); err != nil {
			return err
		}
		if err := d.prepare(); err != nil {
			return err
		}
		defer d.closeSockets()
		if err := d.openSockets(ctx); err != nil {
			return err
		}
		defer d.openProbers(ctx)()
		group, ctx := errgroup.WithContext(ctx)
		if err := d.startJobs(ctx, group); err != nil {
			return err
		}
		d.startServers(ctx, group)
		group.Go(func() error { return d.watchForServers(ctx) })
		group.Go(func() error { return d.watchLinks(ctx) })
		group.Go(func() error { return d.serveDHCP(ctx) })
		group.Go(func() error { return d.waitForWire(ctx) })
		group.Go(func() error { return d.expire(ctx) })
		group.Go(func() error { return d.keepAnswers(ctx) })
		group.Go(func() error { return d.recordSightings(ctx) })
		group.Go(func() error { return d.tellWebhooks(ctx) })
		group.Go(func() error { return d.core.metrics.Run(ctx, d.core.ledger) })
		group.Go(func() error { return d.core.recordLog(ctx) })
		group.Go(func() error { return d.serveSyslog(ctx) })
		group.Go(func() error { return d.observer.tally.run(ctx, d.core.ledger.Now) })
		return group.Wait()
	})
}

// applyPlan puts the plan of --plan in force before anything is served.
func (d *daemon) applyPlan(ctx context.Context) error {
	if d.opts.plan == "" {
		return nil
	}
	data, err := readPlanFile(d.opts.plan)
	if err != nil {
		return err
	}
	result, text := checkPlan(d.opts.plan, data)
	if hasErrors(result.Findings) {
		return usageError("the plan is not usable; nothing is served:\n%s", strings.Join(text, "\n"))
	}
	profiles, err := siteProfiles(d.opts.plan)
	if err != nil {
		return err
	}
	plan, digest, _ := readPlan(offlineChecker(), d.opts.plan, data, profiles)
	plan.Access.Root = d.core.box.Seal(plan.Access.Root)
	_, err = d.core.ledger.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		bodies := site.Diff(s, plan, digest, operatorName())
		return bodies, api.MayApply(s, plan, bodies)
	})
	if refusal := install.Refusal(""); errors.As(err, &refusal) {
		d.keepPlan(refusal)
		return nil
	}
	if err != nil {
		return fmt.Errorf("recording the plan: %w", err)
	}
	return d.core.plans().Keep(digest, string(data))
}

// keepPlan goes on with the plan of the log: a daemon that does not start
// leaves the machines that are being installed alone.
func (d *daemon) keepPlan(why install.Refusal) {
	d.log.Error("the plan of --plan is NOT in force: the one that was in force before is served", "why", why, "then", "rackseed plan apply "+shellWord(d.opts.plan))
	d.kept = keptPlan{seq: d.core.ledger.State().PlanSeq, why: fmt.Sprintf("%s is not in force, the plan from before is: %s; then `rackseed plan apply %s`", d.opts.plan, why, shellWord(d.opts.plan))}
}

// keptPlan is why the plan of --plan was not put in force. It is over as soon
// as another plan is.
type keptPlan struct {
	seq uint64
	why string
}

func (k keptPlan) at(s *site.State) string {
	if s.PlanSeq != k.seq {
		return ""
	}
	return k.why
}

// prepare decides where and how to serve. Without a word from the operator
// or the plan it is proxy mode, which gives no address to anybody.
func (d *daemon) prepare() error {
	settings := &d.core.ledger.State().Settings
	d.mode = settings.Provision.DHCP
	if d.opts.dhcp != "" {
		d.mode = site.DHCPMode(d.opts.dhcp)
	}
	switch d.mode {
	case "":
		d.mode = site.DHCPProxy
	case site.DHCPServer, site.DHCPProxy, site.DHCPOff:
	default:
		return usageError("--dhcp is server, proxy or off, not %q", d.opts.dhcp)
	}
	if missing := d.loaders.Missing(); len(missing) > 0 {
		d.log.Warn("some boot loaders are missing; machines that need them cannot boot: `rackseed doctor` says how to get them", "missing", strings.Join(missing, " "))
	}
	if err := d.checkOwnLAN(); err != nil {
		return err
	}
	d.sightings = make(chan site.Body, 256)
	d.note.Store("")
	d.linkNote.Store("")
	d.observer = newObserver(d.core, d.mode)
	if d.links != nil {
		return nil
	}
	var err error
	d.links, err = chooseLinks(d.opts.interfaces, settings)
	return err
}

// openSockets opens every port, so that a busy one is an error at once.
func (d *daemon) openSockets(ctx context.Context) error {
	for _, l := range d.links {
		t, err := tftp.Listen(ctx, netip.AddrPortFrom(l.addr, d.opts.tftpPort), l.name)
		if err != nil {
			return holderOf(err, "udp", int(d.opts.tftpPort))
		}
		d.tftp = append(d.tftp, t)
		at := netip.AddrPortFrom(l.addr, d.opts.httpPort)
		m, err := image.Listen(ctx, at.String())
		if err != nil {
			return holderOf(fmt.Errorf("opening the HTTP port of the machine side: %w; choose another with --http-port", err), "tcp", int(d.opts.httpPort))
		}
		d.machine = append(d.machine, m)
	}
	if err := d.openOperator(ctx); err != nil {
		return err
	}
	if err := d.openSyslog(ctx); err != nil {
		return err
	}
	if d.mode == site.DHCPOff {
		return nil
	}
	d.dhcp = d.newDHCP()
	if err := d.dhcp.Listen(ctx); err != nil {
		return holderOf(err, "udp", d.opts.dhcpPort)
	}
	return nil
}

// openOperator opens the socket of the CLI and the page. The log is locked by
// now, so a socket that is still there belongs to nobody.
func (d *daemon) openOperator(ctx context.Context) error {
	socket := (&globals{state: d.opts.state}).socket()
	if d.opts.state != "" {
		_ = os.Remove(socket) // if it cannot be removed, listening says so
		l, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
		if err != nil {
			return fmt.Errorf("opening the daemon's socket: %w", err)
		}
		d.operator = append(d.operator, l)
		if err := os.Chmod(socket, 0o600); err != nil {
			return fmt.Errorf("protecting the daemon's socket: %w", err)
		}
	}
	if d.opts.operator == "" {
		return nil
	}
	at, err := netip.ParseAddrPort(d.opts.operator)
	if err != nil {
		return usageError("--operator %s: write ADDRESS:PORT, such as 127.0.0.1:8090; anything but loopback gets TLS and a login", d.opts.operator)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.opts.operator)
	if err != nil {
		return holderOf(fmt.Errorf("opening the operator port: %w; choose another with --operator, or none with --operator ''", err), "tcp", int(at.Port()))
	}
	d.operator = append(d.operator, l)
	return d.openGate(at)
}

func (d *daemon) closeSockets() {
	for _, l := range append(d.machine, d.operator...) {
		_ = l.Close() // the server that owned it has closed it already, or never started
	}
	for _, t := range d.tftp {
		_ = t.Close() // likewise
	}
	if d.syslog != nil {
		d.syslog.Close() // likewise
	}
}

func (d *daemon) startJobs(ctx context.Context, group *errgroup.Group) error {
	dial, err := dialerOf(d.opts.bmcCA)
	if err != nil {
		return err
	}
	d.consoles = d.core.consoleRecorder()
	d.core.outlook = outlook{boot: d.core.booted, image: d.media, fetches: d.fetches, record: d.consoles.during}
	d.jobs = d.core.jobRunner(true, dial, d.opts.pace, d.server().Addr)
	group.Go(func() error { return d.jobs.Run(ctx) })
	group.Go(func() error { return d.consoles.Run(ctx) })
	return nil
}

func (d *daemon) startServers(ctx context.Context, group *errgroup.Group) {
	files := &tftp.Server{Open: d.openBootFile, Log: d.log, Observe: d.observeTFTP, Tap: d.observer.tftpPacket}
	for _, l := range d.tftp {
		group.Go(func() error { return files.Serve(ctx, l) })
	}
	machine := d.core.machineSide(d.loaders.Lookup, d.opts.pace, d.neighbours(), d.observeHTTP).Handler()
	machine = d.countHTTP(d.observer.watch(machine))
	for _, l := range d.machine {
		group.Go(func() error { return serveHTTP(ctx, l, machine, d.log) })
	}
	x := &explainer{server: d.server(), mode: d.mode, syslog: d.core.composer.Syslog}
	side := d.core.operatorSide(d.serving, x)
	side.Doctor, side.ChooseWire = d.doctor, d.chooseWire
	side.ResumeDHCP = d.resume
	side.Page, side.Jobs = web.Handler(), d.jobs
	side.Consoles = d.consoles
	for _, l := range d.operator {
		h := d.guard(l, side.Handler())
		group.Go(func() error { return serveHTTP(ctx, l, h, d.log) })
	}
	d.log.Info("serving", "site", d.core.ledger.State().Settings.Site, "dhcp", d.mode, "http", x.server.HTTP, "page", d.page(), "nodes", d.core.ledger.State().Len())
}

func (d *daemon) page() string {
	if d.opts.operator == "" {
		return ""
	}
	scheme := "http://"
	if d.desk != nil {
		scheme = "https://"
	}
	return scheme + d.operator[len(d.operator)-1].Addr().String() + "/"
}

// server is this daemon as the first interface's machines reach it.
func (d *daemon) server() ipxe.Server {
	at := d.machine[0].Addr().(*net.TCPAddr).AddrPort()
	return ipxe.Server{Addr: at.Addr().Unmap(), HTTP: api.BaseURL(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))}
}

func (d *daemon) serving() view.Serving {
	s := view.Serving{DHCP: d.mode, HTTP: d.server().HTTP, Note: d.silence(), Links: d.ownLinks(), Waiting: d.choose != nil, Plan: d.kept.at(d.core.ledger.State())}
	for _, l := range d.links {
		s.Interfaces = append(s.Interfaces, orElse(l.name, l.addr.String()))
	}
	return s
}

// neighbours are asked only where another server gives out the addresses.
func (d *daemon) neighbours() neighbours {
	if d.mode == site.DHCPServer {
		return nil
	}
	return kernelNeighbours
}

// openBootFile is what TFTP hands out: the loaders, and the script that iPXE
// looks for beside itself. A folder in front of a name is ignored, since
// firmware and iPXE put there what they please.
func (d *daemon) openBootFile(_ context.Context, r tftp.Request) (tftp.File, error) {
	name := path.Base(r.Name)
	data, ok := d.loaders.Lookup(name)
	if name == ipxe.AutoexecName {
		at := netip.AddrPortFrom(r.Local, d.server().Port())
		data, ok = []byte(ipxe.Bootstrap(ipxe.Server{Addr: r.Local, HTTP: api.BaseURL(at)})), true
	}
	if !ok {
		return tftp.File{}, tftp.ErrNotFound
	}
	return tftp.File{Content: bytes.NewReader(data), Size: int64(len(data))}, nil
}

// expire ends what took too long. It looks at the state first: a quiet site
// writes nothing. While the laptop slept no machine could report, so what it
// missed is forgiven.
func (d *daemon) expire(ctx context.Context) error {
	tick := time.NewTicker(max(d.opts.pace.Of(time.Second), 20*time.Millisecond))
	defer tick.Stop()
	awake := d.core.ledger.Now()
	for last := awake; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := d.core.ledger.Now()
		if now.Sub(last) > slept {
			d.log.Warn("this computer slept, or its clock was set; deadlines are overlooked for a while", "for", now.Sub(last))
			awake = now
		}
		last = now
		if len(d.opts.pace.Expire(d.core.ledger.State(), now, awake)) == 0 {
			continue
		}
		_, err := d.core.ledger.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
			return d.opts.pace.Expire(s, now, awake), nil
		})
		if err != nil && ctx.Err() == nil {
			d.log.Error("deadlines could not be recorded", "error", err)
		}
	}
}

// slept is how late a second may be before it counts as sleep.
const slept = 30 * time.Second

func (d *daemon) observeHTTP(s api.Served) {
	d.observer.http(s)
	d.log.Info("http", "served", s.What, "name", s.Name, "node", s.Node, "client", s.Addr, "why", s.Why)
}

// maxHeader is far above what browsers, firmware and installers send. With
// the library's megabyte, a hundred clients that never end their request take
// more memory than a rack that boots.
const maxHeader = 16 << 10

// serveHTTP serves a listener until ctx ends, then gives running answers a
// moment to finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	// There is no WriteTimeout: an ISO takes as long as it takes. The image
	// handler cuts readers that stall.
	server := &http.Server{Handler: h, ReadHeaderTimeout: 20 * time.Second, MaxHeaderBytes: maxHeader, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: image.ConnContext}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		_ = server.Close() // whoever still reads is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP on %s: %w", l.Addr(), err)
	}
	return nil
}

var errForeign = errors.New("another DHCP server answers here")
