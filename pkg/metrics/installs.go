package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// installClock measures the stages of the installs that run.
type installClock struct {
	m    *Metrics
	runs map[string]run // by node
}

type run struct {
	attempt int
	began   time.Time // zero when it began before we did
	stage   string
	since   time.Time
}

// newInstallClock knows the installs that already run, but not since when
// they are in their stage.
func newInstallClock(m *Metrics, s *site.State) *installClock {
	c := &installClock{m: m, runs: map[string]run{}}
	for _, machine := range s.Machines() {
		if machine.Running() {
			c.runs[machine.Node.Name] = run{attempt: machine.Attempt.Number, began: machine.Attempt.Started}
		}
	}
	return c
}

func (c *installClock) event(e site.Event, s *site.State) {
	if turn, ok := site.HookOf(e.Body); ok {
		c.m.installs.WithLabelValues(string(turn)).Inc()
	}
	switch b := e.Body.(type) {
	case site.InstallStarted:
		c.runs[b.Node] = run{attempt: b.Attempt, began: e.At, stage: string(install.StageLoader), since: e.At}
	case site.InstallProgress:
		c.enter(b.Node, b.Stage, e.At)
	case site.InstallDone:
		if r, ok := c.runs[b.Node]; ok && !r.began.IsZero() {
			c.m.whole.Observe(e.At.Sub(r.began).Seconds())
		}
		c.enter(b.Node, string(install.StageDone), e.At)
	case site.NodeVerified:
		c.leave(b.Node, e.At)
	case site.InstallFailed, site.Disarmed, site.NodeHeld, site.NodeUnplanned:
		c.leave(b.Subject(), e.At)
	case site.JobNodeDone:
		c.job(b, s)
	}
}

// enter ends one stage and begins another; the same stage again goes on.
func (c *installClock) enter(node, stage string, at time.Time) {
	r, ok := c.runs[node]
	if !ok || r.stage == stage {
		return
	}
	c.observe(r, at)
	r.stage, r.since = stage, at
	c.runs[node] = r
}

func (c *installClock) leave(node string, at time.Time) {
	if r, ok := c.runs[node]; ok {
		c.observe(r, at)
		delete(c.runs, node)
	}
}

func (c *installClock) observe(r run, at time.Time) {
	if r.stage != "" && !r.since.IsZero() {
		c.m.stages.WithLabelValues(r.stage).Observe(at.Sub(r.since).Seconds())
	}
}

func (c *installClock) job(b site.JobNodeDone, s *site.State) {
	verb := "forgotten" // the job ended long ago, and is not in the state any more
	if j, ok := s.Jobs.Get(b.ID); ok {
		verb = j.Verb
	}
	c.m.jobs.WithLabelValues(verb, resultOf(b.OK)).Inc()
}

// stateCollector reads the state at a scrape.
type stateCollector struct{ state func() *site.State }

func descriptions() (nodes, leases, images, seq *prometheus.Desc) {
	return prometheus.NewDesc("rackseed_nodes", "Machines by state; seen are those that the plan does not name.", []string{"state"}, nil),
		prometheus.NewDesc("rackseed_leases", "Leases of the pool.", nil, nil),
		prometheus.NewDesc("rackseed_images", "Images in the library.", nil, nil),
		prometheus.NewDesc("rackseed_ledger_sequence", "Number of the latest event.", nil, nil)
}

// Describe names the metrics.
func (stateCollector) Describe(to chan<- *prometheus.Desc) {
	nodes, leases, images, seq := descriptions()
	to <- nodes
	to <- leases
	to <- images
	to <- seq
}

// phases are the states of a node, so that those of no node are zero.
func phases() []site.Phase {
	return []site.Phase{
		site.PhaseSeen, site.PhasePlanned, site.PhaseArmed, site.PhaseBooting, site.PhaseInstalling,
		site.PhaseInstalled, site.PhaseReady, site.PhaseFailed, site.PhaseHeld,
	}
}

// Collect counts.
func (c stateCollector) Collect(to chan<- prometheus.Metric) {
	s := c.state()
	counts := map[site.Phase]int{site.PhaseSeen: s.Strangers.Len()}
	for _, m := range s.Machines() {
		counts[m.Phase]++
	}
	nodes, leases, images, seq := descriptions()
	for _, p := range phases() {
		to <- prometheus.MustNewConstMetric(nodes, prometheus.GaugeValue, float64(counts[p]), string(p))
	}
	to <- prometheus.MustNewConstMetric(leases, prometheus.GaugeValue, float64(s.Leases.Len()))
	to <- prometheus.MustNewConstMetric(images, prometheus.GaugeValue, float64(s.Images.Len()))
	to <- prometheus.MustNewConstMetric(seq, prometheus.GaugeValue, float64(s.Seq))
}
