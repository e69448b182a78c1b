package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestNoOperatorRouteOnTheMachineListener walks the operator's own router, so
// that a route added later is asked for, too.
func TestNoOperatorRouteOnTheMachineListener(t *testing.T) {
	w := planned(t)
	n := 0
	err := chi.Walk(w.routes.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		n++
		path := strings.NewReplacer("{name}", "d1", "{who}", "d1", "/*", "/").Replace(route)
		if r := w.ask(atD1, method, path, "{}"); r.Code != http.StatusNotFound {
			t.Errorf("%s %s answers %d on the machine listener: %s", method, path, r.Code, r.Body)
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Errorf("%d routes were asked for: %v", n, err)
	}
	same(t, "the page", w.get(atD1, "/").Code, http.StatusNotFound)
}

func TestNoMachineRouteOnTheOperatorListener(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	for _, path := range []string{askD1, "/boot/boot.ipxe", "/answer/" + token + "/preseed.cfg", "/images/" + media()[0].Digest + "/linux"} {
		same(t, path, w.call(http.MethodGet, path, "").Code, http.StatusNotFound)
	}
}

// problem decodes an error and checks its form (RFC 9457).
func (w *world) problem(method, target, body string, status int, code string) view.Problem {
	w.t.Helper()
	r := w.call(method, target, body)
	name := method + " " + target
	same(w.t, name+": status", r.Code, status)
	same(w.t, name+": type", r.Header().Get("Content-Type"), "application/problem+json")
	p := decode[view.Problem](w.t, r)
	same(w.t, name+": status inside", p.Status, status)
	same(w.t, name+": code", p.Code, code)
	if p.Title == "" || p.Detail == "" {
		w.t.Errorf("%s: %+v", name, p)
	}
	return p
}

func TestProblems(t *testing.T) {
	w := planned(t)
	before := w.seq()
	contains(t, "the detail", w.problem("GET", "/api/v1/nodes/nobody", "", 404, "not-found").Detail, "nobody", "rackseed node list")
	contains(t, "the detail", w.problem("GET", "/api/v1/nodes?selector=nobody", "", 400, "usage").Detail, "nobody")
	w.problem("GET", "/api/v1/nodes?selector=%26%26", "", 400, "usage")
	w.problem("GET", "/api/v1/events?since=yesterday", "", 400, "usage")
	w.problem("GET", "/api/v1/explain/nobody", "", 404, "not-found")
	w.problem("GET", "/api/v1/nodes/nobody/profile", "", 400, "usage")
	if p := decode[view.Profile](t, w.call("GET", "/api/v1/nodes/n1/profile", "")); p.Node != "n1" || len(p.Values) != 1 {
		t.Errorf("the profile is %+v", p)
	}
	w.problem("GET", "/api/v1/export/terraform", "", 400, "usage")
	if e := decode[view.Export](t, w.call("GET", "/api/v1/export/hosts", "")); len(e.Files) != 1 || e.Files[0].Text != "10.20.1.1 n1" || len(e.Warnings) != 1 {
		t.Errorf("exported %+v", e)
	}
	w.problem("GET", "/api/v1/nothing", "", 404, "not-found")
	w.problem("GET", "/nothing", "", 404, "not-found")
	w.problem("PUT", "/api/v1/nodes/d1", "", 405, "method")
	w.problem("GET", "/api/v1/arm", "", 405, "method")
	w.problem("POST", "/api/v1/arm", "{", 400, "usage")
	w.problem("POST", "/api/v1/arm", `{"selector": "d1", "force": true}`, 400, "usage")
	w.problem("POST", "/api/v1/arm", `{"selector": "nobody"}`, 400, "usage")
	w.problem("POST", "/api/v1/arm", `{"selector": ""}`, 400, "usage")
	w.problem("POST", "/api/v1/disarm", `{"selector": "role=nothing"}`, 400, "usage")
	w.problem("DELETE", "/api/v1/images/nothing", "", 404, "not-found")
	w.nothingHappened(before)
}

func TestArmIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	w.plan(planText, "")
	w.do(site.ImageAdded{Image: media()[0]}) // and no rocky9
	before := w.seq()
	p := w.problem("POST", "/api/v1/arm", `{"selector": "all", "by": "ops"}`, 409, "refused")
	contains(t, "the refusal", p.Detail, "r1", "rocky9", "rackseed image add")
	w.nothingHappened(before)
}

