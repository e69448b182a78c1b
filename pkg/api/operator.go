package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Follower is the part of ledger.Ledger that readers of the log need.
type Follower interface {
	Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error]
	Events(ctx context.Context, since uint64, limit int) ([]site.Event, error)
	StateAt(ctx context.Context, seq uint64) (*site.State, time.Time, error)
}

// Library is the image library, as the operator side needs it.
type Library interface {
	Add(ctx context.Context, req view.ImageRequest, progress func(done, total int64)) (site.Image, []string, error)
	Remove(ctx context.Context, digest string) error
	Verify(ctx context.Context, digest string, progress func(done, total int64)) error
}

// ReadPlan parses and checks the text of a plan with the role profiles that
// the site brought. A plan that does not parse
// has findings and no plan.
type ReadPlan func(name string, data []byte, profiles map[string]string) (plan *site.Plan, digest string, findings []view.Finding)

// Operator is the operator side. Its listener is a unix socket or loopback.
type Operator struct {
	Ledger   Ledger
	Log      *slog.Logger
	Follower Follower
	Seal     *seal.Box
	Library  Library
	Jobs     Jobs
	Flight   Flight
	Consoles Consoles // nil where no daemon runs
	ReadPlan ReadPlan
	// Vet says why machines that are about to be armed could not be installed.
	Vet func(s *site.State, machines []*site.Machine) error
	// CopyLog writes the whole log, as it is at one moment.
	CopyLog func(w io.Writer) error
	Version string
	Serving func() view.Serving
	// Reveal opens what a plan says of a secret; nil opens none.
	Reveal func(site.SecretRef) (site.Secret, error)
	// Explain says what a node or MAC would be told; Render writes one
	// document of a node.
	Explain func(s *site.State, who string, now time.Time) (view.Explanation, error)
	Render  func(s *site.State, node, as string, secrets bool) (string, error)
	// Profile says what a node must be, and where each value came from.
	Profile func(s *site.State, node string) (view.Profile, error)
	// Export writes inventories of one kind from the plan in force.
	Export func(s *site.State, kind string) (view.Export, error)
	// Roles lists the roles of the plan in force, with what each may set.
	Roles func(s *site.State) []view.Role
	// EditRole changes parameters of a role in the text of a plan, or adds one.
	EditRole func(text string, req view.RoleRequest) (view.RoleResult, error)
	// ImportSheet says what an asset sheet would bring into a plan.
	ImportSheet func(view.SheetRequest) (view.SheetResult, error)
	PlanTexts   PlanTexts
	// Doctor looks at this machine and the wire.
	Doctor func(context.Context, view.DoctorRequest) (view.Doctor, error)
	// ChooseWire has a daemon that waits for it serve an interface.
	ChooseWire func(context.Context, view.WireRequest) error
	Uploads    string       // folder for media that are on their way in
	Page       http.Handler // the page at /
	// Health says whether the process serves, Ready whether machines could be
	// installed now.
	Health, Ready func() view.Health
	// ResumeDHCP gives addresses again that were withheld because of another
	// server, if that is gone. Nil where no daemon runs.
	ResumeDHCP func(context.Context) error
	Metrics    http.Handler  // for Prometheus
	Debug      http.Handler  // profiles, at /debug/; nil means none
	Heartbeat  time.Duration // of followers; zero means 15 s
	Followers  atomic.Int64  // of the log, now
}

// maxPlan bounds a plan's text: 16,000 nodes written out one by one take
// about 5 MB.
const maxPlan = 64 << 20

