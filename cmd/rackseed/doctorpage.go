package main

import (
	"context"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
	"github.com/rackseed/rackseed/pkg/view"
)

// doctor is `rackseed doctor` for the page: this machine's own daemon serves,
// so its ports are taken and its answers are expected.
func (d *daemon) doctor(ctx context.Context, req view.DoctorRequest) (view.Doctor, error) {
	state := d.core.ledger.State()
	settings := &state.Settings
	so := survey.Options{
		Interface: req.Interface, StateDir: d.opts.state, SkipSearch: !req.Search || req.Interface == "",
		Server: settings.Provision.DHCP == site.DHCPServer, Running: true, Machines: state.Len(),
	}
	if req.Interface != "" {
		if _, err := survey.Facts(req.Interface); err != nil {
			return view.Doctor{}, err
		}
	}
	if network, ok := settings.ProvisionNetwork(); ok {
		so.Subnet = network.Subnet
	}
	found := append(survey.Checks(ctx, so), checkLoaders(d.opts.loaders))
	doctor := view.Doctor{Findings: make([]view.DoctorFinding, 0, len(found))}
	for _, f := range found {
		doctor.Findings = append(doctor.Findings, view.DoctorFinding{ID: f.ID, Status: string(f.Status), What: f.What, Why: f.Why, Fix: f.Fix})
	}
	return doctor, nil
}

// ownLinks are the interfaces that could serve machines.
func (d *daemon) ownLinks() []view.Link {
	found, err := survey.Interfaces()
	if err != nil {
		d.log.Warn("the interfaces of this machine cannot be listed", "error", err)
		return nil
	}
	var links []view.Link
	for _, i := range found {
		l := view.Link{Name: i.Name, Up: i.Up && i.Carrier}
		for _, a := range i.Addrs {
			l.Addresses = append(l.Addresses, a.String())
		}
		links = append(links, l)
	}
	return links
}
