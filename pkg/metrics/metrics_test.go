package metrics_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rackseed/rackseed/pkg/metrics"
	"github.com/rackseed/rackseed/pkg/site"
)

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// tape is a log that was played to its end.
type tape struct {
	before, after *site.State
	events        []site.Event
}

func (l *tape) State() *site.State {
	if l.after == nil {
		return l.before
	}
	return l.after
}

func (l *tape) Follow(context.Context, uint64) iter.Seq2[site.Event, error] {
	return func(yield func(site.Event, error) bool) {
		s := l.before.Fork()
		for _, e := range l.events {
			if err := s.Apply(e); err != nil {
				yield(e, err)
				return
			}
			l.after = s
			if !yield(e, nil) {
				return
			}
		}
	}
}

// play folds bodies, a minute apart.
func play(t *testing.T, bodies ...site.Body) *tape {
	t.Helper()
	s := site.NewState()
	start := []site.Body{
		site.PlanApplied{Settings: site.Settings{Site: "x"}, Digest: "d"},
		site.NodePlanned{Node: site.Node{Name: "n1"}}, site.NodePlanned{Node: site.Node{Name: "n2"}},
	}
	for _, b := range start {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: epoch, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	l := &tape{before: s}
	for i, b := range bodies {
		l.events = append(l.events, site.Event{Seq: s.Seq + uint64(i) + 1, At: epoch.Add(time.Duration(i) * time.Minute), Body: b})
	}
	return l
}

func scrape(t *testing.T, m *metrics.Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	got := httptest.NewRecorder()
	m.Handler().ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	text := got.Body.String()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value is the number of one series, given as name{label="value"}.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, series := range families[name].GetMetric() {
		var have []string
		for _, l := range series.GetLabel() {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if !slices.Equal(have, labels) {
			continue
		}
		switch {
		case series.Histogram != nil:
			return float64(series.GetHistogram().GetSampleCount())
		case series.Gauge != nil:
			return series.GetGauge().GetValue()
		default:
			return series.GetCounter().GetValue()
		}
	}
	t.Errorf("there is no %s %v", name, labels)
	return 0
}

// TestTheAccountOfTwoInstalls: what the log tells is counted, once.
func TestTheAccountOfTwoInstalls(t *testing.T) {
	l := play(t,
		site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)},
		site.Armed{Node: "n2", By: "ops", Until: epoch.Add(time.Hour)},
		site.InstallStarted{Node: "n1", Attempt: 1, Token: "a"},
		site.InstallStarted{Node: "n2", Attempt: 1, Token: "b"},
		site.InstallProgress{Node: "n1", Attempt: 1, Stage: "packages", Detail: "1 of 2"},
		site.InstallProgress{Node: "n1", Attempt: 1, Stage: "packages", Detail: "2 of 2"},
		site.InstallFailed{Node: "n2", Attempt: 1, Stage: "loader", Reason: "no disk"},
		site.InstallDone{Node: "n1", Attempt: 1},
		site.NodeVerified{Node: "n1", Attempt: 1},
		site.NodeHeld{Node: "n2", Reason: "look"},
		site.JobQueued{ID: "j", Verb: "power", Targets: []string{"n1", "n2"}},
		site.JobNodeDone{ID: "j", Node: "n1", OK: true},
		site.JobNodeDone{ID: "j", Node: "n2", Message: "no answer"},
	)
	m := metrics.New("v1")
	m.Watch(metrics.Gauges{State: l.State, Followers: func() int64 { return 3 }, Dropped: func() uint64 { return 7 }})
	if err := m.Run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m.Committed(time.Millisecond, 4, nil)
	m.Committed(time.Second, 9, errors.New("full"))
	m.DHCP("discover", "offer")
	m.TFTP("done", 100)
	m.HTTP("boot", 200, 50)
	m.HTTP("boot", 404, 0)
	m.Webhook(site.HookReady, nil)
	f := scrape(t, m)
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "rackseed_nodes", []string{"state=ready"}},
		{1, "rackseed_nodes", []string{"state=held"}},
		{0, "rackseed_nodes", []string{"state=armed"}},
		{2, "rackseed_installs_total", []string{"result=start"}},
		{1, "rackseed_installs_total", []string{"result=done"}},
		{1, "rackseed_installs_total", []string{"result=ready"}},
		{1, "rackseed_installs_total", []string{"result=failed"}},
		{1, "rackseed_installs_total", []string{"result=held"}},
		{2, "rackseed_install_stage_seconds", []string{"stage=loader"}},
		{1, "rackseed_install_stage_seconds", []string{"stage=packages"}},
		{1, "rackseed_install_stage_seconds", []string{"stage=done"}},
		{1, "rackseed_install_seconds", nil},
		{1, "rackseed_bmc_machines_total", []string{"result=ok", "verb=power"}},
		{1, "rackseed_bmc_machines_total", []string{"result=failed", "verb=power"}},
		{1, "rackseed_ledger_commit_seconds", nil},
		{4, "rackseed_ledger_events_total", nil},
		{1, "rackseed_ledger_commit_failures_total", nil},
		{16, "rackseed_ledger_sequence", nil},
		{3, "rackseed_followers", nil},
		{7, "rackseed_flight_dropped_total", nil},
		{1, "rackseed_dhcp_messages_total", []string{"outcome=offer", "type=discover"}},
		{100, "rackseed_tftp_sent_bytes_total", nil},
		{50, "rackseed_http_sent_bytes_total", []string{"kind=boot"}},
		{1, "rackseed_http_requests_total", []string{"code=404", "kind=boot"}},
		{1, "rackseed_webhook_deliveries_total", []string{"event=ready", "result=ok"}},
	} {
		if got := value(t, f, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v is %g, want %g", c.name, c.labels, got, c.want)
		}
	}
	packages := f["rackseed_install_stage_seconds"].GetMetric()[2].GetHistogram().GetSampleSum()
	if packages != 180 {
		t.Errorf("packages took %g s, want three minutes", packages)
	}
}