// Handler gives the routes of the operator side.
func (h *Operator) Handler() http.Handler {
	r := chi.NewRouter()
	r.Route("/api/v1", func(r chi.Router) {
		r.Get("/openapi.json", h.openapi)
		r.Get("/session", h.session)
		r.Get("/session", h.session)
		r.Get("/status", h.status)
		r.Get("/nodes", h.nodes)
		r.Post("/nodes", h.adoptNode)
		r.Get("/nodes/{name}", h.node)
		r.Patch("/nodes/{name}", h.changeNode)
		r.Delete("/nodes/{name}", h.removeNode)
		r.Post("/nodes/{name}/discover", h.discoverNode)
		r.Get("/cabling", h.cablings)
		r.Get("/plan/adopted", h.adoptedNodes)
		r.Get("/nodes/{name}/inventory", h.inventory)
		r.Get("/nodes/{name}/render", h.render)
		r.Get("/nodes/{name}/timeline", h.timeline)
		r.Get("/nodes/{name}/pcap", h.pcap)
		r.Get("/batch", h.batch)
		r.Get("/nodes/{name}/profile", h.profile)
		r.Get("/explain/{who}", h.explain)
		r.Get("/export/{kind}", h.export)
		r.Get("/plan", h.planText)
		r.Put("/plan", h.plan)
		r.Post("/plan/import", h.importSheet)
		r.Post("/plan/role", h.editRole)
		r.Get("/roles", h.roles)
		r.Get("/images", h.images)
		r.Post("/images", h.addImage)
		r.Post("/images/upload", h.uploadImage)
		r.Post("/images/{name}/verify", h.verifyImage)
		r.Delete("/images/{name}", h.removeImage)
		r.Post("/arm", h.arm)
		r.Post("/disarm", h.disarm)
		r.Post("/jobs", h.startJob)
		r.Get("/jobs", h.jobs)
		r.Get("/jobs/{id}", h.job)
		r.Delete("/jobs/{id}", h.cancelJob)
		r.Post("/bmcs", h.adoptBMCs)
		r.Delete("/nodes/{name}/bmc", h.forgetBMC)
		r.Get("/recordings", h.recordings)
		r.Put("/nodes/{name}/recording", h.startRecording)
		r.Delete("/nodes/{name}/recording", h.stopRecording)
		r.Post("/nodes/{name}/console", h.copyConsole)
		r.Post("/dhcp/resume", h.resumeDHCP)
		r.Get("/report", h.handover)
		r.Post("/doctor", h.doctor)
		r.Post("/wire", h.wire)
		r.Get("/events", h.events)
		r.Get("/log", h.copyLog)
	})
	r.Get("/healthz", h.health(h.Health))
	r.Get("/readyz", h.health(h.Ready))
	if h.Metrics != nil {
		r.Get("/metrics", h.Metrics.ServeHTTP)
	}
	if h.Debug != nil {
		r.Handle("/debug/*", nearby(h.Debug))
	}
	if h.Page != nil {
		r.Handle("/*", h.Page)
	}
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, codeNotFound, fmt.Errorf("there is nothing at %s", r.URL.Path))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, codeMethod, fmt.Errorf("%s does not take %s", r.URL.Path, r.Method))
	})
	return r
}

// The codes of a problem, which the CLI turns into exit statuses.
const (
	codeUsage    = "usage"
	codeRefused  = "refused"
	codeNotFound = "not-found"
	codeMethod   = "method"
	codeFailed   = "failed"
)

func (h *Operator) fail(w http.ResponseWriter, code string, err error) {
	status := map[string]int{
		codeUsage: http.StatusBadRequest, codeRefused: http.StatusConflict,
		codeNotFound: http.StatusNotFound, codeMethod: http.StatusMethodNotAllowed, codeFailed: http.StatusInternalServerError,
	}[code]
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	h.write(w, view.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: err.Error(), Code: code})
}

func (h *Operator) reply(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	h.write(w, doc)
}

func (h *Operator) write(w io.Writer, doc any) {
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		h.Log.Debug("a reply was not delivered", "error", err)
	}
}

func (h *Operator) status(w http.ResponseWriter, _ *http.Request) {
	h.reply(w, view.StatusOf(h.Ledger.State(), h.Version, h.Serving(), h.Ledger.Now()))
}

func (h *Operator) nodes(w http.ResponseWriter, r *http.Request) {
	s, now := h.Ledger.State(), h.Ledger.Now()
	text := r.URL.Query().Get("selector")
	machines, err := s.Machines(), error(nil)
	if text != "" {
		machines, err = pickMachines(s, text)
	}
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	// Whoever goes on with the events from here on misses none.
	w.Header().Set("Rackseed-Seq", strconv.FormatUint(s.Seq, 10))
	if r.URL.Query().Get("names") == "true" {
		h.reply(w, namesOf(machines))
		return
	}
	h.reply(w, view.Nodes(s, machines, text == "", now))
}

func namesOf(machines []*site.Machine) []string {
	names := make([]string, 0, len(machines))
	for _, m := range machines {
		names = append(names, m.Node.Name)
	}
	return names
}

func pickMachines(s *site.State, text string) ([]*site.Machine, error) {
	sel, err := site.ParseSelector(text)
	if err != nil {
		return nil, err
	}
	machines, err := s.Select(sel)
	if err == nil && len(machines) == 0 {
		err = fmt.Errorf("%q selects no node: `rackseed node list` shows what there is", text)
	}
	return machines, err
}

