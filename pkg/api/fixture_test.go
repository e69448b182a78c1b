package api_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/planfile/sheet"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/mem"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rootHash is a crypt hash whose salt must be found nowhere but in an answer
// file.
const rootHash = "$6$CANARYSALT$" + "CANARYHASHCANARYHASHCANARYHASHCANARYHASHCANARYHASHCANARYHASHCANARYHASHCANARYHASHCANARY"

const planText = `site: test
domain: example.net
access: {root: '` + rootHash + `', ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}
provision: {network: provision, dhcp: server}
networks:
  provision: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}
images:
  debian13: {file: debian.iso}
  rocky9: {file: rocky.iso}
roles:
  deb: {profile: base, image: debian13}
  rpm: {profile: base, image: rocky9}
nodes:
  - {name: d1, role: deb, mac: ["52:54:00:00:00:01", "52:54:00:00:01:01"], serial: SERIAL-D1, uuid: 11111111-1111-4111-8111-111111111101, addresses: {provision: 10.20.1.1}}
  - {name: d2, role: deb, mac: "52:54:00:00:00:02", serial: SERIAL-D2, uuid: 11111111-1111-4111-8111-111111111102, addresses: {provision: 10.20.1.2}}
  - {name: r1, role: rpm, mac: "52:54:00:00:00:03", serial: SERIAL-R1, addresses: {provision: 10.20.1.3}}
`

// Where the machines of planText speak from.
const (
	atD1  = "10.20.1.1:40000"
	atD2  = "10.20.1.2:40000"
	atR1  = "10.20.1.3:40000"
	atLAN = "10.20.9.9:40000" // somebody else
)

const (
	askD1    = "/boot/node.ipxe?mac=52:54:00:00:00:01&uuid=11111111-1111-4111-8111-111111111101&serial=SERIAL-D1&arch=x86_64&platform=efi"
	askD1two = "/boot/node.ipxe?mac=52:54:00:00:01:01&serial=SERIAL-D1"
	askD2    = "/boot/node.ipxe?mac=52:54:00:00:00:02"
	askR1    = "/boot/node.ipxe?mac=52:54:00:00:00:03"
)

// world is both sides of HTTP over a log in memory.
type world struct {
	jobs     *bench
	t        testing.TB
	store    *flaky
	ledger   *ledger.Ledger
	ended    <-chan struct{} // the writer has ended
	box      *seal.Box
	log      *logBook
	library  *shelf
	evidence *drawer
	flight   *flight.Recorder
	served   []api.Served

	mu         sync.Mutex
	now        time.Time
	neighbours map[netip.Addr]site.MAC

	machine, operator http.Handler
	routes            http.Handler // operator, without the comparison with its description

	vetoed error // what Vet says of every machine
	vets   int
	health view.Health
	tapes  tapes
}

