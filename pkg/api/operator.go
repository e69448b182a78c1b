package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

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

// Handler gives the routes of the operator side.
func (h *Operator) Handler() http.Handler {
	r := chi.NewRouter()
	r.Route("/api/v1", func(r chi.Router) {
		r.Get("/openapi.json", h.openapi)
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
