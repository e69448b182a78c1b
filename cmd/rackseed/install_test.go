package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestConfirmInstall: whoever installs in a terminal has read what is lost,
// and what was shown is what is done.
func TestConfirmInstall(t *testing.T) {
	daemon := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req view.JobRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || !req.DryRun {
			t.Errorf("it was asked for %+v, %v", req, err)
		}
		target := func(state, wipes string) json.RawMessage {
			return json.RawMessage(`{"state": "` + state + `", "serial": "S1", "bmc": "10.21.0.1", "wipes": ["` + wipes + `"]}`)
		}
		json.NewEncoder(w).Encode(view.Job{State: dryRun, Results: []view.JobResult{
			{Target: "n1", Data: target("planned", "SIM-SSD-480 480 GB")}, {Target: "n2", Data: target("ready", "0x5000c500a1b2c3d4")},
		}})
	})
	for typed, want := range map[string]string{"2\n": "n1,n2", " 2 \n": "n1,n2", "2": "n1,n2", "": "nothing was confirmed", "\n": "is not 2", "yes\n": `"yes" is not 2`, "3\n": `"3" is not 2`} {
		var out bytes.Buffer
		c := &cobra.Command{}
		c.SetIn(strings.NewReader(typed))
		c.SetOut(&out)
		names, err := confirmInstall(t.Context(), c, client.Handler(daemon), view.JobRequest{Verb: "install", Selector: "all"})
		got := strings.Join(names, ",")
		if err != nil {
			got = err.Error()
			if statusOf(err) != exitRefused {
				t.Errorf("%q: status %d", typed, statusOf(err))
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
		if !strings.Contains(out.String(), "0x5000c500a1b2c3d4") || !strings.Contains(out.String(), "Type the number of machines, 2, to go on") {
			t.Errorf("it showed:\n%s", out.String())
		}
	}
}

// TestTimeLeft is an estimate from those that are done.
func TestTimeLeft(t *testing.T) {
	now := time.Now()
	board := func(phases string) *jobBoard {
		b := newJobBoard("install")
		for i, phase := range strings.Split(phases, " ") {
			name := string(rune('a' + i))
			b.begin([]view.JobResult{{Target: name, Phase: phase}})
			b.begun[name] = now.Add(-5 * time.Minute)
		}
		return b
	}
	for _, c := range []struct {
		phases string
		took   []time.Duration
		want   time.Duration
	}{
		{"running running waiting", nil, 0},
		{"done running", []time.Duration{20 * time.Minute}, 15 * time.Minute},
		{"done done running", []time.Duration{20 * time.Minute, 10 * time.Minute}, 10 * time.Minute},
		{"done running waiting", []time.Duration{20 * time.Minute}, 35 * time.Minute},
		{"done running running waiting waiting waiting", []time.Duration{20 * time.Minute}, 55 * time.Minute},
		{"done failed", []time.Duration{20 * time.Minute}, 0},
	} {
		b := board(c.phases)
		b.took = slices.Clone(c.took)
		if got := b.left(now); got != c.want {
			t.Errorf("%s: %s left, want %s", c.phases, got, c.want)
		}
	}
}