func (h *Operator) node(w http.ResponseWriter, r *http.Request) {
	s, name := h.Ledger.State(), param(r, "name")
	m, ok := s.Machine(name)
	if mac, err := site.ParseMAC(name); !ok && err == nil {
		m, ok = s.MachineByMAC(mac)
	}
	if st, seen := s.Stranger(name); !ok && seen {
		n := view.StrangerOf(s, st, h.Ledger.Now())
		n.Inventory = st.Inventory
		h.reply(w, n)
		return
	}
	if !ok {
		h.fail(w, codeNotFound, h.Ledger.State().NoNode(name))
		return
	}
	h.reply(w, view.Detail(s, m, h.Ledger.Now()))
}

// inventory is what a machine was found to be, beside what the plan says.
func (h *Operator) inventory(w http.ResponseWriter, r *http.Request) {
	s, name := h.Ledger.State(), param(r, "name")
	m, ok := s.Machine(name)
	if !ok {
		h.fail(w, codeNotFound, h.Ledger.State().NoNode(name))
		return
	}
	h.reply(w, view.InventoryOf(s, m))
}

// param undoes the escaping that chi leaves in a path parameter.
func param(r *http.Request, name string) string {
	raw := chi.URLParam(r, name)
	if text, err := url.PathUnescape(raw); err == nil {
		return text
	}
	return raw
}

// explain says what a machine would be told now, or was to be told behind an
// event.
func (h *Operator) explain(w http.ResponseWriter, r *http.Request) {
	s, now := h.Ledger.State(), h.Ledger.Now()
	past := r.URL.Query().Get("at")
	if past != "" {
		seq, err := strconv.ParseUint(past, 10, 64)
		if err != nil || seq == 0 {
			h.fail(w, codeUsage, fmt.Errorf("at=%q is not the number of an event: see `rackseed events`", past))
			return
		}
		if s, now, err = h.Follower.StateAt(r.Context(), seq); err != nil {
			h.fail(w, codeUsage, err)
			return
		}
	}
	e, err := h.Explain(s, param(r, "who"), now)
	if err != nil {
		h.fail(w, codeNotFound, err)
		return
	}
	if past != "" {
		e.Seq, e.At = s.Seq, now
	}
	h.reply(w, e)
}

func (h *Operator) profile(w http.ResponseWriter, r *http.Request) {
	p, err := h.Profile(h.Ledger.State(), param(r, "name"))
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, p)
}

func (h *Operator) render(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	text, err := h.Render(h.Ledger.State(), param(r, "name"), q.Get("as"), q.Get("secrets") == "true")
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

func (h *Operator) export(w http.ResponseWriter, r *http.Request) {
	e, err := h.Export(h.Ledger.State(), param(r, "kind"))
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	h.reply(w, e)
}

// planRequest takes a bare plan too, which is what an operator has at hand.
func planRequest(w http.ResponseWriter, r *http.Request) (req view.PlanRequest, err error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPlan))
	if err != nil {
		return req, err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return view.PlanRequest{Plan: string(data)}, nil
	}
	return req, json.Unmarshal(data, &req)
}

// plan checks a plan and, unless asked not to, puts it in force.
func (h *Operator) plan(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	request, err := planRequest(w, r)
	if err != nil {
		h.fail(w, codeUsage, fmt.Errorf("reading the plan: %w", err))
		return
	}
	switch {
	case request.Profiles == nil:
		request.Profiles = h.Ledger.State().Settings.Profiles // the page and curl send the plan alone
	case len(request.Profiles) == 0:
		request.Profiles = nil
	}
	plan, digest, findings := h.ReadPlan(q.Get("name"), []byte(request.Plan), request.Profiles)
	result := view.PlanResult{Findings: findings}
	if plan == nil || hasError(findings) {
		h.reply(w, result)
		return
	}
	result.Nodes = len(plan.Nodes)
	plan.Access.Root = h.Seal.Seal(plan.Access.Root)
	if q.Get("dry_run") == "true" {
		s := h.Ledger.State()
		bodies := site.Diff(s, plan, digest, by(r, by(r, q.Get("by"))))
		result.Changes = describe(bodies)
		if err := MayApply(s, plan, bodies); err != nil {
			result.Refused = err.Error()
		}
		h.reply(w, result)
		return
	}
	var bodies []site.Body
	s, err := h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		bodies = site.Diff(s, plan, digest, by(r, by(r, q.Get("by"))))
		return bodies, MayApply(s, plan, bodies)
	})
	if refusal := install.Refusal(""); errors.As(err, &refusal) {
		h.fail(w, codeRefused, err)
		return
	}
	if err != nil {
		h.fail(w, codeFailed, fmt.Errorf("recording the plan: %w", err))
		return
	}
	h.keepPlan(digest, request.Plan)
	result.Changes, result.Applied, result.Seq = describe(bodies), true, s.Seq
	h.reply(w, result)
}