// TestArmVets: a machine that could not be installed is not armed, nor is any
// other of its batch; looking takes place once, outside the commit.
func TestArmVets(t *testing.T) {
	w := planned(t)
	w.vetoed = errors.New("d2 could not be installed: no disk fits")
	before := w.seq()
	p := w.problem("POST", "/api/v1/arm", `{"selector": "role=deb"}`, 409, "refused")
	contains(t, "the refusal", p.Detail, "no disk fits")
	p = w.problem("POST", "/api/v1/arm", `{"selector": "role=deb", "dry_run": true}`, 409, "refused")
	contains(t, "the refusal of a dry run", p.Detail, "no disk fits")
	w.nothingHappened(before)
	w.vetoed, w.vets = nil, 0
	w.call("POST", "/api/v1/arm", `{"selector": "role=deb"}`)
	same(t, "times that machines were vetted", w.vets, 1)
}

// TestDiffSaysWhatApplyWouldRefuse: before anybody is asked to confirm.
func TestDiffSaysWhatApplyWouldRefuse(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	w.boot(atD1, askD1)
	without := strings.ReplaceAll(planText, "d1", "d9")
	r := w.plan(without, "dry_run=true")
	contains(t, "the refusal", r.Refused, "d1", "being installed", "rackseed disarm d1")
	if len(r.Changes) == 0 || r.Applied {
		t.Errorf("%+v", r)
	}
	same(t, "a refusal of a harmless plan", w.plan(planText, "dry_run=true").Refused, "")
}

// TestPlanKeepsTheMACsOfABusyNode: a plan takes no MAC from a machine that is
// being installed, not even to exchange it for another's. It may bring one.
func TestPlanKeepsTheMACsOfABusyNode(t *testing.T) {
	const mac1, mac2 = "52:54:00:00:00:01", "52:54:00:00:00:02"
	const words = "the plan takes MAC " + mac1 + " from d1, which is being installed: wait for it, or `rackseed disarm d1` first"
	exchanged := strings.NewReplacer(mac1, mac2, mac2, mac1).Replace(planText)
	changed := strings.ReplaceAll(planText, mac1, "52:54:00:00:00:09")
	w := planned(t)
	w.arm("d1")
	same(t, "a refusal while it is only armed", w.plan(exchanged, "dry_run=true").Refused, "")
	w.boot(atD1, askD1)
	before := w.seq()
	for name, text := range map[string]string{"exchanged": exchanged, "changed": changed} {
		same(t, "said of a dry run, "+name, w.plan(text, "dry_run=true").Refused, words)
		same(t, "said, "+name, w.problem("PUT", "/api/v1/plan?name=site.yaml", text, 409, "refused").Detail, words)
	}
	w.nothingHappened(before)
	same(t, "a plan with one more MAC is applied", w.plan(strings.ReplaceAll(planText, `"`+mac1+`"`, `"52:54:00:00:00:09", "`+mac1+`"`), "").Applied, true)
	w.call("POST", "/api/v1/disarm", `{"selector": "d1", "by": "ops"}`)
	same(t, "the exchange is applied once it is disarmed", w.plan(exchanged, "").Applied, true)
}

func TestArmAndDisarm(t *testing.T) {
	w := planned(t)
	r := decode[view.ArmResult](t, w.call("POST", "/api/v1/arm", `{"selector": "role=deb", "by": "ops@laptop", "reason": "first batch", "for": 3600000000000}`))
	same(t, "nodes", len(r.Nodes), 2)
	same(t, "seq", r.Seq, w.seq())
	for _, n := range r.Nodes {
		same(t, n.Name+" is", n.State, site.PhaseArmed)
		same(t, n.Name+" is armed by", n.ArmedBy, "ops@laptop")
		same(t, n.Name+" is armed until", n.ArmedUntil, w.clock().Add(time.Hour))
		same(t, n.Name+" would", n.Next, "install")
	}
	r = decode[view.ArmResult](t, w.call("POST", "/api/v1/disarm", `{"selector": "d1", "by": "ops"}`))
	same(t, "d1 is", r.Nodes[0].State, site.PhasePlanned)
	before := w.seq()
	w.call("POST", "/api/v1/disarm", `{"selector": "d1", "by": "ops"}`)
	w.nothingHappened(before)
}

