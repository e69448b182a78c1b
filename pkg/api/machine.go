// Package api is the HTTP of the daemon: the machine side, which firmware,
// iPXE and installers talk to, and the operator side, which the CLI and the
// page talk to. They are two handlers for two listeners and share no route.
package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// Ledger is the part of ledger.Ledger that HTTP needs.
type Ledger interface {
	State() *site.State
	Now() time.Time
	Do(ctx context.Context, decide ledger.Decide) (*site.State, error)
}

// Machine is the machine side: plain HTTP without sessions. It never answers
// with a redirect, because firmware does not follow one.
type Machine struct {
	Ledger  Ledger
	Compose *bootplan.Composer
	Seal    *seal.Box
	Loaders func(name string) ([]byte, bool)
	// Agent is the program that looks at a machine, for an architecture such
	// as x86_64, alone or as a ramdisk. Nil means that the build has none.
	Agent    func(arch string, ramdisk bool) ([]byte, bool)
	Images   http.Handler // serves below /images/
	Evidence EvidenceStore
	Log      *slog.Logger
	Pace     install.Pace
	// Nonce makes attempt tokens unique.
	Nonce func() string
	// Neighbour tells the MAC that the kernel has for an address of the link,
	// for sites where somebody else gives out the addresses. Nil means that
	// nobody can tell.
	Neighbour func(netip.Addr) (site.MAC, bool)
	// Observe is told what was served, for the record. It may be nil.
	Observe func(Served)

	uploading arrivals
}

// Served is one answer of the machine side.
type Served struct {
	What string // script, loader, answer or report
	Name string
	Node string
	Addr netip.Addr
	Why  string
}

// Handler gives the routes of the machine side.
func (h *Machine) Handler() http.Handler {
	r := chi.NewRouter()
	both := func(pattern string, f http.HandlerFunc) {
		r.Get(pattern, f)
		r.Head(pattern, f)
	}
	both("/boot/"+ipxe.BootstrapName, h.bootstrap)
	both("/boot/"+ipxe.AutoexecName, h.bootstrap)
	both("/boot/"+ipxe.NodeName, h.node)
	both("/boot/discover-{agent}", h.agent)
	both("/boot/{loader}", h.loader)
	r.Handle("/images/*", h.Images)
	both("/answer/{token}/{file}", h.answer)
	r.Get("/discover/{mac}/{node}/{token}/{what}", h.askDiscovery)
	r.Post("/discover/{mac}/{node}/{token}/inventory", h.inventory)
	r.Get("/report/{token}/cabling", h.cablingTasks)
	r.Post("/report/{token}/cabling", h.cabling)
	r.Post("/report/{token}/{stage}", h.report)
	r.Put("/report/{token}/evidence", h.evidence)
	return r
}

func (h *Machine) observe(s Served) {
	if h.Observe != nil {
		h.Observe(s)
	}
}

// serverOf is this daemon as the client of r reached it, so that every URL
// it is given leads back the same way, whichever interface that was.
func serverOf(r *http.Request) ipxe.Server {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	ap, err := netip.ParseAddrPort(addrText(local))
	if err != nil {
		return ipxe.Server{HTTP: "http://" + r.Host}
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	return ipxe.Server{Addr: ap.Addr(), HTTP: BaseURL(ap)}
}

func addrText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// BaseURL is the machine side at an address. Port 80 is left out because
// some UEFI firmware mishandles an explicit one.
func BaseURL(at netip.AddrPort) string {
	if at.Port() == 80 {
		return "http://" + at.Addr().String()
	}
	return "http://" + at.String()
}

func clientOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// serveText sends a rendered document: whole, with its length, uncached.
func serveText(w http.ResponseWriter, r *http.Request, mediaType string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // the client went away; nothing follows from it
	}
}
