package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

func TestAnInstallFromLoaderToReady(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.get(atD1, "/answer/"+token+"/preseed.cfg")
	for _, stage := range []install.Stage{install.StageEarly, install.StageDisk, install.StagePartitioned, install.StagePackages, install.StagePost} {
		w.report(atD1, token, stage, "all is well")
		same(t, "the stage", w.node("d1").Attempt.Stage, string(stage))
		same(t, "the state", w.node("d1").Phase, site.PhaseInstalling)
	}
	w.report(atD1, token, install.StageDone, "")
	same(t, "the state", w.node("d1").Phase, site.PhaseInstalled)
	w.report(atLAN, token, install.StageVerified, "") // the system may have another address
	same(t, "the state", w.node("d1").Phase, site.PhaseReady)
	before := w.seq()
	w.report(atD1, token, install.StageEarly, "") // a late, repeated report
	w.nothingHappened(before)
}

func TestDeviations(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StageDone, "")
	w.report(atD1, token, install.StageVerified, "sysctl vm.swappiness is 60, not 10\n\n  limit nofile is 1024  \n")
	m := w.node("d1")
	same(t, "the state", m.Phase, site.PhaseInstalled)
	if want := []string{"sysctl vm.swappiness is 60, not 10", "limit nofile is 1024"}; !slices.Equal(m.Deviations, want) {
		t.Errorf("the deviations are %q", m.Deviations)
	}
	w.report(atD1, token, install.StageVerified, strings.Repeat("x\n", 30_000))
	same(t, "the number of deviations", len(w.node("d1").Deviations), 200)
}

func TestReportsThatAreNotTaken(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	before := w.seq()
	for _, c := range []struct {
		name, target, body string
		want               int
	}{
		{"unknown stage", "/report/" + token + "/lunch", "", http.StatusConflict},
		{"verified before it was installed by nobody", "/report/" + token + "/%2e%2e", "", http.StatusConflict},
		{"unknown token", "/report/" + strings.Repeat("0", 64) + "/early", "", http.StatusNotFound},
		{"upper-case token", "/report/" + strings.ToUpper(token) + "/early", "", http.StatusNotFound},
		{"oversize", "/report/" + token + "/early", strings.Repeat("x", 64<<10+1), http.StatusBadRequest},
		{"oversize, unknown token", "/report/x/early", strings.Repeat("x", 64<<10+1), http.StatusBadRequest},
	} {
		same(t, c.name, w.ask(atD1, http.MethodPost, c.target, c.body).Code, c.want)
	}
	same(t, "GET", w.get(atD1, "/report/"+token+"/early").Code, http.StatusMethodNotAllowed)
	w.nothingHappened(before)
	w.report(atD1, token, install.StageEarly, strings.Repeat("x", 64<<10))
}

// TestHostileText: what an installer says reaches terminals, logs and pages,
// so nothing but printable ASCII of a bounded length is kept of it.
func TestHostileText(t *testing.T) {
	for name, text := range map[string]string{
		"ANSI":     "\x1b[2J\x1b]0;title\x07\x1b[31mred",
		"bidi":     "disk \u202e\u2066gnp.exe\u2069",
		"controls": "a\x00b\x08c\x7fd\u0085e\u2028f",
		"markup":   `<img src=x onerror=alert(1)>`,
		"no UTF-8": "\xff\xfe\xc0\xaf",
		"64 kB":    strings.Repeat("A", 64<<10),
		"lines":    strings.Repeat("\n", 60_000) + "at last",
	} {
		t.Run(name, func(t *testing.T) {
			w := planned(t)
			w.arm("d1,d2")
			one, two := w.boot(atD1, askD1), w.boot(atD2, askD2)
			w.report(atD1, one, install.StageEarly, text)
			w.report(atD1, one, install.StageFailed, text)
			w.report(atD2, two, install.StageDone, "")
			w.report(atD2, two, install.StageVerified, text)
			m := w.node("d1")
			for _, kept := range append([]string{m.Attempt.Detail, m.Reason}, w.node("d2").Deviations...) {
				if len(kept) > 400 || !utf8.ValidString(kept) || strings.ContainsFunc(kept, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%d bytes were kept: %q", len(kept), kept)
				}
			}
		})
	}
}

func TestFailureIsToldOnTheConsole(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StagePartitioned, "")
	w.report(atD1, token, install.StageFailed, "no space || shell ${x}\nsecond line")
	script := w.get(atD1, askD1).Body.String()
	contains(t, "the script", script, "waits for an operator", "no space .. shell .{x}")
	if strings.Contains(script, "second line") {
		t.Error("the reason has two lines")
	}
}