func TestArmRefusesWhatRuns(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	w.boot(atD1, askD1)
	contains(t, "the refusal", w.problem("POST", "/api/v1/arm", `{"selector": "d1"}`, 409, "refused").Detail, "d1", "attempt 1", "rackseed disarm d1")
}

// TestDryRunsChangeNothing: not the log, not the library, not the answer that
// the same machine gets next.
func TestDryRunsChangeNothing(t *testing.T) {
	w := planned(t)
	before := w.seq()
	r := decode[view.ArmResult](t, w.call("POST", "/api/v1/arm", `{"selector": "d1,d2", "by": "ops", "dry_run": true}`))
	same(t, "nodes that would be armed", len(r.Nodes), 2)
	same(t, "d1 is", r.Nodes[0].State, site.PhasePlanned)
	w.problem("POST", "/api/v1/arm", `{"selector": "nobody", "dry_run": true}`, 400, "usage")
	changes := w.plan(strings.ReplaceAll(planText, "d2", "d3"), "dry_run=true")
	same(t, "applied", changes.Applied, false)
	if len(changes.Changes) == 0 {
		t.Error("no changes are told")
	}
	w.nothingHappened(before)
	isLocal(t, w.get(atD1, askD1))
	if _, ok := w.ledger.State().Machine("d3"); ok {
		t.Error("d3 was planned")
	}
}

func TestPlan(t *testing.T) {
	w := newWorld(t)
	r := w.plan(planText, "")
	same(t, "applied", r.Applied, true)
	same(t, "nodes", r.Nodes, 3)
	same(t, "seq", r.Seq, w.seq())
	if want := []string{"plan-applied", "node-planned d1", "node-planned d2", "node-planned r1"}; !slices.Equal(r.Changes, want) {
		t.Errorf("the changes are %q", r.Changes)
	}
	applied, ok := w.events()[0].Body.(site.PlanApplied)
	if !ok || applied.By != "ops" || !applied.Settings.Access.Root.Sealed() {
		t.Errorf("recorded %+v", applied)
	}
	before := w.seq()
	again := w.plan(planText, "")
	same(t, "changes of the same plan", len(again.Changes), 0)
	w.nothingHappened(before)
}

