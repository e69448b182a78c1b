package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/view"
)

// installFlags are the flags of `rackseed install`.
type installFlags struct {
	options view.JobOptions
	canary  int // below zero: nothing was said
	dryRun  bool
	noWait  bool
	yes     bool
	resume  string
}

func newInstallCommand(g *globals) *cobra.Command {
	var f installFlags
	c := &cobra.Command{
		Use: "install SELECTOR", Short: "Install machines: arm, boot from the network, watch until ready",
		Long: `Install machines. Each one, in its turn, is armed, told by its BMC to boot from the network once, switched
off and on, and watched until it is ready. The first one is the canary: unless it becomes ready, no other
is begun. A machine is wiped only if the plan names it and an operator armed it, once for each arming;
whoever waits for its turn is not armed.

The daemon does it, as a job on record: ctrl-C ends the watching alone, and a daemon that was killed goes
on with what is left, without a second power cycle or a second install. --resume watches again, and tries
again what failed.

Without BMCs, --no-power arms the machines and waits for somebody to press their buttons.`,
		Example: `  rackseed install cs-controller-01 --dry-run
  rackseed install 'role=compute & rack=A03' --canary 2 --parallel 8 --max-failures 3
  rackseed install all --no-power --for 8h --reason 'first installation'
  rackseed install cs-computer-0020 --console
  rackseed install --resume j-k3v5q2x7ma`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case f.resume != "" && len(args) > 0:
				return errors.New("--resume goes on with the machines of its job: leave the SELECTOR out")
			case f.resume == "" && len(args) == 0:
				return errors.New("which machines? give a SELECTOR such as cs-controller-01, 'role=compute & rack=A03' or all")
			case len(args) > 1:
				return fmt.Errorf("one SELECTOR, not %d: join names by commas (%s); quote one that has spaces", len(args), strings.Join(args, ","))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, g, strings.Join(args, ""))
		},
	}
	p := c.Flags()
	p.IntVar(&f.canary, "canary", -1, "the first so many must become ready before the rest begin; -1 is 1, and 0 with --no-power")
	p.IntVar(&f.options.Parallel, "parallel", 0, fmt.Sprintf("machines that are installed at a time (default %d, with --no-power all)", batch.DefaultParallel))
	p.DurationVar(&f.options.Stagger, "stagger", 0, "time between two power-ons, such as 2s (inrush current)")
	p.IntVar(&f.options.PerRack, "per-rack", 0, "machines of one rack at a time (0: no bound)")
	p.IntVar(&f.options.MaxFailures, "max-failures", 0, "begin no more after so many failed, and disarm what has not begun (0: go on)")
	p.DurationVar(&f.options.Deadline, "deadline", 0, "time for one machine altogether (default: each stage has its own)")
	p.DurationVar(&f.options.Window, "for", install.DefaultArming, "how long the arming waits for the machine")
	p.StringVar(&f.options.Why, "reason", "", "recorded beside the arming")
	p.BoolVar(&f.options.NoPower, "no-power", false, "leave power and boot order alone, and wait for somebody to switch the machines on")
	p.BoolVar(&f.options.Console, "console", false, "record the machines' serial consoles in their timelines meanwhile (IPMI serial over LAN)")
	p.BoolVar(&f.dryRun, "dry-run", false, "say which disks of which machines would be wiped, and do nothing")
	p.BoolVar(&f.noWait, "no-wait", false, "return once the job has begun; with --no-power once the machines are armed")
	p.BoolVar(&f.yes, "yes", false, "ask nothing in a terminal")
	p.StringVar(&f.resume, "resume", "", "watch the job of this `ID` again; if it has ended, go on with what is not done")
	return c
}

func (f *installFlags) run(c *cobra.Command, g *globals, selector string) error {
	ctx := c.Context()
	o := f.options
	o.Canary = max(f.canary, 0)
	if f.canary < 0 && !o.NoPower {
		o.Canary = 1
	}
	req := view.JobRequest{Verb: job.Install, Selector: selector, Options: o, By: operatorName(), Resume: f.resume, Given: givenOptions(c, f.resume)}
	if f.dryRun {
		return withClient(ctx, g, func(cl *client.Client) error {
			plan, err := dryInstall(ctx, cl, req)
			if err != nil || g.json {
				return errors.Join(err, printIf(err == nil, c, plan))
			}
			return printInstall(c.OutOrStdout(), plan)
		})
	}
	if o.NoPower && f.noWait && f.resume == "" {
		return f.armOnly(c, g, selector)
	}
	// Without a daemon nobody would install, and nothing could be watched.
	return withDaemon(ctx, g, func(cl *client.Client) error {
		if f.resume == "" && !f.yes && isTerminal(c.OutOrStdout()) && isTerminalIn(c.InOrStdin()) {
			names, err := confirmInstall(ctx, c, cl, req)
			if err != nil {
				return err
			}
			req.Selector = strings.Join(names, ",") // what was shown is what is done
		}
		started, err := cl.StartJob(ctx, req)
		if err != nil {
			return err
		}
		if f.noWait {
			return errors.Join(printIf(g.json, c, started), sayIf(!g.json, c, "job %s: `rackseed install --resume %s` watches it\n", started.ID, started.ID))
		}
		return f.watch(c, g, cl, started)
	})
}