// busyNodes refuses to take a node away while its install runs: the machine
// would be left without a daemon that knows it.
func busyNodes(s *site.State, bodies []site.Body) error {
	for _, b := range bodies {
		m, ok := s.Machine(b.Subject())
		if !ok || !m.Running() {
			continue
		}
		name := m.Node.Name
		switch b := b.(type) {
		case site.NodeUnplanned:
			return install.Refusal(fmt.Sprintf("the plan leaves out %s, which is being installed: wait for it, or `rackseed disarm %s` first", name, name))
		case site.NodePlanned:
			if m.Node.Adopted && !b.Node.Adopted {
				return install.Refusal(fmt.Sprintf("the plan takes %s over, which was adopted and is being installed: wait for it, or `rackseed disarm %s` first", name, name))
			}
		}
	}
	return nil
}

func hasError(findings []view.Finding) bool {
	for _, f := range findings {
		if f.Severity == string(site.SeverityError) {
			return true
		}
	}
	return false
}

func describe(bodies []site.Body) []string {
	var words []string
	for _, b := range bodies {
		words = append(words, strings.TrimSpace(b.Kind()+" "+b.Subject()))
	}
	return words
}

func (h *Operator) arm(w http.ResponseWriter, r *http.Request) {
	var req view.ArmRequest
	if !h.decode(w, r, &req) {
		return
	}
	req.By = by(r, req.By)
	window := req.For
	if window <= 0 {
		window = install.DefaultArming
	}
	vet := h.vetting(req.Selector)
	h.change(w, r, req, func(s *site.State, machines []*site.Machine, now time.Time) ([]site.Body, error) {
		bodies, err := install.Arm(s, machines, req.By, req.Reason, now.Add(window))
		if err != nil {
			return nil, err
		}
		return bodies, vet(s, machines)
	})
}

func (h *Operator) disarm(w http.ResponseWriter, r *http.Request) {
	var req view.ArmRequest
	if !h.decode(w, r, &req) {
		return
	}
	req.By = by(r, req.By)
	h.change(w, r, req, func(_ *site.State, machines []*site.Machine, _ time.Time) ([]site.Body, error) {
		return install.Disarm(machines, req.By, req.Reason), nil
	})
}

func (h *Operator) decode(w http.ResponseWriter, r *http.Request, into any) bool {
	return h.decodeUpTo(w, r, into, 1<<20)
}

func (h *Operator) decodeUpTo(w http.ResponseWriter, r *http.Request, into any, limit int64) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		h.fail(w, codeUsage, fmt.Errorf("reading the request: %w", err))
		return false
	}
	return true
}

// change selects machines and changes them in one commit, so that what was
// selected is what is changed.
func (h *Operator) change(w http.ResponseWriter, r *http.Request, req view.ArmRequest,
	decide func(*site.State, []*site.Machine, time.Time) ([]site.Body, error),
) {
	var names []string
	state := h.Ledger.State()
	machines, err := pickMachines(state, req.Selector)
	if err != nil {
		h.fail(w, codeUsage, err)
		return
	}
	if req.DryRun {
		_, err = decide(state, machines, h.Ledger.Now())
	} else {
		state, err = h.Ledger.Do(r.Context(), func(s *site.State, now time.Time) ([]site.Body, error) {
			if machines, err = pickMachines(s, req.Selector); err != nil {
				return nil, err
			}
			return decide(s, machines, now)
		})
	}
	if refusal := install.Refusal(""); errors.As(err, &refusal) {
		h.fail(w, codeRefused, err)
		return
	}
	if err != nil {
		h.fail(w, codeFailed, err)
		return
	}
	for _, m := range machines {
		names = append(names, m.Node.Name)
	}
	result := view.ArmResult{Seq: state.Seq}
	for _, name := range names {
		if m, ok := state.Machine(name); ok {
			result.Nodes = append(result.Nodes, view.NodeOf(state, m, h.Ledger.Now()))
		}
	}
	h.reply(w, result)
}
