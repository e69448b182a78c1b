package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func newInventoryCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "inventory SELECTOR", Short: "Ask BMCs what their machines are made of",
		Long: `Ask BMCs for serial, model, firmware, CPUs, memory, disks and the MACs of the network ports. With --match
the machines are found in the plan by their serial number, so that nobody has to type a MAC.`,
		Example: `  rackseed inventory rack=A03 --csv rack.csv
  rackseed inventory --bmc '10.21.0.[11-42]' --user admin --password-file FILE --match --plan site.yaml`,
	}
	f.add(c)
	c.Flags().BoolVar(&f.match, "match", false, "say which planned node has the serial number")
	c.Flags().BoolVar(&f.adopts, "adopt", false, "with --bmc: have the planned nodes use the BMCs that are theirs, and boot by their NICs")
	f.direct.addTries(c.Flags())
	c = f.command(g, c, "inventory", noWords())
	look := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.adopts && (f.direct.bmcs == "" || f.plan != "") {
			return usageError("--adopt is for --bmc LIST and the plan in force, in the log of the daemon or of the state directory: leave --plan out")
		}
		return look(c, args)
	}
	return c
}

// match is what a machine that was asked is in the plan.
type match struct {
	Address string   `json:"address"`
	Serial  string   `json:"serial,omitempty"`
	Model   string   `json:"model,omitempty"`
	MACs    []string `json:"macs,omitempty"`
	Node    string   `json:"node,omitempty"`  // that the plan gives this serial or one of these MACs
	Note    string   `json:"note,omitempty"`  // what is wrong or left to do
	Error   string   `json:"error,omitempty"` // the BMC was not read
}

// matchNodes finds the machines of an inventory in a plan, by serial, then
// by MAC.
func matchNodes(job view.Job, nodes []view.Node) []match {
	bySerial, byMAC := map[string]view.Node{}, map[string]view.Node{}
	for _, n := range nodes {
		if n.State == site.PhaseSeen {
			continue
		}
		if n.Serial != "" {
			bySerial[strings.ToUpper(n.Serial)] = n
		}
		for _, m := range n.MACs {
			byMAC[m.String()] = n
		}
	}
	var out []match
	for _, r := range job.Results {
		m := match{Address: r.Address}
		if !r.OK {
			m.Error = r.Message
			out = append(out, m)
			continue
		}
		i := dataOf[bmc.Inventory](r)
		m.Serial, m.Model, m.MACs = i.Serial, strings.TrimSpace(i.Manufacturer+" "+i.Model), macsOf(i)
		n, ok := bySerial[strings.ToUpper(strings.TrimSpace(i.Serial))]
		for _, mac := range m.MACs {
			if !ok {
				n, ok = byMAC[mac]
			}
		}
		m.Node = n.Name
		m.Note = matchNote(ok, i, m.MACs, n)
		out = append(out, m)
	}
	return out
}

func matchNote(found bool, i bmc.Inventory, macs []string, n view.Node) string {
	planned := map[string]bool{}
	for _, m := range n.MACs {
		planned[m.String()] = true
	}
	known := 0
	for _, m := range macs {
		if planned[m] {
			known++
		}
	}
	switch {
	case !found && i.Serial == "":
		return "the BMC tells no serial number"
	case !found:
		return "not in the plan"
	case n.Serial != "" && !strings.EqualFold(n.Serial, strings.TrimSpace(i.Serial)):
		return fmt.Sprintf("found by its MAC; the plan says serial %s", n.Serial)
	case len(n.MACs) == 0 && len(macs) > 0:
		return "the plan has no MAC of it: add mac: [" + strings.Join(macs, ", ") + "]"
	case known < len(n.MACs) && len(macs) > 0:
		return "the plan has MACs that the machine does not have"
	default:
		return ""
	}
}

// showMatches prints what was found in the plan, or in that of the daemon.
func (f *bmcFlags) showMatches(c *cobra.Command, g *globals, job view.Job) error {
	if f.csv != "" {
		if err := writeCSV(f.csv, job); err != nil {
			return err
		}
	}
	nodes, err := f.plannedNodes(c.Context(), g)
	if err != nil {
		return err
	}
	matches := matchNodes(job, nodes)
	if g.json {
		err = printJSON(c, matches)
	} else {
		err = printMatches(c.OutOrStdout(), matches)
	}
	if err != nil {
		return err
	}
	return verdictOf(job)
}

func (f *bmcFlags) plannedNodes(ctx context.Context, g *globals) (nodes []view.Node, err error) {
	if f.plan == "" {
		return nodes, withClient(ctx, g, func(cl *client.Client) error {
			nodes, err = cl.Nodes(ctx, "")
			return err
		})
	}
	box, err := seal.Ephemeral()
	if err != nil {
		return nil, err
	}
	s, err := stateOfPlan(f.plan, box)
	if err != nil {
		return nil, err
	}
	return view.Nodes(s, s.Machines(), false, time.Now()), nil
}

func printMatches(w io.Writer, matches []match) error {
	rows := make([][]string, 0, len(matches))
	for _, m := range matches {
		note := m.Note
		if m.Error != "" {
			note = "failed: " + m.Error
		}
		rows = append(rows, []string{m.Address, orDash(m.Serial), orDash(m.Model), orDash(strings.Join(m.MACs, " ")), orDash(m.Node), orDash(note)})
	}
	return table(w, []string{"BMC", "SERIAL", "MODEL", "MACS", "NODE", "NOTE"}, rows)
}