func newWorld(t testing.TB) *world {
	t.Helper()
	box, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, store: &flaky{Log: mem.New()}, box: box, log: &logBook{}, library: &shelf{}, evidence: &drawer{}, jobs: &bench{},
		now: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), neighbours: map[netip.Addr]site.MAC{},
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.ledger, err = ledger.Open(t.Context(), w.store, ledger.Options{Clock: w.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if w.flight, err = flight.Open(flight.Options{Dir: t.TempDir(), Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	w.run()
	var nonces atomic.Int64
	machine := &api.Machine{
		Ledger: w.ledger, Compose: &bootplan.Composer{Profiles: profiles.Files, Root: box.Open}, Seal: box,
		Agent: func(arch string, ramdisk bool) ([]byte, bool) {
			return []byte(fmt.Sprint("agent ", ramdisk)), arch == "x86_64"
		},
		Loaders: func(name string) ([]byte, bool) { return []byte("a loader"), name == "snponly.efi" },
		Images:  http.NotFoundHandler(), Evidence: w.evidence, Log: log,
		Nonce:     func() string { return fmt.Sprint("nonce-", nonces.Add(1)) },
		Neighbour: w.neighbour, Observe: w.observe,
	}
	operator := &api.Operator{
		Ledger: w.ledger, Log: log, Follower: w.ledger, Seal: box, Library: w.library, Jobs: w.jobs, Flight: w.flight, ReadPlan: readPlan, Version: "test",
		PlanTexts: texts{}, Uploads: t.TempDir(),
		ChooseWire: func(_ context.Context, req view.WireRequest) error {
			if req.Interface != "eth1" {
				return errors.New("it has no address")
			}
			return nil
		},
		Doctor: func(_ context.Context, req view.DoctorRequest) (view.Doctor, error) {
			if req.Interface == "nowhere" {
				return view.Doctor{}, errors.New("there is no such interface")
			}
			return view.Doctor{Findings: []view.DoctorFinding{{ID: "clock", Status: "ok", What: "the clock is right"}}}, nil
		},
		Roles: func(s *site.State) []view.Role {
			roles := []view.Role{}
			for name := range s.Settings.Roles {
				roles = append(roles, view.Role{Name: name, Set: map[string]any{"swap_size": "4GiB"}, Parameters: []view.RoleParameter{{Name: "swap_size", Type: "size", Summary: "Size of the swap volume."}}})
			}
			return roles
		},
		EditRole: func(text string, req view.RoleRequest) (view.RoleResult, error) {
			if req.Role == "" {
				return view.RoleResult{}, errors.New("the plan has no role")
			}
			return view.RoleResult{Text: text + "# " + req.Role, Notes: []string{"line 3: its comment goes with it"}}, nil
		},
		ImportSheet: func(req view.SheetRequest) (view.SheetResult, error) {
			if len(req.Sheet) == 0 {
				return view.SheetResult{}, errors.New("the sheet is empty")
			}
			return view.SheetResult{
				Sheet: req.Name, Rows: 1, Columns: []sheet.Column{}, Changes: []sheet.Change{}, Missing: []string{}, Rewritten: []string{},
				Findings: []sheet.Finding{{ID: "mac-malformed", Row: 2, Column: "C"}}, Check: []view.Finding{}, Text: req.Plan + string(req.Sheet),
			}, nil
		},
		Serving: func() view.Serving { return view.Serving{DHCP: site.DHCPServer, HTTP: "http://10.20.0.1:8080"} },
		Explain: func(_ *site.State, who string, _ time.Time) (view.Explanation, error) {
			if who == "nobody" {
				return view.Explanation{}, errors.New("neither a node nor a MAC")
			}
			return view.Explanation{Who: who, Steps: []view.Step{{Title: "DHCP"}}}, nil
		},
		Profile: func(_ *site.State, node string) (view.Profile, error) {
			if node == "nobody" {
				return view.Profile{}, errors.New("no such node")
			}
			return view.Profile{Node: node, Chain: []string{"base"}, Values: []view.Value{{Kind: "sysctl", Key: "vm.swappiness", Value: "10"}}}, nil
		},
		Render: func(_ *site.State, node, as string, secrets bool) (string, error) {
			return fmt.Sprintf("%s as %s, secrets %t", node, as, secrets), nil
		},
		Export: func(_ *site.State, kind string) (view.Export, error) {
			if kind != "hosts" {
				return view.Export{}, errors.New("there is no such export")
			}
			return view.Export{Files: []view.ExportFile{{Name: kind, Text: "10.20.1.1 n1"}}, Warnings: []string{"n2 has no address"}}, nil
		},
		Vet: func(*site.State, []*site.Machine) error {
			w.vets++
			return w.vetoed
		},
		Health: func() view.Health { return w.health },
		Ready:  func() view.Health { return w.health },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = io.WriteString(w, "rackseed_build_info 1\n")
		}),
		Debug:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a profile") }),
		Heartbeat: time.Millisecond,
	}
	operator.Consoles, operator.Reveal = &w.tapes, w.reveal
	w.machine, w.routes = machine.Handler(), operator.Handler()
	w.operator = described(t, w.routes)
	w.health.Add(view.HealthCheck{Name: "log", OK: true, What: "the log takes events"})
	return w
}

// run runs the writer until the test ends.
func (w *world) run() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.ended = ended
	go func() {
		defer close(ended)
		_ = w.ledger.Run(ctx) // tests of failing logs look at what callers are told
	}()
	recorded := make(chan error, 1)
	go func() { recorded <- w.flight.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-ended; <-recorded })
}

