package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// lastLine is the last line of an answer of JSON lines.
func lastLine(t *testing.T, r *httptest.ResponseRecorder) view.ImageLine {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.Body.String()), "\n")
	var l view.ImageLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		t.Fatalf("%v in %s", err, r.Body)
	}
	return l
}

func TestUpload(t *testing.T) {
	w := newWorld(t)
	w.library.next = site.Image{Digest: "aa", Distro: "rocky"}
	r := w.call("POST", "/api/v1/images/upload?name=rocky9&file=Rocky.iso", "the medium")
	if l := lastLine(t, r); l.Image == nil || l.Image.Name != "rocky9" || w.library.uploaded != "the medium" {
		t.Fatalf("%s; uploaded %q", r.Body, w.library.uploaded)
	}
	if _, err := os.Stat(w.library.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind", w.library.file)
	}
	if _, ok := w.ledger.State().Images.Get("rocky9"); !ok {
		t.Error("the log does not know the image")
	}
}

// A browser that goes away leaves neither an image nor half a file.
func TestUploadThatIsCut(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.routes)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	body := &endless{after: cancel}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/v1/images/upload", body)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("it was answered")
	}
	server.Close() // waits for the handler
	if w.ledger.State().Images.Len() != 0 || w.library.uploaded != "" {
		t.Error("half a medium is in the library")
	}
}

// endless gives zeros, and calls after when a megabyte is gone.
type endless struct {
	n     int
	after func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n += len(p); e.n > 1<<20 {
		e.after()
	}
	return len(p), nil
}

