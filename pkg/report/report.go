// Package report writes the hand-over document of a site: for people (HTML
// that prints well, XLSX) and for programs (JSON). It opens nothing.
package report

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Source is what a report is made from.
type Source struct {
	State    *site.State
	Machines []*site.Machine // that it is about
	Selector string
	Version  string
	Now      time.Time
	// Events is the log from its beginning.
	Events iter.Seq2[site.Event, error]
	// Phases accounts for the time of an attempt; nil where nobody knows.
	Phases func(node string, attempt int) []view.ReportPhase
}

// Make gathers a report.
func Make(src Source) (view.Report, error) {
	s := src.State
	r := view.Report{
		Site: s.Settings.Site, Domain: s.Settings.Domain, Made: src.Now, Version: src.Version, PlanDigest: s.PlanDigest, Seq: s.Seq,
		Selector: src.Selector, Counts: map[site.Phase]int{}, Images: []view.ReportImage{}, Nodes: []view.ReportNode{},
	}
	h, err := readHistory(src)
	if err != nil {
		return r, err
	}
	used := map[string]bool{}
	for _, m := range src.Machines {
		n := nodeOf(s, m)
		n.Attempts = h.attempts(m, src.Phases)
		for _, a := range n.Attempts {
			used[a.Image] = true
		}
		r.Counts[m.Phase]++
		r.Nodes = append(r.Nodes, n)
	}
	for digest := range used {
		r.Images = append(r.Images, imageOf(s, h, digest))
	}
	slices.SortFunc(r.Images, func(a, b view.ReportImage) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256))
	})
	return r, nil
}

// nodeOf prefers what was found to what was planned.
func nodeOf(s *site.State, m *site.Machine) view.ReportNode {
	n, i := m.Node, m.Inventory()
	planned := s.Settings.HardwareOf(n)
	out := view.ReportNode{
		Name: n.Name, Role: n.Role, Rack: n.Rack, U: n.U, State: m.Phase, Reason: m.Reason,
		Manufacturer: i.Manufacturer, Model: i.Model, Serial: cmp.Or(i.Serial, n.Serial), UUID: cmp.Or(i.UUID, n.UUID),
		Firmware: i.Firmware, BMC: s.Settings.BMCOf(n).Address, BMCFirmware: cmp.Or(i.BMC.Firmware, m.BMC.Firmware),
		CPUs: cmp.Or(i.Hardware.CPUs(), planned.CPUs()), Memory: cmp.Or(i.Hardware.Memory, planned.Memory),
		Disks: i.Hardware.Disks, NICs: i.NICs, Addresses: n.Addresses, Image: s.Settings.ImageOf(n), Deviations: m.Deviations,
	}
	if out.BMC == "" && i.BMC.Address.IsValid() {
		out.BMC = i.BMC.Address.String()
	}
	if len(out.NICs) == 0 {
		for _, mac := range n.MACs {
			out.NICs = append(out.NICs, site.InventoryNIC{MAC: mac})
		}
	}
	return out
}

func imageOf(s *site.State, h history, digest string) view.ReportImage {
	i, ok := s.ImageByDigest(digest)
	if !ok {
		i, ok = h.images[digest] // it was removed since
	}
	if !ok {
		return view.ReportImage{SHA256: digest}
	}
	return view.ReportImage{Name: i.Name, Distro: i.Distro, Version: i.Version, SHA256: digest, Size: i.Size}
}