// TestDocumentation: docs/metrics.md names what is scraped, and no more.
func TestDocumentation(t *testing.T) {
	m := metrics.New("v1")
	m.Watch(metrics.Gauges{State: site.NewState, Followers: func() int64 { return 0 }, Dropped: func() uint64 { return 0 }})
	m.DHCP("discover", "offer")
	m.TFTP("done", 1)
	m.HTTP("boot", 200, 1)
	m.Webhook(site.HookReady, nil)
	l := play(t, site.Armed{Node: "n1", By: "x", Until: epoch.Add(time.Hour)}, site.InstallStarted{Node: "n1", Attempt: 1, Token: "a"}, site.InstallDone{Node: "n1", Attempt: 1},
		site.JobQueued{ID: "j", Verb: "power", Targets: []string{"n1"}}, site.JobNodeDone{ID: "j", Node: "n1", OK: true})
	if err := m.Run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	served := map[string]string{}
	for name, f := range scrape(t, m) {
		if strings.HasPrefix(name, "rackseed_") {
			served[name] = strings.ToLower(f.GetType().String())
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(rackseed_[a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("docs/metrics.md (-served +documented):\n%s", diff)
	}
}

// TestRunningInstallsAreKnown: what began before the daemon counts when it
// ends, and no stage is measured whose beginning nobody saw.
func TestRunningInstallsAreKnown(t *testing.T) {
	l := play(t, site.InstallProgress{Node: "n1", Attempt: 1, Stage: "post"}, site.InstallDone{Node: "n1", Attempt: 1})
	for _, b := range []site.Body{site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)}, site.InstallStarted{Node: "n1", Attempt: 1, Token: "a"}} {
		if err := l.before.Apply(site.Event{Seq: l.before.Seq + 1, At: epoch.Add(-time.Hour), Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range l.events {
		l.events[i].Seq += 2
	}
	m := metrics.New("v1")
	if err := m.Run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	f := scrape(t, m)
	if value(t, f, "rackseed_install_seconds") != 1 || value(t, f, "rackseed_install_stage_seconds", "stage=post") != 1 || len(f["rackseed_install_stage_seconds"].GetMetric()) != 1 {
		t.Errorf("%v", f["rackseed_install_stage_seconds"])
	}
}
