package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// installOptions are the flags of `rackseed install`.
type installOptions struct {
	noPower, dryRun, noWait bool
	reason                  string
	window                  time.Duration
	maxFailures             int
}

func newInstallCommand(g *globals) *cobra.Command {
	var o installOptions
	c := &cobra.Command{
		Use: "install SELECTOR", Short: "Arm machines for one install and watch them become ready", Args: cobra.ExactArgs(1),
		Long: `Arm machines and watch them until they are ready. Arming is the second of two keys: a machine is
wiped only if the plan names it and an operator armed it, once for each arming.`,
		Example: "  rackseed install cs-controller-01 --no-power --dry-run\n  rackseed install 'role=compute & rack=A03' --no-power",
		RunE: func(c *cobra.Command, args []string) error {
			if !o.noPower && !o.dryRun {
				return usageError("this version does not switch machines on: add --no-power, and switch them on by hand or by their BMC")
			}
			reach := withDaemon // without one, nobody would install and nothing could be watched
			if o.dryRun || o.noWait {
				reach = withClient
			}
			return reach(c.Context(), g, func(cl *client.Client) error { return runInstall(c, g, cl, args[0], o) })
		},
	}
	f := c.Flags()
	f.BoolVar(&o.noPower, "no-power", false, "arm only, and wait for somebody to switch the machines on")
	f.BoolVar(&o.dryRun, "dry-run", false, "say which machines would be wiped, and arm nothing")
	f.BoolVar(&o.noWait, "no-wait", false, "return once the machines are armed")
	f.StringVar(&o.reason, "reason", "", "recorded beside the arming")
	f.DurationVar(&o.window, "for", install.DefaultArming, "how long the arming waits for the machine")
	f.IntVar(&o.maxFailures, "max-failures", 0, "disarm the machines that have not begun after this many failed (0: never)")
	return c
}

func runInstall(c *cobra.Command, g *globals, cl *client.Client, selector string, o installOptions) error {
	ctx := c.Context()
	armed, err := cl.Arm(ctx, view.ArmRequest{Selector: selector, By: operatorName(), Reason: o.reason, For: o.window, DryRun: o.dryRun})
	if err != nil {
		return err
	}
	if o.dryRun || o.noWait {
		if g.json {
			return printJSON(c, armed)
		}
		return printArmed(c.OutOrStdout(), armed, o.dryRun)
	}
	st, err := cl.Status(ctx)
	if err != nil {
		return err
	}
	if !g.json {
		fmt.Fprintf(c.OutOrStdout(), "%d armed. Switch them on; they boot from the network.\n", len(armed.Nodes))
		if st.Serving.Note != "" {
			fmt.Fprintln(c.ErrOrStderr(), "warning: nothing is served:", st.Serving.Note)
		}
	}
	return watch(ctx, c, g, cl, armed, o)
}

func printArmed(w io.Writer, r view.ArmResult, dryRun bool) error {
	rows := make([][]string, 0, len(r.Nodes))
	for _, n := range r.Nodes {
		rows = append(rows, []string{n.Name, orDash(n.Role), orDash(n.Image), orDash(n.Serial), disksOf(n)})
	}
	if err := table(w, []string{"NAME", "ROLE", "IMAGE", "SERIAL", "DISK THAT IS WIPED"}, rows); err != nil {
		return err
	}
	verb := "armed"
	if dryRun {
		verb = "would be armed"
	}
	_, err := fmt.Fprintf(w, "%d machines %s.\n", len(r.Nodes), verb)
	return err
}

func disksOf(n view.Node) string {
	if len(n.Disks) == 0 {
		return "its only fixed disk (more than one stops the install)"
	}
	var all []string
	for _, d := range n.Disks {
		for _, part := range []string{d.WWN, d.Serial, d.ByPath, d.Model} {
			if part != "" {
				all = append(all, part)
			}
		}
	}
	return strings.Join(all, " ")
}

// watch follows the log until every machine is ready or has failed.
func watch(ctx context.Context, c *cobra.Command, g *globals, cl *client.Client, armed view.ArmResult, o installOptions) error {
	waiting := map[string]bool{}
	for _, n := range armed.Nodes {
		waiting[n.Name] = true
	}
	total, failed := len(waiting), 0
	for e, err := range cl.Follow(ctx, armed.Seq) {
		if err != nil {
			return fmt.Errorf("%w; the machines go on by themselves: `rackseed node list` shows them", err)
		}
		if !waiting[e.Body.Subject()] {
			continue
		}
		if err := printEvents(c.OutOrStdout(), oneEvent(e), g.json); err != nil {
			return err
		}
		switch b := e.Body.(type) {
		case site.NodeVerified:
			if len(b.Deviations) > 0 {
				failed++
			}
			delete(waiting, b.Node)
		case site.InstallFailed, site.Disarmed, site.NodeHeld, site.NodeUnplanned:
			failed++
			delete(waiting, b.Subject())
			if o.maxFailures > 0 && failed == o.maxFailures {
				disarmRest(ctx, c, cl, waiting)
			}
		}
		if len(waiting) == 0 {
			return verdict(total, failed)
		}
	}
	return &exitError{exitFailed, errors.New("stopped watching; the armed machines stay armed: `rackseed disarm SELECTOR` takes that back")}
}

func oneEvent(e site.Event) func(func(site.Event, error) bool) {
	return func(yield func(site.Event, error) bool) { yield(e, nil) }
}

// disarmRest takes back what has not begun; what runs is left to finish.
func disarmRest(ctx context.Context, c *cobra.Command, cl *client.Client, waiting map[string]bool) {
	names := make([]string, 0, len(waiting))
	for n := range waiting {
		names = append(names, n)
	}
	if len(names) == 0 {
		return
	}
	selector := strings.Join(names, "&state=armed,") + "&state=armed"
	if _, err := cl.Disarm(ctx, view.ArmRequest{Selector: selector, By: operatorName(), Reason: "too many failed"}); err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "warning: disarming the rest:", err)
	}
}

func verdict(total, failed int) error {
	switch failed {
	case 0:
		return nil
	case total:
		return &exitError{exitFailed, errors.New("no machine became ready")}
	default:
		return &exitError{exitSome, fmt.Errorf("%d of %d machines did not become ready", failed, total)}
	}
}

func newDisarmCommand(g *globals) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "disarm SELECTOR", Short: "Take armings back, end holds, give up running attempts", Args: cobra.ExactArgs(1),
		Example: "  rackseed disarm cs-controller-01\n  rackseed disarm state=armed",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				r, err := cl.Disarm(c.Context(), view.ArmRequest{Selector: args[0], By: operatorName(), Reason: reason})
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, r)
				}
				return printNodes(c.OutOrStdout(), r.Nodes)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "recorded beside it")
	return c
}
