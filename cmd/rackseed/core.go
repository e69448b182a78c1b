package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/bmc/redfish"
	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/image"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/lint"
	"github.com/rackseed/rackseed/pkg/metrics"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/bolt"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

// core is a state directory that is open: the log, the image library, the
// key. The daemon serves from it; a command without a daemon works on it.
type core struct {
	dir     string
	log     *slog.Logger
	store   store.Log
	ledger  *ledger.Ledger
	box     *seal.Box
	library *image.Library
	flight  *flight.Recorder
	// composer writes answer files as installers get them. There is one, so that
	// what was rendered to arm a machine is not rendered again for its script.
	composer *bootplan.Composer
	visits   *accessLog
	metrics  *metrics.Metrics
	outlook  outlook // of jobs; before the runner is made
}

// openCore opens a state directory, and makes it at first use. It is private
// to its owner: it holds the key and whatever installers send.
func openCore(ctx context.Context, dir string, log *slog.Logger) (*core, error) {
	for _, d := range []string{dir, filepath.Join(dir, "evidence")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("making the state directory: %w; give a writable one with --state DIR", err)
		}
	}
	st, err := bolt.Open(ctx, dir, bolt.Options{Log: log})
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := cleanUploads(dir); err != nil { // the log is locked by now: no other daemon receives one
		return nil, errors.Join(err, st.Close())
	}
	box, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	library, err := image.Open(image.Config{Dir: filepath.Join(dir, "images"), Log: log})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	c, err := newCore(ctx, dir, st, box, library, log, time.Now)
	if err != nil {
		return nil, errors.Join(err, library.Close(), st.Close())
	}
	return c, nil
}

func newCore(ctx context.Context, dir string, st store.Log, box *seal.Box, library *image.Library, log *slog.Logger, clock func() time.Time) (*core, error) {
	counts := metrics.New(version)
	l, err := ledger.Open(ctx, st, ledger.Options{Log: log, Clock: clock, Committed: counts.Committed})
	if err != nil {
		return nil, err
	}
	recorder, err := flight.Open(flight.Options{Dir: filepath.Join(dir, "flight"), Log: log})
	if err != nil {
		return nil, err
	}
	return &core{
		dir: dir, log: log, store: st, ledger: l, box: box, library: library, flight: recorder, visits: &accessLog{now: l.Now}, metrics: counts,
		composer: &bootplan.Composer{Profiles: profiles.Files, Root: box.Open},
	}, nil
}

func (c *core) close() error { return errors.Join(c.library.Close(), c.store.Close()) }

// nonce makes each attempt's token unique.
func nonce() string { return rand.Text() }

// machineSide is what machines talk to.
func (c *core) machineSide(loaders func(string) ([]byte, bool), pace install.Pace, neighbour neighbours, observe func(api.Served)) *api.Machine {
	return &api.Machine{
		Ledger: c.ledger, Compose: c.composer, Seal: c.box, Loaders: loaders, Images: c.visits.watch(c.library.Handler()),
		Evidence: evidenceFolder(filepath.Join(c.dir, "evidence")), Log: c.log, Pace: pace, Nonce: nonce, Agent: c.agentLookup(), Neighbour: neighbour, Observe: observe,
	}
}

// operatorSide is what the CLI and the page talk to.
func (c *core) operatorSide(serving func() view.Serving, explain *explainer) *api.Operator {
	explain.box = c.box
	side := &api.Operator{
		Ledger: c.ledger, Log: c.log, Follower: c.ledger, Seal: c.box, Library: libraryAdapter{c.library},
		ReadPlan: func(name string, data []byte, own map[string]string) (*site.Plan, string, []view.Finding) {
			checker := lint.Checker{Profiles: profiles.Files, Images: library(c.ledger.State()), Server: explain.server.Addr}
			if now := serving(); !now.Waiting {
				checker.DHCP = now.DHCP
			}
			return readPlan(checker, name, data, own)
		},
		Vet: func(s *site.State, machines []*site.Machine) error {
			return vet(c.composer, explain.server.Addr, s, machines)
		},
		Version: version, Flight: c.flight, Serving: serving, Explain: explain.explain, Profile: explain.profile, Render: explain.render, Export: exportState,
		Roles: rolesOf, EditRole: editRole, ImportSheet: importSheet, PlanTexts: c.plans(), Uploads: filepath.Join(c.dir, "uploads"),
		Reveal: passwords{box: c.box}.reveal, CopyLog: c.copyLog,
		Health: c.health, Ready: func() view.Health { return c.ready(serving()) },
		Metrics: c.metrics.Handler(), Debug: profiling(),
	}
	c.metrics.Watch(metrics.Gauges{State: c.ledger.State, Followers: side.Followers.Load, Dropped: c.flight.Dropped})
	return side
}

// plans are the plans as they were written.
func (c *core) plans() planTexts { return planTexts{filepath.Join(c.dir, "plans"), c.box} }

// libraryAdapter speaks of images as the site does.
type libraryAdapter struct{ library *image.Library }

func (a libraryAdapter) Add(ctx context.Context, req view.ImageRequest, progress func(done, total int64)) (site.Image, []string, error) {
	i, err := a.library.Add(ctx, req.File, image.AddOptions{Name: req.Name, Kernel: req.Kernel, Initrd: req.Initrd, Progress: progress})
	if err != nil {
		return site.Image{}, nil, err
	}
	return siteImage(i), i.Media.Warnings, nil
}

