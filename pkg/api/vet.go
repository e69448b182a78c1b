package api

import (
	"maps"
	"slices"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

// vetting vets the machines of a selector now, and again only if what it
// depends on has changed by the time of the commit: writing answer files for
// a large site takes a while, and nothing else is committed meanwhile.
func (h *Operator) vetting(selector string) func(*site.State, []*site.Machine) error {
	s := h.Ledger.State()
	machines, err := pickMachines(s, selector)
	if err != nil {
		return h.vet // the same error comes again, and is answered
	}
	first, verdict := basis(s, machines), h.vet(s, machines)
	return func(s *site.State, machines []*site.Machine) error {
		if basis(s, machines).same(first) {
			return verdict
		}
		return h.vet(s, machines)
	}
}

func (h *Operator) vet(s *site.State, machines []*site.Machine) error {
	if err := h.Vet(s, machines); err != nil {
		return install.Refusal(err.Error())
	}
	return nil
}

// vetted is what a verdict depends on.
type vetted struct {
	plan   uint64
	images map[string]string // digests by name
	nodes  []*site.Node      // never changed, only replaced
}

func basis(s *site.State, machines []*site.Machine) vetted {
	v := vetted{plan: s.PlanSeq, images: map[string]string{}}
	for _, m := range machines {
		name := s.Settings.ImageOf(m.Node)
		image, _ := s.Images.Get(name)
		v.images[name] = image.Digest
		v.nodes = append(v.nodes, m.Node)
	}
	return v
}

func (v vetted) same(other vetted) bool {
	return v.plan == other.plan && maps.Equal(v.images, other.images) && slices.Equal(v.nodes, other.nodes)
}
