// Package metrics counts what the daemon does, for Prometheus. No label holds
// a machine, an address or a secret; docs/metrics.md names every metric.
package metrics

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rackseed/rackseed/pkg/site"
)

// Metrics is one daemon's account. It belongs to no global registry.
type Metrics struct {
	registry *prometheus.Registry

	installs  *prometheus.CounterVec   // result
	stages    *prometheus.HistogramVec // stage
	whole     prometheus.Histogram
	jobs      *prometheus.CounterVec // verb, result
	dhcp      *prometheus.CounterVec // type, outcome
	tftp      *prometheus.CounterVec // outcome
	tftpBytes prometheus.Counter
	http      *prometheus.CounterVec // kind, code
	httpBytes *prometheus.CounterVec // kind
	commits   prometheus.Histogram
	failures  prometheus.Counter
	events    prometheus.Counter
	hooks     *prometheus.CounterVec // event, result
}

// installBuckets reach from a stage that firmware rushes through to one that
// is about to run out of time, in seconds.
func installBuckets() []float64 { return []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 2400, 4800} }

// commitBuckets reach from an SSD to a disk that is being rebuilt, in
// seconds.
func commitBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5}
}

// New makes an account that is empty.
func New(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		installs: counter("rackseed_installs_total", "Turns of installs: start, done, ready, failed, held.", "result"),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rackseed_install_stage_seconds", Help: "How long machines stayed in a stage of their install.", Buckets: installBuckets(),
		}, []string{"stage"}),
		whole: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rackseed_install_seconds", Help: "From the boot script to the installed system, of installs that were done.", Buckets: installBuckets(),
		}),
		jobs:      counter("rackseed_bmc_machines_total", "Machines of jobs, by what became of them: ok, failed.", "verb", "result"),
		dhcp:      counter("rackseed_dhcp_messages_total", "DHCP messages, by type and outcome: the type of the reply, ignored, failed or malformed.", "type", "outcome"),
		tftp:      counter("rackseed_tftp_transfers_total", "TFTP requests, by how they ended: done, size-probe, aborted, timed-out, refused.", "outcome"),
		tftpBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "rackseed_tftp_sent_bytes_total", Help: "Bytes that TFTP clients acknowledged."}),
		http:      counter("rackseed_http_requests_total", "Requests of machines, by kind (boot, images, answer, report, other) and status.", "kind", "code"),
		httpBytes: counter("rackseed_http_sent_bytes_total", "Bytes sent to machines by HTTP.", "kind"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rackseed_ledger_commit_seconds", Help: "How long a group of events took to reach the disk.", Buckets: commitBuckets(),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rackseed_ledger_commit_failures_total", Help: "Groups of events that did not reach the disk."}),
		events:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rackseed_ledger_events_total", Help: "Events written to the log."}),
		hooks:    counter("rackseed_webhook_deliveries_total", "Messages to webhooks, each try, by turn and result: ok, failed.", "event", "result"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rackseed_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version(), "goarch": runtime.GOARCH},
	})
	build.Set(1)
	m.registry.MustRegister(m.installs, m.stages, m.whole, m.jobs, m.dhcp, m.tftp, m.tftpBytes, m.http, m.httpBytes, m.commits, m.failures, m.events, m.hooks, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, e := range site.WebhookEvents() {
		m.installs.WithLabelValues(string(e)) // a series that is zero can be alarmed on
	}
	return m
}

// Gauges are read when somebody looks.
type Gauges struct {
	State     func() *site.State
	Followers func() int64
	Dropped   func() uint64 // entries that the flight recorder could not keep
}

// Watch adds what is true at the moment of a scrape.
func (m *Metrics) Watch(g Gauges) {
	m.registry.MustRegister(stateCollector{g.State},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rackseed_followers", Help: "Readers that follow the log now."}, func() float64 { return float64(g.Followers()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rackseed_flight_dropped_total", Help: "Entries that the flight recorder could not keep."}, func() float64 { return float64(g.Dropped()) }),
	)
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Committed notes one group of events.
func (m *Metrics) Committed(took time.Duration, events int, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.commits.Observe(took.Seconds())
	m.events.Add(float64(events))
}

// DHCP notes one message and what came of it.
func (m *Metrics) DHCP(kind, outcome string) { m.dhcp.WithLabelValues(kind, outcome).Inc() }

// TFTP notes one request that ended.
func (m *Metrics) TFTP(outcome string, bytes int64) {
	m.tftp.WithLabelValues(outcome).Inc()
	m.tftpBytes.Add(float64(max(bytes, 0)))
}

// HTTP notes one request of a machine.
func (m *Metrics) HTTP(kind string, status int, bytes int64) {
	m.http.WithLabelValues(kind, fmt.Sprint(status)).Inc()
	m.httpBytes.WithLabelValues(kind).Add(float64(max(bytes, 0)))
}

// Webhook notes one try to tell a receiver.
func (m *Metrics) Webhook(event site.WebhookEvent, err error) {
	m.hooks.WithLabelValues(string(event), resultOf(err == nil)).Inc()
}

func resultOf(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

// Follower is the part of the ledger that Run reads.
type Follower interface {
	State() *site.State
	Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error]
}

// Run counts what the log tells from now on, until ctx ends.
func (m *Metrics) Run(ctx context.Context, l Follower) error {
	s := l.State()
	c := newInstallClock(m, s)
	for e, err := range l.Follow(ctx, s.Seq) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("following the log for metrics: %w", err)
		}
		c.event(e, l.State())
	}
	return nil
}