func TestPlanWithErrorsIsNotApplied(t *testing.T) {
	w := planned(t)
	before := w.seq()
	for name, text := range map[string]string{
		"unknown key":   "site: x\nfoo: 1\n",
		"no YAML":       "\x00",
		"two d1":        strings.ReplaceAll(planText, "name: d2", "name: d1"),
		"no such image": strings.ReplaceAll(planText, "image: rocky9", "image: rocky8"),
	} {
		r := w.plan(text, "")
		if r.Applied || len(r.Findings) == 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	w.nothingHappened(before)
}

// TestNodeBeingInstalledStaysInThePlan: without it the machine would lose the
// daemon that knows it, in the middle of its disk.
func TestNodeBeingInstalledStaysInThePlan(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	without := ""
	for line := range strings.Lines(planText) {
		if !strings.Contains(line, "name: d1,") {
			without += line
		}
	}
	before := w.seq()
	p := w.problem("PUT", "/api/v1/plan?name=x&by=ops", without, 409, "refused")
	contains(t, "the refusal", p.Detail, "d1", "rackseed disarm d1")
	w.nothingHappened(before)
	w.report(atD1, token, install.StageDone, "")
	same(t, "applied afterwards", w.plan(without, "").Applied, true)
}

// TestChangedNodeIsDisarmed: the consent was to what the entry said.
func TestChangedNodeIsDisarmed(t *testing.T) {
	w := planned(t)
	w.arm("d1,d2")
	w.plan(strings.ReplaceAll(planText, "SERIAL-D1", "SERIAL-D9"), "")
	same(t, "d1", w.node("d1").Phase, site.PhasePlanned)
	same(t, "d2", w.node("d2").Phase, site.PhaseArmed)
	isLocal(t, w.get(atD1, "/boot/node.ipxe?mac=52:54:00:00:00:01"))
}

func TestFullDiskIsToldToTheOperator(t *testing.T) {
	w := planned(t)
	w.store.breakWith(fmt.Errorf("appending: %w", store.ErrNoSpace))
	contains(t, "the problem", w.problem("POST", "/api/v1/arm", `{"selector": "d1"}`, 500, "failed").Detail, "no space left")
	same(t, "reading goes on", w.call("GET", "/api/v1/nodes/d1", "").Code, http.StatusOK)
	w.store.mend()
	w.arm("d1")
}

func TestNodesAndStatus(t *testing.T) {
	w := planned(t)
	w.do(site.StrangerSeen{MAC: site.MAC{2, 0, 0, 0, 0, 9}, Arch: "UEFI x64", Class: "PXEClient"})
	w.arm("d1")
	all := decode[[]view.Node](t, w.call("GET", "/api/v1/nodes", ""))
	var names []string
	for _, n := range all {
		names = append(names, n.Name)
	}
	if want := []string{"d1", "d2", "r1", "02:00:00:00:00:09"}; !slices.Equal(names, want) {
		t.Errorf("the nodes are %q", names)
	}
	same(t, "the stranger would be told", all[3].Next, "ignore")
	same(t, "selected", len(decode[[]view.Node](t, w.call("GET", "/api/v1/nodes?selector=role%3Ddeb", ""))), 2)
	for _, name := range []string{"d1", "52:54:00:00:00:01", "52-54-00-00-01-01", "52%3A54%3A00%3A00%3A00%3A01"} {
		same(t, name, decode[view.Node](t, w.call("GET", "/api/v1/nodes/"+name, "")).Name, "d1")
	}
	st := decode[view.Status](t, w.call("GET", "/api/v1/status", ""))
	same(t, "armed", st.Nodes[site.PhaseArmed], 1)
	same(t, "seen", st.Nodes[site.PhaseSeen], 1)
	same(t, "images", st.Images, 2)
	same(t, "healthz", w.call("GET", "/healthz", "").Code, http.StatusOK)
	same(t, "render", w.call("GET", "/api/v1/nodes/d1/render?as=ipxe", "").Body.String(), "d1 as ipxe, secrets false")
}

func TestImages(t *testing.T) {
	w := planned(t)
	w.library.next = site.Image{Digest: strings.Repeat("a", 64), Family: "debian"}
	r := w.call("POST", "/api/v1/images", `{"file": "/tmp/x.iso", "name": "debian12"}`)
	same(t, "the type", r.Header().Get("Content-Type"), "application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(r.Body.String()), "\n")
	same(t, "lines", len(lines), 3)
	contains(t, "progress", lines[0], `"done":1`, `"total":2`)
	contains(t, "the image", lines[2], `"name":"debian12"`, `"warnings":["odd"]`)
	list := decode[[]site.Image](t, w.call("GET", "/api/v1/images", ""))
	same(t, "images", len(list), 3)
	same(t, "the first", list[0].Name, "debian12")
	same(t, "when it came", list[0].Added, w.clock())

	before := w.seq()
	w.call("POST", "/api/v1/images", `{"file": "/tmp/x.iso", "name": "debian12"}`)
	w.nothingHappened(before)
	w.library.fail = errors.New("no medium")
	contains(t, "a failure", w.call("POST", "/api/v1/images", `{"file": "/x"}`).Body.String(), `"problem"`, "no medium", `"code":"failed"`)
	w.nothingHappened(before)
}

func TestImageInUseStays(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	before := w.seq()
	contains(t, "the refusal", w.problem("DELETE", "/api/v1/images/debian13", "", 409, "refused").Detail, "d1 is being installed")
	w.library.next = site.Image{Digest: strings.Repeat("b", 64), Family: "debian"}
	contains(t, "the refusal", w.call("POST", "/api/v1/images", `{"file": "/x", "name": "debian13"}`).Body.String(), "d1 is being installed", `"code":"refused"`)
	w.nothingHappened(before)
	same(t, "files removed", len(w.library.gone()), 0)

	w.report(atD1, token, install.StageDone, "")
	w.do(site.ImageAdded{Image: site.Image{Name: "alias", Digest: media()[0].Digest}})
	same(t, "status", w.call("DELETE", "/api/v1/images/debian13", "").Code, http.StatusNoContent)
	same(t, "files removed while a name is left", len(w.library.gone()), 0)
	same(t, "status", w.call("DELETE", "/api/v1/images/alias", "").Code, http.StatusNoContent)
	if gone := w.library.gone(); !slices.Equal(gone, []string{media()[0].Digest}) {
		t.Errorf("removed %q", gone)
	}
}
