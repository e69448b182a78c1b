package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// number reads a setting of the test from the environment: SOAK_SEED replays
// a run; SOAK_MACHINES, SOAK_ROUNDS, SOAK_KILLS and SOAK_SPEED make it longer
// or shorter.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestEveryFault is the promise of `rackseed install`: of a rack in which one
// in ten machines has each fault that there is, while the daemon is killed
// again and again, every machine becomes ready or fails for a reason that is
// its own; what is not armed is offered nothing; no machine is installed
// twice, or switched on twice unless it boots something else than its BMC was
// told; and the log has neither gaps nor doubles.
func TestEveryFault(t *testing.T) {
	machines := 200
	if testing.Short() {
		machines = 40
	}
	machines = number(t, "SOAK_MACHINES", machines)
	seed := number(t, "SOAK_SEED", int(time.Now().UnixNano()%1_000_000))
	for round := range number(t, "SOAK_ROUNDS", 1) {
		t.Run(fmt.Sprintf("seed %d", seed+round), func(t *testing.T) {
			r := newRun(t, uint64(seed+round), machines)
			r.play()
			r.check()
			if t.Failed() {
				t.Logf("to replay: SOAK_SEED=%d SOAK_MACHINES=%d go test ./test/daemon -run TestEveryFault", seed+round, machines)
			}
		})
	}
}

// cursedRun is a rack, its BMCs and the daemons that install it.
type cursedRun struct {
	*place
	rng        *rand.Rand
	rack       []*sim.Machine // the last ones are bystanders: planned, powered, not to be installed
	strangers  []*sim.Machine // the plan does not know them; twins are among them
	bmcs       []*bmcsim.BMC
	targets    int
	job        view.Job
	kills      int
	bystanders int

	mu   sync.Mutex
	seen []site.Event // by a reader that follows all the time
}

// soakSpeed is how much faster than real servers the machines go.
const soakSpeed = 100

// pace is by how much deadlines are shorter. They are what this computer must
// keep, too, with all machines at once.
func (r *cursedRun) pace() string {
	return strconv.Itoa(min(75, 15_000/r.targets))
}

func newRun(t *testing.T, seed uint64, n int) *cursedRun {
	t.Helper()
	r := &cursedRun{place: newPlace(t), rng: rand.New(rand.NewPCG(seed, 5)), targets: n, bystanders: 6}
	t.Setenv("DAEMON_TEST_BMC", "rackseed")
	speed := float64(number(t, "SOAK_SPEED", soakSpeed))
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) / speed) }
	at := &sim.Site{TFTP: netip.MustParseAddrPort(r.server(tftpPort)).Port(), Speed: speed, Log: slog.New(slog.DiscardHandler)}
	r.rack = sim.Rack(at, n+r.bystanders, nil)
	for i := 1; i < n; i++ { // the first one is the canary
		sim.Curse(r.rack, i, r.draw()...)
	}
	r.strangers = append(sim.Twins(r.rack), sim.Rack(at, n+r.bystanders+4, nil)[n+r.bystanders:]...)
	// A daemon that is killed does not log out: there are sessions for all its lives.
	r.bmcs = bmcsim.Behind(r.rack, bmcsim.Config{
		Transition: scaled(4 * time.Second), Slow: scaled(3 * time.Second), Sessions: 1000,
	})
	front, err := bmcsim.Serve(netip.AddrPortFrom(r.addr(".128.1"), 0), r.bmcs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	if err := os.WriteFile(r.plan, r.planText(front.Addresses), 0o600); err != nil {
		t.Fatal(err)
	}
	at.Relay = r.relay()
	return r
}

// draw gives a machine each fault with one chance in ten, but at most one of
// its BMC's.
func (r *cursedRun) draw() []sim.Fault {
	var faults []sim.Fault
	for _, f := range sim.Faults() {
		if r.rng.IntN(10) == 0 {
			faults = append(faults, f)
		}
	}
	all := bmcsim.Faults()
	if i := r.rng.IntN(10); i < len(all) {
		faults = append(faults, all[i])
	}
	return faults
}