// planned is a world with a plan and its media.
func planned(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	if r := w.plan(planText, ""); !r.Applied {
		t.Fatalf("the plan was not applied: %+v", r.Findings)
	}
	for _, i := range media() {
		w.do(site.ImageAdded{Image: i})
	}
	return w
}

func media() []site.Image {
	return []site.Image{
		{Name: "debian13", Digest: strings.Repeat("d", 64), Family: "debian", Distro: "debian", Version: "13", Arch: "x86_64", Kernel: "linux", Initrd: "initrd.gz", Repos: []string{"."}},
		{Name: "rocky9", Digest: strings.Repeat("9", 64), Family: "rhel", Distro: "rocky", Version: "9.6", Arch: "x86_64", Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img", Repos: []string{"BaseOS", "AppStream"}},
	}
}

func readPlan(name string, data []byte, profiles map[string]string) (*site.Plan, string, []view.Finding) {
	doc, err := planfile.Parse(name, data)
	if err != nil {
		return nil, "", []view.Finding{{ID: "unreadable", Severity: "error", Message: err.Error()}}
	}
	doc.Plan.Profiles = profiles
	findings := []view.Finding{}
	for _, f := range doc.Check() {
		findings = append(findings, view.Finding{ID: f.ID, Severity: string(f.Severity), Message: f.Message})
	}
	return doc.Plan, doc.Digest, findings
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) neighbour(a netip.Addr) (site.MAC, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.neighbours[a]
	return m, ok
}

func (w *world) observe(s api.Served) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.served = append(w.served, s)
}