func TestVerifyImage(t *testing.T) {
	w := newWorld(t)
	w.library.next = site.Image{Digest: "aa"}
	w.call("POST", "/api/v1/images", `{"file": "x.iso", "name": "rocky9"}`)
	if l := lastLine(t, w.call("POST", "/api/v1/images/rocky9/verify", "")); !l.Verified {
		t.Errorf("%+v", l)
	}
	w.library.fail = errors.New("its SHA-256 is now bb")
	if l := lastLine(t, w.call("POST", "/api/v1/images/rocky9/verify", "")); l.Verified || l.Problem == nil || !strings.Contains(l.Problem.Detail, "is now bb") {
		t.Errorf("%+v", l)
	}
	if r := w.call("POST", "/api/v1/images/none/verify", ""); r.Code != http.StatusNotFound {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestPlanText(t *testing.T) {
	w := newWorld(t)
	if r := w.call("GET", "/api/v1/plan", ""); r.Code != http.StatusOK || r.Body.Len() != 0 {
		t.Errorf("before the first plan: %d %q", r.Code, r.Body)
	}
	if r := w.call("PUT", "/api/v1/plan?dry_run=true", planText); r.Code != http.StatusOK {
		t.Fatal(r.Body)
	}
	if r := w.call("GET", "/api/v1/plan", ""); r.Body.Len() != 0 {
		t.Error("a rehearsal was kept")
	}
	w.call("PUT", "/api/v1/plan", planText)
	if r := w.call("GET", "/api/v1/plan", ""); r.Body.String() != planText {
		t.Errorf("%d %q", r.Code, r.Body)
	}
}

// TestPlanKeepsItsProfiles: the page sends a plan without the profiles that the
// site keeps beside the file, and that must not put shipped ones in their place.
func TestPlanKeepsItsProfiles(t *testing.T) {
	w := newWorld(t)
	plan, err := json.Marshal(planText)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ what, body, want string }{
		{"with profiles, as the command sends it", `{"plan": ` + string(plan) + `, "profiles": {"compute": "name: compute"}}`, "name: compute"},
		{"from the page", `{"plan": ` + string(plan) + `}`, "name: compute"},
		{"from curl", planText, "name: compute"},
		{"by the command, its folder emptied", `{"plan": ` + string(plan) + `, "profiles": {}}`, ""},
	} {
		if r := w.call("PUT", "/api/v1/plan", step.body); r.Code != http.StatusOK {
			t.Fatal(step.what, r.Body)
		}
		if got := w.ledger.State().Settings.Profiles["compute"]; got != step.want {
			t.Errorf("%s: the profile is %q, want %q", step.what, got, step.want)
		}
	}
}

func TestImportSheet(t *testing.T) {
	w := newWorld(t)
	r := w.call("POST", "/api/v1/plan/import", `{"name": "a.csv", "plan": "site: x", "sheet": "IyBh"}`)
	var got view.SheetResult
	if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil || got.Text != "site: x# a" {
		t.Errorf("%v %s", err, r.Body)
	}
	if r := w.call("POST", "/api/v1/plan/import", `{"name": "a.csv", "plan": "", "sheet": ""}`); r.Code != http.StatusBadRequest {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

func TestRoles(t *testing.T) {
	w := newWorld(t)
	const change = `{"role": "compute", "set": {"swap_size": null}}`
	if r := w.call("POST", "/api/v1/plan/role", change); r.Code != http.StatusNotFound {
		t.Errorf("before the first plan: %d %s", r.Code, r.Body)
	}
	w.call("PUT", "/api/v1/plan", planText)
	var roles []view.Role
	if r := w.call("GET", "/api/v1/roles", ""); json.Unmarshal(r.Body.Bytes(), &roles) != nil || len(roles) == 0 || roles[0].Parameters[0].Type != "size" {
		t.Errorf("%s", r.Body)
	}
	before := w.ledger.State().Seq
	var got view.RoleResult
	if r := w.call("POST", "/api/v1/plan/role", change); json.Unmarshal(r.Body.Bytes(), &got) != nil || got.Text != planText+"# compute" || len(got.Notes) != 1 {
		t.Errorf("%s", r.Body)
	}
	if r := w.call("POST", "/api/v1/plan/role", `{"role": "", "set": {}}`); r.Code != http.StatusBadRequest {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if w.ledger.State().Seq != before {
		t.Error("a proposal was put in force")
	}
}

func TestNamesAndSequence(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/plan", planText)
	r := w.call("GET", "/api/v1/nodes?selector=all&names=true", "")
	var names []string
	if err := json.Unmarshal(r.Body.Bytes(), &names); err != nil || len(names) == 0 || names[0] != w.ledger.State().Machines()[0].Node.Name {
		t.Errorf("%v %s", err, r.Body)
	}
	if got := r.Header().Get("Rackseed-Seq"); got != strconv.FormatUint(w.ledger.State().Seq, 10) {
		t.Errorf("Rackseed-Seq is %q", got)
	}
}

func TestNodeInventory(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/plan", planText)
	name := w.ledger.State().Machines()[0].Node.Name
	if r := w.call("GET", "/api/v1/nodes/"+name+"/inventory", ""); strings.Contains(r.Body.String(), "found") {
		t.Errorf("nobody looked: %s", r.Body)
	}
	_, err := w.ledger.Do(t.Context(), func(*site.State, time.Time) ([]site.Body, error) {
		return []site.Body{site.NodeInventoried{Node: name, Inventory: site.Inventory{Source: site.FromBMC, Model: "R760"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.call("GET", "/api/v1/nodes/"+name+"/inventory", ""); !strings.Contains(r.Body.String(), "R760") {
		t.Error(r.Body)
	}
}

// A viewer that slept is not sent what it missed, if that is too much: it is
// told to load the state anew, and followed from there.
func TestReaderThatWasAway(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/plan", planText)
	seq := w.ledger.State().Seq
	server := httptest.NewServer(w.operator)
	defer server.Close()
	for window, want := range map[string]string{
		"1000": "id: 1",
		"1":    fmt.Sprintf("id: %d\nevent: reset\ndata: {\"seq\":%d}", seq, seq),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/events?since=0&window="+window, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for s := bufio.NewScanner(resp.Body); len(got) < strings.Count(want, "\n")+1 && s.Scan(); {
			got = append(got, s.Text())
		}
		cancel()
		resp.Body.Close()
		if strings.Join(got, "\n") != want {
			t.Errorf("window %s: %q, want %q", window, got, want)
		}
	}
}

func TestDoctor(t *testing.T) {
	w := newWorld(t)
	if r := w.call("POST", "/api/v1/doctor", `{"interface": "eth0"}`); !strings.Contains(r.Body.String(), "the clock is right") {
		t.Error(r.Body)
	}
	if r := w.call("POST", "/api/v1/doctor", `{"interface": "nowhere"}`); r.Code != http.StatusBadRequest {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.call("GET", "/api/v1/doctor", ""); r.Code != http.StatusMethodNotAllowed {
		t.Errorf("a GET must not send packets: %d", r.Code)
	}
}

func TestWire(t *testing.T) {
	w := newWorld(t)
	if r := w.call("POST", "/api/v1/wire", `{"interface": "eth1"}`); r.Code != http.StatusNoContent {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.call("POST", "/api/v1/wire", `{"interface": "eth2"}`); r.Code != http.StatusConflict || !strings.Contains(r.Body.String(), "no address") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}