func (r *cursedRun) planText(bmcs []netip.AddrPort) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `site: soak
access: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}
provision: {network: p, dhcp: server}
networks:
  p: {subnet: %[1]s.0.0/17, gateway: %[1]s.0.1, dns: [%[1]s.0.1], ntp: [%[1]s.0.1]}
  ipmi: {subnet: %[1]s.128.0/17}
images: {debian13: {file: demo.iso}}
roles: {base: {profile: base, image: debian13}, spare: {profile: base, image: debian13}}
bmc: {protocol: redfish, username: admin, password: {env: DAEMON_TEST_BMC}}
nodes:
`, r.network)
	for i, m := range r.rack {
		role := "base"
		if i >= r.targets {
			role = "spare"
		}
		addr, _ := site.AddrAfter(r.addr(".1.1"), i)
		fmt.Fprintf(&b, "  - {name: %s, role: %s, mac: %q, serial: %q, uuid: %q, addresses: {p: %s}, bmc: {address: %q}}\n", r.name(i), role, m.MAC, m.Label, m.UUID, addr, bmcs[i])
	}
	return []byte(b.String())
}

func (r *cursedRun) name(i int) string { return fmt.Sprintf("n%04d", i+1) }

// play has the rack installed, and kills the daemon at random moments until
// the job has ended.
func (r *cursedRun) play() {
	t := r.t
	t.Helper()
	r.must("plan", "apply", r.plan)
	r.medium()
	d := r.serve("--pace", r.pace())
	if strings.Contains(d.String(), "some boot loaders are missing") {
		t.Skip("needs boot loaders: make loaders")
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	running.Go(func() { sim.PowerOn(ctx, append(slices.Clone(r.strangers), r.rack[r.targets:]...)) })
	running.Go(func() { r.follow(ctx) })

	started, err := r.client().StartJob(ctx, view.JobRequest{
		Verb: "install", Selector: "role=base", By: "soak", Options: view.JobOptions{Canary: 1, Parallel: 70},
	})
	if err != nil {
		t.Fatal(err)
	}
	for kills := number(t, "SOAK_KILLS", 6); r.kills < kills; r.kills++ {
		if r.ended(ctx, started.ID, time.Duration(200+r.rng.IntN(6000))*time.Millisecond) {
			break
		}
		d.kill()
		d = r.serve("--pace", r.pace())
	}
	if limit := 4*time.Minute + time.Duration(r.targets)*time.Second; !r.ended(ctx, started.ID, limit) {
		t.Fatalf("it has not ended %s after the last of %d kills", limit, r.kills)
	}
	if r.job, err = r.client().Job(ctx, started.ID); err != nil {
		t.Fatal(err)
	}
	r.settled(ctx)
}

// ended waits for the end of a job, but no longer than d.
func (r *cursedRun) ended(ctx context.Context, id string, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	j, err := r.client().FollowJob(ctx, id, func(view.JobChange) {})
	return err == nil && j.State == "ended"
}

// follow reads the log as a page or a webhook does: it comes back after every
// restart and asks for what follows the last that it has.
func (r *cursedRun) follow(ctx context.Context) {
	for ctx.Err() == nil {
		after := uint64(0)
		r.mu.Lock()
		if n := len(r.seen); n > 0 {
			after = r.seen[n-1].Seq
		}
		r.mu.Unlock()
		for e, err := range r.client().Follow(ctx, after) {
			if err != nil {
				break // the daemon is away
			}
			r.mu.Lock()
			r.seen = append(r.seen, e)
			r.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settled waits until the follower has read what there is.
func (r *cursedRun) settled(ctx context.Context) {
	r.t.Helper()
	st, err := r.client().Status(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		r.mu.Lock()
		n := len(r.seen)
		there := n > 0 && r.seen[n-1].Seq >= st.Seq
		r.mu.Unlock()
		if there {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Error("a reader of the log does not come to its end")
}

// outcome counts what became of the machines.
func (r *cursedRun) outcome() string {
	counts := map[string]int{}
	for _, res := range r.job.Results {
		counts[res.Phase]++
	}
	return fmt.Sprintf("%v, %d kills, %d events", counts, r.kills, len(r.seen))
}

func (r *cursedRun) check() {
	t := r.t
	t.Helper()
	t.Logf("%s", r.outcome())
	r.checkEndings()
	r.checkMachines()
	r.checkLog()
}

// checkEndings: each is ready if its faults let it, and else has failed for a
// reason that one of them gives.
func (r *cursedRun) checkEndings() {
	t := r.t
	t.Helper()
	if r.job.Reason != "" || len(r.job.Results) != r.targets {
		t.Errorf("the job is about %d machines and ended because of %q", len(r.job.Results), r.job.Reason)
	}
	for i, res := range r.job.Results {
		m := r.rack[i]
		node := r.node(res.Target)
		may, why := true, []string{}
		for _, f := range m.Faults() {
			recovers, reason := f.Recovers(), f.Reason()
			if slices.Contains(bmcsim.Faults(), f) {
				recovers, reason = bmcsim.Recovers(f), bmcsim.Reason(f)
			}
			may = may && recovers
			if reason != "" {
				why = append(why, reason)
			}
		}
		switch {
		case res.OK:
			if !may || node.State != site.PhaseReady {
				t.Errorf("%s with %v is done and %s: %s", res.Target, m.Faults(), node.State, res.Message)
			}
		case !slices.ContainsFunc(why, func(w string) bool { return strings.Contains(res.Message, w) }):
			t.Errorf("%s with %v is %s: %q, which is none of %q", res.Target, m.Faults(), res.Phase, res.Message, why)
		case node.State == site.PhaseReady || node.State == site.PhaseArmed || node.State == site.PhaseBooting || node.State == site.PhaseInstalling:
			t.Errorf("%s with %v has failed (%s) and is %s", res.Target, m.Faults(), res.Message, node.State)
		}
	}
}

// checkMachines asks the machines themselves.
func (r *cursedRun) checkMachines() {
	t := r.t
	t.Helper()
	for i, m := range r.rack {
		offers := slices.Compact(slices.Sorted(slices.Values(m.Offered())))
		switch {
		case i >= r.targets && len(offers) > 0:
			t.Errorf("%s was never armed and was handed an installer", r.name(i))
		case len(offers) > 1:
			t.Errorf("%s with %v was handed the installers of %d attempts", r.name(i), m.Faults(), len(offers))
		}
		if m.Installs() > 1 {
			t.Errorf("%s with %v was installed %d times", r.name(i), m.Faults(), m.Installs())
		}
		ons := 0
		for _, a := range r.bmcs[i].Actions() {
			if a != "ForceOff" {
				ons++
			}
		}
		most := 1
		if slices.Contains(m.Faults(), sim.NoPXE) && len(offers) == 0 {
			most = batch.MaxCycles // it boots its disk, and its BMC is told the network in other ways
		}
		if i < r.targets && ons > most {
			t.Errorf("%s with %v was switched on %d times: %v", r.name(i), m.Faults(), ons, r.bmcs[i].Actions())
		}
	}
	for _, m := range r.strangers {
		if len(m.Offered()) > 0 {
			t.Errorf("the stranger %s with serial %s was handed an installer", m.MAC, m.Serial)
		}
	}
}

// checkLog: what a reader saw through all restarts is what the log has, in
// order and once each.
func (r *cursedRun) checkLog() {
	t := r.t
	t.Helper()
	starts, dones := map[string]int{}, map[string]int{}
	n := 0
	for e, err := range r.client().Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if e.Seq != uint64(n) {
			t.Fatalf("event %d is in place %d", e.Seq, n)
		}
		if n <= len(r.seen) && !sameEvent(e, r.seen[n-1]) {
			t.Errorf("a reader saw event %d as %+v, and it is %+v", n, r.seen[n-1], e)
		}
		switch b := e.Body.(type) {
		case site.InstallStarted:
			starts[b.Node]++
		case site.InstallDone:
			dones[b.Node]++
		}
	}
	if n < len(r.seen) {
		t.Errorf("a reader saw %d events, and the log has %d", len(r.seen), n)
	}
	for _, counts := range []map[string]int{starts, dones} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			if counts[name] > 1 {
				t.Errorf("%s has %d attempts or ends of one", name, counts[name])
			}
		}
	}
}

func sameEvent(a, b site.Event) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return cmp.Or(err, err2) == nil && bytes.Equal(x, y)
}
