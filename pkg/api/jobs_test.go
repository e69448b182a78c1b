package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/view"
)

// bench is a runner of jobs of which a test says what it answers.
type bench struct {
	started   view.JobRequest
	cancelled string
	err       error
}

func (b *bench) Start(_ context.Context, req view.JobRequest) (view.Job, error) {
	b.started = req
	return view.Job{ID: "j1", Verb: req.Verb, State: "running"}, b.err
}

func (b *bench) Jobs() []view.Job { return nil }

func (b *bench) Job(id string) (view.Job, bool) {
	return view.Job{ID: id, Verb: "power", State: "running"}, id == "j1"
}

func (b *bench) Follow(_ context.Context, id string, tell func(view.JobChange) error) error {
	for _, c := range []view.JobChange{{Target: "n1", Phase: "running"}, {Job: &view.Job{ID: id, State: "ended"}}} {
		if err := tell(c); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) Cancel(_ context.Context, id string) error {
	b.cancelled = id
	return b.err
}

func TestJobs(t *testing.T) {
	w := planned(t)
	b := w.jobs
	r := w.call("POST", "/api/v1/jobs", `{"verb": "power", "args": ["cycle"], "selector": "rack=A01", "options": {"canary": 2, "stagger": 2000000000}}`)
	if j := decode[view.Job](t, r); j.ID != "j1" || b.started.Options.Canary != 2 || b.started.Options.Stagger.Seconds() != 2 || b.started.Selector != "rack=A01" {
		t.Errorf("%+v was started as %+v", b.started, j)
	}
	same(t, "no jobs", strings.TrimSpace(w.call("GET", "/api/v1/jobs", "").Body.String()), "[]")
	same(t, "one job", decode[view.Job](t, w.call("GET", "/api/v1/jobs/j1", "")).ID, "j1")
	same(t, "cancelling", w.call("DELETE", "/api/v1/jobs/j1", "").Code, http.StatusNoContent)
	same(t, "cancelled", b.cancelled, "j1")

	w.problem("POST", "/api/v1/jobs", `{"verb": "power", "passphrase": "x"}`, 400, "usage")
	w.problem("GET", "/api/v1/jobs/j2", "", 404, "not-found")
	w.problem("DELETE", "/api/v1/jobs/j2", "", 404, "not-found")
	b.err = view.Misuse("it has ended")
	w.problem("POST", "/api/v1/jobs", `{"verb": "power"}`, 400, "usage")
	w.problem("DELETE", "/api/v1/jobs/j1", "", 400, "usage")
	b.err = install.Refusal("it is being installed")
	w.problem("POST", "/api/v1/jobs", `{"verb": "power"}`, 409, "refused")
	b.err = errors.New("the disk is full")
	w.problem("POST", "/api/v1/jobs", `{"verb": "power"}`, 500, "failed")
}

// TestFollowJob: who accepts lines is told each change, and last the job.
func TestFollowJob(t *testing.T) {
	w := planned(t)
	req := httptest.NewRequest(http.MethodGet, "/api/v1/jobs/j1", nil)
	req.Header.Set("Accept", "application/x-ndjson")
	r := httptest.NewRecorder()
	w.operator.ServeHTTP(r, req)
	var changes []view.JobChange
	for d := json.NewDecoder(r.Body); d.More(); {
		var c view.JobChange
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	if len(changes) != 2 || changes[0].Target != "n1" || changes[1].Job == nil || changes[1].Job.State != "ended" || !r.Flushed {
		t.Errorf("%+v, flushed %t", changes, r.Flushed)
	}
}
