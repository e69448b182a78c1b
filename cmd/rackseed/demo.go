package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// The demo's network. Linux lets every address of 127.0.0.0/8 be used
// without asking, so each simulated machine speaks from an address of its
// own, and the daemon tells them apart as it would on a site.
const (
	demoServer   = "127.20.0.1"
	demoRelay    = "127.20.0.2"
	demoFirst    = "127.20.1.1"
	demoFirstBMC = "127.20.128.1"
	demoPassword = "rackseed" // of the simulated BMCs
	demoRack     = 12         // machines in each rack, two units high
)

type demoOptions struct {
	nodes  int
	speed  float64
	faults []string
	exit   bool
	json   bool
}

func newDemoCommand(g *globals) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use: "demo", Short: "A simulated rack goes from power-off to ready while you watch", Args: cobra.NoArgs,
		Long: `Run the daemon and a rack of simulated machines on loopback: real DHCP, TFTP, HTTP and Redfish through
the real servers, without root, a network or a configuration. The rack is installed as ` + "`rackseed install all`" + `
does it: the first machine is the canary, its BMC boots it from the network, and once it is ready the
others follow. Ends with ctrl-C, or with --exit when the job has ended; the exit status says whether every
machine became ready that should have, and whether the others failed for the right reason.

Faults of machines that become ready all the same:
  ` + demoFaultNames(true) + `
Faults that end an install:
  ` + demoFaultNames(false),
		Example: "  rackseed demo\n  rackseed demo --nodes 40 --fault ambiguous-disk=2 --fault bmc-lies --fault power-cut --exit",
		RunE: func(c *cobra.Command, _ []string) error {
			o.json = g.json
			return runDemo(c, o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.nodes, "nodes", 12, "number of machines, at most 4000")
	f.Float64Var(&o.speed, "speed", 24, "how many times faster than real servers")
	f.StringArrayVar(&o.faults, "fault", nil, "what goes wrong, NAME or NAME=COUNT; may be repeated")
	f.BoolVar(&o.exit, "exit", false, "stop when every machine is where it should be; the exit status says so")
	return c
}

func runDemo(c *cobra.Command, o demoOptions) (err error) {
	faults, err := parseFaults(o.faults)
	if err != nil {
		return err
	}
	if o.nodes < 1 || o.nodes > 4000 || len(faults) > max(o.nodes-1, 0) {
		return usageError("--nodes is 1 to 4000, and above the number of faults: the canary has none")
	}
	if o.speed <= 0 {
		return usageError("--speed is above 0")
	}
	dir, err := os.MkdirTemp("", "rackseed-demo-")
	if err != nil {
		return fmt.Errorf("making the demo's directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rack := sim.Rack(&sim.Site{Speed: o.speed, Log: slog.New(slog.DiscardHandler)}, o.nodes, append([]sim.Fault{sim.NoFault}, faults...))
	bmcs := bmcsim.Behind(rack, bmcsim.Config{
		Password: demoPassword, Transition: o.real(4 * time.Second), Slow: o.real(3 * time.Second),
	})
	front, err := bmcsim.Serve(netip.AddrPortFrom(netip.MustParseAddr(demoFirstBMC), 0), bmcs...)
	if err != nil {
		return err
	}
	defer front.Close()
	plan, password := filepath.Join(dir, "plan.yaml"), filepath.Join(dir, "bmc-password")
	if err := errors.Join(os.WriteFile(password, []byte(demoPassword), 0o600), os.WriteFile(plan, demoPlan(rack, front.Addresses, password), 0o600)); err != nil {
		return fmt.Errorf("writing the demo's plan: %w", err)
	}
	return playDemo(c, o, dir, plan, rack)
}

// real is how long something takes that takes d with real servers.
func (o demoOptions) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / o.speed)
}

// pace makes deadlines short, so that a machine that hangs keeps nobody
// waiting; but not shorter than this computer may need for its part.
func (o demoOptions) pace() install.Pace { return install.Pace(min(max(o.speed*6, 1), 120)) }

// demoFaults are those of machines and of BMCs.
func demoFaults() []sim.Fault { return append(sim.Faults(), bmcsim.Faults()...) }

