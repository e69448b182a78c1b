package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/login"
	"github.com/rackseed/rackseed/pkg/view"
)

// cookieName has the prefix by which browsers keep it to this host, to
// https and to the whole of it (RFC 6265bis section 4.1.3.2).
const cookieName = "__Host-rackseed"

// Gate guards the operator side on an address that others than this machine
// reach. Its listener speaks TLS.
type Gate struct {
	Desk   *login.Desk
	Hosts  []string   // names and addresses, without the port, that it answers to
	Port   string     // of the listener
	Routes chi.Routes // that a policy is looked up by
	Next   http.Handler
	Log    *slog.Logger
}

//go:embed login.html
var loginText string

// Handler lets requests through whose session has the role that they need.
func (g *Gate) Handler() http.Handler {
	page := template.Must(template.New("login").Parse(loginText)) // embedded, and tested
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		g.show(w, page, http.StatusOK, loginPage{Once: r.URL.Query().Get("once")})
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { g.enter(w, r, page) })
	mux.HandleFunc("POST /logout", g.leave)
	mux.HandleFunc("/", g.pass)
	crossOrigin := http.NewCrossOriginProtection()
	guarded := crossOrigin.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		if !g.ours(r.Host) {
			http.Error(w, "this daemon answers only to its own names", http.StatusMisdirectedRequest)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// ours keeps names of others that lead here from being anything but wrong:
// what was rebound to our address is not our origin.
func (g *Gate) ours(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil && g.Port == "443" { // browsers leave it out
		name, port, err = strings.Trim(host, "[]"), g.Port, nil
	}
	if err != nil || port != g.Port {
		return false
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		name = addr.String()
	}
	return slices.Contains(g.Hosts, strings.ToLower(name))
}

// sessionKey finds the session of a request.
type sessionKey struct{}

func (g *Gate) pass(w http.ResponseWriter, r *http.Request) {
	s, ok := g.session(r)
	switch need, known := required(g.Routes, r); {
	case !ok && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	case !ok:
		refuse(w, http.StatusUnauthorized, "login", "log in at /login; without a password, restart the daemon for a one-time link, or run `rackseed operator add NAME`")
	case !known || !s.Role.Allows(need):
		g.Log.Warn("somebody was refused", "name", s.Name, "role", s.Role, "method", r.Method, "path", r.URL.Path, "client", r.RemoteAddr)
		refuse(w, http.StatusForbidden, "forbidden", s.Name+" is "+article(string(s.Role))+", who may not do this: ask an operator")
	default:
		g.Next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
	}
}

func article(role string) string {
	if strings.HasPrefix(role, "o") {
		return "an " + role
	}
	return "a " + role
}

func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	data, err := json.Marshal(view.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code})
	if err == nil {
		_, _ = w.Write(data) // the client went away; nothing follows from it
	}
}

func (g *Gate) session(r *http.Request) (login.Session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return login.Session{}, false
	}
	return g.Desk.Who(c.Value)
}

// loginPage is what the page to log in shows.
type loginPage struct {
	Once  string // token of a one-time link
	Error string
}

func (g *Gate) show(w http.ResponseWriter, page *template.Template, status int, data loginPage) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address may hold a one-time link
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := page.Execute(w, data); err != nil {
		g.Log.Debug("the login page was not delivered", "error", err)
	}
}

// maxForm bounds what somebody without a session may send.
const maxForm = 4 << 10

func (g *Gate) enter(w http.ResponseWriter, r *http.Request, page *template.Template) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		g.show(w, page, http.StatusBadRequest, loginPage{Error: "the form was not understood"})
		return
	}
	from := clientOf(r)
	var token string
	var s login.Session
	var err error
	if once := r.PostForm.Get("once"); once != "" {
		token, s, err = g.Desk.Redeem(from, once)
	} else {
		token, s, err = g.Desk.Enter(from, r.PostForm.Get("name"), r.PostForm.Get("password"))
	}
	if err != nil {
		g.Log.Warn("a login failed", "client", from, "error", err)
		status := http.StatusUnauthorized
		switch {
		case errors.Is(err, login.ErrTooOften):
			w.Header().Set("Retry-After", "60")
			status = http.StatusTooManyRequests
		case !errors.Is(err, login.ErrWrong) && !errors.Is(err, login.ErrLink):
			status, err = http.StatusInternalServerError, errors.New("the login does not work: the daemon's log says why")
		}
		g.show(w, page, status, loginPage{Error: err.Error()})
		return
	}
	g.Log.Info("somebody logged in", "name", s.Name, "role", s.Role, "client", from)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: s.Expires})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *Gate) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		g.Desk.Leave(c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// session says who asks.
func (h *Operator) session(w http.ResponseWriter, r *http.Request) {
	s, ok := r.Context().Value(sessionKey{}).(login.Session)
	if !ok {
		s.Role = login.Admin
	}
	h.reply(w, view.Session{Name: s.Name, Role: string(s.Role), Expires: s.Expires})
}

// by is who does something: who is logged in, whatever the request says of
// it, or, on this machine, whom the request names.
func by(r *http.Request, named string) string {
	if s, ok := r.Context().Value(sessionKey{}).(login.Session); ok {
		return s.Name + "@" + clientOf(r).String()
	}
	return named
}
