package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"

	"github.com/go-chi/chi/v5"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/login"
)

func operatorsOf(state string) *login.Operators {
	return &login.Operators{Path: filepath.Join(state, "operators.json")}
}

// openGate puts TLS and a login before an operator listener, the last one
// opened, that others than this machine reach.
func (d *daemon) openGate(at netip.AddrPort) error {
	if at.Addr().IsLoopback() {
		return nil
	}
	operators := operatorsOf(d.core.dir)
	if _, err := operators.List(); err != nil {
		return err
	}
	desk, err := login.NewDesk(operators, d.core.ledger.Now)
	if err != nil {
		return err
	}
	certificate, err := login.Certificate(d.core.dir, login.Names(at.Addr().String()), d.core.ledger.Now())
	if err != nil {
		return fmt.Errorf("opening the operator port: %w", err)
	}
	last := &d.operator[len(d.operator)-1]
	*last = tls.NewListener(*last, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	d.desk = desk
	d.log.Info("the page asks for a login", "address", d.page(), "certificate_sha256", login.Fingerprint(certificate))
	return d.firstLogin(operators)
}

// firstLogin lets somebody in where nobody has a password yet: whoever sees
// what the daemon prints.
func (d *daemon) firstLogin(operators *login.Operators) error {
	all, err := operators.List()
	if err != nil || len(all) > 0 {
		return err
	}
	d.log.Warn("nobody has a password yet: open this page once, within 15 minutes, or run `rackseed operator add NAME`", "page", d.page()+"login?once="+d.desk.Link())
	return nil
}

// guard puts what a listener needs before the operator side.
func (d *daemon) guard(l net.Listener, h http.Handler) http.Handler {
	if l.Addr().Network() != "tcp" {
		return h // the mode of the socket says who may
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if addr, err := netip.ParseAddr(host); d.desk == nil || err == nil && addr.IsLoopback() {
		return api.Browser(h, l.Addr().String())
	}
	hosts := append(login.Names(host), "localhost")
	return (&api.Gate{Desk: d.desk, Hosts: hosts, Port: port, Routes: h.(chi.Routes), Next: h, Log: d.log}).Handler()
}