// demoRecovers reports whether a machine with this fault becomes ready all the
// same, and gives a part of what is said of one that does not.
func demoRecovers(f sim.Fault) (recovers bool, reason string) {
	if slices.Contains(bmcsim.Faults(), f) {
		return bmcsim.Recovers(f), bmcsim.Reason(f)
	}
	return f.Recovers(), f.Reason()
}

func demoFaultNames(wanted bool) string {
	var b strings.Builder
	for _, f := range demoFaults() {
		if recovers, _ := demoRecovers(f); recovers != wanted {
			continue
		}
		line := b.String()[strings.LastIndexByte(b.String(), '\n')+1:]
		switch {
		case b.Len() > 0 && len(line)+len(f) > 90:
			b.WriteString("\n  ")
		case b.Len() > 0:
			b.WriteString(" ")
		}
		b.WriteString(string(f))
	}
	return b.String()
}

func parseFaults(flags []string) ([]sim.Fault, error) {
	var faults []sim.Fault
	for _, text := range flags {
		name, count, counted := strings.Cut(text, "=")
		n := 1
		if counted {
			var err error
			if n, err = strconv.Atoi(count); err != nil || n < 0 {
				return nil, usageError("--fault %s: write NAME=COUNT", text)
			}
		}
		if !slices.Contains(demoFaults(), sim.Fault(name)) {
			return nil, usageError("--fault %s: there is no such fault; there are %v", name, demoFaults())
		}
		for range n {
			faults = append(faults, sim.Fault(name))
		}
	}
	return faults, nil
}

// demoPlan writes the plan that an engineer would.
func demoPlan(rack []*sim.Machine, bmcs []netip.AddrPort, password string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `site: demo
access: {root: locked, ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlbW8gb2YgcmFja3NlZWQsIG5vdCBhIHJlYWwga2V5 demo"]}
provision: {network: provision, dhcp: server}
networks:
  ipmi: {subnet: 127.20.128.0/17}
  provision: {subnet: 127.20.0.0/17, gateway: %[1]s, dns: [%[1]s], ntp: [%[1]s]}
images:
  debian13: {file: demo.iso}
roles:
  base: {profile: base, image: debian13}
bmc: {protocol: redfish, username: admin, password: {file: %[2]q}}
nodes:
`, demoServer, password)
	first := netip.MustParseAddr(demoFirst)
	for i, m := range rack {
		addr, _ := site.AddrAfter(first, i)
		fmt.Fprintf(&b, "  - {name: node-%02d, role: base, rack: A%02d, u: %d, mac: %q, serial: %q, uuid: %q, addresses: {provision: %s}, bmc: {address: %q}}\n",
			i+1, i/demoRack+1, 2*(demoRack-i%demoRack), m.MAC, m.Label, m.UUID, addr, bmcs[i])
	}
	return []byte(b.String())
}

