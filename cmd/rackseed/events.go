package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
)

func newEventsCommand(g *globals) *cobra.Command {
	var follow bool
	var q client.EventQuery
	c := &cobra.Command{
		Use: "events", Short: "Print the log, one event a line", Args: cobra.NoArgs,
		Example: "  rackseed events --since 120\n  rackseed events --follow --json\n  rackseed events --selector rack=A03 --kind install-started,install-failed",
		RunE: func(c *cobra.Command, _ []string) error {
			for _, kind := range q.Kinds {
				if !site.IsKind(kind) {
					return usageError("there are no events of kind %q: `rackseed events` shows the kinds that happened", kind)
				}
			}
			if follow {
				return withDaemon(c.Context(), g, func(cl *client.Client) error {
					return printEvents(c.OutOrStdout(), cl.FollowQuery(c.Context(), q), g.json)
				})
			}
			return withClient(c.Context(), g, func(cl *client.Client) error {
				return printEvents(c.OutOrStdout(), cl.QueryEvents(c.Context(), q), g.json)
			})
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "go on printing events as they happen")
	c.Flags().Uint64Var(&q.Since, "since", 0, "print only events after this number")
	c.Flags().StringVar(&q.Selector, "selector", "", "print only events of these nodes")
	c.Flags().StringSliceVar(&q.Kinds, "kind", nil, "print only events of these kinds, such as install-failed")
	return c
}

func printEvents(w io.Writer, events iter.Seq2[site.Event, error], asJSON bool) error {
	lines := json.NewEncoder(w)
	for e, err := range events {
		if err != nil {
			return err
		}
		if asJSON {
			err = lines.Encode(e)
		} else {
			_, err = fmt.Fprintf(w, "%6d  %s  %-20s %s\n", e.Seq, e.At.Local().Format(time.DateTime), e.Body.Kind(), sentence(e.Body))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sentence is an event in words, for the terminal.
func sentence(b site.Body) string {
	switch b := b.(type) {
	case site.PlanApplied:
		return fmt.Sprintf("%s: %d nodes, by %s", b.Settings.Site, b.Nodes, orDash(b.By))
	case site.ImageAdded:
		return fmt.Sprintf("%s: %s %s, %s", b.Image.Name, b.Image.Distro, b.Image.Version, size(b.Image.Size))
	case site.StrangerSeen:
		return fmt.Sprintf("%s %s %s", b.MAC, b.Arch, b.Class)
	case site.BootLadderStepped:
		return fmt.Sprintf("%s did not come for its boot file; %s is tried in place of %s", b.Node, b.To, b.From)
	case site.BootLadderWorked:
		return fmt.Sprintf("%s came for its boot file by %s", b.Node, b.Rung)
	case site.LeaseGranted:
		return fmt.Sprintf("%s to %s until %s", b.Lease.Addr, b.Lease.MAC, clock(b.Lease.Until))
	case site.Armed:
		return fmt.Sprintf("%s by %s until %s", b.Node, b.By, clock(b.Until))
	case site.Disarmed:
		return strings.TrimSpace(fmt.Sprintf("%s by %s %s", b.Node, b.By, b.Reason))
	case site.InstallStarted:
		return fmt.Sprintf("%s attempt %d, from %s at %s", b.Node, b.Attempt, b.MAC, b.Addr)
	case site.AnswerServed:
		return fmt.Sprintf("%s attempt %d: %s to %s", b.Node, b.Attempt, b.File, b.Addr)
	case site.InstallProgress:
		return strings.TrimSpace(fmt.Sprintf("%s attempt %d: %s %s", b.Node, b.Attempt, b.Stage, b.Detail))
	case site.InstallFailed:
		return fmt.Sprintf("%s attempt %d at %s: %s", b.Node, b.Attempt, b.Stage, b.Reason)
	case site.NodeVerified:
		return fmt.Sprintf("%s attempt %d: %d deviations", b.Node, b.Attempt, len(b.Deviations))
	case site.EvidenceStored:
		return fmt.Sprintf("%s attempt %d: %s, %s", b.Node, b.Attempt, b.File, size(b.Size))
	case site.NodePlanned:
		if b.Node.Adopted {
			return fmt.Sprintf("%s, role %s, adopted by %s", b.Node.Name, b.Node.Role, orDash(b.By))
		}
		return b.Node.Name
	case site.StrangerInventoried:
		return fmt.Sprintf("%s: %s", b.MAC, foundWords(b.Inventory))
	case site.DiscoveryAsked:
		return fmt.Sprintf("%s by %s, at its next network boot until %s", b.Node, orDash(b.By), clock(b.Until))
	case site.StrangerForgotten:
		return fmt.Sprintf("%s by %s", b.MAC, orDash(b.By))
	case site.NodeHeld:
		return fmt.Sprintf("%s: %s", b.Node, b.Reason)
	case site.NodeSeen:
		return fmt.Sprintf("%s: %s", b.Node, b.MAC)
	case site.ClaimRefused:
		return fmt.Sprintf("%s: %s", b.Node, b.Reason)
	case site.JobQueued:
		return fmt.Sprintf("%s: %s of %d nodes, by %s", b.ID, strings.Join(append([]string{b.Verb}, b.Args...), " "), len(b.Targets), orDash(b.By))
	case site.JobStep:
		if b.Power != "" {
			return fmt.Sprintf("%s: %s, about to be sent (%s)", b.Node, strings.TrimSuffix(b.What, " issued"), b.ID)
		}
		return fmt.Sprintf("%s: %s (%s)", b.Node, b.What, b.ID)
	case site.JobNodeDone:
		if b.OK {
			return fmt.Sprintf("%s: %s (%s)", b.Node, b.Message, b.ID)
		}
		return fmt.Sprintf("%s failed: %s (%s)", b.Node, b.Message, b.ID)
	case site.JobEnded:
		return strings.TrimSpace(b.ID + " " + b.Reason)
	case site.JobResumed:
		return fmt.Sprintf("%s by %s", b.ID, orDash(b.By))
	case site.BMCLearned:
		return fmt.Sprintf("%s: %s %s, firmware %s, by %s", b.Node, b.Known.Manufacturer, b.Known.Model, orDash(b.Known.Firmware), b.Known.Protocol)
	case site.BMCAdopted:
		return fmt.Sprintf("%s: %s, by %s", b.Node, b.Address, orDash(b.By))
	case site.BMCPasswordIssued:
		return fmt.Sprintf("%s: a new password of %s, about to be set, by %s", b.Node, b.Username, orDash(b.By))
	case site.BMCPasswordSettled:
		if b.Changed {
			return b.Node + ": the new password is in force"
		}
		return b.Node + ": the BMC refused the new password, the old one is in force"
	case site.BMCForgotten:
		return fmt.Sprintf("%s: the plan says how it is reached, by %s", b.Node, orDash(b.By))
	case site.NodeInventoried:
		return fmt.Sprintf("%s: %s %s, serial %s, %d ports, by its %s", b.Node, b.Inventory.Manufacturer, b.Inventory.Model, orDash(b.Inventory.Serial), len(b.Inventory.NICs), b.Inventory.Source)
	default:
		return b.Subject()
	}
}