func TestEvidence(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.report(atD1, token, install.StageFailed, "no disk")
	put := func(body string) int {
		return w.ask(atD1, http.MethodPut, "/report/"+token+"/evidence", body).Code
	}
	for i := range 5 {
		same(t, "status", put(fmt.Sprint("logs ", i)), http.StatusNoContent)
	}
	same(t, "one too many", put("more"), http.StatusNotFound)
	same(t, "an unknown token", w.ask(atD1, http.MethodPut, "/report/"+strings.Repeat("0", 64)+"/evidence", "x").Code, http.StatusNotFound)
	same(t, "files kept", len(w.evidence.files), 5)
	m := w.node("d1")
	same(t, "files recorded", len(m.Evidence), 5)
	same(t, "the attempt of the first", m.Evidence[0].Attempt, 1)
	same(t, "the size of the first", m.Evidence[0].Size, 6)
}

// A machine, or whoever read its token on the wire, may begin any number of
// uploads at one moment: no more are read than are kept.
func TestEvidenceThatArrivesAtOneMomentIsBoundedToo(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	const clients = 40
	met := make(chan struct{}, clients) // an upload is being read, or was refused
	hold := make(chan struct{})
	var all sync.WaitGroup
	var kept atomic.Int32
	for range clients {
		all.Go(func() {
			body := readerFunc(func([]byte) (int, error) {
				met <- struct{}{}
				<-hold
				return 0, io.EOF
			})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/report/"+token+"/evidence", body)
			switch got := w.send(atD1, r).Code; got {
			case http.StatusNoContent:
				kept.Add(1)
			case http.StatusNotFound:
				met <- struct{}{}
			default:
				t.Errorf("status %d", got)
			}
		})
	}
	for range clients {
		<-met
	}
	close(hold)
	all.Wait()
	same(t, "uploads that were read", kept.Load(), 5)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestEvidenceThatIsNotKept(t *testing.T) {
	w := planned(t)
	w.arm("d1")
	token := w.boot(atD1, askD1)
	w.evidence.fail = errors.New("the disk is full")
	before := w.seq()
	same(t, "status", w.ask(atD1, http.MethodPut, "/report/"+token+"/evidence", "x").Code, http.StatusInsufficientStorage)
	w.nothingHappened(before)
	contains(t, "the log", w.log.String(), "evidence was lost", "the disk is full")
}

// TestNoSecretLeaves runs every path that touches a token or the root hash,
// wrong turns included, and looks for both wherever somebody may read.
func TestNoSecretLeaves(t *testing.T) {
	w := planned(t)
	w.arm("d1,d2,r1")
	var tokens []string
	var replies strings.Builder
	try := func(from, method, target, body string) {
		r := w.ask(from, method, target, body)
		if r.Code >= 400 {
			fmt.Fprintln(&replies, r.Code, r.Header(), r.Body)
		}
	}
	for from, ask := range map[string]string{atD1: askD1, atR1: askR1} {
		token := w.boot(from, ask)
		tokens = append(tokens, token, token[:32])
		try(atLAN, http.MethodGet, "/answer/"+token+"/preseed.cfg", "")
		try(from, http.MethodGet, "/answer/"+token+"/preseed.cfg", "")
		try(from, http.MethodGet, "/answer/"+token+"/ks.cfg", "")
		try(from, http.MethodPost, "/report/"+token+"/lunch", "")
		try(from, http.MethodPost, "/report/"+token+"/early", strings.Repeat("x", 1<<20))
		w.evidence.fail = errors.New("full")
		try(from, http.MethodPut, "/report/"+token+"/evidence", "")
		w.evidence.fail = nil
		w.store.breakWith(errors.New("the log broke: no space"))
		w.store.mend()
		try(from, http.MethodPut, "/report/"+token+"/evidence", "x")
		w.report(from, token, install.StageFailed, "failed for the test")
		try(from, http.MethodGet, "/answer/"+token+"/preseed.cfg", "")
	}
	for _, path := range []string{"/api/v1/status", "/api/v1/nodes", "/api/v1/nodes/d1", "/api/v1/events", "/api/v1/images", "/api/v1/explain/d1", "/api/v1/explain/nobody"} {
		fmt.Fprintln(&replies, w.call(http.MethodGet, path, "").Body)
	}
	fmt.Fprintf(&replies, "%+v %#v %v", w.plan(planText, "dry_run=true"), w.plan(planText, ""), w.plan(strings.ReplaceAll(planText, "root:", "rootpw:"), ""))
	state := w.ledger.State()
	snapshot, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	events, err := json.Marshal(w.events())
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{
		"the log": w.log.String(), "the events": string(events), "the snapshot": string(snapshot), "the replies": replies.String(),
		"what was observed": fmt.Sprintf("%+v %#v", w.served, w.served), "the printed state": fmt.Sprintf("%+v %#v", state.Settings, state.Settings),
	} {
		if len(text) < 100 {
			t.Errorf("%s is empty: %q", where, text)
		}
		for _, secret := range append(slices.Clone(tokens), "CANARYSALT", "CANARYHASH") {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s tells %q: …%s…", where, secret, text[max(0, i-200):min(len(text), i+80)])
			}
		}
	}
}