// playDemo runs daemon and rack, and shows what happens.
func playDemo(c *cobra.Command, o demoOptions, dir, plan string, rack []*sim.Machine) error {
	set, err := loaders.Open("")
	if err != nil {
		return fmt.Errorf("opening the boot loaders: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler)
	state, err := openCore(c.Context(), filepath.Join(dir, "state"), quiet)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	d := &daemon{
		core: state, log: quiet, loaders: demoLoaders{set}, links: []link{{addr: netip.MustParseAddr(demoServer)}}, ready: func() { close(ready) },
		opts: serveOptions{state: filepath.Join(dir, "state"), plan: plan, dhcp: string(site.DHCPServer), operator: "127.0.0.1:0", pace: o.pace(), dhcpPort: dhcp.AnyPort, bootPort: dhcp.AnyPort},
	}
	group.Go(func() error { return d.run(ctx) })
	group.Go(func() error {
		defer stop()
		select {
		case <-ready:
			return directDemo(ctx, c, o, d, dir, rack)
		case <-ctx.Done():
			return nil
		}
	})
	return errors.Join(group.Wait(), state.close())
}

// directDemo is the engineer: it adds the medium, arms, switches on, watches.
func directDemo(ctx context.Context, c *cobra.Command, o demoOptions, d *daemon, dir string, rack []*sim.Machine) error {
	cl := client.URL(strings.TrimSuffix(d.page(), "/"))
	medium := filepath.Join(dir, "demo.iso")
	if err := sim.WriteMedium(medium); err != nil {
		return err
	}
	if _, err := cl.AddImage(ctx, view.ImageRequest{File: medium, Name: "debian13"}, func(_, _ int64) {}); err != nil {
		return fmt.Errorf("adding the demo's medium: %w", err)
	}
	relay, err := sim.NewRelay(netip.MustParseAddr(demoRelay), d.dhcp.Addrs()[0])
	if err != nil {
		return err
	}
	at := rack[0].Site
	at.Relay, at.TFTP = relay, d.tftp[0].Addr().Port()
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { sim.PowerOn(ctx, sim.Twins(rack)); return nil })
	group.Go(func() error {
		defer stop()
		started, err := cl.StartJob(ctx, view.JobRequest{Verb: job.Install, Selector: "all", By: "demo", Options: view.JobOptions{Canary: 1, Why: "rackseed demo"}})
		if err != nil {
			return fmt.Errorf("installing the rack: %w", err)
		}
		return showDemo(ctx, c, o, cl, d.page(), started, rack)
	})
	return group.Wait()
}

// demoLoaders lets a binary that was built without loaders run the demo: the
// simulated firmware looks at a loader's size only.
type demoLoaders struct{ set *loaders.Set }

func (l demoLoaders) Lookup(name string) ([]byte, bool) {
	if data, ok := l.set.Lookup(name); ok {
		return data, true
	}
	for _, needed := range l.set.Missing() {
		if needed == name {
			return make([]byte, 300<<10), true
		}
	}
	return nil, false
}

func (demoLoaders) Missing() []string { return nil }

// demoShow tells a person, or a script, how the demo goes.
type demoShow struct {
	board     *demoBoard
	page      string
	out, say  io.Writer // events or board; words
	live      bool      // people look at out
	json      bool
	exit      bool
	concluded bool
}

// showDemo follows the log until the job has ended.
func showDemo(ctx context.Context, c *cobra.Command, o demoOptions, cl *client.Client, page string, started view.Job, rack []*sim.Machine) error {
	s := &demoShow{board: newDemoBoard(started, rack, page, o.speed), page: page, out: c.OutOrStdout(), say: c.OutOrStdout(), json: o.json, exit: o.exit}
	if o.json {
		s.say = c.ErrOrStderr() // the standard output is for events alone
	}
	s.live = isTerminal(s.out) && !o.json
	if !s.live {
		fmt.Fprintf(s.say, "%d simulated machines, %.0f times as fast as real ones; the same on a page: %s\n", len(rack), o.speed, page)
	}
	ctx, stop := context.WithCancel(ctx)
	events := make(chan site.Event)
	var lost error
	var follower sync.WaitGroup
	follower.Go(func() {
		defer close(events)
		lost = forward(ctx, cl, events)
	})
	err := s.run(events)
	stop()
	follower.Wait()
	return cmp.Or(lost, err)
}

// forward sends the log's events until ctx ends.
func forward(ctx context.Context, cl *client.Client, events chan<- site.Event) error {
	for e, err := range cl.Follow(ctx, 0) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (s *demoShow) run(events <-chan site.Event) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return s.board.verdict()
			}
			s.board.apply(e)
			if !s.live {
				if err := printEvents(s.out, oneEvent(e), s.json); err != nil {
					return err
				}
			}
		case <-tick.C:
			if s.live && !s.concluded {
				s.board.draw(s.out)
			}
		}
		if s.board.settled() && !s.concluded {
			if s.conclude(); s.exit {
				return s.board.verdict()
			}
		}
	}
}

// conclude says what came of it. The board below would be drawn over it, so
// it is drawn for the last time.
func (s *demoShow) conclude() {
	s.concluded = true
	if s.live {
		s.board.draw(s.out)
	}
	for _, line := range s.board.summary() {
		fmt.Fprintln(s.say, line)
	}
	if !s.exit {
		fmt.Fprintln(s.say, "The page stays up until ctrl-C:", s.page)
	}
}

func oneEvent(e site.Event) func(func(site.Event, error) bool) {
	return func(yield func(site.Event, error) bool) { yield(e, nil) }
}
