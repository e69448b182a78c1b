package api_test

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/login"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

const (
	gateHost = "10.20.0.1:8443"
	password = "correct horse battery"
)

// gated is the operator side behind its gate, with somebody of each role.
type gated struct {
	*world
	desk    *login.Desk
	handler http.Handler
	reached []string // what the gate let through, when it stands before nothing
	cookies map[string]string
}

func newGated(t *testing.T, whole bool) *gated {
	t.Helper()
	g := &gated{world: planned(t), cookies: map[string]string{"nobody": "", "empty": "", "minus one": "-1", "made up": strings.Repeat("A", 26)}}
	operators := &login.Operators{Path: filepath.Join(t.TempDir(), "operators.json")}
	file, err := operatorsOnce()
	if err == nil {
		err = os.WriteFile(operators.Path, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if g.desk, err = login.NewDesk(operators, g.clock); err != nil {
		t.Fatal(err)
	}
	next := g.routes
	if !whole {
		next = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { g.reached = append(g.reached, r.Method+" "+r.URL.Path) })
	}
	gate := &api.Gate{Desk: g.desk, Hosts: []string{"10.20.0.1", "laptop"}, Port: "8443", Routes: g.routes.(chi.Routes), Next: next, Log: slog.New(slog.DiscardHandler)}
	g.handler = gate.Handler()
	for _, name := range []string{"viewer", "operator"} {
		r := g.form(url.Values{"name": {name}, "password": {password}})
		same(t, name+" logs in", r.Code, http.StatusSeeOther)
		g.cookies[name] = r.Result().Cookies()[0].Value
	}
	return g
}

// operatorsOnce is a file with one of each role. Hashes take their time, so
// it is made once.
var operatorsOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "operators")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	o := &login.Operators{Path: filepath.Join(dir, "operators.json")}
	for _, role := range []login.Role{login.Viewer, login.Admin} {
		if err := o.Set(string(role), role, password); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(o.Path)
})

