package main

import (
	"cmp"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// switches says what the switch must be told about the bond that the machine
// boots over, if there is one that speaks LACP.
func (x *explainer) switches(s *site.State, n *site.Node) []view.Step {
	intent, err := x.compose(false).Intent(s, n)
	if err != nil {
		return nil // the answer file's step says why
	}
	var steps []view.Step
	for _, h := range profile.SwitchHints(&s.Settings, intent.Network) {
		ports := cmp.Or(strings.Join(h.Ports, ", "), "the ports of "+strings.Join(h.NICs, " and "))
		steps = append(steps, view.Step{
			Title: "switch, " + h.Bond + ", " + h.Vendor,
			Why:   "Firmware speaks no LACP: " + ports + " must pass traffic before it is negotiated, with the provisioning network untagged and no wait for spanning tree.",
			Text:  strings.Join(h.Commands, "\n") + "\n",
		})
	}
	return steps
}
