package main

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/tftp"
)

// countDHCP notes a message by what came of it.
func (d *daemon) countDHCP(o dhcp.Observation) {
	kind, outcome := "none", "malformed"
	if o.Request != nil {
		kind, outcome = strings.ToLower(o.Request.Type.String()), "ignored"
	}
	switch {
	case o.Request == nil:
	case o.Err != nil:
		outcome = "failed"
	case o.Answer != nil && o.Answer.Reply != nil:
		outcome = strings.ToLower(o.Answer.Reply.Type.String())
	}
	d.core.metrics.DHCP(kind, outcome)
}

func (d *daemon) observeTFTP(t tftp.Transfer) {
	d.core.metrics.TFTP(t.Outcome.String(), t.Bytes)
	d.observer.tftp(t)
	if d.dhcp != nil && t.Outcome != tftp.Refused {
		d.came(d.observer.whose(t.Client.Addr()))
	}
}

// came notes that a machine takes its boot file, so that the ladder stays
// where it is.
func (d *daemon) came(w whom) {
	if w.mac != (site.MAC{}) {
		d.dhcp.Came(w.mac)
		return
	}
	if m, ok := d.core.ledger.State().Machine(w.node); ok {
		for _, mac := range m.Node.MACs {
			d.dhcp.Came(mac)
		}
	}
}

// countHTTP notes the requests of machines.
func (d *daemon) countHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		d.core.metrics.HTTP(kindOf(r.URL.Path), c.status, c.sent)
	})
}

// kindOf keeps what machines make up out of the labels.
func kindOf(path string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch kind {
	case "boot", "images", "answer", "report":
		return kind
	default:
		return "other"
	}
}

// profiling is net/http/pprof on a mux of its own.
func profiling() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return m
}
