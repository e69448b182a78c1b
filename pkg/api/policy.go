package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/login"
)

// policy says who may use a route from elsewhere than this machine. A route
// that is not here is nobody's; a test wants each of them to be here. What
// reads is a viewer's, but not where secrets, packets or consoles show.
func policy() map[string]login.Role {
	return map[string]login.Role{
		"GET /api/v1/openapi.json":              login.Viewer,
		"GET /api/v1/session":                   login.Viewer,
		"GET /api/v1/status":                    login.Viewer,
		"GET /api/v1/nodes":                     login.Viewer,
		"POST /api/v1/nodes":                    login.Admin,
		"GET /api/v1/nodes/{name}":              login.Viewer,
		"PATCH /api/v1/nodes/{name}":            login.Admin,
		"DELETE /api/v1/nodes/{name}":           login.Admin,
		"POST /api/v1/nodes/{name}/discover":    login.Admin,
		"GET /api/v1/cabling":                   login.Viewer,
		"GET /api/v1/plan/adopted":              login.Viewer,
		"GET /api/v1/nodes/{name}/inventory":    login.Viewer,
		"GET /api/v1/nodes/{name}/render":       login.Viewer, // with secrets: see required
		"GET /api/v1/nodes/{name}/timeline":     login.Viewer,
		"GET /api/v1/nodes/{name}/pcap":         login.Admin, // the tokens of answer files are in packets
		"GET /api/v1/batch":                     login.Viewer,
		"GET /api/v1/nodes/{name}/profile":      login.Viewer,
		"GET /api/v1/explain/{who}":             login.Viewer,
		"GET /api/v1/export/{kind}":             login.Viewer,
		"GET /api/v1/plan":                      login.Admin, // as it was written, secrets included
		"PUT /api/v1/plan":                      login.Admin,
		"POST /api/v1/plan/import":              login.Admin,
		"POST /api/v1/plan/role":                login.Admin,
		"GET /api/v1/roles":                     login.Viewer,
		"GET /api/v1/images":                    login.Viewer,
		"POST /api/v1/images":                   login.Admin,
		"POST /api/v1/images/upload":            login.Admin,
		"POST /api/v1/images/{name}/verify":     login.Admin,
		"DELETE /api/v1/images/{name}":          login.Admin,
		"POST /api/v1/arm":                      login.Admin,
		"POST /api/v1/disarm":                   login.Admin,
		"POST /api/v1/jobs":                     login.Admin,
		"GET /api/v1/jobs":                      login.Viewer,
		"GET /api/v1/jobs/{id}":                 login.Viewer,
		"DELETE /api/v1/jobs/{id}":              login.Admin,
		"POST /api/v1/bmcs":                     login.Admin,
		"DELETE /api/v1/nodes/{name}/bmc":       login.Admin,
		"GET /api/v1/recordings":                login.Admin,
		"PUT /api/v1/nodes/{name}/recording":    login.Admin,
		"DELETE /api/v1/nodes/{name}/recording": login.Admin,
		"POST /api/v1/nodes/{name}/console":     login.Admin,
		"POST /api/v1/dhcp/resume":              login.Admin,
		"GET /api/v1/report":                    login.Viewer,
		"POST /api/v1/doctor":                   login.Admin,
		"POST /api/v1/wire":                     login.Admin,
		"GET /api/v1/events":                    login.Viewer,
		"GET /api/v1/log":                       login.Admin,
		"GET /healthz":                          login.Viewer,
		"GET /readyz":                           login.Viewer,
		"GET /metrics":                          login.Viewer,
		"GET /*":                                login.Viewer, // the page
	}
}

// required is the role that a request needs; ok is false where nobody may.
func required(routes chi.Routes, r *http.Request) (need login.Role, ok bool) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	match := chi.NewRouteContext()
	if !routes.Match(match, method, r.URL.Path) {
		return "", false
	}
	need, ok = policy()[method+" "+match.RoutePattern()]
	if ok && r.URL.Query().Get("secrets") == "true" {
		need = login.Admin
	}
	return need, ok
}