// do records events as they stand.
func (w *world) do(bodies ...site.Body) {
	w.t.Helper()
	if _, err := w.ledger.Do(w.t.Context(), func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// ask sends one request to the machine side.
func (w *world) ask(from, method, target, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	return w.send(from, r)
}

func (w *world) send(from string, r *http.Request) *httptest.ResponseRecorder {
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.20.0.1:8080"))
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	r.RemoteAddr = from
	got := httptest.NewRecorder()
	w.machine.ServeHTTP(got, r)
	return got
}

func (w *world) get(from, target string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.ask(from, http.MethodGet, target, "")
}

// call sends one request to the operator side.
func (w *world) call(method, target, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	got := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/yaml")
	}
	w.operator.ServeHTTP(got, r)
	return got
}

func decode[T any](t testing.TB, r *httptest.ResponseRecorder) T {
	t.Helper()
	var doc T
	if err := json.Unmarshal(r.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%d %s: %v", r.Code, r.Body, err)
	}
	return doc
}

func (w *world) plan(text, query string) view.PlanResult {
	w.t.Helper()
	return decode[view.PlanResult](w.t, w.call(http.MethodPut, "/api/v1/plan?name=site.yaml&by=ops&"+query, text))
}

func (w *world) arm(selector string) {
	w.t.Helper()
	if r := w.call(http.MethodPost, "/api/v1/arm", `{"selector": "`+selector+`", "by": "ops"}`); r.Code != http.StatusOK {
		w.t.Fatalf("arming %s: %d %s", selector, r.Code, r.Body)
	}
}

var tokenOf = regexp.MustCompile(`/answer/([0-9a-f]{64})/`)

// boot asks for the script of a node that is armed, and gives the token in it.
func (w *world) boot(from, ask string) string {
	w.t.Helper()
	r := w.get(from, ask)
	token := tokenOf.FindStringSubmatch(r.Body.String())
	if r.Code != http.StatusOK || token == nil {
		w.t.Fatalf("no installer: %d %s", r.Code, r.Body)
	}
	return token[1]
}

// report sends a stage and expects it to be taken.
func (w *world) report(from, token string, stage install.Stage, text string) {
	w.t.Helper()
	if r := w.ask(from, http.MethodPost, "/report/"+token+"/"+string(stage), text); r.Code != http.StatusNoContent {
		w.t.Fatalf("reporting %s: %d %s", stage, r.Code, r.Body)
	}
}

func (w *world) node(name string) *site.Machine {
	w.t.Helper()
	m, ok := w.ledger.State().Machine(name)
	if !ok {
		w.t.Fatalf("there is no node %s", name)
	}
	return m
}

func (w *world) events() []site.Event {
	w.t.Helper()
	events, err := w.ledger.Events(w.t.Context(), 0, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// kinds lists the events since seq.
func (w *world) kinds(since uint64) []string {
	var kinds []string
	for _, e := range w.events() {
		if e.Seq > since {
			kinds = append(kinds, e.Body.Kind())
		}
	}
	return kinds
}

func (w *world) seq() uint64 { return w.ledger.State().Seq }

// nothingHappened fails if there are events since seq.
func (w *world) nothingHappened(since uint64) {
	w.t.Helper()
	if kinds := w.kinds(since); len(kinds) > 0 {
		w.t.Errorf("recorded %q", kinds)
	}
}

func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

// isLocal: the script sends the machine to its disk and loads nothing.
func isLocal(t testing.TB, r *httptest.ResponseRecorder) {
	t.Helper()
	same(t, "status", r.Code, http.StatusOK)
	contains(t, "the script", r.Body.String(), "#!ipxe\n", "starts from its disk")
	noInstaller(t, r)
}

func noInstaller(t testing.TB, r *httptest.ResponseRecorder) {
	t.Helper()
	for _, part := range []string{"kernel", "initrd", "/images/", "/answer/"} {
		if strings.Contains(r.Body.String(), part) {
			t.Errorf("%q was handed out:\n%s", part, r.Body)
		}
	}
}

// flaky is a log that fails on demand.
type flaky struct {
	store.Log
	fail atomic.Pointer[error]
}

func (f *flaky) breakWith(err error) { f.fail.Store(&err) }

func (f *flaky) mend() { f.fail.Store(nil) }

func (f *flaky) Append(ctx context.Context, guard uint64, recs [][]byte) (uint64, error) {
	if err := f.fail.Load(); err != nil {
		return 0, *err
	}
	return f.Log.Append(ctx, guard, recs)
}

type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// drawer keeps evidence in memory.
type drawer struct {
	mu    sync.Mutex
	files []string
	fail  error
}

func (d *drawer) Save(_ context.Context, node string, attempt int, r io.Reader, limit int64) (site.Evidence, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return site.Evidence{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return site.Evidence{}, d.fail
	}
	d.files = append(d.files, string(data))
	return site.Evidence{Attempt: attempt, File: fmt.Sprintf("%s-%d-%d.tar.gz", node, attempt, len(d.files)), SHA256: hex.EncodeToString([]byte("sum")), Size: int64(len(data))}, nil
}

// texts keeps plans as they were written, by digest.
type texts map[string]string

func (t texts) Keep(digest, text string) error { t[digest] = text; return nil }

func (t texts) Text(digest string) (string, error) {
	if text, ok := t[digest]; ok {
		return text, nil
	}
	return "", fs.ErrNotExist
}

// shelf is an image library without images.
type shelf struct {
	mu      sync.Mutex
	next    site.Image
	fail    error
	removed []string

	uploaded, file string // what an upload held, and where
}

func (s *shelf) Add(_ context.Context, req view.ImageRequest, progress func(done, total int64)) (site.Image, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return site.Image{}, nil, s.fail
	}
	progress(1, 2)
	progress(2, 2)
	i := s.next
	i.Name = req.Name
	if data, err := os.ReadFile(req.File); err == nil { // an upload, which is there while it is taken in
		s.uploaded, s.file = string(data), req.File
	}
	return i, []string{"odd"}, nil
}

func (s *shelf) Remove(_ context.Context, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, digest)
	return nil
}

func (s *shelf) Verify(_ context.Context, _ string, progress func(done, total int64)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	progress(2, 2)
	return s.fail
}

func (s *shelf) gone() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.removed)
}
