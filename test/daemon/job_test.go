package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// bmcs gives the place's nodes simulated BMCs, whose machines are on.
func (p *place) bmcs() []*bmcsim.BMC {
	p.t.Helper()
	// A daemon that is killed does not log out, so there are sessions for all its lives.
	rack := bmcsim.Rack(3, bmcsim.Config{On: true, Transition: 50 * time.Millisecond, Sessions: 64})
	front, err := bmcsim.Serve(netip.AddrPortFrom(bmcNetwork(), 0), rack...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(front.Close)
	p.name(front.Addresses)
	return rack
}

// bmcNetwork is where the BMCs of the newest place are, clear of its hosts.
func bmcNetwork() netip.Addr {
	return netip.AddrFrom4([4]byte{127, 30, byte(os.Getpid()), byte(places.Load()) * 8})
}

// name puts the addresses of BMCs into the plan.
func (p *place) name(addresses []netip.AddrPort) {
	p.t.Helper()
	p.t.Setenv("DAEMON_TEST_BMC", "rackseed")
	data, err := os.ReadFile(p.plan)
	if err != nil {
		p.t.Fatal(err)
	}
	text := strings.Replace(string(data), "nodes:\n", "bmc: {protocol: redfish, username: admin, password: {env: DAEMON_TEST_BMC}}\nnodes:\n", 1)
	for i, a := range addresses {
		text = strings.Replace(text, fmt.Sprintf(".1.%d}}", i+1), fmt.Sprintf(".1.%d}, bmc: {address: %q}}", i+1, a), 1)
	}
	if err := os.WriteFile(p.plan, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// TestKillInTheMiddleOfACycle kills the daemon as soon as it has recorded
// anything of a job, life after life: every machine is cycled once, and none
// is left without power.
func TestKillInTheMiddleOfACycle(t *testing.T) {
	lives := 6
	if testing.Short() {
		lives = 2
	}
	p := newPlace(t)
	rack := p.bmcs()
	d := p.serve()
	job, err := p.client().StartJob(t.Context(), view.JobRequest{Verb: "power", Args: []string{"cycle"}, Selector: "all", By: "test", Options: view.JobOptions{Parallel: 2}})
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	for range lives {
		seq = p.nextStep(seq)
		d.kill()
		d = p.serve()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for {
		if job, err = p.client().Job(ctx, job.ID); err != nil {
			t.Fatal(err)
		}
		if job.State == "ended" {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("it does not end: %+v", job)
		}
	}
	if job.OK != 3 || job.Reason != "" {
		t.Errorf("%+v", job)
	}
	for i, b := range rack {
		if got := b.Actions(); !slices.Equal(got, []string{"ForceOff", "On"}) || b.PowerState() != "On" {
			t.Errorf("machine %d was told %v and is %s", i+1, got, b.PowerState())
		}
	}
	if got := steps(t, p.client()); got < 6 {
		t.Errorf("only %d steps are on record", got)
	}
}

// nextStep waits until anything of a job is recorded after seq, or the job has
// ended, and gives its number.
func (p *place) nextStep(seq uint64) uint64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for e, err := range p.client().Follow(ctx, seq) {
		if err != nil {
			p.t.Fatal(err)
		}
		switch e.Body.(type) {
		case site.JobStep, site.JobNodeDone:
			return e.Seq
		case site.JobEnded:
			return seq
		}
	}
	p.t.Fatal("nothing of the job is recorded")
	return 0
}

func steps(t *testing.T, cl *client.Client) int {
	t.Helper()
	n := 0
	for e, err := range cl.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := e.Body.(site.JobStep); ok {
			n++
		}
	}
	return n
}

// TestStopInTheMiddleOfACycle: a daemon that is asked to end leaves the job to
// the next one, and no machine without power for long.
func TestStopInTheMiddleOfACycle(t *testing.T) {
	p := newPlace(t)
	rack := p.bmcs()
	d := p.serve()
	if _, err := p.client().StartJob(t.Context(), view.JobRequest{Verb: "power", Args: []string{"cycle"}, Selector: "all", Options: view.JobOptions{Parallel: 1}}); err != nil {
		t.Fatal(err)
	}
	p.nextStep(0)
	d.stop()
	for i, b := range rack {
		if len(b.Actions()) == 1 {
			t.Errorf("machine %d was left off", i+1)
		}
	}
	p.serve()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	jobs, err := p.client().Jobs(ctx)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	job, err := p.client().FollowJob(ctx, jobs[0].ID, func(view.JobChange) {})
	if err != nil || job.OK != 3 {
		t.Errorf("%+v, %v", job, err)
	}
	for i, b := range rack {
		if got := b.Actions(); !slices.Equal(got, []string{"ForceOff", "On"}) {
			t.Errorf("machine %d was told %v", i+1, got)
		}
	}
}