func (a libraryAdapter) Remove(_ context.Context, digest string) error {
	return a.library.Remove(digest)
}

func (a libraryAdapter) Verify(ctx context.Context, digest string, progress func(done, total int64)) error {
	return a.library.Verify(ctx, digest, progress)
}

func siteImage(i image.Image) site.Image {
	m := i.Media
	return site.Image{
		Name: i.Name, Digest: i.Hex(), Size: i.Size, Family: string(m.Family), Distro: m.Distro, Version: m.Version, Arch: m.Arch,
		Label: m.Label, Kernel: m.Kernel, Initrd: m.Initrd, Stage2: m.Stage2, Repos: m.Repos, Groups: m.Groups, Added: i.Added,
	}
}

// withClient runs a command against the daemon of a state directory, or, if
// none runs, against the directory itself.
func withClient(ctx context.Context, g *globals, use func(*client.Client) error) error {
	_, err := withEither(ctx, g, use)
	return err
}

// withEither is withClient, and says whether a daemon runs.
func withEither(ctx context.Context, g *globals, use func(*client.Client) error) (daemon bool, err error) {
	cl := client.Unix(g.socket())
	switch err := daemonAnswers(ctx, cl); {
	case err == nil:
		return true, use(cl)
	case !errors.Is(err, client.ErrNoDaemon):
		return true, err
	}
	return false, withState(ctx, g, use)
}

// withWire is withClient for commands whose text says what machines are told:
// where no daemon runs, they get no answer, which is said behind the text.
func withWire(c *cobra.Command, g *globals, use func(*client.Client) error) error {
	daemon, err := withEither(c.Context(), g, use)
	if err != nil || daemon || g.json {
		return err
	}
	start := "rackseed serve"
	if g.state != defaultState() {
		start += " --state " + shellWord(g.state)
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "note: no daemon runs with state %s, so machines get no answer now: `%s` starts one\n", g.state, start)
	return err
}

// patience is how long a daemon may take to say that it is there. One that
// serves a storm takes milliseconds.
const patience = 20 * time.Second

// daemonAnswers tells a daemon that answers from none, and from one that is
// stopped or stuck, for which a command would otherwise wait without a word.
func daemonAnswers(ctx context.Context, cl *client.Client) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := cl.Status(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("a daemon is there and did not answer within %s: is it stopped (`ps -C rackseed -o pid,stat`: T; `kill -CONT PID`), or its disk stuck?", patience)
	}
	return err
}

// withDaemon is withClient for what only a running daemon can do.
func withDaemon(ctx context.Context, g *globals, use func(*client.Client) error) error {
	cl := client.Unix(g.socket())
	if err := daemonAnswers(ctx, cl); errors.Is(err, client.ErrNoDaemon) {
		return fmt.Errorf("%w with state %s: start it with `rackseed serve`, or name its directory with --state", err, g.state)
	} else if err != nil {
		return err
	}
	return use(cl)
}

// withState opens the state directory for one command.
func withState(ctx context.Context, g *globals, use func(*client.Client) error) (err error) {
	log := slog.New(slog.DiscardHandler)
	c, err := openCore(ctx, g.state, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	serving := func() view.Serving { return view.Serving{Note: "no daemon is running"} }
	side := c.operatorSide(serving, &explainer{server: ipxe.Server{HTTP: "http://SERVER:8080"}})
	jobs := c.jobRunner(false, dialers(redfish.Options{}), install.RealTime, netip.Addr{})
	side.Jobs = jobs
	return c.write(ctx, func(ctx context.Context) error {
		running, stop := context.WithCancel(ctx)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- jobs.Run(running) }()
		err := use(client.Handler(side.Handler()))
		stop()
		return errors.Join(err, <-ended)
	})
}

// write runs the ledger's writer while use runs. The writer ends last, so
// that use can still record what it finishes; if the log fails, use is
// cancelled.
func (c *core) write(ctx context.Context, use func(context.Context) error) error {
	using, cancel := context.WithCancel(ctx)
	defer cancel()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	written := make(chan error, 1)
	go func() {
		err := c.ledger.Run(writing)
		cancel()
		written <- err
	}()
	recorded := make(chan error, 1)
	go func() { recorded <- c.flight.Run(writing) }()
	err := use(using)
	stop()
	return errors.Join(err, <-written, <-recorded)
}

// evidenceFolder keeps what failed installers send.
type evidenceFolder string

// Save writes to a temporary name first, so that a cut upload leaves nothing
// that looks whole.
func (dir evidenceFolder) Save(_ context.Context, node string, attempt int, r io.Reader, limit int64) (site.Evidence, error) {
	f, err := os.CreateTemp(string(dir), ".upload-*")
	if err != nil {
		return site.Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	body := bufio.NewReader(io.LimitReader(r, limit))
	kind := ".tar"
	if magic, _ := body.Peek(2); string(magic) == "\x1f\x8b" {
		kind = ".tar.gz" // Debian's installer has no gzip
	}
	sum, n, err := hashTo(f, body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return site.Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	name := fmt.Sprintf("%s-attempt%d-%s%s", node, attempt, sum[:12], kind)
	if err := os.Rename(f.Name(), filepath.Join(string(dir), name)); err != nil {
		return site.Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	return site.Evidence{Attempt: attempt, File: name, SHA256: sum, Size: n}, nil
}