// armOnly needs no daemon: the machines are installed by whichever runs when
// they boot.
func (f *installFlags) armOnly(c *cobra.Command, g *globals, selector string) error {
	return withWire(c, g, func(cl *client.Client) error {
		armed, err := cl.Arm(c.Context(), view.ArmRequest{Selector: selector, By: operatorName(), Reason: f.options.Why, For: f.options.Window})
		if err != nil {
			return err
		}
		if g.json {
			return printJSON(c, armed)
		}
		rows := make([][]string, 0, len(armed.Nodes))
		for _, n := range armed.Nodes {
			rows = append(rows, []string{n.Name, orDash(n.Role), orDash(n.Image), orDash(n.Serial), n.ArmedUntil.Local().Format(time.DateTime)})
		}
		if err := table(c.OutOrStdout(), []string{"NAME", "ROLE", "IMAGE", "SERIAL", "ARMED UNTIL"}, rows); err != nil {
			return err
		}
		return sayIf(true, c, "%s armed. Switch on what is armed; it boots from the network.\n", counted(len(armed.Nodes), "machine"))
	})
}

func sayIf(wanted bool, c *cobra.Command, format string, args ...any) error {
	if !wanted {
		return nil
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), format, args...)
	return err
}

func dryInstall(ctx context.Context, cl *client.Client, req view.JobRequest) (view.Job, error) {
	req.DryRun = true
	return cl.StartJob(ctx, req)
}

func printInstall(w io.Writer, plan view.Job) error {
	rows := make([][]string, 0, len(plan.Results))
	var warnings []string
	noBMC := 0
	for _, r := range plan.Results {
		t := dataOf[view.InstallTarget](r)
		rows = append(rows, []string{r.Target, orDash(t.Role), string(t.State), orDash(t.Image), orDash(t.Serial), orDash(t.BMC), strings.Join(t.Wipes, "; ")})
		if t.Warning != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s", r.Target, t.Warning))
		}
		if t.BMC == "" {
			noBMC++
		}
	}
	if err := table(w, []string{"NAME", "ROLE", "STATE", "IMAGE", "SERIAL", "BMC", "DISKS THAT ARE WIPED"}, rows); err != nil {
		return err
	}
	if noBMC > 0 {
		warnings = append(warnings, fmt.Sprintf("without a BMC in the plan: %s; add bmc: {address: ADDRESS}, or --no-power and switch on by hand", counted(noBMC, "machine")))
	}
	for _, text := range warnings {
		fmt.Fprintln(w, "warning:", text)
	}
	_, err := fmt.Fprintf(w, "%s would be armed.\n", counted(len(rows), "machine"))
	return err
}

// confirmInstall shows what would be lost and asks for the number of
// machines: whoever types it has read it.
func confirmInstall(ctx context.Context, c *cobra.Command, cl *client.Client, req view.JobRequest) ([]string, error) {
	plan, err := dryInstall(ctx, cl, req)
	if err != nil {
		return nil, err
	}
	out := c.OutOrStdout()
	if err := printInstall(out, plan); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "Everything on these disks is lost. Type the number of machines, %d, to go on: ", len(plan.Results))
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil && strings.TrimSpace(line) == "" {
		return nil, &exitError{exitRefused, errors.New("nothing was confirmed, and nothing is installed")}
	}
	if strings.TrimSpace(line) != strconv.Itoa(len(plan.Results)) {
		return nil, &exitError{exitRefused, fmt.Errorf("%q is not %d: nothing is installed", strings.TrimSpace(line), len(plan.Results))}
	}
	names := make([]string, 0, len(plan.Results))
	for _, r := range plan.Results {
		names = append(names, r.Target)
	}
	return names, nil
}

// watch shows a job until it has ended. The daemon may be restarted
// meanwhile.
func (f *installFlags) watch(c *cobra.Command, g *globals, cl *client.Client, started view.Job) error {
	ctx := c.Context()
	show := newJobView(c, g, view.JobRequest{Verb: job.Install}, true)
	if show.lines {
		note := ""
		if st, err := cl.Status(ctx); err == nil && st.Serving.Note != "" {
			note = "; nothing is served: " + st.Serving.Note
		}
		fmt.Fprintf(show.out, "job %s: %s%s\n", started.ID, counted(len(started.Results), "machine"), note)
		if f.options.NoPower {
			fmt.Fprintf(show.out, "%d armed. Switch them on; they boot from the network.\n", len(started.Results))
		}
	}
	ended, err := show.watch(started.Results, func(tell func(view.JobChange)) (view.Job, error) {
		return followPatiently(ctx, cl, started.ID, tell, c.ErrOrStderr())
	})
	if ctx.Err() != nil {
		return &exitError{exitFailed, fmt.Errorf("stopped watching job %[1]s, which the daemon goes on with: `rackseed install --resume %[1]s` watches it again, `rackseed job cancel %[1]s` ends it", started.ID)}
	}
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("stopped watching job %[1]s, which the daemon goes on with (%[2]w): `rackseed install --resume %[1]s` watches it again, `rackseed job cancel %[1]s` ends it", started.ID, err)}
	}
	return show.end(ended, "")
}

// followPatiently follows a job through restarts of its daemon, and says when
// it begins to wait for one.
func followPatiently(ctx context.Context, cl *client.Client, id string, tell func(view.JobChange), say io.Writer) (view.Job, error) {
	const patience = time.Minute
	gone := time.Time{}
	for {
		ended, err := cl.FollowJob(ctx, id, func(ch view.JobChange) { gone = time.Time{}; tell(ch) })
		if !errors.Is(err, client.ErrNoDaemon) || ctx.Err() != nil {
			return ended, err
		}
		if gone.IsZero() {
			gone = time.Now()
			fmt.Fprintf(say, "the daemon is gone, and no machine is answered: start it with `rackseed serve`; it is waited for, %s\n", patience)
		}
		if time.Since(gone) > patience {
			return ended, err
		}
		select {
		case <-ctx.Done():
			return ended, ctx.Err()
		case <-time.After(time.Second):
		}
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
