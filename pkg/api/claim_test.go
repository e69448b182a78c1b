package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

const twin = "/boot/node.ipxe?mac=52:54:00:99:99:99&uuid=11111111-1111-4111-8111-111111111102"

// TestSecondClaimIsRefused: while a node is installed, another machine with
// its identity gets nothing, loudly and once; the install goes on.
func TestSecondClaimIsRefused(t *testing.T) {
	w := planned(t)
	w.arm("d2")
	token := w.boot(atD2, askD2)
	before := w.seq()
	for range 3 {
		r := w.get(atD2, twin)
		same(t, "status", r.Code, http.StatusOK)
		contains(t, "the script", r.Body.String(), "d2", "two machines claim to be d2", "52:54:00:99:99:99")
		noInstaller(t, r)
	}
	if kinds := w.kinds(before); !slices.Equal(kinds, []string{"claim-refused"}) {
		t.Errorf("recorded %q", kinds)
	}
	contains(t, "the log", w.log.String(), "identity is in doubt", "node=d2")
	w.report(atD2, token, install.StageDone, "")
	m := w.node("d2")
	same(t, "the state", m.Phase, site.PhaseInstalled)
	if len(m.Claims) != 1 || m.Claims[0].MAC.String() != "52:54:00:99:99:99" {
		t.Errorf("claims: %+v", m.Claims)
	}
}

// TestTwinOfAFinishedNode: nothing runs that a twin could disturb, and yet it
// is put on record, once, and gets nothing that is the node's.
func TestTwinOfAFinishedNode(t *testing.T) {
	w := planned(t)
	w.arm("d2")
	token := w.boot(atD2, askD2)
	w.report(atD2, token, install.StageDone, "")
	before := w.seq()
	for range 3 {
		r := w.get(atD2, twin)
		contains(t, "the script", r.Body.String(), "a machine with MAC 52:54:00:99:99:99 claims to be d2", "rackseed plan apply FILE", "rackseed node adopt 52:54:00:99:99:99")
		noInstaller(t, r)
	}
	if kinds := w.kinds(before); !slices.Equal(kinds, []string{"claim-refused"}) {
		t.Errorf("recorded %q", kinds)
	}
	same(t, "the state", w.node("d2").Phase, site.PhaseInstalled)
	isLocal(t, w.get(atD2, askD2))
	contains(t, "the node", w.call(http.MethodGet, "/api/v1/nodes/d2", "").Body.String(), "claims to be d2")
}

// TestLateReports: what is said with the token of an earlier attempt changes
// nothing of the present one.
func TestLateReports(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	old := w.boot(atD1, askD1)
	w.report(atD1, old, install.StageFailed, "no space")
	w.arm("d1")
	w.boot(atD1, askD1)
	before := w.seq()
	for _, stage := range []install.Stage{install.StagePackages, install.StageFailed, install.StageDone, install.StageVerified} {
		same(t, string(stage), w.ask(atD1, http.MethodPost, "/report/"+old+"/"+string(stage), "late").Code, http.StatusNotFound)
	}
	same(t, "evidence", w.ask(atD1, http.MethodPut, "/report/"+old+"/evidence", "late").Code, http.StatusNotFound)
	w.nothingHappened(before)
	m := w.node("d1")
	if m.Attempt.Number != 2 || m.Phase != site.PhaseBooting {
		t.Errorf("it is %s at attempt %d", m.Phase, m.Attempt.Number)
	}
}

// TestDoneThatWasLost: a machine that comes back from its last stage is sent
// to its disk, and not installed again.
func TestDoneThatWasLost(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StagePost, "")
	before := w.seq()
	isLocal(t, w.get(atD1, askD1))
	w.nothingHappened(before)
	w.report(atD1, token, install.StageVerified, "")
	same(t, "the state", w.node("d1").Phase, site.PhaseReady)
}
