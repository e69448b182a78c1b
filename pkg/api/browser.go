package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Browser guards the operator side on a TCP port of loopback against pages
// of other origins: a request must name a loopback host (else a rebound DNS
// name reaches us), and one that changes something must come from our own
// page or from no page at all.
func Browser(h http.Handler, listen string) http.Handler {
	_, port, _ := net.SplitHostPort(listen)
	crossOrigin := http.NewCrossOriginProtection()
	guarded := crossOrigin.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host, port) {
			http.Error(w, "this daemon answers only to its own address", http.StatusMisdirectedRequest)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func loopbackHost(host, port string) bool {
	name, p, err := net.SplitHostPort(host)
	if err != nil && port == "80" { // browsers leave it out
		name, p, err = strings.Trim(host, "[]"), port, nil
	}
	if err != nil || p != port {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}