func (g *gated) form(values url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(g.t.Context(), http.MethodPost, "/login", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return g.do(r)
}

func (g *gated) do(r *http.Request) *httptest.ResponseRecorder {
	if r.Host == "example.com" { // that of httptest
		r.Host = gateHost
	}
	got := httptest.NewRecorder()
	g.handler.ServeHTTP(got, r)
	return got
}

func (g *gated) as(who, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(g.t.Context(), method, target, strings.NewReader(body))
	if who != "nobody" {
		r.AddCookie(&http.Cookie{Name: "__Host-rackseed", Value: g.cookies[who]})
	}
	return g.do(r)
}

// routes lists what the operator side serves, as METHOD pattern.
func (g *gated) patterns() []string {
	g.t.Helper()
	var all []string
	err := chi.Walk(g.routes.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if route != "/*" && route != "/debug/*" {
			all = append(all, method+" "+route)
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}

// TestPolicyNamesEveryRoute: one that is added without a policy is nobody's,
// and fails here.
func TestPolicyNamesEveryRoute(t *testing.T) {
	g := &gated{world: newWorld(t)}
	named := slices.DeleteFunc(slices.Sorted(maps.Keys(api.Policy())), func(p string) bool { return p == "GET /*" })
	if diff := cmp.Diff(slices.Sorted(slices.Values(g.patterns())), named); diff != "" {
		t.Errorf("pkg/api/policy.go (-routes +policy):\n%s", diff)
	}
}

// TestEveryRouteByEveryRole is made from the router, so that a route that
// nobody thought of is asked for, too.
func TestEveryRouteByEveryRole(t *testing.T) {
	g := newGated(t, false)
	g.cookies["expired"] = g.cookies["operator"]
	for _, p := range append(g.patterns(), "GET /debug/pprof/heap", "GET /api/v1/nothing", "TRACE /api/v1/status") {
		method, route, _ := strings.Cut(p, " ")
		path := strings.NewReplacer("{name}", "d1", "{who}", "d1", "{kind}", "hosts", "{id}", "j1").Replace(route)
		need, known := api.Policy()[p]
		for who := range g.cookies {
			if who == "expired" {
				continue
			}
			g.reached = nil
			code := g.as(who, method, path, "").Code
			want := http.StatusUnauthorized
			switch {
			case who == "operator" && known, who == "viewer" && need == login.Viewer:
				want = http.StatusOK
			case who == "operator", who == "viewer":
				want = http.StatusForbidden
			}
			if code != want || (len(g.reached) == 1) != (want == http.StatusOK) {
				t.Errorf("%s by %s: %d, want %d; reached %v", p, who, code, want, g.reached)
			}
		}
	}
	same(t, "secrets by a viewer", g.as("viewer", "GET", "/api/v1/nodes/d1/render?secrets=true", "").Code, http.StatusForbidden)
	same(t, "secrets by an operator", g.as("operator", "GET", "/api/v1/nodes/d1/render?secrets=true", "").Code, http.StatusOK)
	g.pass(13 * time.Hour)
	same(t, "with a session that ran out", g.as("expired", "GET", "/api/v1/status", "").Code, http.StatusUnauthorized)
}

// TestWhoDidIt: the log has the name of who is logged in, whatever the
// request says.
func TestWhoDidIt(t *testing.T) {
	g := newGated(t, true)
	same(t, "arming", g.as("operator", "POST", "/api/v1/arm", `{"selector": "d1", "by": "somebody else"}`).Code, http.StatusOK)
	same(t, "armed by", g.node("d1").Arming.By, "operator@192.0.2.1")
	before := g.seq()
	same(t, "arming by a viewer", g.as("viewer", "POST", "/api/v1/arm", `{"selector": "d2"}`).Code, http.StatusForbidden)
	g.nothingHappened(before)
	s := decode[view.Session](t, g.as("viewer", "GET", "/api/v1/session", ""))
	same(t, "the session", s.Name+" "+s.Role, "viewer viewer")
	same(t, "on this machine", decode[view.Session](t, g.call("GET", "/api/v1/session", "")).Role, "operator")
}

func TestLogin(t *testing.T) {
	g := newGated(t, false)
	r := g.form(url.Values{"name": {"operator"}, "password": {password}})
	cookie := r.Header().Get("Set-Cookie")
	contains(t, "the cookie", cookie, "__Host-rackseed=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict")
	g.pass(time.Minute)
	for name, values := range map[string]url.Values{
		"an empty name": {"name": {""}, "password": {password}}, "wrong password": {"name": {"operator"}, "password": {"guess"}}, "no password": {"name": {"operator"}}, "nothing": {}, "a wrong link": {"once": {"guess"}},
	} {
		r := g.form(values)
		same(t, name, r.Code, http.StatusUnauthorized)
		same(t, name+": cookies", len(r.Result().Cookies()), 0)
		contains(t, name, r.Body.String(), `role="alert"`)
	}
	same(t, "the sixth try of a minute", g.form(url.Values{"name": {"operator"}, "password": {password}}).Code, http.StatusTooManyRequests)
	g.pass(time.Minute)

	// Looking at a link does not use it up: some program always looks first.
	link := g.desk.Link()
	page := g.as("nobody", "GET", "/login?once="+link, "")
	contains(t, "the page of the link", page.Body.String(), link)
	contains(t, "its policy", page.Header().Get("Content-Security-Policy")+page.Header().Get("Referrer-Policy"), "default-src 'none'", "frame-ancestors 'none'", "no-referrer")
	same(t, "by link", g.form(url.Values{"once": {link}}).Code, http.StatusSeeOther)
	same(t, "by link again", g.form(url.Values{"once": {link}}).Code, http.StatusUnauthorized)
	contains(t, "hostile links", g.as("nobody", "GET", `/login?once="><script>`, "").Body.String(), "&#34;&gt;&lt;script&gt;")

	same(t, "logging out", g.as("operator", "POST", "/logout", "").Code, http.StatusSeeOther)
	same(t, "after that", g.as("operator", "GET", "/api/v1/status", "").Code, http.StatusUnauthorized)
	browser := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	browser.Header.Set("Accept", "text/html")
	r = g.do(browser)
	same(t, "a browser is led", fmt.Sprint(r.Code, r.Header().Get("Location")), "303/login")
}

// TestHostilePage: a page of another origin, in the browser of somebody who
// is logged in, reads nothing and triggers nothing, by whatever way it asks:
// through the address, through a name that was rebound to it, by a form, an
// image, a script, a fetch. The gate and the guard of loopback alike.
func TestHostilePage(t *testing.T) {
	g := newGated(t, true)
	loopback := api.Browser(g.routes, "127.0.0.1:8090")
	for guard, side := range map[string]struct {
		handler http.Handler
		host    string
	}{"gate": {g.handler, gateHost}, "loopback": {loopback, "127.0.0.1:8090"}} {
		before := g.seq()
		_, port, _ := strings.Cut(side.host, ":")
		for _, host := range []string{side.host, "evil.test:" + port, "evil.test"} {
			for _, p := range g.patterns() {
				method, route, _ := strings.Cut(p, " ")
				path := strings.NewReplacer("{name}", "d1", "{who}", "d1", "{kind}", "hosts", "{id}", "j1").Replace(route)
				if method == http.MethodGet && host == side.host {
					continue // it may be sent, but the answer is not given to the page: see below
				}
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(`{"selector": "all", "verb": "power", "args": ["off"]}`))
				r.Host = host
				r.Header.Set("Content-Type", "text/plain") // what a form may send without asking first
				r.Header.Set("Origin", "https://evil.test")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				r.AddCookie(&http.Cookie{Name: "__Host-rackseed", Value: g.cookies["operator"]}) // as if SameSite did not hold
				got := httptest.NewRecorder()
				side.handler.ServeHTTP(got, r)
				if got.Code != http.StatusForbidden && got.Code != http.StatusMisdirectedRequest {
					t.Errorf("%s: %s %s at %s: %d %s", guard, method, path, host, got.Code, got.Body)
				}
			}
		}
		// A read that is sent is never handed to the page, and changes nothing.
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/nodes", http.NoBody)
		r.Host = side.host
		r.Header.Set("Origin", "https://evil.test")
		r.AddCookie(&http.Cookie{Name: "__Host-rackseed", Value: g.cookies["operator"]})
		got := httptest.NewRecorder()
		side.handler.ServeHTTP(got, r)
		if allowed := got.Header().Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("%s lets %s read", guard, allowed)
		}
		preflight := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/api/v1/arm", http.NoBody)
		preflight.Host = side.host
		preflight.Header.Set("Origin", "https://evil.test")
		preflight.Header.Set("Access-Control-Request-Method", "POST")
		got = httptest.NewRecorder()
		side.handler.ServeHTTP(got, preflight)
		if len(got.Header().Values("Access-Control-Allow-Methods"))+len(got.Header().Values("Access-Control-Allow-Origin")) > 0 {
			t.Errorf("%s answers a preflight: %v", guard, got.Header())
		}
		g.nothingHappened(before)
		same(t, "d1", g.node("d1").Phase, site.PhasePlanned)
	}
	// A login that another page sends would let its author watch.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader("name=operator&password="+url.QueryEscape(password)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	same(t, "a login from elsewhere", g.do(r).Code, http.StatusForbidden)
	for _, host := range []string{"laptop:8443", "LAPTOP:8443", "10.20.0.1:8443"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody)
		r.Host = host
		same(t, host, g.do(r).Code, http.StatusOK)
	}
	for _, host := range []string{"laptop", "10.20.0.1", "10.20.0.2:8443", "evil.laptop:8443", "laptop.evil:8443", "127.0.0.1:8443", ""} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", http.NoBody)
		r.Host = host
		same(t, "host "+host, g.do(r).Code, http.StatusMisdirectedRequest)
	}
}

// TestProfilesAreForThisMachine: not for whoever is logged in elsewhere.
func TestProfilesAreForThisMachine(t *testing.T) {
	w := planned(t)
	server := httptest.NewServer(w.routes)
	defer server.Close()
	r, err := http.Get(server.URL + "/debug/pprof/")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r.Body)
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	same(t, "over loopback", string(text), "a profile")
	same(t, "from elsewhere", w.call("GET", "/debug/pprof/", "").Code, http.StatusNotFound)
}

// TestHealthSaysWhy: in words, with the status that probes look at.
func TestHealthSaysWhy(t *testing.T) {
	w := newWorld(t)
	same(t, "well", w.call("GET", "/readyz", "").Code, http.StatusOK)
	w.health.Add(view.HealthCheck{Name: "images", What: "not in the library: rocky9", Fix: "rackseed image add"})
	for _, path := range []string{"/healthz", "/readyz"} {
		r := w.call("GET", path, "")
		same(t, path, r.Code, http.StatusServiceUnavailable)
		contains(t, path, r.Body.String(), "rocky9", `"ok":false`)
	}
	contains(t, "metrics", w.call("GET", "/metrics", "").Body.String(), "rackseed_build_info")
}
