// Package rig is a site of many machines with nobody behind them: the real
// ledger, operator side and page, and state changes at will. It shows what the
// page does with 16,000 machines, which no simulated rack on one computer
// could be.
package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store/mem"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/web"
)

// perRack machines stand in each rack, one unit each.
const perRack = 40

// Site is the operator side of many machines.
type Site struct {
	ledger *ledger.Ledger
	names  []string
	next   int // the machine that changes next
}

// Open makes a site of n machines. Its ledger writes until ctx ends.
func Open(ctx context.Context, n int) (*Site, error) {
	l, err := ledger.Open(ctx, mem.New(), ledger.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	go func() { _ = l.Run(ctx) }() // ends with ctx; what it would say, Do says
	s := &Site{ledger: l}
	_, err = l.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) { return s.plan(n), nil })
	if err != nil {
		return nil, fmt.Errorf("planning %d machines: %w", n, err)
	}
	return s, nil
}

func (s *Site) plan(n int) []site.Body {
	settings := site.Settings{Site: "rig", Roles: map[string]site.Role{"compute": {Profile: "compute", Image: "rocky9"}}}
	bodies := []site.Body{site.PlanApplied{Settings: settings, Digest: "rig", Nodes: n}}
	for i := range n {
		name := fmt.Sprintf("cs-computer-%05d", i+1)
		s.names = append(s.names, name)
		bodies = append(bodies, site.NodePlanned{Node: site.Node{
			Name: name, Role: "compute", Rack: fmt.Sprintf("A%03d", i/perRack+1), U: i%perRack + 1,
			MACs: []site.MAC{{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)}}, Serial: fmt.Sprintf("RIG%08d", i+1),
		}})
	}
	return bodies
}

// Change has n machines, each in its turn, go one step on.
func (s *Site) Change(ctx context.Context, n int) error {
	_, err := s.ledger.Do(ctx, func(st *site.State, now time.Time) ([]site.Body, error) {
		bodies := make([]site.Body, 0, n)
		for i := range n {
			m, ok := st.Machine(s.names[(s.next+i*7)%len(s.names)])
			if !ok {
				return nil, errors.New("a machine is missing")
			}
			bodies = append(bodies, step(m, now))
		}
		return bodies, nil
	})
	s.next += n * 7
	return err
}

// Stranger has a machine seen that nobody planned.
func (s *Site) Stranger(ctx context.Context, mac site.MAC) error {
	_, err := s.ledger.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) {
		return []site.Body{site.StrangerSeen{MAC: mac, Arch: "x86_64", Class: "PXEClient"}}, nil
	})
	return err
}

// step is what happens next to a machine whose install never fails, but for
// each sixty-fourth.
func step(m *site.Machine, now time.Time) site.Body {
	name, at := m.Node.Name, m.Attempt.Number
	deadline := now.Add(time.Hour)
	switch m.Phase {
	case site.PhaseArmed:
		return site.InstallStarted{Node: name, Attempt: at + 1, Token: fmt.Sprint(name, at+1), Nonce: "n", Deadline: deadline}
	case site.PhaseBooting:
		return site.InstallProgress{Node: name, Attempt: at, Stage: string(install.StageAnswer), Deadline: deadline}
	case site.PhaseInstalling:
		return progress(m, deadline)
	case site.PhaseInstalled:
		return site.NodeVerified{Node: name, Attempt: at}
	default:
		return site.Armed{Node: name, By: "rig", Until: deadline}
	}
}

func progress(m *site.Machine, deadline time.Time) site.Body {
	name, at := m.Node.Name, m.Attempt.Number
	if m.Node.MACs[0][5]%64 == 0 && m.Attempt.Stage == string(install.StagePackages) {
		return site.InstallFailed{Node: name, Attempt: at, Stage: m.Attempt.Stage, Reason: "a package is missing", Wiped: true}
	}
	for i, row := range install.Table() {
		if string(row.Stage) == m.Attempt.Stage && i+1 < len(install.Table())-1 {
			return site.InstallProgress{Node: name, Attempt: at, Stage: string(install.Table()[i+1].Stage), Deadline: deadline}
		}
	}
	return site.InstallDone{Node: name, Attempt: at, Deadline: deadline}
}

// Seq is the sequence of the last event.
func (s *Site) Seq() uint64 { return s.ledger.State().Seq }

// Handler is the operator side behind the guard of a loopback port.
func (s *Site) Handler(listen string) http.Handler {
	o := &api.Operator{
		Ledger: s.ledger, Log: slog.New(slog.DiscardHandler), Follower: s.ledger, Version: "rig", Jobs: noJobs{},
		Serving: func() view.Serving { return view.Serving{DHCP: site.DHCPOff} }, Page: web.Handler(),
		Health: func() view.Health { return view.Health{OK: true} }, Ready: func() view.Health { return view.Health{OK: true} },
	}
	return api.Browser(o.Handler(), listen)
}

// noJobs has none and takes none.
type noJobs struct{}

func (noJobs) Start(context.Context, view.JobRequest) (view.Job, error) {
	return view.Job{}, view.Misuse("nobody is behind these machines")
}
func (noJobs) Jobs() []view.Job            { return nil }
func (noJobs) Job(string) (view.Job, bool) { return view.Job{}, false }
func (noJobs) Follow(context.Context, string, func(view.JobChange) error) error {
	return nil
}
func (noJobs) Cancel(context.Context, string) error { return nil }
