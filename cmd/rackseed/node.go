package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

func newNodeCommand(g *globals) *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Machines, planned and seen", Example: "  rackseed node list"}
	list := &cobra.Command{
		Use: "list [SELECTOR]", Short: "List machines", Args: cobra.MaximumNArgs(1),
		Example: "  rackseed node list\n  rackseed node list 'role=compute & state=failed' --json",
		RunE: func(c *cobra.Command, args []string) error {
			return withWire(c, g, func(cl *client.Client) error {
				nodes, err := cl.Nodes(c.Context(), strings.Join(args, ""))
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, nodes)
				}
				return printNodes(c.OutOrStdout(), nodes)
			})
		},
	}
	show := &cobra.Command{
		Use: "show NODE|MAC", Short: "Show one machine", Args: cobra.ExactArgs(1),
		Example: "  rackseed node show cs-controller-01\n  rackseed node show 52:54:00:12:34:56 --json",
		RunE: func(c *cobra.Command, args []string) error {
			return withWire(c, g, func(cl *client.Client) error {
				n, err := cl.Node(c.Context(), args[0])
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, n)
				}
				printNode(c.OutOrStdout(), n)
				return nil
			})
		},
	}
	c.AddCommand(list, withTimeline(g, show), newNodeTimesCommand(g), newNodePcapCommand(g), newNodeAdoptCommand(g), newNodeSetCommand(g), newNodeRemoveCommand(g), newNodeDiscoverCommand(g), newNodeCablingCommand(g))
	return c
}

func printNodes(w io.Writer, nodes []view.Node) error {
	if len(nodes) == 0 {
		_, err := fmt.Fprintln(w, "No machines: apply a plan with `rackseed plan apply FILE`.")
		return err
	}
	rows := make([][]string, 0, len(nodes))
	now := time.Now()
	for _, n := range nodes {
		macs := make([]string, 0, len(n.MACs))
		for _, m := range n.MACs {
			macs = append(macs, m.String())
		}
		rows = append(rows, []string{n.Name, orDash(n.Role), orDash(n.Rack), stateWord(n), since(n.Since, now), orDash(strings.Join(macs, ",")), whatNow(n)})
	}
	return table(w, []string{"NAME", "ROLE", "RACK", "STATE", "FOR", "MAC", "WHAT IT WOULD BE TOLD NOW"}, rows)
}

// whatNow is what a machine would be told, behind what is known of a stranger.
func whatNow(n view.Node) string {
	if n.State == site.PhaseSeen && n.Detail != "" {
		return n.Detail + ": " + n.Why
	}
	return n.Why
}

func stateWord(n view.Node) string {
	if n.Stage != "" && (n.State == "installing" || n.State == "failed") {
		return fmt.Sprintf("%s (%s)", n.State, n.Stage)
	}
	return string(n.State)
}

func printNode(w io.Writer, n view.Node) {
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", key, value)
		}
	}
	line("name", n.Name)
	line("state", stateWord(n)+", since "+clock(n.Since))
	line("reason", n.Reason)
	line("fix", n.Fix)
	for _, claim := range n.Claims {
		if claim.Reason != n.Reason {
			line("refused", claim.Reason)
		}
	}
	line("next", n.Next+": "+n.Why)
	line("role", n.Role)
	line("image", n.Image)
	line("rack", n.Rack)
	for _, m := range n.MACs {
		line("mac", m.String())
	}
	line("serial", n.Serial)
	if !n.UUID.IsZero() {
		line("uuid", n.UUID.String())
	}
	names := make([]string, 0, len(n.Addresses))
	for name := range n.Addresses {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		line("address", n.Addresses[name].String()+" on "+name)
	}
	if n.ArmedBy != "" {
		line("armed", "by "+n.ArmedBy+" until "+n.ArmedUntil.Local().Format(time.DateTime))
	}
	if n.Attempt > 0 {
		line("attempt", fmt.Sprintf("%d, started %s", n.Attempt, n.Started.Local().Format(time.DateTime)))
	}
	line("adopted", n.AdoptedBy)
	if n.Inventory != nil {
		printFound(n.Inventory, line)
	}
	for _, f := range n.Cabling {
		line("cable", f.Text)
	}
	for _, d := range n.Deviations {
		line("deviation", d)
	}
	for _, e := range n.Evidence {
		line("evidence", fmt.Sprintf("%s (%s, attempt %d)", e.File, size(e.Size), e.Attempt))
	}
}
